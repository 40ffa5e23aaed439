"""A card beside every trained network: its data, labels, guidance, scores, floors and limits, from what was run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from html import escape
from math import isfinite, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

import xfer
from xfer import scoring, training
from xfer.guidance import ABSENT, LOSSES
from xfer.study.arms import named
from xfer.study.folder import CHECKPOINTS, write_whole
from xfer.study.recognition import kept_epoch
from xfer.study.study import Study
from xfer.study.unit import Unit
from xfer.training.guided import ABSENT_COLUMNS

ERRORS = 3
"""Standard errors above chance under which an accuracy is no better than guessing."""

_CHANGES = ("flip", "rotation", "shift", "contrast", "crop", "grey", "colour", "erasing")
_MEASURES = {True: "human alignment", False: "FACS agreement"}


@dataclass(frozen=True)
class Card:
    """What is known of a trained network; NaN and empty where it is not.

    Attributes
    ----------
    config : mapping
        The study's.
    network, fold, checkpoint, digest : str
    epoch, batch, n_train, n_validation, n_test : float
    accuracy, macro_f1, linear, chance : float
    start, precision, remarks : str
    guide_term, guided_faces : float
        Of the kept epoch.
    absent : mapping of reason to float
        How many of its faces took no part in the guide's term.
    recalls : mapping of expression to float
    layer, grid, masks, coarse : str
        Of its heatmaps.
    human : bool
        Whether the masks were collected from people.
    scores : sequence of mapping
        A row of its heatmaps' scores each.
    floors : mapping of null to float
        What other maps score by the metric `floors_of`.
    """

    config: Mapping[str, Any]
    network: str
    fold: str
    checkpoint: str
    digest: str = ""
    epoch: float = nan
    batch: float = nan
    n_train: float = nan
    n_validation: float = nan
    n_test: float = nan
    accuracy: float = nan
    macro_f1: float = nan
    linear: float = nan
    chance: float = nan
    start: str = ""
    precision: str = ""
    remarks: str = ""
    guide_term: float = nan
    guided_faces: float = nan
    absent: Mapping[str, float] = field(default_factory=dict)
    recalls: Mapping[str, float] = field(default_factory=dict)
    layer: str = ""
    grid: str = ""
    masks: str = ""
    coarse: str = ""
    human: bool = False
    scores: Sequence[Mapping[str, Any]] = ()
    floors: Mapping[str, float] = field(default_factory=dict)
    floors_of: str = ""

    @property
    def data(self) -> Mapping[str, Any]:
        """What the faces are."""
        told: Mapping[str, Any] = self.config["data"]
        return told

    @property
    def expressions(self) -> list[str]:
        """The classes, in the order of the logits."""
        return list(self.data["expressions"])

    @property
    def training(self) -> Mapping[str, Any]:
        """Its settings."""
        told: Mapping[str, Any] = self.config["networks"][self.network]
        return told

    @property
    def preset(self) -> str:
        """By name."""
        return str(self.config["preset"])

    @property
    def guide(self) -> Mapping[str, Any]:
        """What guided it."""
        told: Mapping[str, Any] = self.config["guide"]
        return told

    @property
    def guided(self) -> bool:
        """Whether anything did."""
        return bool(self.guide["control"] != "none")

    @property
    def place(self) -> str:
        """What is guided: layers, with the modules where a study tells them, or gradients at the pictures."""
        if LOSSES[self.guide["loss"]].of_images:
            return "gradients at the pictures"
        return f"the layers {', '.join(named(self.guide['layers'], self.config.get('modules', {})))}"

    @property
    def output_stride(self) -> int:
        """0 for the network's own."""
        return int(self.training["output_stride"])

    @property
    def explainer(self) -> str:
        """The one that leads."""
        return str(self.config["explainers"][0])

    @property
    def measure(self) -> str:
        """What a score is of."""
        return _MEASURES[self.human]

    @property
    def changes(self) -> str:
        """What training changed in its faces."""
        told = {name: self.training[name] for name in _CHANGES}
        return ", ".join(f"{n} {v:g}" if v is not True else n for n, v in told.items() if v)

    @property
    def identified(self) -> bool:
        """Whether the data tell who is who."""
        return bool(self.data["subjects"] < self.data["faces"])

    @property
    def limits(self) -> list[str]:
        """What the card cannot say."""
        said = [
            "It names the expression that a face shows by the labels of its data, not what a person feels.",
            "People, poses, light and cultures that its data lack were not tested, and no group of people by itself.",
        ]
        if self.data["name"] == "synthetic":
            said.append(
                "The faces are drawn; faces and masks share an author. This tests software and says nothing of people."
            )
        bar = self.chance + ERRORS * sqrt(self.chance * (1 - self.chance) / self.n_test) if self.n_test > 0 else nan
        if self.accuracy <= bar:
            said.append(
                f"Its accuracy is not {ERRORS} standard errors above chance ({bar:.3f}): heatmaps explain nothing."
            )
        if self.accuracy < self.linear:
            said.append("It recognises expressions less well than the linear classifier on grey pixels.")
        if self.coarse:
            said.append(f"Its heatmaps are not scored: {self.coarse}.")
        if self.guided and self.masks == self.guide["masks"]:
            said.append(f"It was trained to look at the masks it is scored against ({escape(self.masks)}): a circle.")
        if self.guided:
            said.append("That it was guided does not show that the Action Units helped: compare it with the controls.")
        return said

    def text(self) -> str:
        """The card as Markdown."""
        return _template().render(card=self, version=xfer.__version__)


def write(home: Path, card: Card) -> Path:
    """Write a card beside its network's weights."""
    path = home / CHECKPOINTS / f"{card.checkpoint}.md"
    write_whole(path, lambda aside: aside.write_text(card.text(), encoding="utf-8"))
    return path


def of_study(study: Study) -> list[Card]:
    """The cards of all networks that a study trained and explained; none of those that were trained elsewhere."""
    told = study.config["networks"]
    made = study.networks[study.networks["failed"] == ""]
    return [_card(study, row) for row in _rows(made) if told[row["model"]]["start_kind"] != "onnx"]


def _card(study: Study, row: Mapping[str, Any]) -> Card:
    own = study.predictions[(study.predictions["model"] == row["model"]) & (study.predictions["fold"] == row["fold"])]
    floors_of, floors = _floors(study, row["model"])
    return replace(
        of_row(study.config, study.folder, row, own),
        masks=str(study.masks.name),
        human=str(study.masks.name) in study.mask_sources.raters,
        scores=_scores(study, row["model"]),
        floors=floors,
        floors_of=floors_of,
    )


def of_row(config: Mapping[str, Any], home: Path, row: Mapping[str, Any], predictions: pd.DataFrame) -> Card:
    """The card of a row of a study's networks with its predictions, but for what its heatmaps score."""
    names = (
        "fold", "checkpoint", "epoch", "batch", "n_train", "n_validation", "n_test", "accuracy", "macro_f1", "linear",
        "chance", "start", "precision", "remarks", "layer", "grid", "coarse",
    )  # fmt: skip
    recall = training.recall(predictions, list(config["data"]["expressions"]))
    return Card(
        config,
        row["model"],
        digest=row["weights_digest"],
        **{name: row[name] for name in names},
        **_of_log(home, row["checkpoint"], row["epoch"]),
        recalls={str(name): float(value) for name, value in recall.items()},
    )


def of_unit(config: Mapping[str, Any], unit: Unit, accuracy: float, linear: float) -> Card:
    """The card of a network that is trained and not explained yet."""
    folder = unit.home / CHECKPOINTS
    log = pd.read_csv(folder / f"{unit.name}.csv")
    best = log.sort_values(["validation_accuracy", "validation_loss"], ascending=[False, True], kind="stable").iloc[0]
    train, validation, test = (len(unit.pixels.labelled(part)) for part in (unit.train, unit.validation, unit.test))
    return Card(
        config,
        unit.network,
        unit.fold,
        unit.name,
        training.digest(folder / f"{unit.name}.safetensors"),
        epoch=float(best["epoch"]),
        n_train=train,
        n_validation=validation,
        n_test=test,
        accuracy=accuracy,
        linear=linear,
        chance=1 / len(config["data"]["expressions"]),
        start=str(unit.start),
        **_of_log(unit.home, unit.name, float(best["epoch"])),
    )


def _of_log(home: Path, checkpoint: str, epoch: float) -> dict[str, Any]:
    """Who took part in the guide's term in the kept epoch; {} where the log is gone."""
    found = kept_epoch(home, checkpoint, epoch)
    absent = {why: found.get(ABSENT_COLUMNS[name], 0.0) for name, why in ABSENT.items()}
    known: dict[str, Any] = {name: found[name] for name in ("guide_term", "guided_faces") if name in found}
    return {**known, "absent": {why: count for why, count in absent.items() if count}}


def _scores(study: Study, model: str) -> list[dict[str, Any]]:
    """A network's scores; without draws those of the plain maps."""
    table = study.network_scores
    if len(table):
        own = table[table["model"] == model]
        return [{**row, "name": _named(row["metric"], row["threshold"])} for row in _rows(own)]
    unknown = dict.fromkeys(("corrected", "ci_low", "ci_high", "null_mean", "ceiling", "p_holm"), nan)
    means = {metric: scoring.network_means(study.table(metric)) for metric in _metrics(study)}
    return [{"name": metric, "value": float(found.get(model, nan)), **unknown} for metric, found in means.items()]


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _metrics(study: Study) -> list[str]:
    return [name for name in study.config["metrics"] if name in set(study.leading_scores["metric"])]


def _named(metric: str, threshold: str) -> str:
    return f"{metric} ({threshold})" if threshold else metric


def _floors(study: Study, model: str) -> tuple[str, dict[str, float]]:
    """What each null scores in place of a network's maps by the first metric, a mean over expressions."""
    if not len(study.nulls):
        return "", {}
    own = study.nulls[study.nulls["model"] == model]
    if own.empty:
        return "", {}
    first = own.iloc[0]
    alike = own[(own["metric"] == first["metric"]) & (own["threshold"] == first["threshold"])]
    found = alike.groupby("null")["null_mean"].mean().dropna()
    return _named(first["metric"], first["threshold"]), {str(n).replace("_", " "): float(v) for n, v in found.items()}


@cache
def _template() -> Any:
    made = Environment(
        loader=PackageLoader("xfer.study"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"plain": _plain, "score": _score, "count": _count}
    return made.get_template("model_card.md.j2")


def _plain(text: object) -> str:
    r"""Somebody's words as one line without markup.

    >>> _plain("a | <b>\n`c`")
    'a / &lt;b&gt; c'
    """
    return escape(" ".join(str(text).replace("|", "/").replace("`", "").split()), quote=False)


def _score(value: float) -> str:
    return f"{value:.3f}" if isinstance(value, int | float | np.number) and isfinite(value) else "not known"


def _count(value: float) -> str:
    return f"{int(value):,}" if isinstance(value, int | float | np.number) and isfinite(value) else "not known"
