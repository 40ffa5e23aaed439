"""Landmarks of many faces, a shard at a time: units of an engine, each kept as a file until the last one is there."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd

from xfer import landmarkers, landmarking
from xfer.datasets import Dataset, FaceSample
from xfer.datasets.objects import Place
from xfer.datasets.stored import StoredPicture
from xfer.errors import InputError
from xfer.landmarkers import Finder
from xfer.landmarking.table import Rows, rows_of
from xfer.progress import Stage
from xfer.study.engine import Engine, Needs
from xfer.study.folder import PARTIALS, sweep, write_whole

FACES = 256
"""Faces of a shard; fewer faces in all need no engine. A row is of its face alone, so no landmark depends on it."""


@dataclass(frozen=True, eq=False)
class Shard:
    """Some faces of a data set, one after another.

    Attributes
    ----------
    faces : sequence of FaceSample
    landmarker : str
    digest : str
        The landmarker's, in place of "" one of this run: what a process keeps open of another digest is not used.
    path : Path
        Where its table goes.
    known : DataFrame or None
        Rows of an earlier table, see `landmarking.landmark`.
    """

    faces: Sequence[FaceSample]
    landmarker: str
    digest: str
    path: Path
    known: pd.DataFrame | None

    def __reduce__(self) -> tuple[Any, ...]:
        """Faces travel one by one: by column they would take those of the whole data set along."""
        return Shard, (tuple(self.faces), self.landmarker, self.digest, self.path, self.known)


def compute(shard: Shard, progress: Stage) -> None:
    """Write a shard's table, with one landmarker that stays open for the next shard of this process.

    Raises
    ------
    InputError
        If the landmarker cannot be opened.
    """
    with _opened(shard.landmarker, shard.digest) as finder:
        data = Dataset("", shard.faces)
        table = landmarking.landmark(data, shard.landmarker, finder=finder, done=shard.known, progress=progress)
    write_whole(shard.path, table.to_parquet)


def divisible(faces: Sequence[FaceSample]) -> bool:
    """Whether faces are more than one shard, and every process can open their pictures."""
    return len(faces) > FACES and all(isinstance(face.source, Path | StoredPicture) for face in faces)


def landmark(
    faces: Sequence[FaceSample],
    landmarker: str,
    engine: Engine,
    home: Path,
    done: pd.DataFrame | None,
    progress: Stage,
) -> pd.DataFrame:
    """The table of `landmarking.landmark`, made in shards of `FACES`; those that an ended run left are not made again.

    Parameters
    ----------
    faces : sequence of FaceSample
    landmarker : str
    engine : Engine
    home : Path
        The study folder; `clear` removes what is kept there in the meantime.
    done : DataFrame or None
        An earlier table, whose rows stand for pictures that have not changed.
    progress : callable

    Raises
    ------
    InputError
        If the landmarker cannot be opened, or a picture's store cannot be read.
    """
    tick = progress("landmarks", len(faces))
    try:
        finder = landmarkers.open(landmarker)
        digest = finder.digest or uuid4().hex  # an answer that must not be used again
        _FREE[landmarker, digest] = [finder]
        shards = list(_shards(faces, landmarker, digest, home, done))
        (home / PARTIALS).mkdir(exist_ok=True)
        missing = [shard for shard in shards if _read(shard.path) is None]
        for _ in range(len(faces) - sum(len(shard.faces) for shard in missing)):
            tick()
        with closing(engine.run(missing, compute, _needs(missing, home), lambda stage, steps: tick)) as results:
            for _, result in results:
                if isinstance(result, Exception):
                    raise result
    finally:
        _close()
    return Rows(row for shard in shards for row in rows_of(landmarking.read(shard.path))).table()


def clear(home: Path) -> None:
    """Remove the tables of shards."""
    sweep(home, "landmarks-*.parquet")


def _shards(
    faces: Sequence[FaceSample], landmarker: str, digest: str, home: Path, done: pd.DataFrame | None
) -> Iterator[Shard]:
    place = {} if done is None else {file: i for i, file in enumerate(done["file"])}
    for start in range(0, len(faces), FACES):
        some = faces[start : start + FACES]
        told = "\0".join([digest, *map(_stamp, some)])
        name = sha256(told.encode("utf-8", "backslashreplace")).hexdigest()[:24]
        known = None if done is None else done.iloc[[place[face.id] for face in some if face.id in place]]
        yield Shard(some, landmarker, digest, home / PARTIALS / f"landmarks-{name}.parquet", known)


def _stamp(face: FaceSample) -> str:
    """A face's name, and the size and time, or in a store the version, of its picture as far as they can be had."""
    if isinstance(face.source, StoredPicture):
        return f"{face.id} {face.source.parted()}"
    with suppress(OSError):
        if isinstance(face.source, Path):
            seen = face.source.stat()
            return f"{face.id} {seen.st_size} {seen.st_mtime_ns}"
    return face.id


def _read(path: Path) -> pd.DataFrame | None:
    """The table that an ended run left of a shard; None where there is none, or a picture must be tried again."""
    try:
        table = landmarking.read(path)
    except InputError:
        return None
    return table if (table["digest"] != "").all() else None


def _needs(shards: Sequence[Shard], home: Path) -> Needs:
    """A core each; a landmarker lets other threads work.

    That workers see the pictures is tried on the first file, the first object of a store, and all archives here.
    """
    alone = [face.source for shard in shards[:1] for face in shard.faces if isinstance(face.source, Path)]
    pictures = (face.source for shard in shards for face in shard.faces if isinstance(face.source, StoredPicture))
    places = dict.fromkeys(each.file.place for each in pictures)
    archives = [place for place in places if isinstance(place, Path)]
    stored = [place for place in places if isinstance(place, str)]
    files: list[Place] = [*[path for path in alone if path.is_file()][:1], *archives, *stored[:1]]
    return Needs(files=tuple(files), own_process=False, home=home)


_FREE: dict[tuple[str, str], list[Finder]] = {}
"""Open landmarkers that no shard uses, by name and digest: opened again and again MediaPipe has ended its process."""


@contextmanager
def _opened(landmarker: str, digest: str) -> Iterator[Finder]:
    free = _FREE.setdefault((landmarker, digest), [])
    try:
        finder = free.pop()
    except IndexError:
        finder = landmarkers.open(landmarker)
    try:
        yield finder
    finally:
        free.append(finder)


def _close() -> None:
    for finders in _FREE.values():
        for finder in finders:
            finder.close()
    _FREE.clear()
