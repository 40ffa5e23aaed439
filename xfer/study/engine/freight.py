"""Files of units whose workers do not see the study's folder: what they take along and bring back. Ray carries them.

Such a study is in a store, and its folder a mirror here. This process alone writes to the store: a run that has lost
its lease has no worker that goes on writing there.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from xfer.errors import InputError, TrainingError
from xfer.study.cache import nodes
from xfer.study.contents import local
from xfer.study.engine.work import Log
from xfer.study.folder import CHECKPOINTS, PARTIALS, SHARDS, write_whole
from xfer.study.locks import acquired, swept, used
from xfer.study.mirror import CHECKPOINT
from xfer.training.store import brought_to

_CHUNK = 2**26
"""Bytes of an object of Ray's; no process holds more of a file at once that is taken along."""
_KEPT = 8
"""Files of single units that stay at hand, for other parts of the same network."""
_PART_MAPS = ".maps.npz"
"""The end of the name of a part's maps of single faces, see `xfer.study.parts.Piece`."""

_T = TypeVar("_T")


class Found(NamedTuple):
    """A file by its name in the study; no content where it is gone."""

    name: str
    content: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Load:
    """What a unit takes along.

    Attributes
    ----------
    home : Path
        The study's folder, as the unit has it.
    run : str
        A name of this run.
    files : mapping of str to tuple of ObjectRef
        By name in the study, in pieces.
    """

    home: Path
    run: str
    files: Mapping[str, tuple[Any, ...]]


class Freight:
    """What a run gives its workers and takes from them.

    Parameters
    ----------
    ray : module
    home : Path
        The study's folder.

    Attributes
    ----------
    run : str
        A name of this run.
    """

    def __init__(self, ray: Any, home: Path) -> None:
        self._ray, self.home, self.run = ray, home, uuid4().hex
        self._scratch, self._single = dict[Path, tuple[Any, ...]](), lru_cache(_KEPT)(self._sent)

    def load(self, files: Sequence[Path]) -> Load:
        """Some files of the study for a unit to take along; scratch files are sent once, and kept while they are."""
        for gone in [path for path in self._scratch if not path.exists()]:
            del self._scratch[gone]
        found = {}
        for path in files:
            with suppress(FileNotFoundError):
                found[path.relative_to(self.home).as_posix()] = self._pieces(path)
        return Load(self.home, self.run, found)

    def _pieces(self, path: Path) -> tuple[Any, ...]:
        told = path.stat()
        if not _scratch(path.name):
            return self._single(path, told.st_size, told.st_mtime_ns)
        if path not in self._scratch:
            self._scratch[path] = self._sent(path, told.st_size, told.st_mtime_ns)
        return self._scratch[path]

    def _sent(self, path: Path, size: int, written: int) -> tuple[Any, ...]:
        with path.open("rb") as file:
            return tuple(self._ray.put(np.fromfile(file, np.uint8, _CHUNK)) for _ in range(0, size, _CHUNK))

    def unload(self, files: Sequence[Found]) -> None:
        """Put what a unit wrote into the study, then remove what it removed: where this ends half-way, all is sound.

        Weights come after their log, what a training goes on from after the best weights so far, a part after its maps,
        a shard last; and what a training goes on from stays until its weights are there.
        """
        for name, content in sorted(files, key=_turn):
            path = self.home / name
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.parent.mkdir(exist_ok=True)
                write_whole(path, content.tofile)

    def follow(self, log: Log) -> None:
        """Put the log of a training that goes on into the study; one that comes late is none."""
        name, content = log
        if not (self.home / name).with_suffix(".safetensors").is_file():
            self.unload([Found(name, np.frombuffer(content, np.uint8))])


@dataclass(frozen=True)
class Bag:
    """A folder of a worker's that stands for the study's while it works on a unit.

    Attributes
    ----------
    load : Load
    node : Path
        The folder that all workers of this machine have in common; scratch files are there.
    home : Path
    """

    load: Load
    node: Path
    home: Path
    _taken: dict[str, str]
    _seen: dict[str, str] = field(default_factory=dict)

    def moved(self, value: _T) -> _T:
        """A unit with this folder in place of the study's."""
        if isinstance(value, Path):
            inside = value.is_relative_to(self.load.home)
            return self.home / value.relative_to(self.load.home) if inside else value
        if not is_dataclass(value) or isinstance(value, type):
            return value
        now = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
        changed = {name: moved for name, old in now.items() if (moved := self.moved(old)) is not old}
        return replace(value, **changed) if changed else value

    def pictures(self) -> AbstractContextManager[None]:
        """Inside the block pictures are unpickled that lie on this machine."""
        return brought_to(self.node)

    def told(self, error: Exception) -> Exception:
        """An error that names the study's folder in place of this one."""
        if isinstance(error, InputError | TrainingError):
            error.args = (str(error).replace(str(self.home), str(self.load.home)),)
        return error

    def logs(self) -> list[Log]:
        """The logs of trainings that have changed since they were asked for last."""
        here = {name: each.mark for name, each in local(self.home).items() if _is_log(name)}
        changed = [name for name, mark in here.items() if self._seen.get(name, self._taken.get(name)) != mark]
        self._seen.update(here)
        return [(name, (self.home / name).read_bytes()) for name in changed]

    def brought(self) -> list[Found]:
        """What the unit wrote, and what it removed."""
        here = local(self.home)
        gone = [Found(name, None) for name in self._taken if name not in here]
        wrote = [name for name, each in here.items() if self._taken.get(name) != each.mark]
        return [Found(name, np.fromfile(self.home / name, np.uint8)) for name in wrote] + gone


@contextmanager
def opened(load: Load) -> Iterator[Bag]:
    """What a unit takes along, unpacked on this machine for the time of a block.

    Raises
    ------
    InputError, OSError
        If that cannot be.
    """
    node = depot(load.run)
    with TemporaryDirectory(prefix="unit-", dir=node) as folder:
        home = Path(folder)
        (home / PARTIALS).mkdir()
        for name, pieces in load.files.items():
            if _scratch(name):
                _unpack_once(node / name, pieces)
            else:
                (home / name).parent.mkdir(exist_ok=True)
                _unpack(home / name, pieces)
        yield Bag(load, node, home, {name: each.mark for name, each in local(home).items()})


def depot(run: str) -> Path:
    """The folder of this machine for a run, in the user's cache; those of killed runs are removed.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    place = nodes()
    try:
        return _held(place / run)
    except OSError as error:
        raise InputError(f"{place}: cannot be written ({error.strerror}); set XDG_CACHE_HOME") from None


def forget(run: str) -> None:
    """Remove the folder of this machine for a run that is over."""
    for path in nodes().glob(f"{run}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


_LOCKS: dict[Path, FileLock] = {}


def _held(folder: Path) -> Path:
    if folder not in _LOCKS:
        for over in [other for other in _LOCKS if not other.is_dir()]:
            _LOCKS.pop(over).release()
        _LOCKS[folder] = used(folder)
        swept(folder.parent)
    folder.mkdir(exist_ok=True)  # another run may just have swept it, as nobody used it a moment ago
    return folder


def _unpack_once(path: Path, pieces: Sequence[Any]) -> None:
    """A file that the processes of this machine share: the first one writes it."""
    if path.is_file():
        return
    lock = acquired(path.with_name(f"{path.name}.lock"), wait=True)
    try:
        if not path.is_file():
            aside = path.with_name(f"{path.name}.new")  # the same for all: what a killed process has left goes
            _unpack(aside, pieces)
            aside.replace(path)
    finally:
        if lock:
            lock.release()


def _unpack(path: Path, pieces: Sequence[Any]) -> None:
    import ray

    with path.open("wb") as file:
        for piece in pieces:
            ray.get(piece).tofile(file)


def _scratch(name: str) -> bool:
    """Whether a file is one of this run alone, such as that of pictures, and the same for many units."""
    return name.startswith(".")


def _turn(file: Found) -> tuple[bool, bool, bool, bool, bool]:
    last = file.content is None, file.name.startswith(SHARDS), file.name.endswith(CHECKPOINT)
    return (*last, file.name.endswith(".safetensors"), not file.name.endswith(_PART_MAPS))


def _is_log(name: str) -> bool:
    return name.startswith(f"{CHECKPOINTS}/") and name.endswith(".csv")
