"""Landmarks of many faces, a shard at a time: units of an engine, each kept as a file until the last one is there."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pandas as pd

from xfer import landmarkers, landmarking
from xfer.datasets import Dataset, FaceSample
from xfer.datasets.stored import StoredPicture
from xfer.errors import InputError
from xfer.landmarkers import Finder
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
    faces : tuple of FaceSample
    landmarker : str
    path : Path
        Where its table goes.
    known : DataFrame or None
        Rows of an earlier table, see `landmarking.landmark`.
    """

    faces: tuple[FaceSample, ...]
    landmarker: str
    path: Path
    known: pd.DataFrame | None


def compute(shard: Shard, progress: Stage) -> None:
    """Write a shard's table, with one landmarker that stays open for the next shard of this process.

    Raises
    ------
    InputError
        If the landmarker cannot be opened.
    """
    with _opened(shard.landmarker) as finder:
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
        with _opened(landmarker) as finder:
            digest = finder.digest or uuid4().hex  # an answer that must not be used again
        shards = list(_shards(faces, landmarker, digest, home, done))
        (home / PARTIALS).mkdir(exist_ok=True)
        tables = {shard.path: table for shard in shards if (table := _read(shard.path)) is not None}
        for _ in range(sum(map(len, tables.values()))):
            tick()
        missing = [shard for shard in shards if shard.path not in tables]
        with closing(engine.run(missing, compute, _needs(missing), lambda stage, steps: tick)) as results:
            for _, result in results:
                if isinstance(result, Exception):
                    raise result
    finally:
        _close()
    whole = [tables[shard.path] if shard.path in tables else landmarking.read(shard.path) for shard in shards]
    table = pd.concat(whole, ignore_index=True)
    table.attrs["format"] = landmarking.FORMAT
    return table


def clear(home: Path) -> None:
    """Remove the tables of shards."""
    sweep(home, "landmarks-*.parquet")


def _shards(
    faces: Sequence[FaceSample], landmarker: str, digest: str, home: Path, done: pd.DataFrame | None
) -> Iterator[Shard]:
    for start in range(0, len(faces), FACES):
        some = tuple(faces[start : start + FACES])
        told = "\0".join([digest, *map(_stamp, some)])
        name = sha256(told.encode("utf-8", "backslashreplace")).hexdigest()[:24]
        known = None if done is None else done[done["file"].isin({face.id for face in some})]
        yield Shard(some, landmarker, home / PARTIALS / f"landmarks-{name}.parquet", known)


def _stamp(face: FaceSample) -> str:
    """A face's name, and the size and time of its picture as far as they can be had."""
    told = f"{face.id} {face.source.size}" if isinstance(face.source, StoredPicture) else face.id
    with suppress(OSError):
        if isinstance(face.source, Path):
            seen = face.source.stat()
            return f"{told} {seen.st_size} {seen.st_mtime_ns}"
    return told


def _read(path: Path) -> pd.DataFrame | None:
    """The table that an ended run left of a shard; None where there is none, or a picture must be tried again."""
    try:
        table = landmarking.read(path)
    except InputError:
        return None
    return table if (table["digest"] != "").all() else None


def _needs(shards: Sequence[Shard]) -> Needs:
    """A core each; a landmarker lets other threads work. That workers see the pictures is tried on the first one."""
    files = [face.source for shard in shards[:1] for face in shard.faces if isinstance(face.source, Path)]
    return Needs(files=tuple(path for path in files if path.is_file())[:1], own_process=False)


_FREE: dict[str, list[Finder]] = {}
"""Open landmarkers that no shard is using, by name: opened again and again MediaPipe has ended its process."""


@contextmanager
def _opened(landmarker: str) -> Iterator[Finder]:
    try:
        finder = _FREE.setdefault(landmarker, []).pop()
    except IndexError:
        finder = landmarkers.open(landmarker)
    try:
        yield finder
    finally:
        _FREE.setdefault(landmarker, []).append(finder)


def _close() -> None:
    for finders in _FREE.values():
        for finder in finders:
            finder.close()
    _FREE.clear()
