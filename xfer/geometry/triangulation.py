"""Triangles over landmark arrays and the pixels of a polygon."""

from typing import Any

import numpy as np
from scipy.spatial import Delaunay


def delaunay(points: np.ndarray) -> np.ndarray:
    """Delaunay triangulation (T, 3) of points (n, 2), which may coincide or be collinear.

    No triangle is flat, all turn clockwise on the screen, and equal triangulations are equal arrays.
    """
    triangles = Delaunay(points).simplices
    areas = doubled_areas(points, triangles)
    triangles = np.where((areas < 0)[:, None], triangles[:, ::-1], triangles)[np.abs(areas) > 1e-9]
    first = triangles.argmin(axis=1)[:, None]
    triangles = np.take_along_axis(triangles, (first + np.arange(3)) % 3, axis=1)
    return triangles[np.lexsort(triangles.T[::-1])]


def doubled_areas(points: Any, triangles: np.ndarray) -> Any:
    """Twice the signed areas (..., T), in px squared, of triangles of points (..., n, 2); negative where flipped."""
    a, b, c = (points[..., ids, :] for ids in triangles.T.tolist())
    u, v = b - a, c - a
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def inside(polygon: np.ndarray, height: int, width: int) -> np.ndarray:
    """The pixels (height, width) whose centres lie in a simple polygon (n, 2), by the even-odd rule."""
    y, x = np.mgrid[:height, :width]
    result = np.zeros((height, width), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            result ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return result
