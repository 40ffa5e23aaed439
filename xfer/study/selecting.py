"""Which faces of a unit are explained, and why the others are not; what a part of a unit takes of them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xfer.training import Pixels

UNLABELLED = "shows none of the expressions"
NO_CLASS = "has no class of its expression"
NO_LANDMARKS = "no landmarks"
NOT_DRAWN = "not among those drawn of its expression"


@dataclass(frozen=True)
class SelectedFaces:
    """The faces of a unit that were decoded.

    Attributes
    ----------
    index : int array (face,)
        Positions in the data set.
    row, label : int array (face,)
        Of `Pixels`.
    points : array (face, 68, 2)
        Landmarks, (x, y) in px of the small pictures.
    block : int array (face,)
        The block of its subject.
    reason : str array (face,)
        Why it is in no heatmap, filled in as faces are left out; "" while it is in.
    """

    index: NDArray[np.intp]
    row: NDArray[np.intp]
    label: NDArray[np.int64]
    points: NDArray[np.float64]
    block: NDArray[np.int64]
    reason: NDArray[np.object_]

    @classmethod
    def of(cls, pixels: Pixels, test: ArrayLike, landmarks: ArrayLike | None, blocks: ArrayLike) -> "SelectedFaces":
        """Those of `test` that were decoded; arguments as for `explain_faces`."""
        positions = np.asarray(test, np.intp).reshape(-1)
        there = pixels.row[positions] >= 0
        rows = pixels.rows(positions[there])
        points = pixels.landmarks[rows] if landmarks is None else np.asarray(landmarks)[there]
        reason = np.full(len(rows), "", object)
        reason[~np.isfinite(points).all(axis=(1, 2))] = NO_LANDMARKS
        block = np.asarray(blocks, np.int64)[there]
        return cls(positions[there], rows, pixels.labels[rows], points.astype(np.float64), block, reason)

    def choose(
        self, pixels: Pixels, selection: str, lacking: Iterable[str], per_class: int, seed: int
    ) -> "SelectedFaces":
        """Itself, less the faces that are only predicted, where that is known before any is; see `explain_faces`."""
        if selection != "predicted":
            self.reason[np.isin(self.label, [pixels.classes.index(each) for each in lacking])] = NO_CLASS
            self.reason[self.label < 0] = UNLABELLED
            if per_class:
                self.draw(self.label, per_class, seed)
        return self

    def draw(self, classes: NDArray[np.int64], per_class: int, seed: int) -> None:
        """Leave out what is beyond `per_class` faces of a class, at random but for the seed."""
        for number in np.unique(classes[self.reason == ""]):
            pool = np.flatnonzero((self.reason == "") & (classes == number))
            order = np.random.default_rng([seed, int(number)]).permutation(len(pool))
            self.reason[pool[order[per_class:]]] = NOT_DRAWN

    def in_blocks(self) -> NDArray[np.intp]:
        """Those that are still in, block by block."""
        within = np.flatnonzero(self.reason == "")
        return within[np.argsort(self.block[within], kind="stable")]


@dataclass(frozen=True)
class Part:
    """What is done of a unit by itself.

    Attributes
    ----------
    number, count : int
        Which part it is, and of how many.
    start, stop : int
        Which faces are explained, of those in the order of `SelectedFaces.in_blocks`; whole blocks.
    """

    number: int
    count: int
    start: int
    stop: int

    def own(self, faces: SelectedFaces, order: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which faces are this part's (face,): its own of `order`, and an equal share of the `others`."""
        own = np.zeros(len(faces.row), bool)
        own[order[self.start : self.stop]] = True
        own[np.array_split(others, self.count)[self.number]] = True
        return own
