"""The cards of twins: what each arm and seed was trained by, recognises and looks at."""

from dataclasses import replace
from math import nan
from typing import Any

import pandas as pd

from xfer.study import model_card
from xfer.study.looking import JUDGED, others
from xfer.study.model_card import Card
from xfer.study.twin_study import ALL, TwinStudy
from xfer.study.twin_tables import HEADLINE, SPECIFICITY, VALUE


def of_study(study: TwinStudy) -> list[Card]:
    """The cards of all twins that a study trained and explained."""
    made = study.networks[study.networks["failed"] == ""]
    return [_card(study, row) for row in made.to_dict("records")]


def _card(study: TwinStudy, row: dict[Any, Any]) -> Card:
    arm, seed = str(row["guide"]), int(row["seed"])
    predicted, seen = (
        table[(table["guide"] == arm) & (table["seed"].astype(int) == seed)]
        for table in (study.predictions, study.looking)
    )
    floors = study.floors
    chosen = (floors["measure"] == HEADLINE) & (floors["form"] == VALUE) & (floors["expression"] == ALL)
    known = floors[chosen].set_index("floor")["value"].dropna()
    return replace(
        model_card.of_row(_config(study, str(row["model"]), arm, seed), study.folder, row, predicted),
        masks=str(study.masks.name),
        human=str(study.masks.name) in study.mask_sources.raters,
        scores=_scores(seen),
        floors={str(name).replace("_", " "): float(value) for name, value in known.items()},
        floors_of=f"{HEADLINE} ({study.config['threshold']})",
    )


def _config(study: TwinStudy, model: str, arm: str, seed: int) -> dict[str, Any]:
    """The study's configuration with the seed and the guide of one twin."""
    guide = {name: value for name, value in study.config["arms"][arm].items() if name != "share"}
    if "seed" in guide:
        guide["seed"] = seed
    networks = {**study.config["networks"], model: {**study.config["networks"][model], "seed": seed}}
    return {**study.config, "guide": guide, "networks": networks}


def _scores(seen: pd.DataFrame) -> list[dict[str, Any]]:
    """Of the maps of single faces: the own mask's, and as specificity; means over expressions that count alike."""
    found = []
    for measure in JUDGED:
        own = seen[measure].astype(float)
        for form, values in ((VALUE, own), (SPECIFICITY, own - seen[others(measure)].astype(float))):
            name = f"{measure} of single faces" + (f", {SPECIFICITY}" if form == SPECIFICITY else "")
            value = float(values.groupby(seen["expression"]).mean().mean())
            unknown = dict.fromkeys(("corrected", "ci_low", "ci_high", "null_mean", "ceiling", "p_holm"), nan)
            found.append({"name": name, "value": value, **unknown})
    return found
