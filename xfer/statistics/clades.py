"""How much of a dendrogram is there: cophenetic fit, bootstrap support of clades, agreement of trees."""

from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from xfer.statistics.reliability import cross_products
from xfer.statistics.sampling import bootstrap_weights

Floats = NDArray[np.floating[Any]]

LINKAGES = ("average", "complete", "single")

_DECIMALS = 12


def cophenetic(distances: Floats, methods: Sequence[str] = LINKAGES) -> dict[str, float]:
    """Correlation of the distances with the heights at which pairs join, for several linkages.

    NaN where the distances are not finite, all equal, or of fewer than 3 items.

    References
    ----------
    Sokal and Rohlf 1962, doi:10.2307/1217208
    """
    if len(distances) < 3 or not np.isfinite(distances).all():
        return dict.fromkeys(methods, float("nan"))
    condensed = squareform(np.round(distances, _DECIMALS), checks=False)
    heights = {method: hierarchy.cophenet(hierarchy.linkage(condensed, method)) for method in methods}
    return {method: _correlation(condensed, found) for method, found in heights.items()}


def corrected_correlations(maps: Floats, *, draws: int = 0, seed: int = 0) -> NDArray[np.float64]:
    """Pearson correlations of networks' population mean maps, from the same units of faces.

    Products of different units stand in for those of mean maps, so noise neither lowers them nor, where networks saw
    the same faces, raises them.

    Parameters
    ----------
    maps : array (network, unit, pixel)
    draws : int
        0: the estimate (network, network); else as many bootstrap draws of it (draw, network, network).
    seed : int

    Returns
    -------
    float64 array, clipped to [-1, 1]; NaN in the rows of networks whose map is noise
    """
    values = np.asarray(maps, dtype=np.float64)
    values = values - values.mean(axis=2, keepdims=True)
    k, n, _ = values.shape
    weights = bootstrap_weights(n, draws, np.random.default_rng(seed)) if draws else np.ones((1, n))
    products = np.empty((len(weights), k, k))
    for i in range(k):
        for j in range(i, k):
            products[:, i, j] = products[:, j, i] = cross_products(values[i] @ values[j].T, weights)
    own = np.sqrt(np.where(products > 0, products, np.nan)[:, range(k), range(k)])
    found = np.clip(products / own[:, :, None] / own[:, None, :], -1.0, 1.0)
    found[:, range(k), range(k)] = np.where(np.isfinite(own), 1.0, np.nan)
    return found if draws else found[0]


def clades(linkage: Floats) -> list[frozenset[int]]:
    """The items under every join of a linkage in SciPy's form, row by row.

    >>> clades(np.array([[0, 1, 0.1, 2], [2, 3, 0.4, 3]]))
    [frozenset({0, 1}), frozenset({0, 1, 2})]
    """
    n = len(linkage) + 1
    nodes = [frozenset([i]) for i in range(n)]
    for left, right in np.asarray(linkage)[:, :2].astype(int):
        nodes.append(nodes[left] | nodes[right])
    return nodes[n:]


def support(linkage: Floats, draws: Floats, method: str = "average") -> NDArray[np.float64]:
    """Bootstrap support of every clade of a tree: the share of draws whose tree has the same clade.

    Parameters
    ----------
    linkage : array (n - 1, 4)
    draws : array (draw, n, n)
        Distances in the order of the tree's items; a draw with NaN supports nothing.
    method : str
        SciPy's linkage.

    Returns
    -------
    array (n - 1,)
        In the linkage's order; the last, which holds everything, is 1 where a draw is finite.

    References
    ----------
    Felsenstein 1985, doi:10.1111/j.1558-5646.1985.tb00420.x
    """
    own = clades(linkage)
    counts = np.zeros(len(own))
    for matrix in draws:
        if np.isfinite(matrix).all():
            condensed = squareform(np.round(matrix, _DECIMALS), checks=False)
            there = set(clades(hierarchy.linkage(condensed, method)))
            counts += [clade in there for clade in own]
    return counts / len(draws) if len(draws) else np.full(len(own), np.nan)


def bakers_gamma(first: Floats, second: Floats) -> float:
    """Agreement of two trees over the same items: rank correlation of the joins at which pairs of items meet.

    Parameters
    ----------
    first, second : array (n - 1, 4)
        Linkages over the same items in the same order.

    Returns
    -------
    float
        Spearman's correlation, as in R's dendextend; NaN with fewer than 3 items or where one tree joins all at once.

    References
    ----------
    Baker 1974, doi:10.1080/01621459.1974.10482971
    """
    stages = [hierarchy.cophenet(_by_rank(linkage)) for linkage in (first, second)]
    if len(stages[0]) < 3 or any(np.ptp(stage) == 0 for stage in stages):
        return float("nan")
    return float(stats.spearmanr(*stages).statistic)


def adjusted_rand(first: Sequence[Any], second: Sequence[Any]) -> float:
    """Agreement of two clusterings of the same items: 1 the same, 0 chance; NaN with fewer than 2 items.

    References
    ----------
    Hubert and Arabie 1985, doi:10.1007/BF01908075

    Examples
    --------
    >>> adjusted_rand([1, 1, 2, 2], ["b", "b", "a", "a"])
    1.0
    """
    table = stats.contingency.crosstab(list(first), list(second)).count
    pairs = comb(len(first), 2)
    if not pairs:
        return float("nan")
    both = sum(comb(int(cell), 2) for cell in table.ravel())
    rows, columns = (sum(comb(int(total), 2) for total in table.sum(axis=axis)) for axis in (0, 1))
    expected, largest = rows * columns / pairs, (rows + columns) / 2
    return 1.0 if largest == expected else float((both - expected) / (largest - expected))


def _by_rank(linkage: Floats) -> Floats:
    """The linkage with the rank of every height for the height."""
    ranked = np.array(linkage, dtype=np.float64)
    ranked[:, 2] = stats.rankdata(np.round(ranked[:, 2], _DECIMALS), method="dense")
    return ranked


def _correlation(x: Floats, y: Floats) -> float:
    return float("nan") if np.ptp(x) == 0 or np.ptp(y) == 0 else float(np.corrcoef(x, y)[0, 1])
