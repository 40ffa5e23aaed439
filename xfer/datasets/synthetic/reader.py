"""Drawn faces as a data set, and as files for other programs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from xfer.datasets import DATASETS, Dataset, FaceSample
from xfer.datasets.synthetic.action_units import CODES
from xfer.datasets.synthetic.drawing import draw
from xfer.datasets.synthetic.face import Face
from xfer.datasets.synthetic.population import member, stream
from xfer.datasets.synthetic.projection import landmarks
from xfer.datasets.synthetic.prototypes import Codebook, combinations, default
from xfer.errors import InputError
from xfer.labels import BASIC

CAUTION = "faces and masks share an author: this tests the software, not FACS"
LARGEST = 2048
"""The largest side of a picture, in px."""


@DATASETS.register(
    "synthetic",
    layout="",
    reference="drawn for xfer after Ekman, Friesen and Hager 2002, FACS Investigator's Guide",
    licence="MIT",
)
def synthetic(
    faces: int = 2400,
    size: int = 96,
    seed: int = 0,
    cue: str | None = None,
    expressions: Sequence[str] = BASIC,
    codebook: str | None = None,
) -> Dataset:
    """Drawn faces with exact landmarks and known Action Units.

    Parameters
    ----------
    faces : int
        How many.
    size : int
        Side of a picture in px.
    seed : int
        Of people and scenes.
    cue : str, optional
        A planted cue (`cues.CUES`) that alone carries the class.
    expressions : sequence of str
        Labels, in turn.
    codebook : str, optional
        The source of the Action Units of an expression; see `prototypes.default`.

    Raises
    ------
    InputError
        If a number is out of range, or an expression or cue is unknown.
    """
    if faces < 1 or not 16 <= size <= LARGEST:
        raise InputError(f"drawn faces: at least 1, of 16 to {LARGEST} px; got {faces} of {size} px")
    book = default() if codebook is None else combinations(codebook)
    population = _Population(size, seed, tuple(expressions), book, cue)
    points = np.empty((faces, 68, 2), np.float32)
    samples, subject = [], ""
    for i, face in enumerate(stream(faces, seed, expressions, book, cue)):
        points[i] = landmarks(face, size)
        subject = subject if face.subject == subject else face.subject
        source, units = _Picture(population, i), _Intensities(population, i)
        samples.append(FaceSample(f"{i:06d}.png", source, face.expression, subject, landmarks=points[i], extra=units))
    return Dataset("synthetic", samples, notes=(CAUTION,))


@dataclass(frozen=True, slots=True)
class _Population:
    """What all faces of a sample share; a face is made anew each time, so that a waiting one takes little memory."""

    size: int
    seed: int
    expressions: tuple[str, ...]
    codebook: Codebook
    cue: str | None

    def face(self, place: int) -> Face:
        return member(place, self.seed, self.expressions, self.codebook, self.cue)


@dataclass(frozen=True, slots=True)
class _Picture:
    """The picture of one face, drawn when it is called."""

    population: _Population
    place: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the picture, known without drawing it."""
        return self.population.size, self.population.size, 3

    @property
    def face(self) -> Face:
        """What it is drawn from."""
        return self.population.face(self.place)

    def __call__(self) -> NDArray[np.uint8]:
        return draw(self.face, self.population.size)


def face_of(sample: FaceSample) -> Face | None:
    """What the picture of a face is drawn from; None for pictures from files."""
    return sample.source.face if isinstance(sample.source, _Picture) else None


class _Intensities(Mapping[str, str]):
    """The Action Units of one face as text, looked up when they are first asked for."""

    __slots__ = ("_place", "_population", "_units")

    def __init__(self, population: _Population, place: int) -> None:
        self._population, self._place = population, place
        self._units: Mapping[str, float] | None = None

    def __getitem__(self, code: str) -> str:
        if code not in CODES:
            raise KeyError(code)
        if self._units is None:
            self._units = self._population.face(self._place).action_units
        return f"{self._units.get(code, 0):.4f}"

    def __iter__(self) -> Iterator[str]:
        return iter(CODES)

    def __len__(self) -> int:
        return len(CODES)


def write(dataset: Dataset, folder: str | Path, progress: Callable[[], None] | None = None) -> None:
    """PNGs, ``labels.csv`` (file, expression, subject, an intensity column per AU) and ``landmarks.csv``.

    The landmarks (x0, y0, ... in px, the first pixel's centre at (0, 0)) are of the form that the landmarker
    ``points:FILE`` reads.

    They are drawn into the hidden ``.FOLDER.part``, which gets its name when it is whole; what is there is drawn anew,
    so an interrupted call may be repeated.

    Raises
    ------
    InputError
        If the folder is there and not empty, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already; give a new folder with --out")
    part = folder.with_name(f".{folder.name}.part")
    try:
        part.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); give another --out") from None
    for sample in dataset.samples:
        Image.fromarray(sample.load()).save(part / sample.id)
        if progress:
            progress()
    labels = [{"file": s.id, "expression": s.expression, "subject": s.subject, **s.extra} for s in dataset.samples]
    pd.DataFrame(labels).to_csv(part / "labels.csv", index=False)
    points = [_points(s, np.asarray(s.landmarks)) for s in dataset.samples]
    pd.DataFrame(points).to_csv(part / "landmarks.csv", index=False)
    for other in {p.name for p in part.iterdir()} - {s.id for s in dataset.samples} - {"labels.csv", "landmarks.csv"}:
        (part / other).unlink()
    if folder.exists():
        folder.rmdir()
    part.rename(folder)


def _points(sample: FaceSample, points: np.ndarray) -> Mapping[str, object]:
    named = {f"{axis}{i}": round(float(points[i, j]), 3) for i in range(68) for j, axis in enumerate("xy")}
    return {"file": sample.id, **named}
