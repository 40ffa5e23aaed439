"""Sections on agreement: what was compared, the masks, the maps and their scores."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import xarray as xr

from xfer import heatmaps as stacks
from xfer.report import figures, words
from xfer.report.blocks import Cell, KeyFigures, Picture, Section, Table, number, raster, vector
from xfer.report.canvas import finite_mean, spoken
from xfer.report.reading import (
    HEADLINE,
    cut,
    figure_names,
    headline_metric,
    higher_is_better,
    is_human,
    own_scores,
    pooled_given,
    ranked,
    title,
    values_of,
)
from xfer.study import Study

_GRID = (12, 6)
"""The most networks and expressions of one picture of maps; more are shown in several."""


def headline(study: Study) -> Section:
    """Counts, the measure, and its mean, best and worst network."""
    metric = headline_metric(study)
    table = ranked(study, metric)
    maps, folds = study.heatmaps.sizes["cell"], len(values_of(study, "fold"))
    facts = [
        _counted(len(values_of(study, "model")), "network"),
        _counted(len(values_of(study, "expression")), "expression"),
        _counted(maps, "heatmap", f" in {folds} folds" if folds > 1 else ""),
        *_winners(table, metric),
    ]
    part = f"inside the support, {study.support.mean():.0%} of the canvas"
    text = words.text(
        "headline",
        expressions=", ".join(map(spoken, table.columns)),
        masks=study.masks.name,
        metric=title(metric),
        threshold=f" at the threshold '{cut(study, metric)}'" if cut(study, metric) else "",
        where="on the whole canvas" if study.support.all() else part,
        folds=" and averaged over folds" if folds > 1 else "",
        meaning=words.say("headline", "human" if is_human(study) else "facs"),
    )
    caution = words.text("headline", "caution", tone="note")
    return Section("headline", "What was compared", [KeyFigures(facts), text, caution])


def _counted(count: int, noun: str, more: str = "") -> tuple[str, str]:
    return str(count), (noun if count == 1 else f"{noun}s") + more


def _winners(table: pd.DataFrame, metric: str) -> list[tuple[str, str]]:
    means = table.mean(axis=1).dropna()
    if means.empty:
        return [("undefined", f"mean {title(metric)}: no cell has a score")]
    facts = [(number(finite_mean(table), 4).text, f"mean {title(metric)} over all cells")]
    if len(means) > 1:
        for place, rank in ((0, "best"), (-1, "worst")):
            score = number(means.iloc[place], 4).text
            facts.append((str(means.index[place]), f"{rank} network, mean {title(metric)} {score}"))
    return facts


def how_to_read(study: Study) -> Section:
    """The words of the page, for a reader who meets them first here."""
    return Section("how-to-read", "How to read this page", [words.items("how_to_read")])


def masks(study: Study) -> Section:
    """The masks the heatmaps were compared with."""
    names = ", ".join(spoken(e) for e in study.masks.coords["expression"].values)
    drawn = figures.masks_grid(study.masks, support=study.support)
    picture = raster(drawn, words.say("masks", "alt", expressions=names))
    return Section("masks", "The masks", [words.plot("masks", [picture], masks=study.masks.name)])


def heatmaps(study: Study) -> Section:
    """All fold-mean heatmaps with the outline of their masks."""
    metric = headline_metric(study)
    table = ranked(study, metric)
    maps = stacks.dense(study.pooled, "model", "expression", allow_missing=True)
    maps = maps.sel(model=[str(m) for m in table.index if m in maps.coords["model"].values])
    notes = [[_note(metric, v) for v in line] for line in _as_in(table, maps)]
    folds = len(values_of(study, "fold"))
    source = "pooled" if pooled_given(study) else "averaged"
    mean = words.say("heatmaps", source, folds=folds) if folds > 1 else ""
    plot = words.plot("heatmaps", _grids(study, maps, np.array(notes)), metric=title(metric), folds=mean)
    cut_names = [[name, short] for name, short in figure_names(study).items() if short != name]
    key = [Table(words.say("heatmaps", "names"), ["network", "in the figures"], cut_names)] if cut_names else []
    return Section("heatmaps", "All heatmaps", [plot, *key])


def _as_in(table: pd.DataFrame, maps: xr.DataArray) -> np.ndarray:
    """The table's scores in the order of the maps' models and expressions."""
    models, expressions = maps.coords["model"].values, maps.coords["expression"].values
    return table.reindex(index=models, columns=expressions).to_numpy(dtype=float)


def _note(metric: str, value: float) -> str:
    return f"{title(metric)} {number(value).text}"


def _grids(study: Study, maps: xr.DataArray, notes: np.ndarray) -> list[Picture]:
    """Pictures of at most `_GRID` networks and expressions, coarser where there are many."""
    tall, wide = _GRID
    dpi = 180 if notes.size <= 2 * tall * wide else 110
    pictures, names = [], figure_names(study)
    for rows in _parts(maps.sizes["model"], tall):
        for columns in _parts(maps.sizes["expression"], wide):
            part = maps.isel(model=rows, expression=columns)
            alt = words.say(
                "heatmaps",
                "alt",
                models=", ".join(map(str, part.coords["model"].values)),
                expressions=", ".join(map(spoken, part.coords["expression"].values)),
            )
            short = part.assign_coords(model=[names[str(m)] for m in part.coords["model"].values])
            drawn = figures.heatmap_grid(short, study.masks, support=study.support, notes=notes[rows, columns])
            pictures.append(raster(drawn, alt, dpi))
    return pictures


def _parts(count: int, most: int) -> list[slice]:
    """As few parts of at most `most` as there can be, alike in size."""
    ends = np.linspace(0, count, -(-count // most) + 1).round().astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(ends)]


def scores(study: Study) -> Section:
    """The headline scores, as a figure and as a table with the chance values."""
    metric = headline_metric(study)
    table, up = ranked(study, metric), higher_is_better(metric)
    chance = study.chance() if metric == HEADLINE and hasattr(study, "chance") else None
    alt = words.say("scores", "alt", metric=title(metric), rows=len(table), columns=table.shape[1])
    plot = words.plot(
        "scores",
        [vector(figures.score_heat(table.rename(index=figure_names(study)), chance=chance, higher_is_better=up), alt)],
        metric=title(metric),
        direction="Dark is higher" if up else "Dark is higher, and lower is better",
        chance="" if chance is None else words.say("scores", "chance"),
    )
    return Section("scores", "Scores", [plot, _score_table(study, metric, table, chance)])


def _score_table(study: Study, metric: str, table: pd.DataFrame, chance: pd.Series | None) -> Table:
    marks = _Marks(study, metric)
    rows: list[Sequence[str | Cell]] = []
    for model, line in zip(map(str, table.index), table.to_numpy(dtype=float), strict=True):
        cells = [number(v, 4, marks(model, str(e), v)) for e, v in zip(table.columns, line, strict=True)]
        rows.append([model, *cells, number(finite_mean(line), 4)])
    foot: list[Sequence[str | Cell]] = [
        ["mean", *(number(v, 4) for v in table.mean(axis=0)), number(finite_mean(table), 4)]
    ]
    if chance is not None:
        expected = chance.reindex(table.columns).to_numpy(dtype=float)
        foot.append(["chance", *(number(v, 4) for v in expected), number(finite_mean(expected), 4)])
    rule = f", threshold '{cut(study, metric)}'" if cut(study, metric) else ""
    folds = ", mean over folds" if len(values_of(study, "fold")) > 1 else ""
    head = ["network", *map(spoken, table.columns), "mean"]
    return Table(f"{title(metric)}{rule}, own mask{folds}.", head, rows, foot, marks.notes)


class _Marks:
    """Letters that lead from an undefined score to its reason under the table."""

    def __init__(self, study: Study, metric: str) -> None:
        rows = own_scores(study)
        self._rows = rows[(rows["metric"] == metric) & rows["value"].isna()]
        self.notes: dict[str, str] = {}

    def __call__(self, model: str, expression: str, value: float) -> str:
        """The letter for a cell; "" where it is defined."""
        if np.isfinite(value):
            return ""
        here = self._rows[(self._rows["model"] == model) & (self._rows["expression"] == expression)]
        text = "; ".join(dict.fromkeys(r for r in here["reason"] if r)) or "there is no such map"
        letters = {reason: mark for mark, reason in self.notes.items()}
        mark = letters.get(text) or _letter(len(self.notes))
        self.notes[mark] = text
        return mark


def _letter(index: int) -> str:
    return chr(ord("a") + index % 26) * (1 + index // 26)
