"""What guided the networks in training, in words, and where a score would be of what they were trained to."""

from typing import Any

from xfer.guidance import ABSENT, LOSSES
from xfer.report import words
from xfer.report.blocks import Block, Cell, Section, Table, Text
from xfer.report.canvas import decimal
from xfer.study import Study
from xfer.study.twin_study import TwinStudy
from xfer.training.guided import ABSENT_COLUMNS

_SAID = ("au", "template", "shuffled", "random")
"""The controls that have words of their own."""


def guide_of(study: Study) -> dict[str, Any]:
    """The guide of a study's configuration; {} where the networks were trained plainly."""
    told: dict[str, Any] = study.config.get("guide", {})
    return told if told.get("control", "none") != "none" else {}


def sentence(study: Study) -> str:
    """What guided the networks; "" where nothing did."""
    guide = guide_of(study)
    if not guide:
        return ""
    layers = ", ".join(map(str, guide["layers"]))
    stride = int(guide["output_stride"])
    changing = guide["schedule"] != "constant" or guide["warm_up"]
    return words.say(
        "guided",
        "text",
        control=words.say("guided", guide["control"] if guide["control"] in _SAID else "other", **guide),
        loss=guide["loss"],
        weight=f"{guide['weight']:g}",
        layers=_places(guide["loss"], layers),
        schedule=words.say("guided", "schedule", **guide) if changing else "",
        stride=words.say("guided", "stride", stride=stride) if stride else "",
    )


def _places(loss: str, layers: str) -> str:
    if LOSSES[loss].of_images:
        return words.say("guided", "pictures")
    return words.say("guided", "last") if layers == "last" else words.say("guided", "layers", layers=layers)


def blocks(study: Study) -> list[Block]:
    """The paragraph on the guide, and a caution where masks or maps are what the networks were trained to."""
    guide = guide_of(study)
    if not guide:
        return []
    taught = [
        str(masks.name)
        for masks in study.mask_sources.masks
        if str(masks.name) == guide["masks"] or masks.attrs.get("digest") == guide["masks_digest"]
    ]
    circle = [words.text("guided", "circle", tone="note", masks=", ".join(taught))] if taught else []
    return [Text(sentence(study)), *circle]


def taking_part(study: TwinStudy) -> Section:
    """How many faces each guide spoke for, and why not for the others; a reason that nowhere holds has no column."""
    table = study.mean_taking_part
    reasons = {column: ABSENT[name] for name, column in ABSENT_COLUMNS.items() if (table[column] > 0).any()}
    rows: list[list[str | Cell]] = [
        [arm, *(Cell(decimal(float(table[column][arm]), 1), "", "number") for column in ("guided_faces", *reasons))]
        for arm in study.arms
        if arm in table.index
    ]
    blocks: list[Block] = [words.text("twins_taking", "text" if rows else "unknown")]
    if rows:
        blocks.append(Table(words.say("twins_taking", "table"), ["arm", "in the term", *reasons.values()], rows))
        blocks += [] if reasons else [words.text("twins_taking", "all")]
    return Section("taking-part", "Which faces were guided", blocks)
