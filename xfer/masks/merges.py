"""How the weighted maps of Action Units become the mask of an expression.

Each rule takes one map (..., y, x) in [0, 1] per Action Unit, numpy or torch, and as many weights in (0, 1], and gives
(..., y, x) in [0, 1] of the same kind.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add, mul
from types import MappingProxyType
from typing import Any

from array_api_compat import array_namespace


def maximum(maps: Sequence[Any], weights: Sequence[float]) -> Any:
    """The largest map at each pixel, each no higher than its weight.

    Thresholds pass through it: ``mask >= t`` is the union of ``map >= t`` over the Action Units with weight at least t,
    so a soft edge does not shrink under a small weight. Where all weights are 1 it is the pixel-wise maximum of
    Belharbi et al. (2024), doi:10.48550/arXiv.2402.00281.

    >>> import numpy as np
    >>> maximum([np.array([[0.2, 1.0]]), np.array([[0.4, 0.7]])], [0.5, 1.0]).tolist()
    [[0.4, 0.7]]
    """
    xp = array_namespace(*maps)
    return reduce(xp.maximum, [xp.clip(m, max=w) for m, w in zip(maps, weights, strict=True)])


def mean(maps: Sequence[Any], weights: Sequence[float]) -> Any:
    """The weighted mean, scaled so that its largest pixel is 1: pixels where Action Units overlap count more."""
    xp = array_namespace(*maps)
    total = reduce(add, [m * w for m, w in zip(maps, weights, strict=True)])
    largest = xp.max(total, axis=(-2, -1), keepdims=True)
    return total / xp.where(largest > 0, largest, xp.ones_like(largest))


def noisy_or(maps: Sequence[Any], weights: Sequence[float]) -> Any:
    """One minus the product of ``1 - weight * map``: the chance that any of independent Action Units shows there."""
    return 1 - reduce(mul, [1 - m * w for m, w in zip(maps, weights, strict=True)])


MERGES: Mapping[str, Callable[[Sequence[Any], Sequence[float]], Any]] = MappingProxyType(
    {"max": maximum, "mean": mean, "noisy_or": noisy_or}
)
"""The rules by name."""
