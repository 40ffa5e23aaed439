"""The page of a twin study: what Action Units did that their controls did not, and at what price."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xfer import heatmaps as stacks
from xfer.nulls.trivial import FLOORS
from xfer.report import agreement, figures, record, words
from xfer.report.blocks import Block, Cell, Items, KeyFigures, Section, Table, interval, number, raster, vector
from xfer.report.canvas import decimal, spoken
from xfer.report.people import beneath, few_people, mean_face
from xfer.report.reading import title
from xfer.report.twin_figures import difference_plot, specificity_cells
from xfer.study.looking import GUIDED, JUDGED
from xfer.study.twin_study import ALL, TwinStudy
from xfer.study.twin_tables import ACCURACY, F1, HEADLINE, MARGIN, SPECIFICITY, VALUE

Row = list[str | Cell]

_FEW_SEEDS = 5
_NUMBERS = ("value", "ci_low", "ci_high", "published", "undefined")
_TITLES = {"att_cos": "ATT-COS", "cam_cos": "CAM-COS", "accuracy": "accuracy", "macro_f1": "macro-F1"}


def sections(study: TwinStudy, faces: str = "mean") -> list[Section]:
    """The page from top to bottom.

    Raises
    ------
    InputError
        If `faces` is another word than `xfer.report.people.FACES` has.
    """
    face = mean_face(study, faces)
    return [
        headline(study),
        rules(study),
        differences(study),
        recognition(study),
        looking(study),
        expressions(study),
        heatmaps(study, face),
        agreement.masks(study),
        record.left_out(study),
        Section("limits", "What this page cannot say", [words.items("twins_limits")]),
        record.provenance(study),
    ]


def measure_title(measure: str) -> str:
    """A measure's name as a reader sees it.

    >>> measure_title("att_cos"), measure_title("iou")
    ('ATT-COS', 'IoU')
    """
    return _TITLES.get(measure) or title(measure)


def _seeds(study: TwinStudy) -> str:
    count = int(study.config["seeds"])
    return f"{count} times" if count != 1 else "once"


def headline(study: TwinStudy) -> Section:
    """The question, the answers control by control, and what must not be overlooked."""
    config = study.config
    text = words.text(
        "twins_headline",
        "ablation" if config["ablate"] else "controls",
        network=config["models"][0],
        seeds=_seeds(study),
        data=config["data"]["name"],
        arms=len(study.arms),
        explainer=spoken(config["explainers"][0]),
        masks=study.masks.name,
        ablate=config["ablate"],
    )
    blocks: list[Block] = [text, KeyFigures(_key_figures(study)), Items([*_answers(study)])]
    if config["data"]["name"] == "synthetic":
        blocks.append(words.text("twins_headline", "drawn", tone="note"))
    if config["seeds"] == 1:
        blocks.append(words.text("twins_headline", "one_seed", tone="note"))
    elif config["seeds"] < _FEW_SEEDS:
        blocks.append(words.text("twins_headline", "few_seeds", tone="note", seeds=f"{config['seeds']} trainings"))
    if doubted := _doubtful(study):
        blocks.append(words.text("twins_headline", "doubt", tone="note", names=", ".join(doubted)))
    if failed := study.networks.loc[study.networks["failed"] != "", "checkpoint"].tolist():
        blocks.append(words.text("twins_headline", "failed", tone="note", names=", ".join(failed)))
    return Section(
        "headline", "Did the Action Units do it?" if not config["ablate"] else "What the setting does", blocks
    )


def _key_figures(study: TwinStudy) -> list[tuple[str, str]]:
    """Specificity and accuracy of the first two arms that are compared."""
    pair = study.pairs[0] if study.pairs else (study.arms[0],)
    special, right = (
        [number(_cell(study, arm, *key)["value"]).text for arm in pair]
        for key in ((HEADLINE, SPECIFICITY), (ACCURACY, VALUE))
    )
    facts = [
        (text, f"specificity of {arm} (IoU, own mask minus others)") for text, arm in zip(special, pair, strict=True)
    ]
    return [*facts, (" and ".join(right), f"accuracy of {' and '.join(pair)} on test people")]


def _doubtful(study: TwinStudy) -> list[str]:
    """Arms that recognise no better than the linear classifier or guessing."""
    made = study.networks[study.networks["failed"] == ""]
    bar = max(float(made["linear"].mean()), float(made["chance"].mean()))
    return [arm for arm in study.arms if not _cell(study, arm, ACCURACY, VALUE)["value"] > bar]


def _cell(study: TwinStudy, arm: str, measure: str, form: str, expression: str = ALL) -> pd.Series:
    """A row of `TwinStudy.twins`; NaN where the arm failed."""
    table = study.twins
    key = {"guide": arm, "measure": measure, "form": form, "expression": expression}
    rows = table[(table[list(key)] == pd.Series(key)).all(axis=1)]
    return rows.iloc[0] if len(rows) else pd.Series(dict.fromkeys(_NUMBERS, np.nan))


def _rows(study: TwinStudy, measure: str, form: str, expression: str = ALL) -> pd.DataFrame:
    """The differences of one measure, for the pairs that the study compares."""
    table = study.differences
    rows = table[(table["measure"] == measure) & (table["form"] == form) & (table["expression"] == expression)]
    pairs = pd.MultiIndex.from_tuples(study.pairs, names=["first", "second"])
    return rows.set_index(["first", "second"]).reindex([pair for pair in pairs if pair in set(_pairs(rows))])


def _pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["first"], rows["second"], strict=True))


def _answers(study: TwinStudy) -> Iterator[tuple[str, str]]:
    """One sentence a comparison; then the accuracy against no guide."""
    for (first, second), row in _rows(study, HEADLINE, SPECIFICITY).iterrows():
        control = (
            second if not study.config["ablate"] and f"{second}_open" in words.entries()["twins_answers"] else "other"
        )
        end = "higher" if row["ci_low"] > 0 else "lower" if row["ci_high"] < 0 else "open"
        yield f"{first} − {second}.", _sentence(f"{control}_{end}" if np.isfinite(row["ci_low"]) else "unknown", row)
    for (first, second), row in _rows(study, ACCURACY, VALUE).iterrows():
        if second.startswith("none"):
            kind = "safe" if row["non_inferior"] == "True" else "unsafe"
            yield f"Accuracy, {first} − {second}.", _sentence(kind if np.isfinite(row["ci_low"]) else "unknown", row)


def _sentence(name: str, row: pd.Series) -> str:
    first, second = row.name
    low, high = (decimal(row[end], 3) for end in ("ci_low", "ci_high"))
    told = {"first": first, "second": second, "low": low, "high": high, "reason": row["reason"], "margin": MARGIN}
    by = decimal(abs(row["difference"]), 3)
    return words.say("twins_answers", name, difference=_signed(row["difference"]), by=by, **told)


def _signed(value: float) -> str:
    """
    >>> _signed(0.0123), _signed(-0.5)
    ('+0.012', '−0.500')
    """
    return f"+{decimal(value, 3)}" if value > 0 else decimal(value, 3)


def rules(study: TwinStudy) -> Section:
    """What keeps the headline from going round in circles."""
    config, looking = study.config, study.looking
    guide = config["guide"]
    people = looking.drop_duplicates("face")
    explained = int(looking.dropna(subset=[HEADLINE])["face"].nunique())
    unknown = study.dropped.loc[study.dropped["kind"] == "note", "reason"].astype(str).str.startswith("no subjects")
    facts = {
        "explainer": spoken(config["explainers"][0]).capitalize(),
        "layer": ", ".join(map(str, guide["layers"])),
        "guided": guide["masks"],
        "masks": study.masks.name,
        "faces": f"{len(people):,}",
        "subjects": f"{people['subject'].nunique():,}",
        "explained": f"{explained:,}",
        "weight": f"{guide['weight']:g}",
        "loss": spoken(guide["loss"]),
        "layers": ", ".join(map(str, guide["layers"])),
        "draws": f"{config['draws']:,}",
    }
    entries = words.entries()["twins_rules"]
    names = ("explainer", "masks", "shared" if unknown.any() else "people", "twins", "intervals")
    items = [(lead, text.format(**facts)) for lead, text in (entries[name] for name in names)]
    return Section("rules", "No circles", [words.text("twins_rules"), Items(items)])


def differences(study: TwinStudy) -> Section:
    """The forest of differences, and all of them as a table."""
    special, right = _rows(study, HEADLINE, SPECIFICITY), _rows(study, ACCURACY, VALUE)
    drawn = difference_plot(special, right, MARGIN)
    plot = words.plot("twins_differences", [vector(drawn, words.say("twins_differences", "alt"))], margin=MARGIN)
    table = study.differences
    whole = table[table["expression"] == ALL]
    rows: list[Row] = [
        [
            f"{row.first} − {row.second}",
            measure_title(str(row.measure)) + (", specificity" if row.form == SPECIFICITY else ""),
            _difference(row.difference),
            interval(row.ci_low, row.ci_high),
            _said(row),
        ]
        for row in whole.itertuples()
    ]
    head = ["first − second", "measure", "difference", "95 % interval", ""]
    title_ = words.say("twins_differences", "table")
    return Section("differences", "Guided and not", [plot, Table(title_, head, rows, folded=len(rows) > 12)])


def _difference(value: float) -> Cell:
    return Cell(_signed(value), "", "number") if np.isfinite(value) else number(value)


def _said(row: Any) -> str:
    """What an interval says, in a word or two."""
    if not np.isfinite(row.ci_low):
        return str(row.reason)
    said = "excludes 0" if row.ci_low > 0 or row.ci_high < 0 else "includes 0"
    if row.non_inferior:
        said += ", not inferior" if row.non_inferior == "True" else ", not shown to be non-inferior"
    return said


def recognition(study: TwinStudy) -> Section:
    """Accuracy and macro-F1 of every arm, paired with none."""
    tables = [_recognition_table(study, measure) for measure in (ACCURACY, F1)]
    return Section(
        "recognition", "How well they recognise", [words.text("twins_recognition"), *tables, _of_seeds(study)]
    )


def _recognition_table(study: TwinStudy, measure: str) -> Table:
    table = study.differences
    chosen = (table["measure"] == measure) & (table["expression"] == ALL)
    paired = table[chosen & table["second"].astype(str).str.startswith("none")].set_index("first")
    rows: list[Row] = []
    for arm in study.arms:
        cell = _cell(study, arm, measure, VALUE)
        row: Row = [arm, number(cell["value"]), interval(cell["ci_low"], cell["ci_high"])]
        if arm in paired.index:
            other = paired.loc[arm]
            row += [_difference(other["difference"]), interval(other["ci_low"], other["ci_high"]), _said(other)]
        rows.append(row if arm in paired.index else [*row, "", "", ""])
    made = study.networks[study.networks["failed"] == ""]
    known = {"linear classifier": made["linear"].mean(), "chance": made["chance"].mean()}
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
        lost = {arm: _cell(study, arm, measure, VALUE)["undefined"] for arm in study.arms}
        if any(share > 0 for share in lost.values()) and measure in (HEADLINE, *GUIDED):
            values = ", ".join(f"{arm} {share:.0%}" for arm, share in lost.items() if np.isfinite(share))
            blocks.append(words.text("twins_looking", "undefined", values=values))
        if measure in GUIDED:
            shown = {arm: _cell(study, arm, measure, VALUE).get("published", np.nan) for arm in study.arms}
            values = ", ".join(f"{arm} {number(value).text}" for arm, value in shown.items())
            blocks.append(words.text("twins_looking", "published", values=values))
    return Section("looking", "Where they look, and where nothing but a face would", blocks)


def _measure_table(study: TwinStudy, measure: str) -> Table:
    floors = study.floors
    floors = floors[(floors["measure"] == measure) & (floors["expression"] == ALL)].set_index(["form", "floor"])[
        "value"
    ]
    facts = {
        "measure": measure_title(measure),
        "masks": study.masks.name,
        "guided": study.config["guide"]["masks"],
        "explainer": spoken(study.config["explainers"][0]),
        "layer": study.config["guide"]["layers"][-1],
    }
    role = words.say("twins_looking", measure) if measure in GUIDED else ""
    name = words.say("twins_looking", "guided" if measure in GUIDED else "judged", **facts, role=role)
    rows: list[Row] = []
    for arm in study.arms:
        value, special = _cell(study, arm, measure, VALUE), _cell(study, arm, measure, SPECIFICITY)
        above = [_difference(value["value"] - floors.get((VALUE, floor), np.nan)) for floor in FLOORS]
        ends = interval(value["ci_low"], value["ci_high"]), interval(special["ci_low"], special["ci_high"])
        rows.append([arm, number(value["value"]), ends[0], *above, _difference(special["value"]), ends[1]])
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


def expressions(study: TwinStudy) -> Section:
    """The headline, expression by expression."""
    table = study.twins
    rows = table[(table["measure"] == HEADLINE) & (table["form"] == SPECIFICITY) & (table["expression"] != ALL)]
    cells = rows.pivot_table("value", "guide", "expression", dropna=False).reindex(study.arms)
    facts = {"arms": ", ".join(study.arms), "expressions": ", ".join(map(spoken, cells.columns))}
    picture = vector(specificity_cells(cells), words.say("twins_expressions", "alt", **facts))
    plot = words.plot("twins_expressions", [picture], explainer=spoken(study.config["explainers"][0]))
    return Section("expressions", "Expression by expression", [plot, _by_expression(study)])


def _by_expression(study: TwinStudy) -> Table:
    table = study.differences
    single = table[(table["measure"] == HEADLINE) & (table["form"] == SPECIFICITY) & (table["expression"] != ALL)]
    rows: list[Row] = [
        [f"{r.first} − {r.second}", spoken(str(r.expression)), _difference(r.difference), interval(r.ci_low, r.ci_high),
         str(int(r.n_faces))]
        for r in single.itertuples()
    ]  # fmt: skip
    head = ["first − second", "expression", "difference", "95 % interval", "test faces"]
    return Table(words.say("twins_differences", "by_expression"), head, rows, folded=len(rows) > 12)


def heatmaps(study: TwinStudy, face: np.ndarray | None) -> Section:
    """The arms' heatmaps side by side, mean over seeds."""
    maps = over_seeds(study.leading, study.arms)
    facts = {"arms": ", ".join(study.arms), "expressions": ", ".join(map(spoken, maps.coords["expression"].values))}
    drawn = figures.heatmap_grid(maps, study.masks, support=study.support, face=face)
    picture = raster(drawn, words.say("twins_heatmaps", "alt", **facts))
    told = {"explainer": spoken(study.config["explainers"][0]), "face": beneath(study, face)}
    return Section(
        "heatmaps", "Side by side", [words.plot("twins_heatmaps", [picture], **told), *few_people(study, face)]
    )


def over_seeds(maps: xr.DataArray, arms: list[str]) -> xr.DataArray:
    """Maps (model, expression, y, x) whose ``model`` is the arm: means over the seeds that have one."""
    found = []
    for arm in arms:
        own = stacks.select(maps, guide=arm) if arm in maps.coords["guide"].values else maps.isel(cell=[])
        by = [own.isel(cell=np.flatnonzero(own.coords["expression"].values == e)).values for e in _shown(maps)]
        found.append(np.stack([_mean(each, maps.shape[1:]) for each in by]))
    coords = {"model": arms, "expression": _shown(maps)}
    return xr.DataArray(np.stack(found), coords, ("model", "expression", "y", "x"))


def _shown(maps: xr.DataArray) -> list[str]:
    return list(dict.fromkeys(map(str, maps.coords["expression"].values)))


def _mean(maps: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The mean of what is finite; NaN where nothing is."""
    known = np.isfinite(maps)
    count = known.sum(axis=0) if len(maps) else np.zeros(shape, int)
    total = np.where(known, maps, 0.0).sum(axis=0) if len(maps) else np.zeros(shape)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
