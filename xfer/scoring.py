"""Labelled heatmaps x masks -> tidy scores: the own mask, the other expressions' masks, and specificity."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xfer.errors import InputError
from xfer.labels import KEY
from xfer.metrics import METRICS, Metric, View, reason, view
from xfer.metrics.thresholds import rule

COLUMNS = (*KEY, "mask", "mask_expression", "metric", "threshold", "value", "n", "reason")

Cell = tuple[Mapping[str, str], np.ndarray]


def cells(heatmaps: xr.DataArray) -> Iterator[Cell]:
    """The heatmaps (cell, y, x) one by one, each with its key."""
    keys = {name: heatmaps.coords[name].values for name in KEY}
    for i in range(heatmaps.sizes["cell"]):
        yield {name: str(values[i]) for name, values in keys.items()}, heatmaps.values[i]


def score(
    heatmaps: xr.DataArray | Iterable[Cell],
    masks: xr.DataArray | Sequence[xr.DataArray],
    *,
    metrics: Sequence[str] | str = "all",
    threshold: str | float = "otsu",
    support: np.ndarray | None = None,
    inter_ocular: float | None = None,
    progress: Callable[[], None] | None = None,
) -> pd.DataFrame:
    """Score every heatmap against every mask of one or several sources.

    Parameters
    ----------
    heatmaps : DataArray (cell, y, x) or iterable of (key, array (y, x))
        One map per cell; an iterable is read map by map, so memory does not grow with their number.
    masks : DataArray (expression, y, x) in [0, 1], or several, one per source
    metrics : "all" or names of `METRICS`
    threshold : {"otsu", "area", "upper_bound"} or float in (0, 1)
        How thresholded metrics turn a map into pixels.
    support : bool array (y, x), optional
        Pixels that count; the whole canvas by default.
    inter_ocular : float, optional
        Distance of the outer eye corners on this canvas in px, the unit of `emd`.
    progress : callable, optional
        Called once after every map.

    Returns
    -------
    DataFrame
        One row per cell, mask source, mask expression and metric. Rows whose ``mask_expression`` is the cell's
        ``expression`` are the score; the others are its controls. ``NAME_specificity`` is the own score minus the
        mean of the others. An undefined score is NaN and says why in ``reason``. ``n`` is the number of maps behind
        the value.

    Raises
    ------
    InputError
        If a metric is unknown, sizes differ, or a map's expression has no mask.
    """
    sources = [masks] if isinstance(masks, xr.DataArray) else list(masks)
    chosen = [METRICS[name] for name in metric_names(metrics)]
    cut = rule(threshold)
    stream = cells(heatmaps) if isinstance(heatmaps, xr.DataArray) else heatmaps
    truths = [(source, view(source.values, _fitting(support, source))) for source in sources]
    rows: list[tuple[Any, ...]] = []
    for key, heatmap in stream:
        for source, truth in truths:
            _check_fit(key, heatmap, source)
            seen = view(np.asarray(heatmap), support)
            for metric in chosen:
                own = {"inter_ocular": inter_ocular} if metric.name == "emd" else {}
                options = {"threshold": cut} if metric.thresholded else own
                rows += _rows(key, source, metric, seen, truth, options)
        if progress:
            progress()
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": float, "n": "int64"})


def _fitting(support: np.ndarray | None, masks: xr.DataArray) -> np.ndarray | None:
    if support is not None and support.shape != masks.shape[1:]:
        raise InputError(f"'support' has the shape {support.shape}, the masks of {masks.name!r} {masks.shape[1:]}")
    return support


def check(heatmaps: xr.DataArray, masks: Sequence[xr.DataArray], threshold: str | float = "otsu") -> None:
    """Raise what `score` would raise, before any work.

    Raises
    ------
    InputError
        If the threshold is not one, sizes differ, or a map's expression has no mask.
    """
    rule(threshold)
    for key, heatmap in cells(heatmaps):
        for source in masks:
            _check_fit(key, heatmap, source)


def _check_fit(key: Mapping[str, str], heatmap: np.ndarray, masks: xr.DataArray) -> None:
    cell = f"the {key['expression']} map of {key['model']!r}"
    size = masks.shape[1:]
    if heatmap.shape != size:
        raise InputError(
            f"{cell} has {heatmap.shape[0]} rows x {heatmap.shape[1]} columns, the masks of {masks.name!r} have "
            f"{size[0]} x {size[1]}; give maps and masks on one canvas"
        )
    if key["expression"] not in masks.coords["expression"].values:
        have = ", ".join(map(str, masks.coords["expression"].values))
        raise InputError(f"{cell} has no mask in {masks.name!r}, which has {have}")


def _rows(
    key: Mapping[str, str], masks: xr.DataArray, metric: Metric, heatmap: View, truth: View, options: dict[str, Any]
) -> list[tuple[Any, ...]]:
    """One heatmap, one metric, every mask of a source; then the specificity."""
    expressions = [str(e) for e in masks.coords["expression"].values]
    contrast = {"others": truth} if metric.contrast else {}
    values = np.asarray(metric(heatmap, truth, **contrast, **options), dtype=float)
    why = np.full(len(values), "", dtype=object)
    if not np.isfinite(values).all():
        why = reason(metric, heatmap, truth, **contrast)
    head = (*(key[name] for name in KEY), masks.name)
    cut = str(options.get("threshold", ""))
    rows = [
        (*head, expression, metric.name, cut, value, 1, text)
        for expression, value, text in zip(expressions, values, why, strict=True)
    ]
    if metric.specificity and len(expressions) > 1:
        own = expressions.index(key["expression"])
        value = values[own] - np.mean(np.delete(values, own))
        text = "" if np.isfinite(value) else next((t for t in why if t), "not finite")
        rows.append((*head, key["expression"], f"{metric.name}_specificity", cut, value, 1, text))
    return rows


def own(scores: pd.DataFrame, metric: str = "iou") -> pd.DataFrame:
    """The rows of one metric in which each map meets its own expression's mask."""
    return scores[(scores["metric"] == metric) & (scores["mask_expression"] == scores["expression"])]


def table(scores: pd.DataFrame, metric: str = "iou") -> pd.DataFrame:
    """Models x expressions: the own-mask score, mean over everything else (folds, seeds, ...).

    A cell with an undefined score among its folds is undefined.
    """
    rows = own(scores, metric)
    return rows.pivot_table("value", "model", "expression", aggfunc=lambda v: v.mean(skipna=False), dropna=False)


def network_means(table: pd.DataFrame) -> pd.Series:
    """Every model's mean over expressions; NaN where one of them is undefined, unless it is so for all models.

    Means over different expressions are no ranking.

    >>> network_means(pd.DataFrame({"anger": [0.2, 0.4], "fear": [0.4, None], "awed": [None, None]})).tolist()
    [0.30000000000000004, nan]
    """
    return table.dropna(axis=1, how="all").mean(axis=1, skipna=False)


def swap(scores: pd.DataFrame, metric: str = "iou") -> pd.DataFrame:
    """Expressions (rows) x expressions whose mask was used (columns), mean over models: the swap control.

    Undefined scores are left out: a constant map is undefined against every mask, so a row stays comparable.
    """
    rows = scores[scores["metric"] == metric]
    return rows.pivot_table("value", "expression", "mask_expression", aggfunc="mean", dropna=False)


def metric_names(metrics: Sequence[str] | str) -> list[str]:
    """The metrics asked for, checked against the registry; "all" is every registered one."""
    asked = [m.strip() for m in metrics.split(",")] if isinstance(metrics, str) else list(metrics)
    return list(METRICS) if asked == ["all"] else [METRICS[name].name for name in dict.fromkeys(asked)]


def read_threshold(text: str | float) -> str | float:
    """A threshold from text: a rule's name, or a number.

    >>> read_threshold("otsu"), read_threshold("0.5")
    ('otsu', 0.5)
    """
    try:
        return float(text)
    except ValueError:
        return text


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """A csv whose text cells cannot act as formulas: those that start with ``= + - @`` get a leading apostrophe."""
    text = frame.select_dtypes(include=["object", "string", "category"]).columns
    safe = frame.assign(**{c: frame[c].astype(str).str.replace(r"^([=+\-@\t\r])", r"'\1", regex=True) for c in text})
    safe.to_csv(path, index=False, lineterminator="\n")


def read_csv(path: Path) -> pd.DataFrame:
    """What `write_csv` wrote, with its text as it was."""
    frame = pd.read_csv(path, keep_default_na=False)
    text = frame.select_dtypes(include=["object", "string"]).columns
    return frame.assign(**{c: frame[c].str.replace(r"^'([=+\-@\t\r])", r"\1", regex=True) for c in text})


def write_parquet(scores: pd.DataFrame, path: Path) -> None:
    """The table as it is, with ``format = 1`` in its attributes."""
    marked = scores.copy()
    marked.attrs["format"] = 1
    marked.to_parquet(path, index=False)
