"""Where the variance of a table of scores is, and whether the winner depends on a choice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from xfer.errors import InputError

REST = "interactions and rest"


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of variance.

    Attributes
    ----------
    table : DataFrame
        One row a factor, a pair of factors ("network x fold") and the rest: factor, levels, df, eta (share of the sum
        of squares), omega (the same without what chance adds; may be below 0), ci_low, ci_high (of omega).
    unit : str
        The factor whose levels are resampled for the interval.
    n : int
        Cells of the balanced table.
    dropped : tuple of str
        Levels left out to make the table balanced.
    reason : str
    """

    table: pd.DataFrame = field(repr=False)
    unit: str
    n: int
    dropped: tuple[str, ...]
    reason: str = ""


def shares(
    scores: pd.DataFrame,
    factors: Sequence[str],
    *,
    unit: str,
    value: str = "value",
    pairs: bool = False,
    level: float = 0.95,
) -> Shares:
    """Split the variance of scores over factors: balanced analysis of variance.

    Parameters
    ----------
    scores : DataFrame
        Tidy. Several rows of one cell are averaged; levels with missing cells are dropped, those with most first.
    factors : sequence of str
        Columns (network, explainer, layer, mask, threshold, fold, expression, ...); those with one level add nothing.
    unit : str
        The factor whose levels were sampled (fold, expression): intervals are a delete-one-level jackknife over it with
        Student's t. Drawing levels with replacement would put copies of a level beside it, which are not new levels.
    value : str
    pairs : bool
        Whether two-way interactions have rows of their own or are part of the rest.
    level : float

    Returns
    -------
    Shares

    Raises
    ------
    InputError
        If a column is missing, or ``unit`` is none of the factors.

    References
    ----------
    Olejnik and Algina 2003, doi:10.1037/1082-989X.8.4.434 (omega squared)
    """
    for name in (*factors, value):
        if name not in scores.columns:
            raise InputError(f"the table of scores has no column {name!r}")
    if unit not in factors:
        raise InputError(f"'unit' must be one of the factors {', '.join(factors)}; got {unit!r}")
    grid, names, dropped = _balanced(scores, list(factors), value)
    terms: list[tuple[int, ...]] = [(i,) for i in range(len(names))]
    terms += combinations(range(len(names)), 2) if pairs else []
    reason = _unusable(grid, terms)
    if reason:
        return Shares(pd.DataFrame(columns=_COLUMNS), unit, int(grid.size), dropped, reason)
    table = pd.DataFrame(_decompose(grid, terms, names), columns=_COLUMNS[:5])
    low, high = _interval(grid, terms, names, unit, table["omega"].to_numpy(), level)
    return Shares(table.assign(ci_low=low, ci_high=high), unit, int(grid.size), dropped)


_COLUMNS = ["factor", "levels", "df", "eta", "omega", "ci_low", "ci_high"]


def _balanced(scores: pd.DataFrame, factors: list[str], value: str) -> tuple[NDArray[Any], list[str], tuple[str, ...]]:
    """Means as an array (level, ...) over the factors with more than one level."""
    table = scores.dropna(subset=[value])
    dropped: list[str] = []
    while True:
        names = [name for name in factors if len(table[name].unique()) > 1]
        if not names:
            return np.empty(0), names, tuple(dropped)
        means = table.groupby(names, observed=True, sort=True)[value].mean()
        levels = [means.index.get_level_values(i).unique().sort_values() for i in range(len(names))]
        full = pd.MultiIndex.from_product(levels, names=names) if len(names) > 1 else levels[0]
        grid = means.reindex(full).to_numpy().reshape([len(one) for one in levels])
        missing = np.isnan(grid)
        if not missing.any():
            return grid, names, tuple(dropped)
        axes = range(grid.ndim)
        gaps = [missing.mean(axis=tuple(other for other in axes if other != axis)) for axis in axes]
        axis = max(axes, key=lambda one: float(gaps[one].max()))
        worst = levels[axis][int(gaps[axis].argmax())]
        dropped.append(f"{names[axis]} {worst}")
        table = table[table[names[axis]] != worst]


def _unusable(grid: NDArray[Any], terms: list[tuple[int, ...]]) -> str:
    if not terms or grid.size < 3:
        return "no factor with two levels"
    if np.ptp(grid) == 0:
        return "constant scores"
    used = 1 + sum(int(np.prod([grid.shape[i] - 1 for i in term])) for term in terms)
    return "" if used < grid.size else "nothing left for the rest"


def _decompose(grid: NDArray[Any], terms: list[tuple[int, ...]], names: list[str]) -> list[tuple[Any, ...]]:
    centred = grid - grid.mean()
    total = float((centred**2).sum())
    squares, freedom = [], []
    effects: dict[tuple[int, ...], NDArray[Any]] = {}
    for term in terms:
        others = tuple(i for i in range(grid.ndim) if i not in term)
        effect = centred.mean(axis=others, keepdims=True)
        for inner in term if len(term) > 1 else ():
            effect = effect - effects[(inner,)]
        effects[term] = effect
        squares.append(float((effect**2).sum() * grid.size / effect.size))
        freedom.append(int(np.prod([grid.shape[i] - 1 for i in term])))
    rest, left = total - sum(squares), grid.size - 1 - sum(freedom)
    noise = max(rest, 0.0) / left
    rows = []
    for term, square, df in zip(terms, squares, freedom, strict=True):
        size = int(np.prod([grid.shape[i] for i in term]))
        rows.append(
            (" x ".join(names[i] for i in term), size, df, square / total, (square - df * noise) / (total + noise))
        )
    return [*rows, (REST, grid.size, left, rest / total, 1.0 - sum(row[4] for row in rows))]


def _interval(
    grid: NDArray[Any], terms: list[tuple[int, ...]], names: list[str], unit: str, own: NDArray[Any], level: float
) -> tuple[Any, Any]:
    n = grid.shape[names.index(unit)] if unit in names else 0
    if n < 3:
        return np.nan, np.nan
    axis = names.index(unit)
    left = np.array([[row[4] for row in _decompose(np.delete(grid, i, axis), terms, names)] for i in range(n)])
    half = stats.t.ppf(0.5 + level / 2, n - 1) * np.sqrt((n - 1) / n * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    return own - half, own + half


@dataclass(frozen=True, eq=False)
class Winners:
    """Who wins under every level of a choice.

    Attributes
    ----------
    table : DataFrame
        One row a level: level, winner, value, runner_up, margin, n (cells behind it), tau (Kendall's correlation of its
        ranking with that of all levels together).
    changes : bool
        Whether two levels have different winners.
    """

    table: pd.DataFrame = field(repr=False)
    changes: bool


def winner_changes(scores: pd.DataFrame, factor: str, *, of: str = "model", value: str = "value") -> Winners:
    """Does the winner change with a choice (threshold, mask source, explainer, pooling order)?

    Parameters
    ----------
    scores : DataFrame
        Tidy; for every level of the choice, scores are averaged over everything else. Competitors that miss a level are
        left out everywhere.
    factor : str
        Column of the choice.
    of : str
        Column of the competitors.
    value : str
        Column of the scores, higher is better.

    Raises
    ------
    InputError
        If a column is missing.
    """
    for name in (factor, of, value):
        if name not in scores.columns:
            raise InputError(f"the table of scores has no column {name!r}")
    means = scores.pivot_table(index=factor, columns=of, values=value, observed=True, dropna=False).dropna(axis=1)
    counts = scores.dropna(subset=[value]).groupby(factor, observed=True).size().to_dict()
    overall, rows = means.mean(axis=0), []
    for level, row in means.iterrows():
        ordered = row.sort_values(ascending=False, kind="stable")
        if ordered.empty:
            continue
        second, gap = (ordered.index[1], ordered.iloc[0] - ordered.iloc[1]) if len(ordered) > 1 else ("", np.nan)
        constant = len(row) < 2 or np.ptp(row) == 0 or np.ptp(overall) == 0
        tau = np.nan if constant else float(stats.kendalltau(row, overall).statistic)
        rows.append((level, ordered.index[0], ordered.iloc[0], second, gap, int(counts[level]), tau))
    table = pd.DataFrame(rows, columns=["level", "winner", "value", "runner_up", "margin", "n", "tau"])
    return Winners(table, len(set(table["winner"])) > 1)
