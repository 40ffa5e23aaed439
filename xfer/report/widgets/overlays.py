"""A heatmap over a face: how much of each shows, the outlines of mask and threshold, landmarks."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xfer.report.canvas import HEAT, INK, STYLE, text_width, wrapped
from xfer.report.panels import Box, draw_lines, limits_of, outline, sheet

_COLOURS = HEAT(np.arange(256))[:, :3].astype(np.float32)
SKY, DOTS = "#56b4e9", "#00e0ff"
_BLANK, _WIDTH, _MARGIN, _LINE = 0.86, 3.3, 0.05, 0.16
"""Grey where no face is known; inches of a map, around it, of a line of type."""


def mixed(heatmap: np.ndarray, face: np.ndarray | None, strength: float) -> np.ndarray:
    """A heatmap in colour mixed with a face, in equal parts at a strength of 0.5.

    Parameters
    ----------
    heatmap : array (y, x)
        From its lowest to its highest value; NaN shows the face alone.
    face : array (y, x, 3 or 4) in [0, 1], optional
        Seen in grey, so that colour is the map's alone; with an alpha channel light grey where that is 0.
    strength : float in [0, 1]

    Returns
    -------
    array (y, x, 3) in [0, 1]

    >>> mixed(np.array([[0.0, 1.0]]), np.ones((1, 2, 3)), 0.0).tolist()
    [[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]]
    """
    low, high = limits_of(heatmap)
    known = np.isfinite(heatmap)
    share = (np.where(known, heatmap, low) - low) / (high - low if high > low else 1.0)
    under = np.full(heatmap.shape, _BLANK, np.float32) if face is None else _grey(face)
    weight = np.where(known, np.float32(strength), np.float32(0))[..., None]
    return weight * _COLOURS[np.round(share * 255).astype(np.uint8)] + (1 - weight) * under[..., None]


def _grey(face: np.ndarray) -> np.ndarray:
    red, green, blue = (face[..., i].astype(np.float32) for i in range(3))
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.where(face[..., 3] > 0, grey, np.float32(_BLANK)) if face.shape[-1] == 4 else grey


def draw_mixed(ax: Axes, picture: np.ndarray, box: Box) -> None:
    """A picture (y, x, 3) in a box in inches."""
    left, top, width, height = box
    pixels = np.round(picture * 255).astype(np.uint8)
    ax.imshow(pixels, extent=(left, left + width, top + height, top), aspect="auto", interpolation="bilinear")


def draw_points(ax: Axes, points: np.ndarray, box: Box, shape: Sequence[int]) -> None:
    """Landmarks (point, 2) in px of a canvas of `shape` as dots in a box."""
    left, top, width, height = box
    x, y = ((points + 0.5) * [width / shape[1], height / shape[0]] + [left, top]).T
    ax.scatter(x, y, s=2.2, color=DOTS, edgecolors="black", linewidths=0.25, zorder=3).set_gid("landmarks")


@mpl.rc_context(STYLE)
def overlay(
    heatmap: np.ndarray,
    *,
    title: str,
    face: np.ndarray | None = None,
    strength: float = 0.6,
    support: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    kept: np.ndarray | None = None,
) -> Figure:
    """One heatmap over a face, with outlines.

    Parameters
    ----------
    heatmap : array (y, x)
    title : str
    face, strength
        As for `mixed`.
    support : bool array (y, x), optional
        Its outline is dotted where it is not the whole canvas.
    mask : array (y, x) in [0, 1], optional
        Its outline is white.
    kept : bool array (y, x), optional
        Pixels that a threshold keeps; their outline is blue.
    """
    shape = heatmap.shape
    width, height = _WIDTH, _WIDTH * shape[0] / shape[1]
    head = wrapped(title, width, 9.2)
    top = 0.1 + _LINE * (head.count("\n") + 1)
    fig, ax = sheet(width + 2 * _MARGIN, top + height + 0.62)
    box = (_MARGIN, top, width, height)
    draw_mixed(ax, mixed(heatmap, face, strength), box)
    if support is not None and not support.all():
        draw_lines(ax, outline(support), box, shape, style=(0, (1, 2)), linewidth=0.7)
    draw_lines(ax, [] if mask is None else outline(mask), box, shape, linewidth=1.3)
    draw_lines(ax, [] if kept is None else outline(kept), box, shape, linewidth=1.3, colour=SKY)
    ax.text(_MARGIN, top - 0.06, head, ha="left", va="bottom", weight="bold", size=8.5)
    _key(ax, top + height + 0.1, mask is not None, kept is not None)
    return fig


def _key(ax: Axes, top: float, mask: bool, kept: bool) -> None:
    ax.imshow(np.linspace(0, 1, 256)[None], cmap=HEAT, extent=(_MARGIN, 0.9, top + 0.13, top), aspect="auto")
    ax.text(0.97, top + 0.065, "lowest to highest value of the map", va="center", size=7, color=INK)
    left, line = _MARGIN, np.array([[0.0, 0.0], [1.0, 0.0]])
    for there, text, colour in ((mask, "mask", "white"), (kept, "above the threshold", SKY)):
        if there:
            draw_lines(ax, [line], (left - 0.14, top + 0.21, 0.28, 0.2), (1, 1), linewidth=1.3, colour=colour)
            ax.text(left + 0.36, top + 0.31, text, va="center", size=7, color=INK)
            left += 0.5 + text_width([text], 7)
