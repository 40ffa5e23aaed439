"""Whose pictures a page may show: the mean face, none, or single faces of a study that kept them."""

import numpy as np

from xfer.errors import unknown
from xfer.report import words
from xfer.report.blocks import Block, Section
from xfer.report.trained import is_trained
from xfer.study import Study

FACES = ("mean", "none", "all")
"""The mean face beneath heatmaps; no face at all; single faces too, with a reminder of their licence."""

_FEWEST = 10
"""Subjects under which a mean face can show who they are."""


def mean_face(study: Study, faces: str) -> np.ndarray | None:
    """The face to show beneath heatmaps (y, x, 4), RGBA in [0, 1]; None where none is known or wanted.

    Raises
    ------
    InputError
        If `faces` is not one of `FACES`.
    """
    if faces not in FACES:
        raise unknown("faces", faces, FACES)
    return None if faces == "none" else study.mean_face


def beneath(study: Study, face: np.ndarray | None) -> str:
    """The sentence of a caption about what lies beneath the maps; "" where no face ever could."""
    if not is_trained(study) or study.mean_face is None:
        return ""
    return words.say("face", "none" if face is None else "mean")


def few_people(study: Study, face: np.ndarray | None) -> list[Block]:
    """A caution where the mean face is of so few people that it can show them."""
    if face is None or _drawn(study):
        return []
    people = int(study.predictions["subject"].nunique())
    if not 0 < people < _FEWEST:
        return []
    return [words.text("face", "few", tone="note", subjects=people)]


def reminder(study: Study, faces: str) -> Section | None:
    """What whoever asked for single faces has to check before the page leaves their hands."""
    if faces != "all" or not is_trained(study):
        return None
    data = study.config.get("data", {}).get("spec", "unknown")
    blocks: list[Block] = [words.text("face", "all", tone="note", data=data)]
    return Section("people", "Pictures of people", [*blocks, *(single_faces(study) or [words.text("face", "kept")])])


def single_faces(study: Study) -> list[Block]:
    """Test faces with their own heatmaps, of a study that kept these; no study does yet."""
    return []


def _drawn(study: Study) -> bool:
    return str(study.config.get("data", {}).get("spec", "")).partition(":")[0] == "synthetic"
