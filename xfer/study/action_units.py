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
from xfer.errors import InputError, unknown
from xfer.explainers.action_units import attribute_units, open_codebook, unfit_faces
from xfer.explainers.segments import frame_regions
from xfer.models.facts import Facts
from xfer.progress import Stage, silent
from xfer.statistics.estimates import mean_interval
from xfer.study import faces as study_faces
from xfer.study.interventions import beside, effects, rank_correlations
from xfer.study.loading import load_model
from xfer.training import pixels as pictures

TARGETS = ("true", "predicted", "all")
"""Which class of a face is explained, in words."""

FACES = 40


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
    pooled: float
    left_out: dict[str, str]
    notes: tuple[str, ...] = field(default=())


def network_units(
    model: str,
    data: str = study_faces.DRAWN,
    *,
    home: Path,
    faces: int = FACES,
    target: str = "true",
    regions: str = "xfer",
    codebook: str = "ekman",
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
    home : Path
        A folder where ``landmarks.parquet`` is kept.
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
    if data == study_faces.DRAWN:
        dataset = study_faces.open_faces(data, faces=faces, size=max(facts.size, 16), seed=seed)
    else:
        dataset = study_faces.open_faces(data, min_faces=1)
    chosen, left_out = _choose(dataset, facts.classes, faces, seed)
    seen, lost = _prepared(chosen, data, home, facts, crop, landmarker, progress)
    table = _attributed(net, facts, seen, target, progress, regions=regions, codebook=codebook, seed=seed, **options)
    by_face, pooled = rank_correlations(table)
    tick = progress("intervals", 1)
    means, shares = mean_units(table, seed=seed), shares_inside(table, seed=seed)
    tick()
    return Units(table, means, shares, by_face, pooled, {**left_out, **lost}, tuple(dataset.notes))


@dataclass(frozen=True)
class _Seen:
    """Faces as the network takes them."""

    dataset: Dataset
    images: Tensor
    landmarks: Tensor
    boxes: NDArray[np.float64] | None


def _choose(dataset: Dataset, classes: Sequence[str], most: int, seed: int) -> tuple[Dataset, dict[str, str]]:
    """Faces in turn of every expression that the network tells, new people first."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(dataset))
    turns: dict[str, int] = {}
    people: dict[tuple[str, str], int] = {}
    ranked, left_out = [], {}
    for place in order:
        sample = dataset.samples[place]
        if sample.expression not in classes:
            left_out[sample.id] = f"{sample.expression} is none of the network's classes"
            continue
        again = people[key] = people.get(key := (sample.expression, sample.subject), -1) + 1
        ranked.append((again, place))
    queue = []
    for again, place in sorted(ranked, key=lambda each: each[0]):
        label = str(dataset.samples[place].expression)
        turns[label] = turns.get(label, -1) + 1
        queue.append((turns[label], place))
    if not queue:
        raise InputError(f"{dataset.name}: no face shows any of {', '.join(classes)}")
    kept = [place for _, place in sorted(queue, key=lambda each: each[0])[:most]]
    return dataset.take(sorted(kept)), left_out


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
    fits = [not why for why in unfit_faces(placed, (facts.size, facts.size))]
    why_not = unfit_faces(placed, (facts.size, facts.size))
    lost |= {dataset.samples[i].id: why for i, why in zip(usable, why_not, strict=True) if why}
    kept = usable[fits]
    if not len(kept):
        raise InputError(f"{dataset.name}: Action Unit regions can be laid on no face: {next(iter(lost.values()))}")
    images = _normalised(read.images(kept), facts)
    areas = None if boxes is None else boxes[kept]
    seen = _Seen(dataset.take(kept), images, placed[torch.tensor(fits)], areas)
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


def by_subject(values: pd.Series, subjects: pd.Series) -> NDArray[np.float64]:
    """Means over each subject's faces, so that people are what is drawn again; NaN are left out."""
    return values.groupby(subjects.to_numpy(), sort=False).mean().dropna().to_numpy(np.float64)


def mean_units(table: pd.DataFrame, *, draws: int = 2000, seed: int = 0) -> pd.DataFrame:
    """What each player adds on average over faces, with intervals over subjects.

    Parameters
    ----------
    table : DataFrame
        Of `Units`.
    draws, seed
        Of the bootstrap, see `xfer.statistics.estimates.mean_interval`.

    Returns
    -------
    DataFrame
        ``expression`` (true), ``class``, ``player``, ``inside_codebook``, ``faces``, ``subjects``, and ``phi``,
        ``share``, ``area`` and ``causal`` with, but for the area, ``_low`` and ``_high``: 95 % intervals of the mean
        over subjects; ``sign`` of the mean phi; ``causal_subjects``; and ``reason`` (why there is no interval of phi).
    """
    rows = []
    for key, own in table.groupby(["expression", "class", "player"], sort=False):
        phi, share, causal = (
            mean_interval(by_subject(own[name], own["subject"]), draws=draws, seed=seed)
            for name in ("phi", "share", "causal")
        )
        row = dict(zip(("expression", "class", "player"), key, strict=True))
        row |= {"inside_codebook": own["inside_codebook"].iloc[0], "faces": int(own["phi"].notna().sum())}
        row |= {"subjects": phi.n, "area": float(own["area"].mean()), "sign": float(np.sign(phi.value))}
        for name, found in (("phi", phi), ("share", share), ("causal", causal)):
            row |= {name: found.value, f"{name}_low": found.ci_low, f"{name}_high": found.ci_high}
        rows.append(row | {"causal_subjects": causal.n, "reason": phi.reason})
    made = pd.DataFrame(rows)
    made["inside_codebook"] = made["inside_codebook"].astype("boolean")
    made.attrs = dict(table.attrs)
    return made


def shares_inside(table: pd.DataFrame, *, draws: int = 2000, seed: int = 0) -> pd.DataFrame:
    """How much of a class's |phi| lies in players that the codebook gives it, beside the area they have.

    Returns
    -------
    DataFrame
        ``expression``, ``class``, ``faces``, ``subjects``, ``inside`` with ``inside_low`` and ``inside_high`` (NaN
        where the codebook gives the class no Action Unit), and of the players inside, of the face that no Action Unit
        covers, and of the background ``area_inside``, ``face`` and ``background``: shares of the picture, and of |phi|.
    """
    rows = []
    for (expression, label), own in table.groupby(["expression", "class"], sort=False):
        subjects = own.drop_duplicates("face").set_index("face")["subject"]
        known = bool(own["inside_codebook"].notna().any())
        mine = own[own["inside_codebook"].fillna(False).astype(bool)]
        inside = mine.groupby("face", sort=False)["share"].sum(min_count=1).reindex(subjects.index)
        found = mean_interval(by_subject(inside, subjects), draws=draws, seed=seed)
        at = {name: own[own["player"] == name]["share"].mean() for name in ("face", "background")}
        area = mine.groupby("face")["area"].sum().mean() if known else np.nan
        rows.append(
            {"expression": expression, "class": label, "faces": len(subjects), "subjects": subjects.nunique(),
             "inside": found.value, "inside_low": found.ci_low, "inside_high": found.ci_high, "area_inside": area, **at}
        )  # fmt: skip
    return pd.DataFrame(rows)


def correlation_interval(units: Units, *, seed: int = 0) -> tuple[float, float, float, int]:
    """The mean over subjects of the rank correlations by face, its 95 % interval, and how many faces have one."""
    subjects = units.table.drop_duplicates("face").set_index("face")["subject"]
    known = units.correlations.dropna(subset=["rho"])
    found = mean_interval(by_subject(known["rho"], known["face"].map(subjects)), seed=seed)
    return found.value, found.ci_low, found.ci_high, len(known)
