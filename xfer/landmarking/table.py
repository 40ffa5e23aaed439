"""The table of landmarks: a row a picture; names and points of many wait in scratch files, not in memory."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xfer.datasets.columns import Records, Scratch
from xfer.datasets.files import shown
from xfer.errors import InputError
from xfer.landmarkers.points import COLUMNS as POINTS

FORMAT = 1

MEASURES = ("yaw", "pitch", "roll", "confidence")

COLUMNS = (
    "file",
    "sha256",
    "width",
    "height",
    *POINTS,
    *MEASURES,
    "n_faces",
    "landmarker",
    "digest",
    "reason",
)
"""The table's columns; points are float32 px of the upright picture, angles degrees; "" and NaN where there is none."""

_SIZES = ("width", "height")
_POINTS = 4 * len(POINTS)
_GROUP = 2**14
"""Rows written at once."""


class Row(NamedTuple):
    """A picture and what was found in it; `digest` is "" where the answer must not be used again."""

    file: str
    sha256: str
    width: int
    height: int
    points: NDArray[np.float32]
    measures: tuple[float, float, float, float]
    n_faces: int
    landmarker: str
    digest: str
    reason: str


class Rows:
    """Takes rows one by one."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._texts = {name: Records() for name in ("file", "sha256", "landmarker", "digest", "reason")}
        self._numbers, self._points = Scratch(), Scratch()
        for row in rows:
            self.append(row)

    def __len__(self) -> int:
        """How many there are."""
        return self._points.size // _POINTS

    def append(self, row: Row) -> None:
        """Take the next."""
        for name, records in self._texts.items():
            records.append(getattr(row, name).encode())
        self._points.write(np.asarray(row.points, np.float32).tobytes())
        sizes = np.array((row.width, row.height, row.n_faces), np.int32)
        self._numbers.write(sizes.tobytes() + np.array(row.measures, np.float32).tobytes())

    def table(self) -> pd.DataFrame:
        """All so far, with `COLUMNS`."""
        texts = {name: records.sealed().view(pa.large_string()) for name, records in self._texts.items()}
        numbers = np.frombuffer(self._numbers.sealed(), np.int32).reshape(len(self), 3 + len(MEASURES))
        found = np.frombuffer(self._points.sealed(), np.float32).reshape(len(self), len(POINTS))
        measures = numbers[:, 3:].view(np.float32)
        table = pd.concat(
            [
                pa.table({name: texts[name] for name in ("file", "sha256")}).to_pandas(),
                pd.DataFrame({name: numbers[:, i] for i, name in enumerate(_SIZES)}),
                pd.DataFrame(found, columns=list(POINTS), copy=False),
                pd.DataFrame({name: measures[:, i] for i, name in enumerate(MEASURES)}),
                pd.DataFrame({"n_faces": numbers[:, 2]}),
                pa.table({name: texts[name] for name in ("landmarker", "digest", "reason")}).to_pandas(),
            ],
            axis=1,
        )
        table.attrs["format"] = FORMAT
        return table


def points(table: pd.DataFrame) -> NDArray[np.float32]:
    """A table's points (n, 68, 2), NaN where there are none; not copied where they lie in one piece."""
    found = table.loc[:, POINTS[0] : POINTS[-1]]
    if tuple(found.columns) != POINTS:
        found = table[list(POINTS)]
    return found.to_numpy(np.float32).reshape(-1, 68, 2)


def complete(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows of points (n, 68, 2) are all there (n,)."""
    return np.isfinite(points.sum(axis=(1, 2), dtype=np.float64))


def known(table: pd.DataFrame | None) -> Mapping[str, Row]:
    """The rows of an earlier table by file."""
    return {} if table is None else {row.file: row for row in rows_of(table)}


def rows_of(table: pd.DataFrame) -> Iterator[Row]:
    """The rows of a table in their order."""
    rest = [table[c] for c in ("file", "sha256", "width", "height")]
    last = [table[c] for c in ("n_faces", "landmarker", "digest", "reason")]
    measures = map(tuple, table[list(MEASURES)].to_numpy().tolist())
    return (Row(*row) for row in zip(*rest, points(table), measures, *last, strict=True))


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as ``DataFrame.to_parquet`` does, some rows at a time; coordinates, which do not recur, plainly."""
    attributes = {b"PANDAS_ATTRS": json.dumps(table.attrs).encode()}
    first = pa.Table.from_pandas(table.iloc[:0], preserve_index=False).schema
    schema = first.with_metadata({**(first.metadata or {}), **attributes})
    recurring = [field.name for field in schema if not pa.types.is_floating(field.type)]
    with pq.ParquetWriter(path, schema, use_dictionary=recurring) as file:
        for start in range(0, len(table), _GROUP):
            part = pa.Table.from_pandas(table.iloc[start : start + _GROUP], preserve_index=False)
            file.write_table(part.cast(schema))


def read(path: Path) -> pd.DataFrame:
    """A table that `write` or ``DataFrame.to_parquet`` wrote.

    Raises
    ------
    InputError
        If it is missing, is not parquet, or is not a table of landmarks of this format.
    """
    if not path.is_file():
        raise InputError(f"{shown(path)}: no such file; 'xfer landmarks DIR --out {shown(path)}' writes it")
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(path)}: not a parquet file ({str(error).splitlines()[0][:100]})") from error
    missing = [c for c in COLUMNS if c not in table]
    if table.attrs.get("format") != FORMAT or missing:
        why = f"no column {missing[0]}" if missing else f"format {table.attrs.get('format')} instead of {FORMAT}"
        raise InputError(f"{shown(path)}: not a table that 'xfer landmarks' wrote ({why}); delete it or name another")
    return table
