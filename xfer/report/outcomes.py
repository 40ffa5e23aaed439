"""Sections on maps beside the leading ones: recognised against unrecognised faces, other explainers."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xfer import heatmaps as stacks
from xfer.report import figures, words
from xfer.report.blocks import Block, Cell, Picture, Section, Table, number, raster
from xfer.report.canvas import finite_mean, spoken
from xfer.report.footnotes import Footnotes
from xfer.report.people import beneath
from xfer.report.reading import figure_names, headline_metric, parts, ranked, title, values_of
from xfer.report.recognition import mark_notes
from xfer.report.trained import FEW, confusions, doubts, is_trained
from xfer.study import Study

Row = Sequence[str | Cell]

OUTCOMES = ("correct", "incorrect")

_MOST = 14
"""Networks in one picture of pairs."""


def like_leading(study: Study, table: xr.DataArray | pd.DataFrame, *but: str) -> np.ndarray:
    """Which cells or scores are as the leading heatmaps in explainer, normalisation and outcome, some of them left out.

    Returns
    -------
    bool array, one entry per cell or row
    """
    chosen = np.ones(len(table), dtype=bool)
    for key in ("explainer", "normalisation", "outcome"):
        if key not in but:
            chosen &= np.isin(np.asarray(table[key].values, dtype=str), values_of(study, key))
    return chosen


def outcomes(study: Study, face: np.ndarray | None = None) -> Section | None:
    """Maps of recognised beside maps of unrecognised faces, and how alike they are."""
    if not is_trained(study):
        return None
    heading = "Recognised against unrecognised faces"
    maps = _by_outcome(study)
    if not maps:
        if study.config.get("selection") == "predicted":
            return Section("outcomes", heading, [words.text("outcomes", "none")])
        return None
    if absent := [o for o in OUTCOMES if o not in maps]:
        return Section("outcomes", heading, [words.text("outcomes", "missing", outcome=absent[0])])
    correct, incorrect = xr.align(maps["correct"], maps["incorrect"], join="outer")
    counts = _counts(study, correct)
    order = [str(m) for m in ranked(study, headline_metric(study)).index]
    known = [str(m) for m in correct.coords["model"].values]
    order = [*(m for m in order if m in known), *(m for m in known if m not in order)]
    place = [known.index(m) for m in order]
    correct, incorrect, counts = correct.isel(model=place), incorrect.isel(model=place), counts[place]
    alike = correlations(correct.values, incorrect.values, study.support)
    plot = words.plot(
        "outcomes", _pictures(study, correct, incorrect, counts, face), few=FEW, face=beneath(study, face)
    )
    return Section("outcomes", heading, [plot, _alike_table(study, correct, alike, counts)])


def _by_outcome(study: Study) -> dict[str, xr.DataArray]:
    """Outcome -> maps (model, expression, y, x), the folds averaged."""
    found = {}
    for outcome in OUTCOMES:
        own = like_leading(study, study.heatmaps, "outcome")
        own &= np.asarray(study.heatmaps["outcome"].values, dtype=str) == outcome
        if own.any():
            pooled = stacks.pool_folds(study.heatmaps.isel(cell=np.flatnonzero(own)))
            found[outcome] = stacks.dense(pooled, "model", "expression", allow_missing=True).reset_coords(drop=True)
    return found


def _counts(study: Study, maps: xr.DataArray) -> np.ndarray:
    """Faces (model, expression, outcome) behind the maps: those of the scores, else those of the predictions."""
    rows = study.scores[like_leading(study, study.scores, "outcome")]
    rows = rows.drop_duplicates(["model", "fold", "expression", "outcome"])
    scored = rows.groupby(["model", "expression", "outcome"])["n"].sum().to_dict()
    matrices = confusions(study.predictions)
    counts = np.full((*maps.shape[:2], 2), np.nan)
    for (i, model), (j, expression) in product(*(enumerate(map(str, maps.coords[d].values)) for d in maps.dims[:2])):
        shown = matrices.get(model)
        for k, outcome in enumerate(OUTCOMES):
            counts[i, j, k] = scored.get((model, expression, outcome), np.nan)
            if np.isnan(counts[i, j, k]) and shown is not None and expression in shown.index:
                row, own = shown.loc[[expression]].to_numpy(dtype=float), shown.columns == expression
                counts[i, j, k] = row[:, own if outcome == "correct" else ~own].sum()
    return counts


def correlations(first: np.ndarray, second: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Pearson r of pairs of maps (..., y, x) over the pixels of the support that are finite in both; NaN where flat.

    >>> one = np.arange(6.0).reshape(1, 2, 3)
    >>> correlations(one, 1 - 2 * one, np.ones((2, 3), bool)).round(6).tolist()
    [-1.0]
    """
    flat = (maps[..., support].reshape(-1, int(support.sum())) for maps in (first, second))
    return np.array([_pearson(*pair) for pair in zip(*flat, strict=True)]).reshape(first.shape[:-2])


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    known = np.isfinite(first) & np.isfinite(second)
    one, other = first[known].astype(float), second[known].astype(float)
    if known.sum() < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def _pictures(
    study: Study, correct: xr.DataArray, incorrect: xr.DataArray, counts: np.ndarray, face: np.ndarray | None
) -> list[Picture]:
    names, pictures = figure_names(study), []
    for rows in parts(correct.sizes["model"], _MOST):
        one, other = (m.isel(model=rows) for m in (correct, incorrect))
        models = [str(m) for m in one.coords["model"].values]
        alt = words.say(
            "outcomes",
            "alt",
            models=", ".join(models),
            expressions=", ".join(map(spoken, one.coords["expression"].values)),
        )
        short, found = [names[m] for m in models], doubts(study)
        marks = [[bool(found.mark(m, str(e))) for e in one.coords["expression"].values] for m in models]
        one, other = (m.assign_coords(model=short) for m in (one, other))
        drawn = figures.outcome_pairs(one, other, counts[rows], study.masks, few=FEW, doubts=np.array(marks), face=face)
        pictures.append(raster(drawn, alt, 150))
    return pictures


def _alike_table(study: Study, maps: xr.DataArray, alike: np.ndarray, counts: np.ndarray) -> Table:
    rows: list[Row] = []
    notes, found, marks = _Notes(), doubts(study), ""
    expressions = [str(e) for e in maps.coords["expression"].values]
    for model, line, faces in zip(map(str, maps.coords["model"].values), alike, counts, strict=True):
        own = [found.mark(model, e) for e in expressions]
        cells = [number(float(r), 2, notes(float(r), n) + m) for r, n, m in zip(line, faces, own, strict=True)]
        rows.append([model, *cells, number(finite_mean(line), 2)])
        marks += "".join(own)
    means = [number(finite_mean(column), 2) for column in alike.T]
    foot: list[Row] = [["mean", *means, number(finite_mean(alike), 2)]]
    folds = words.say("outcomes", "folds") if len(values_of(study, "fold")) > 1 else ""
    head = ["network", *map(spoken, expressions), "mean"]
    return Table(words.say("outcomes", "table", folds=folds), head, rows, foot, notes.used | mark_notes(marks))


class _Notes:
    """Letters for pairs that are undefined or of few faces, and what they mean."""

    def __init__(self) -> None:
        self.used: dict[str, str] = {}

    def __call__(self, r: float, faces: np.ndarray) -> str:
        """The letter of a pair whose maps are of so many (correct, incorrect) faces; "" without remark."""
        for mark, outcome, n in zip("ab", OUTCOMES, faces, strict=True):
            if not np.isfinite(r) and n == 0:
                self.used[mark] = words.say("outcomes", "one_sided", outcome=f"{outcome}ly recognised")
                return mark
        if np.nanmin([*faces, np.inf]) < FEW:
            self.used["c"] = words.say("outcomes", "few", few=FEW)
            return "c"
        return ""


def explainers(study: Study, face: np.ndarray | None = None) -> Section | None:
    """The other explainers of a study: mean maps over networks, and whether the ranking depends on the choice."""
    kinds = list(dict.fromkeys(map(str, study.heatmaps["explainer"].values)))
    if not is_trained(study) or len(kinds) < 2:
        return None
    first = values_of(study, "explainer")[0]
    kinds = [first, *(k for k in kinds if k != first)]
    blocks: list[Block] = [words.text("explainers", first=spoken(first)), _explainer_plot(study, kinds, face)]
    return Section("explainers", "Other explainers", [*blocks, _explainer_table(study, kinds)])


def _scores_by(study: Study) -> pd.DataFrame:
    """Own-mask rows of the headline metric over all explainers."""
    rows = study.scores[like_leading(study, study.scores, "explainer")]
    own = (rows["mask"] == study.masks.name) & (rows["mask_expression"] == rows["expression"])
    return rows[own & (rows["metric"] == headline_metric(study))]


def _explainer_plot(study: Study, kinds: Sequence[str], face: np.ndarray | None) -> Block:
    own = like_leading(study, study.heatmaps, "explainer")
    maps = stacks.pool_folds(study.heatmaps.isel(cell=np.flatnonzero(own)))
    every = dict.fromkeys(map(str, maps["model"].values))
    found = doubts(study)
    sound = [m for m in every if m not in found.networks and m not in found.coarse] or list(every)
    maps = maps.isel(cell=np.flatnonzero(np.isin(maps["model"].values.astype(str), sound)))
    expressions = values_of(study, "expression")
    means = np.stack([[_mean(maps, k, e) for e in expressions] for k in kinds])
    coords = {"model": [spoken(k) for k in kinds], "expression": expressions}
    stacked = xr.DataArray(means, dims=("model", "expression", "y", "x"), coords=coords)
    rows, metric = _scores_by(study), title(headline_metric(study))
    rows = rows[rows["model"].isin(sound)]
    scores = rows.groupby(["explainer", "expression"])["value"].mean().to_dict()
    notes = np.array([[_score_note(metric, scores.get((k, e), np.nan)) for e in expressions] for k in kinds])
    drawn = figures.heatmap_grid(stacked, study.masks, support=study.support, notes=notes, face=face)
    said = ", ".join(map(spoken, expressions))
    alt = words.say("explainers", "alt", rows=", ".join(map(spoken, kinds)), expressions=said)
    whole = len(sound) == len(every)
    networks = words.say("explainers", "every") if whole else words.say("explainers", "sound", n=len(sound))
    return words.plot(
        "explainers", [raster(drawn, alt, 150)], networks=networks, metric=metric, face=beneath(study, face)
    )


def _score_note(metric: str, value: float) -> str:
    return f"{metric} {number(value).text}" if np.isfinite(value) else "not scored"


def _mean(maps: xr.DataArray, explainer: str, expression: str) -> np.ndarray:
    """The plain mean over networks; NaN where there is none."""
    here = (maps["explainer"].values == explainer) & (maps["expression"].values == expression)
    if not here.any():
        return np.full(maps.shape[1:], np.nan)
    return maps.values[here].mean(axis=0, dtype=np.float64)


def _explainer_table(study: Study, kinds: Sequence[str]) -> Table:
    scores, found = _scores_by(study), doubts(study)
    table = scores.pivot_table("value", "model", "explainer", dropna=False).reindex(columns=list(kinds))
    table = table.reindex([m for m in ranked(study, headline_metric(study)).index if m in table.index])
    rows: list[Row] = []
    notes, reasons = Footnotes(), _reasons(scores)
    for model, line in table.iterrows():
        mark = found.mark(str(model))
        rows.append(
            [str(model), *(number(float(v), 4, mark + _why(notes, reasons, model, k)) for k, v in line.items())]
        )
    foot: list[Row] = [["mean", *(number(finite_mean(table[k]), 4) for k in table.columns)]]
    marks = "".join(found.mark(str(m)) for m in table.index)
    head = ["network", *map(spoken, kinds)]
    caption = words.say("explainers", "table", metric=title(headline_metric(study)))
    return Table(caption, head, rows, foot, notes.notes | mark_notes(marks))


def _reasons(scores: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Why a network has no score by an explainer."""
    gone = scores.groupby(["model", "explainer"]).filter(lambda rows: bool(rows["value"].isna().all()))
    return {(str(m), str(k)): str(why) for m, k, why in gone[["model", "explainer", "reason"]].itertuples(index=False)}


def _why(notes: Footnotes, reasons: dict[tuple[str, str], str], *cell: Any) -> str:
    return notes(reasons[cell]) if cell in reasons else ""
