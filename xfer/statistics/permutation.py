"""Permutation p-values, and the paired test of two networks on the same faces."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer.errors import InputError, unknown
from xfer.statistics.scores import SCORES, Score

Floats = NDArray[np.floating[Any]]

_EXACT = 12
_CHUNK = 256
_CLOSE = 1e-6


@dataclass(frozen=True)
class Test:
    """The outcome of a test.

    Attributes
    ----------
    statistic : float
    p : float
        Two-sided unless said otherwise; never 0.
    effect : float
        Standardised size of the effect, see the test.
    permutations : int
        Relabellings behind p; all there are where ``exact``.
    exact : bool
    smallest : float
        The smallest p this test can give: with few units or groups no result can be significant.
    n : int
        Units.
    reason : str
        Why p is NaN; "" where it is not.
    """

    __test__ = False

    statistic: float
    p: float
    effect: float
    permutations: int
    exact: bool
    smallest: float
    n: int
    reason: str = ""


def p_value(observed: float, null: Floats, *, exact: bool = False) -> float:
    """Share of relabellings with a statistic at least as large.

    Parameters
    ----------
    observed : float
    null : array (relabelling,)
        All relabellings, the observed one among them, if ``exact``; else random ones, to which the observed one is
        added, so that p is never 0.
    exact : bool

    References
    ----------
    Phipson and Smyth 2010, doi:10.2202/1544-6115.1585

    Examples
    --------
    >>> p_value(3.0, np.array([1.0, 2.0, 3.0]))
    0.5
    """
    as_large = int((null >= observed - _CLOSE * max(abs(observed), 1e-300)).sum())
    return as_large / len(null) if exact else (as_large + 1) / (len(null) + 1)


def paired(
    first: Floats,
    second: Floats,
    mask: Floats,
    score: str | Score = "area_iou",
    *,
    support: NDArray[np.bool_] | None = None,
    permutations: int = 2000,
    seed: int = 0,
) -> Test:
    """Do two networks score differently against a mask on the same faces? Their maps are swapped, block by block.

    Parameters
    ----------
    first, second : array (unit, y, x)
        ``positive_l1`` maps of the same blocks of faces, see `xfer.statistics.sampling.unit_maps`.
    mask : array (y, x)
    score : name in `SCORES` or callable
    support : bool array (y, x), optional
    permutations : int
        All 2**(units - 1) distinct swaps are taken up to 12 units.
    seed : int

    Returns
    -------
    Test
        ``statistic`` is score(first mean map) - score(second mean map); ``effect`` is it in standard deviations of its
        distribution under swapping over the root of the number of units, a paired Cohen's d. The hypothesis tested is
        that the two networks' maps of a block are exchangeable.

    Raises
    ------
    InputError
        If the maps are not of the same blocks and pixels.
    """
    if np.shape(first) != np.shape(second):
        raise InputError(f"paired maps must be of the same blocks; got {np.shape(first)} and {np.shape(second)}")
    if isinstance(score, str) and score not in SCORES:
        raise unknown("score", score, SCORES)
    inside = np.ones(mask.shape, dtype=bool) if support is None else support
    a, b = (np.asarray(maps, dtype=np.float32)[:, inside] for maps in (first, second))
    n, exact = len(a), len(a) <= _EXACT
    reason = _untestable(a, b)
    if reason:
        return Test(np.nan, np.nan, np.nan, 0, exact, np.nan, n, reason)
    signs = _all_signs(n) if exact else np.random.default_rng(seed).choice([-1.0, 1.0], size=(permutations, n))
    middle, half = (a + b).mean(axis=0) / 2, (a - b) / (2 * n)
    function, truth = SCORES[score] if isinstance(score, str) else score, mask[inside].astype(np.float32)
    # the maps as they are stand among the others: alone, float32 may round them across a threshold the other way
    found = _differences(np.vstack([np.ones((1, n)), signs[exact:]]), middle, half, function, truth)
    observed, null = float(found[0]), found if exact else found[1:]
    spread = float(np.sqrt(np.mean(null**2)))
    p = p_value(abs(observed), abs(null), exact=exact)
    effect = observed / spread / np.sqrt(n) if spread else 0.0
    return Test(observed, p, effect, len(null), exact, 1 / (len(null) + (not exact)), n)


def _untestable(a: Floats, b: Floats) -> str:
    if len(a) < 2:
        return "no faces" if not len(a) else "1 unit: nothing to permute"
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return "heatmap not finite"
    return "constant heatmap" if min(np.ptp(a.mean(axis=0)), np.ptp(b.mean(axis=0))) == 0 else ""


def _all_signs(n: int) -> NDArray[np.float64]:
    """Every pattern of signs (2**(n - 1), n) with a first +1: the others only turn the difference's sign."""
    bits = np.arange(2 ** (n - 1))[:, None] >> np.arange(n - 1) & 1
    return np.hstack([np.ones((len(bits), 1)), 1.0 - 2.0 * bits])


def _differences(signs: Floats, middle: Floats, half: Floats, function: Score, truth: Floats) -> Floats:
    parts = []
    for some in np.split(signs.astype(np.float32), range(_CHUNK, len(signs), _CHUNK)):
        moved = some @ half
        parts.append(function(middle + moved, truth) - function(middle - moved, truth))
    return np.concatenate(parts).astype(np.float64)
