"""What the best informed map could score, and where a score stands between chance and that."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
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


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Mean and Student's interval of a few values.

    Returns
    -------
    mean, low, high : float
        The interval is NaN for fewer than three values, the mean for none.

    Examples
    --------
    >>> [round(v, 3) for v in mean_interval([0.4, 0.5, 0.6])]
    [0.5, 0.252, 0.748]
    """
    known = np.asarray(values, dtype=float)
    mean = float(known.mean()) if known.size else float("nan")
    if known.size < 3:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf((1 + level) / 2, known.size - 1) * known.std(ddof=1) / np.sqrt(known.size))
    return mean, mean - half, mean + half


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
    mean, low, high = mean_interval(list(known.values()))
    why = ""
    if not known:
        why = next((str(reason(question.metric, o, mask, **contrast)) for o in others.values()), "no other source")
    elif len(known) < 3:
        why = f"no interval from {len(known)} other source{'s' * (len(known) > 1)}"
    row = (str(truth.name), expression, question.metric.name, question.cut, mean, low, high, len(known))
    return dict(zip(COLUMNS, (*row, ", ".join(known), ", ".join(left_out), why), strict=True))


def anchored(
    score: ArrayLike, null_mean: ArrayLike, ceiling: ArrayLike, low: ArrayLike, high: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Where scores stand between chance (0) and the ceiling (1); never clipped.

    Parameters
    ----------
    score, null_mean, ceiling : array (...)
    low, high : array (...)
        Interval of ``ceiling - null_mean``.

    Returns
    -------
    values : float64 array (...)
        ``(score - null_mean) / (ceiling - null_mean)``; NaN where the interval is not above 0.
    reasons : array (...) of str
        "" where defined.

    Examples
    --------
    >>> values, reasons = anchored([0.35, 0.35], 0.25, [0.45, 0.26], [0.1, -0.1], [0.3, 0.12])
    >>> [round(float(v), 3) for v in values], reasons.tolist()
    ([0.5, nan], ['', 'the interval of ceiling - null, -0.100 to 0.120, contains 0'])
    """
    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (score, null_mean, ceiling, low, high)))
    reasons = np.array(
        [_anchor_reason(*(float(v) for v in one)) for one in zip(*(a.ravel() for a in arrays), strict=True)]
    )
    reasons = reasons.reshape(arrays[0].shape)
    good = reasons == ""
    value, null, top = (np.where(good, a, 0.0) for a in arrays[:3])
    return np.where(good, (value - null) / np.where(good, top - null, 1.0), np.nan), reasons


def _anchor_reason(score: float, null_mean: float, ceiling: float, low: float, high: float) -> str:
    for name, number in (("score", score), ("null mean", null_mean), ("ceiling", ceiling)):
        if not np.isfinite(number):
            return f"no {name}"
    if not (np.isfinite(low) and np.isfinite(high)):
        return "no interval of ceiling - null"
    if low <= 0 <= high:
        return f"the interval of ceiling - null, {low:.3f} to {high:.3f}, contains 0"
    return "" if low > 0 else f"the ceiling lies below the null: {low:.3f} to {high:.3f}"


def anchor(nulls: pd.DataFrame, ceilings: pd.DataFrame) -> pd.DataFrame:
    """The rows of a null with the ceiling of their mask, ``anchored`` and ``anchored_reason``.

    Parameters
    ----------
    nulls : DataFrame
        Rows of `null_scores`, of one null (the primary one).
    ceilings : DataFrame
        What `ceiling` returned, from masks on the same support.

    Returns
    -------
    DataFrame
        `nulls` with ``ceiling``, ``ceiling_low``, ``ceiling_high``, ``anchored`` and ``anchored_reason``. The interval
        of ceiling - null is the ceiling's moved by the null mean, widened by two standard errors of that mean.
    """
    shared = ["mask", "expression", "metric", "threshold"]
    found = ceilings[[*shared, "ceiling", "low", "high"]].rename(columns={"low": "ceiling_low", "high": "ceiling_high"})
    joined = nulls.merge(found, on=shared, how="left", validate="many_to_one")
    error = (joined["null_sd"] / np.sqrt(joined["n_draws"].clip(lower=1))).fillna(0.0)
    low = joined["ceiling_low"] - joined["null_mean"] - 2 * error
    high = joined["ceiling_high"] - joined["null_mean"] + 2 * error
    values, reasons = anchored(joined["value"], joined["null_mean"], joined["ceiling"], low, high)
    return joined.assign(anchored=values, anchored_reason=reasons)
