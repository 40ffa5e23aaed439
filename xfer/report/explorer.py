"""What the page's scripts are told of heatmaps: every map as a picture of its values, what is known of it, curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xfer import heatmaps as stacks
from xfer.metrics import METRICS
from xfer.metrics.overlap import iou
from xfer.metrics.views import View
from xfer.report import standings
from xfer.report.blocks import Live, interval, number, probability
from xfer.report.canvas import spoken
from xfer.report.cell_faces import CellFaces
from xfer.report.outcomes import like_leading
from xfer.report.pixels import levels, palette, path, picture
from xfer.report.reading import cut, headline_metric, title, values_of
from xfer.report.trained import Doubts, doubts
from xfer.study import Study

_CUTS = tuple(round(step / 20, 2) for step in range(1, 20))
"""Thresholds of a curve, as shares of a map's range."""


def explorer(study: Study, models: Sequence[str], face: np.ndarray | None, faces: str) -> Live:
    """The live grid of all heatmaps: one sheet an explainer, the leading one first.

    Parameters
    ----------
    study : Study
    models : sequence of str
        The rows, in their order.
    face : array (y, x, 4) in [0, 1], optional
        What lies beneath the maps.
    faces : {"mean", "none", "all"}
        With "all", a cell shows single faces where the study kept them.
    """
    kinds, expressions = _explainers(study), values_of(study, "expression")
    people = CellFaces(study, faces == "all")
    sheets = [_Sheet(study, kind, leading=i == 0) for i, kind in enumerate(kinds)]
    cells = [[[sheet.cell(m, e, people) for e in expressions] for m in models] for sheet in sheets]
    height, width = study.support.shape
    held = {str(mask.coords["expression"].values): mask.values for mask in study.masks}
    return Live(
        "heatmaps",
        {
            "height": int(height),
            "width": int(width),
            "models": list(models),
            "expressions": [spoken(e) for e in expressions],
            "explainers": [spoken(k) for k in kinds],
            "colours": palette(),
            "face": "" if face is None else picture(np.round(face * 255).astype(np.uint8)),
            "outlines": [path(held[e]) if e in held else "" for e in expressions],
            "training": training(study.curves, study.networks),
            "people": people.people,
            "cells": cells,
        },
    )


def _explainers(study: Study) -> list[str]:
    """The explainers that have maps like the leading ones, the leading one first."""
    own = like_leading(study, study.heatmaps, "explainer")
    kinds = dict.fromkeys(map(str, study.heatmaps["explainer"].values[own]))
    first = values_of(study, "explainer")[0]
    return [first, *(kind for kind in kinds if kind != first)]


class _Sheet:
    """The maps of one explainer, with what is known of each."""

    def __init__(self, study: Study, explainer: str, *, leading: bool) -> None:
        self._study, self._explainer, self._metric = study, explainer, headline_metric(study)
        rule = cut(study, self._metric)
        self._name = title(self._metric) + (f" ({rule})" if rule else "")
        own = like_leading(study, study.heatmaps, "explainer")
        own &= np.asarray(study.heatmaps["explainer"].values, dtype=str) == explainer
        maps = study.pooled if leading else stacks.pool_folds(study.heatmaps.isel(cell=np.flatnonzero(own)))
        self._maps = stacks.dense(maps, "model", "expression", allow_missing=True)
        self._scores = _scores(study, explainer, self._metric)
        self._tested = standings.cells(study, self._metric) if leading else pd.DataFrame()
        self._doubts: Doubts = doubts(study)
        self._curves = curves(self._maps, study.masks, study.support) if self._metric in METRICS else {}

    def cell(self, model: str, expression: str, people: CellFaces) -> dict[str, Any]:
        """What the script is told of one cell."""
        there = model in self._maps.coords["model"].values and expression in self._maps.coords["expression"].values
        heatmap = self._maps.sel(model=model, expression=expression).values if there else np.array([np.nan])
        score = self._scores.get((model, expression))
        told = {
            "note": self._note(model, expression, score),
            "doubt": self._doubts.note(model, expression),
            "known": self._known(model, expression, score),
            **people.of(model, expression, self._explainer),
        }
        if not np.isfinite(heatmap).any():
            return {**told, "note": "no map"}
        return {**told, **levels(heatmap), "curve": self._curves.get((model, expression))}

    def _note(self, model: str, expression: str, score: float | None) -> str:
        if expression not in map(str, self._study.masks.coords["expression"].values):
            return "no mask"
        if model in self._doubts.coarse:
            return "not scored"
        return f"{title(self._metric)} {number(np.nan if score is None else score).text}"

    def _known(self, model: str, expression: str, score: float | None) -> list[tuple[str, str]]:
        """Names and numbers of a cell; those of the tests where there are any."""
        known = [(self._name, number(np.nan if score is None else score, 4).text)]
        rows = self._tested
        if len(rows):
            rows = rows[(rows["model"] == model) & (rows["expression"] == expression)]
        for _, row in rows.iterrows():
            threshold = f" ({row['threshold']})" if row["threshold"] else ""
            known += [
                (f"noise-corrected{threshold}", number(row["corrected"]).text),
                ("its 95% interval", interval(row["ci_low"], row["ci_high"]).text),
                (f"chance{threshold}", number(row["null_mean"]).text),
                (f"ceiling{threshold}", number(row["ceiling"]).text),
                ("q against chance", probability(row["q"]).text),
                ("reliability", number(row["reliability"]).text),
            ]
        return known


def _scores(study: Study, explainer: str, metric: str) -> dict[tuple[str, str], float]:
    """Own-mask scores by model and expression, mean over folds."""
    rows = study.scores[like_leading(study, study.scores, "explainer")]
    own = (rows["mask"] == study.masks.name) & (rows["mask_expression"] == rows["expression"])
    rows = rows[own & (rows["metric"] == metric) & (rows["explainer"].astype(str) == explainer)]
    means = rows.groupby(["model", "expression"])["value"].agg(lambda values: values.mean(skipna=False)).reset_index()
    return {(str(m), str(e)): float(value) for m, e, value in means.itertuples(index=False, name=None)}


def curves(maps: xr.DataArray, masks: xr.DataArray, support: np.ndarray) -> dict[tuple[str, str], list[float | None]]:
    """IoU of every map (model, expression, y, x) with its own mask over thresholds; maps without either left out."""
    found = {}
    held = {str(mask.coords["expression"].values): mask.values for mask in masks}
    for model in map(str, maps.coords["model"].values):
        for expression in map(str, maps.coords["expression"].values):
            heatmap = maps.sel(model=model, expression=expression).values
            if expression in held and np.isfinite(heatmap[support]).all():
                pair = View(heatmap, support), View(held[expression], support)
                scores = [float(iou(*pair, threshold=at)) for at in _CUTS]
                found[model, expression] = [round(s, 4) if np.isfinite(s) else None for s in scores]
    return found


def training(log: pd.DataFrame, networks: pd.DataFrame) -> Mapping[str, list[dict[str, Any]]]:
    """Per network, the log of each fold: epochs, losses, accuracy, the epoch that was kept."""
    found: dict[str, list[dict[str, Any]]] = {}
    names = {"train": "train_loss", "validation": "validation_loss", "accuracy": "validation_accuracy"}
    for (model, fold), rows in log.groupby(["model", "fold"], sort=True):
        rows = rows.sort_values("epoch")
        kept = networks.loc[(networks["model"] == model) & (networks["fold"] == fold), "epoch"].tolist()
        told: dict[str, Any] = {"epochs": rows["epoch"].astype(int).tolist(), "kept": _plain(kept)[0] if kept else None}
        found.setdefault(str(model), []).append(told | {name: _plain(rows[column]) for name, column in names.items()})
    return found


def _plain(values: Any) -> list[float | None]:
    return [round(float(v), 4) if np.isfinite(v) else None for v in values]
