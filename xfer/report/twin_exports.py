"""The tables of a twin study as a paper prints them, and its methods in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

import xfer
from xfer.explainers import EXPLAINERS
from xfer.guidance import CONTROLS, LOSSES
from xfer.nulls.trivial import FLOORS
from xfer.report import words
from xfer.report.account import listed
from xfer.report.arms import cell, measure_title, records, said
from xfer.report.canvas import spoken
from xfer.study.arms import named
from xfer.study.looking import MEASURES
from xfer.study.twin_study import ALL, TwinStudy
from xfer.study.twin_tables import ACCURACY, F1, HEADLINE, MARGIN, SPECIFICITY, VALUE

_ENDS = ("ci_low", "ci_high")
_LEADING = ((HEADLINE, SPECIFICITY), (ACCURACY, VALUE), (F1, VALUE))


def tables(study: TwinStudy) -> dict[str, pd.DataFrame]:
    """What the csv files hold: everything."""
    return {"twins": study.twins, "differences": study.differences, "floors": study.floors}


def printed(study: TwinStudy) -> dict[str, tuple[pd.DataFrame, str]]:
    """What the LaTeX tables hold, means over expressions, each with its caption."""
    facts = {
        "masks": study.masks.name,
        "guided": study.config["guide"]["masks"],
        "explainer": spoken(study.config["explainers"][0]),
        "network": study.config["models"][0],
        "layers": named(study.config["guide"]["layers"][-1:], study.config.get("modules", {}))[0],
    }
    made = {"twins": _arms(study), "differences": _differences(study), "floors": _floors(study)}
    return {name: (table, words.say("twins_tables", name, **facts)) for name, table in made.items()}


def _arms(study: TwinStudy) -> pd.DataFrame:
    rows = []
    for arm in study.arms:
        row: dict[str, Any] = {"arm": arm}
        for name, key in {"accuracy": (ACCURACY, VALUE), "specificity": (HEADLINE, SPECIFICITY)}.items():
            found = cell(study, arm, *key)
            row |= {name: found["value"], **{f"{name}_{end}": found[end] for end in _ENDS}}
        rows.append(row | {measure: cell(study, arm, measure, VALUE)["value"] for measure in (F1, *MEASURES)})
    return pd.DataFrame(rows)


def _differences(study: TwinStudy) -> pd.DataFrame:
    table = study.differences
    rows = [
        {
            "first": row["first"],
            "second": row["second"],
            "measure": measure_title(measure) + (", specificity" if form == SPECIFICITY else ""),
            **{name: row[name] for name in ("difference", *_ENDS)},
            "verdict": said(row),
        }
        for measure, form in _LEADING
        for row in records(
            table[(table["measure"] == measure) & (table["form"] == form) & (table["expression"] == ALL)]
        )
    ]
    return pd.DataFrame(rows)


def _floors(study: TwinStudy) -> pd.DataFrame:
    table = study.floors[(study.floors["form"] == VALUE) & (study.floors["expression"] == ALL)]
    values = table.set_index(["floor", "measure"])["value"]
    return pd.DataFrame(
        [{"map": FLOORS[f], **{m: values.get((f, m), np.nan) for m in MEASURES}} for f in FLOORS if f in values.index]
    )


def methods(study: TwinStudy) -> str:
    """What a paper's methods section has to say; paragraphs with an empty line between them."""
    config = study.config
    parts = [_training(study), _guide(config), _looking(study), _intervals(config)]
    if config["data"]["name"] == "synthetic":
        parts.append(words.say("twins_headline", "drawn"))
    return "\n\n".join(parts)


def _training(study: TwinStudy) -> str:
    config, data = study.config, study.config["data"]
    first, count = int(config["seed"]), int(config["seeds"])
    kind = {"": "controls", "data": "data"}.get(config["ablate"], "ablation")
    titles = {arm: CONTROLS[told["control"]].title for arm, told in config["arms"].items()}
    return words.say(
        "twins_methods",
        "training",
        version=xfer.__version__,
        network=config["models"][0],
        data=data["name"],
        faces=f"{data['faces']:,}",
        subjects=f"{data['subjects']:,}",
        expressions=listed([spoken(e) for e in data["expressions"]]),
        preset=config["preset"],
        times="once" if count == 1 else f"{count} times",
        seeds=f"seed {first}" if count == 1 else f"seeds {first} to {first + count - 1}",
        arms=words.say(
            "twins_methods",
            kind,
            arms="; ".join(f"{arm} ({title})" for arm, title in titles.items()),
            names=listed(list(titles)),
            ablate=config["ablate"],
        ),
    )


def _guide(config: Mapping[str, Any]) -> str:
    guide = config["guide"]
    changing = guide["schedule"] != "constant" or guide["warm_up"]
    return words.say(
        "twins_methods",
        "guide",
        title=LOSSES[guide["loss"]].title,
        loss=guide["loss"],
        reference=LOSSES[guide["loss"]].reference,
        weight=f"{guide['weight']:g}",
        schedule=words.say("guided", "schedule", **guide) if changing else "",
        where=words.say("twins_methods", "at_pictures")
        if LOSSES[guide["loss"]].of_images
        else words.say("twins_methods", "at_layers", layers=_layers(config)),
        masks=guide["masks"],
        stride=words.say("guided", "stride", stride=guide["output_stride"]) if guide["output_stride"] else "",
    )


def _layers(config: Mapping[str, Any]) -> str:
    return listed(named(config["guide"]["layers"], config.get("modules", {})))


def _looking(study: TwinStudy) -> str:
    seen, explainer = study.looking, study.config["explainers"][0]
    return words.say(
        "twins_methods",
        "looking",
        explainer=spoken(explainer).capitalize(),
        reference=EXPLAINERS[explainer].reference,
        explained=f"{seen.dropna(subset=[HEADLINE])['face'].nunique():,}",
        tested=f"{seen['face'].nunique():,}",
        people=f"{seen['subject'].nunique():,}",
        masks=study.masks.name,
        threshold=study.config["threshold"],
        floors=listed(list(FLOORS.values())),
        layers=named(study.config["guide"]["layers"][-1:], study.config.get("modules", {}))[0],
    )


def _intervals(config: Mapping[str, Any]) -> str:
    level = "one" if config["seeds"] == 1 else "several"
    over = words.say("twins_methods", level)
    return words.say("twins_methods", "intervals", over=over, draws=f"{config['draws']:,}", margin=MARGIN)
