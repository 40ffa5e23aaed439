"""The scores of a study's cells with their intervals, to be resampled cell by cell."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer.statistics.estimates import estimate
from xfer.study.resampling import Rows
from xfer.study.units import Key, Units, told_of


@dataclass(frozen=True, eq=False)
class Intervals:
    """What is asked of every cell.

    Attributes
    ----------
    units : Units
    keys : tuple of (model, expression)
        The cells.
    truth : mapping of expression to array (y, x)
        Masks at half resolution.
    scores : tuple of str
        Names of `xfer.statistics.scores.SCORES`.
    draws, seed : int
    """

    units: Units
    keys: tuple[Key, ...]
    truth: Mapping[str, NDArray[np.float32]]
    scores: tuple[str, ...]
    draws: int
    seed: int

    def told(self) -> Iterator[bytes]:
        """See `xfer.study.resampling.Resampled`."""
        yield from told_of(self.units, self.keys, self.truth)
        yield repr(("intervals", self.keys, self.scores, self.draws, self.seed)).encode()

    def rows(self, member: int) -> Rows:
        """An `Estimate` a score."""
        key = self.keys[member]
        maps, truth = self.units.maps(key), self.truth[key[1]]
        options: dict[str, Any] = {"support": self.units.inside, "draws": self.draws, "seed": self.seed}
        return [vars(estimate(maps, truth, score, **options)) for score in self.scores]
