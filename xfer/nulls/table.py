"""Labelled heatmaps x masks -> a tidy table of what every null model scores, with p- and q-values."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from xfer.errors import InputError
from xfer.labels import KEY
from xfer.metrics import View, view
from xfer.metrics.thresholds import rule
from xfer.nulls.cells import Cells, prepare
from xfer.nulls.comparisons import case, rows
from xfer.nulls.rearranged import questions
from xfer.nulls.spec import NULLS
from xfer.scoring import metric_names

COLUMNS = (
    *KEY, "mask", "metric", "threshold", "null", "value", "null_mean", "null_sd", "p", "n_draws", "detail", "reason",
    "q", "family", "m",
)  # fmt: skip

HEADLINE = ("iou", "pearson", "energy_inside")


@dataclass(frozen=True, eq=False)
class Drawn:
    """Null scores one by one.

    Attributes
    ----------
    table : DataFrame
        As `null_scores` returns it.
    draws : tuple of array (draw,)
        The null scores behind every row of the table.
    """

    table: pd.DataFrame
    draws: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, eq=False)
class Asked:
    """What null models are asked of heatmaps, one by one; names stand for metrics and nulls, so that it is picklable.

    Attributes
    ----------
    cells : Cells
    metrics : tuple of str
    cuts : tuple of threshold
    nulls : tuple of str
    draws, seed : int
    """

    cells: Cells
    metrics: tuple[str, ...]
    cuts: tuple[str | float, ...]
    nulls: tuple[str, ...]
    draws: int
    seed: int

    def __len__(self) -> int:
        return len(self.cells.keys)

    @cached_property
    def _truth(self) -> View:
        truth = view(self.cells.masks, self.cells.support)
        for name in ("indicator", "area", "centred", "norm", "constant"):
            getattr(truth, name)  # what threads would otherwise compute at the same time
        return truth

    def told(self) -> Iterator[bytes]:
        """All that the rows follow from."""
        for cells in filter(None, (self.cells, self.cells.randomised)):
            yield from (array.tobytes() for array in (cells.maps, cells.masks, cells.support))
            yield repr((cells.keys.to_numpy().tolist(), cells.expressions, cells.source)).encode()
        yield repr((self.metrics, self.cuts, self.nulls, self.draws, self.seed)).encode()

    def rows(self, index: int) -> list[dict[str, Any]]:
        """The rows of one heatmap, each with its null scores as ``draws``."""
        key = {**{name: str(self.cells.keys[name].iloc[index]) for name in KEY}, "mask": self.cells.source}
        scored = case(self.cells, index, self._truth, questions(self.metrics, self.cuts))
        chosen = (NULLS[name] for name in self.nulls)
        return [{**key, **row} for null in chosen for row in rows(scored, null, self.draws, self.seed)]


def null_scores(heatmaps: xr.DataArray, *given: Any, **options: Any) -> pd.DataFrame:
    """The table of `drawn_scores`, whose parameters it takes."""
    return drawn_scores(heatmaps, *given, **options).table


def drawn_scores(
    heatmaps: xr.DataArray,
    *given: Any,
    workers: int | None = None,
    progress: Callable[[], None] | None = None,
    **options: Any,
) -> Drawn:
    """What null models score in place of every heatmap, against its own expression's mask.

    Parameters
    ----------
    heatmaps, *given, **options
        As `ask` takes them.
    workers : int, optional
        Threads; one per core by default.
    progress : callable, optional
        Called once after every map.

    Returns
    -------
    Drawn
        See `joined`.

    Raises
    ------
    InputError
        As `ask`.
    """
    asked = ask(heatmaps, *given, **options)
    found: list[list[dict[str, Any]]] = []
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for rows_of_one in pool.map(asked.rows, range(len(asked))):
            found.append(rows_of_one)
            if progress:
                progress()
    return joined(found)


def ask(
    heatmaps: xr.DataArray,
    masks: xr.DataArray,
    support: NDArray[np.bool_] | None = None,
    *,
    metrics: Sequence[str] | str = HEADLINE,
    threshold: str | float | Sequence[str | float] = "area",
    nulls: Sequence[str] | str = "all",
    draws: int = 2000,
    seed: int = 0,
    resolution: float = 0.5,
    randomised: xr.DataArray | None = None,
) -> Asked:
    """What null models are asked of heatmaps.

    Parameters
    ----------
    heatmaps : DataArray (cell, y, x)
        With the parts of `labels.KEY` as coordinates of ``cell``.
    masks : DataArray (expression, y, x) in [0, 1]
    support : bool array (y, x), optional
        Pixels that count; the whole canvas by default.
    metrics : "all" or names of `METRICS`
    threshold : {"otsu", "area"} or float in (0, 1), or several
    nulls : "all" or names of `NULLS`
    draws : int
        Random maps per heatmap, for nulls of the kind ``draws``.
    seed : int
        With the key of a heatmap, but for its expression and target, and the name of the null it fixes the draws,
        whatever else is in the table; those of one network's expressions are in step.
    resolution : float
        1, 1/2, 1/3, ...: maps, masks and support are scored in blocks of that many pixels.
    randomised : DataArray (cell, y, x), optional
        Maps of networks with randomised weights, for `random_weights`.

    Raises
    ------
    InputError
        If a name is unknown, sizes differ, a map has no mask, or there are no draws.
    """
    if draws < 1:
        raise InputError(f"'draws' must be at least 1; got {draws}")
    chosen = tuple(null_names(nulls))
    cuts = tuple(rule(t) for t in ([threshold] if isinstance(threshold, str | float) else threshold))
    names = tuple(metric_names(metrics))
    return Asked(prepare(heatmaps, masks, support, resolution, randomised), names, cuts, chosen, draws, seed)


def joined(found: Iterable[list[dict[str, Any]]]) -> Drawn:
    """The rows of all heatmaps, in their order.

    Returns
    -------
    Drawn
        Its table has one row per cell, metric, threshold and null. ``value`` is the map's score at this resolution,
        ``null_mean`` and ``null_sd`` (NaN for fewer than two values) describe ``n_draws`` null scores. ``p`` is
        one-sided, (1 + null scores at least as good) / (1 + n_draws), and NaN with fewer than 19 null scores. ``q`` is
        p adjusted after Benjamini and Hochberg over ``family``, the ``m`` p-values of one null, metric, threshold and
        mask source. ``reason`` says why ``p`` is NaN. ``NAME_specificity`` rows (nulls of the kind ``draws``) score the
        own mask minus the mean of the others.

    References
    ----------
    Phipson & Smyth 2010, doi:10.2202/1544-6115.1585; Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x
    """
    table = [row for rows_of_one in found for row in rows_of_one]
    whole = adjust(pd.DataFrame(table, columns=list(COLUMNS)))
    return Drawn(whole, tuple(row["draws"] for row in table))


def null_names(nulls: Sequence[str] | str) -> list[str]:
    """The nulls asked for, checked against the registry; "all" is every registered one."""
    asked = [n.strip() for n in nulls.split(",")] if isinstance(nulls, str) else list(nulls)
    return list(NULLS) if asked == ["all"] else [NULLS[name].name for name in dict.fromkeys(asked)]


def adjust(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ``q``, ``family`` and ``m``: Benjamini-Hochberg over the p-values of each family.

    A family is one null, metric, threshold and mask source; p-values that are NaN do not count.
    """
    parts = ["null", "metric", "threshold", "mask"]
    table = table.astype({"value": float, "null_mean": float, "null_sd": float, "p": float, "n_draws": "int64"})
    q, m = np.full(len(table), np.nan), np.zeros(len(table), dtype=np.int64)
    for members in table.groupby(parts, sort=False).indices.values():
        p = table["p"].to_numpy()[members]
        known = members[np.isfinite(p)]
        m[members] = len(known)
        if len(known):
            q[known] = false_discovery_control(p[np.isfinite(p)])
    family = [" ".join(filter(None, names)) for names in table[parts].itertuples(index=False, name=None)]
    return table.assign(q=q, family=family, m=m)
