"""Parts of a face by name: what a rater can click, and what an attention check asks to paint."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer import geometry, tables
from xfer.rasteriser import Shape, draw, read_shapes

FRAME = "xfer"
"""The frame that lends a face its forehead."""

_POINTS = 89

Piece = tuple[str, int]
"""A part's name and which of its shapes: of two eyes, one is clicked at a time."""


@dataclass(frozen=True)
class Part:
    """A part of the face.

    Attributes
    ----------
    said : str
        As a rater reads it: "the eyes".
    asked : bool
        Whether an attention check may ask for it; those whose borders people agree on.
    shapes : tuple of Shape
        The viewer's left one first.
    """

    said: str
    asked: bool
    shapes: tuple[Shape, ...]


@cache
def parts() -> Mapping[str, Part]:
    """The parts of ``masks/parts.toml``, by name.

    >>> [name for name, part in parts().items() if part.asked]
    ['forehead', 'eyes', 'nose', 'cheeks', 'mouth', 'chin']
    """
    path = geometry.data_folder() / "parts.toml"
    read = tables.section(tables.read(path)["parts"], f"{path}: [parts]")
    return {name: _part(table, f"{path}: [parts.{name}]") for name, table in read.items()}


def _part(table: Mapping[str, Any], where: str) -> Part:
    tables.known(table, ("said", "asked", "shapes"), where)
    shapes = read_shapes(table["shapes"], points=_POINTS, where=where)
    return Part(tables.text(table, "said", where), bool(table["asked"]), shapes)


def pieces() -> tuple[Piece, ...]:
    """Everything that can be clicked."""
    return tuple((name, i) for name, part in parts().items() for i in range(len(part.shapes)))


def draw_pieces(points: NDArray[np.floating[Any]], height: int, width: int) -> dict[Piece, NDArray[np.bool_]]:
    """Every piece on a face.

    Parameters
    ----------
    points : array (68, 2)
        Landmarks (x, y) in px of the canvas.
    height, width : int
        The canvas, px.

    Returns
    -------
    dict of (str, int) to bool array (y, x)
    """
    placed = geometry.extend(np.asarray(points, np.float64), geometry.load_frame(FRAME))
    found = {}
    for name, i in pieces():
        drawn = draw([parts()[name].shapes[i]], placed, height=height, width=width)
        found[name, i] = np.asarray(drawn) >= 0.5
    return found


def piece_at(drawn: Mapping[Piece, NDArray[np.bool_]], x: float, y: float) -> Piece | None:
    """The smallest piece that a point of the canvas lies on; None beside all of them."""
    row, column = round(y), round(x)
    held = [piece for piece, area in drawn.items() if _inside(area, row, column)]
    return min(held, key=lambda piece: int(drawn[piece].sum()), default=None)


def _inside(area: NDArray[np.bool_], row: int, column: int) -> bool:
    height, width = area.shape
    return 0 <= row < height and 0 <= column < width and bool(area[row, column])
