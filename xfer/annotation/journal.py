"""A rater's file: JSON lines only ever added to, one writer at a time, on disk before the next face is shown."""

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from xfer.errors import InputError

FORMAT = 1
SUFFIX = ".jsonl"
_LARGEST = 256_000_000

_OPEN: dict[Path, "Journal"] = {}
"""The journals that this process writes: whoever opens one again, as after a reload, takes it over."""


class Journal:
    """The open file of one rater.

    Attributes
    ----------
    lines : list of dict
        What is in it, without the header.
    mended : bool
        Whether a last line that was torn off in the middle was taken away.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Open or begin a journal and hold it.

        Raises
        ------
        InputError
            If another process holds it, it is damaged or of another header, or cannot be written.
        """
        self.path = path.resolve()
        if earlier := _OPEN.pop(self.path, None):
            earlier.close()
        with ExitStack() as stack:
            stack.callback(_locked(self.path).release)
            try:
                self.mended = _mend(self.path)
                self._file = stack.enter_context(self.path.open("ab", buffering=0))
            except PermissionError as error:
                raise InputError(f"{path}: cannot be written ({error.strerror})") from None
            self.lines: list[dict[str, Any]] = []
            if self.path.stat().st_size == 0:
                self._write({"format": FORMAT, **header})
            else:
                self.lines = read(self.path, header)
            self._held = stack.pop_all()
        _OPEN[self.path] = self

    @property
    def closed(self) -> bool:
        """Whether it was closed, or taken over by another window."""
        return self._file.closed

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line; it is on the disk when this returns.

        Raises
        ------
        InputError
            If it was taken over, or the disk is full; what is there stays readable.
        """
        if self.closed:
            raise InputError("this rater goes on in another window; close this one")
        self._write(line)
        self.lines.append(dict(line))

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        before = self.path.stat().st_size
        try:
            if self._file.write(text) != len(text):
                raise OSError(28, "the disk is full")
            os.fsync(self._file.fileno())
        except OSError as error:
            os.truncate(self.path, before)
            raise InputError(f"{self.path.name}: this face could not be saved ({error.strerror}); try again") from None

    def close(self) -> None:
        """Let go of the file."""
        self._held.close()
        if _OPEN.get(self.path) is self:
            del _OPEN[self.path]


def held(path: Path) -> bool:
    """Whether another process writes a journal."""
    try:
        _locked(path.resolve()).release()
    except InputError:
        return True
    return False


def _locked(path: Path) -> FileLock:
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            "this name is painting in another window; if that is you, shut that notebook's kernel down "
            "(Kernel > Shut Down Kernel) and start again, otherwise take another name with --rater"
        ) from None
    except OSError as error:
        raise InputError(f"{path.parent}: cannot be written ({error.strerror}); give another --out") from None
    return lock


def _mend(path: Path) -> bool:
    """Take away what a crash left of a last line; a line is whole when it ends."""
    if not path.exists():
        return False
    data = _bytes(path)
    if not data or data.endswith(b"\n"):
        return False
    with path.open("r+b") as file:
        file.truncate(data.rfind(b"\n") + 1)
        os.fsync(file.fileno())
    return True


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path}: larger than {_LARGEST // 1_000_000} MB; not a rater's file")
    return path.read_bytes()


def read(path: Path, header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines of a journal without its header; a torn last line is passed over.

    Raises
    ------
    InputError
        If a line is damaged, or the header says something else.
    """
    whole = _bytes(path).split(b"\n")[:-1]
    lines = [_line(path, number, text) for number, text in enumerate(whole, start=1)]
    wanted = {"format": FORMAT, **header}
    if lines and lines[0] != wanted:
        wrong = next((k for k in wanted if lines[0].get(k) != wanted[k]), "header")
        raise InputError(f"{path}: {wrong} {lines[0].get(wrong)!r} where {wanted.get(wrong)!r} was expected")
    return lines[1:]


def _line(path: Path, number: int, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path}: line {number} is damaged; take it away to keep the others")
    return found
