"""Parquet files with the pictures' bytes in a column, as Hugging Face writes them; a row group is read at a time."""

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xfer.datasets import DATASETS
from xfer.datasets.files import shown
from xfer.datasets.listing import Listing, title
from xfer.datasets.objects import Place, StoredFile
from xfer.datasets.patterns import shards, splits
from xfer.datasets.records import EXPRESSIONS, LANDMARKS, enter
from xfer.datasets.samples import Dataset
from xfer.datasets.stored import StoredPicture
from xfer.errors import InputError

LAYOUT = (
    "parquet files faces-*.parquet or a folder of them, with a column of pictures (bytes, or a struct with bytes), an "
    "expression and, if known, id, subject, split, time, landmarks"
)
MAX_GROUP = 2**30
"""Bytes of pictures in a row group; a larger one is not read."""

_IMAGES = ("image", "img", "picture")
_IDS = ("id", "file")
_HELD = 2
"""Row groups kept in memory."""
_LOADING = Lock()


@dataclass(frozen=True, slots=True)
class Cell(StoredPicture):
    """A picture in a row of a row group; `size` is that of the group's pictures."""

    file: StoredFile
    column: str
    group: int
    row: int
    size: int

    def content(self) -> bytes:
        """The cell, empty if nothing is in it; raises as `StoredPicture.content`."""
        with _LOADING:
            found = _pictures(self.file, self.column, self.group, os.getpid())
        return found[self.row].as_py() or b""

    def parted(self) -> tuple[tuple[StoredFile, str, int], tuple[int, int], str]:
        """The file, the column and the size of the row group; the group and the row."""
        return (self.file, self.column, self.size), (self.group, self.row), ""

    @classmethod
    def joined(cls, shared: Any, numbers: tuple[int, int], text: str) -> "Cell":
        """As `StoredPicture.joined`."""
        file, column, size = shared
        return cls(file, column, *numbers, size)


@lru_cache(maxsize=_HELD)
def _pictures(file: StoredFile, column: str, group: int, process: int) -> Any:
    with file.open() as stream:
        table = pq.ParquetFile(stream).read_row_group(group, columns=[column])
    found = table.column(0).combine_chunks()
    return found.field(0) if pa.types.is_struct(found.type) else found


@DATASETS.register("parquet", layout=LAYOUT, reference="none", licence="yours", urls=True)
def parquet(path: Place, *, allow_outside: bool = False) -> Dataset:
    """Read Parquet files; a face goes by its ``id`` or ``file``, else by its file's name and its row.

    Where names of files begin with several splits (train-00000-of-00002.parquet), they tell the faces' too.

    Parameters
    ----------
    path : Path or str
        See `xfer.datasets.patterns.shards`.
    allow_outside : bool
        Changes nothing: the pictures are in the files that are named.

    Raises
    ------
    InputError
        If a file is missing, is no Parquet or has no column of pictures, or no face can be used.
    """
    listing = Listing()
    found = shards(path, ".parquet", LAYOUT)
    for shard, split in zip(found, splits(found), strict=True):
        _add(listing, shard, split)
    return listing.dataset(title("parquet", path))


def _add(listing: Listing, shard: StoredFile, split: str) -> None:
    """Enter the rows of a file; the pictures stay in it."""
    name, row = PurePosixPath(str(shard.place)).name, 0
    with shard.open() as stream:
        table = _opened(shard, stream)
        schema = table.schema_arrow
        picture, column = _picture_column(shard, schema)
        classes = _class_names(schema)
        wanted = [each.name for each in schema if each.name != picture and _told(each)]
        for group in range(table.num_row_groups):
            size = _size(shard, table, group, column)
            rows = table.metadata.row_group(group).num_rows
            records = table.read_row_group(group, columns=wanted).to_pylist() if wanted else [{} for _ in range(rows)]
            for number, record in enumerate(records):
                known = next((each for each in _IDS if record.get(each)), "")
                own = str(record.pop(known)) if known else f"{name}/{row:06d}"
                enter(listing, own, Cell(shard, column, group, number, size), record, classes, split)
                row += 1
    if not row:
        listing.drop(name, "holds no row")


def _opened(shard: StoredFile, stream: Any) -> Any:
    try:
        return pq.ParquetFile(stream)
    except pa.ArrowInvalid as error:
        raise InputError(f"{shown(shard.place)}: is not a parquet file ({str(error).splitlines()[0][:100]})") from None


def _picture_column(shard: StoredFile, schema: Any) -> tuple[str, str]:
    """The column of pictures, and what of it is bytes."""
    found = {each.name: f"{each.name}.bytes" if pa.types.is_struct(each.type) else each.name
             for each in schema if _holds_bytes(each.type)}  # fmt: skip
    named = [name for name in _IMAGES if name in found] or list(found)
    if not named:
        there = ", ".join(f"{shown(each.name)} ({each.type})"[:60] for each in schema) or "nothing"
        raise InputError(
            f"{shown(shard.place)}: has no column of pictures (bytes, or a struct with bytes); there is {there}"
        )
    if len(named) > 1 and named[0] not in _IMAGES:
        raise InputError(f"{shown(shard.place)}: has several columns of bytes, {', '.join(named)}; call one 'image'")
    return named[0], found[named[0]]


def _holds_bytes(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _told(column: Any) -> bool:
    """Whether a column is read as a fact: a plain value, or landmarks."""
    return column.name == LANDMARKS or not (pa.types.is_nested(column.type) or _holds_bytes(column.type))


def _class_names(schema: Any) -> tuple[str, ...]:
    """The names of numbered expressions, as Hugging Face's ``ClassLabel`` leaves them in the file."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        label = next(name for name in EXPRESSIONS if name in schema.names)
        return tuple(map(str, features[label]["names"]))
    except (KeyError, TypeError, ValueError, StopIteration, RecursionError):
        return ()


def _size(shard: StoredFile, table: Any, group: int, column: str) -> int:
    """Bytes of a row group's pictures."""
    told = table.metadata.row_group(group)
    size = next(
        c.total_uncompressed_size for i in range(told.num_columns) if (c := told.column(i)).path_in_schema == column
    )
    if size > MAX_GROUP:
        raise InputError(
            f"{shown(shard.place)}: row group {group} holds {size / 1e9:.1f} GB of pictures, more than "
            f"{MAX_GROUP / 1e9:.1f} GB at a time; write smaller row groups"
        )
    return int(size)
