"""Which heatmaps resemble each other: 1 - Pearson distances, dendrograms with a settled order, cuts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from xfer.errors import InputError, unknown

METHODS = ("average", "complete", "single", "weighted")
"""Linkages that need no Euclidean distance."""

LIKENESSES = ("pearson", "spearman", "cosine")
"""How alike two maps are: correlation of values, of ranks, or the cosine without centring."""

_DECIMALS = 12


@dataclass(frozen=True, eq=False)
class Tree:
    """A dendrogram; the same whatever the order its input came in.

    Attributes
    ----------
    names : tuple of str
        Sorted.
    linkage : array (len(names) - 1, 4)
        In SciPy's form over `names`; the first of two children is drawn first.
    leaves : tuple of str
        The names in drawing order.
    cophenetic : float
        Correlation of the distances with the heights at which pairs join; NaN where either is constant.
    method : str
    """

    names: tuple[str, ...]
    linkage: NDArray[np.float64]
    leaves: tuple[str, ...]
    cophenetic: float
    method: str


def correlations(maps: NDArray[Any], support: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Pearson correlation of every pair of maps.

    Parameters
    ----------
    maps : array (n, y, x)
    support : bool array (y, x), optional
        Pixels that count; all of them by default.

    Returns
    -------
    float64 array (n, n)
        Exactly symmetric, ones on the diagonal; NaN for a map that is constant or not finite somewhere. A
        pair's value does not depend on where in `maps` the two stand.

    Raises
    ------
    InputError
        If there is no map or no pixel.
    """
    pixels = np.asarray(maps)[:, support] if support is not None else np.asarray(maps).reshape(len(maps), -1)
    rows = np.array(pixels, dtype=np.float64, order="C")
    if not rows.size:
        raise InputError(
            f"correlations need a map and a pixel that counts; got {len(rows)} maps, {rows.shape[1]} pixels"
        )
    undefined_rows = ~np.isfinite(rows).all(axis=1) | (rows == rows[:, :1]).all(axis=1)
    rows[undefined_rows] = np.nan
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.sqrt(np.vecdot(rows, rows))[:, None]
    result = np.empty((len(rows), len(rows)))
    for i, row in enumerate(rows):
        result[i, i:] = result[i:, i] = np.clip(np.vecdot(row, rows[i:]), -1.0, 1.0)
    np.fill_diagonal(result, np.where(undefined_rows, np.nan, 1.0))
    return result


def alike(
    maps: NDArray[Any], support: NDArray[np.bool_] | None = None, likeness: str = "pearson"
) -> NDArray[np.float64]:
    """How alike every two maps are, by one of `LIKENESSES`; otherwise as `correlations`.

    >>> bent = np.array([[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 40.0]]])
    >>> alike(bent, likeness="spearman")[0, 1].round(9).tolist(), alike(bent, likeness="cosine")[0, 1].round(3).item()
    (1.0, 0.791)
    """
    if likeness not in LIKENESSES:
        raise unknown("likeness", likeness, LIKENESSES)
    if likeness == "pearson":
        return correlations(maps, support)
    pixels = np.asarray(maps)[:, support] if support is not None else np.asarray(maps).reshape(len(maps), -1)
    rows = np.array(pixels, dtype=np.float64)
    if likeness == "cosine":
        # a map and its negative together have mean 0, and so their correlation is the cosine of the map alone
        return correlations(np.concatenate([rows, -rows], axis=1)[:, None])
    rows[~np.isfinite(rows).all(axis=1)] = np.nan
    return correlations(np.stack([_ranks(row) for row in rows])[:, None])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """SciPy's ``rankdata`` in half the time: what is sorted need not be stable where ties share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks


def distances(maps: NDArray[Any], support: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """1 - Pearson of every pair of maps (n, y, x): float64 (n, n) in [0, 2], exactly symmetric, zero diagonal.

    NaN, the diagonal included, for a map that is constant or NaN somewhere; `undefined` names those.

    >>> ramp = np.arange(4.0).reshape(2, 2)
    >>> distances(np.stack([ramp, 2 * ramp + 1, -ramp])).round(9).tolist()
    [[0.0, 0.0, 2.0], [0.0, 0.0, 2.0], [2.0, 2.0, 0.0]]
    """
    return 1.0 - correlations(maps, support)


def undefined(distances: NDArray[np.float64], names: Sequence[str]) -> tuple[str, ...]:
    """The names whose map correlates with nothing, not even with itself, because it is constant or has NaN."""
    return tuple(name for name, own in zip(names, np.diagonal(distances), strict=True) if np.isnan(own))


def tree(distances: NDArray[Any], names: Sequence[str], method: str = "average") -> Tree:
    """Hierarchical clustering with optimal leaf ordering.

    Names are sorted before anything is compared, and distances are rounded to 12 decimals, so ties fall the
    same way whatever the order of the input; the side that holds the alphabetically first name is drawn first.

    Parameters
    ----------
    distances : array (n, n)
        Symmetric, zero diagonal.
    names : sequence of str
        One a row, no two alike.
    method : str
        One of `METHODS`.

    Raises
    ------
    InputError
        If the method or the matrix is not one, a name occurs twice, or a distance is NaN.

    References
    ----------
    Bar-Joseph, Gifford and Jaakkola (2001), doi:10.1093/bioinformatics/17.suppl_1.S22 (the leaf
    order with the closest neighbours).

    Examples
    --------
    >>> tree(np.array([[0, 5, 1], [5, 0, 4], [1, 4, 0]]), ["c", "a", "b"]).leaves
    ('a', 'b', 'c')
    """
    if method not in METHODS:
        raise unknown("linkage", method, METHODS)
    matrix = np.asarray(distances, dtype=np.float64)
    _check_matrix(matrix, names)
    order = sorted(range(len(names)), key=lambda i: names[i])
    matrix = np.round(matrix[np.ix_(order, order)], _DECIMALS)
    linkage, leaves = np.empty((0, 4)), [0]
    if len(names) > 1:
        linkage = hierarchy.linkage(squareform(matrix), method)
        leaves = _leaf_order(linkage, matrix)
        linkage = _first_drawn_first(linkage, leaves)
    sorted_names = tuple(names[i] for i in order)
    heights = _cophenetic(linkage, squareform(matrix))
    return Tree(sorted_names, linkage, tuple(sorted_names[i] for i in leaves), heights, method)


def _check_matrix(matrix: NDArray[np.float64], names: Sequence[str]) -> None:
    if not names or matrix.shape != (len(names), len(names)):
        raise InputError(
            f"a tree needs a square matrix of distances and a name a row; got {matrix.shape}, {len(names)} names"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"a tree needs names that differ; {', '.join(twice)} occurs twice")
    blank = undefined(matrix, names)
    if blank:
        raise InputError(
            f"the maps of {', '.join(blank)} are constant or have NaN, so no distance is defined; leave them out"
        )
    if not np.isfinite(matrix).all() or (matrix < 0).any() or (matrix != matrix.T).any() or np.diagonal(matrix).any():
        raise InputError("distances are finite, not negative, symmetric, and zero on the diagonal")


def _leaf_order(linkage: NDArray[np.float64], matrix: NDArray[np.float64]) -> list[int]:
    """The order of the tree's leaves with the smallest sum of distances between neighbours.

    SciPy's ``optimal_ordering`` is not used: it often misses the optimum (scipy issue 11227).
    """
    n = len(matrix)
    members, best = _members(linkage, n), [np.zeros((1, 1))] * n
    for left, right in linkage[:, :2].astype(int):
        between = matrix[np.ix_(members[left], members[right])]
        ends = _min_plus(_min_plus(best[left], between), best[right])
        blank = [np.full((len(ends), len(ends)), np.inf), np.full((ends.shape[1], ends.shape[1]), np.inf)]
        best.append(np.block([[blank[0], ends], [ends.T, blank[1]]]))
    order = _trace(linkage, matrix, members, best)
    left, right = linkage[-1, :2].astype(int)
    first_side = set(members[left] if order[0] in members[left] else members[right])
    return order if 0 in first_side else order[::-1]


def _min_plus(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix product with min for sum and + for product."""
    return np.stack([(row[:, None] + b).min(axis=0) for row in a])


def _trace(
    linkage: NDArray[np.float64],
    matrix: NDArray[np.float64],
    members: list[tuple[int, ...]],
    best: list[NDArray[np.float64]],
) -> list[int]:
    """Walk down from the root's best pair of ends; ``best[node][u, w]`` is the length with the ends u and w."""
    order: list[int] = []
    u, w = divmod(int(best[-1].argmin()), len(best[-1]))
    stack = [(len(best) - 1, u, w)]
    while stack:
        node, u, w = stack.pop()
        if node < len(matrix):
            order.append(node)
            continue
        first, second = linkage[node - len(matrix), :2].astype(int)
        size = len(members[first])
        if u < size:
            w -= size
        else:
            first, second, u = second, first, u - size
        lengths = best[first][u, :, None] + matrix[np.ix_(members[first], members[second])] + best[second][None, :, w]
        end, start = divmod(int(lengths.argmin()), lengths.shape[1])
        stack += [(second, start, w), (first, u, end)]
    return order


def _first_drawn_first(linkage: NDArray[np.float64], order: list[int]) -> NDArray[np.float64]:
    """The linkage with the two children of every row in drawing order."""
    place = {leaf: i for i, leaf in enumerate(order)}
    starts = [min(place[leaf] for leaf in node) for node in _members(linkage, len(order))]
    ordered = linkage.copy()
    for row, (left, right) in zip(ordered, linkage[:, :2].astype(int), strict=True):
        if starts[right] < starts[left]:
            row[:2] = right, left
    return ordered


def _members(linkage: NDArray[np.float64], n: int) -> list[tuple[int, ...]]:
    """The leaves under every node, the first child's first: n leaves, then one node a row."""
    nodes: list[tuple[int, ...]] = [(i,) for i in range(n)]
    for left, right in linkage[:, :2].astype(int):
        nodes.append(nodes[left] + nodes[right])
    return nodes


def _cophenetic(linkage: NDArray[np.float64], condensed: NDArray[np.float64]) -> float:
    if len(linkage) < 2:
        return float("nan")
    heights = hierarchy.cophenet(linkage)
    if np.ptp(heights) == 0 or np.ptp(condensed) == 0:
        return float("nan")
    return float(np.corrcoef(heights, condensed)[0, 1])


def cut(tree: Tree, k: int = 2) -> dict[str, int]:
    """The cluster of every name when the last k - 1 joins are undone.

    Returns
    -------
    dict
        Names in drawing order; clusters count from 1 in that order.

    Raises
    ------
    InputError
        If there are not 1 to n clusters.
    """
    n = len(tree.names)
    if not 1 <= k <= n:
        raise InputError(f"a tree of {n} has 1 to {n} clusters; got {k}")
    nodes = _members(tree.linkage, n)
    roots = set(range(n))
    for row, (left, right) in enumerate(tree.linkage[: n - k, :2].astype(int)):
        roots = (roots - {left, right}) | {n + row}
    cluster_of = {tree.names[leaf]: root for root in roots for leaf in nodes[root]}
    numbers: dict[int, int] = {}
    return {name: numbers.setdefault(cluster_of[name], len(numbers) + 1) for name in tree.leaves}


def newick(tree: Tree) -> str:
    """The tree in Newick's notation; the path between two leaves is as long as the height at which they join.

    >>> newick(tree(np.array([[0.0, 0.5], [0.5, 0.0]]), ["it's", "vgg16"]))
    "('it''s':0.25,vgg16:0.25);"
    """
    texts = [_quoted(name) for name in tree.names]
    heights = [0.0] * len(texts)
    for left, right, height, _ in tree.linkage:
        sides = (f"{texts[int(side)]}:{(height - heights[int(side)]) / 2:.12g}" for side in (left, right))
        texts.append(f"({','.join(sides)})")
        heights.append(height)
    return f"{texts[-1]};"


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9.-]+", name) else "'" + name.replace("'", "''") + "'"
