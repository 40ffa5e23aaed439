"""What a rater does to a face, one mark after the other: strokes of a brush or of an eraser, and parts clicked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from xfer.annotation.parts import Piece
from xfer.errors import InputError

LARGEST = 400
"""The widest brush, px of the canvas."""


@dataclass(frozen=True)
class Stroke:
    """A path of the brush.

    Attributes
    ----------
    size : int
        Width of the brush, px of the canvas.
    path : tuple of (int, int)
        (x, y) in px of the canvas, at least one point.
    erase : bool
        Takes away what lies under it.
    """

    size: int
    path: tuple[tuple[int, int], ...]
    erase: bool = False


@dataclass(frozen=True)
class Click:
    """A piece of the face, marked whole."""

    piece: Piece


Mark = Stroke | Click


def to_json(mark: Mark) -> dict[str, Any]:
    """A mark for a line of JSON; a path is its first point and the steps from it.

    >>> to_json(Stroke(9, ((10, 20), (12, 19))))
    {'brush': 9, 'path': [10, 20, 2, -1]}
    >>> to_json(Click(("eyes", 0)))
    {'part': ['eyes', 0]}
    """
    if isinstance(mark, Click):
        return {"part": list(mark.piece)}
    steps = np.diff(np.array(mark.path), axis=0, prepend=0)
    return {"erase" if mark.erase else "brush": mark.size, "path": steps.ravel().tolist()}


def from_json(told: Any) -> Mark:
    """The inverse of `to_json`.

    Raises
    ------
    InputError
        If it is no mark.
    """
    if isinstance(told, Mapping):
        if set(told) == {"part"} and isinstance(told["part"], list) and len(told["part"]) == 2:
            name, i = told["part"]
            if isinstance(name, str) and isinstance(i, int):
                return Click((name, i))
        for tool in ("brush", "erase"):
            if set(told) == {tool, "path"} and _whole(told["path"]) and _whole([told[tool]]):
                path = np.array(told["path"]).reshape(-1, 2).cumsum(axis=0)
                return Stroke(int(told[tool]), tuple((int(x), int(y)) for x, y in path), tool == "erase")
    raise InputError(f"not a mark: {str(told)[:60]}")


def _whole(values: Any) -> bool:
    """Whether these are whole numbers that fit on a canvas, and there are some."""
    if not isinstance(values, list) or not values:
        return False
    return all(isinstance(v, int) and not isinstance(v, bool) and abs(v) < 100_000 for v in values) and (
        len(values) == 1 or len(values) % 2 == 0
    )


def thin(path: Sequence[tuple[float, float]], size: int) -> tuple[tuple[int, int], ...]:
    """A path in whole px without the points that a brush of this size cannot tell apart; both ends stay.

    >>> thin([(0, 0), (1, 0), (2, 0), (9.6, 0), (10, 0)], 16)
    ((0, 0), (10, 0))
    """
    whole = [(round(x), round(y)) for x, y in path]
    kept, step = whole[:1], max(1, size // 4)
    for x, y in whole[1:-1]:
        if max(abs(x - kept[-1][0]), abs(y - kept[-1][1])) > step and (x, y) != whole[-1]:
            kept.append((x, y))
    if len(whole) > 1 and whole[-1] != kept[-1]:
        if len(kept) > 1 and max(abs(kept[-1][0] - whole[-1][0]), abs(kept[-1][1] - whole[-1][1])) <= step:
            kept.pop()
        kept.append(whole[-1])
    return tuple(kept)


def paint(
    marks: Iterable[Mark], pieces: Mapping[Piece, NDArray[np.bool_]], height: int, width: int
) -> NDArray[np.bool_]:
    """What is marked after all marks, in their order.

    Parameters
    ----------
    marks : iterable of Stroke or Click
    pieces : mapping of (str, int) to bool array (y, x)
        As `xfer.annotation.parts.draw_pieces` draws them on the face.
    height, width : int
        The canvas, px.

    Returns
    -------
    bool array (y, x)

    Raises
    ------
    InputError
        If a piece is unknown.
    """
    canvas = Image.new("L", (width, height))
    for mark in marks:
        if isinstance(mark, Stroke):
            _draw(canvas, mark)
        elif mark.piece in pieces:
            canvas.paste(1, mask=Image.fromarray(pieces[mark.piece]))
        else:
            raise InputError(f"no part of the face {mark.piece!r}; there is {', '.join(map(str, pieces))}")
    return np.asarray(canvas) > 0


def _draw(canvas: Image.Image, stroke: Stroke) -> None:
    pen, value, radius = ImageDraw.Draw(canvas), int(not stroke.erase), stroke.size / 2
    if len(stroke.path) > 1:
        pen.line([*stroke.path], fill=value, width=stroke.size, joint="curve")
    for x, y in stroke.path:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value)
