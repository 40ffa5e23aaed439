"""The canvas a face is painted on: a brush, an eraser, and parts of the face to click; by mouse, pen or finger."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ipycanvas import MultiCanvas, hold_canvas
from ipywidgets import Layout
from numpy.typing import NDArray

from xfer.annotation.marks import Click, Mark, Stroke, thin
from xfer.annotation.parts import Piece, piece_at

BRUSH, PART, ERASER = "brush", "part", "eraser"

COLOUR = (255, 120, 0)
"""Of marks."""
_OPACITY = 0.5
_CSS = "#{:02x}{:02x}{:02x}".format(*COLOUR)

Pieces = Mapping[Piece, NDArray[np.bool_]]


class Easel:
    """A picture with marks over it.

    Attributes
    ----------
    canvas : ipycanvas.MultiCanvas
        Three layers: the picture, the marks, the stroke or part under the pointer.
    tool : {"brush", "part", "eraser"}
    size : int
        Width of brush and eraser, px of the canvas.
    """

    def __init__(self, side: int, done: Callable[[Mark], None], pieces: Callable[[], Pieces]) -> None:
        """An empty easel; `done` is called with every mark that is made."""
        self.canvas = MultiCanvas(3, width=side, height=side, layout=Layout(max_width="100%"))
        self.tool, self.size = BRUSH, side // 16
        self._done, self._pieces = done, pieces
        self._path: list[tuple[float, float]] = []
        self._over: Piece | None = None
        self._picture = np.zeros((side, side, 3), np.uint8)
        self._marked = np.zeros((side, side), bool)
        canvas = self.canvas
        canvas.on_client_ready(self.draw)
        canvas.on_mouse_down(self.down)
        canvas.on_mouse_move(self.move)
        canvas.on_mouse_up(self.up)
        canvas.on_mouse_out(self.leave)
        canvas.on_touch_start(lambda touches: self.down(*touches[0]))
        canvas.on_touch_move(lambda touches: self.move(*touches[0]))
        canvas.on_touch_end(lambda touches: self.up())
        canvas.on_touch_cancel(lambda touches: self.leave())

    def show(self, picture: NDArray[np.uint8], marked: NDArray[np.bool_]) -> None:
        """Put a picture (y, x, 3) up, with what is marked on it (y, x)."""
        self._picture, self._marked, self._path = picture, marked, []
        height, width = marked.shape
        if (self.canvas.height, self.canvas.width) != (height, width):
            self.canvas.width, self.canvas.height = width, height
        self.draw()

    def show_marks(self, marked: NDArray[np.bool_]) -> None:
        """Show other marks (y, x) on the same picture."""
        self._marked = marked
        with hold_canvas():
            self.canvas[2].clear()
            self._draw_marks()

    def draw(self) -> None:
        """Draw everything, as for a page that was loaded again."""
        with hold_canvas():
            self.canvas.clear()
            # with an alpha channel the picture goes as PNG; as JPEG its colours would bleed
            self.canvas[0].put_image_data(np.dstack([self._picture, np.full(self._marked.shape, 255, np.uint8)]))
            self._draw_marks()

    def _draw_marks(self) -> None:
        layer = self.canvas[1]
        layer.clear()
        if self._marked.any():
            layer.put_image_data(_tinted(self._marked))

    def down(self, x: float, y: float) -> None:
        """A button, pen or finger goes down."""
        if self.tool == PART:
            if (piece := piece_at(self._pieces(), x, y)) is not None:
                self._done(Click(piece))
            return
        self._path = [(x, y)]
        self.canvas[2].clear()
        self._trace(self._path)

    def move(self, x: float, y: float) -> None:
        """The pointer moves, pressed or not."""
        if self._path:
            self._path.append((x, y))
            self._trace(self._path[-2:])
        elif self.tool == PART:
            self._hover(x, y)
        else:
            self._cursor(x, y)

    def up(self, x: float = math.nan, y: float = math.nan) -> None:
        """The pointer is lifted: a stroke ends."""
        path, self._path = self._path, []
        if path:
            self._done(Stroke(self.size, thin(path, self.size), self.tool == ERASER))

    def leave(self, x: float = math.nan, y: float = math.nan) -> None:
        """The pointer leaves the canvas: a stroke ends there."""
        self.up()
        self._over = None
        self.canvas[2].clear()

    def _trace(self, path: Sequence[tuple[float, float]]) -> None:
        """The last piece of a stroke that is being made."""
        with hold_canvas():
            layer = self.canvas[2]
            layer.global_alpha = _OPACITY / 2
            layer.stroke_style = "#ffffff" if self.tool == ERASER else _CSS
            layer.line_width, layer.line_cap = self.size, "round"
            (x0, y0), (x1, y1) = path[0], path[-1]
            layer.stroke_line(x0, y0, x1 + 0.01, y1)

    def _hover(self, x: float, y: float) -> None:
        """Light up the part under the pointer."""
        over = piece_at(self._pieces(), x, y)
        if over == self._over:
            return
        self._over = over
        with hold_canvas():
            layer = self.canvas[2]
            layer.clear()
            layer.global_alpha = _OPACITY
            if over is not None:
                layer.put_image_data(_tinted(self._pieces()[over]))

    def _cursor(self, x: float, y: float) -> None:
        """The outline of the brush."""
        with hold_canvas():
            layer = self.canvas[2]
            layer.clear()
            layer.global_alpha, layer.line_width = 1.0, 1.5
            layer.stroke_style = "#ffffff" if self.tool == ERASER else _CSS
            layer.stroke_circle(x, y, self.size / 2)


def _tinted(area: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """An area (y, x) in the colour of marks: RGBA."""
    colour = np.array([*COLOUR, round(255 * _OPACITY)], np.uint8)
    return area[..., None] * colour
