"""Sections on differences: which pairs of networks differ, and how sure the ranking is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from xfer.report import figures, standings, words
from xfer.report.blocks import Block, Cell, Section, Table, interval, number, probability, vector
from xfer.report.footnotes import Footnotes
from xfer.report.reading import figure_names, title
from xfer.study import Study

Row = Sequence[str | Cell]

_MOST = 120
"""Pairs on the page; the others are in the exported table."""


def comparisons(study: Study) -> Section | None:
    """Pairs of networks on the same faces, and the critical-difference diagram."""
    metric = next(iter(standings.metrics(study)), None)
    if metric is None:
        return None
    blocks: list[Block] = [*_ranking(study, metric), *_pairs(study, standings.comparisons(study, metric))]
    return Section("comparisons", "Which networks differ?", blocks) if blocks else None


def _ranking(study: Study, metric: str) -> list[Block]:
    found = study.ranking(metric)
    if not len(found.average):
        return []
    if found.reason or not np.isfinite(found.critical_difference):
        return [words.text("ranking", "none", tone="note", why=found.reason or "no critical difference")]
    test = probability(found.p).text
    values: dict[str, Any] = {
        "networks": len(found.average),
        "blocks": found.blocks,
        "statistic": number(found.statistic, 2).text,
        "p": test if test.startswith("<") else f"= {test}",
        "difference": number(found.critical_difference, 2).text,
        "metric": title(metric),
    }
    drawn = figures.critical_difference(found.average.rename(index=figure_names(study)), found.critical_difference)
    ranks = ", ".join(f"{name} {rank:.2f}" for name, rank in found.average.items())
    picture = vector(drawn, words.say("ranking", "alt", ranks=ranks))
    warning = [words.text("ranking", "warning", tone="note", warning=found.warning)] if found.warning else []
    return [words.text("ranking", **values), *warning, words.plot("ranking", [picture], **values)]


def _pairs(study: Study, found: pd.DataFrame) -> list[Block]:
    if found.empty:
        return []
    tested, differ = int(np.isfinite(found["p_holm"]).sum()), int((found["p_holm"] <= standings.LEVEL).sum())
    named = standings.named(str(found["metric"].iloc[0]), found)
    say = "some" if differ else "none" if tested else "untested"
    text = words.text("pairs", say, differ=differ, tested=tested, metric=named, units=study.unit_level or "faces")
    notes = Footnotes()
    sure = bool(np.isfinite(found["corrected"]).any())
    rows = [_pair(line, notes, sure) for _, line in found.head(_MOST).iterrows()]
    head = [
        "first", "second", *(["noise-corrected", "95% interval"] if sure else []), "difference", "effect", "p",
        f"p, Holm ({tested} tests)", "p, Benjamini-Hochberg", "units",
    ]  # fmt: skip
    if len(found) > _MOST:
        rows.append([f"and {len(found) - _MOST} more", *[""] * (len(head) - 1)])
    methods = ", ".join(dict.fromkeys(m for m in found["method"] if m))
    caption = words.say("pairs", "table", metric=named, method=f" ({methods})" if methods else "")
    caption += words.say("pairs", "intervals") * sure
    return [text, *_power(found, tested), Table(caption, head, rows, notes=notes.notes, folded=len(rows) > 20)]


def _power(found: pd.DataFrame, tested: int) -> list[Block]:
    """A caution where the units are so few that no pair can pass: n units can be swapped in 2**(n - 1) ways."""
    units = found["n"][np.isfinite(found["p"])]
    if not len(units) or tested * 2.0 ** (1 - units.max()) <= standings.LEVEL:
        return []
    smallest = probability(2.0 ** (1 - units.max())).text
    return [words.text("pairs", "power", tone="note", n=int(units.max()), smallest=smallest, tested=tested)]


def _pair(line: pd.Series, notes: Footnotes, sure: bool) -> Row:
    p, low = line["p"], line["ci_low"]
    why = "" if np.isfinite(low) or not sure else notes(line["interval_reason"])
    corrected = [number(line["corrected"], 3, why), interval(low, line["ci_high"], 3, why)]
    return [
        line["first"],
        line["second"],
        *(corrected if sure else []),
        number(line["difference"], 3, "" if np.isfinite(line["difference"]) else notes(line["reason"])),
        number(line["effect"], 2),
        probability(p, "" if np.isfinite(p) else notes(line["reason"])),
        probability(line["p_holm"]),
        probability(line["p_bh"]),
        Cell(f"{int(line['n'])}" if np.isfinite(line["n"]) else "", "", "number"),
    ]
