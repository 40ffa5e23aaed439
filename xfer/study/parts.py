"""Parts of a unit with many test faces: explained by themselves, by one network after another, merged in their order.

A part is some whole blocks of subjects, and a share of the faces that are only predicted. Its faces are in the batches
that they are in when the unit is done as one, so their maps, predictions and blocks are the same to the last bit; sums
and squares over blocks are added in another order, and the same but for the rounding of float64.
"""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer import training
from xfer.explainers import SilentLayerError
from xfer.progress import Stage
from xfer.study import face_maps, shards, sums
from xfer.study.folder import MAPS, PARTIALS, SHARDS, sweep
from xfer.study.ready import Ready, prepared
from xfer.study.selecting import Part, SelectedFaces
from xfer.study.unit import Done, Unit, explain, tables_of
from xfer.training import Pixels

FACES = 4096
"""The most faces of a part, but for a block of subjects that has more; a unit of fewer test faces has no parts."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a unit, for an engine.

    Attributes
    ----------
    pixels : Pixels
    unit : Unit
        Without them.
    part : Part
    device : str
    """

    pixels: Pixels
    unit: Unit
    part: Part
    device: str

    @property
    def digest(self) -> str:
        """The unit's."""
        return self.unit.digest

    @property
    def path(self) -> Path:
        """Where it is kept until all parts are there."""
        cut = f"{self.part.number}-of-{self.part.count}.{self.part.start}-{self.part.stop}"
        return self.unit.home / PARTIALS / f"{self.unit.digest}.{cut}.npz"

    @property
    def maps(self) -> Path:
        """Where its maps of single faces are, if they are asked for."""
        return self.path.with_suffix(".maps.npz")


def cut(unit: Unit) -> list[Piece]:
    """The parts of a unit; none of one that is done as a whole.

    That are those with few faces or one block of subjects, and where a face counts for what the network sees and some
    are drawn: whom is known when all have been predicted.
    """
    by_prediction = unit.selection == "predicted" and unit.per_class
    if unit.until != "heatmaps" or unit.randomised is not None or len(unit.test) <= FACES or by_prediction:
        return []
    lacking = unit.black_box.lacking(unit.pixels.classes) if unit.black_box else ()
    seed = unit.settings.seed if unit.drawn_by is None else unit.drawn_by
    faces = SelectedFaces.of(unit.pixels, unit.test, None, unit.blocks)
    order = faces.choose(unit.pixels, unit.selection, lacking, unit.per_class, seed).in_blocks()
    stops = ends(faces.block[order], FACES)
    if len(stops) < 2:
        return []
    alone: dict[str, Any] = {"pixels": None}
    bare, spans = replace(unit, **alone), zip([0, *stops], stops, strict=False)
    return [Piece(unit.pixels, bare, Part(i, len(stops), *span), unit.device) for i, span in enumerate(spans)]


def ends(blocks: NDArray[np.int64], most: int) -> list[int]:
    """Where parts of whole blocks end, each as large as may be.

    Parameters
    ----------
    blocks : int array (face,)
        Ascending.
    most : int
        Faces of a part that is more than one block.

    >>> ends(np.array([0, 0, 1, 1, 1, 2, 5]), 4), ends(np.array([0, 0, 0]), 2)
    ([2, 6, 7], [3])
    """
    found: list[int] = []
    begin = last = 0
    for stop in [*(np.flatnonzero(np.diff(blocks)) + 1).tolist(), len(blocks)]:
        if stop - begin > most and last > begin:
            found.append(last)
            begin = last
        last = stop
    return [*found, len(blocks)]


def compute(piece: Piece, progress: Stage) -> Done:
    """Explain a part, and write what it gave.

    Raises
    ------
    InputError, TrainingError
        What ends this unit and no other.
    """
    began, unit = time.perf_counter(), replace(piece.unit, pixels=piece.pixels, device=piece.device)
    explained = explain(unit, _resident(unit, progress), progress, piece.part)
    facts = explained.sums.facts
    if explained.maps:
        face_maps.write(piece.maps, explained.maps, unit.pixels, facts)
    shards.write(piece.path, replace(explained.sums, facts={**facts, "silent": explained.silent}), tables_of(explained))
    return Done(0.0, time.perf_counter() - began, math.nan)


def faces(piece: Piece) -> int:
    """How many faces a part has, which is there."""
    return len(shards.read_tables(piece.path)["predictions"])


_READY: dict[str, Ready] = {}


def _resident(unit: Unit, progress: Stage) -> Ready:
    """The unit's network; this process keeps the last one, which the next part most likely is of."""
    if unit.digest not in _READY:
        _READY.clear()
        _READY[unit.digest] = prepared(unit, progress)
    return _READY[unit.digest]


def forget() -> None:
    """Let the network go that this process keeps."""
    _READY.clear()


def clear(home: Path, kept: Collection[str]) -> None:
    """Remove the parts of units that are not among those kept, by their digests: another version of xfer left them."""
    for path in (home / PARTIALS).glob("*-of-*.npz"):
        if path.name.partition(".")[0] not in kept:
            path.unlink()


def merge(unit: Unit, pieces: Sequence[Piece]) -> Done:
    """Write the shard of a unit whose parts are there, looked at one at a time in their order, and remove them.

    Raises
    ------
    SilentLayerError
        If no gradient of any face reaches the layer.
    """
    told = [shards.read_facts(piece.path) for piece in pieces]
    if all(facts["silent"] for facts in told):
        raise SilentLayerError(told[0]["silent"])
    remarks = dict.fromkeys(remark for facts in told for remark in facts["remarks"].split("; "))
    whole = sums.merge(map(_common, pieces))
    whole = replace(whole, facts={**whole.facts, "remarks": "; ".join(filter(None, remarks))})
    rows = unit.pixels.rows(unit.pixels.usable(unit.test))
    names = [unit.pixels.ids[row] for row in rows]
    tables = _tables([shards.read_tables(piece.path) for piece in pieces], names)
    name = f"{unit.digest}.npz"
    for sub in (SHARDS, MAPS) if unit.per_face else (SHARDS,):
        (unit.home / sub).mkdir(exist_ok=True)
    if unit.per_face:
        face_maps.merge(unit.home / MAPS / name, [piece.maps for piece in pieces], names)
    shards.write(unit.home / SHARDS / name, whole, tables)
    sweep(unit.home, f"{unit.digest}.*")
    return Done(0.0, 0.0, training.accuracy(tables["predictions"]))


def _common(piece: Piece) -> sums.Sums:
    """A part's sums, with the facts that all parts have in common."""
    found = shards.read(piece.path)
    return replace(found, facts={k: v for k, v in found.facts.items() if k not in ("silent", "remarks")})


def _tables(parts: Sequence[dict[str, pd.DataFrame]], names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The tables of all parts: faces in the order of some names, what a witness kept in that of the parts."""
    titles = dict.fromkeys(title for part in parts for title in part)
    joined = {title: pd.concat([p[title] for p in parts if title in p], ignore_index=True) for title in titles}
    place = {name: i for i, name in enumerate(names)}
    for title, column in {"predictions": "id", "left_out": "face"}.items():
        order = joined[title][column].map(place).argsort(kind="stable")
        joined[title] = joined[title].iloc[order].reset_index(drop=True)
    return joined
