"""Studies with statistics: intervals, nulls, ceilings and tests made up around the scores of a study."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from xfer.labels import KEY
from xfer.nulls import NULLS
from xfer.statistics import clades, ranks
from xfer.statistics.multiplicity import adjust
from xfer.statistics.variance import shares, winner_changes

QUESTIONS = (("iou", "area"), ("iou", "otsu"), ("pearson", ""))
NO_FRAME = "no ceiling: the masks' frame is not known"
ONE_MAP = "one map of a cell: nothing to resample"
_NUMBERS = ("corrected", "ci_low", "ci_high", "anchored", "anchored_low", "anchored_high", "reliability")


def cells_of(study, beaten, anchored, level) -> pd.DataFrame:
    """One row per network, expression and question; `beaten` of them, the best, have a small p."""
    rows = []
    for (metric, cut), model, expression in product(QUESTIONS, study.models, study.expressions):
        table = study.table(metric)
        value = float(table.loc[model, expression]) + (0.01 if cut == "area" else 0.0)
        key = dict.fromkeys(KEY, "unknown") | {
            "model": model,
            "expression": expression,
            "fold": "all",
            "outcome": "all",
        }
        numbers = {
            "corrected": value + 0.02, "ci_low": value - 0.03, "ci_high": value + 0.07, "anchored": 2 * value - 0.3,
            "anchored_low": 2 * value - 0.5, "anchored_high": 2 * value - 0.1, "reliability": 0.9,
        }  # fmt: skip
        numbers |= {} if anchored else {n: np.nan for n in numbers if n.startswith("anchored")}
        numbers |= {} if level else dict.fromkeys(_NUMBERS, np.nan)
        undefined = {"null_mean": np.nan} if np.isnan(value) else {"null_mean": 0.15}
        rows.append(
            key | {"mask": study.masks.name, "metric": metric, "threshold": cut, "value": value}
            | {"half_value": value + 0.001, "n": 0 if level != "blocks of subjects" else 120, "units": level}
            | numbers | {"ci_method": "population draws" if level else "", "null": "surrogate", "null_sd": 0.04}
            | undefined | {"ceiling": 0.55 if anchored else np.nan, "reason": "" if level else ONE_MAP}
            | {"anchored_reason": "" if anchored else NO_FRAME}
        )  # fmt: skip
    made = pd.DataFrame(rows)
    p = np.full(len(made), np.nan)
    for _, some in made.groupby(["metric", "threshold"]):
        order = some["value"].dropna().sort_values(ascending=False).index
        p[order] = np.where(np.arange(len(order)) < beaten, 0.0002, 0.4)
    made = made.assign(p=p)
    for _, some in made.groupby(["metric", "threshold"]):
        found = adjust(made.loc[some.index, "p"].to_numpy())
        made.loc[some.index, "q"] = found.p
        made.loc[some.index, "m"] = found.m
    flat = made["value"].isna()
    made.loc[flat, "reason"] = "constant heatmap"
    made.loc[flat, list(_NUMBERS)] = np.nan
    return made


def networks_of(cells) -> pd.DataFrame:
    """Means over expressions, undefined where one is."""
    names = ["value", "null_mean", "ceiling", *_NUMBERS]
    rows = []
    for (model, metric, cut), some in cells.groupby(["model", "metric", "threshold"], sort=False):
        means = {name: some[name].mean(skipna=False) for name in names}
        told = {n: next((r for r in some[n] if r), "") for n in ("reason", "anchored_reason")}
        tested = not np.isnan(means["null_mean"])
        told |= {"p": 0.01 if tested else np.nan, "p_holm": 0.03 if tested else np.nan, "m": 3}
        told["p_reason"] = "" if tested else told["reason"]
        rows.append({"model": model, "metric": metric, "threshold": cut, "n_expressions": len(some)} | means | told)
    return pd.DataFrame(rows)


def nulls_of(cells) -> pd.DataFrame:
    """Rows of every null; only those that draw many have p."""
    tables = []
    for place, (name, spec) in enumerate(NULLS.items()):
        few = "an expectation is no test" if spec.kind == "expectation" else "5 values: a p-value takes 19 or more"
        drawn = spec.kind == "draws" and name != "mirror"
        some = cells[[*KEY, "mask", "metric", "threshold", "value", "p", "q", "m"]].copy()
        some = some.assign(
            null=name, null_mean=0.1 + 0.01 * place, null_sd=0.03, n_draws=500 if drawn else 5, reason=""
        )
        if not drawn:
            some = some.assign(p=np.nan, q=np.nan, m=0, reason=few)
        tables.append(some)
        if drawn:
            tables.append(some.assign(metric=some["metric"] + "_specificity", value=some["value"] - 0.1))
    return pd.concat(tables, ignore_index=True)


def comparisons_of(study, level) -> pd.DataFrame:
    """All pairs, the first with a small p."""
    pairs = list(combinations(study.models, 2)) if level else []
    p = np.array([0.0004 if i == 0 else 0.3 for i in range(len(pairs))])
    holm, bh = (adjust(p, how) for how in ("holm", "benjamini_hochberg"))
    rows = [
        (
            *pair,
            "iou",
            "area",
            0.05 - 0.01 * i,
            0.8,
            p[i],
            holm.p[i],
            bh.p[i],
            holm.m,
            30,
            f"permutation of {level}",
            "",
            0.06 - 0.01 * i,
            0.02 - 0.01 * i,
            0.1 - 0.01 * i,
            "population draws",
            "",
        )
        for i, pair in enumerate(pairs)
    ]
    names = [
        "first",
        "second",
        "metric",
        "threshold",
        "difference",
        "effect",
        "p",
        "p_holm",
        "p_bh",
        "m",
        "n",
        "method",
        "reason",
        "corrected",
        "ci_low",
        "ci_high",
        "ci_method",
        "interval_reason",
    ]
    return pd.DataFrame(rows, columns=names)


def clades_of(study, level) -> pd.DataFrame:
    rows = []
    for expression in study.expressions if level and len(study.models) > 2 else []:
        if study.model_correlations(expression).shape[0] < 2 or study.table().loc[:, expression].isna().sum() > 1:
            continue
        joins = len(study.tree(expression).linkage)
        rows += [(expression, i, "", 1.0 if i == joins - 1 else 0.3 + 0.4 * (i % 2), 500) for i in range(joins)]
    return pd.DataFrame(rows, columns=["expression", "join", "members", "support", "draws"])


def fold_agreement(study, expression) -> pd.DataFrame:
    folds = list(dict.fromkeys(map(str, study.leading.coords["fold"].values)))
    rows = [(a, b, 0.4, 0.6) for a, b in combinations(folds, 2)]
    return pd.DataFrame(rows, columns=["first", "second", "bakers_gamma", "adjusted_rand"])


def own(study, metric) -> pd.DataFrame:
    rows = study.scores[(study.scores["metric"] == metric)]
    return rows[rows["expression"] == rows["mask_expression"]].rename(columns={"model": "network"})


def tell(study, beaten=2, anchored=True, level="blocks of subjects"):
    """Give a study its statistics."""
    study.inference = cells_of(study, beaten, anchored, level)
    study.network_scores = networks_of(study.inference)
    study.nulls = nulls_of(study.inference)
    study.comparisons = comparisons_of(study, level)
    study.clades = clades_of(study, level)
    columns = [
        "mask",
        "expression",
        "metric",
        "threshold",
        "ceiling",
        "low",
        "high",
        "n",
        "sources",
        "left_out",
        "reason",
    ]
    row = ("ekman", "fear", "iou", "area", 0.55, 0.4, 0.7, 3, "emfacs, du2014, ck_plus", "", "")
    study.ceilings = pd.DataFrame([row] if anchored else [], columns=columns)
    study.unit_level = level
    study.config |= {"draws": 500, "seed": 3, "linkage": "average", "blocks": 30}
    study.ranking = lambda metric="iou": ranks.ranking(study.table(metric).T)
    study.cophenetic = lambda expression: clades.cophenetic(1 - study.model_correlations(expression).to_numpy())
    study.fold_agreement = lambda expression: fold_agreement(study, expression)
    study.variance = lambda metric="iou": shares(own(study, metric), ["network", "expression"], unit="expression")
    rows = study.inference[study.inference["metric"] == "iou"]
    study.winners = lambda metric="iou": {"threshold": winner_changes(rows, "threshold")}
    return study


@pytest.fixture(scope="session")
def make_tested(make_study):
    """A function that makes a study with statistics; see `make_study` and `tell`."""

    def make(beaten=2, anchored=True, level="blocks of subjects", expressions=("anger", "disgust", "fear"), **parts):
        return tell(make_study(expressions=expressions, **parts), beaten, anchored, level)

    return make
