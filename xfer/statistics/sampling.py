"""Units of resampling, and the weights by which they are drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from xfer.errors import InputError

Floats = NDArray[np.floating[Any]]


def unit_maps(sums: Floats, counts: NDArray[Any], groups: Sequence[Any] | None = None) -> NDArray[np.float32]:
    """Maps, one a unit, whose plain mean is the mean map: sums over counts, linearised for units of unequal size.

    Parameters
    ----------
    sums : array (block, y, x)
        Sum of the faces' maps in every block.
    counts : array (block,) or (block, y, x)
        How many faces a sum holds, altogether or pixel by pixel.
    groups : sequence (block,), optional
        The outer level a block belongs to (fold or seed). Where it is given, groups are the units and blocks stay whole
        within them: drawing clusters whole has the variance of the two levels together, drawing both levels counts the
        inner one twice (Davison and Hinkley 1997, doi:10.1017/CBO9780511802843, section 3.8).

    Returns
    -------
    float32 array (unit, y, x)
        ``M + (sums - counts M) / mean count`` with M the mean map; the sums over the counts where those are equal.
        Units without a face are left out. NaN at a pixel that no face covers.

    Raises
    ------
    InputError
        If the numbers of blocks differ.

    Examples
    --------
    >>> unit_maps(np.array([[[2.0]], [[9.0]]]), np.array([1, 3])).ravel()
    array([2.375, 3.125], dtype=float32)
    """
    total, n = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    n = n[:, None, None] if n.ndim == 1 else n
    if len(n) != len(total) or (groups is not None and len(groups) != len(total)):
        raise InputError(f"sums, counts and groups must have one entry a block; got {len(total)} sums, {len(n)} counts")
    if groups is not None:
        member = np.unique(np.asarray(groups), return_inverse=True)[1]
        one_hot = (member == np.arange(member.max(initial=-1) + 1)[:, None]).astype(np.float64)
        total, n = np.tensordot(one_hot, total, 1), np.tensordot(one_hot, n, 1)
    filled = n.reshape(len(n), -1).any(axis=1)
    total, n = total[filled], n[filled]
    covered = n.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(covered > 0, total.sum(axis=0) / covered, np.nan)
        return np.asarray(mean + (total - n * mean) / (covered / len(total)), dtype=np.float32)


def bootstrap_weights(n: int, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights (draw, unit) with mean 1 a draw: n - 1 of n units drawn with replacement, scaled up by n / (n - 1).

    Drawing n - 1 makes the variance of a mean exactly unbiased (Rao and Wu 1988, doi:10.1080/01621459.1988.10478591);
    drawing n makes it too small by 1 / n.
    """
    times = rng.multinomial(n - 1, np.full(n, 1.0 / n), size=draws)
    return times.astype(np.float64) * (n / (n - 1))


def jackknife_weights(n: int) -> NDArray[np.float64]:
    """Weights (n, n) with mean 1 a row that leave one unit out."""
    return (1.0 - np.eye(n)) * (n / (n - 1))


def half_samples(
    n: int, repeats: int, rng: np.random.Generator, strata: Sequence[Any] | None = None
) -> NDArray[np.bool_]:
    """Random halves of n units; the complement of each is the other half.

    Parameters
    ----------
    n, repeats : int
    rng : Generator
    strata : sequence (n,), optional
        Units of a stratum (a fold) are halved among themselves, so that both halves hold as many of each to within one.

    Returns
    -------
    bool array (repeats, n)
        ``n // 2`` units in each half, up to one more or less a stratum where strata are odd.
    """
    label = np.zeros(n, dtype=int) if strata is None else np.unique(np.asarray(strata), return_inverse=True)[1]
    chosen = np.zeros((repeats, n), dtype=bool)
    for stratum in np.unique(label):
        members = np.flatnonzero(label == stratum)
        order = rng.random((repeats, len(members))).argsort(axis=1)
        odd = rng.integers(0, 2, size=repeats)[:, None] * (len(members) % 2) if strata is not None else 0
        chosen[:, members] = order < len(members) // 2 + odd
    return chosen


def expanded_tail(level: float, df: float, widening: float = 1.0) -> float:
    """Quantile level of the lower end of an interval from n units, so that few of them do not make it too narrow.

    The normal tail beyond Student's t quantile times ``widening``: ``sqrt(n / (n - 1))`` for a bootstrap that draws n
    of n units, 1 for `bootstrap_weights`, whose draws have the full variance already.

    References
    ----------
    Hesterberg 2015, doi:10.1080/00031305.2015.1089789

    Examples
    --------
    >>> round(expanded_tail(0.95, 9), 4)
    0.0118
    """
    return float(stats.norm.cdf(-widening * stats.t.ppf(0.5 + level / 2, df)))
