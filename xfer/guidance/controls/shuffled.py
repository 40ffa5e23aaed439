"""Another expression's map: the same maps on the same faces, under wrong names."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xfer.errors import InputError
from xfer.guidance.atlas import Atlas
from xfer.guidance.controls import CONTROLS, Paint
from xfer.guidance.likeness import likeness
from xfer.guidance.settings import Guide

ALIKE = 0.7
"""The cosine on the mean face, as the study softens its maps, above which they cannot stand for each other."""

MOST = 10_000
"""Derangements that are listed; six expressions have 265 at most."""


@CONTROLS.register(
    "shuffled",
    title="the AU map of another expression, always the same one",
    answers="whether the maps must be those of the expressions",
)
def shuffled(guide: Guide, atlas: Atlas) -> Paint:
    """A derangement of the classes with Action Units that no two maps more alike than `ALIKE` take part in.

    Seeds take turns through all that there are, in a fixed order: those of different seeds differ until all are used.

    Raises
    ------
    InputError
        If there is none.
    """
    other = derangement(likeness(atlas), guide.seed)
    if other is None:
        names = ", ".join(atlas.classes[label] for label in atlas.named)
        raise InputError(
            f"the control 'shuffled' needs a derangement of {names} in which no map of {atlas.source.name!r} stands "
            f"for one whose cosine with it is above {ALIKE}; there is none: leave the control out, or change the masks"
        )
    turned = np.arange(len(atlas.classes))
    turned[list(atlas.named)] = np.array(atlas.named)[other]

    def paint(points: Tensor, labels: Tensor, height: int, width: int) -> Tensor:
        return atlas.draw(points, labels.new_tensor(turned)[labels], height, width)

    return paint


def derangement(cosines: NDArray[np.float64], seed: int) -> NDArray[np.intp] | None:
    """The other class for each class, None if there is no choice without itself and without too alike ones.

    >>> derangement(np.array([[1.0, 0.1, 0.9], [0.1, 1.0, 0.2], [0.9, 0.2, 1.0]]), 0) is None
    True
    >>> sorted(derangement(np.eye(3), seed).tolist() for seed in (0, 1))
    [[1, 2, 0], [2, 0, 1]]
    """
    allowed = (cosines <= ALIKE) & ~np.eye(len(cosines), dtype=bool)
    found = list(islice(_choices(allowed, ()), MOST))
    if not found:
        return None
    order = np.random.default_rng(0).permutation(len(found))
    return np.array(found[order[seed % len(found)]])


def _choices(allowed: NDArray[np.bool_], chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every way to go on from the others of the first classes."""
    if len(chosen) == len(allowed):
        yield chosen
        return
    for other in np.flatnonzero(allowed[len(chosen)]).tolist():
        if other not in chosen:
            yield from _choices(allowed, (*chosen, other))
