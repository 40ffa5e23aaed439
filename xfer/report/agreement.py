"""Sections on agreement: what was compared, the masks, the maps and their scores."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from xfer import heatmaps as stacks
from xfer import scoring
from xfer.report import explorer, figures, standings, words
from xfer.report.account import account, doubtful, spans
from xfer.report.blocks import Cell, KeyFigures, Picture, Section, Table, number, raster, vector
from xfer.report.canvas import finite_mean, spoken
from xfer.report.footnotes import Footnotes
from xfer.report.people import beneath, few_people
from xfer.report.reading import (
    HEADLINE,
    cut,
    figure_names,
    headline_metric,
    higher_is_better,
    is_human,
    masks_kind,
    own_scores,
    parts,
    pooled_given,
    ranked,
    raters_said,
    title,
    values_of,
)
from xfer.report.recognition import mark_notes
from xfer.report.trained import Doubts, doubts
from xfer.study import Study

_GRID = (12, 6)
"""The most networks and expressions of one picture of maps; more are shown in several."""


def headline(study: Study) -> Section:
    """Counts, the measure, and its mean, best and worst network."""
    metric = headline_metric(study)
    table, found = ranked(study, metric), doubts(study)
    maps, folds = study.leading.sizes["cell"], len(values_of(study, "fold"))
    facts = [
        _counted(len(values_of(study, "model")), "network"),
        _counted(len(values_of(study, "expression")), "expression"),
        _counted(maps, "heatmap", f" in {folds} folds" if folds > 1 else ""),
        *spans(study, table, title(metric)),
        *_winners(table, metric, found),
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
        meaning=words.say("headline", masks_kind(study)),
    )
    tested = len(standings.table(study, "inference")) > 0
    caution = words.text("headline", "tested" if tested else "caution", tone="note")
    blocks = [KeyFigures(facts), *account(study), text, *doubtful(found), caution]
    return Section("headline", "What was compared", blocks)


def _counted(count: int, noun: str, more: str = "") -> tuple[str, str]:
    return str(count), (noun if count == 1 else f"{noun}s") + more


def _winners(table: pd.DataFrame, metric: str, found: Doubts) -> list[tuple[str, str]]:
    sound = table.drop(index=[model for model in found.networks if model in table.index])
    table, whose = (table, "over all cells") if sound.empty else (sound, _whose(sound, table))
    means = scoring.network_means(table).dropna()
    if means.empty:
        return [("undefined", f"mean {title(metric)}: no cell has a score")]
    facts = [(number(finite_mean(table), 4).text, f"mean {title(metric)} {whose}")]
    if len(means) > 1:
        for place, rank in ((0, "best"), (-1, "worst")):
            score = number(means.iloc[place], 4).text
            model = str(means.index[place])
            doubt = f"; {words.say('doubts', 'headline')}" if model in found.networks else ""
            facts.append((model, f"{rank} network, mean {title(metric)} {score}{doubt}"))
    return facts


def _whose(sound: pd.DataFrame, table: pd.DataFrame) -> str:
    """Over which cells a mean is, where some networks' heatmaps explain nothing."""
    if len(sound) == len(table):
        return "over all cells"
    return f"of the {len(sound)} networks whose heatmaps explain something"


def how_to_read(study: Study) -> Section:
    """The words of the page, for a reader who meets them first here."""
    return Section("how-to-read", "How to read this page", [words.items("how_to_read")])


def masks(study: Study) -> Section:
    """The masks the heatmaps were compared with."""
    names = ", ".join(spoken(e) for e in study.masks.coords["expression"].values)
    drawn = figures.masks_grid(study.masks, support=study.support)
    picture = raster(drawn, words.say("masks", "alt", expressions=names))
    name = study.masks.name
    if is_human(study):
        raters = raters_said(study)
        people = f"{raters} rater{'s' * (raters != '1')}"
        return Section("masks", "The masks", [words.plot("masks_human", [picture], masks=name, raters=people)])
    return Section("masks", "The masks", [words.plot("masks", [picture], masks=name)])


def heatmaps(study: Study, face: np.ndarray | None = None, faces: str = "mean") -> Section:
    """All fold-mean heatmaps with the outline of their masks, over a face where one is given."""
    metric, found = headline_metric(study), doubts(study)
    table = ranked(study, metric)
    maps = stacks.dense(study.pooled, "model", "expression", allow_missing=True)
    maps = maps.sel(model=_in_order([str(m) for m in table.index], maps))
    folds = len(values_of(study, "fold"))
    source = "pooled" if pooled_given(study) else "averaged"
    plot = words.plot(
        "heatmaps",
        _grids(study, maps, _notes(study, metric, table, maps, found), found, face),
        metric=title(metric),
        folds=words.say("heatmaps", source, folds=folds) if folds > 1 else "",
        face=beneath(study, face),
        doubt=words.say("heatmaps", "doubt") if found.networks or found.expressions else "",
    )
    live = explorer.explorer(study, list(map(str, maps.coords["model"].values)), face, faces)
    cut_names = [[name, short] for name, short in figure_names(study).items() if short != name]
    key = [Table(words.say("heatmaps", "names"), ["network", "in the figures"], cut_names)] if cut_names else []
    return Section("heatmaps", "All heatmaps", [replace(plot, live=live), *few_people(study, face), *key])


def _in_order(ranking: list[str], maps: xr.DataArray) -> list[str]:
    """The models that have maps: those with scores in the order of these, then the others."""
    held = [str(m) for m in maps.coords["model"].values]
    return [*(m for m in ranking if m in held), *(m for m in held if m not in ranking)]


def _as_in(table: pd.DataFrame, maps: xr.DataArray) -> np.ndarray:
    """The table's scores in the order of the maps' models and expressions."""
    models, expressions = maps.coords["model"].values, maps.coords["expression"].values
    return table.reindex(index=models, columns=expressions).to_numpy(dtype=float)


def _notes(study: Study, metric: str, table: pd.DataFrame, maps: xr.DataArray, found: Doubts) -> np.ndarray:
    """What is printed under each map: its score, or why it has none."""
    masked = set(map(str, study.masks.coords["expression"].values))
    notes = []
    for model, line in zip(maps.coords["model"].values, _as_in(table, maps), strict=True):
        score = [f"{title(metric)} {number(v).text}" if str(model) not in found.coarse else "not scored" for v in line]
        names = map(str, maps.coords["expression"].values)
        notes.append([text if name in masked else "no mask" for text, name in zip(score, names, strict=True)])
    return np.array(notes)


def _grids(
    study: Study, maps: xr.DataArray, notes: np.ndarray, found: Doubts, face: np.ndarray | None
) -> list[Picture]:
    """Pictures of at most `_GRID` networks and expressions, coarser where there are many."""
    tall, wide = _GRID
    fine, middle, coarse = (180, 140, 110) if face is None else (150, 120, 100)
    dpi = fine if notes.size < tall * wide else middle if notes.size <= 2 * tall * wide else coarse
    pictures, names = [], figure_names(study)
    for rows in parts(maps.sizes["model"], tall):
        for columns in parts(maps.sizes["expression"], wide):
            part = maps.isel(model=rows, expression=columns)
            alt = words.say(
                "heatmaps",
                "alt",
                models=", ".join(map(str, part.coords["model"].values)),
                expressions=", ".join(map(spoken, part.coords["expression"].values)),
            )
            short = part.assign_coords(model=[names[str(m)] for m in part.coords["model"].values])
            drawn = figures.heatmap_grid(
                short,
                study.masks,
                support=study.support,
                notes=notes[rows, columns],
                doubts=_each(found.note, part.coords["model"].values, part.coords["expression"].values),
                face=face,
            )
            pictures.append(raster(drawn, alt, dpi))
    return pictures


def _each(say: Callable[[str, str], str], models: Iterable[object], expressions: Iterable[object]) -> np.ndarray:
    """What is said of each model (row) and expression (column)."""
    names = [str(e) for e in expressions]
    return np.array([[say(str(m), e) for e in names] for m in models], dtype=object)


def scores(study: Study) -> Section:
    """The headline scores, as a figure and as a table with the chance values."""
    metric, found = headline_metric(study), doubts(study)
    table, up = ranked(study, metric), higher_is_better(metric)
    chance = study.chance() if metric == HEADLINE and hasattr(study, "chance") else None
    alt = words.say("scores", "alt", metric=title(metric), rows=len(table), columns=table.shape[1])
    marks = _each(found.mark, table.index, table.columns)
    drawn = figures.score_heat(table.rename(index=figure_names(study)), chance=chance, higher_is_better=up, marks=marks)
    plot = words.plot(
        "scores",
        [vector(drawn, alt)],
        metric=title(metric),
        direction="Dark is higher" if up else "Dark is higher, and lower is better",
        chance="" if chance is None else words.say("scores", "chance"),
        doubt=words.say("scores", "doubt") if (marks != "").any() else "",
        elsewhere=words.say("scores", "elsewhere") if len(standings.table(study, "inference")) else "",
    )
    return Section("scores", "Scores", [plot, _score_table(study, metric, table, chance)])


def _score_table(study: Study, metric: str, table: pd.DataFrame, chance: pd.Series | None) -> Table:
    marks = _Marks(study, metric)
    rows: list[Sequence[str | Cell]] = []
    for model, line in zip(map(str, table.index), table.to_numpy(dtype=float), strict=True):
        cells = [number(v, 4, marks(model, str(e), v)) for e, v in zip(table.columns, line, strict=True)]
        rows.append([model, *cells, number(finite_mean(line), 4, marks.network(model))])
    foot: list[Sequence[str | Cell]] = [
        ["mean", *(number(v, 4) for v in table.mean(axis=0)), number(finite_mean(table), 4)]
    ]
    if chance is not None:
        expected = chance.reindex(table.columns).to_numpy(dtype=float)
        foot.append(["chance", *(number(v, 4) for v in expected), number(finite_mean(expected), 4)])
    rule = f", threshold '{cut(study, metric)}'" if cut(study, metric) else ""
    folds = ", mean over folds" if len(values_of(study, "fold")) > 1 else ""
    head = ["network", *map(spoken, table.columns), "mean"]
    return Table(f"{title(metric)}{rule}, own mask{folds}.", head, rows, foot, marks.notes | marks.doubts)


class _Marks:
    """Letters that lead from an undefined score to its reason under the table, and the marks of doubtful ones."""

    def __init__(self, study: Study, metric: str) -> None:
        rows = own_scores(study)
        self._rows = rows[(rows["metric"] == metric) & rows["value"].isna()]
        self._found = doubts(study)
        self._footnotes = Footnotes()
        self.doubts: dict[str, str] = {}

    @property
    def notes(self) -> dict[str, str]:
        """What the letters stand for."""
        return self._footnotes.notes

    def __call__(self, model: str, expression: str, value: float) -> str:
        """The marks of a cell; "" where nothing is to be said of it."""
        doubt = self._found.mark(model, expression)
        self.doubts |= mark_notes(doubt)
        return doubt if np.isfinite(value) else self._undefined(model, expression) + doubt

    def network(self, model: str) -> str:
        """The mark of a network as a whole."""
        return self._found.mark(model)

    def _undefined(self, model: str, expression: str) -> str:
        here = self._rows[(self._rows["model"] == model) & (self._rows["expression"] == expression)]
        text = "; ".join(dict.fromkeys(r for r in here["reason"] if r)) or "there is no such map"
        return self._footnotes(text)
