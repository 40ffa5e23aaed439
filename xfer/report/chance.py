"""Sections on chance: where every network stands between chance and ceiling, and which heatmaps beat it."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from xfer.nulls import primary
from xfer.report import figures, standings, words
from xfer.report.account import listed
from xfer.report.blocks import (
    Block,
    Cell,
    Picture,
    Section,
    Table,
    Text,
    behind,
    number,
    probability,
    vector,
    with_interval,
)
from xfer.report.canvas import spoken
from xfer.report.footnotes import Footnotes
from xfer.report.reading import figure_names, is_human, title
from xfer.report.recognition import mark_notes
from xfer.report.trained import Doubts, doubts
from xfer.study import Study

Row = Sequence[str | Cell]

_MARK = "*"
_ANCHORED, _CORRECTED = (f"{score} (95%\N{NO-BREAK SPACE}interval)" for score in ("anchored", "corrected"))


def headline(study: Study) -> Section | None:
    """The networks between chance and ceiling: the finding in one sentence, a forest plot, a table per metric."""
    names = standings.metrics(study)
    if not names:
        return None
    metric = names[0]
    rows, table = standings.cells(study, metric), standings.networks(study, metric)
    blocks: list[Block] = [_finding(study, rows, metric), words.text("chance", _units(study))]
    if table.empty:
        return Section("chance", "Is it better than chance?", blocks)
    blocks += _no_anchor(table, rows)
    short = figure_names(study)
    both, tick = ("both_human", "tick_human") if is_human(study) else ("both", "tick")
    reading = words.say("chance", both if np.isfinite(table["anchored"]).any() else "one")
    ceiling = words.say("chance", tick) if np.isfinite(table["ceiling"]).any() else ""
    alt = words.say("chance", "alt", metric=title(metric), rows=len(table))
    drawn = figures.forest(table.rename(index=short), title(metric))
    values = {"metric": title(metric), "anchored": reading, "ceiling": ceiling}
    blocks.append(words.plot("chance", [vector(drawn, alt)], **values))
    for other in names:
        found = standings.networks(study, other)
        if len(found):
            blocks.append(_network_table(study, other, found, folded=other != metric))
    return Section("chance", "Is it better than chance?", blocks)


def _units(study: Study) -> str:
    """The entry on what was resampled."""
    return {"blocks of subjects": "blocks", "folds": "folds"}.get(study.unit_level, "no_units")


def _finding(study: Study, rows: pd.DataFrame, metric: str) -> Text:
    """How many heatmaps beat the primary null, in a sentence."""
    beaten, tested = rows[rows["q"] <= standings.LEVEL], int(np.isfinite(rows["q"]).sum())
    if not tested:
        reasons = "; ".join(dict.fromkeys(r for r in rows["reason"] if r)) or "no p-value could be drawn"
        return words.text("chance", "untested", tone="note", why=reasons)
    values: dict[str, Any] = {"tested": tested, "beaten": len(beaten), "metric": standings.named(metric, rows)}
    if beaten.empty:
        return words.text("chance", "none", tone="note", **values, few=_few_draws(study, tested))
    values |= {"fitting": "fits" if len(beaten) == 1 else "fit", "where": by_expression(beaten)}
    return words.text("chance", "all" if len(beaten) == tested else "some", **values)


def _few_draws(study: Study, tested: int) -> str:
    """How many heatmaps would have to reach the smallest p there can be for any to pass; "" where one is enough."""
    nulls = standings.table(study, "nulls")
    if nulls.empty:
        return ""
    draws = int(nulls.loc[nulls["null"] == primary().name, "n_draws"].max())
    smallest = 1 / (1 + draws)
    needed = math.ceil(tested * smallest / standings.LEVEL - 1e-9)
    values = {"draws": f"{draws:,}", "p": probability(smallest).text, "needed": needed}
    return words.say("chance", "few", **values) if needed > 1 else ""


def by_expression(beaten: pd.DataFrame) -> str:
    """How many rows each expression has, most first."""
    counts = beaten.groupby("expression", sort=False).size().sort_values(ascending=False, kind="stable")
    return listed([f"{spoken(str(e))} {n}" for e, n in counts.items()])


def _no_anchor(table: pd.DataFrame, rows: pd.DataFrame) -> list[Block]:
    """Why there is no anchored score, where no network has one."""
    if np.isfinite(table["anchored"]).any():
        return []
    reason = "; ".join(dict.fromkeys(r for r in rows["anchored_reason"] if r)) or "no ceiling is known"
    return [words.text("chance", "unanchored", tone="note", why=reason)]


def _null_name(rows: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(standings.null_title(n) for n in rows["null"] if n))


def _total(tests: pd.Series) -> int:
    """The number of tests behind q-values."""
    return int(tests.fillna(0).max()) if len(tests) else 0


def _network_table(study: Study, metric: str, found: pd.DataFrame, *, folded: bool) -> Table:
    cells, notes = standings.cells(study, metric), Footnotes()
    anchored, ceiling = (bool(np.isfinite(found[name]).any()) for name in ("anchored", "ceiling"))
    tested = bool(np.isfinite(found["p_holm"]).any())
    doubted = doubts(study)
    marks = [doubted.mark(str(name)) for name in found.index]
    rows = [_network_row(str(name), line, notes, (anchored, ceiling, tested)) for name, line in found.iterrows()]
    head = [
        "network",
        *([_ANCHORED] if anchored else []),
        _CORRECTED,
        "raw",
        "chance",
        *(["ceiling"] if ceiling else []),
        "q ≤ .05 (least)",
        *(["p"] if tested else []),
    ]
    values = {"metric": standings.named(metric, cells), "null": _null_name(cells), "m": _total(cells["m"])}
    caption = words.say("chance", "further" if folded else "table", **values)
    if not folded:
        agreement = words.say("chance", "experts_human" if is_human(study) else "experts")
        caption += words.say("chance", "scale") * anchored + agreement * ceiling
        caption += words.say("chance", "means", networks=_plural(_total(found["m"]), "network")) * tested
    return Table(caption, head, _marked(rows, marks, 1), notes=notes.notes | mark_notes("".join(marks)), folded=folded)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _marked(rows: Sequence[Row], marks: Sequence[str], place: int) -> list[Row]:
    """Rows of a table with a mark each behind the number at a place."""
    made: list[Row] = []
    for row, mark in zip(rows, marks, strict=True):
        cell = row[place]
        assert isinstance(cell, Cell)
        made.append([*row[:place], replace(cell, mark=cell.mark + mark), *row[place + 1 :]])
    return made


def _network_row(name: str, line: pd.Series, notes: Footnotes, shown: tuple[bool, bool, bool]) -> Row:
    anchored, ceiling, tested = shown
    count = int(line["tests"]) if np.isfinite(line["tests"]) else 0
    least = probability(line["smallest_q"]).text
    passed = behind(f"{line['passed']:.0f} of {count}", least) if count else Cell("no test", "", "undefined")
    return [
        name,
        *([_scale(line, notes)] if anchored else []),
        _corrected(line, notes),
        number(line["value"], 3, _note(notes, line["reason"] or words.say("chance", "unscored"), line["value"])),
        number(line["null_mean"]),
        *(_ceiling(line, notes) if ceiling else []),
        passed,
        *([probability(line["p_holm"], _note(notes, line["p_reason"], line["p_holm"]))] if tested else []),
    ]


def _scale(line: pd.Series, notes: Footnotes) -> Cell:
    """The anchored score and its interval."""
    low, high, reason = line["anchored_low"], line["anchored_high"], line["anchored_reason"] or line["reason"]
    return with_interval(line["anchored"], low, high, _note(notes, reason, low))


def _corrected(line: pd.Series, notes: Footnotes) -> Cell:
    """The noise-corrected score and its interval."""
    low, high = line["ci_low"], line["ci_high"]
    return with_interval(line["corrected"], low, high, _note(notes, line["reason"], low))


def _ceiling(line: pd.Series, notes: Footnotes) -> list[Cell]:
    return [number(line["ceiling"], 3, _note(notes, line["anchored_reason"], line["ceiling"]))]


def _note(notes: Footnotes, reason: str, value: float) -> str:
    """The mark of a reason beside what is NaN."""
    return "" if np.isfinite(value) else notes(reason)


def cells(study: Study) -> Section | None:
    """Networks x expressions: the score that stands first, a mark where it beats chance, the reliability beside it."""
    names = standings.metrics(study)
    if not names:
        return None
    rows, metric = standings.cells(study, names[0]), names[0]
    shown = standings.leader(rows)
    values = standings.matrix(rows, shown)
    if values.empty:
        return None
    order = [str(m) for m in standings.networks(study, metric).index if m in values.index]
    values = values.loc[[*order, *(m for m in values.index if m not in order)]]
    passed = _holds(rows, values, rows["q"] <= standings.LEVEL)
    certain = _holds(rows, values, np.isfinite(rows["ci_low" if shown != "anchored" else "anchored_low"]))
    plain = ~certain if certain.any() else None
    pictures = _matrices(study, rows, values, np.where(passed, _MARK, ""), plain, shown)
    reading = words.say("cells", "grey" if plain is not None else "bare")
    plot = words.plot("cells", pictures, metric=title(metric), shown=_SHOWN[shown].capitalize(), grey=reading)
    return Section("cells", "Which heatmaps beat chance", [plot, _cell_table(rows, metric, doubts(study))])


_SHOWN = {"anchored": "anchored", "corrected": "noise-corrected", "value": "raw"}


def _holds(rows: pd.DataFrame, like: pd.DataFrame, which: pd.Series) -> np.ndarray:
    """In which cells of a matrix something holds."""
    flags = standings.matrix(rows.assign(holds=which.astype(float)), "holds")
    return flags.reindex(index=like.index, columns=like.columns).fillna(0.0).to_numpy(dtype=float) > 0


def _matrices(
    study: Study, rows: pd.DataFrame, values: pd.DataFrame, marks: np.ndarray, plain: np.ndarray | None, shown: str
) -> list[Picture]:
    short = figure_names(study)
    alt = words.say("cells", "alt", shown=_SHOWN[shown], rows=values.shape[0], columns=values.shape[1])
    pictures = [vector(figures.marked_matrix(values.rename(index=short), _SHOWN[shown], marks=marks, plain=plain), alt)]
    reliability = standings.matrix(rows, "reliability").reindex(index=values.index, columns=values.columns)
    if np.isfinite(reliability.to_numpy()).any():
        alt = words.say("cells", "reliability", rows=values.shape[0], columns=values.shape[1])
        pictures.append(vector(figures.marked_matrix(reliability.rename(index=short), "reliability"), alt))
    return pictures


def _cell_table(rows: pd.DataFrame, metric: str, found: Doubts) -> Table:
    """Every number of every heatmap."""
    notes = Footnotes()
    anchored, ceiling = (bool(np.isfinite(rows[name]).any()) for name in ("anchored", "ceiling"))
    faces = bool((rows["n"] > 0).any())
    marks = [found.mark(*key) for key in zip(rows["model"], rows["expression"], strict=True)]
    made = [_cell_row(line, notes, anchored, ceiling, faces) for _, line in rows.iterrows()]
    head = [
        "network",
        "expression",
        *([_ANCHORED] if anchored else []),
        _CORRECTED,
        "raw",
        "raw, half resolution",
        "chance",
        *(["ceiling"] if ceiling else []),
        "p",
        f"q ({_total(rows['m'])} tests)",
        "reliability",
        *(["faces"] if faces else []),
    ]
    caption = words.say("cells", "table", metric=standings.named(metric, rows), null=_null_name(rows))
    return Table(caption, head, _marked(made, marks, 2), notes=notes.notes | mark_notes("".join(marks)), folded=True)


def _cell_row(line: pd.Series, notes: Footnotes, anchored: bool, ceiling: bool, faces: bool) -> Row:
    return [
        line["model"],
        spoken(line["expression"]),
        *([_scale(line, notes)] if anchored else []),
        _corrected(line, notes),
        number(line["value"], 3, _note(notes, line["reason"] or words.say("chance", "unscored"), line["value"])),
        number(line["half_value"]),
        number(line["null_mean"]),
        *(_ceiling(line, notes) if ceiling else []),
        probability(line["p"]),
        probability(line["q"]),
        number(line["reliability"], 2),
        *([Cell(f"{line['n']:,.0f}", "", "number")] if faces else []),
    ]
