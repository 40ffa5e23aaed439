"""Sections for the record: what was left out, what the page cannot say, and what it was made with."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from xfer.mask_sources import FACS_AGREEMENT, HUMAN_ALIGNMENT
from xfer.report import standings, words
from xfer.report.blocks import Block, Cell, Section, Table
from xfer.report.canvas import spoken
from xfer.report.reading import masks_kind, values_of
from xfer.report.trained import is_trained
from xfer.study import Study
from xfer.study.folder import TWIN_KIND

_MOST = 60
"""Rows of a table, or entries of a line, that could grow without end; the rest is counted."""

_KINDS = ("network", "variant", "explainer", "expression", "face", "mask", "note")


def left_out(study: Study) -> Section:
    """Missing heatmaps and undefined scores, each with its reason."""
    absent, undefined, unmatched, dropped = _missing(study), _undefined(study), _unmatched(study), _dropped(study)
    blocks: list[Block] = list(dropped)
    twins = study.config.get("kind") == TWIN_KIND
    if not absent and not undefined:
        blocks.append(words.text("left_out", "failed" if dropped else "nothing"))
    if absent:
        total = len(absent) + study.leading.sizes["cell"]
        blocks.append(words.text("left_out", "missing", tone="note", count=len(absent), total=total))
        blocks.append(_listed("Heatmaps that are missing.", ["network", "expression", "fold"], absent))
    if undefined:
        head = ["network", "expression", "fold", "reason", "metrics"]
        blocks.append(_listed("Scores that are undefined.", head, undefined))
    if unmatched:
        blocks.append(words.text("left_out", "unused" if twins else "unmatched", names=", ".join(unmatched)))
    blocks += [
        words.text("left_out", "raters", masks=masks.name, why=masks.attrs["left_out"])
        for masks in study.mask_sources.masks
        if masks.attrs.get("left_out")
    ]
    return Section("left-out", "What was left out, and why", blocks)


def _listed(title: str, head: list[str], rows: list[list[str]]) -> Table:
    more = [[f"and {len(rows) - _MOST} more", *[""] * (len(head) - 1)]] if len(rows) > _MOST else []
    return Table(title, head, [*rows[:_MOST], *more])


def _dropped(study: Study) -> list[Table]:
    """What the study itself left out before any map was made: a table each of networks, expressions, faces, masks."""
    tables = []
    dropped = study.dropped
    for kind in (*_KINDS, *sorted(set(dropped["kind"]) - set(_KINDS))):
        rows = [[spoken(name) if kind in ("expression", "mask") else name, why, f"{int(n):,}"]
                for name, why, n in dropped.loc[dropped["kind"] == kind, ["name", "reason", "n"]].astype(
                    {"name": str, "reason": str, "n": int}).itertuples(index=False, name=None)]  # fmt: skip
        if rows:
            title = words.say("dropped", kind if kind in _KINDS else "other", masks=study.masks.name)
            tables.append(_faces(title, rows) if kind == "face" else _named(title, kind, rows))
    return tables


def _faces(title: str, rows: list[list[str]]) -> Table:
    """Faces by reason; a name stands only where the reason has one face."""
    return _listed(title, ["reason", "faces", "which"], [[why, n, name] for name, why, n in rows])


def _named(title: str, kind: str, rows: list[list[str]]) -> Table:
    return _listed(title, [kind, "reason"], [[name, why] for name, why, _ in rows])


def _missing(study: Study) -> list[list[str]]:
    """The combinations of network, expression and fold that have no heatmap."""
    keys = ("model", "expression", "fold")
    held = set(zip(*(map(str, study.leading.coords[k].values) for k in keys), strict=True))
    wanted = product(*(values_of(study, key) for key in keys))
    return [[cell[0], spoken(cell[1]), cell[2]] for cell in wanted if cell not in held]


def _undefined(study: Study) -> list[list[str]]:
    """Undefined scores with the own mask, those of one map and reason on one row."""
    rows = study.leading_scores
    rows = rows[rows["value"].isna() & (rows["mask_expression"] == rows["expression"])]
    found: dict[tuple[str, ...], list[str]] = {}
    for *cell, metric in rows[["model", "expression", "fold", "reason", "metric"]].itertuples(index=False, name=None):
        found.setdefault(tuple(map(str, cell)), []).append(str(metric))
    return [[m, spoken(e), fold, why, _shorter(names)] for (m, e, fold, why), names in found.items()]


def _shorter(names: list[str]) -> str:
    """Metrics on one line; specificity goes without saying where the metric itself is undefined."""
    own = dict.fromkeys(names)
    return ", ".join(n for n in own if not (n.endswith("_specificity") and n.removesuffix("_specificity") in own))


def _unmatched(study: Study) -> list[str]:
    held = values_of(study, "expression")
    return [spoken(e) for e in map(str, study.masks.coords["expression"].values) if e not in held]


def limits(study: Study) -> Section:
    """What no number on this page can carry."""
    there = set(study.mask_sources.measures.values())
    kinds = [name for name, word in (("facs", FACS_AGREEMENT), ("human", HUMAN_ALIGNMENT)) if word in there]
    accuracy = "trained" if is_trained(study) else "given"
    tested = len(standings.table(study, "inference")) > 0
    known = ("intervals", "nulls") if tested else ("no_intervals", "no_nulls")
    return Section(
        "limits",
        "What this page cannot say",
        [words.items("limits", *sorted(kinds, key=lambda k: k != masks_kind(study)), *known, accuracy)],
    )


def provenance(study: Study) -> Section:
    """Versions, digests and the frozen configuration, enough to repeat the study."""
    tables = {
        "What the study was made with.": {k: v for k, v in study.provenance.items() if k != "config"},
        "Its configuration.": study.config,
        "Its masks.": {"source": study.masks.name, **{str(k): v for k, v in study.masks.attrs.items()}},
    }
    blocks: list[Block] = [words.text("provenance")]
    for title, facts in tables.items():
        rows: list[list[str | Cell]] = [[name, Cell(value, "", "code")] for name, value in _flat(facts)]
        if rows:
            blocks.append(Table(title, ["entry", "value"], rows, folded=len(rows) > _MOST))
    return Section("provenance", "Versions and digests", blocks)


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested entries as dotted names, lists on one line."""
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            yield name, _line([str(v) for v in value])
        else:
            yield name, str(value)


def _line(values: list[str]) -> str:
    more = f", and {len(values) - _MOST} more" if len(values) > _MOST else ""
    return (", ".join(values[:_MOST]) or "none") + more
