"""A picture to paint on: pixels with their place in the upright face, soft regions between curves, blending."""

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xfer.datasets.synthetic.anatomy import Array

Grid = NDArray[np.floating[Any]]
Window = tuple[slice, slice]


class Canvas:
    """A float picture (rgb, y, x) in [0, 1] and the upright coordinates of its pixels.

    Attributes
    ----------
    image : (3, size, size) float32 array
        What is painted so far.
    across, down : (size, size) float32 arrays
        Coordinates of pixel centres in the upright face, IOD about its centre.
    pixel : float
        Side of a pixel in IOD: the width of an antialiased edge.
    """

    def __init__(self, size: int, matrix: Array, origin: Array) -> None:
        self.size = size
        self.matrix, self.origin = matrix, origin
        inverse = np.linalg.inv(matrix)
        grid = np.arange(size)
        x, y = grid - origin[0], grid - origin[1]
        self.across: Grid = (inverse[0, 0] * x + (inverse[0, 1] * y)[:, None]).astype(np.float32)
        self.down: Grid = (inverse[1, 0] * x + (inverse[1, 1] * y)[:, None]).astype(np.float32)
        self.pixel = 1 / float(np.hypot(*matrix[:, 0]))
        self.image: Grid = np.zeros((3, size, size), np.float32)

    def window(self, points: Array, margin: float = 0.0) -> Window:
        """The pixels around upright points, `margin` IOD wide; possibly none."""
        box = np.asarray(points) @ self.matrix.T + self.origin
        reach = margin / self.pixel + 1
        (left, top), (right, bottom) = box.min(axis=0).tolist(), box.max(axis=0).tolist()
        return self._span(top - reach, bottom + reach), self._span(left - reach, right + reach)

    def _span(self, low: float, high: float) -> slice:
        return slice(min(max(math.floor(low), 0), self.size), min(max(math.ceil(high) + 1, 0), self.size))

    def blend(self, window: Window, cover: Grid, colour: ArrayLike) -> None:
        """Paint a colour, (3,) or (3, y, x), where `cover` in [0, 1] says so; where it is 1 nothing below shows."""
        patch = self.image[:, *window]
        paint = np.asarray(colour, np.float32)
        patch *= 1 - cover
        patch += cover * (paint if paint.ndim == 3 else paint[:, None, None])

    def darken(self, window: Window, cover: Grid, tint: Array | float = 0.0) -> None:
        """Multiply towards `tint`, (3,) or one number: 0 turns covered pixels black."""
        self.image[:, *window] *= 1 - cover * (1 - np.asarray(tint, np.float32).reshape(-1, 1, 1))


WHOLE: Window = (slice(None), slice(None))


def lit(colour: ArrayLike, light: Grid) -> Grid:
    """A colour (3,) in a varying light (y, x), (3, y, x)."""
    return np.asarray(colour, np.float32)[:, None, None] * light


@cache
def _spline_matrix(count: int, samples: int, closed: bool) -> Array:
    """Catmull-Rom weights (count or count - 1 spans times samples (+ 1), count)."""
    knots = np.eye(count)
    if closed:
        knots = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        knots = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    t = np.arange(samples)[:, None] / samples
    rows = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(knots[:-3], knots[1:-2], knots[2:-1], knots[3:], strict=True)
    ]
    return np.concatenate(rows if closed else [*rows, knots[-2:-1]])


def curve(points: Array, samples: int = 5, closed: bool = False) -> Array:
    """A smooth line through points, (n, 2) -> (m, 2)."""
    return _spline_matrix(len(points), samples, closed) @ points


def follow(line: Array, across: Grid, outside: float | None = None) -> Grid:
    """Height of a curve that runs from left to right at each column; `outside` beyond its ends."""
    flat = np.interp(across.ravel(), line[:, 0], line[:, 1], left=outside, right=outside)
    return flat.reshape(across.shape).astype(np.float32)


def unit(values: Grid) -> Grid:
    """Values limited to [0, 1]; faster than `np.clip` on small arrays."""
    return np.minimum(np.maximum(values, 0), 1)


def edge(distance: Grid, soft: float) -> Grid:
    """Coverage from a signed distance, a ramp `soft` wide centred on the edge."""
    return unit(distance / soft + 0.5)


def between(inside_top: Grid, inside_bottom: Grid, soft: float) -> Grid:
    """Coverage of the strip below one curve and above another, given distances to both; thin strips fade."""
    gap = unit((inside_top + inside_bottom) / soft)
    return edge(np.minimum(inside_top, inside_bottom), soft) * gap


def stroke(distance: Grid, width: float, pixel: float) -> Grid:
    """Coverage of a line of a width at a distance; lines thinner than a pixel grow fainter, not thinner."""
    half = max(width, pixel) / 2
    return unit((half + pixel / 2 - np.abs(distance)) / pixel) * min(1.0, width / pixel)


def ellipse(canvas: Canvas, window: Window, centre: Array, radius: tuple[float, float], soft: float) -> Grid:
    """Coverage of an upright ellipse with a soft edge."""
    x = (canvas.across[window] - centre[0]) / radius[0]
    y = (canvas.down[window] - centre[1]) / radius[1]
    return edge((1 - np.sqrt(x * x + y * y)) * min(radius), soft)
