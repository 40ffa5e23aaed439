"""Landmarks that somebody already has: files beside the pictures, or one table for all of them."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer import assets
from xfer.errors import InputError
from xfer.geometry import inter_ocular
from xfer.landmarkers import LANDMARKERS, OTHER_SIZE, Landmarking, Open, doubt

COLUMNS = tuple(f"{axis}{i}" for i in range(68) for axis in "xy")
"""A table's columns of points: x0, y0, ... x67, y67 in px, the first pixel's centre at (0, 0)."""

SIDE_SUFFIXES = (".pts", ".csv")

_LARGEST_SIDE_FILE = 100_000
_REACH = 0.5
_SPELLING = re.compile(r"^([xy])_(\d+)$")


class SideFiles(Open):
    """Landmarks in ``NAME.pts`` (iBUG, from 1) or ``NAME.csv`` (point from 1, x, y from 0) beside a picture."""

    digest = ""

    def __call__(self, image: NDArray[np.uint8], file: PurePath | None = None) -> Landmarking:
        """The landmarks of the picture that `file` names."""
        if not isinstance(file, Path):
            return Landmarking(None, "the picture has no file beside which landmarks could lie", n_faces=0)
        found = next((side for s in SIDE_SUFFIXES if (side := file.with_suffix(s)).is_file()), None)
        if found is None:
            return Landmarking(
                None, f"no landmarks beside it ({' or '.join('*' + s for s in SIDE_SUFFIXES)})", n_faces=0
            )
        try:
            points = read_pts(found) if found.suffix == ".pts" else read_csv(found)
        except InputError as error:
            return Landmarking(None, f"its {found.suffix} file: {str(error).removeprefix(f'{found}: ')}", n_faces=0)
        return _judged(points, image.shape)


class Table(Open):
    """Landmarks of many pictures in one csv or parquet file."""

    def __init__(self, path: Path) -> None:
        """Read the table; raises `InputError` as `read_table`."""
        self._table = read_table(path)
        self._by_name = {name: place for place, name in enumerate(self._table["file"])}
        told: Iterable[str] = self._table.get("sha256", ())
        self._by_bytes = {sha256: place for place, sha256 in enumerate(told) if sha256}
        self._folder = path.parent.resolve()
        self.digest = assets.sha256(path)
        told_of = self._table.reindex(columns=["width", "height"]).to_numpy(float)
        self.sized = bool(np.isfinite(told_of).all())

    def __call__(self, image: NDArray[np.uint8], file: PurePath | None = None) -> Landmarking:
        """The landmarks in the row of the picture: by its name relative to the table's folder, else by its bytes."""
        row = self._row(file)
        if row is None:
            return Landmarking(None, "not in the table of landmarks", n_faces=0)
        height, width = image.shape[:2]
        if (told := str(row.get("reason", "") or "")) and told != "nan":
            return Landmarking(None, told, n_faces=0)
        size = (row.get("width", np.nan), row.get("height", np.nan))
        if np.isfinite(size).all() and size != (width, height):
            reason = f"landmarks are {OTHER_SIZE}, {size[0]:.0f} x {size[1]:.0f} px; the picture has {width} x {height}"
            return Landmarking(None, reason, n_faces=0)
        return _judged(row[list(COLUMNS)].to_numpy(float).reshape(68, 2), image.shape)

    def _row(self, file: PurePath | None) -> pd.Series | None:
        if file is None:
            return None
        if not isinstance(file, Path):
            return self._table.iloc[self._by_name[file.as_posix()]] if file.as_posix() in self._by_name else None
        whole = file.resolve()
        name = whole.relative_to(self._folder).as_posix() if whole.is_relative_to(self._folder) else ""
        place = self._by_name.get(name)
        if place is None and self._by_bytes:
            place = self._by_bytes.get(assets.sha256(file))
        return None if place is None else self._table.iloc[place]


def read_pts(path: Path) -> NDArray[np.floating]:
    """Points (68, 2) of an iBUG ``.pts`` file, which counts pixels from 1.

    Raises
    ------
    InputError
        Naming the file and what is wrong.
    """
    words = re.fullmatch(r"\s*(?:version:\s*\S+\s+)?n_points:\s*(\d+)\s*\{(.*)\}\s*", _text(path), re.DOTALL)
    if words is None:
        raise InputError(f"{path}: not a .pts file, which reads 'version: 1', 'n_points: 68', '{{', points, '}}'")
    lines = [line.split() for line in words[2].splitlines() if line.strip()]
    if int(words[1]) != 68 or len(lines) != 68:
        raise InputError(f"{path}: announces {words[1]} points and holds {len(lines)}; 68 are needed")
    return _numbers(lines, path) - 1


def read_csv(path: Path) -> NDArray[np.floating]:
    """Points (68, 2) of one face in a csv with the columns point (1 to 68), x and y (px from 0).

    Raises
    ------
    InputError
        Naming the file and what is wrong.
    """
    lines = [line.split(",") for line in _text(path).splitlines() if line.strip()]
    if not lines or [cell.strip().strip('"') for cell in lines[0]] != ["point", "x", "y"]:
        raise InputError(f"{path}: the first line must be 'point,x,y'")
    cells = [[cell.strip().strip('"') for cell in line] for line in lines[1:]]
    if [line[0] for line in cells] != [str(i) for i in range(1, 69)]:
        raise InputError(f"{path}: each of the points 1 to 68 is needed once, in that order")
    return _numbers([line[1:] for line in cells], path)


def read_table(path: Path) -> pd.DataFrame:
    """A table of landmarks.

    Parameters
    ----------
    path : Path
        A ``.csv`` or ``.parquet`` file with the column ``file`` (relative to the table's folder), `COLUMNS` or their
        spelling ``x_0``, and as far as known ``width`` and ``height`` (px of the picture), ``sha256`` (of its bytes)
        and ``reason`` (why there are no points).

    Raises
    ------
    InputError
        If it cannot be read, a column is missing or holds text, or a picture occurs twice.
    """
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: a table of landmarks is a .csv or .parquet file")
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a table of landmarks")
    try:
        table = readers[path.suffix.lower()](path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]})") from error
    table = table.rename(columns=lambda c: _SPELLING.sub(r"\1\2", str(c).strip()))
    missing = [c for c in ("file", *COLUMNS) if c not in table]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing[:4])}; needed are file, x0, y0, ... x67, y67")
    numeric = [c for c in (*COLUMNS, "width", "height") if c in table]
    text = [c for c in numeric if not pd.api.types.is_numeric_dtype(table[c])]
    if text:
        raise InputError(f"{path}: column {text[0]} must hold numbers")
    repeated = table["file"][table["file"].duplicated()]
    if len(repeated):
        raise InputError(f"{path}: {repeated.iloc[0]} occurs twice; a picture has one row")
    return table.assign(file=table["file"].astype(str))


def _judged(points: NDArray[np.floating], shape: Sequence[int]) -> Landmarking:
    height, width = shape[:2]
    reason = doubt(points, height, width) or _strays(points, height, width)
    return Landmarking(None if reason else points, reason)


def _strays(points: NDArray[np.floating], height: int, width: int) -> str:
    """Points drawn by hand leave the picture by little; those for a larger picture leave it by far."""
    far = float(np.maximum(-points, points - [width - 1, height - 1]).max())
    if far <= _REACH * float(inter_ocular(points)):
        return ""
    return f"a point lies {far:.0f} px outside the picture of {width} x {height} px; they are {OTHER_SIZE}"


def _text(path: Path) -> str:
    if path.stat().st_size > _LARGEST_SIDE_FILE:
        raise InputError(f"{path}: larger than {_LARGEST_SIDE_FILE // 1000} kB; 68 points take less than 4 kB")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not text") from error


def _numbers(lines: list[list[str]], path: Path) -> NDArray[np.floating]:
    for i, line in enumerate(lines, start=1):
        try:
            x, y = map(float, line)
        except ValueError:
            raise InputError(f"{path}: point {i} must be two numbers; got {' '.join(line)!r}") from None
        if not np.isfinite([x, y]).all():
            raise InputError(f"{path}: point {i} must be two finite numbers; got {' '.join(line)!r}")
    return np.array(lines, float)


@LANDMARKERS.register(
    "points",
    file="optional",
    takes="a .csv or .parquet table with the columns file, x0, y0, ... x67, y67",
    reference="Sagonas et al. (2016), doi:10.1016/j.imavis.2016.01.002",
    licence="yours",
    note="Without a file: NAME.pts or NAME.csv beside each picture",
)
def open_points(file: str = "") -> SideFiles | Table:
    """Landmarks from a table, or without one from the files beside the pictures.

    Raises
    ------
    InputError
        As `read_table`.
    """
    return Table(Path(file)) if file else SideFiles()
