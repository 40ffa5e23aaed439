"""Polygons of many faces at once on the host: distances only where the edge ramp is, sign by scanline.

The same values as `coverage.polygon`, which measures every pixel against every side; here the cost goes with
the length of the outline and not with the number of sides.
"""

import numpy as np


def polygons(corners: np.ndarray, ramp: np.ndarray, height: int, width: int) -> np.ndarray:
    """Coverage of one polygon per face.

    Parameters
    ----------
    corners : array (face, corner, 2)
        x and y, px from the first pixel of the face's window.
    ramp : array (face,)
        Width of the edge, px.
    height, width : int
        The windows' size, px.

    Returns
    -------
    array (face, height, width)
        float32 in [0, 1].
    """
    faces, sides = corners.shape[:2]
    start = corners.reshape(-1, 2).T
    along = (np.roll(corners, -1, axis=1) - corners).reshape(-1, 2).T
    face = np.repeat(np.arange(faces), sides)
    side, row, low, high = _rows(start, along, np.repeat(ramp, sides) / 2, height)
    inside = _inside(start, along, side, row, face, (faces, height, width))
    squares = _squares(start, along, side, row, low, high, face, (faces, height, width))
    reach = np.sqrt(squares) / ramp.astype(np.float32)[:, None, None]
    return np.clip(np.where(inside, 0.5 + reach, 0.5 - reach), 0.0, 1.0)


def _ranges(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every integer of every range first..last, and which range it comes from."""
    counts = np.maximum(last - first + 1, 0)
    which = np.repeat(np.arange(len(counts)), counts)
    ends = np.cumsum(counts)
    return which, np.arange(len(which)) - (ends - counts - first)[which]


def _rows(
    start: np.ndarray, along: np.ndarray, half: np.ndarray, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The rows each side's ramp touches, and the span of x that may lie within ``half`` of the side there."""
    top = start[1] + np.minimum(along[1], 0)
    bottom = start[1] + np.maximum(along[1], 0)
    first = np.clip(np.ceil(top - half), 0, height).astype(int)
    last = np.clip(np.floor(bottom + half), -1, height - 1).astype(int)
    side, row = _ranges(first, last)
    rise = np.where(along[1] == 0, 1e-300, along[1])[side]
    above = row - start[1][side]
    reach = half[side]
    with np.errstate(over="ignore"):
        entry, leave = (np.clip((above + sign * reach) / rise, 0, 1) for sign in (-1, 1))
    x, slope = start[0][side], along[0][side]
    one, two = x + entry * slope, x + leave * slope
    return side, row, np.minimum(one, two) - reach, np.maximum(one, two) + reach


def _inside(
    start: np.ndarray,
    along: np.ndarray,
    side: np.ndarray,
    row: np.ndarray,
    face: np.ndarray,
    shape: tuple[int, int, int],
) -> np.ndarray:
    """Even-odd rule: the parity of the crossings at or left of each pixel of its row."""
    _, height, width = shape
    above = row - start[1][side]
    crosses = (above >= 0) != (above >= along[1][side])
    side, row, above = side[crosses], row[crosses], above[crosses]
    x = start[0][side] + above * (along[0] / np.where(along[1] == 0, 1, along[1]))[side]
    column = np.clip(np.ceil(x), 0, width).astype(int)
    flips = np.zeros((shape[0], height, width + 1), np.uint8)
    np.add.at(flips.reshape(-1), (face[side] * height + row) * (width + 1) + column, 1)
    return np.bitwise_xor.accumulate(flips & 1, axis=2)[:, :, :width].astype(bool)


def _squares(
    start: np.ndarray,
    along: np.ndarray,
    side: np.ndarray,
    row: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    face: np.ndarray,
    shape: tuple[int, int, int],
) -> np.ndarray:
    """Squared distance to the nearest side, px; infinite where it is beyond every side's ramp."""
    _, height, width = shape
    first = np.clip(np.ceil(low), 0, width).astype(int)
    last = np.clip(np.floor(high), -1, width - 1).astype(int)
    span, column = _ranges(first, last)
    y = (row - start[1][side])[span]
    pixel = ((face[side] * height + row) * width)[span] + column
    side = side[span]
    x = column - start[0][side]
    ex, ey = along[0][side], along[1][side]
    length = np.maximum((along**2).sum(0), 1e-300)
    t = np.clip((x * ex + y * ey) / length[side], 0, 1)
    squares = np.full(shape, np.inf, np.float32)
    np.minimum.at(squares.reshape(-1), pixel, ((x - t * ex) ** 2 + (y - t * ey) ** 2).astype(np.float32))
    return squares
