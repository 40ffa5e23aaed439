"""WebDataset: tar shards of KEY.jpg with KEY.cls or KEY.json; members are read where they stand, none is unpacked."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from xfer.datasets import DATASETS
from xfer.datasets.files import PICTURES, shown
from xfer.datasets.listing import Listing, title
from xfer.datasets.objects import Part, Place, StoredFile
from xfer.datasets.patterns import shards, splits
from xfer.datasets.records import LANDMARKS, enter, points
from xfer.datasets.samples import Dataset, Dropped, in_order
from xfer.datasets.stored import refusal
from xfer.errors import InputError

LAYOUT = (
    "tar shards faces-{000..009}.tar, faces-*.tar or a folder of *.tar, with KEY.jpg and KEY.cls (an expression, or a "
    "number with classnames.txt beside the shards) or KEY.json (expression, subject, split, time, landmarks)"
)
_CLASSES = "classnames.txt"
_MAX_RECORD = 2**16
"""Bytes of a member that tells of a face."""
_MAX_HEADER = 2**20
"""Bytes that a header may ask for at once."""
_BLOCK = tarfile.BLOCKSIZE
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"\x28\xb5": "zstd"}


@dataclass(slots=True)
class _Face:
    """What the members of one key tell."""

    name: str
    picture: Part | Dropped | None = None
    record: dict[str, Any] = field(default_factory=dict)


@DATASETS.register(
    "webdataset",
    layout=LAYOUT,
    reference="Aizman, Maltby and Breuel (2019), doi:10.48550/arXiv.2001.01858",
    licence="yours",
    urls=True,
)
def webdataset(path: Place, *, allow_outside: bool = False) -> Dataset:
    """Read tar shards; a face goes by its picture's name in the shard.

    Where names of shards begin with several splits (train-000.tar, val-000.tar), they tell the faces' too.

    Parameters
    ----------
    path : Path or str
        See `xfer.datasets.patterns.shards`.
    allow_outside : bool
        Changes nothing: links in a shard are never followed.

    Raises
    ------
    InputError
        If a shard is missing, compressed or damaged, or no face can be used.
    """
    found = shards(path, ".tar", LAYOUT)
    classes = _class_names(found[0].place)
    listing = Listing()
    for (dropped, faces), split in zip(in_order(_read, found), splits(found), strict=True):
        for lost in dropped:
            listing.lose(lost)
        for face in faces:
            _enter(listing, face, split, classes)
    return listing.dataset(title("webdataset", path))


def _enter(listing: Listing, face: _Face, split: str, classes: tuple[str, ...]) -> None:
    if face.picture is None:
        listing.drop(face.name, "has a label and no picture")
    else:
        enter(listing, face.name, face.picture, face.record, classes, split)


def _class_names(shard: Place) -> tuple[str, ...]:
    """The lines of ``classnames.txt`` beside a shard, if it is there."""
    beside = shard.with_name(_CLASSES) if isinstance(shard, Path) else f"{shard.rpartition('/')[0]}/{_CLASSES}"
    try:
        told = StoredFile.of(beside)
    except InputError:
        return ()
    with told.open() as stream:
        return tuple(stream.read(_MAX_RECORD).decode("utf-8", "replace").splitlines())


def _read(shard: StoredFile) -> tuple[list[Dropped], list[_Face]]:
    """The faces of a shard in the order of their first members, and the members that cannot be used."""
    dropped: list[Dropped] = []
    faces: dict[str, _Face] = {}
    with shard.open() as stream:
        for tar, member in _members(shard, stream):
            name = PurePosixPath(member.name)
            if member.isdir() or any(part.startswith(".") and part != ".." for part in name.parts):
                continue
            if reason := _unfit(member, name):
                dropped.append(Dropped(shown(name), reason))
                continue
            stem, _, kind = name.name.partition(".")
            picture = f".{kind.lower()}" in PICTURES
            if not picture and kind not in ("cls", "json"):
                continue
            face = faces.setdefault(f"{name.parent}/{stem}", _Face(str(name)))
            if picture:
                reason = _take_picture(face, Part(shard, member.offset_data, member.size), str(name))
            else:
                reason = _take_record(face, kind, tar, member)
            dropped += [Dropped(shown(name), reason)] if reason else []
    if not any(face.picture for face in faces.values()):
        dropped.append(Dropped(shown(PurePosixPath(str(shard.place)).name), "holds no picture"))
    return dropped, list(faces.values())


def _unfit(member: tarfile.TarInfo, name: PurePosixPath) -> str:
    if member.islnk() or member.issym():
        return "is a link, which is not followed"
    if name.is_absolute() or ".." in name.parts:
        return "is named as if it lay outside the shard"
    return "" if member.isreg() and not member.issparse() else "is not a regular file"


def _take_picture(face: _Face, picture: Part, name: str) -> str:
    """Add the picture of a face; why not, if it has one."""
    if face.picture is not None:
        return f"is a second picture beside {shown(face.name)}"
    reason = refusal(picture.size)
    face.name, face.picture = name, Dropped(shown(name), reason) if reason else picture
    return ""


def _take_record(face: _Face, kind: str, tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    """Add what a member tells; why not, if it cannot."""
    if member.size > _MAX_RECORD:
        return f"tells of a face in more than {_MAX_RECORD // 1024} kB"
    file = tar.extractfile(member)
    told = file.read() if file else b""
    if kind == "cls":
        face.record["expression"] = told.decode("utf-8", "backslashreplace").strip()
        return ""
    try:
        record = json.loads(told)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        return "holds no record in JSON"
    if LANDMARKS in record and (found := points(record)) is not None:
        record[LANDMARKS] = found  # a tenth of the memory while the shard waits
    face.record |= {**record, **face.record}
    return ""


def _members(shard: StoredFile, stream: IO[bytes]) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The members one by one; a shard that ends early, or goes on with something else, is told of."""
    start = stream.read(_BLOCK)
    if not start:
        raise InputError(f"{shown(shard.place)}: is an empty file")
    if packed := _COMPRESSED.get(start[:2]):
        raise InputError(f"{shown(shard.place)}: is compressed ({packed}); unpack it to a plain .tar, once")
    stream.seek(0)
    read = 0
    try:
        with tarfile.open(fileobj=_Careful(stream), mode="r:", errors="surrogateescape") as tar:  # type: ignore[call-overload]
            while (member := tar.next()) is not None:
                tar.members = []  # tarfile keeps them all
                if tar.offset <= member.offset or (member.isreg() and member.offset_data + member.size > shard.size):
                    raise tarfile.ReadError("a member is longer than the file")
                read += 1
                yield tar, member
            stream.seek(tar.offset)
            if stream.read(_BLOCK).strip(b"\0"):
                raise tarfile.ReadError(f"no header at byte {tar.offset}")
    except tarfile.TarError as error:
        told = str(error).splitlines()[0][:100]
        raise InputError(f"{shown(shard.place)}: is a damaged tar, after {read} members ({told})") from None


class _Careful:
    """A stream that tarfile reads headers from; none of them is longer than `_MAX_HEADER`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        """Some bytes."""
        if size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)
