"""Mean maps over faces in the canonical frame, with their standard error and what sampling does to them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xfer.geometry import CanonicalFrame

__all__ = ["Pooled", "Round", "Sums", "cross_fitted"]


@dataclass(frozen=True)
class Round:
    """What was known when every face had so many coalitions.

    Attributes
    ----------
    samples : int
        Coalitions a face so far.
    forwards : int
        Images through the network so far.
    error : float
        Standard error of the signed map over its spread, both root mean squares over the frame's support; the
        largest of all targets. With r, the map correlates with that of endless sampling at about (1 + r^2)^-1/2.
    signed, positive, corrected : float
        Means of the maps over the support and all targets.
    """

    samples: int
    forwards: int
    error: float
    signed: float
    positive: float
    corrected: float


@dataclass(frozen=True)
class Pooled:
    """Mean maps over faces in the canonical frame.

    Attributes
    ----------
    signed : tensor (target, y, x)
        The mean; NaN where no face has a value.
    positive : tensor (target, y, x)
        The mean of each face's positive part, as published: biased upwards where a face has few coalitions.
    corrected : tensor (target, y, x)
        The mean of the positive part with the sign from one half of the coalitions and the value from the other.
    error : tensor (target, y, x)
        Standard error of `signed` from the drawing of coalitions, these faces being given.
    faces : int
        How many are in the mean.
    left_out : tuple of int
        Positions of faces without finite landmarks or turned too far.
    rounds : tuple of Round
        The bias curve: the positive part against coalitions a face.
    stopped : {"tolerance", "samples", "budget"}
    """

    signed: Tensor
    positive: Tensor
    corrected: Tensor
    error: Tensor
    faces: int
    left_out: tuple[int, ...]
    rounds: tuple[Round, ...]
    stopped: str


def cross_fitted(one: Tensor, two: Tensor) -> Tensor:
    """The positive part from two independent estimates: the sign of each with the value of the other, averaged.

    Noise of standard deviation s in each estimate adds 0.4 s / sqrt(2) to the positive part of the mean of two where
    there is nothing; here it adds nothing. Where an effect is about as large as the noise it is taken for smaller.

    >>> cross_fitted(torch.tensor([2.0, 1.0, -1.0]), torch.tensor([4.0, -3.0, -1.0])).tolist()
    [3.0, -1.5, -0.0]
    """
    return (one * (two > 0) + two * (one > 0)) / 2


@dataclass
class Sums:
    """Sums over faces in the frame, float64: signed, positive, corrected (3, target, y, x), and squared errors."""

    frame: CanonicalFrame
    totals: Tensor
    squares: Tensor
    counts: Tensor

    @classmethod
    def empty(cls, frame: CanonicalFrame, targets: int, device: torch.device) -> "Sums":
        """Sums of no face."""
        zeros = torch.zeros(3, targets, frame.height, frame.width, dtype=torch.float64, device=device)
        return cls(frame, zeros, torch.zeros_like(zeros[0]), torch.zeros_like(zeros[0, 0]))

    def add(self, maps: Tensor) -> None:
        """Add maps (face, 4 target, y, x), NaN where a face has no value."""
        self.counts += maps[:, 0].isfinite().sum(0)
        by_kind = maps.nan_to_num(0.0).double().unflatten(1, (4, -1))
        self.totals += by_kind[:, :3].sum(0)
        self.squares += by_kind[:, 3].square().sum(0)

    def maps(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Signed, positive, corrected and the standard error (target, y, x); NaN where no face has a value."""
        counts = self.counts.masked_fill(self.counts == 0, torch.nan)
        signed, positive, corrected = self.totals / counts
        return signed, positive, corrected, self.squares.sqrt() / counts

    def summary(self, samples: int, forwards: int) -> Round:
        """The round in numbers."""
        inside = torch.as_tensor(np.array(self.frame.support)).to(self.counts.device) & (self.counts > 0)
        signed, positive, corrected, error = (each[:, inside] for each in self.maps())
        spread = signed.std(1, correction=0)
        ratio = torch.where(spread > 0, error.square().mean(1).sqrt() / spread, torch.inf).max()
        means = (float(each.mean()) for each in (signed, positive, corrected))
        return Round(samples, forwards, float(ratio), *means)
