"""Where on the face each Action Unit acts, one answer per source."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xfer import geometry, labels, tables
from xfer.errors import InputError, unknown
from xfer.masks import facs
from xfer.rasteriser import AXES, SHARP, UNITS, Shape, draw, read_shapes

POINTS = (68, 89, 468)
"""The point sets that shapes may index: iBUG, iBUG with forehead and corners, the face mesh."""

_HEADER = ("format", "name", "title", "reference")
_DRAWING = ("points", "unit", "axes", "softness")


@dataclass(frozen=True)
class Drawing:
    """How the shapes of a file are drawn: see `xfer.rasteriser.draw`.

    Attributes
    ----------
    points : {68, 89, 468}
        The point set that the shapes' ids index.
    unit : {"inter_ocular", "inner_canthi"}
        The distance that sizes and offsets are multiples of.
    axes : {"image", "face"}
        Whether they run along the image or along the line of the eyes.
    softness : float
        Width of the linear edge ramp, in units.
    """

    points: int
    unit: str
    axes: str
    softness: float

    def draw(self, shapes: tuple[Shape, ...], points: Any, *, height: int, width: int, sharp: int = SHARP) -> Any:
        """The union of shapes on faces (..., point, 2) in px: (..., y, x) in [0, 1]."""
        laid: dict[str, Any] = {"softness": self.softness, "unit": self.unit, "axes": self.axes}
        return draw(shapes, points, height=height, width=width, sharp=sharp, **laid)


@dataclass(frozen=True)
class Region:
    """Where one Action Unit acts.

    Attributes
    ----------
    shapes : tuple of Shape
        United by their pixel-wise maximum.
    evidence : {"source", "memory", "derived"}
    reference, note : str
    """

    shapes: tuple[Shape, ...]
    evidence: str
    reference: str
    note: str = ""


@dataclass(frozen=True)
class Regions:
    """A source of regions.

    Attributes
    ----------
    name, title, reference : str
    drawing : Drawing
    action_units : mapping of AU code to Region
        By number.
    """

    name: str
    title: str
    reference: str
    drawing: Drawing
    action_units: Mapping[str, Region]


def drawing(content: Mapping[str, Any], where: str) -> Drawing:
    """How the shapes of a file are drawn, from the keys of its first lines.

    Raises
    ------
    InputError
        If one of them is missing or cannot be.
    """
    points = content.get("points")
    if points not in POINTS or isinstance(points, bool):
        raise InputError(f"{where}: 'points' must be one of {', '.join(map(str, POINTS))}; got {points!r}")
    softness = tables.number(content.get("softness", 0.0), "softness", where)
    if softness < 0:
        raise InputError(f"{where}: 'softness' must not be negative; got {softness:g}")
    unit = tables.choice(content, "unit", UNITS, where, UNITS[0])
    return Drawing(points, unit, tables.choice(content, "axes", AXES, where, AXES[0]), softness)


def read(path: str | Path) -> Regions:
    """Read and check a region file.

    Raises
    ------
    InputError
        One line that names the file, the table and the slip.
    """
    where, content = str(path), tables.read(Path(path))
    codes = [facs.known_unit(key, where) for key in content if key.upper().startswith("AU")]
    tables.known(content, (*_HEADER, *_DRAWING, *codes), where)
    reference, drawn_as = tables.text(content, "reference", where), drawing(content, where)
    found = {code: _region(content[code], drawn_as.points, reference, f"{where}: [{code}]") for code in codes}
    if not found:
        raise InputError(f"{where}: no Action Unit has a region; write [AU1] with 'shapes'")
    ordered = MappingProxyType({code: found[code] for code in sorted(found, key=labels.au_number)})
    name, title = tables.text(content, "name", where), tables.text(content, "title", where)
    return Regions(name, title, reference, drawn_as, ordered)


def _region(content: object, points: int, reference: str, where: str) -> Region:
    table = tables.section(content, where)
    tables.known(table, ("shapes", *facs.FACTS), where)
    if "shapes" not in table:
        raise InputError(f"{where}: 'shapes' is missing")
    shapes = read_shapes(table["shapes"], points=points, where=where)
    return Region(shapes, *facs.facts(table, reference, where))


def names() -> tuple[str, ...]:
    """The region sources that come with xfer."""
    return tuple(sorted(path.stem for path in (geometry.data_folder() / "regions").glob("*.toml")))


def load(name: str) -> Regions:
    """A region source by name, or from a file whose path ends in ``.toml``.

    Raises
    ------
    InputError
        If there is none of that name, or the file has a slip.
    """
    if name.endswith(".toml"):
        return read(name)
    if name not in names():
        raise unknown("regions", name, names())
    return read(geometry.data_folder() / "regions" / f"{name}.toml")


def draw_units(regions: Regions, codes: Iterable[str], points: Any, **canvas: int) -> dict[str, Any]:
    """Maps (..., y, x) of some Action Units, by code, on faces (..., point, 2), in px, of the source's point set.

    The canvas is as in `Drawing.draw`.
    """
    placed, drawing = regions.action_units, regions.drawing
    return {code: drawing.draw(placed[code].shapes, points, **canvas) for code in codes}
