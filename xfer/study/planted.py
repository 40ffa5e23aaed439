"""Planted cues: do explainers find the one place that tells the class, where a network demonstrably relies on it?

Faces are drawn whose class a cue alone carries; a small network learns them; drawn without the cue it must know
nothing. What then lies outside the cue's place is the explainer's doing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xfer.datasets.synthetic import CUES, Face, cue_region, draw, remove, synthetic
from xfer.datasets.synthetic import faces as drawn_faces
from xfer.errors import InputError, unknown
from xfer.explainers import choose, trace
from xfer.labels import BASIC
from xfer.metrics import METRICS
from xfer.progress import Stage, followed, silent
from xfer.statistics.estimates import mean_interval
from xfer.training import Settings, fit, hold_out, read

__all__ = ["ALL", "MARGIN", "Planted", "check", "plant", "scores", "standings"]

MARGIN = 0.05
"""Without the cue the accuracy may be this much above chance."""

LEARNT = 0.5
"""With the cue the accuracy must be at least this share of the way from chance to 1."""

METRIC_NAMES = ("energy_inside", "rank_accuracy")
ALL = "all"
"""What stands for the cue of the mean over all cues that count."""

SETTINGS: Mapping[str, Mapping[str, Any]] = {"perturbation": {"samples": 300}}

COLUMNS = ["cue", "explainer", "metric", "score", "ci_low", "ci_high", "chance", "n", "counted", "reason"]


@dataclass(frozen=True)
class Planted:
    """A network that learnt a planted cue, and faces to explain.

    Attributes
    ----------
    cue : str
    model : nn.Module
    images : tensor (face, 3, y, x)
        Of people the network never saw, in [0, 1].
    labels : int array (face,)
    masks : bool array (face, y, x)
        Where the cue can be seen.
    predicted : int array (face,)
    accuracy, without : float
        On these faces, and on the same faces drawn without the cue.
    chance : float
    """

    cue: str
    model: nn.Module
    images: Tensor
    labels: NDArray[np.int64]
    masks: NDArray[np.bool_]
    predicted: NDArray[np.int64]
    accuracy: float
    without: float
    chance: float

    @property
    def reason(self) -> str:
        """Why the network does not count; "" where it relies on the cue."""
        if self.accuracy < self.chance + LEARNT * (1 - self.chance):
            return f"not learnt: accuracy {self.accuracy:.2f}, chance {self.chance:.2f}"
        if self.without > self.chance + MARGIN:
            return f"not relied on: accuracy without it {self.without:.2f}, chance {self.chance:.2f}"
        return ""


class _Small(nn.Sequential):
    """Three convolutions, an average and a linear layer."""

    def __init__(self, classes: int) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 16), (16, 32), (32, 48)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if outputs < 48 else [nn.AdaptiveAvgPool2d(1)]
        super().__init__(*layers, nn.Flatten(), nn.Linear(48, classes))


def plant(
    cue: str,
    *,
    classes: int = 3,
    faces: int = 1500,
    tested: int = 240,
    size: int = 48,
    epochs: int = 12,
    seed: int = 0,
    device: str = "cpu",
    progress: Stage = silent,
) -> Planted:
    """Train a small network on drawn faces whose class one cue carries.

    Parameters
    ----------
    cue : str
        One of `xfer.datasets.synthetic.CUES`.
    classes : int
        What it tells apart.
    faces, tested : int
        To train on, and to test and explain; of other people.
    size : int
        Side of the faces, px.
    epochs : int
    seed : int
        Of faces and weights.
    device : str
    progress : callable
        A step is a batch of the training.

    Raises
    ------
    InputError
        If the cue is unknown or a number does not fit.
    """
    if cue not in CUES:
        raise unknown("cue", cue, CUES)
    if not 2 <= classes <= len(BASIC) or tested < classes or faces < 20 * classes:
        raise InputError(
            f"a planted cue needs 2 to {len(BASIC)} classes, 20 faces of each to learn from and one of each to test; "
            f"got {classes} classes, {faces} and {tested} faces"
        )
    expressions = BASIC[:classes]
    dataset = synthetic(faces=faces, size=size, seed=2 * seed, cue=cue, expressions=expressions)
    settings = Settings(size=size, epochs=epochs, batch=32, lr=5e-3, seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _Small(classes)
    pixels = read(dataset, size, classes=expressions)
    parts = hold_out(dataset, range(faces), settings.validation, seed)
    fit(model, pixels, *parts, settings, name=f"cue {cue}", device=device, progress=progress)
    return _tested(cue, model, drawn_faces(tested, 2 * seed + 1, expressions, cue=cue), expressions, size)


def _tested(cue: str, model: nn.Module, people: Sequence[Face], expressions: Sequence[str], size: int) -> Planted:
    labels = np.array([expressions.index(face.expression) for face in people])
    images = _pictures(people, size)
    predicted = _predicted(model, images)
    blind = _predicted(model, _pictures([remove(face, cue) for face in people], size))
    masks = np.stack([cue_region(face, cue, size) for face in people])
    right, still_right = float((predicted == labels).mean()), float((blind == labels).mean())
    return Planted(cue, model, images, labels, masks, predicted, right, still_right, 1 / len(expressions))


def _pictures(people: Sequence[Face], size: int) -> Tensor:
    return torch.from_numpy(np.stack([draw(face, size) for face in people])).permute(0, 3, 1, 2).float() / 255


def _predicted(model: nn.Module, images: Tensor) -> NDArray[np.int64]:
    with torch.inference_mode():
        return np.concatenate([model(some).argmax(1).numpy() for some in images.split(128)])


def scores(
    planted: Planted,
    explainers: str | Sequence[str] = "all",
    *,
    explained: int = 32,
    settings: Mapping[str, Mapping[str, Any]] = SETTINGS,
    batch_size: int = 64,
    tick: Any = None,
) -> pd.DataFrame:
    """How well each explainer recovers the cue on each face that the network gets right.

    Parameters
    ----------
    planted : Planted
    explainers : str or sequence of str
        As for `xfer.explainers.attribute`; the class explained is the face's own.
    explained : int
        Faces, at most.
    settings, batch_size
        As for `xfer.explainers.attribute`.
    tick : callable, optional
        Called after every explainer.

    Returns
    -------
    DataFrame
        cue, explainer, metric, face, score (NaN where the metric is undefined, or the explainer does not apply),
        chance (the mask's share of the picture), reason.
    """
    chosen = np.flatnonzero(planted.predicted == planted.labels)[:explained]
    if not len(chosen):
        raise InputError(f"the network of the cue {planted.cue!r} gets no face right: train longer")
    images, labels, masks = planted.images[chosen], planted.labels[chosen], planted.masks[chosen]
    tables: list[pd.DataFrame] = []
    for explainer in choose(explainers):
        options: dict[str, Any] = {"batch_size": batch_size, "settings": settings, "lenient": True}
        seen = trace(planted.model, images, explainer.name, labels, **options)
        maps = next((by[explainer.name] for by in seen.maps.values() if explainer.name in by), None)
        tables += list(_scored(planted.cue, explainer.name, maps, masks, seen.left_out.get(explainer.name, "")))
        if tick:
            tick()
    return pd.concat(tables, ignore_index=True)


def _scored(cue: str, name: str, maps: Tensor | None, masks: NDArray[np.bool_], reason: str) -> Iterator[pd.DataFrame]:
    values: NDArray[Any] | None = None
    if maps is not None:
        size = (masks.shape[1], masks.shape[2])
        values = nn.functional.interpolate(maps.double(), size=size, mode="bilinear")[:, 0].cpu().numpy()
    for metric in METRIC_NAMES:
        found = np.full(len(masks), np.nan) if values is None else METRICS[metric](values, masks)
        facts = {"cue": cue, "explainer": name, "metric": metric, "face": np.arange(len(masks))}
        yield pd.DataFrame({**facts, "score": found, "chance": masks.mean((1, 2)), "reason": reason})


def standings(table: pd.DataFrame, planted: Sequence[Planted], *, seed: int = 0) -> pd.DataFrame:
    """The leaderboard: mean scores with intervals over faces, for every cue and for all that count together.

    Parameters
    ----------
    table : DataFrame
        From `scores`, of all cues.
    planted : sequence of Planted
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        cue, explainer, metric, score, ci_low, ci_high, chance, n, counted, reason; best first. For the cue ``all`` the
        score is the mean over faces of (score - chance) / (1 - chance): 0 at chance, 1 for a map inside the cue.
    """
    reasons: dict[Any, str] = {each.cue: each.reason for each in planted}
    rows = []
    for (cue, explainer, metric), each in table.groupby(["cue", "explainer", "metric"], sort=False):
        mean = mean_interval(each["score"].to_numpy(), seed=seed)
        why = reasons[cue] or each["reason"].iloc[0] or mean.reason
        facts = (mean.value, mean.ci_low, mean.ci_high, each["chance"].mean(), mean.n, not reasons[cue], why)
        rows.append((cue, explainer, metric, *facts))
    counted = table[table["cue"].map(lambda cue: not reasons[cue])]
    for (explainer, metric), each in counted.groupby(["explainer", "metric"], sort=False):
        gains = (each["score"] - each["chance"]) / (1 - each["chance"])
        mean = mean_interval(gains.to_numpy(), seed=seed)
        facts = (mean.value, mean.ci_low, mean.ci_high, 0.0, mean.n, True, each["reason"].iloc[0] or mean.reason)
        rows.append((ALL, explainer, metric, *facts))
    found = pd.DataFrame(rows, columns=COLUMNS)
    return found.sort_values(["cue", "metric", "score"], ascending=[True, True, False], ignore_index=True)


@followed()
def check(
    cues: Sequence[str] = CUES,
    explainers: str | Sequence[str] = "all",
    *,
    explained: int = 32,
    seed: int = 0,
    progress: Stage = silent,
    **options: Any,
) -> tuple[pd.DataFrame, list[Planted]]:
    """Train a network a cue and rank explainers by how well they recover it.

    Parameters
    ----------
    cues : sequence of str
    explainers, explained
        As for `scores`.
    seed, options
        As for `plant`.
    progress : callable

    Returns
    -------
    table : DataFrame
        As `standings`.
    planted : list of Planted

    Raises
    ------
    InputError
        As `plant`; or for an explainer that is not there.
    """
    names = [each.name for each in choose(explainers)]
    for cue in cues:
        if cue not in CUES:
            raise unknown("cue", cue, CUES)
    planted, tables = [], []
    for cue in dict.fromkeys(cues):
        planted.append(plant(cue, seed=seed, progress=progress, **options))
        tick = progress(f"explaining {cue}", len(names))
        tables.append(scores(planted[-1], names, explained=explained, tick=tick))
    return standings(pd.concat(tables, ignore_index=True), planted, seed=seed), planted
