"""Faces as small square pictures: decoded once, kept in memory, or in a scratch file where they are many."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BufferedRandom
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from xfer.datasets.samples import Dataset, Dropped, FaceSample
from xfer.datasets.splits import split
from xfer.errors import InputError

IN_MEMORY = 64_000_000
"""More bytes of pictures than this go to a scratch file."""


@dataclass(frozen=True)
class Pixels:
    """Some faces of a data set, all of one size, by their positions in the data set.

    Attributes
    ----------
    size : int
        Side, px.
    classes : tuple of str
        The expressions, in the order of the logits.
    row : array (face of the data set,)
        Where its picture stands; -1 where it was not read.
    labels : array (row,)
        Position in `classes`; -1 where unlabelled or of another expression.
    landmarks : array (row, 68, 2)
        (x, y) in px of the small picture, float32; NaN where none were published.
    ids, subjects : tuple of str
        By row.
    dropped : tuple of Dropped
        Faces that could not be decoded, and why.
    """

    size: int
    classes: tuple[str, ...]
    row: NDArray[np.intp]
    labels: NDArray[np.int64]
    landmarks: NDArray[np.float32]
    ids: tuple[str, ...]
    subjects: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    _store: "_Store"

    def usable(self, indices: ArrayLike) -> NDArray[np.intp]:
        """Of some positions in the data set those whose picture was decoded, in their order."""
        chosen = np.asarray(indices, np.intp).reshape(-1)
        return chosen[self.row[chosen] >= 0]

    def labelled(self, indices: ArrayLike) -> NDArray[np.intp]:
        """Of some positions in the data set those that are usable and show one of the classes."""
        chosen = self.usable(indices)
        return chosen[self.labels[self.row[chosen]] >= 0]

    def rows(self, indices: ArrayLike) -> NDArray[np.intp]:
        """The rows of positions in the data set.

        Raises
        ------
        KeyError
            If the picture of one of them was not read.
        """
        rows = self.row[np.asarray(indices, np.intp).reshape(-1)]
        if (rows < 0).any():
            raise KeyError("faces that were not read; see Pixels.usable")
        return rows

    def images(self, indices: ArrayLike) -> torch.Tensor:
        """Pictures by position in the data set: uint8 (face, 3, size, size)."""
        return self._store.read(self.rows(indices))


def read(
    dataset: Dataset,
    size: int,
    *,
    only: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    boxes: ArrayLike | None = None,
    scratch: Path | None = None,
    in_memory: int = IN_MEMORY,
    workers: int | None = None,
    tick: Callable[[], None] | None = None,
) -> Pixels:
    """Decode faces once, at one size.

    Parameters
    ----------
    dataset : Dataset
    size : int
        Side of the square pictures, px; a picture is shrunk with area weights, and stretched where it is not square.
    only : sequence of int, optional
        Positions of the faces to read; the others' pictures are never opened.
    classes : sequence of str, optional
        The expressions in the order of the logits; those of the data set by default.
    boxes : array (face of the data set, 4), optional
        The part of each picture to use: left, top, right, bottom, px, inside the picture. The whole by default.
    scratch : Path, optional
        The folder of the scratch file, which has no name and goes with the process.
    in_memory : int
        Largest number of bytes kept in memory.
    workers : int, optional
        Decoding threads.
    tick : callable, optional
        Called after every face.

    Raises
    ------
    InputError
        If no face can be decoded or the disk has no room.
    """
    chosen = np.arange(len(dataset)) if only is None else np.unique(np.asarray(only, np.intp))
    areas = None if boxes is None else np.asarray(boxes, np.float64)[chosen]
    part = dataset.take(chosen)
    store = _Store(len(chosen), size, scratch, in_memory)
    kept: list[int] = []
    landmarks, dropped = [], []
    for i, (sample, picture) in enumerate(part.faces(workers)):
        if isinstance(picture, str):
            dropped.append(Dropped(sample.id, picture))
        else:
            box = np.array([0, 0, *picture.shape[1::-1]], float) if areas is None else areas[i]
            store.add(shrink(picture, size, box))
            landmarks.append(_placed(sample, box, size))
            kept.append(i)
        if tick:
            tick()
    if not kept:
        raise InputError(f"{dataset.name}: no face can be decoded: {dropped[0].reason if dropped else 'none is given'}")
    row = np.full(len(dataset), -1, np.intp)
    row[chosen[kept]] = np.arange(len(kept))
    return _labelled(part.take(kept), size, tuple(classes or dataset.expressions), row, landmarks, dropped, store)


def shrink(picture: NDArray[np.uint8], size: int, box: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A part of a picture (y, x, 3), bounded in px by left, top, right and bottom, as (3, size, size)."""
    image = Image.fromarray(picture)
    area = (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    if image.size != (size, size) or area != (0.0, 0.0, size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=area)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def hold_out(dataset: Dataset, train: ArrayLike, share: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Take whole subjects out of the training faces, to choose the epoch by.

    Parameters
    ----------
    dataset : Dataset
    train : sequence of int
        Positions of the training faces; no other face is looked at.
    share : float
        Of the faces, in (0, 1).
    seed : int

    Returns
    -------
    train, validation : array of int
        Positions, ascending.

    Raises
    ------
    InputError
        If there are too few subjects.
    """
    positions = np.unique(np.asarray(train, np.intp))
    pool = dataset.take(positions)
    pool = replace(pool, samples=tuple(replace(s, split="") for s in pool.samples))
    parts = split(pool, {"train": 1 - share, "validation": share}, seed)
    held = np.array([s.split == "validation" for s in parts.samples])
    return positions[~held], positions[held]


class _Store:
    """Takes pictures one by one, into memory or into a nameless file, and gives them back by number."""

    def __init__(self, faces: int, size: int, folder: Path | None, in_memory: int) -> None:
        self._shape = (3, size, size)
        self._memory: list[torch.Tensor] | None = [] if 3 * size**2 * faces <= in_memory else None
        if self._memory is None:
            self._file = _scratch(faces, size, Path(tempfile.gettempdir()) if folder is None else folder)
            weakref.finalize(self, self._file.close)

    def add(self, picture: NDArray[np.uint8]) -> None:
        if self._memory is None:
            self._file.write(picture.tobytes())
        else:
            self._memory.append(torch.from_numpy(picture))

    def read(self, rows: NDArray[np.intp]) -> torch.Tensor:
        if not len(rows):
            return torch.empty((0, *self._shape), dtype=torch.uint8)
        if self._memory is not None:
            return torch.stack([self._memory[row] for row in rows])
        length = prod(self._shape)
        found = np.empty((len(rows), *self._shape), np.uint8)
        for i, row in enumerate(rows):
            self._file.seek(int(row) * length)
            found[i] = np.frombuffer(self._file.read(length), np.uint8).reshape(self._shape)
        return torch.from_numpy(found)


def _scratch(faces: int, size: int, place: Path) -> BufferedRandom:
    needed, free = faces * 3 * size**2, shutil.disk_usage(place).free
    if free < needed:
        raise InputError(
            f"{place}: {faces} faces of {size} px need {needed / 1e6:.1f} MB for the time of the run, "
            f"the disk has {free / 1e6:.1f} MB; make room or use fewer faces"
        )
    return tempfile.TemporaryFile(dir=place)


def _placed(sample: FaceSample, box: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    if sample.landmarks is None:
        return np.full((68, 2), np.nan, np.float32)
    scale = size / (box[2:] - box[:2])
    return ((sample.landmarks + 0.5 - box[:2]) * scale - 0.5).astype(np.float32)


def _labelled(
    part: Dataset,
    size: int,
    classes: tuple[str, ...],
    row: NDArray[np.intp],
    landmarks: list[NDArray[np.float32]],
    dropped: list[Dropped],
    store: _Store,
) -> Pixels:
    number = {name: i for i, name in enumerate(classes)}
    return Pixels(
        size=size,
        classes=classes,
        row=row,
        labels=np.array([number.get(s.expression or "", -1) for s in part.samples], np.int64),
        landmarks=np.stack(landmarks),
        ids=tuple(s.id for s in part.samples),
        subjects=tuple(s.subject for s in part.samples),
        dropped=tuple(dropped),
        _store=store,
    )
