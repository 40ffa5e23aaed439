"""Action Unit attribution of a network over faces: from MODEL and data to tables, and what they say together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xfer import landmarking
from xfer.datasets import Dataset
from xfer.datasets.synthetic import Face, face_of
from xfer.datasets.synthetic.prototypes import default
from xfer.errors import InputError, unknown
from xfer.explainers.action_units import attribute_units, open_codebook, unfit_faces
from xfer.explainers.segments import frame_regions
from xfer.models.facts import Facts
from xfer.progress import Stage, followed, silent
from xfer.statistics.estimates import Estimate
from xfer.study import faces as study_faces
from xfer.study.action_unit_means import correlation_interval, mean_units, shares_inside
from xfer.study.faces import open_faces
from xfer.study.interventions import beside, effects, rank_correlations
from xfer.study.loading import load_model
from xfer.training import pixels as pictures

TARGETS = ("true", "predicted", "all")
"""Which class of a face is explained, in words."""

FACES = 40

_SMALLEST = 16
"""px: the smallest picture that is drawn."""


@dataclass(frozen=True)
class Units:
    """Attributions of a network.

    Attributes
    ----------
    table : DataFrame
        As `attribute_units` returns it, with ``expression``, ``subject`` and the columns of `interventions.beside`.
    means : DataFrame
        As `mean_units`.
    codebook_shares : DataFrame
        As `shares_inside`.
    correlations : DataFrame
        Of attributions with true effects by face, see `interventions.rank_correlations`; empty where no face is drawn.
    mean_correlation : Estimate
        Their mean over subjects, with its interval.
    pooled : float
        The same correlation over all faces together.
    left_out : dict of str to str
        Faces without attribution, and why.
    notes : tuple of str
        What the data set says of itself.
    """

    table: pd.DataFrame
    means: pd.DataFrame
    codebook_shares: pd.DataFrame
    correlations: pd.DataFrame
    mean_correlation: Estimate
    pooled: float
    left_out: dict[str, str]
    notes: tuple[str, ...] = field(default=())


@followed()
def network_units(
    model: str,
    data: str = study_faces.DRAWN,
    *,
    home: str | Path,
    faces: int = FACES,
    target: str = "true",
    regions: str = "xfer",
    codebook: str = "facs_investigator",
    seed: int = 1,
    crop: str | None = None,
    landmarker: str = "mediapipe",
    network: dict[str, Any] | None = None,
    progress: Stage = silent,
    **options: Any,
) -> Units:
    """Attribute a network's answers to the Action Unit regions of faces.

    Parameters
    ----------
    model : str
        As `load_model` takes it.
    data : str
        As `xfer.datasets.open` takes it.
    home : path
        A folder where ``landmarks.parquet`` is kept; made where it is missing.
    faces : int
        At most so many, as evenly over the network's expressions as there are faces, people as different as can be.
    target : str
        One of `TARGETS` or a class.
    regions, codebook
        As `attribute_units` takes them.
    seed : int
        Of drawn faces, the choice of faces and the coalitions. Studies train on drawn faces of seed 0 by default.
    crop : {"whole", "face"}, optional
    landmarker : str
        For faces without landmarks.
    network : dict, optional
        Further arguments of `load_model`.
    progress : Stage
    **options
        Of `xfer.explainers.action_units.unit_values`.

    Raises
    ------
    InputError
        If the network or the data cannot be opened, classes have no names, the target, regions or codebook are not
        there, or no face is left.
    """
    frame_regions(regions)
    open_codebook(codebook)
    net, facts = load_model(model, **(network or {}))
    if not facts.classes:
        raise InputError(f"{model}: nobody tells the names of its classes; give --labels in the order of its logits")
    if target not in (*TARGETS, *facts.classes):
        raise unknown("target", target, (*TARGETS, *facts.classes))
    dataset = _drawn(model, facts, faces, seed) if data == study_faces.DRAWN else open_faces(data, min_faces=1)
    folder = Path(home)
    folder.mkdir(parents=True, exist_ok=True)
    chosen, left_out = _choose(dataset, facts.classes, faces, seed)
    seen, lost = _prepared(chosen, data, folder, facts, crop, landmarker, progress)
    table = _attributed(net, facts, seen, target, progress, regions=regions, codebook=codebook, seed=seed, **options)
    by_face, pooled = rank_correlations(table)
    tick = progress("intervals", 1)
    means, shares = mean_units(table, seed=seed), shares_inside(table, seed=seed)
    tick()
    mean = correlation_interval(table, by_face, seed=seed)
    return Units(table, means, shares, by_face, mean, pooled, {**left_out, **lost}, tuple(dataset.notes))


@dataclass(frozen=True)
class _Seen:
    """Faces as the network takes them."""

    dataset: Dataset
    images: Tensor
    landmarks: Tensor
    boxes: NDArray[np.float64] | None


def _drawn(model: str, facts: Facts, faces: int, seed: int) -> Dataset:
    """Faces that show a network's classes, people enough to choose from."""
    shown = [label for label in facts.classes if label in default()]
    if len(shown) < 2:
        raise InputError(f"{model}: drawn faces show fewer than two of its classes; give --data")
    return open_faces(
        study_faces.DRAWN, expressions=shown, faces=faces * len(shown), size=max(facts.size, _SMALLEST), seed=seed
    )


def _choose(dataset: Dataset, classes: Sequence[str], most: int, seed: int) -> tuple[Dataset, dict[str, str]]:
    """Faces in turn of every expression that the network tells, new people first."""
    order = np.random.default_rng(seed).permutation(len(dataset))
    told = [(str(sample.expression), sample.subject) for sample in dataset.samples]
    table = pd.DataFrame(told, columns=["expression", "subject"]).iloc[order]
    known = table["expression"].isin(classes)
    foreign = table.index[~known]
    left_out = {dataset.samples[i].id: f"{told[i][0]} is none of the network's classes" for i in foreign}
    if not known.any():
        raise InputError(f"{dataset.name}: no face shows any of {', '.join(classes)}")
    again = table[known].groupby(["expression", "subject"], sort=False).cumcount().sort_values(kind="stable")
    turn = table.loc[again.index].groupby("expression", sort=False).cumcount().sort_values(kind="stable")
    return dataset.take(sorted(turn.index[:most])), left_out


def _prepared(
    dataset: Dataset,
    data: str,
    home: Path,
    facts: Facts,
    crop: str | None,
    landmarker: str,
    progress: Stage,
) -> tuple[_Seen, dict[str, str]]:
    """Landmarks, crops and small pictures; faces that cannot be attributed are named."""
    found = study_faces.landmarks(dataset, home, landmarker, progress)
    lost = {s.id: why for s, why in zip(dataset.samples, study_faces.reasons(found), strict=True) if why}
    boxes = study_faces.crops(found, crop or study_faces.default_crop(data))
    sound = [i for i, sample in enumerate(dataset.samples) if sample.id not in lost]
    if not sound:
        raise InputError(f"{dataset.name}: no face has landmarks: {next(iter(lost.values()))}")
    tick = progress("pictures", len(sound))
    points = landmarking.points(found)
    read = pictures.read(dataset, facts.size, only=sound, boxes=boxes, landmarks=points, tick=tick)
    lost |= {face.id: face.reason for face in read.dropped}
    usable = read.usable(sound)
    placed = torch.from_numpy(read.landmarks[read.rows(usable)])
    why_not = unfit_faces(placed, (facts.size, facts.size))
    fits = np.array([not why for why in why_not])
    lost |= {dataset.samples[i].id: why for i, why in zip(usable, why_not, strict=True) if why}
    kept = usable[fits]
    if not len(kept):
        raise InputError(f"{dataset.name}: Action Unit regions can be laid on no face: {next(iter(lost.values()))}")
    images = _normalised(read.images(kept), facts)
    areas = None if boxes is None else boxes[kept]
    seen = _Seen(dataset.take(kept), images, placed[torch.from_numpy(fits)], areas)
    read.close()
    return seen, lost


def _normalised(images: Tensor, facts: Facts) -> Tensor:
    mean, std = (torch.tensor(each)[:, None, None] for each in (facts.mean, facts.std))
    return (images.float() / 255 - mean) / std


def _attributed(
    net: nn.Module, facts: Facts, seen: _Seen, target: str, progress: Stage, **options: Any
) -> pd.DataFrame:
    """The table of all faces, with who they are and, for drawn ones, the true effects."""
    samples = seen.dataset.samples
    true = [str(sample.expression) for sample in samples]
    asked: Any = true if target == "true" else target
    asked = [[target]] if target in facts.classes else asked
    table = attribute_units(
        net, seen.images, seen.landmarks, asked, classes=facts.classes, faces=[sample.id for sample in samples],
        mean=facts.mean, std=facts.std, tick=progress("coalitions", len(samples)), **options,
    )  # fmt: skip
    attrs = table.attrs
    of = {sample.id: sample for sample in samples}
    table.insert(1, "subject", [of[face].subject for face in table["face"]])
    table.insert(2, "expression", [of[face].expression for face in table["face"]])
    drawn = {sample.id: face for sample in samples if (face := face_of(sample)) is not None}
    explained = set(zip(table["face"], table["class"], strict=True))
    wanted = {name: face for name, face in drawn.items() if (name, face.expression) in explained}
    players, tick = tuple(table["player"].unique()), progress("interventions", len(wanted))
    found = {}
    for place, sample in enumerate(samples):
        if sample.id in wanted:
            found[sample.id] = _intervened(net, facts, seen, place, wanted[sample.id], players, attrs["output"])
            tick()
    made = beside(table, drawn, found)
    made.attrs = attrs
    return made


def _intervened(
    net: nn.Module, facts: Facts, seen: _Seen, place: int, face: Face, players: Sequence[str], output: str
) -> dict[tuple[str, ...], float]:
    side = seen.dataset.samples[place].source.shape[0]  # type: ignore[union-attr]
    box = np.array([0.0, 0.0, side, side]) if seen.boxes is None else seen.boxes[place]

    def prepare(picture: NDArray[np.uint8]) -> Tensor:
        return _normalised(torch.from_numpy(pictures.shrink(picture, facts.size, box)), facts)

    target = facts.classes.index(face.expression)
    return effects(net, face, players, target, size=side, prepare=prepare, output=output)
