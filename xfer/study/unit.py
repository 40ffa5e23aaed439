"""A unit of work: one network on one fold, from its starting weights to a shard. A pure function of its fields."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor, nn

from xfer import geometry, training
from xfer.errors import TrainingError
from xfer.guidance import Guide
from xfer.models.starting import Start
from xfer.progress import Stage
from xfer.study import face_maps, folder, shards
from xfer.study.black_boxes import BlackBox
from xfer.study.explaining import Explained, explain_faces
from xfer.study.folder import MAPS, SHARDS
from xfer.study.ready import Ready, prepared
from xfer.study.selecting import Part
from xfer.training import Pixels, Settings
from xfer.training.ranks import ONE, Ranks

EXPLAINED = 32
"""Faces explained at a time; where memory runs out half of it, and so on."""


class Witness(Protocol):
    """Something that is shown the maps of a unit's test faces, batch by batch, and keeps tables about them."""

    def __call__(self, index: NDArray[np.intp], maps: Tensor) -> None:
        """As `xfer.study.explaining.explain_faces` calls what watches."""

    def tables(self) -> dict[str, pd.DataFrame]:
        """What goes into the shard."""


@dataclass(frozen=True)
class Unit:
    """One network on one fold.

    Attributes
    ----------
    network : str
    fold : str
    digest, trained : str
        Of all that the shard follows from, and of all that the weights follow from.
    settings : Settings
    start : Start
    device : str
    pixels : Pixels
        The faces at the settings' size; readable from another process.
    train, validation, test : array of int
        Positions in the data set.
    blocks : array of int
        The block of subjects of each test face.
    explainers : tuple of str
    selection, per_class
        See `xfer.study.protocols.Protocol`.
    frame : str
    home : Path
        The study folder.
    per_face : bool
        Keep the maps of single faces.
    until : {"training", "weights", "heatmaps"}
        "weights": as "training", but no test face is looked at.
    black_box : BlackBox or None
        The file of a network that is not trained.
    randomised : int or None
        The seed of the weights of a network that is explained without training; None for one that is trained.
    guide : Guide or None
        What guides the training; None for a plain one of a network as it is.
    methods : mapping
        Per family of explainers its own settings.
    drawn_by : int or None
        The seed that draws the faces of a heatmap; the settings' by default.
    ranks : Ranks
        How many processes train it.
    """

    network: str
    fold: str
    digest: str
    trained: str
    settings: Settings
    start: Start
    device: str
    pixels: Pixels
    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]
    blocks: NDArray[np.intp]
    explainers: tuple[str, ...]
    selection: str
    per_class: int
    frame: str
    home: Path
    per_face: bool = False
    until: str = "heatmaps"
    randomised: int | None = None
    black_box: BlackBox | None = None
    guide: Guide | None = None
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    drawn_by: int | None = None
    ranks: Ranks = ONE

    def witness(self, model: nn.Module) -> Witness | None:
        """What else is kept of every test face of the trained network; nothing, unless a kind of unit wants more."""
        return None

    @property
    def is_trained(self) -> bool:
        """Whether its weights come from training in this study."""
        return self.randomised is None and self.black_box is None

    @property
    def explaining(self) -> str:
        """The stage of explaining it, as progress is told of it."""
        return f"{self.name}: heatmaps"

    @property
    def control(self) -> str:
        """The part of the key that tells what guided it."""
        return "none" if self.guide is None or self.randomised is not None else self.guide.control

    @property
    def output_stride(self) -> int:
        """Of the network; 0 for its own."""
        return 0 if self.guide is None else self.guide.output_stride

    @property
    def name(self) -> str:
        """As in file names, and in what is told of it."""
        name = checkpoint_name(self.network, self.fold, self.control)
        return name if self.randomised is None else f"{name}, randomised"


@dataclass(frozen=True)
class Done:
    """What computing a unit took, in seconds, and the accuracy on its test faces."""

    train_seconds: float
    explain_seconds: float
    accuracy: float


def checkpoint_name(network: str, fold: str, control: str = "none") -> str:
    """A file name for a network on a fold, and what guided it.

    >>> checkpoint_name("timm:vit_tiny_patch16_224", "0"), checkpoint_name("songnet", "1", "au")
    ('timm-vit_tiny_patch16_224-f0', 'songnet-au-f1')
    """
    guided = "" if control == "none" else f"-{control}"
    return f"{folder.slug(network)}{guided}-f{folder.slug(fold)}"


def compute(unit: Unit, progress: Stage) -> Done:
    """Train, or find trained, and explain; the shard is written last and whole, and where it is there nothing is done.

    That is so where a worker was lost after its last act.

    Raises
    ------
    InputError, TrainingError
        What ends this unit and no other.
    """
    path = unit.home / SHARDS / f"{unit.digest}.npz"
    if unit.until != "heatmaps" or not shards.whole(path):
        return _compute(unit, progress)
    return Done(0.0, 0.0, training.accuracy(shards.read_tables(path)["predictions"]))


def _compute(unit: Unit, progress: Stage) -> Done:
    began = time.perf_counter()
    ready = prepared(unit, progress)
    if not unit.is_trained:
        explained = explain(unit, ready, progress)
        keep(unit, explained)
        known = math.nan if unit.randomised is not None else training.accuracy(explained.predictions)
        return Done(0.0, time.perf_counter() - began, known)
    trained = time.perf_counter()
    if unit.until == "weights":
        return Done(trained - began, 0.0, math.nan)
    if unit.until == "training":
        settings, test = unit.settings, unit.pixels.labelled(unit.test)
        table = training.evaluate(ready.model, unit.pixels, test, settings, device=unit.device)
        return Done(trained - began, 0.0, training.accuracy(table))
    explained = explain(unit, ready, progress)
    keep(unit, explained)
    return Done(trained - began, time.perf_counter() - trained, training.accuracy(explained.predictions))


def explain(unit: Unit, ready: Ready, progress: Stage, part: Part | None = None) -> Explained:
    """The pass over the test faces, or a part of them, with half the batch again each time that memory runs out."""
    model, facts = ready.model, ready.facts
    most = batch = min(EXPLAINED, unit.settings.batch)
    while True:
        remarks = list(ready.remarks)
        witness = unit.witness(model)
        if batch < most:
            remarks.append(f"memory ran out with {most} faces explained at a time; explained {batch} at a time")
        try:
            explained = explain_faces(
                model,
                unit.pixels,
                unit.test,
                unit.settings,
                layer=ready.layer,
                blocks=unit.blocks,
                frame=geometry.load_frame(unit.frame),
                facts={**facts, "remarks": "; ".join(remarks)},
                explainers=unit.explainers,
                lacking=facts.get("lacking", ()),
                selection=unit.selection,
                per_class=unit.per_class,
                drawn_by=unit.drawn_by,
                device=unit.device,
                batch_size=batch,
                per_face=unit.per_face,
                methods=unit.methods,
                watch=witness,
                tick=progress(unit.explaining, len(unit.test)),
                part=part,
            )
            return replace(explained, tables=witness.tables()) if witness else explained
        except (MemoryError, RuntimeError) as error:
            if not training.out_of_memory(error):
                raise
        if batch == 1:
            raise TrainingError(
                f"{unit.network}: out of memory with one face of {unit.settings.size} px; use smaller ones"
            )
        batch //= 2


def keep(unit: Unit, explained: Explained) -> None:
    """Write the shard, and before it the maps of single faces where they are asked for."""
    name = f"{unit.digest}.npz"
    for sub in (SHARDS, MAPS) if explained.maps else (SHARDS,):
        (unit.home / sub).mkdir(exist_ok=True)
    if explained.maps:
        face_maps.write(unit.home / MAPS / name, explained.maps, unit.pixels, explained.sums.facts)
    shards.write(unit.home / SHARDS / name, explained.sums, tables_of(explained))


def tables_of(explained: Explained) -> dict[str, pd.DataFrame]:
    """What a shard holds besides the sums."""
    left_out = pd.DataFrame(explained.left_out, columns=["face", "reason"])
    tables = {"predictions": explained.predictions.drop(columns="subject"), "left_out": left_out}
    return tables | dict(explained.tables)
