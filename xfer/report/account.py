"""What was run, for the head of the page of a study that trained its networks."""

from typing import Any

import numpy as np
import pandas as pd

from xfer import scoring
from xfer.report import guided, words
from xfer.report.blocks import Block, number
from xfer.report.canvas import finite_mean, spoken
from xfer.report.reading import is_human
from xfer.report.trained import Doubts, is_trained, results
from xfer.study import Study


def account(study: Study) -> list[Block]:
    """The paragraph on data, networks, preset and explainers, and whatever of it must not be overlooked."""
    if not is_trained(study):
        return []
    config = study.config
    data: dict[str, Any] = dict(config.get("data", {}))
    folds, per_class = int(config.get("folds", 0) or 0), int(config.get("per_class", 0) or 0)
    testing = words.say("account", "folds", folds=folds) if folds > 1 else words.say("account", "split")
    made = len(results(study.networks))
    text = words.text(
        "account",
        networks=f"{made} networks were trained" if made != 1 else "One network was trained",
        preset=config.get("preset", "unknown"),
        seed=config.get("seed", "unknown"),
        data=data.get("name", "unknown"),
        faces=_count(data.get("faces")),
        subjects=_count(data.get("subjects")),
        expressions=listed([spoken(e) for e in data.get("expressions", [])]) or "unknown expressions",
        testing=f"{testing} {disjoint(study)}",
        explainers=listed([spoken(e) for e in config.get("explainers", [])]) or "an unknown explainer",
        chosen=words.say("account", "per_class", n=per_class) if per_class else words.say("account", "every"),
        target=words.say("account", "predicted" if config.get("selection") == "predicted" else "true"),
    )
    return [text, *guided.blocks(study), *_cautions(study, str(data.get("name", "")))]


def listed(names: list[str]) -> str:
    """Names in a sentence.

    >>> listed(["anger", "fear", "joy"]), listed(["anger"])
    ('anger, fear and joy', 'anger')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | np.integer) else "unknown"


def _cautions(study: Study, data: str) -> list[Block]:
    notes: list[Block] = []
    if data == "synthetic":
        notes.append(words.text("account", "synthetic_human" if is_human(study) else "synthetic", tone="note"))
    lost = [str(m) for m in dict.fromkeys(study.networks["model"]) if m not in results(study.networks).index]
    if lost:
        total = study.networks["model"].nunique()
        notes.append(words.text("account", "failed", "note", failed=len(lost), total=total, names=", ".join(lost)))
    return notes


def doubtful(doubts: Doubts) -> list[Block]:
    """The caution that some heatmaps explain nothing: which, in one sentence."""
    whole = list(doubts.networks)
    cells = [e for e in doubts.expressions if e[0] not in doubts.networks]
    names = [f"all of {listed(whole)}"] if whole else []
    if cells:
        more = " further" if whole else ""
        names.append(f"{len(cells)}{more} {'cells' if len(cells) != 1 else 'cell'} of a rarely recognised expression")
    return [words.text("account", "doubts", tone="note", names=listed(names))] if names else []


def spans(study: Study, table: pd.DataFrame, metric: str) -> list[tuple[str, str]]:
    """Key figures: how many faces were tested, the range of accuracies, and beside it that of the agreement."""
    found = results(study.networks) if is_trained(study) else pd.DataFrame()
    if found.empty:
        return []
    tested = study.predictions
    faces, people = tested["face"].nunique(), tested["subject"].nunique()
    facts = [(f"{faces:,}", f"test faces of {people:,} subjects")]
    chance = finite_mean(found["chance"])
    guess = f" (chance {number(chance).text})" if np.isfinite(chance) else ""
    facts.append((_span(found["accuracy"]), f"accuracy, worst to best network{guess}"))
    return [*facts, (_span(scoring.network_means(table)), f"mean {metric}, lowest to highest network")]


def _span(values: pd.Series) -> str:
    finite = values[np.isfinite(values)]
    if finite.empty:
        return "undefined"
    low, high = number(finite.min()).text, number(finite.max()).text
    return low if low == high else f"{low} to {high}"


def disjoint(study: Study) -> str:
    """The sentence on whether a tested person took part in training."""
    notes = study.dropped.loc[study.dropped["kind"] == "note", "reason"].astype(str)
    return words.say("account", "perhaps_shared" if notes.str.startswith("no subjects are told").any() else "disjoint")
