"""The section on where the variance of the scores is, and whether the winner depends on a choice."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xfer.report import figures, standings, words
from xfer.report.account import listed
from xfer.report.blocks import Block, Cell, Items, Section, Table, interval, number, vector
from xfer.report.canvas import spoken
from xfer.report.reading import title
from xfer.statistics.variance import REST, Shares, Winners
from xfer.study import Study

Row = Sequence[str | Cell]


def variance(study: Study) -> Section | None:
    """Shares of variance with intervals, and who wins under each level of every choice."""
    metric = next(iter(standings.metrics(study)), None)
    if metric is None:
        return None
    blocks = [*_shares(study.variance(metric), metric), *_winners(study.winners(metric), metric)]
    return Section("variance", "Where the variance is", blocks)


def _shares(found: Shares, metric: str) -> list[Block]:
    if found.reason or found.table.empty:
        return [words.text("variance", "none", tone="note", why=found.reason or "no factor")]
    table = found.table
    certain = np.isfinite(table["ci_low"].astype(float)).any()
    unit = words.say("variance", "unit", unit=found.unit) if certain else words.say("variance", "no_unit")
    values = {"metric": title(metric), "unit": unit, "n": found.n}
    picture = vector(figures.variance_bars(table), words.say("variance", "alt", factors=", ".join(table["factor"])))
    rows: list[Row] = []
    for factor, levels, df, eta, omega, low, high in table.itertuples(index=False, name=None):
        count = "" if factor == REST else str(int(levels))
        ends = interval(float(low), float(high))
        rows.append([factor, Cell(count, "", "number"), Cell(str(int(df)), "", "number"), number(float(omega)), ends,
                     number(float(eta))])  # fmt: skip
    head = ["factor", "levels", "degrees of freedom", "ω²", "95% interval", "η²"]
    blocks: list[Block] = [
        words.plot("variance", [picture], **values),
        Table(words.say("variance", "table", **values), head, rows),
    ]
    if found.dropped:
        blocks.append(words.text("variance", "dropped", names=listed(list(found.dropped))))
    return blocks


def _winners(found: Mapping[str, Winners], metric: str) -> list[Block]:
    sound = {name: one for name, one in found.items() if len(one.table) > 1}
    if not sound:
        return []
    lines, rows = [], []
    for name, one in sound.items():
        levels: list[dict[str, Any]] = one.table.to_dict("records")  # type: ignore[assignment]
        each = listed([f"{level['winner']} ({spoken(level['level'])})" for level in levels])
        only = str(levels[0]["winner"])
        text = words.say("winners", "changes" if one.changes else "same", each=each, winner=only, n=len(levels))
        lines.append((f"{name.capitalize()}:", text))
        rows += [_level(name, level) for level in levels]
    head = ["choice", "level", "winner", "mean", "runner-up", "ahead by", "Kendall's τ"]
    caption = words.say("winners", "table", metric=title(metric))
    return [words.text("winners"), Items(lines), Table(caption, head, rows, folded=True)]


def _level(name: str, level: Mapping[str, Any]) -> Row:
    return [
        name,
        spoken(level["level"]),
        str(level["winner"]),
        number(level["value"]),
        str(level["runner_up"]),
        number(level["margin"]),
        number(level["tau"], 2),
    ]
