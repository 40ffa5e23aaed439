"""The published study's kind of frame, from a csv of 68 points."""

from pathlib import Path

import numpy as np
import pandas as pd

from xfer.errors import InputError
from xfer.geometry.layout import HEIGHT, WIDTH

_COLUMNS = ["point", "x", "y"]


def published_points(path: Path) -> np.ndarray:
    """The study's 89 points (px): the forehead is the jaw at y = 0, the corners are (0, 0) to (width, height).

    Raises
    ------
    InputError
        As `read_points`.
    """
    face = read_points(path)
    corners = [[0, 0], [0, HEIGHT], [WIDTH, 0], [WIDTH, HEIGHT]]
    return np.concatenate([face, face[:17] * [1, 0], corners])


def read_points(path: Path) -> np.ndarray:
    """68 points from a csv with the columns point (1-based), x and y; (68, 2) in px.

    Raises
    ------
    InputError
        Naming the file and the column, point or value that is wrong.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a csv of points ({error})") from error
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"{path}: rows have more cells than the header")
    absent = [name for name in _COLUMNS if name not in table]
    if absent:
        raise InputError(f"{path}: no column {', '.join(absent)}; a points file has the columns point, x, y")
    numbers = table[_COLUMNS].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    for line, (row, given) in enumerate(zip(numbers, table[_COLUMNS].to_numpy(), strict=True), start=2):
        _check_point(row, given, f"{path}: line {line}")
    ids = numbers[:, 0].astype(int)
    repeated = pd.unique(ids[pd.Series(ids).duplicated()])
    missing = np.setdiff1d(np.arange(1, 69), ids)
    for what, wrong in (("twice: point", repeated), ("no point", missing)):
        if wrong.size:
            raise InputError(f"{path}: {what} {', '.join(map(str, wrong))}; each of 1 to 68 is needed once")
    return numbers[np.argsort(ids), 1:]


def _check_point(row: np.ndarray, given: np.ndarray, where: str) -> None:
    number, x, y = row
    if not np.isfinite(row).all():
        raise InputError(f"{where}: point, x and y must be numbers; got {','.join(given)!r}")
    if number not in range(1, 69):
        raise InputError(f"{where}: point must be a whole number from 1 to 68; got {given[0]!r}")
    if not (0 <= x < WIDTH and 0 <= y < HEIGHT):
        raise InputError(f"{where}: ({x:g}, {y:g}) is not on the canvas of {WIDTH} columns and {HEIGHT} rows")
