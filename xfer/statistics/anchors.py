"""The anchored score: 0 is what chance scores, 1 is what the ceiling scores."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer.statistics.estimates import Estimate, from_draws
from xfer.statistics.sampling import bootstrap_weights, expanded_tail

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Anchor:
    """A reference point of the scale, the mean of scores.

    Attributes
    ----------
    value : float
    draws : array (draw,)
        Where the mean may lie; one number where it is known exactly.
    n : int
        Scores behind it.
    """

    value: float
    draws: NDArray[np.float64] = field(repr=False)
    n: int


def anchor(scores: Floats | float, *, draws: int = 2000, seed: int = 1) -> Anchor:
    """The mean of null scores, or of the ceiling's scores (raters, mask sources), with bootstrap draws.

    One score is taken as exact. NaN are left out. The seed must differ from that of the faces' draws.
    """
    found = np.atleast_1d(np.asarray(scores, dtype=np.float64))
    found = found[np.isfinite(found)]
    if not len(found):
        return Anchor(np.nan, np.full(1, np.nan), 0)
    mean = float(found.mean())
    if len(found) == 1:
        return Anchor(mean, np.full(1, mean), 1)
    weights = bootstrap_weights(len(found), draws, np.random.default_rng(seed))
    return Anchor(mean, weights @ found / len(found), len(found))


def anchored(score: Estimate, null: Anchor, ceiling: Anchor, *, level: float = 0.95) -> Estimate:
    """(score - null mean) / (ceiling - null mean), never clipped; the interval propagates the draws of all three.

    Parameters
    ----------
    score : Estimate
    null, ceiling : Anchor
    level : float

    Returns
    -------
    Estimate
        ``value`` anchors the score as it is, ``corrected`` the noise-corrected one. NaN where null or ceiling is, or
        where the interval of ceiling - null contains 0 (Fieller's condition for a ratio to have a bounded interval;
        Fieller 1954, doi:10.1111/j.2517-6161.1954.tb00159.x).

    Examples
    --------
    >>> found = anchored(Estimate(0.3, 0.35), anchor(0.2), anchor(0.7))
    >>> round(found.value, 3), round(found.corrected, 3)
    (0.2, 0.3)
    """
    room = ceiling.value - null.value
    reason = _no_scale(null, ceiling, level)
    if reason:
        return Estimate(np.nan, reliability=score.reliability, n=score.n, reason=reason)
    value, corrected = ((x - null.value) / room for x in (score.value, score.corrected))
    bare = Estimate(value, corrected, reliability=score.reliability, n=score.n, reason=score.reason)
    if not len(score.draws):
        return bare
    drawn = np.resize(null.draws, len(score.draws))
    moved = (score.draws - drawn) / (np.resize(ceiling.draws, len(score.draws)) - drawn)
    return from_draws(bare, moved, score.df, level)


def _no_scale(null: Anchor, ceiling: Anchor, level: float) -> str:
    for name, one in (("null", null), ("ceiling", ceiling)):
        if not np.isfinite(one.value):
            return f"no {name}"
    size = max(len(null.draws), len(ceiling.draws))
    few = min([one.n for one in (null, ceiling) if one.n > 1], default=0)
    tail = expanded_tail(level, few - 1) if few else 0.0
    low, high = np.quantile(np.resize(ceiling.draws, size) - np.resize(null.draws, size), [tail, 1 - tail])
    if low <= 0 <= high:
        return "ceiling not distinguishable from null"
    return "ceiling below null" if high < 0 else ""
