"""Many networks over several blocks (expressions, folds): Friedman's test, pairs that differ, critical difference."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from xfer.errors import unknown

POST_HOC = ("nemenyi", "wilcoxon_holm")
FEW_BLOCKS = 10


@dataclass(frozen=True, eq=False)
class Ranking:
    """Average ranks of networks, and how sure they are.

    Attributes
    ----------
    average : Series
        Average rank of every network, 1 = best, best first.
    statistic, p : float
        Of Friedman's test; NaN with a ``reason``.
    critical_difference : float
        Nemenyi's: average ranks this far apart differ at ``alpha``.
    pairs : DataFrame
        p-value of every pair, adjusted for all of them.
    blocks : int
        Blocks without a missing score; the others are left out.
    post_hoc : str
    warning : str
        Where power is tiny; "" elsewhere.
    reason : str
        Why the tests are NaN; "" where they are not.
    """

    average: pd.Series = field(repr=False)
    statistic: float
    p: float
    critical_difference: float
    pairs: pd.DataFrame = field(repr=False)
    blocks: int
    post_hoc: str
    warning: str
    reason: str = ""


def ranking(scores: pd.DataFrame, *, post_hoc: str = "nemenyi", alpha: float = 0.05, folds: bool = False) -> Ranking:
    """Rank networks within every block and test whether they differ.

    Parameters
    ----------
    scores : DataFrame (block x network)
        Higher is better.
    post_hoc : {"nemenyi", "wilcoxon_holm"}
    alpha : float
    folds : bool
        Whether blocks are folds of one cross-validation: their training data overlap, which the warning then says.

    References
    ----------
    Demsar 2006 (jmlr.org/papers/v7/demsar06a.html); Benavoli, Corani and Mangili 2016
    (jmlr.org/papers/v17/benavoli16a.html) on why Wilcoxon-Holm does not depend on the other networks.

    Raises
    ------
    InputError
        If the post hoc test is none.
    """
    if post_hoc not in POST_HOC:
        raise unknown("post_hoc", post_hoc, POST_HOC)
    complete = scores.dropna(axis=0)
    n, k = complete.shape
    average = complete.rank(axis=1, ascending=False).mean().sort_values(kind="stable")
    empty = pd.DataFrame(np.nan, index=average.index, columns=average.index)
    reason = "fewer than 3 networks" if k < 3 else "fewer than 2 complete blocks" if n < 2 else ""
    if not reason and (complete.to_numpy() == complete.to_numpy()[:, :1]).all():
        reason = "all networks score the same"
    if reason:
        return Ranking(average, np.nan, np.nan, np.nan, empty, n, post_hoc, "", reason)
    statistic, p = stats.friedmanchisquare(*complete.to_numpy().T)
    pairs = _pairs(complete, post_hoc).loc[average.index, average.index]
    difference = critical_difference(k, n, alpha)
    return Ranking(average, float(statistic), float(p), difference, pairs, n, post_hoc, _warning(n, k, post_hoc, folds))


def critical_difference(networks: int, blocks: int, alpha: float = 0.05) -> float:
    """How far apart average ranks must lie to differ by Nemenyi's test.

    >>> round(critical_difference(5, 30), 3)
    1.114
    """
    range_ = stats.studentized_range.ppf(1 - alpha, networks, np.inf)
    return float(range_ / np.sqrt(2) * np.sqrt(networks * (networks + 1) / (6 * blocks)))


def cliques(average: pd.Series, critical_difference: float) -> list[tuple[str, ...]]:
    """The bars of a critical-difference diagram: runs of networks, best first, that do not differ.

    >>> cliques(pd.Series({"a": 1.0, "b": 1.5, "c": 3.0}), 1.6)
    [('a', 'b'), ('b', 'c')]
    """
    ordered = average.sort_values(kind="stable")
    names, values = [str(name) for name in ordered.index], ordered.to_numpy()
    runs = [(i, int(np.searchsorted(values, values[i] + critical_difference, side="right"))) for i in range(len(names))]
    longest = [run for i, run in enumerate(runs) if run[1] - run[0] > 1 and (i == 0 or runs[i - 1][1] < run[1])]
    return [tuple(names[start:stop]) for start, stop in longest]


def _pairs(complete: pd.DataFrame, post_hoc: str) -> pd.DataFrame:
    import scikit_posthocs

    if post_hoc == "nemenyi":
        found = scikit_posthocs.posthoc_nemenyi_friedman(complete.to_numpy())
    else:
        long = complete.melt(var_name="network", value_name="score")
        order = list(complete.columns)
        found = scikit_posthocs.posthoc_wilcoxon(
            long, val_col="score", group_col="network", p_adjust="holm", zero_method="zsplit"
        ).loc[order, order]
    return pd.DataFrame(found.to_numpy(), index=complete.columns, columns=complete.columns)


def _warning(n: int, k: int, post_hoc: str, folds: bool) -> str:
    said = []
    if n < FEW_BLOCKS:
        said.append(f"{n} blocks: only large differences can be found")
    smallest = 2.0 ** (1 - n) * k * (k - 1) / 2
    if post_hoc == "wilcoxon_holm" and smallest > 0.05:
        said.append(f"the smallest adjusted p of Wilcoxon's test is {min(smallest, 1.0):.2g}")
    if folds:
        said.append("folds share training data, so p is too small")
    return "; ".join(said)
