"""The page of a twin study: what Action Units did that their controls did not, and at what price."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xfer import heatmaps as stacks
from xfer.guidance import LOSSES
from xfer.report import agreement, figures, guided, record, words
from xfer.report.arms import Row, cell, difference, looking, measure_title, recognition, records, said, signed
from xfer.report.blocks import Block, Items, KeyFigures, Section, Table, end, interval, number, raster, vector
from xfer.report.canvas import decimal, spoken
from xfer.report.people import beneath, few_people, mean_face
from xfer.report.twin_figures import difference_plot, specificity_cells
from xfer.study.arms import named
from xfer.study.twin_study import ALL, TwinStudy
from xfer.study.twin_tables import ACCURACY, HEADLINE, MARGIN, SPECIFICITY, VALUE

_FEW_SEEDS = 5


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
        guided.taking_part(study),
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


def _seeds(study: TwinStudy) -> str:
    count = int(study.config["seeds"])
    return f"{count} times" if count != 1 else "once"


def headline(study: TwinStudy) -> Section:
    """The question, the answers control by control, and what must not be overlooked."""
    config = study.config
    text = words.text(
        "twins_headline",
        {"": "controls", "data": "ablation_data"}.get(config["ablate"], "ablation"),
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
    if smaller := _smaller_batches(study.networks):
        blocks.append(words.text("twins_headline", "batches", tone="note", names=", ".join(smaller)))
    return Section(
        "headline", "Did the Action Units do it?" if not config["ablate"] else "What the setting does", blocks
    )


def _key_figures(study: TwinStudy) -> list[tuple[str, str]]:
    """Specificity and accuracy of the first two arms that are compared."""
    pair = study.pairs[0] if study.pairs else (study.arms[0],)
    special, right = (
        [number(cell(study, arm, *key)["value"]).text for arm in pair]
        for key in ((HEADLINE, SPECIFICITY), (ACCURACY, VALUE))
    )
    facts = [
        (text, f"specificity of {arm} (IoU, own mask minus others)") for text, arm in zip(special, pair, strict=True)
    ]
    return [*facts, (" and ".join(right), f"accuracy of {' and '.join(pair)} on test people")]


def _doubtful(study: TwinStudy) -> list[str]:
    """Arms that recognise no better than the linear classifier or guessing."""
    made = study.networks[study.networks["failed"] == ""]
    bar = max(float(made["linear"].mean()), float(made["chance"].mean()), study.majority)
    return [arm for arm in study.arms if not cell(study, arm, ACCURACY, VALUE)["value"] > bar]


def _smaller_batches(networks: pd.DataFrame) -> list[str]:
    """Trainings that had fewer faces in a batch than others."""
    made = networks[networks["failed"] == ""]
    return [
        f"{row.checkpoint}: {int(row.batch)} faces, not {int(made['batch'].max())}"
        for row in made[made["batch"] < made["batch"].max()].itertuples()
    ]


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
    for row in records(_rows(study, HEADLINE, SPECIFICITY).reset_index()):
        first, second = row["first"], row["second"]
        control = (
            second if not study.config["ablate"] and f"{second}_open" in words.entries()["twins_answers"] else "other"
        )
        side = "higher" if row["ci_low"] > 0 else "lower" if row["ci_high"] < 0 else "open"
        yield f"{first} − {second}.", _sentence(f"{control}_{side}" if np.isfinite(row["ci_low"]) else "unknown", row)
    for row in records(_rows(study, ACCURACY, VALUE).reset_index()):
        first, second = row["first"], row["second"]
        if second.startswith("none"):
            kind = "safe" if row["non_inferior"] == "True" else "unsafe"
            yield f"Accuracy, {first} − {second}.", _sentence(kind if np.isfinite(row["ci_low"]) else "unknown", row)


def _sentence(name: str, row: Mapping[str, Any]) -> str:
    low, high = (end(row[name]) for name in ("ci_low", "ci_high"))
    told = {"low": low, "high": high, "margin": MARGIN, **{key: row[key] for key in ("first", "second", "reason")}}
    if not np.isfinite(row["difference"]):
        return words.say("twins_answers", "undefined", reason=row["reason"])
    by = decimal(abs(row["difference"]), 3)
    return words.say("twins_answers", name, difference=signed(row["difference"]), by=by, **told)


def rules(study: TwinStudy) -> Section:
    """What keeps the headline from going round in circles."""
    config, looking = study.config, study.looking
    guiding, layers, weights = (", ".join(_used(config, name)) for name in ("masks", "layers", "weight"))
    people = looking.drop_duplicates("face")
    explained = int(looking.dropna(subset=[HEADLINE])["face"].nunique())
    unknown = study.dropped.loc[study.dropped["kind"] == "note", "reason"].astype(str).str.startswith("no subjects")
    facts = {
        "explainer": spoken(config["explainers"][0]).capitalize(),
        "layer": layers,
        "guided": guiding.replace(", ", "', '"),
        "masks": study.masks.name,
        "faces": f"{len(people):,}",
        "subjects": f"{people['subject'].nunique():,}",
        "explained": f"{explained:,}",
        "weight": weights,
        "loss": spoken(config["guide"]["loss"]),
        "layers": layers,
        "draws": f"{config['draws']:,}",
    }
    entries = words.entries()["twins_rules"]
    twins = "twins_data" if config["ablate"] == "data" else "twins"
    judge = "explainer_free" if LOSSES[config["guide"]["loss"]].of_images else "explainer"
    names = (judge, "masks", "shared" if unknown.any() else "people", twins, "intervals")
    items = [(lead, text.format(**facts)) for lead, text in (entries[name] for name in names)]
    return Section("rules", "No circles", [words.text("twins_rules"), Items(items)])


def _used(config: dict[str, Any], name: str) -> list[str]:
    """What the arms have for one setting of the guide, each once."""
    told = [arm[name] for arm in config["arms"].values() if name in arm] or [config["guide"][name]]
    return list(dict.fromkeys(_plainly(each, config.get("modules", {})) for each in told))


def _plainly(value: Any, modules: Mapping[str, str]) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(named(value, modules)) if isinstance(value, list) else str(value)


def differences(study: TwinStudy) -> Section:
    """The forest of differences, and all of them as a table."""
    special, right = _rows(study, HEADLINE, SPECIFICITY), _rows(study, ACCURACY, VALUE)
    drawn = difference_plot(special, right, MARGIN)
    plot = words.plot("twins_differences", [vector(drawn, words.say("twins_differences", "alt"))], margin=MARGIN)
    table = study.differences
    whole = table[table["expression"] == ALL]
    rows: list[Row] = [
        [
            f"{row['first']} − {row['second']}",
            measure_title(row["measure"]) + (", specificity" if row["form"] == SPECIFICITY else ""),
            difference(row["difference"]),
            interval(row["ci_low"], row["ci_high"]),
            said(row),
        ]
        for row in records(whole)
    ]
    head = ["first − second", "measure", "difference", "95 % interval", ""]
    title_ = words.say("twins_differences", "table")
    return Section("differences", "Guided and not", [plot, Table(title_, head, rows, folded=len(rows) > 12)])


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
        [
            f"{row['first']} − {row['second']}",
            spoken(row["expression"]),
            difference(row["difference"]),
            interval(row["ci_low"], row["ci_high"]),
            str(int(row["n_faces"])),
        ]
        for row in records(single)
    ]
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
