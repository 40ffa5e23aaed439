"""Landmarks of many faces with each face's unit and axes, and shapes placed on them in px."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from xfer.errors import InputError
from xfer.rasteriser import coverage
from xfer.rasteriser.shapes import Ellipse, Point, Polygon, Radius, Shape

EYES = {68: (36, 39, 42, 45), 89: (36, 39, 42, 45), 468: (33, 133, 362, 263), 478: (33, 133, 362, 263)}
"""Outer, inner, inner, outer corner of the eyes, from the viewer's left, by number of landmarks."""


@dataclass(frozen=True)
class Placed:
    """One shape on n faces: what `coverage` needs to draw it.

    Attributes
    ----------
    cover : callable
        A function of `xfer.rasteriser.coverage`.
    origin : array (face, 2)
        The point that x and y are counted from, px.
    numbers : array (face, number)
        The arguments of ``cover`` after x and y; the first is the width of the ramp.
    low, high : array (face, 2)
        The corners of the box outside which the shape is 0, px.
    solid : bool array (face,)
        False where nothing is to be drawn: no area, or a face without landmarks.
    """

    cover: Callable[..., Any]
    origin: np.ndarray
    numbers: np.ndarray
    low: np.ndarray
    high: np.ndarray
    solid: np.ndarray


class Faces:
    """Landmarks (face, point, 2) in px with ``unit`` px (face,) and the directions ``right`` and ``down`` (face, 2).

    ``valid`` (face,) is False for a face with a landmark that is not finite or with eye corners in one place.
    """

    def __init__(self, points: np.ndarray, unit: str, axes: str) -> None:
        if points.shape[-1] != 2 or points.shape[-2] not in EYES:
            allowed = ", ".join(map(str, EYES))
            raise InputError(f"landmarks must be (..., point, 2) with {allowed} points; got shape {points.shape}")
        points = points.reshape(-1, *points.shape[-2:])
        outer_left, inner_left, inner_right, outer_right = EYES[points.shape[1]]
        finite = np.isfinite(points).all((1, 2))
        self.points = np.where(finite[:, None, None], points, 0.0)
        line = self.points[:, outer_right] - self.points[:, outer_left]
        gap = self.points[:, inner_right] - self.points[:, inner_left]
        self.eyes = np.hypot(line[:, 0], line[:, 1])
        unit_px = self.eyes if unit == "inter_ocular" else np.hypot(gap[:, 0], gap[:, 1])
        self.valid = finite & (unit_px > 0) & (self.eyes > 0)
        self.unit = np.where(self.valid, unit_px, 1.0)
        self.right = np.broadcast_to(np.array([1.0, 0.0]), line.shape)
        if axes == "face":
            length = np.where(self.valid, self.eyes, 1.0)
            self.right = np.where(self.valid[:, None], line / length[:, None], self.right)
        self.down = np.stack([-self.right[:, 1], self.right[:, 0]], axis=-1)

    def places(self, *points: Point) -> np.ndarray:
        """Where points lie, (face, point, 2) px."""
        across, downward, offsets = _weights(points, self.points.shape[1])
        x, y = self.points[..., 0] @ across, self.points[..., 1] @ downward
        dx, dy = (offset * self.unit[:, None] for offset in offsets)
        x, y = x + dx * self.right[:, :1] + dy * self.down[:, :1], y + dx * self.right[:, 1:] + dy * self.down[:, 1:]
        return np.stack([x, y], axis=-1)

    def size(self, radius: Radius, along: np.ndarray) -> np.ndarray:
        """A semi-axis in the direction ``along``, (face,) px."""
        size = radius.plus * self.unit
        if radius.half_gap is not None:
            one, two = radius.half_gap
            size = size + np.abs(((self.points[:, two] - self.points[:, one]) * along).sum(-1)) / 2
        return np.maximum(size, radius.floor * self.unit)

    def placed(self, shape: Shape, softness: float) -> Placed:
        """The shape on every face with an edge of ``softness`` units, at least one pixel."""
        ramp = np.maximum(softness * self.unit, 1.0)[:, None]
        if isinstance(shape, Polygon):
            return self._polygon(shape, ramp)
        origin = self.places(shape.center)[:, 0]
        if isinstance(shape, Ellipse):
            a, b = self.size(shape.radius[0], self.right), self.size(shape.radius[1], self.down)
            numbers = np.concatenate([ramp, self.right, a[:, None], b[:, None]], axis=1)
            reach = np.hypot(self.right * a[:, None], self.down * b[:, None]) + ramp
            return self._placed(coverage.ellipse, origin, numbers, reach, np.minimum(a, b) > 0)
        half = self.size(shape.radius, self.right)[:, None]
        numbers = np.concatenate([ramp, self.right, half, np.full_like(half, shape.fall)], axis=1)
        reach = (np.abs(self.right) + np.abs(self.down)) * (half + ramp / 2)
        return self._placed(coverage.diamond, origin, numbers, reach, half[:, 0] > 0)

    def _placed(
        self,
        cover: Callable[..., Any],
        origin: np.ndarray,
        numbers: np.ndarray,
        reach: np.ndarray,
        solid: np.ndarray,
    ) -> Placed:
        return Placed(cover, origin, numbers, origin - reach, origin + reach, solid & self.valid)

    def _polygon(self, shape: Polygon, ramp: np.ndarray) -> Placed:
        corners = self.places(*shape.points)
        origin = corners.mean(1)
        arms = corners - origin[:, None]
        return Placed(
            cover=coverage.polygon,
            origin=origin,
            numbers=np.concatenate([ramp, arms.reshape(len(arms), 2 * len(shape.points))], axis=1),
            low=corners.min(1) - ramp / 2,
            high=corners.max(1) + ramp / 2,
            solid=self.valid & ~_collinear(arms),
        )


@lru_cache(maxsize=4096)
def _weights(points: tuple[Point, ...], count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What averages ``count`` landmarks to the x, and to the y, of points: (count, point); offsets (2, point)."""
    across, downward = np.zeros((2, count, len(points)))
    for column, point in enumerate(points):
        last = max(*point.x, *point.y)
        if last >= count:
            raise InputError(f"a shape uses landmark {last}; the faces have {count} points")
        np.add.at(across[:, column], list(point.x), 1 / len(point.x))
        np.add.at(downward[:, column], list(point.y), 1 / len(point.y))
    return across, downward, np.array([point.offset for point in points]).T


def _collinear(arms: np.ndarray) -> np.ndarray:
    """Whether the corners (face, corner, 2), px from their mean, lie on one line."""
    xx, yy = (arms**2).sum(1).T
    xy = (arms[..., 0] * arms[..., 1]).sum(1)
    return xx * yy - xy**2 <= 1e-12 * (xx + yy) ** 2
