"""What a study's scores mean: their intervals, what chance and experts or raters score, and which networks differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from xfer import mask_sources, nulls, scoring
from xfer.labels import KEY
from xfer.nulls.canvas import coarsen_masks
from xfer.progress import Stage
from xfer.statistics.anchors import Anchor, anchored
from xfer.statistics.estimates import Estimate, mean_estimate
from xfer.statistics.multiplicity import adjust
from xfer.study import contrasts, raters
from xfer.study.engine import Engine, Local
from xfer.study.intervals import Intervals
from xfer.study.resampling import resample
from xfer.study.study import Study
from xfer.study.units import Key, Units

HEADLINE = nulls.HEADLINE
"""The metrics that get an interval, a null and a ceiling."""
RESOLUTION = 0.5
EXPERTS = ("ekman", "emfacs", "facs_investigator", "du2014", "ck_plus", "belharbi2024")
"""The mask sources whose agreement is the ceiling of FACS agreement: one of each author."""

CELL = (
    *KEY, "mask", "metric", "threshold", "value", "half_value", "n", "units", "reliability", "corrected", "ci_low",
    "ci_high", "ci_method", "null", "null_mean", "null_sd", "p", "q", "m", "ceiling", "anchored", "anchored_low",
    "anchored_high", "reason", "anchored_reason",
)  # fmt: skip
NETWORK = (
    "model", "metric", "threshold", "value", "half_value", "corrected", "ci_low", "ci_high", "ci_method", "reliability",
    "null_mean", "ceiling", "anchored", "anchored_low", "anchored_high", "n_expressions", "reason", "anchored_reason",
)  # fmt: skip
TESTED = ("model", "metric", "threshold", "null_sd", "p", "p_holm", "m", "p_reason")
"""And what is merged to that: is a network better than chance?"""


@dataclass(frozen=True, eq=False)
class Inference:
    """The tables of one study: see `Study` for their columns."""

    nulls: pd.DataFrame
    ceilings: pd.DataFrame
    cells: pd.DataFrame
    networks: pd.DataFrame
    comparisons: pd.DataFrame
    clades: pd.DataFrame


@dataclass(frozen=True, eq=False)
class _Question:
    """A metric with its threshold, and the name that draws know it by."""

    metric: str
    threshold: str

    @property
    def score(self) -> str:
        return f"{self.threshold}_iou" if self.metric == "iou" else self.metric


@dataclass(frozen=True, eq=False)
class _Finding:
    """What is known of a score: itself, its null, and the two ends of its scale or why there is none."""

    score: Estimate
    null: dict[str, Any]
    low: Anchor
    high: Anchor | None
    reason: str = ""


def infer(
    study: Study, units: Units, *, draws: int, seed: int, progress: Stage, engine: Engine | None = None
) -> Inference:
    """All tables of a study's leading cells against its first mask source.

    Parameters
    ----------
    study : Study
        With heatmaps, masks and scores written.
    units : Units
        What is resampled, see `xfer.study.units`.
    draws : int
        Random maps of a null, bootstrap draws and permutations.
    seed : int
    progress : callable
    engine : Engine, optional
        What draws heatmap by heatmap and pair by pair, see `xfer.study.resampling`; this machine by default.
    """
    drawing = partial(resample, home=study.folder, engine=engine or Local())
    cells = _scored(study)
    asked = _questions(study)
    chance = nulls.ask(
        cells, study.masks, study.support, metrics=_names(asked), threshold=_cuts(asked), draws=draws, seed=seed,
        resolution=RESOLUTION, randomised=study.randomised,
    )  # fmt: skip
    drawn = nulls.joined(drawing(chance, len(chance), tick=progress("null models", len(chance))))
    found = drawn.table
    ceilings = ceiling(study, asked, seed)
    keys = [(str(m), str(e)) for m, e in zip(cells.model.values, cells.expression.values, strict=True)]
    lost = _lost(keys)
    truth = dict(zip(_expressions(study), coarsen_masks(study.masks.values, study.support, 2), strict=True))
    scores = tuple(question.score for question in asked)
    intervals = Intervals(units, tuple(keys), truth, scores, draws, seed)
    told = drawing(intervals, len(keys), tick=progress("intervals", len(keys)))
    pairs = ((key, question) for key in keys for question in asked)
    estimates = {pair: Estimate(**row) for pair, row in zip(pairs, chain.from_iterable(told), strict=True)}
    stated = _findings(estimates, found, ceilings, draws)
    table = _cell_table(study, cells, keys, stated, units)
    return Inference(
        nulls=found,
        ceilings=ceilings,
        cells=table,
        networks=_network_table(table, stated, lost).merge(
            _tested(nulls.mean_scores(drawn), lost), "left", on=["model", "metric", "threshold"]
        ),
        comparisons=contrasts.pairs(keys, units, truth, _overlaps(estimates), draws, seed, progress, drawing),
        clades=contrasts.joins(study, units, draws, seed),
    )


def _lost(keys: Sequence[Key]) -> dict[str, str]:
    """Networks without a heatmap of an expression that others have: means over fewer expressions are no rivals."""
    expressions = dict.fromkeys(expression for _, expression in keys)
    gone = {model: [e for e in expressions if (model, e) not in keys] for model in dict.fromkeys(m for m, _ in keys)}
    return {model: f"no heatmap of {', '.join(names)}" for model, names in gone.items() if names}


def _tested(means: pd.DataFrame, lost: Mapping[str, str]) -> pd.DataFrame:
    """The networks' p-values, adjusted over the networks of a metric and threshold."""
    rows = means.rename(columns={"reason": "p_reason"}).reset_index(drop=True)
    for model, why in lost.items():
        rows.loc[rows["model"] == model, ["p", "p_reason"]] = (np.nan, why)
    for _, members in rows.groupby(["metric", "threshold"]).groups.items():
        holm = adjust(rows.loc[members, "p"].to_numpy(), "holm")
        rows.loc[members, "p_holm"], rows.loc[members, "m"] = holm.p, holm.m
    return rows.reindex(columns=list(TESTED))


def _overlaps(estimates: dict[tuple[Key, _Question], Estimate]) -> dict[Key, Estimate]:
    """The estimates of IoU at the mask's area, where the study has them."""
    return {key: made for (key, question), made in estimates.items() if question.score == contrasts.SCORE}


def ceiling(study: Study, asked: Sequence[_Question], seed: int) -> pd.DataFrame:
    """The ceiling of the leading masks: of people's, the raters' split half; else what other experts' masks score.

    The experts are the study's other sources that are not people's and, on the frame, `EXPERTS`; see `nulls.ceiling`.
    """
    chosen, name = study.mask_sources, str(study.masks.name)
    if name in chosen.raters:
        questions = [(question.metric, question.threshold, question.score) for question in asked]
        return raters.ceilings(chosen.raters[name], study.support, questions, seed)
    own = [source for source in chosen.masks if str(source.name) not in chosen.raters]
    known = {str(source.name) for source in own}
    more = [expert for expert in EXPERTS if expert not in known and study.masks.attrs.get("frame") == "xfer"]
    sources = [*own, *(mask_sources.load(more).masks if more else ())]
    if len(sources) < 2:
        return pd.DataFrame(columns=list(nulls.CEILING_COLUMNS))
    table = nulls.ceiling(sources, study.support, metrics=_names(asked), threshold=_cuts(asked))
    return table[table["mask"] == name].reset_index(drop=True)


def _scored(study: Study) -> xr.DataArray:
    """The leading cells, folds averaged, that have a mask and a grid fine enough."""
    pooled = study.pooled
    expressions, models = (pooled.coords[name].values.astype(str) for name in ("expression", "model"))
    kept = np.isin(expressions, _expressions(study)) & ~np.isin(models, study.coarse)
    kept &= np.isfinite(pooled.values).any(axis=(1, 2))
    return pooled.isel(cell=np.flatnonzero(kept))


def _expressions(study: Study) -> list[str]:
    return [str(e) for e in study.masks.coords["expression"].values]


def _questions(study: Study) -> list[_Question]:
    rule = str(scoring.read_threshold(study.config["threshold"]))
    cuts = dict.fromkeys(["area", *([rule] if rule == "otsu" else [])])
    held = [name for name in HEADLINE if name in study.config["metrics"]] or ["iou"]
    return [_Question(m, cut) for m in held for cut in (cuts if m == "iou" else [""])]


def _names(asked: Sequence[_Question]) -> list[str]:
    return list(dict.fromkeys(question.metric for question in asked))


def _cuts(asked: Sequence[_Question]) -> list[str]:
    return [question.threshold for question in asked if question.threshold] or ["area"]


def _cell_table(
    study: Study, cells: xr.DataArray, keys: Sequence[Key], found: dict[tuple[Key, _Question], _Finding], units: Units
) -> pd.DataFrame:
    """One row per cell and question."""
    full = _full_scores(study, cells, list(dict.fromkeys(question for _, question in found)))
    rows = []
    for (key, question), finding in found.items():
        i, null = keys.index(key), finding.null
        rows.append(
            {
                **{name: str(cells.coords[name].values[i]) for name in KEY},
                "mask": str(study.masks.name), "metric": question.metric, "threshold": question.threshold,
                "value": full[*key, question.metric, question.threshold],
                "half_value": null["value"], "n": units.faces[key], "units": units.level,
                **_interval(finding.score), "null": nulls.primary().name,
                **{name: null[name] for name in ("null_mean", "null_sd", "p", "q", "m")},
                **_scale(finding), "reason": finding.score.reason,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(CELL))


def _findings(
    estimates: dict[tuple[Key, _Question], Estimate], found: pd.DataFrame, ceilings: pd.DataFrame, draws: int
) -> dict[tuple[Key, _Question], _Finding]:
    chance = _by(found[found["null"] == nulls.primary().name], "model", "expression", "metric", "threshold")
    top = _by(ceilings, "expression", "metric", "threshold")
    made = {}
    for number, ((key, question), score) in enumerate(estimates.items()):
        null = chance[*key, question.metric, question.threshold]
        best = top.get((key[1], question.metric, question.threshold))
        error = 0.0 if np.isnan(null["null_sd"]) else null["null_sd"] / np.sqrt(null["n_draws"])
        low = _anchor(null["null_mean"], error, null["n_draws"], draws, (1, number))
        high, reason = _ceiling_anchor(best, draws, (2, number))
        made[key, question] = _Finding(score, null, low, high, reason)
    return made


def _anchor(mean: float, error: float, n: int, draws: int, seed: tuple[int, int]) -> Anchor:
    return Anchor(float(mean), np.random.default_rng(seed).normal(mean, error, draws), int(n))


def _ceiling_anchor(best: dict[str, Any] | None, draws: int, seed: tuple[int, int]) -> tuple[Anchor | None, str]:
    if best is None:
        return None, "no ceiling: no other mask source on this canvas"
    if not np.isfinite(best["low"]):
        return None, f"no ceiling: {best['reason']}"
    error = (best["high"] - best["low"]) / 2 / stats.t.ppf(0.975, best["n"] - 1)
    return _anchor(best["ceiling"], error, best["n"], draws, seed), ""


def _scale(finding: _Finding) -> dict[str, Any]:
    """The columns about where a score stands between chance and the ceiling."""
    if finding.high is None:
        return {"ceiling": np.nan, "anchored": np.nan, "anchored_reason": finding.reason}
    stands = anchored(finding.score, finding.low, finding.high)
    value = stands.value if np.isnan(stands.corrected) else stands.corrected
    return {
        "ceiling": finding.high.value, "anchored": value, "anchored_low": stands.ci_low,
        "anchored_high": stands.ci_high, "anchored_reason": stands.reason if np.isnan(value) else "",
    }  # fmt: skip


def _by(table: pd.DataFrame, *names: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows of a table by the text in some columns."""
    rows: Any = table.to_dict("records")
    return {tuple(str(row[name]) for name in names): row for row in rows}


def _interval(made: Estimate) -> dict[str, Any]:
    return {name: getattr(made, name) for name in ("reliability", "corrected", "ci_low", "ci_high", "ci_method")}


def _full_scores(study: Study, cells: xr.DataArray, asked: Sequence[_Question]) -> dict[tuple[str, ...], float]:
    """Own-mask scores of the cells at full resolution."""
    table = nulls.resolution_differences(
        cells, study.masks, study.support, metrics=_names(asked), threshold=_cuts(asked), resolution=RESOLUTION
    )
    return {key: row["full"] for key, row in _by(table, "model", "expression", "metric", "threshold").items()}


def _network_table(
    table: pd.DataFrame, found: dict[tuple[Key, _Question], _Finding], lost: Mapping[str, str]
) -> pd.DataFrame:
    """Means over expressions, a network and question a row; anchored is the ratio of means, not the mean of ratios."""
    rows = []
    for model, question in dict.fromkeys((key[0], question) for key, question in found):
        mine = {key[1]: f for (key, asked), f in found.items() if key[0] == model and asked == question}
        of = table[(table["model"] == model) & (table["metric"] == question.metric)]
        of = of[of["threshold"] == question.threshold]
        mean, values = mean_finding(mine), of[["value", "half_value"]].mean(skipna=False)
        if model in lost:
            mean, values = replace(mean, score=Estimate(np.nan, n=mean.score.n, reason=lost[model])), values * np.nan
        rows.append(
            {
                "model": model, "metric": question.metric, "threshold": question.threshold, **values,
                **_interval(mean.score), "null_mean": mean.low.value, **_scale(mean), "n_expressions": len(mine),
                "reason": mean.score.reason,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(NETWORK))


def mean_finding(parts: Mapping[str, _Finding]) -> _Finding:
    """The mean over expressions of scores, nulls and ceilings; what is undefined in one is so in the mean."""
    reason = next((f"{name}: {part.reason}" for name, part in parts.items() if part.reason), "")
    whole = list(parts.values())
    highs = [part.high for part in whole if part.high is not None]
    high = _mean_anchor(highs) if len(highs) == len(whole) else None
    score = mean_estimate({name: part.score for name, part in parts.items()})
    return _Finding(score, {}, _mean_anchor([part.low for part in whole]), high, reason)


def _mean_anchor(parts: Sequence[Anchor]) -> Anchor:
    draws = np.mean([part.draws for part in parts], axis=0)
    return Anchor(float(np.mean([part.value for part in parts])), draws, min(part.n for part in parts))


def with_inference(scores: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """A table of scores with the columns that say what they mean, where a row is a cell of `cells` and its own mask."""
    shared = [*KEY, "mask", "metric", "threshold"]
    told = cells.drop(columns=["value", "n", "units"]).rename(columns={"reason": "interval_reason"})
    told = told.assign(mask_expression=told["expression"])
    joined = scores.merge(told, on=[*shared, "mask_expression"], how="left")
    words = ["ci_method", "null", "interval_reason", "anchored_reason"]
    return joined.assign(**{name: joined[name].fillna("") for name in words})
