"""Where pictures and their landmarks wait: in memory, or in scratch files where they are many or shared."""

import errno
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray

from xfer.errors import InputError

POINTS = (68, 2)
_BROUGHT: ContextVar[Path | None] = ContextVar("the folder of files that another machine made", default=None)


class Store:
    """Takes pictures and their landmarks one by one, into memory or into a file, and gives them back by number.

    Parameters
    ----------
    faces : int
        At most so many are added.
    size : int
    folder : Path or None
        Where a scratch file is made; None keeps the pictures in memory.
    named : bool
        Whether other processes may open the file, which is at `path` then.
    """

    def __init__(self, faces: int, size: int, folder: Path | None, named: bool) -> None:
        self._shape = (3, size, size)
        self._added = 0
        self._memory = np.empty((faces, *self._shape), np.uint8) if folder is None else None
        self._points = np.empty((faces if folder is None else 0, *POINTS), np.float32)
        self.path: Path | None = None
        self._open: tuple[int, IO[bytes]] | None = None
        self._lock = threading.Lock()
        self._end: weakref.finalize | None = None
        if folder is not None:
            self._make(folder, named)

    def _make(self, folder: Path, named: bool) -> None:
        try:
            if named:
                number, name = tempfile.mkstemp(".tmp", ".pixels-", folder)
                self.path, file = Path(name), os.fdopen(number, "w+b")
            else:
                file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
        self._open = os.getpid(), file
        self._end = weakref.finalize(self, _remove, file, self.path, os.getpid())

    def __getstate__(self) -> dict[str, Any]:
        if self._memory is None and self.path is None:
            raise TypeError("pictures in a nameless file stay in their process; read them with shared=True")
        kept = {"_shape": self._shape, "_added": self._added, "_memory": self._memory, "path": self.path}
        return {**kept, "_points": self._points if self.path is None else self._points[:0]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _end=None, _open=None, _lock=threading.Lock())
        if self.path is not None and (folder := _BROUGHT.get()) is not None:
            self.path = folder / self.path.name

    def add(self, picture: NDArray[np.uint8], points: NDArray[np.floating] | None) -> None:
        """Take the next picture (3, size, size) and its landmarks (68, 2), if they are known."""
        found = np.full(POINTS, np.nan, np.float32) if points is None else np.asarray(points, np.float32)
        if self._memory is not None:
            self._memory[self._added], self._points[self._added] = picture, found
        else:
            self._file().write(picture.tobytes() + found.tobytes())
        self._added += 1

    @property
    def landmarks(self) -> NDArray[np.float32]:
        """Of every picture (row, 68, 2), NaN where they are not known."""
        if self._memory is not None or not self._added:
            return self._points[: self._added]
        return np.memmap(self._file(), self._record, "r", shape=(self._added,))["points"]

    @property
    def _record(self) -> np.dtype[Any]:
        return np.dtype([("picture", np.uint8, self._shape), ("points", np.float32, POINTS)])

    def seal(self) -> None:
        """Let other processes see what was added."""
        if self._open is not None:
            self._file().flush()

    def discard(self) -> None:
        """Remove the file."""
        if self._end is not None:
            self._end()

    def read(self, rows: NDArray[np.intp]) -> torch.Tensor:
        """Pictures by number: uint8 (row, 3, size, size)."""
        if not len(rows):
            return torch.empty((0, *self._shape), dtype=torch.uint8)
        if self._memory is not None:
            return torch.from_numpy(self._memory[rows])
        length, step = prod(self._shape), self._record.itemsize
        found = np.empty((len(rows), *self._shape), np.uint8)
        with self._lock:
            file = self._file()
            for i, row in enumerate(rows):
                file.seek(int(row) * step)
                found[i] = np.frombuffer(file.read(length), np.uint8).reshape(self._shape)
        return torch.from_numpy(found)

    def _file(self) -> IO[bytes]:
        """The file, opened by this process: a forked one must not share its parent's place in it."""
        if self._open is None or (self.path is not None and self._open[0] != os.getpid()):
            assert self.path is not None
            file = self.path.open("rb")
            weakref.finalize(self, file.close)
            self._open = os.getpid(), file
        return self._open[1]


@contextmanager
def brought_to(folder: Path) -> Iterator[None]:
    """Unpickle, inside the block, stores whose files another machine made and that lie in a folder of this one."""
    token = _BROUGHT.set(folder)
    try:
        yield
    finally:
        _BROUGHT.reset(token)


def bytes_of(size: int) -> int:
    """What a picture of so many px and its landmarks take."""
    return 3 * size**2 + 4 * prod(POINTS)


@contextmanager
def stores(
    faces: int, sizes: Sequence[int], folder: Path | None, shared: bool, in_memory: int
) -> Iterator[dict[int, Store]]:
    """A store per size; their files are removed if the reading fails."""
    needed = faces * sum(bytes_of(size) for size in sizes)
    place = None
    if shared or needed > in_memory:
        place = Path(tempfile.gettempdir()) if folder is None else folder
        _require_room(place, faces, sizes, needed)
    made: dict[int, Store] = {}
    try:
        for size in sizes:
            made[size] = Store(faces, size, place, shared)
        yield made
        for store in made.values():
            store.seal()
    except BaseException as error:
        for store in made.values():
            store.discard()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            told = f"{error.strerror}; the faces need {needed / 1e6:.1f} MB for the time of the run"
            raise OSError(error.errno, told, str(place)) from None
        raise


def _require_room(place: Path, faces: int, sizes: Sequence[int], needed: int) -> None:
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        raise InputError(f"{place}: cannot be written ({error.strerror})") from None
    if free < needed:
        told = ", ".join(map(str, sizes))
        raise InputError(
            f"{place}: {faces} faces of {told} px need {needed / 1e6:.1f} MB for the time of the run, "
            f"the disk has {free / 1e6:.1f} MB; make room or use fewer faces"
        )


def _remove(file: IO[bytes], path: Path | None, owner: int) -> None:
    with suppress(OSError):
        file.close()
    if path is not None and os.getpid() == owner:
        with suppress(OSError):
            path.unlink()
