"""Files here by path and objects of a store by URL: what is there, in which version, and its bytes.

A store is S3, Google Cloud Storage or this process's memory, reached through fsspec, which finds credentials where
the store's own tools do (``AWS_PROFILE``, ``AWS_ENDPOINT_URL``, ...).
"""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from io import TextIOWrapper
from math import nan
from pathlib import Path
from threading import Lock
from typing import IO, Any, TypeAlias

import fsspec

from xfer.datasets.files import shown
from xfer.datasets.stored import StoredPicture
from xfer.errors import InputError, unknown

Place: TypeAlias = Path | str
"""A path here, or the URL of an object or a folder of a store."""

STORES = {"gs": "gcsfs", "memory": "fsspec", "s3": "'xfer-kit[s3]'"}
"""The schemes of URLs, and what pip installs for each."""

_BLOCK, _BLOCKS, _HANDLES = 2**22, 4, 4
"""Bytes fetched at once, blocks kept of a shard, shards kept open: 64 MiB in all."""

_CHANGED = "has changed since the data were listed (digest mismatch); put it back and run the same line again"
_VERSIONS = ("ETag", "etag", "md5Hash", "generation", "mtime", "created", "LastModified")
_DATES = ("LastModified", "mtime", "created")
_UNANSWERED = ("connect", "timeout", "disconnect")
"""What the names of errors have in common that a network makes, whatever library raises them."""
_FULL = ("quota", "no space left", "storage full", "minimum free drive")
"""How stores say that there is no room; they have no code for it in common."""
_OPENING = Lock()


class UnansweredError(InputError):
    """A store that does not answer now, and may later."""


def is_url(text: object) -> bool:
    """Whether a place is in a store.

    >>> is_url("s3://bucket/labels.csv"), is_url("faces/labels.csv"), is_url(Path("s3://bucket"))
    (True, False, False)
    """
    return isinstance(text, str) and "://" in text


def place(text: str) -> Place:
    """A path or a URL as it was typed; ``file://`` is a path.

    Raises
    ------
    InputError
        If the URL's scheme is not one of `STORES`.

    >>> str(place("file:///data/labels.csv")), place("s3://bucket/faces/")
    ('/data/labels.csv', 's3://bucket/faces')
    """
    scheme, _, rest = text.partition("://")
    if not is_url(text) or scheme == "file":
        return Path(rest if scheme == "file" else text)
    if scheme not in STORES:
        raise unknown("store", scheme, ("file", *STORES))
    if not rest.strip("/"):
        raise InputError(f"{text}: names no bucket; give {scheme}://BUCKET/...")
    return text.rstrip("/")


@contextmanager
def reaching(where: Place, done: str = "read") -> Iterator[None]:
    """Turn whatever a file, a store or a format's reader raises into one line that names the place.

    `done` is what is done there, "read" or "written".
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        kind = UnansweredError if is_url(where) and _unanswered(error) else InputError
        raise kind(f"{shown(where)}: {_why(error, is_url(where), done)}") from None


def _unanswered(error: Exception) -> bool:
    busy = isinstance(error, OSError) and error.errno in (errno.EBUSY, errno.EREMOTEIO)
    return busy or any(word in type(error).__name__.lower() for word in _UNANSWERED)


def _why(error: Exception, stored: bool, done: str) -> str:
    kind, told = type(error).__name__, (str(error).splitlines() or [""])[0][:160] or type(error).__name__
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # no store says so
        return f"the disk of this machine is full ({error.filename or told}); make room, then the same line goes on"
    if done == "written" and any(words in f"{kind} {error}".lower() for words in _FULL):
        return f"the store is full ({told}); make room, then the same line goes on"
    if "Credentials" in kind:
        return f"no credentials for the store ({told}); log in, or set AWS_PROFILE or AWS_ACCESS_KEY_ID"
    if isinstance(error, FileNotFoundError):
        return "no such object, folder or bucket" if stored else "no such file"
    if isinstance(error, PermissionError):
        expired = stored and "expired" in told.lower()
        return f"the credentials have expired ({told}); log in again" if expired else f"may not be {done} ({told})"
    asked = "; expired credentials are answered so" if "Bad Request" in told else ""
    return _CHANGED if kind == "FileExpired" else f"cannot be {done} ({told}{asked})"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file or an object as it was when it was listed.

    Attributes
    ----------
    place : Path or str
    size : int
        Bytes.
    version : str
        What tells a changed one: the store's digest of it, or when it was written.
    written : float
        When an object was written, in seconds since 1970 by the store's clock; NaN where that is not told.
    """

    place: Place
    size: int
    version: str
    written: float = field(default=nan, compare=False)

    @classmethod
    def of(cls, where: Place) -> "StoredFile":
        """What is there now; raises an `InputError` if that is nothing, or cannot be told."""
        with reaching(where):
            if isinstance(where, Path):
                told = where.stat()
                return cls(where, told.st_size, str(told.st_mtime_ns))
            store, path = at(where)
            return cls.told(where, store.info(path))

    @classmethod
    def told(cls, where: Place, facts: Mapping[str, Any]) -> "StoredFile":
        """An object by what fsspec tells of it."""
        version, date = (next((facts[n] for n in names if facts.get(n)), "") for names in (_VERSIONS, _DATES))
        dated, written = (each.timestamp() if isinstance(each, datetime) else each for each in (version, date))
        return cls(where, int(facts["size"] or 0), str(dated), float(written) if isinstance(written, float) else nan)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its bytes, read in blocks where it is in a store; whatever the reader raises becomes an `InputError`.

        Raises
        ------
        InputError
            If it is gone, cannot be read or has changed.
        """
        self.require()
        with reaching(self.place):
            if isinstance(self.place, Path):
                with self.place.open("rb") as file:
                    yield file
            else:
                with _open(self.place) as file:
                    yield file

    def require(self) -> None:
        """Raise an `InputError` if it is not there as it was listed."""
        if StoredFile.of(self.place) != self:
            raise InputError(f"{shown(self.place)}: {_CHANGED}")

    def content(self) -> bytes:
        """All of an object; raises as `open`."""
        with reaching(self.place):
            store, path = at(str(self.place))
            found: bytes = store.cat_file(path)
        return self._whole(found, self.size)

    def read(self, start: int, size: int) -> bytes:
        """Some of it; raises as `open`."""
        if isinstance(self.place, Path):
            with self.open() as file:
                file.seek(start)
                return self._whole(file.read(size), size)
        with _OPENING:
            held, lock = _handle(self, os.getpid())
        with reaching(self.place), lock:
            held.seek(start)
            return self._whole(held.read(size), size)

    def _whole(self, found: bytes, size: int) -> bytes:
        if len(found) != size:
            raise InputError(f"{shown(self.place)}: {_CHANGED}")
        return found


@dataclass(frozen=True, slots=True)
class Whole(StoredPicture):
    """A picture that is an object of its own."""

    file: StoredFile

    @property
    def size(self) -> int:  # type: ignore[override]
        """Bytes."""
        return self.file.size

    def content(self) -> bytes:
        """All of it; raises as `StoredPicture.content`."""
        return self.file.content()

    def parted(self) -> tuple[str, tuple[int, int], str]:
        """The folder; the size; the name and the version."""
        folder, _, name = str(self.file.place).rpartition("/")
        return folder, (self.file.size, 0), f"{name}\0{self.file.version}"

    @classmethod
    def joined(cls, shared: Any, numbers: tuple[int, int], text: str) -> "Whole":
        """As `StoredPicture.joined`."""
        name, _, version = text.partition("\0")
        return cls(StoredFile(f"{shared}/{name}", numbers[0], version))


@dataclass(frozen=True, slots=True)
class Part(StoredPicture):
    """A picture that stands in a shard, `size` bytes from byte `start`."""

    file: StoredFile
    start: int
    size: int

    def content(self) -> bytes:
        """The part; raises as `StoredPicture.content`."""
        return self.file.read(self.start, self.size)

    def parted(self) -> tuple[StoredFile, tuple[int, int], str]:
        """The shard; where it stands, and its size."""
        return self.file, (self.start, self.size), ""

    @classmethod
    def joined(cls, shared: Any, numbers: tuple[int, int], text: str) -> "Part":
        """As `StoredPicture.joined`."""
        return cls(shared, *numbers)


def create(url: str, content: bytes | Path) -> bool:
    """Write bytes, or a file that is here, as an object where none of that name is; whether it was this call's.

    A conditional write, so that of several writers one succeeds.
    """
    store, path = at(url)
    try:
        if isinstance(content, Path):
            store.put_file(str(content), path, mode="create")
        else:
            store.pipe_file(path, content, mode="create")
    except PermissionError:
        raise
    except OSError:  # not all stores say that it exists
        if not store.exists(path):
            raise
        return False
    return True


def listed(url: str, deep: bool = True, *, some: bool = True) -> dict[str, StoredFile]:
    """The objects below a URL by relative name, in no order; of the folder alone if not `deep`.

    Raises
    ------
    InputError
        If they may not be listed, or, unless not `some`, there is none.
    """
    store, root = at(url)
    with reaching(url):
        found = store.find(root, maxdepth=None if deep else 1, detail=True)
    start = len(root.rstrip("/")) + 1
    names = {path[start:]: facts for path, facts in found.items() if path[start:] and not path.endswith("/")}
    if some and not names:
        raise InputError(f"{shown(url)}: no such folder, or nothing is in it")
    return {name: StoredFile.told(f"{url}/{name}", facts) for name, facts in names.items()}


@contextmanager
def text(where: Place) -> Iterator[IO[str]]:
    """A file of text in UTF-8, other bytes as surrogates, its ends of lines as they are."""
    how: dict[str, Any] = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    if isinstance(where, Path):
        with where.open(**how) as stream:
            yield stream
    else:
        with StoredFile.of(where).open() as binary:
            yield TextIOWrapper(binary, **how)


def at(url: str) -> tuple[Any, str]:
    """The file system of a URL, and its name there.

    Raises
    ------
    InputError
        If what reaches such a store is not installed.
    """
    scheme = url.partition("://")[0]
    try:
        store = _filesystem(scheme, os.getpid())
    except ImportError:
        raise InputError(f"{shown(url)}: {scheme}:// is not installed; pip install {STORES[scheme]}") from None
    return store, store._strip_protocol(url)


@lru_cache(maxsize=8)
def _filesystem(scheme: str, process: int) -> Any:
    """One for all threads of a process; nothing that a store told is kept, it may change."""
    return fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False)


def _open(url: str) -> Any:
    store, path = at(url)
    return store.open(path, "rb", block_size=_BLOCK, cache_type="background", cache_options={"maxblocks": _BLOCKS})


@lru_cache(maxsize=_HANDLES)
def _handle(file: StoredFile, process: int) -> tuple[Any, Lock]:
    """A shard kept open, for the pictures after this one."""
    file.require()
    with reaching(file.place):
        return _open(str(file.place)), Lock()
