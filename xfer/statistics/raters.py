"""The ceiling of human alignment: one half of the raters does what a heatmap is asked to, the other half is the mask.

Two means of noisy maps are compared, where a heatmap's corrected score compares a noiseless map with a mean. So the
ceiling is what *as many other raters* would score, not the most that can be had: a heatmap without noise can pass it.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xfer.heatmaps import consensus
from xfer.statistics.estimates import Estimate, Replicates, from_jackknife
from xfer.statistics.reliability import Floats, spearman_brown
from xfer.statistics.scores import SCORES

FEWEST = 4
"""Raters that two halves of more than one take."""
STEPPED = ("pearson", "cosine")
"""Scores that follow Spearman and Brown's law."""

_SPLITS = 100
_LEFT_OUT = 400


def split_half_ceiling(shares: Floats, score: str, *, seed: int = 0) -> Estimate:
    """What the mean map of other raters, as many as these, would score against these raters' mask.

    Random halves of the raters: the mean of one is scored as a heatmap against the `consensus` of the other. Halves are
    noisier than all raters. Pearson's r and the cosine are stepped up to the full number by Spearman's and Brown's
    formula, which is exact for means. No law is known for scores that cut a region: they get what they gain from
    quarters to halves once more, shrunk as the inverse root of the number of raters shrinks, which is how the edge of a
    region settles. In simulations (tests/benchmarks/results/raters.md) this lies between .05 below and .02 above what
    other raters score; half against half as it is, up to .11 below.

    Parameters
    ----------
    shares : array (rater, pixel)
        See `xfer.heatmaps.shares`; of the pixels that count.
    score : name in `SCORES`
    seed : int

    Returns
    -------
    Estimate
        ``value`` of half against half and ``corrected`` for all raters, mean over random splits; the interval leaves
        out one rater after the other (drawing raters with replacement would put copies of one into both halves, and
        they would agree). NaN with a reason from fewer than 4 raters; no interval from raters whose maps are the same.

    References
    ----------
    Spearman 1910, doi:10.1111/j.2044-8295.1910.tb00206.x; Brown 1910, doi:10.1111/j.2044-8295.1910.tb00207.x

    Examples
    --------
    >>> maps = np.eye(6)[[0, 0, 1, 0, 2, 0]] + 1
    >>> found = split_half_ceiling(maps / maps.sum(axis=1, keepdims=True), "cosine")
    >>> bool(found.value < found.corrected < 1), found.n
    (True, 6)
    """
    n = len(shares)
    if n < FEWEST:
        return Estimate(np.nan, n=n, reason=f"{n} rater{'s' * (n != 1)}: a split-half ceiling takes {FEWEST}")
    rows = np.asarray(shares, dtype=np.float32)
    keys = np.random.default_rng(seed).random((_SPLITS, n))
    half, corrected = _ceiling(rows, score, keys, n)
    bare = Estimate(half, corrected, n=n)
    if not np.isfinite(corrected):
        return replace(bare, reason="the score of some halves is undefined")
    if (rows == rows[0]).all():
        return replace(bare, reason="all raters' maps are the same: no interval")
    some = keys[: max(10, _LEFT_OUT // n)]
    left = [_ceiling(np.delete(rows, i, axis=0), score, np.delete(some, i, axis=1), n)[1] for i in range(n)]
    return from_jackknife(bare, Replicates(corrected, np.array(left)), 0, 0.95, seed)


def _ceiling(rows: Floats, score: str, keys: NDArray[np.float64], target: int) -> tuple[float, float]:
    """Mean score of half against half, and stepped up to a number of raters."""
    n = len(rows)
    order = keys.argsort(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        at_half = _mean_score(rows, score, order[:, : n // 2], order[:, n // 2 :])
        if score in STEPPED:
            return at_half, spearman_brown(at_half, 2 * target / n)
        few = max(1, n // 4)
        at_quarter = _mean_score(rows, score, order[:, :few], order[:, n // 2 : n // 2 + few])
    noise = [1 / np.sqrt(size) for size in (few, n / 2, target)]
    return at_half, at_half + (at_half - at_quarter) * (noise[1] - noise[2]) / (noise[0] - noise[1])


def _mean_score(rows: Floats, score: str, first: NDArray[np.int64], second: NDArray[np.int64]) -> np.float64:
    """Mean over splits of the score of some raters' mean map (split, rater) against others' mask."""
    means = []
    for some in (first, second):
        weights = np.zeros((len(some), len(rows)), rows.dtype)
        np.put_along_axis(weights, some, 1 / some.shape[1], axis=1)
        means.append(weights @ rows)
    pairs = zip(means[0], consensus(means[1]).astype(rows.dtype), strict=True)
    return np.mean([SCORES[score](one, mask) for one, mask in pairs], dtype=np.float64)
