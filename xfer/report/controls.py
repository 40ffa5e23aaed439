"""Sections that question the scores: other metrics, other expressions' masks, another order of averaging."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xfer.metrics import METRICS
from xfer.report import figures, words
from xfer.report.blocks import Block, Cell, Section, Table, Text, number, vector
from xfer.report.canvas import finite_mean, spoken
from xfer.report.matrices import own_cells
from xfer.report.outcomes import like_leading
from xfer.report.reading import (
    cut,
    headline_metric,
    higher_is_better,
    metrics,
    own_scores,
    pooled_given,
    title,
    values_of,
)
from xfer.report.recognition import mark_notes
from xfer.report.trained import Doubts, doubts
from xfer.study import Study

Row = Sequence[str | Cell]


def further_metrics(study: Study) -> Section | None:
    """One row per metric: its mean and range over cells; then what it declares and where it comes from."""
    names = metrics(study)
    if len(names) < 2:
        return None
    known = set(study.leading_scores["metric"])
    found = doubts(study)
    rows = [_metric_row(study, name, f"{name}_specificity" in known, found) for name in names]
    head = [
        "metric",
        "threshold",
        "mean",
        "own minus other masks",
        "best",
        "best cell",
        "worst",
        "worst cell",
        "undefined",
    ]
    blocks: list[Block] = [
        words.text("metrics"),
        Table(words.say("metrics", "table"), head, rows, notes=_used_marks(rows)),
    ]
    facts = [_facts_row(name) for name in names if name in METRICS]
    if facts:
        head = ["metric", "worst to best", "at chance", "source"]
        blocks.append(Table(words.say("metrics", "facts"), head, facts))
    return Section("metrics", "Further metrics", blocks)


def _used_marks(rows: Sequence[Row]) -> dict[str, str]:
    return mark_notes("".join(cell.mark for row in rows for cell in row if isinstance(cell, Cell)))


def _metric_row(study: Study, name: str, specific: bool, found: Doubts) -> Row:
    table, rows = study.table(name), own_scores(study)
    undefined = int(rows.loc[rows["metric"] == name, "value"].isna().sum())
    up = higher_is_better(name)
    difference = Cell("not defined", "", "undefined")
    if specific:
        difference = number(finite_mean(study.table(f"{name}_specificity")))
    return [
        title(name) if up else f"{title(name)} (lower is better)",
        cut(study, name) or "none",
        number(finite_mean(table)),
        difference,
        *_end_cell(table, found, largest=up),
        *_end_cell(table, found, largest=not up),
        Cell(str(undefined), "", "number"),
    ]


def _end_cell(table: pd.DataFrame, found: Doubts, *, largest: bool) -> tuple[Cell, str]:
    """The largest or smallest score of a table and whose it is."""
    values = table.to_numpy(dtype=float)
    if not np.isfinite(values).any():
        return Cell("undefined", "", "undefined"), ""
    place = np.unravel_index(np.nanargmax(values) if largest else np.nanargmin(values), values.shape)
    row, column = (int(i) for i in place)
    mark = found.mark(str(table.index[row]), str(table.columns[column]))
    return number(values[row, column], mark=mark), f"{table.index[row]}, {spoken(table.columns[column])}"


def _facts_row(name: str) -> Row:
    facts = METRICS[name]
    return [title(name), f"{_bound(facts.worst)} to {_bound(facts.best)}", _formula(facts.chance), facts.reference]


def _bound(value: float) -> str:
    sign = "−" if value < 0 else ""
    return f"{sign}∞" if np.isinf(value) else f"{sign}{abs(value):.3g}"


def _formula(chance: str) -> str:
    return chance.replace("**2", "²").replace("*", "·").replace(" - ", " − ")


def sources(study: Study) -> Section | None:
    """The headline score against each mask source, where a study has several."""
    metric, rows = headline_metric(study), study.scores[like_leading(study, study.scores)]
    rows = rows[(rows["metric"] == metric) & (rows["mask_expression"] == rows["expression"])]
    if rows["mask"].nunique() < 2:
        return None
    means = rows.pivot_table("value", "mask", "expression", dropna=False).reindex(list(dict.fromkeys(rows["mask"])))
    lines = zip(map(str, means.index), means.to_numpy(dtype=float), strict=True)
    measures = study.mask_sources.measures
    table: list[Row] = [
        [name, measures[name], *(number(v, 4) for v in line), number(finite_mean(line), 4)] for name, line in lines
    ]
    head = ["mask source", "measures", *map(spoken, means.columns), "mean"]
    mixed = words.say("sources", "mixed") if len(set(measures.values())) > 1 else ""
    text = Text(words.say("sources", "text", masks=study.masks.name) + mixed)
    caption = words.say("sources", "table", metric=title(metric))
    return Section("sources", "Other mask sources", [text, Table(caption, head, table)])


def specificity(study: Study) -> Section | None:
    """Own mask against the other expressions' masks."""
    metric = headline_metric(study)
    swap, up = study.swap(metric), higher_is_better(metric)
    if swap.empty:
        return None
    heading = "Own mask against other masks"
    if swap.shape[1] < 2:
        return Section("specificity", heading, [words.text("specificity", "single", tone="note")])
    alt = words.say("specificity", "alt", metric=title(metric), rows=swap.shape[0], columns=swap.shape[1])
    picture = vector(figures.swap_matrix(swap, higher_is_better=up), alt)
    lines = zip(map(spoken, swap.index), swap.to_numpy(dtype=float), strict=True)
    rows: list[Row] = [[name, *(number(v, 4) for v in line)] for name, line in lines]
    head = ["heatmaps of", *(f"mask of {spoken(e)}" for e in swap.columns)]
    blocks: list[Block] = [
        _verdict(swap, up),
        words.plot("specificity", [picture], metric=title(metric)),
        Table(f"Mean {title(metric)} over networks, by mask.", head, rows, folded=True),
    ]
    return Section("specificity", heading, blocks)


def _verdict(swap: pd.DataFrame, up: bool) -> Text:
    """For how many expressions the own mask wins, and which masks win elsewhere."""
    names, masks = [spoken(e) for e in swap.index], [spoken(e) for e in swap.columns]
    won, lost = [], []
    for row, own in own_cells(swap):
        line = swap.iloc[row].to_numpy(dtype=float)
        if not np.isfinite(line[own]):
            continue
        best = int(np.nanargmax(line) if up else np.nanargmin(line))
        if line[best] == line[own]:
            won.append(names[row])
        else:
            lost.append(f"{names[row]} ({masks[best]}: {number(line[best]).text} against {number(line[own]).text})")
    if not won and not lost:
        return words.text("specificity", "none", tone="note")
    listed = f": {', '.join(won)}" if won else ""
    text = words.text("specificity", "won", won=len(won), total=len(won) + len(lost), names=listed)
    if not lost:
        return text
    return Text(text.text + words.say("specificity", "lost", names="; ".join(lost)))


def pooling(study: Study) -> Section | None:
    """Whether the best network depends on averaging folds before or after scoring."""
    found = study.pooling()
    if found is None:
        return None
    each = {str(m): float(v) for m, v in found["mean_of_folds"].items()}
    pooled = {str(m): float(v) for m, v in found["pooled_map"].items()}
    if not (np.isfinite(list(each.values())).any() and np.isfinite(list(pooled.values())).any()):
        return None
    text, differs = _pooling_verdict(each, pooled)
    cautions = [name for name, holds in (("caution", differs), ("stretched", _maybe_stretched(study))) if holds]
    notes = [words.text("pooling", name, tone="note") for name in cautions]
    order = sorted(each, key=lambda m: (np.isnan(each[m]), -each[m]))
    rows: list[Row] = [[m, number(pooled[m], 4), number(each[m], 4)] for m in order]
    head = ["network", "one map over all folds", "mean of the folds' scores"]
    blocks: list[Block] = [Text(text), *notes, Table(words.say("pooling", "table"), head, rows, folded=True)]
    return Section("pooling", "Does the order of averaging matter?", blocks)


def _pooling_verdict(each: dict[str, float], pooled: dict[str, float]) -> tuple[str, bool]:
    """The sentence, and whether the winner changes."""
    first, second = _winner(pooled), _winner(each)
    values = {
        "pooled": first,
        "pooled_score": number(pooled[first], 4).text,
        "pooled_mean": number(finite_mean(list(pooled.values())), 4).text,
        "each": second,
        "each_score": number(each[second], 4).text,
        "each_mean": number(finite_mean(list(each.values())), 4).text,
    }
    verdict = words.say("pooling", "differs" if first != second else "agrees", **values)
    return verdict + words.say("pooling", "means", **values), first != second


def _winner(scores: dict[str, float]) -> str:
    finite = {model: score for model, score in scores.items() if np.isfinite(score)}
    return max(finite, key=lambda m: finite[m])


def _maybe_stretched(study: Study) -> bool:
    return "published" in values_of(study, "normalisation") and not pooled_given(study)
