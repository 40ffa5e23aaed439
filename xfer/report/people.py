"""Whose pictures a page may show: the mean face, none, or single faces of a study that kept them."""

import numpy as np

from xfer.errors import unknown
from xfer.report import words
from xfer.report.blocks import Block, Section
from xfer.report.cell_faces import MOST
from xfer.report.trained import is_trained
from xfer.study import Study
from xfer.study.recognition import SHOWN

_FEWEST = 10
"""Subjects under which a mean face can show who they are."""


def mean_face(study: Study, faces: str) -> np.ndarray | None:
    """The face to show beneath heatmaps (y, x, 4), RGBA in [0, 1]; None where none is known or wanted.

    Raises
    ------
    InputError
        If `faces` is not one of `SHOWN`.
    """
    if faces not in SHOWN:
        raise unknown("faces", faces, SHOWN)
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
    data = study.config.get("data", {}).get("name", "unknown")
    blocks: list[Block] = [words.text("face", "all", tone="note", data=data)]
    pictures = words.say("face", "drawn_again" if _drawn(study) else "no_pictures")
    kept = words.text("face", "kept", most=MOST, pictures=pictures)
    shown = kept if study.config.get("per_face") else words.text("face", "not_kept")
    return Section("people", "Pictures of people", [*blocks, shown])


def _drawn(study: Study) -> bool:
    return study.config.get("data", {}).get("name") == "synthetic"
