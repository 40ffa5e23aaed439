"""Which faces of a unit are explained, and why the others are not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xfer.training import Pixels

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
