"""The statistics of a study as tables of numbers: what the page prints and `exports` writes, made once for both."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xfer.labels import KEY
from xfer.metrics import METRICS
from xfer.nulls import NULLS
from xfer.report.reading import HEADLINE, cut, title
from xfer.study import Study

LEVEL = 0.05
"""The false discovery rate, and the level of single tests."""

NETWORKS = (
    "metric", "threshold", "anchored", "anchored_low", "anchored_high", "corrected", "ci_low", "ci_high", "value",
    "half_value", "null_mean", "ceiling", "reliability", "passed", "tests", "smallest_q", "p", "p_holm", "m",
    "n_expressions", "reason", "anchored_reason", "p_reason",
)  # fmt: skip

CELLS = (
    *KEY, "mask", "metric", "threshold", "n", "units", "value", "half_value", "reliability", "corrected", "ci_low",
    "ci_high", "ci_method", "null", "null_mean", "null_sd", "ceiling", "anchored", "anchored_low", "anchored_high", "p",
    "q", "m", "reason", "anchored_reason",
)  # fmt: skip

NULL_ROWS = (
    "metric", "threshold", "null", "score", "null_score", "cells", "above", "tests", "p_beaten", "q_beaten", "what",
    "reference", "reason",
)  # fmt: skip

COMPARISONS = (
    "first", "second", "metric", "threshold", "difference", "effect", "p", "p_holm", "p_bh", "m", "n", "method",
    "reason", "corrected", "ci_low", "ci_high", "ci_method", "interval_reason",
)  # fmt: skip

_TEXT = {
    *KEY, "mask", "metric", "threshold", "units", "ci_method", "null", "reason", "anchored_reason", "first", "second",
    "method", "p_reason", "interval_reason",
}  # fmt: skip

_TITLES = {
    "surrogate": "smooth surrogates", "pixels": "random pixels", "mirror": "mirrored map", "rotation": "rotated map",
    "shift": "moved map", "other_expressions": "other expressions' masks", "random_weights": "randomised weights",
}  # fmt: skip


def table(study: Study, name: str) -> pd.DataFrame:
    """One of the study's tables of statistics; without rows where the study has none."""
    found = getattr(study, name, None)
    return pd.DataFrame() if found is None else found


def _typed(found: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The columns wished, numbers as floats (an empty cell is NaN), the others as text."""
    made = found.reindex(columns=list(columns))
    texts = {name: made[name].astype(object) for name in columns if name in _TEXT}
    told = {name: text.where(text.notna(), "").astype(str) for name, text in texts.items()}
    return made.assign(**told, **{n: pd.to_numeric(made[n], "coerce").astype(float) for n in columns if n not in _TEXT})


def null_title(name: str) -> str:
    """A null model's name as a reader sees it.

    >>> null_title("surrogate"), null_title("centre_bias")
    ('smooth surrogates', 'centre bias')
    """
    return _TITLES.get(name, str(name).replace("_", " "))


def metrics(study: Study) -> list[str]:
    """The metrics that have statistics, the headline first."""
    found = table(study, "inference")
    names = [str(m) for m in dict.fromkeys(found["metric"])] if len(found) else []
    return sorted(names, key=lambda m: (m != HEADLINE, names.index(m)))


def cells(study: Study, metric: str | None = None) -> pd.DataFrame:
    """The rows of every leading heatmap, those of one metric at the threshold that leads the page, if one is named."""
    found = _typed(table(study, "inference"), CELLS)
    return found if metric is None else leading_threshold(study, found[found["metric"] == metric], metric)


def leading_threshold(study: Study, rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows at the study's own threshold; where they have another only, at the first of those."""
    there = list(dict.fromkeys(map(str, rows["threshold"])))
    if len(there) < 2:
        return rows
    wanted = [t for t in (cut(study, metric), str(study.config.get("threshold", ""))) if t in there]
    return rows[rows["threshold"].astype(str) == (wanted or there)[0]]


def named(metric: str, rows: pd.DataFrame) -> str:
    """A metric as a reader sees it, with the threshold behind some rows."""
    used = ", ".join(dict.fromkeys(str(t) for t in rows["threshold"] if t))
    return f"{title(metric)} at the threshold '{used}'" if used else title(metric)


def matrix(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Models x expressions of a column of `cells`, mean over folds, undefined where one of them is."""
    if rows.empty:
        return pd.DataFrame()
    return rows.pivot_table(
        column, "model", "expression", aggfunc=lambda values: values.mean(skipna=False), dropna=False, sort=False
    )


def networks(study: Study, metric: str | None = None) -> pd.DataFrame:
    """Networks x `NETWORKS`; those of one metric at the leading threshold best first, if one is named.

    ``passed`` counts heatmaps with q of at most `LEVEL` among the ``tests`` that could be made of the network, and
    ``smallest_q`` is the smallest.
    """
    found = table(study, "network_scores")
    if found.empty:
        return _typed(found, NETWORKS)
    if metric is not None:
        found = leading_threshold(study, found[found["metric"] == metric], metric)
    parts = ["model", "metric", "threshold"]
    by_network = cells(study).assign(passed=lambda rows: rows["q"] <= LEVEL).groupby(parts)
    told = by_network.agg(passed=("passed", "sum"), tests=("q", "count"), smallest_q=("q", "min")).reset_index()
    joined = found.assign(**{name: found[name].fillna("").astype(str) for name in parts}).merge(told, "left", on=parts)
    made = _typed(joined.set_index("model"), NETWORKS)
    if metric is None:
        return made
    return made.sort_values(leader(made), ascending=False, kind="stable", na_position="last")


def leader(found: pd.DataFrame) -> str:
    """The score that stands first: the first of anchored, corrected and raw that any row has."""
    return next((name for name in ("anchored", "corrected") if np.isfinite(found[name]).any()), "value")


def nulls(study: Study, metric: str | None = None) -> pd.DataFrame:
    """One row (`NULL_ROWS`) per metric, threshold and null model, the primary one first.

    ``above`` counts cells that score higher than their null's mean; ``p_beaten`` and ``q_beaten`` those with p and q of
    at most `LEVEL` among the ``tests`` that could be made.
    """
    found = table(study, "nulls")
    if found.empty:
        return pd.DataFrame(columns=list(NULL_ROWS))
    if metric is not None:
        found = leading_threshold(study, found[found["metric"] == metric], metric)
    made = pd.DataFrame(
        [_null_row(rows) for _, rows in found.groupby(["metric", "threshold", "null"], sort=False)],
        columns=list(NULL_ROWS),
    )
    question = made.groupby(["metric", "threshold"], sort=False).ngroup()
    behind = [not NULLS[name].primary for name in made["null"]]
    order = pd.DataFrame({"question": question, "behind": behind}).sort_values(["question", "behind"], kind="stable")
    return made.loc[order.index].reset_index(drop=True)


def _null_row(rows: pd.DataFrame) -> dict[str, object]:
    metric, threshold, null = (str(rows[name].iloc[0]) for name in ("metric", "threshold", "null"))
    spec = NULLS[null]
    known = rows[np.isfinite(rows["null_mean"].astype(float)) & np.isfinite(rows["value"].astype(float))]
    base = metric.removesuffix("_specificity")
    up = base not in METRICS or METRICS[base].best > METRICS[base].worst
    above = known["value"] > known["null_mean"] if up else known["value"] < known["null_mean"]
    tested = np.isfinite(rows["p"].astype(float))
    return {
        "metric": metric,
        "threshold": threshold,
        "null": null,
        "score": known["value"].mean() if len(known) else np.nan,
        "null_score": known["null_mean"].mean() if len(known) else np.nan,
        "cells": len(known),
        "above": int(above.sum()),
        "tests": int(tested.sum()),
        "p_beaten": int((rows["p"] <= LEVEL).sum()),
        "q_beaten": int((rows["q"] <= LEVEL).sum()),
        "what": spec.words,
        "reference": spec.reference,
        "reason": "; ".join(dict.fromkeys(str(r) for r in rows.loc[~tested, "reason"] if r)),
    }


def comparisons(study: Study, metric: str | None = None) -> pd.DataFrame:
    """Pairs of networks (`COMPARISONS`), the smallest p first."""
    found = _typed(table(study, "comparisons"), COMPARISONS)
    found = found if metric is None else found[found["metric"] == metric]
    return found.sort_values("p", kind="stable", na_position="last")
