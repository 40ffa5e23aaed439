"""What other experts' masks score against a mask: the ceiling of FACS agreement."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from xfer.errors import InputError
from xfer.metrics import View, reason, view
from xfer.metrics.thresholds import rule
from xfer.nulls.rearranged import Question, questions
from xfer.scoring import metric_names

SAME = 0.99
"""Share of the pixels on which two masks must agree to count as one drawing."""

COLUMNS = (
    "mask", "expression", "metric", "threshold", "ceiling", "low", "high", "n", "sources", "left_out", "reason",
)  # fmt: skip


def ceiling(
    sources: Sequence[xr.DataArray],
    support: NDArray[np.bool_] | None = None,
    *,
    metrics: Sequence[str] | str = ("iou", "pearson", "energy_inside"),
    threshold: str | float | Sequence[str | float] = "area",
) -> pd.DataFrame:
    """How well the experts agree: the masks of all other sources scored as if they were heatmaps.

    Parameters
    ----------
    sources : sequence of DataArray (expression, y, x) in [0, 1]
        Two or more mask sources on one canvas.
    support : bool array (y, x), optional
    metrics, threshold
        As for `null_scores`.

    Returns
    -------
    DataFrame
        One row per source (``mask``, the one left out as the truth), expression, metric and threshold: ``ceiling``,
        the mean over the ``n`` other sources that have the expression (named in ``sources``), and its 95 % interval
        over them, ``low`` to ``high`` (NaN for fewer than three). Sources whose region agrees with the truth on
        99 % of the pixels are the same drawing and count for nothing; ``left_out`` names them. ``reason`` says why
        something is NaN.

    Raises
    ------
    InputError
        If there is one source, two share a name, or sizes differ.
    """
    names = [str(source.name) for source in sources]
    if len(names) < 2:
        raise InputError("a ceiling compares mask sources; give two or more, as in --masks ekman,emfacs,belharbi2024")
    if len(set(names)) < len(names):
        raise InputError(f"mask sources need names of their own; got {', '.join(names)}")
    if len({source.shape[1:] for source in sources}) > 1:
        raise InputError("mask sources must share one canvas")
    cuts = [rule(t) for t in ([threshold] if isinstance(threshold, str | float) else threshold)]
    asked = questions(metric_names(metrics), cuts)
    rows = [
        row
        for source in sources
        for expression in map(str, source.coords["expression"].values)
        for row in _one_truth(source, expression, sources, support, asked)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _one_truth(
    truth: xr.DataArray,
    expression: str,
    sources: Sequence[xr.DataArray],
    support: NDArray[np.bool_] | None,
    asked: Sequence[Question],
) -> list[dict[str, Any]]:
    mask = view(truth.sel(expression=expression).values, support)
    views: dict[str, View] = {}
    left_out = []
    for source in sources:
        if source is truth or expression not in source.coords["expression"].values:
            continue
        other = view(source.sel(expression=expression).values, support)
        if np.mean(np.asarray(other.region) == np.asarray(mask.region)) >= SAME:
            left_out.append(str(source.name))
        else:
            views[str(source.name)] = other
    return [_agreement(question, truth, expression, mask, views, left_out, support) for question in asked]


def _agreement(
    question: Question,
    truth: xr.DataArray,
    expression: str,
    mask: View,
    others: dict[str, View],
    left_out: Sequence[str],
    support: NDArray[np.bool_] | None,
) -> dict[str, Any]:
    contrast: dict[str, Any] = {}
    if question.metric.contrast:
        contrast["others"] = view(truth.drop_sel(expression=expression).values, support)
    scores = {name: float(question.metric(o, mask, **contrast, **question.options)) for name, o in others.items()}
    known = {name: score for name, score in scores.items() if np.isfinite(score)}
    mean, low, high = _mean_interval(list(known.values()))
    why = ""
    if not known:
        why = next((str(reason(question.metric, o, mask, **contrast)) for o in others.values()), "no other source")
    elif len(known) < 3:
        why = f"no interval from {len(known)} other source{'s' * (len(known) > 1)}"
    row = (str(truth.name), expression, question.metric.name, question.cut, mean, low, high, len(known))
    return dict(zip(COLUMNS, (*row, ", ".join(known), ", ".join(left_out), why), strict=True))


def _mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and Student's 95 % interval; the interval is NaN for fewer than three values, the mean for none."""
    mean = float(np.mean(values)) if values else float("nan")
    if len(values) < 3:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return mean, mean - half, mean + half
