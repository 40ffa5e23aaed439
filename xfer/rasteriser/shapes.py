"""Shapes on a face as data: read from TOML tables, placed on landmarks."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from xfer import geometry
from xfer.errors import InputError


@dataclass(frozen=True)
class Point:
    """A place on the face: mean x of some landmarks, mean y of some, and an offset in units."""

    x: tuple[int, ...]
    y: tuple[int, ...]
    offset: tuple[float, float] = (0.0, 0.0)

    def twin(self, swap: Sequence[int]) -> "Point":
        """The left-right mirrored place; ``swap`` is the mirror permutation of the landmarks."""
        return Point(
            x=tuple(swap[i] for i in self.x),
            y=tuple(swap[i] for i in self.y),
            offset=(-self.offset[0], self.offset[1]),
        )


@dataclass(frozen=True)
class Radius:
    """A semi-axis in units: ``max(half the distance of two landmarks along the axis + plus, floor)``."""

    plus: float = 0.0
    floor: float = 0.0
    half_gap: tuple[int, int] | None = None

    def twin(self, swap: Sequence[int]) -> "Radius":
        """The same semi-axis on the other side of the face."""
        if self.half_gap is None:
            return self
        return replace(self, half_gap=(swap[self.half_gap[0]], swap[self.half_gap[1]]))


@dataclass(frozen=True)
class Ellipse:
    """A filled ellipse: 1 inside."""

    center: Point
    radius: tuple[Radius, Radius]

    def twin(self, swap: Sequence[int]) -> "Ellipse":
        """The mirrored ellipse."""
        return replace(self, center=self.center.twin(swap), radius=_twins(self.radius, swap))


@dataclass(frozen=True)
class Diamond:
    """JAA-Net's map: 1 at the centre of a square, less by ``fall`` at its corners, level lines diamonds.

    Shao et al. (2021), doi:10.1007/s11263-020-01378-z.
    """

    center: Point
    radius: Radius
    fall: float

    def twin(self, swap: Sequence[int]) -> "Diamond":
        """The mirrored diamond."""
        return replace(self, center=self.center.twin(swap), radius=self.radius.twin(swap))


@dataclass(frozen=True)
class Polygon:
    """A filled polygon, convex or not: 1 inside by the even-odd rule."""

    points: tuple[Point, ...]

    def twin(self, swap: Sequence[int]) -> "Polygon":
        """The mirrored polygon."""
        return Polygon(tuple(point.twin(swap) for point in self.points))


Shape = Ellipse | Diamond | Polygon


def _twins(radius: tuple[Radius, Radius], swap: Sequence[int]) -> tuple[Radius, Radius]:
    return radius[0].twin(swap), radius[1].twin(swap)


def read_shapes(tables: Any, *, points: int, where: str) -> tuple[Shape, ...]:
    """Shapes from the TOML tables of ``shapes = [...]``; mirrored twins follow their originals.

    Parameters
    ----------
    tables : list of dict
        As `tomllib` reads them: ``kind`` ("ellipse", "diamond" or "polygon"), its keys, ``mirror``.
    points : int
        How many landmarks the ids may index; ``mirror = true`` needs 68, 89 or 468.
    where : str
        What error messages begin with, ``"FILE: [AU4]"``.

    Raises
    ------
    InputError
        For an unknown key or kind, a missing key, a wrong type or a landmark out of range.

    Examples
    --------
    >>> lips = {"kind": "ellipse", "center": 48, "radius": [0.2, 0.2], "mirror": True}
    >>> [shape.center.x for shape in read_shapes([lips], points=68, where="demo.toml: [AU12]")]
    [(48,), (54,)]
    """
    if not isinstance(tables, list) or not tables:
        raise InputError(f"{where}: 'shapes' must be a list of at least one table; got {tables!r}")
    shapes: list[Shape] = []
    for number, table in enumerate(tables, start=1):
        shapes.extend(_Reader(points, f"{where} shape {number}").shape(table))
    return tuple(shapes)


@dataclass(frozen=True)
class _Reader:
    """Reads one shape; knows how many landmarks there are and what to call the place in messages."""

    points: int
    where: str

    def error(self, text: str) -> InputError:
        return InputError(f"{self.where}: {text}")

    def shape(self, table: Any) -> tuple[Shape, ...]:
        if not isinstance(table, Mapping):
            raise self.error(f"must be a table with 'kind'; got {table!r}")
        if "kind" not in table:
            raise self.error(f"missing key 'kind' (one of {', '.join(_KINDS)})")
        kind = table["kind"]
        if not isinstance(kind, str) or kind not in _KINDS:
            raise self.error(f"'kind' must be one of {', '.join(_KINDS)}; got {kind!r}{_hint(kind, _KINDS)}")
        read, required, optional = _KINDS[kind]
        self.keys(table, required, (*optional, "kind", "mirror"))
        mirror = table.get("mirror", False)
        if not isinstance(mirror, bool):
            raise self.error(f"'mirror' must be true or false; got {mirror!r}")
        shape = read(self, table)
        return (shape, shape.twin(geometry.mirror(self.points).tolist())) if mirror else (shape,)

    def keys(self, table: Mapping[str, Any], required: Sequence[str], optional: Sequence[str]) -> None:
        known = (*required, *optional)
        for key in table:
            if key not in known:
                raise self.error(f"unknown key {key!r}{_hint(key, known)}")
        for key in required:
            if key not in table:
                raise self.error(f"missing key {key!r}")

    def ellipse(self, table: Mapping[str, Any]) -> Ellipse:
        radius = table["radius"]
        if not isinstance(radius, list) or len(radius) != 2:
            raise self.error(f"'radius' of an ellipse must be a list of two; got {radius!r}")
        return Ellipse(self.center(table), (self.radius(radius[0]), self.radius(radius[1])))

    def diamond(self, table: Mapping[str, Any]) -> Diamond:
        fall = self.number("fall", table["fall"])
        if not 0 <= fall <= 1:
            raise self.error(f"'fall' must lie in [0, 1]; got {fall:g}")
        return Diamond(self.center(table), self.radius(table["radius"]), fall)

    def polygon(self, table: Mapping[str, Any]) -> Polygon:
        corners = table["points"]
        if not isinstance(corners, list) or len(corners) < 3:
            raise self.error(f"'points' of a polygon must be a list of at least three; got {corners!r}")
        return Polygon(tuple(self.point("points", corner) for corner in corners))

    def center(self, table: Mapping[str, Any]) -> Point:
        point = self.point("center", table["center"])
        dx, dy = self.pair("offset", table.get("offset", [0.0, 0.0]))
        return replace(point, offset=(point.offset[0] + dx, point.offset[1] + dy))

    def point(self, name: str, value: Any) -> Point:
        if isinstance(value, Mapping):
            self.keys(value, ("x", "y"), ("offset",))
            offset = self.pair("offset", value.get("offset", [0.0, 0.0]))
            return Point(self.ids(f"{name}.x", value["x"]), self.ids(f"{name}.y", value["y"]), offset)
        ids = self.ids(name, value)
        return Point(ids, ids)

    def ids(self, name: str, value: Any) -> tuple[int, ...]:
        ids = value if isinstance(value, list) else [value]
        if not ids or not all(isinstance(i, int) and not isinstance(i, bool) for i in ids):
            raise self.error(f"{name!r} must be a landmark id or a list of ids; got {value!r}")
        for i in ids:
            if not 0 <= i < self.points:
                raise self.error(f"{name!r} must be landmark ids from 0 to {self.points - 1}; got {i}")
        return tuple(ids)

    def radius(self, value: Any) -> Radius:
        if not isinstance(value, Mapping):
            size = self.number("radius", value)
            if size <= 0:
                raise self.error(f"'radius' must be greater than 0; got {size:g}")
            return Radius(plus=size)
        self.keys(value, ("half_gap",), ("plus", "floor"))
        gap = self.ids("half_gap", value["half_gap"])
        if len(gap) != 2:
            raise self.error(f"'half_gap' must be two landmark ids; got {value['half_gap']!r}")
        plus, floor = (self.number(key, value.get(key, 0.0)) for key in ("plus", "floor"))
        return Radius(plus=plus, floor=floor, half_gap=(gap[0], gap[1]))

    def pair(self, name: str, value: Any) -> tuple[float, float]:
        if not isinstance(value, list) or len(value) != 2:
            raise self.error(f"{name!r} must be a list of two numbers; got {value!r}")
        return self.number(name, value[0]), self.number(name, value[1])

    def number(self, name: str, value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise self.error(f"{name!r} must be a finite number; got {value!r}")
        return float(value)


_Read = Callable[[_Reader, Mapping[str, Any]], Shape]
_KINDS: dict[str, tuple[_Read, tuple[str, ...], tuple[str, ...]]] = {
    "ellipse": (_Reader.ellipse, ("center", "radius"), ("offset",)),
    "diamond": (_Reader.diamond, ("center", "radius", "fall"), ("offset",)),
    "polygon": (_Reader.polygon, ("points",), ()),
}


def _hint(word: Any, known: Any) -> str:
    near = get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
