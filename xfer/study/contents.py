"""What a study holds, in a folder here and in a store: names, and what tells a changed file.

A folder such as ``heatmaps.zarr`` counts as one file. Names that begin with a dot are locks, leases, scratch and what
is just being written; they are no part of a study.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from xfer.datasets.objects import StoredFile, listed

GROUP = ".zgroup"
"""What makes a folder one of arrays; written last, and taken away first."""
_ZARR = ".zarr"


@dataclass(frozen=True)
class Stored:
    """A file of a study in its store, or a folder that counts as one.

    Attributes
    ----------
    files : mapping of str to StoredFile
        By name.
    """

    files: Mapping[str, StoredFile]

    @property
    def version(self) -> str:
        """What tells a changed one."""
        told = sorted((name, file.version) for name, file in self.files.items())
        return told[0][1] if len(told) == 1 else sha256(repr(told).encode()).hexdigest()

    @property
    def whole(self) -> bool:
        """Whether it is not a folder that is just being written."""
        return all(f"{folder_of(name)}/{GROUP}" in self.files for name in self.files if folder_of(name))

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files.values())


class Local(NamedTuple):
    """A file here, or a folder that counts as one: when it was written (ns), and what tells a changed one."""

    written: int
    mark: str


def folder_of(name: str) -> str:
    """The folder that counts as one file, for the name of a file in it; "" for other files.

    >>> folder_of("heatmaps.zarr/.zgroup"), folder_of("shards/0a.npz")
    ('heatmaps.zarr', '')
    """
    first, slash, _ = name.partition("/")
    return first if slash and first.endswith(_ZARR) else ""


def stored(url: str) -> dict[str, Stored]:
    """What a store has below a URL; names that would lead out of a folder are left out."""
    found: dict[str, dict[str, StoredFile]] = {}
    for name, file in listed(url, some=False).items():
        parts = PurePosixPath(name).parts
        if name == "/".join(parts) and ".." not in parts and not parts[0].startswith(".") and "\\" not in name:
            found.setdefault(folder_of(name) or name, {})[name] = file
    return {name: Stored(files) for name, files in found.items()}


def local(home: Path) -> dict[str, Local]:
    """What a folder has."""
    found: dict[str, dict[str, os.stat_result]] = {}
    for folder, folders, files in os.walk(home):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(folder) / name for name in files):
            name = path.relative_to(home).as_posix()
            if folder_of(name) or not path.name.startswith("."):
                with suppress(FileNotFoundError):
                    found.setdefault(folder_of(name) or name, {})[name] = path.stat()
    return {name: Local(max(told.st_mtime_ns for told in files.values()), mark(files)) for name, files in found.items()}


def mark(files: Mapping[str, os.stat_result]) -> str:
    """What tells that one of some files was written anew."""
    told = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in files.items())
    return sha256(repr(told).encode()).hexdigest()[:16]
