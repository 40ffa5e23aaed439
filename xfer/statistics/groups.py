"""Do networks with a tag (pretrained, small, ...) resemble each other more? PERMANOVA and Mantel on distances."""

from collections.abc import Sequence
from itertools import combinations
from itertools import permutations as orderings
from math import comb, factorial, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer.statistics.permutation import Test, p_value

Floats = NDArray[np.floating[Any]]

_EXACT = 20_000


def permanova(distances: Floats, tags: Sequence[Any], *, permutations: int = 9999, seed: int = 0) -> Test:
    """Permutational analysis of variance: is the share of squared distance between groups more than chance?

    Parameters
    ----------
    distances : array (n, n)
        Symmetric, zero diagonal.
    tags : sequence (n,)
        The group of each.
    permutations : int
        Random relabellings; all of them, where two groups have at most 20,000.
    seed : int

    Returns
    -------
    Test
        ``statistic`` is the pseudo-F, ``effect`` R squared. Groups that differ in spread alone can be significant too.

    References
    ----------
    Anderson 2001, doi:10.1111/j.1442-9993.2001.01070.pp.x
    """
    member, reason = _groups(distances, tags)
    n, k = len(member), int(member.max(initial=-1)) + 1
    if reason or n == k:
        return Test(np.nan, np.nan, np.nan, 0, False, np.nan, n, reason or "every group has one member")
    squared = np.asarray(distances, dtype=np.float64) ** 2
    total = squared.sum() / (2 * n)
    if total == 0:
        return Test(np.nan, np.nan, np.nan, 0, False, np.nan, n, "all distances are 0")
    labels, exact = _relabellings(member, permutations, seed)
    within, own = _within(squared, labels), float(_within(squared, member[None])[0])
    with np.errstate(divide="ignore"):
        ratio = float(np.divide((total - own) / (k - 1), own / (n - k)))
    p = p_value(-own, -within, exact=exact)
    return Test(ratio, p, 1 - own / total, len(within), exact, _smallest(member, len(within), exact), n)


def mantel(distances: Floats, others: Floats | Sequence[Any], *, permutations: int = 9999, seed: int = 0) -> Test:
    """Mantel's test: do two matrices of distances of the same items correlate?

    Parameters
    ----------
    distances : array (n, n)
    others : array (n, n) or sequence (n,)
        Other distances, or tags: then the distance is 0 within a group and 1 between groups.
    permutations : int
        Relabellings; all n! (or all distinct ones of two groups) where there are at most 20,000.
    seed : int

    Returns
    -------
    Test
        ``statistic`` and ``effect`` are Pearson's r over the pairs; one-sided: large r.

    References
    ----------
    Mantel 1967, jstor:2028370
    """
    given = np.asarray(others)
    tags = given if given.ndim == 1 else np.arange(len(given))
    member, reason = _groups(distances, tags)
    n = len(member)
    model = np.asarray(member[:, None] != member, dtype=float) if given.ndim == 1 else np.asarray(given, dtype=float)
    upper = np.triu_indices(n, 1)
    if not reason and (model.shape != np.shape(distances) or not np.isfinite(model).all()):
        reason = "the matrices do not match"
    if not reason and (np.ptp(model[upper]) == 0 or np.ptp(np.asarray(distances)[upper]) == 0):
        reason = "constant distances"
    if reason:
        return Test(np.nan, np.nan, np.nan, 0, False, np.nan, n, reason)
    x = np.zeros_like(model)
    x[upper] = _standard(np.asarray(distances, dtype=np.float64)[upper])
    y = np.zeros_like(model)
    y[upper] = _standard(model[upper])
    own = float((x * y).sum())
    if given.ndim == 2:
        orders, exact = _orders(n, permutations, seed)
        symmetric = y + y.T
        null = np.array([(x * symmetric[np.ix_(order, order)]).sum() for order in orders])
    else:
        labels, exact = _relabellings(member, permutations, seed)
        same = _pairs_within(x + x.T, labels).sum(axis=1)
        null = -same / np.linalg.norm(model[upper] - model[upper].mean())
    smallest = _smallest(member, len(null), exact) if given.ndim == 1 else 1 / (len(null) + (not exact))
    return Test(own, p_value(own, null, exact=exact), own, len(null), exact, smallest, n)


def distinct(tags: Sequence[Any] | NDArray[Any]) -> int:
    """How many different ways there are to deal the tags out.

    >>> distinct(["pretrained"] * 8 + ["not"] * 4)
    495
    """
    sizes = np.unique(np.asarray(tags), return_counts=True)[1]
    return factorial(len(tags)) // prod(factorial(int(size)) for size in sizes)


def _groups(distances: Floats, tags: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[np.int64], str]:
    member = np.unique(np.asarray(tags), return_inverse=True)[1]
    if np.shape(distances) != (len(member), len(member)):
        return member, "one tag a row is needed"
    if len(member) < 4:
        return member, "fewer than 4 networks"
    if member.max() == 0:
        return member, "one group only"
    return member, "" if np.isfinite(distances).all() else "distances not finite"


def _within(squared: Floats, labels: NDArray[np.int64]) -> Floats:
    """Sum of squared distances to the groups' centres (relabelling,)."""
    sizes = np.stack([(labels == group).sum(axis=1) for group in range(labels.max() + 1)], axis=1)
    return (_pairs_within(squared, labels) / sizes).sum(axis=1)


def _pairs_within(matrix: Floats, labels: NDArray[np.int64]) -> Floats:
    """Sum of a symmetric matrix with zero diagonal over the pairs within every group (relabelling, group)."""
    groups = ((labels == group).astype(np.float64) for group in range(labels.max() + 1))
    return np.stack([np.vecdot(one @ matrix, one) / 2 for one in groups], axis=1)


def _relabellings(member: NDArray[np.int64], count: int, seed: int) -> tuple[NDArray[np.int64], bool]:
    """Labels (relabelling, n): all distinct ones of two groups, the given one among them, if few; else random ones."""
    n, ones = len(member), int(member.sum())
    if member.max() == 1 and comb(n, ones) <= _EXACT:
        labels = np.zeros((comb(n, ones), n), dtype=np.int64)
        for row, chosen in zip(labels, combinations(range(n), ones), strict=True):
            row[list(chosen)] = 1
        return labels, True
    return np.random.default_rng(seed).permuted(np.tile(member, (count, 1)), axis=1), False


def _orders(n: int, count: int, seed: int) -> tuple[NDArray[np.int64], bool]:
    if factorial(n) <= _EXACT:
        return np.array(list(orderings(range(n)))), True
    return np.random.default_rng(seed).permuted(np.tile(np.arange(n), (count, 1)), axis=1), False


def _smallest(member: NDArray[np.int64], count: int, exact: bool) -> float:
    """Relabellings that swap groups of one size have the same statistic."""
    sizes = np.bincount(member)
    same = prod(factorial(int(times)) for times in np.unique(sizes, return_counts=True)[1])
    return max(same / distinct(member), 0.0 if exact else 1 / (count + 1))


def _standard(values: NDArray[Any]) -> NDArray[Any]:
    centred = values - values.mean()
    return centred / np.linalg.norm(centred)
