"""Shards: the sums and tables of one unit of work as one file, ``format = 1``, the same bytes for the same values."""

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer.errors import InputError
from xfer.study.folder import write_whole
from xfer.study.sums import MAX_BLOCKS, OUTCOMES, STREAMED, Sums, half_pixels

FORMAT = 1
MAX_BYTES = 8_000_000_000
"""A larger shard is refused before it is read."""
_TABLES = ("cells", "rows")
_ARRAYS = ("counts", "support", "block_missing")
_FLOATS = {"sums": "<f8", "squares": "<f8", "block_sums": "<f4"}
"""Stored as planes of bytes, (byte, ...): exponents stand together, and shrink."""
_FAST = 1
"""zlib's level: the counts all but vanish at any, the sums shrink by little more at the highest."""


def write(path: Path, sums: Sums, tables: Mapping[str, pd.DataFrame] | None = None) -> None:
    """Write a shard whole or not at all.

    Parameters
    ----------
    path : path
        ``shards/<digest>.npz``.
    sums : Sums
    tables : mapping of str to DataFrame, optional
        What else the unit found, with columns of strings, numbers or booleans; names without a dot.

    Raises
    ------
    InputError, OSError
        As `xfer.study.folder.write_whole`.
    """
    facts = json.dumps(dict(sums.facts), sort_keys=True, allow_nan=False)
    members: dict[str, NDArray[Any]] = {
        "format": np.array(FORMAT),
        "facts": np.array(facts),
        "blocks": np.array(sums.blocks),
    }
    for name, table in {"cells": sums.cells, "rows": sums.rows, **(tables or {})}.items():
        members |= {f"{name}.{column}": _column(table[column]) for column in table}
    members |= {name: getattr(sums, name) for name in _ARRAYS}
    members |= {name: _planes(getattr(sums, name).astype(dtype)) for name, dtype in _FLOATS.items()}
    write_whole(path, lambda aside: _write(aside, members))


def _column(values: pd.Series) -> NDArray[Any]:
    found = values.to_numpy()
    return found if found.dtype.kind in "biuf" else np.asarray(values.tolist(), dtype=str)


def _planes(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.moveaxis(values[..., None].view(np.uint8), -1, 0))


def _values(planes: NDArray[np.uint8], dtype: str) -> NDArray[Any]:
    return np.ascontiguousarray(np.moveaxis(planes, 0, -1)).view(dtype)[..., 0]


def _write(path: Path, members: Mapping[str, NDArray[Any]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as archive:
        for name, array in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:  # dated 1980 by default
                np.lib.format.write_array(stream, np.asarray(array, order="C"), allow_pickle=False)


def read(path: Path) -> Sums:
    """The sums of a shard.

    Raises
    ------
    InputError
        If the file is not there, damaged, too large or of another format.
    """
    with _archive(path) as archive:
        facts = json.loads(str(_array(archive, "facts")))
        cells, rows = (_table(archive, name) for name in _TABLES)
        arrays = {name: _array(archive, name) for name in _ARRAYS}
        arrays |= {name: _values(_array(archive, name), dtype) for name, dtype in _FLOATS.items()}
        sums = Sums(facts=facts, cells=cells, rows=rows, blocks=int(_array(archive, "blocks")), **arrays)
        _check(sums)
    return sums


def whole(path: Path) -> bool:
    """Whether a shard is there; a damaged one is thrown away."""
    if not path.is_file():
        return False
    try:
        read(path)
    except InputError:
        path.unlink()
        return False
    return True


def read_facts(path: Path) -> dict[str, Any]:
    """What a shard says of its network, without reading the sums; raises as `read`."""
    with _archive(path) as archive:
        facts: dict[str, Any] = json.loads(str(_array(archive, "facts")))
    return facts


def read_tables(path: Path) -> dict[str, pd.DataFrame]:
    """The tables that were written beside the sums, without reading those; raises as `read`."""
    with _archive(path) as archive:
        names = dict.fromkeys(name.split(".")[0] for name in archive.namelist() if name.count(".") > 1)
        return {name: _table(archive, name) for name in names if name not in _TABLES}


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The file opened and its format known; whatever goes wrong becomes one line that names it."""
    again = "delete it and run the study's 'xfer compare' line again"
    if not path.is_file():
        raise InputError(f"{path}: is missing; run the study's 'xfer compare' line again")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > MAX_BYTES:
                raise InputError(f"{path}: holds {size / 1e9:.0f} GB, more than a shard can; {again}")
            number = int(_array(archive, "format"))
            if number != FORMAT:
                raise InputError(f"{path}: format {number}; this xfer reads format {FORMAT}")
            yield archive
    except InputError:
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: is damaged ({reason}); {again}") from None


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        _check_length(stream, name, member.file_size)
    with archive.open(member) as stream:
        found: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        if stream.read(1):
            raise ValueError(f"{name} is longer than its header tells")
    return found


def _check_length(stream: IO[bytes], name: str, size: int) -> None:
    """Refuse an array whose header asks for more memory than the file has values."""
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, _, dtype = headers[np.lib.format.read_magic(stream)](stream)
    if dtype.kind not in "biufU":
        raise ValueError(f"{name} holds values of type {dtype}")
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"{name} is shorter than its header tells")


def _table(archive: zipfile.ZipFile, name: str) -> pd.DataFrame:
    columns = [
        m[len(name) + 1 : -len(".npy")] for m in archive.namelist() if m.startswith(f"{name}.") and m.count(".") > 1
    ]
    found = {column: _array(archive, f"{name}.{column}") for column in columns}
    return pd.DataFrame({c: pd.Series(v.tolist(), dtype=str) if v.dtype.kind == "U" else v for c, v in found.items()})


def _check(sums: Sums) -> None:
    """Refuse arrays and tables that do not belong together."""
    canvas, pixels = sums.support.shape, len(half_pixels(sums.support)[0])
    shapes = {
        **dict.fromkeys(("sums", "squares", "counts"), (len(sums.cells), *canvas)),
        **dict.fromkeys(("block_sums", "block_missing"), (len(sums.rows), pixels)),
    }
    for name, shape in shapes.items():
        if getattr(sums, name).shape != shape:
            raise ValueError(f"{name} is {getattr(sums, name).shape}, not {shape}")
    if not 1 <= sums.blocks <= MAX_BLOCKS or not sums.rows["block"].between(0, sums.blocks - 1).all():
        raise ValueError(f"a block outside 0 to {sums.blocks - 1}")
    if not sums.rows["cell"].between(0, len(sums.cells) - 1).all():
        raise ValueError("a row of a cell that is not there")
    if not sums.cells["outcome"].isin(OUTCOMES).all() or not sums.cells["normalisation"].isin(STREAMED).all():
        raise ValueError("a cell with an unknown outcome or normalisation")
    if not np.isfinite(sums.sums).all() or not np.isfinite(sums.block_sums).all():
        raise ValueError("sums that are not finite")
