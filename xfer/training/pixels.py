"""Faces as small square pictures: decoded once, kept in memory, or in a scratch file where they are many."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from xfer.datasets.columns import Texts
from xfer.datasets.samples import Dataset, Dropped
from xfer.datasets.splits import split
from xfer.errors import InputError
from xfer.training.store import Store, stores

IN_MEMORY = 64_000_000
"""More bytes of pictures than this go to a scratch file."""


@dataclass(frozen=True)
class Pixels:
    """Some faces of a data set, all of one size, by their positions in the data set.

    Pickled, it is some tens of bytes a face, and the pictures too where they are kept in memory; see `read_sizes` for
    sharing them.

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
        (x, y) in px of the small picture, float32; NaN where unknown.
    ids, subjects : sequence of str
        By row.
    dropped : tuple of Dropped
        Faces that could not be decoded, and why.
    """

    size: int
    classes: tuple[str, ...]
    row: NDArray[np.intp]
    labels: NDArray[np.int64]
    landmarks: NDArray[np.float32]
    ids: Sequence[str]
    subjects: Sequence[str]
    dropped: tuple[Dropped, ...]
    _store: Store

    def __getstate__(self) -> dict[str, Any]:
        """Without the landmarks where they are in the pictures' file."""
        filed = self.file is not None and isinstance(self.landmarks, np.memmap)
        return vars(self) | ({"landmarks": None} if filed else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As it was, in another process."""
        found = state["landmarks"]
        self.__dict__.update(state | ({"landmarks": state["_store"].landmarks} if found is None else {}))

    @property
    def file(self) -> Path | None:
        """Where the pictures are, if they are in a file that other processes can open."""
        return self._store.path

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

    def close(self) -> None:
        """Remove the scratch file, if there is one and this process made it; the pictures in it are gone then."""
        self._store.discard()


def read(dataset: Dataset, size: int, **options: Any) -> Pixels:
    """Decode faces once, at one size; the options are those of `read_sizes`."""
    return read_sizes(dataset, [size], **options)[size]


def read_sizes(
    dataset: Dataset,
    sizes: Iterable[int],
    *,
    only: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    boxes: ArrayLike | None = None,
    landmarks: ArrayLike | None = None,
    scratch: Path | None = None,
    shared: bool = False,
    in_memory: int = IN_MEMORY,
    workers: int | None = None,
    tick: Callable[[], None] | None = None,
) -> dict[int, Pixels]:
    """Decode faces once, at several sizes.

    BLAS has one thread meanwhile: decoding has its own, and on a busy machine of two cores 240 drawn faces took 61 s of
    which most was waiting, with one thread 8 s.

    Parameters
    ----------
    dataset : Dataset
    sizes : iterable of int
        Sides of the square pictures, px; a picture is shrunk with area weights, and stretched where it is not square.
    only : sequence of int, optional
        Positions of the faces to read; the others' pictures are never opened.
    classes : sequence of str, optional
        The expressions in the order of the logits; those of the data set by default.
    boxes : array (face of the data set, 4), optional
        The part of each picture to use: left, top, right, bottom, px, inside the picture. The whole by default.
    landmarks : array (face of the data set, 68, 2), optional
        (x, y) in px of the upright pictures, NaN where unknown; those published with the data by default.
    scratch : Path, optional
        The folder of the scratch files, the system's by default.
    shared : bool
        Keep the pictures in scratch files that have a name, ``.pixels-*.tmp``, so that a `Pixels` may be pickled to
        another process, which reads the same file. They are removed with the `Pixels` of the process that made them.
    in_memory : int
        Largest number of bytes kept in memory; else a scratch file has no name and goes with the process.
    workers : int, optional
        Decoding threads.
    tick : callable, optional
        Called after every face.

    Raises
    ------
    InputError
        If no face can be decoded or the disk has no room.
    OSError
        If the disk is full before the end.
    """
    sizes = tuple(dict.fromkeys(sizes))
    chosen = np.arange(len(dataset)) if only is None else np.unique(np.asarray(only, np.intp))
    areas = None if boxes is None else np.asarray(boxes, np.float64)
    known = None if landmarks is None else np.asarray(landmarks, np.float32)
    part = dataset.take(chosen)
    kept: list[int] = []
    dropped: list[Dropped] = []
    with stores(len(chosen), sizes, scratch, shared, in_memory) as kept_in, threadpool_limits(1):
        for i, (sample, picture) in enumerate(part.faces(workers)):
            if isinstance(picture, str):
                dropped.append(Dropped(sample.id, picture))
            else:
                box = np.array([0, 0, *picture.shape[1::-1]], float) if areas is None else areas[chosen[i]]
                at = sample.landmarks if known is None else known[chosen[i]]
                for size in sizes:
                    kept_in[size].add(shrink(picture, size, box), None if at is None else _placed(at, box, size))
                kept.append(i)
            if tick:
                tick()
        if not kept:
            why = dropped[0].reason if dropped else "none is given"
            raise InputError(f"{dataset.name}: no face can be decoded: {why}")
    row = np.full(len(dataset), -1, np.intp)
    row[chosen[kept]] = np.arange(len(kept))
    facts = _facts(part.take(kept), tuple(classes or dataset.expressions), row, tuple(dropped))
    return {s: Pixels(size=s, landmarks=kept_in[s].landmarks, _store=kept_in[s], **facts) for s in sizes}


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
    pool = dataset.take(positions).changed(split=[""] * len(positions))
    parts = split(pool, {"train": 1 - share, "validation": share}, seed)
    held = np.array(parts.column("split")) == "validation"
    return positions[~held], positions[held]


def _placed(points: NDArray[np.floating], box: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Points of a picture in px of the small one."""
    return (points + 0.5 - box[:2]) * (size / (box[2:] - box[:2])) - 0.5


def _facts(
    part: Dataset, classes: tuple[str, ...], row: NDArray[np.intp], dropped: tuple[Dropped, ...]
) -> dict[str, Any]:
    """What the faces' `Pixels` of every size have in common."""
    number = {name: i for i, name in enumerate(classes)}
    return {
        "classes": classes,
        "row": row,
        "labels": np.array([number.get(shown or "", -1) for shown in part.column("expression")], np.int64),
        "ids": Texts.of(part.column("id")),
        "subjects": Texts.of(part.column("subject")),
        "dropped": dropped,
    }
