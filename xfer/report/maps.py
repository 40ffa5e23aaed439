"""Figures of heatmaps and masks: arrays in, `matplotlib.figure.Figure` out."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xfer.errors import unknown
from xfer.report import canvas
from xfer.report.canvas import GREY, ORANGE, STYLE, WIDTH, short_labels
from xfer.report.panels import (
    Box,
    draw_doubt,
    draw_face,
    draw_lines,
    draw_map,
    legend,
    limits_of,
    outline,
    sheet,
    wrapped_heads,
)

SCALES = ("map", "shared")
"""Colour scales of a grid: every map from its own lowest to its own highest value, or one scale for all."""

_GAP, _FOOTER, _NOTE, _LINE = 0.07, 0.36, 0.15, 0.115
_LEGEND, _DOUBT = 4.4, 6.2
"""Inches that the legend takes, without and with the frame of doubtful maps."""


@mpl.rc_context(STYLE)
def heatmap_grid(
    maps: xr.DataArray,
    masks: xr.DataArray,
    *,
    support: np.ndarray | None = None,
    notes: np.ndarray | None = None,
    doubts: np.ndarray | None = None,
    face: np.ndarray | None = None,
    scale: str = "map",
) -> Figure:
    """All heatmaps, one row a network and one column an expression, the mask's outline drawn over each.

    Parameters
    ----------
    maps : DataArray (model, expression, y, x)
        A map that is NaN everywhere is shown as missing.
    masks : DataArray (expression, y, x) in [0, 1]
        Expressions without a mask get no outline.
    support : bool array (y, x), optional
        Its outline is dotted where it is not the whole canvas.
    notes : array (model, expression) of str, optional
        Printed under each map.
    doubts : array (model, expression) of str, optional
        Why a map explains nothing, printed under its note; the map is framed. "" for the others.
    face : array (y, x, 4) in [0, 1], optional
        A face that shows beneath each map.
    scale : {"map", "shared"}
        See `SCALES`.
    """
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    models = short_labels([str(m) for m in maps.coords["model"].values])
    expressions = [str(e) for e in maps.coords["expression"].values]
    doubtful = doubts is not None and bool((doubts != "").any())
    left, shape = canvas.text_width(models), maps.shape[-2:]
    width, height = _panel(shape, len(expressions), left)
    heads, size, head = wrapped_heads(expressions, width)
    below = (0.0 if notes is None else _NOTE) + (_LINE if doubtful else 0.0)
    step_x, step_y = width + _GAP, height + _GAP + below
    bottom = head + step_y * len(models)
    across = left + max(step_x * len(expressions), _DOUBT if doubtful else _LEGEND)
    fig, ax = sheet(across, bottom + _FOOTER)
    limits = limits_of(maps.values) if scale == "shared" else None
    lines = {e: outline(masks.sel(expression=e).values) for e in expressions if e in masks.coords["expression"].values}
    edge = [] if support is None or support.all() else outline(support)
    for (row, column), heatmap in zip(np.ndindex(len(models), len(expressions)), _flat(maps), strict=True):
        box = (left + column * step_x, head + row * step_y, width, height)
        if draw_map(ax, heatmap, box, limits, face):
            draw_lines(ax, edge, box, shape, style=(0, (1, 2)), linewidth=0.6)
            draw_lines(ax, lines.get(expressions[column], []), box, shape)
        note = "" if notes is None else str(notes[row, column])
        _below(ax, box, note, "" if doubts is None else str(doubts[row, column]))
    for row, model in enumerate(models):
        ax.text(left - 0.08, head + row * step_y + height / 2, model, ha="right", va="center")
    for column, text in enumerate(heads):
        middle = left + column * step_x + width / 2
        ax.text(middle, head - 0.07, text, ha="center", va="bottom", weight="bold", size=size)
    legend(ax, left, bottom + 0.1, limits, doubtful)
    return fig


def _below(ax: Axes, box: Box, note: str, doubt: str) -> None:
    """What is printed under a map, and its frame if it is doubtful."""
    middle, top = box[0] + box[2] / 2, box[1] + box[3] + 0.025
    if note:
        ax.text(middle, top, note, ha="center", va="top", size=6.5)
    if doubt:
        draw_doubt(ax, box)
        ax.text(middle, top + (_LINE if note else 0.0), doubt, ha="center", va="top", size=6.5, color=ORANGE)


def _flat(maps: xr.DataArray) -> np.ndarray:
    return maps.values.reshape(-1, *maps.shape[-2:])


def _panel(shape: Sequence[int], columns: int, left: float) -> tuple[float, float]:
    width = min((WIDTH - left) / max(columns, 1) - _GAP, 1.0)
    return width, width * shape[0] / shape[1]


@mpl.rc_context(STYLE)
def masks_grid(masks: xr.DataArray, *, support: np.ndarray | None = None, points: np.ndarray | None = None) -> Figure:
    """The masks side by side, each with the share of the scored pixels it covers.

    Parameters
    ----------
    masks : DataArray (expression, y, x) in [0, 1]
    support : bool array (y, x), optional
        The scored pixels; the whole canvas by default.
    points : array (point, 2), optional
        Landmarks (x, y) in px of the canvas, the 68 first; a frame's 89 have a forehead. A face is drawn through them,
        in place of the dotted outline of the support.
    """
    expressions = [str(e) for e in masks.coords["expression"].values]
    columns = min(len(expressions), 6)
    width, height = _panel(masks.shape[-2:], columns, 0.1)
    heads, size, head = wrapped_heads(expressions, width)
    step_x, step_y = width + _GAP, height + head + _NOTE
    fig, ax = sheet(max(step_x * columns + _GAP, 1.6), step_y * -(-len(expressions) // columns) + 0.05)
    inside = np.ones(masks.shape[-2:], bool) if support is None else support
    left = (fig.get_size_inches()[0] - step_x * columns + _GAP) / 2
    for i, mask in enumerate(masks.values):
        row, column = divmod(i, columns)
        box = (left + column * step_x, head + row * step_y, width, height)
        extent = (box[0], box[0] + width, box[1] + height, box[1])
        ax.imshow(mask, cmap="Blues", vmin=0, vmax=1.35, extent=extent, aspect="auto", interpolation="bilinear")
        ax.add_patch(Rectangle(box[:2], width, height, fill=False, edgecolor=GREY, linewidth=0.5))
        if points is not None:
            draw_face(ax, points, box, masks.shape[-2:])
        draw_lines(
            ax,
            [] if inside.all() or points is not None else outline(inside),
            box,
            masks.shape[-2:],
            style=(0, (1, 2)),
            linewidth=0.6,
        )
        centre = box[0] + width / 2
        ax.text(centre, box[1] - 0.06, heads[i], ha="center", va="bottom", weight="bold", size=size)
        share = f"{(mask[inside] >= 0.5).mean():.0%} of pixels"
        ax.text(centre, box[1] + height + 0.03, share, ha="center", va="top", size=6.5)
    return fig
