"""How much of a mean map is signal: split-half reliability, and what noise took from a correlation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer.statistics.sampling import half_samples

Floats = NDArray[np.floating[Any]]


def gram(rows: Floats, *, centred: bool = True) -> NDArray[np.float64]:
    """Inner products (unit, unit) of maps (unit, pixel), each minus its own mean over the pixels if ``centred``."""
    values = np.asarray(rows, dtype=np.float64)
    values = values - values.mean(axis=1, keepdims=True) if centred else values
    return values @ values.T


def split_half(
    rows: Floats, *, repeats: int = 200, rng: np.random.Generator, strata: Sequence[Any] | None = None
) -> float:
    """Split-half reliability of the mean map: mean Pearson correlation of halves, stepped up by Spearman-Brown.

    Parameters
    ----------
    rows : array (unit, pixel)
        Maps whose mean is the mean map.
    repeats : int
        Random splits of the units.
    rng : Generator
    strata : sequence (unit,), optional
        Both halves hold as many units of each stratum.

    Returns
    -------
    float
        Squared correlation of the mean map with the population mean map, expected; NaN with fewer than 2 units or where
        a half is constant. Not clipped: below 0 where the halves disagree.

    References
    ----------
    Spearman 1910, doi:10.1111/j.2044-8295.1910.tb00206.x; Brown 1910, doi:10.1111/j.2044-8295.1910.tb00207.x
    """
    n = len(rows)
    if n < 2 or not np.isfinite(rows).all():
        return float("nan")
    first = half_samples(n, repeats, rng, strata).astype(np.float64)
    second = 1.0 - first
    first, second = (half / half.sum(axis=1, keepdims=True) for half in (first, second))
    products = gram(rows)
    norms = [np.vecdot(half @ products, half) for half in (first, second)]
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = float(np.mean(np.vecdot(first @ products, second) / np.sqrt(norms[0] * norms[1])))
    return spearman_brown(correlation)


def spearman_brown(correlation: float, factor: float = 2.0) -> float:
    """Reliability of a mean of ``factor`` times as many units.

    >>> spearman_brown(0.5)
    0.6666666666666666
    """
    return factor * correlation / (1.0 + (factor - 1.0) * correlation)


def cross_products(products: Floats, weights: Floats | None = None) -> Any:
    """Squared length of the population mean map: the mean inner product of *different* units, which no noise lifts.

    Parameters
    ----------
    products : array (unit, unit)
        See `gram`; any matrix of inner products of units with units.
    weights : array (draw, unit), optional
        One row a draw; a unit drawn twice is never paired with itself. All units once by default.

    Returns
    -------
    float or array (draw,)
        NaN for a draw of a single unit, which has no other to be paired with.
    """
    n = len(products)
    if weights is None:
        return float((products.sum() - np.trace(products)) / (n * (n - 1)))
    off = np.vecdot(weights @ products, weights) - weights**2 @ np.diagonal(products)
    pairs = weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)
    return np.divide(off, pairs, out=np.full(off.shape, np.nan), where=pairs > 1e-9 * weights.sum(axis=1) ** 2)


def reliability(rows: Floats) -> float:
    """Split-half reliability in the limit of all splits: signal over signal plus noise of the mean map, not clipped."""
    if len(rows) < 2 or not np.isfinite(rows).all():
        return float("nan")
    products = gram(rows)
    total = products.mean()
    return float(cross_products(products) / total) if total > 0 else float("nan")


def disattenuate(score: Any, reliability: Any) -> Any:
    """A noisy mean map's correlation or cosine with a mask, for the population mean map: score / root of reliability.

    For a cosine the reliability is that of the maps without their mean removed. NaN where the reliability is not
    positive; may exceed 1.

    References
    ----------
    Spearman 1904, doi:10.2307/1412159

    Examples
    --------
    >>> round(float(disattenuate(0.45, 0.81)), 6)
    0.5
    """
    positive = np.asarray(reliability, dtype=np.float64) > 0
    return np.where(positive, score / np.sqrt(np.where(positive, reliability, 1.0)), np.nan)[()]
