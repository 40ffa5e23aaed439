"""The parts of a data set that a training is given, and what they must be."""

import numpy as np
from numpy.typing import NDArray

from xfer.errors import InputError
from xfer.landmarkers import misfit
from xfer.training.pixels import Pixels
from xfer.training.settings import Settings


def require(
    pixels: Pixels, train: NDArray[np.intp], validation: NDArray[np.intp], settings: Settings, name: str
) -> None:
    """That there are faces to train on and others to validate with, of all expressions and of no common subject.

    Raises
    ------
    InputError
    """
    if pixels.size != settings.size:
        raise ValueError(f"pixels of {pixels.size} px, settings for {settings.size} px")
    if len(pixels.classes) < 2:
        told = ", ".join(pixels.classes) or "none"
        raise InputError(f"{name}: at least two expressions are needed to train; there is {told}")
    if len(train) < 2 or not len(validation):
        raise InputError(f"{name}: {len(train)} training and {len(validation)} validation faces are too few")
    subjects = [{pixels.subjects[r] for r in pixels.rows(part)} for part in (train, validation)]
    if shared := sorted(subjects[0] & subjects[1]):
        raise InputError(f"{name}: subject {shared[0]!r} is in the training and in the validation part")
    seen = set(pixels.labels[pixels.rows(train)].tolist())
    missing = [c for i, c in enumerate(pixels.classes) if i not in seen]
    if missing:
        raise InputError(f"{name}: no training face shows {', '.join(missing)}; leave it out with --expressions")


def require_landmarks(pixels: Pixels, train: NDArray[np.intp], name: str) -> None:
    """That the landmarks of the training faces are not of pictures of another size.

    Raises
    ------
    InputError
    """
    rows = pixels.rows(train)
    if why := misfit(pixels.landmarks[rows], np.full((len(rows), 2), pixels.size)):
        raise InputError(f"{name}: the landmarks of most training faces, as of {pixels.ids[rows[0]]!r}, {why}")
