"""The section on null models: what else would score as high."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xfer.nulls import primary
from xfer.report import standings, words
from xfer.report.account import listed
from xfer.report.blocks import Block, Cell, Section, Table, number
from xfer.report.chance import by_expression
from xfer.report.footnotes import Footnotes
from xfer.report.reading import title
from xfer.study import Study

Row = Sequence[str | Cell]


def nulls(study: Study) -> Section | None:
    """Every null model: what it scores, how many cells beat it, what it is; the expectation is no test."""
    names = standings.metrics(study)
    whole = standings.nulls(study)
    if whole.empty:
        return None
    metric = names[0] if names else str(whole["metric"].iloc[0])
    leading = standings.nulls(study, metric)
    blocks: list[Block] = [words.text("nulls"), *_rivals(leading), *_specific(study, metric), _null_table(leading)]
    rest = whole[~whole["metric"].eq(metric) | ~whole["threshold"].isin(leading["threshold"])]
    blocks += [_null_table(rows, folded=True) for _, rows in rest.groupby(["metric", "threshold"], sort=False)]
    return Section("nulls", "What else would score as high?", blocks)


def _rivals(rows: pd.DataFrame) -> list[Block]:
    """The nulls that score higher than the heatmaps, in a sentence."""
    known = rows[np.isfinite(rows["null_score"]) & np.isfinite(rows["score"])]
    higher = known[known["null_score"] > known["score"]].sort_values("null_score", ascending=False)
    if higher.empty:
        return []
    named = [
        words.say("nulls", "rival", null=standings.null_title(str(line.null)), score=number(line.null_score).text,
                  below=line.cells - line.above, cells=line.cells)
        for line in higher.itertuples()
    ]  # fmt: skip
    score = number(higher["score"].iloc[0]).text
    return [words.text("nulls", "rivals", tone="note", score=score, names=listed(named))]


def _specific(study: Study, metric: str) -> list[Block]:
    """For how many heatmaps the own mask beats the others by more than it does for smooth surrogates."""
    rows = standings.table(study, "nulls")
    rows = rows[(rows["metric"] == f"{metric}_specificity") & (rows["null"] == primary().name)]
    rows = standings.leading_threshold(study, rows, metric)
    tested, passed = int(np.isfinite(rows["q"].astype(float)).sum()), rows[rows["q"] <= standings.LEVEL]
    if not tested:
        return []
    where = words.say("nulls", "where", names=by_expression(passed)) if len(passed) else ""
    return [words.text("nulls", "specific", passed=len(passed), tested=tested, metric=title(metric), where=where)]


def _null_table(rows: pd.DataFrame, *, folded: bool = False) -> Table:
    """The nulls of one metric and threshold."""
    notes, name = Footnotes(), str(rows["metric"].iloc[0])
    base = name.removesuffix("_specificity")
    told = standings.named(base, rows) + (words.say("nulls", "specificity") if name != base else "")
    known = rows["score"][np.isfinite(rows["score"])]
    score = number(known.iloc[0] if len(known) else np.nan).text
    head = ["null", "its score", "heatmaps above", "p ≤ .05", "q ≤ .05", "what is compared, and its source"]
    made = [_null_line(line, notes) for _, line in rows.iterrows()]
    caption = words.say("nulls", "table", metric=told, score=score)
    return Table(caption, head, made, notes=notes.notes, folded=folded)


def _null_line(line: pd.Series, notes: Footnotes) -> Row:
    tests, cells = int(line["tests"]), int(line["cells"])
    mark = "" if tests else notes(line["reason"])
    return [
        standings.null_title(line["null"]),
        number(line["null_score"], 3, "" if cells else mark),
        Cell(f"{line['above']} of {cells}", "", "number") if cells else Cell("none", "", "undefined"),
        *(
            Cell(f"{line[name]} of {tests}", "", "number") if tests else Cell("no test", mark, "undefined")
            for name in ("p_beaten", "q_beaten")
        ),
        f"{line['what']} ({line['reference']})",
    ]
