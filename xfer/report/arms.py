"""What each arm of a twin study scores: how well it recognises, where it looks, and what scores as well unseeing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from xfer.nulls.trivial import FLOORS
from xfer.report import words
from xfer.report.blocks import Block, Cell, Section, Table, interval, number
from xfer.report.canvas import decimal, spoken
from xfer.report.reading import title
from xfer.study.arms import named
from xfer.study.looking import GUIDED, JUDGED, role
from xfer.study.twin_study import ALL, TwinStudy
from xfer.study.twin_tables import ACCURACY, F1, HEADLINE, SPECIFICITY, VALUE

Row = list[str | Cell]

_NUMBERS = ("value", "ci_low", "ci_high", "published", "undefined")
_TITLES = {"att_cos": "ATT-COS", "cam_cos": "CAM-COS", "accuracy": "accuracy", "macro_f1": "macro-F1"}


def recognition(study: TwinStudy) -> Section:
    """Accuracy and macro-F1 of every arm, paired with none."""
    tables = [_recognition_table(study, measure) for measure in (ACCURACY, F1)]
    return Section(
        "recognition", "How well they recognise", [words.text("twins_recognition"), *tables, _of_seeds(study)]
    )


def _recognition_table(study: TwinStudy, measure: str) -> Table:
    table = study.differences
    chosen = (table["measure"] == measure) & (table["expression"] == ALL)
    paired = {row["first"]: row for row in records(table[chosen & table["second"].astype(str).str.startswith("none")])}
    rows: list[Row] = []
    for arm in study.arms:
        found = cell(study, arm, measure, VALUE)
        row: Row = [arm, number(found["value"]), interval(found["ci_low"], found["ci_high"])]
        if arm in paired:
            other = paired[arm]
            row += [difference(other["difference"]), interval(other["ci_low"], other["ci_high"]), said(other)]
        rows.append(row if arm in paired else [*row, "", "", ""])
    made = study.networks[study.networks["failed"] == ""]
    known = {
        "linear classifier": made["linear"].mean(),
        "chance": made["chance"].mean(),
        "the commonest expression, always": study.majority,
    }
    foot: list[Row] = [[name, number(float(value)), *[""] * 4] for name, value in known.items()]
    head = ["arm", measure_title(measure), "95 % interval", "minus none", "95 % interval", ""]
    name = measure_title(measure)
    told = words.say("twins_recognition", "table", measure=name[0].upper() + name[1:])
    return Table(told, head, rows, foot if measure == ACCURACY else ())


def _of_seeds(study: TwinStudy) -> Table:
    table = study.networks.pivot_table("accuracy", "guide", "seed", aggfunc="mean").reindex(study.arms)
    rows: list[Row] = [
        [str(arm), *(number(v) for v in values)] for arm, values in zip(table.index, table.values, strict=True)
    ]
    return Table(
        words.say("twins_recognition", "seeds"), ["arm", *(f"seed {s}" for s in table.columns)], rows, folded=True
    )


def looking(study: TwinStudy) -> Section:
    """Every measure of every arm, above each floor and as specificity; those of the guided layer named as such."""
    blocks: list[Block] = [words.text("twins_looking")]
    for measure in (HEADLINE, *GUIDED, *JUDGED[1:]):
        blocks.append(_measure_table(study, measure))
        lost = {arm: cell(study, arm, measure, VALUE)["undefined"] for arm in study.arms}
        if any(share > 0 for share in lost.values()) and measure in (HEADLINE, *GUIDED):
            values = ", ".join(f"{arm} {share:.1%}" for arm, share in lost.items() if np.isfinite(share))
            blocks.append(words.text("twins_looking", "undefined", values=values))
        if measure in GUIDED:
            shown = {arm: cell(study, arm, measure, VALUE).get("published", np.nan) for arm in study.arms}
            values = ", ".join(f"{arm} {number(value).text}" for arm, value in shown.items())
            blocks.append(words.text("twins_looking", "published", values=values))
    return Section("looking", "Where they look, and where nothing but a face would", blocks)


def _measure_table(study: TwinStudy, measure: str) -> Table:
    table = study.floors
    whole = records(table[(table["measure"] == measure) & (table["expression"] == ALL)])
    floors = {(row["form"], row["floor"]): float(row["value"]) for row in whole}
    facts = {
        "measure": measure_title(measure),
        "masks": study.masks.name,
        "guided": study.config["guide"]["masks"],
        "explainer": spoken(study.config["explainers"][0]),
        "layer": named(study.config["guide"]["layers"][-1:], study.config.get("modules", {}))[0],
    }
    place = role(measure, study.config["guide"]["loss"])
    told = words.say("twins_looking", f"is_{place}") if measure in GUIDED else ""
    own = f"guided_{study.config['ablate']}" if study.config["ablate"] in ("layer", "codebook") else "guided"
    name = words.say("twins_looking", own if measure in GUIDED else "judged", **facts, role=told)
    rows: list[Row] = []
    for arm in study.arms:
        value, special = cell(study, arm, measure, VALUE), cell(study, arm, measure, SPECIFICITY)
        above = [difference(value["value"] - floors.get((VALUE, floor), np.nan)) for floor in FLOORS]
        ends = interval(value["ci_low"], value["ci_high"]), interval(special["ci_low"], special["ci_high"])
        rows.append([arm, number(value["value"]), ends[0], *above, difference(special["value"]), ends[1]])
    head = [
        "arm",
        "value",
        "95 % interval",
        *(words.say("twins_looking", f) for f in FLOORS),
        "specificity",
        "95 % interval",
    ]
    foot: Row = ["floor itself", "", "", *(number(floors.get((VALUE, floor), np.nan)) for floor in FLOORS), "", ""]
    return Table(name, head, rows, [foot], folded=measure in JUDGED[1:])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, by name."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def measure_title(measure: str) -> str:
    """A measure's name as a reader sees it.

    >>> measure_title("att_cos"), measure_title("iou")
    ('ATT-COS', 'IoU')
    """
    return _TITLES.get(measure) or title(measure)


def cell(study: TwinStudy, arm: str, measure: str, form: str, expression: str = ALL) -> pd.Series:
    """A row of `TwinStudy.twins`; NaN where the arm failed."""
    table = study.twins
    key = {"guide": arm, "measure": measure, "form": form, "expression": expression}
    rows = table[(table[list(key)] == pd.Series(key)).all(axis=1)]
    return rows.iloc[0] if len(rows) else pd.Series(dict.fromkeys(_NUMBERS, np.nan))


def difference(value: float) -> Cell:
    """A difference for a table, with its sign; NaN is the word 'undefined'."""
    return Cell(signed(value), "", "number") if np.isfinite(value) else number(value)


def signed(value: float) -> str:
    """
    >>> signed(0.0123), signed(-0.5)
    ('+0.012', '−0.500')
    """
    return f"+{decimal(value, 3)}" if value > 0 else decimal(value, 3)


def said(row: Mapping[str, Any]) -> str:
    """What the interval of a difference says, in a word or two."""
    if not np.isfinite(row["ci_low"]):
        return str(row["reason"])
    said = "excludes 0" if row["ci_low"] > 0 or row["ci_high"] < 0 else "includes 0"
    if row["non_inferior"]:
        said += ", not inferior" if row["non_inferior"] == "True" else ", not shown to be non-inferior"
    return said
