"""Figures of heatmaps and masks: arrays in, `matplotlib.figure.Figure` out."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import xarray as xr
from contourpy import LineType, contour_generator
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xfer.errors import unknown
from xfer.report import canvas
from xfer.report.canvas import GREY, HEAT, STYLE, WIDTH, short_labels, spoken

SCALES = ("map", "shared")
"""Colour scales of a grid: every map from its own lowest to its own highest value, or one scale for all."""

_GAP, _FOOTER, _NOTE = 0.07, 0.36, 0.15
_LEGEND = 4.4
_BOLD = 9.2
"""The size of plain type that is as wide as bold 8 pt."""


def outline(mask: np.ndarray) -> list[np.ndarray]:
    """The closed lines around the pixels of a mask.

    Parameters
    ----------
    mask : array (y, x) in [0, 1]
        Pixels of at least 0.5 belong to the region.

    Returns
    -------
    list of arrays (point, 2)
        (x, y) in px, the centre of the first pixel at (0, 0); a region at the border is closed there.

    Examples
    --------
    >>> mask = np.zeros((6, 8))
    >>> mask[2:4, 3:6] = 1
    >>> line, = outline(mask)
    >>> line.min(axis=0).tolist(), line.max(axis=0).tolist()
    ([2.5, 1.5], [5.5, 3.5])
    """
    padded = np.pad(np.asarray(mask, dtype=float), 1)
    return [np.asarray(line) - 1.0 for line in contour_generator(z=padded, line_type=LineType.Separate).lines(0.5)]


@mpl.rc_context(STYLE)
def heatmap_grid(
    maps: xr.DataArray,
    masks: xr.DataArray,
    *,
    support: np.ndarray | None = None,
    notes: np.ndarray | None = None,
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
    scale : {"map", "shared"}
        See `SCALES`.
    """
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    models = short_labels([str(m) for m in maps.coords["model"].values])
    expressions = [str(e) for e in maps.coords["expression"].values]
    left, shape = canvas.text_width(models), maps.shape[-2:]
    width, height = _panel(shape, len(expressions), left)
    heads = _wrapped(expressions, width)
    head, step_x = _head_height(heads), width + _GAP
    step_y = height + _GAP + (0.0 if notes is None else _NOTE)
    bottom = head + step_y * len(models)
    fig, sheet = _sheet(left + max(step_x * len(expressions), _LEGEND), bottom + _FOOTER)
    limits = _limits(maps.values) if scale == "shared" else None
    lines = {e: outline(masks.sel(expression=e).values) for e in expressions if e in masks.coords["expression"].values}
    edge = [] if support is None or support.all() else outline(support)
    for (row, column), heatmap in zip(np.ndindex(len(models), len(expressions)), _flat(maps), strict=True):
        box = (left + column * step_x, head + row * step_y, width, height)
        _map(sheet, heatmap, box, limits)
        if np.isfinite(heatmap).any():
            _lines(sheet, edge, box, shape, style=(0, (1, 2)), linewidth=0.6)
            _lines(sheet, lines.get(expressions[column], []), box, shape)
        if notes is not None:
            below = box[0] + width / 2, box[1] + height + 0.025
            sheet.text(*below, str(notes[row, column]), ha="center", va="top", size=6.5)
    for row, model in enumerate(models):
        sheet.text(left - 0.08, head + row * step_y + height / 2, model, ha="right", va="center")
    for column, text in enumerate(heads):
        middle = left + column * step_x + width / 2
        sheet.text(middle, head - 0.07, text, ha="center", va="bottom", weight="bold", size=_head_size(heads, width))
    _legend(sheet, left, bottom + 0.1, limits)
    return fig


def _flat(maps: xr.DataArray) -> np.ndarray:
    return maps.values.reshape(-1, *maps.shape[-2:])


def _panel(shape: Sequence[int], columns: int, left: float) -> tuple[float, float]:
    width = min((WIDTH - left) / max(columns, 1) - _GAP, 1.0)
    return width, width * shape[0] / shape[1]


def _sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one invisible axes whose unit is the inch, the origin at the top left."""
    fig = canvas.figure(width, height)
    sheet = canvas.axes(fig, 0, 0, width, height)
    sheet.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    sheet.axis("off")
    return fig, sheet


def _limits(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _map(sheet: Axes, heatmap: np.ndarray, box: tuple[float, ...], limits: tuple[float, float] | None) -> None:
    left, top, width, height = box
    if not np.isfinite(heatmap).any():
        sheet.add_patch(
            Rectangle((left, top), width, height, facecolor="#f2f2f2", edgecolor="#9a9a9a", hatch="////", lw=0)
        )
        sheet.text(left + width / 2, top + height / 2, "no map", ha="center", va="center", style="italic",
                   bbox={"facecolor": "#f2f2f2", "edgecolor": "none", "pad": 1})  # fmt: skip
        return
    low, high = limits or _limits(heatmap)
    image = sheet.imshow(
        np.ma.masked_invalid(heatmap),
        cmap=HEAT.with_extremes(bad="#8c8c8c"),
        norm=Normalize(low, high if high > low else low + 1.0),
        extent=(left, left + width, top + height, top),
        aspect="auto",
        interpolation="bilinear",
    )
    image.set_gid("heatmap")


def _lines(
    sheet: Axes,
    lines: Sequence[np.ndarray],
    box: tuple[float, ...],
    shape: Sequence[int],
    *,
    style: str | tuple[int, tuple[int, ...]] = "solid",
    linewidth: float = 0.9,
) -> None:
    """Draw lines given in px of a canvas of `shape` inside a box given in inches."""
    if not lines:
        return
    left, top, width, height = box
    scale, corner = np.array([width / shape[1], height / shape[0]]), np.array([left, top])
    drawn = LineCollection(
        [corner + (line + 0.5) * scale for line in lines], colors="white", linestyles=[style], linewidths=linewidth
    )
    drawn.set_path_effects([patheffects.withStroke(linewidth=linewidth + 1.0, foreground="black")])
    sheet.add_collection(drawn, autolim=False)


def _wrapped(expressions: Sequence[str], width: float) -> list[str]:
    """Expressions as heads of columns of a width in inches."""
    return [canvas.wrapped(spoken(e), width, _BOLD) for e in expressions]


def _head_size(heads: Sequence[str], width: float) -> float:
    """Points in which the longest line of some bold heads fits a column of a width in inches."""
    longest = canvas.text_width("\n".join(heads).split("\n"), _BOLD) - 0.16
    return min(8.0, 8.0 * width / longest)


def _head_height(heads: Sequence[str]) -> float:
    return 0.14 + 0.13 * max(head.count("\n") + 1 for head in heads)


def _legend(sheet: Axes, left: float, top: float, limits: tuple[float, float] | None) -> None:
    bar = (left, left + 0.8, top + 0.13, top)
    sheet.imshow(np.linspace(0, 1, 256)[None], cmap=HEAT, extent=bar, aspect="auto")
    ends = (
        "lowest to highest value of each map"
        if limits is None
        else f"{limits[0]:.3g} to {limits[1]:.3g}, one scale for all"
    )
    sheet.text(left + 0.87, top + 0.065, ends, va="center", size=7)
    start = left + 0.87 + canvas.text_width([ends], 7) + 0.1
    sheet.add_patch(Rectangle((start, top), 0.28, 0.13, facecolor=HEAT(0.45), edgecolor="none"))
    _lines(sheet, [np.array([[0.0, 0.0], [1.0, 0.0]])], (start - 0.14, top - 0.5 * 0.13 + 0.065, 0.28, 0.13), (1, 1))
    sheet.text(start + 0.35, top + 0.065, "outline of the mask", va="center", size=7)


@mpl.rc_context(STYLE)
def masks_grid(masks: xr.DataArray, *, support: np.ndarray | None = None) -> Figure:
    """The masks side by side, each with the share of the scored pixels it covers.

    Parameters
    ----------
    masks : DataArray (expression, y, x) in [0, 1]
    support : bool array (y, x), optional
        The scored pixels; the whole canvas by default.
    """
    expressions = [str(e) for e in masks.coords["expression"].values]
    columns = min(len(expressions), 6)
    width, height = _panel(masks.shape[-2:], columns, 0.1)
    heads = _wrapped(expressions, width)
    head = _head_height(heads)
    step_x, step_y = width + _GAP, height + head + _NOTE
    fig, sheet = _sheet(max(step_x * columns + _GAP, 1.6), step_y * -(-len(expressions) // columns) + 0.05)
    inside = np.ones(masks.shape[-2:], bool) if support is None else support
    left = (fig.get_size_inches()[0] - step_x * columns + _GAP) / 2
    for i, mask in enumerate(masks.values):
        row, column = divmod(i, columns)
        box = (left + column * step_x, head + row * step_y, width, height)
        extent = (box[0], box[0] + width, box[1] + height, box[1])
        sheet.imshow(mask, cmap="Blues", vmin=0, vmax=1.35, extent=extent, aspect="auto", interpolation="bilinear")
        sheet.add_patch(Rectangle(box[:2], width, height, fill=False, edgecolor=GREY, linewidth=0.5))
        _lines(sheet, [] if inside.all() else outline(inside), box, masks.shape[-2:], style=(0, (1, 2)), linewidth=0.6)
        centre = box[0] + width / 2
        sheet.text(
            centre, box[1] - 0.06, heads[i], ha="center", va="bottom", weight="bold", size=_head_size(heads, width)
        )
        share = f"{(mask[inside] >= 0.5).mean():.0%} of pixels"
        sheet.text(centre, box[1] + height + 0.03, share, ha="center", va="top", size=6.5)
    return fig
