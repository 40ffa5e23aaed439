"""The page of `xfer report --diff`: what changed from one study to another, side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xfer import heatmaps as stacks
from xfer import scoring
from xfer.report import figures, standings, words
from xfer.report.blocks import Block, Cell, Picture, Section, Table, interval, number, raster
from xfer.report.canvas import finite_mean, short_labels, spoken
from xfer.report.outcomes import correlations
from xfer.report.reading import cut, headline_metric, parts, ranked, title
from xfer.report.trained import is_trained, results
from xfer.study import Study
from xfer.study.folder import changed

Row = Sequence[str | Cell]

_MOST = 6
"""Networks and expressions of one picture."""

_ABSENT = Cell("none", "", "undefined")


def sections(first: Study, second: Study) -> list[Section]:
    """The page from top to bottom: what the studies are, their networks, scores and heatmaps."""
    return [_studies(first, second), _networks(first, second), _scores(first, second), _maps(first, second)]


def _studies(first: Study, second: Study) -> Section:
    """What differs in what the studies were asked for and made with."""
    blocks: list[Block] = [words.text("differ", first=first.name, second=second.name)]
    if why := _unlike(first, second):
        blocks.append(words.text("differ", "not_alike", tone="note", why=", ".join(why)))
    blocks.append(words.text("differ", "untested", tone="note"))
    config = changed(first.config, second.config)
    blocks.append(_changes("config", config) if config else words.text("differ", "same"))
    made = [
        {name: study.provenance.get(name, {}) for name in ("versions", "source", "git")} for study in (first, second)
    ]
    versions = changed(*made)
    blocks.append(_changes("versions", versions) if versions else words.text("differ", "no_versions"))
    return Section("differ", "What changed", blocks)


def _unlike(first: Study, second: Study) -> list[str]:
    """What makes scores of the two mean different things, in words."""
    metric = headline_metric(first)
    pairs = {
        "metrics": (metric, headline_metric(second)),
        "thresholds": (cut(first, metric), cut(second, metric)),
        "masks": (_digests(first), _digests(second)),
        "scored pixels": tuple(study.config.get("support_digest") for study in (first, second)),
    }
    return [name for name, (one, other) in pairs.items() if one != other]


def _digests(study: Study) -> Any:
    """The digest of the leading masks."""
    return study.config.get("mask_digests", [None])[0]


def _changes(entry: str, found: dict[str, tuple[Any, Any]]) -> Table:
    rows: list[Row] = [[name, *(Cell(_told(value), "", "code") for value in both)] for name, both in found.items()]
    return Table(words.say("differ", entry), ["entry", "A", "B"], rows)


def _told(value: Any) -> str:
    if value is None:
        return "not there"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _networks(first: Study, second: Study) -> Section:
    """Who is in both, and how well they recognise expressions."""
    names = [_models(study) for study in (first, second)]
    both = [model for model in names[0] if model in names[1]]
    blocks: list[Block] = []
    for name, here, there in (("A", *names), ("B", *names[::-1])):
        if only := [model for model in here if model not in there]:
            blocks.append(words.text("differ_networks", "only", study=name, models=", ".join(only)))
    blocks += [
        words.text("differ_networks", "given", study=name)
        for name, study in (("A", first), ("B", second))
        if not is_trained(study)
    ]
    if not both:
        blocks.append(words.text("differ_networks", "none", tone="note"))
    elif is_trained(first) or is_trained(second):
        blocks.append(_accuracies(first, second, both))
    return Section("networks", "Networks", blocks)


def _models(study: Study) -> list[str]:
    return sorted(set(map(str, study.leading.coords["model"].values)))


def _accuracies(first: Study, second: Study, both: Sequence[str]) -> Table:
    found = [results(s.networks) if is_trained(s) else pd.DataFrame(columns=["accuracy"]) for s in (first, second)]
    rows: list[Row] = []
    for model in both:
        values = [float(table["accuracy"].get(model, np.nan)) for table in found]
        starts = [", ".join(dict.fromkeys(s.networks.loc[s.networks["model"] == model, "start"].astype(str)))
                  if is_trained(s) else "unknown" for s in (first, second)]  # fmt: skip
        rows.append([model, *map(number, values), number(values[0] - values[1]), *starts])
    head = ["network", "accuracy, A", "accuracy, B", "A − B", "start, A", "start, B"]
    return Table(words.say("differ_networks", "table"), head, rows)


def _scores(first: Study, second: Study) -> Section:
    """Scores side by side, with the intervals that each study has."""
    metric = headline_metric(first)
    tables = [ranked(study, metric) for study in (first, second)]
    models = [m for m in tables[0].index if m in tables[1].index]
    expressions = [e for e in tables[0].columns if e in tables[1].columns]
    if not models or not expressions:
        return Section("scores", "Scores", [words.text("differ_scores", "none", tone="note")])
    alike = not _unlike(first, second)
    one, other = (table.loc[models, expressions] for table in tables)
    blocks: list[Block] = [_means(first, second, one, other, metric, alike)]
    blocks.append(_cells(first, second, one, other, metric, alike))
    return Section("scores", "Scores", blocks)


def _means(first: Study, second: Study, one: pd.DataFrame, other: pd.DataFrame, metric: str, alike: bool) -> Table:
    known = [standings.networks(study, metric) for study in (first, second)]
    means = [scoring.network_means(table) for table in (one, other)]
    rows: list[Row] = []
    for model in map(str, one.index):
        values = [float(each[model]) for each in means]
        cells = [number(value, 4) for value in values] + ([number(values[0] - values[1], 4)] if alike else [])
        for table in known:
            cells += _corrected(table.loc[[model]].iloc[0]) if model in table.index else [_ABSENT, _ABSENT]
        rows.append([model, *cells])
    each = [f"{name}, {side}" for side in "AB" for name in ("corrected", "interval")]
    head = ["network", "A", "B", *(["A − B"] if alike else []), *each]
    return Table(words.say("differ_scores", "table", metric=title(metric)), head, rows)


def _corrected(row: pd.Series) -> list[Cell]:
    return [number(row["corrected"]), interval(row["ci_low"], row["ci_high"])]


def _cells(first: Study, second: Study, one: pd.DataFrame, other: pd.DataFrame, metric: str, alike: bool) -> Table:
    known = [standings.cells(study, metric) for study in (first, second)]
    ends = [[standings.matrix(table, name) for name in ("ci_low", "ci_high")] for table in known]
    rows: list[Row] = []
    for model in map(str, one.index):
        for expression in map(str, one.columns):
            values = [_value(table, model, expression) for table in (one, other)]
            cells = [number(value, 4) for value in values] + ([number(values[0] - values[1], 4)] if alike else [])
            rows.append(
                [model, spoken(expression), *cells, *(interval(*_ends(pair, model, expression)) for pair in ends)]
            )
    head = ["network", "expression", "A", "B", *(["A − B"] if alike else []), "interval, A", "interval, B"]
    return Table(words.say("differ_scores", "cells", metric=title(metric)), head, rows)


def _ends(pair: Sequence[pd.DataFrame], model: str, expression: str) -> tuple[float, float]:
    low, high = (_value(table, model, expression) for table in pair)
    return low, high


def _value(table: pd.DataFrame, model: str, expression: str) -> float:
    """A cell of a table; NaN where it has none."""
    return float(table.reindex(index=[model], columns=[expression]).to_numpy(dtype=float)[0, 0])


def _maps(first: Study, second: Study) -> Section:
    """Heatmaps of shared networks and expressions, one above the other, and how alike they are."""
    one, other = (stacks.dense(study.pooled, "model", "expression", allow_missing=True) for study in (first, second))
    if one.shape[-2:] != other.shape[-2:]:
        sizes = [" x ".join(map(str, maps.shape[-2:])) for maps in (one, other)]
        note = words.text("differ_maps", "sizes", tone="note", first=sizes[0], second=sizes[1])
        return Section("maps", "Heatmaps", [note])
    shared = {d: [v for v in map(str, one.coords[d].values) if v in set(map(str, other.coords[d].values))]
              for d in ("model", "expression")}  # fmt: skip
    if not all(shared.values()):
        return Section("maps", "Heatmaps", [words.text("differ_scores", "none", tone="note")])
    one, other = (maps.sel(model=shared["model"], expression=shared["expression"]) for maps in (one, other))
    alike = correlations(one.values, other.values, first.support & second.support)
    metric = headline_metric(first)
    plot = words.plot("differ_maps", _pictures(first, second, one, other), metric=title(metric))
    rows: list[Row] = [
        [model, *(number(float(r), 2) for r in line), number(finite_mean(line), 2)]
        for model, line in zip(shared["model"], alike, strict=True)
    ]
    head = ["network", *map(spoken, shared["expression"]), "mean"]
    return Section("maps", "Heatmaps", [plot, Table(words.say("differ_maps", "table"), head, rows)])


def _pictures(first: Study, second: Study, one: xr.DataArray, other: xr.DataArray) -> list[Picture]:
    """Rows of A and B in turns, a few networks and expressions a picture."""
    metric = headline_metric(first)
    tables = [study.table(metric) for study in (first, second)]
    short = short_labels([str(m) for m in one.coords["model"].values], 22)
    pictures = []
    for rows in parts(one.sizes["model"], _MOST):
        for columns in parts(one.sizes["expression"], _MOST):
            pair = [maps.isel(model=rows, expression=columns) for maps in (one, other)]
            models, expressions = ([str(v) for v in pair[0].coords[d].values] for d in ("model", "expression"))
            values = np.stack([maps.values for maps in pair], axis=1).reshape(-1, *pair[0].shape[1:])
            names = [f"{name}, {side}" for name in short[rows] for side in "AB"]
            coords = {"model": names, "expression": expressions}
            notes = np.array([[_note(table, metric, m, e) for e in expressions] for m in models for table in tables])
            drawn = figures.heatmap_grid(
                xr.DataArray(values, coords, pair[0].dims), first.masks, support=first.support, notes=notes
            )
            alt = words.say(
                "differ_maps", "alt", models=", ".join(models), expressions=", ".join(map(spoken, expressions))
            )
            pictures.append(raster(drawn, alt, 120))
    return pictures


def _note(table: pd.DataFrame, metric: str, model: str, expression: str) -> str:
    if model not in table.index or expression not in table.columns:
        return "not scored"
    return f"{title(metric)} {number(_value(table, model, expression)).text}"
