"""Figures of faces: what they measure, the contact sheet, pairs that look alike, mean faces under their masks."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from xfer.inspection import Portrait
from xfer.report import canvas
from xfer.report.canvas import BLUE, GREY, HEAT, ORANGE, STYLE, WIDTH, short_labels, spoken
from xfer.report.panels import outline

MEASURES = {
    "inter_ocular": "between the eyes (px)",
    "yaw": "yaw (degrees)",
    "pitch": "pitch (degrees)",
    "roll": "roll (degrees)",
}
"""The columns of `Inspection.faces` that are drawn, and what their axes say."""

_GAP, _LINE = 0.07, 0.13


@mpl.rc_context(STYLE)
def distributions(faces: pd.DataFrame) -> Figure:
    """Histograms of `MEASURES`, each with its median; a measure that no face has is left out."""
    shown = [name for name in MEASURES if np.isfinite(faces[name]).any()]
    width, height, left = 1.45, 1.15, 0.5
    fig = canvas.figure(max(len(shown), 1) * (width + left) + 0.05, height + 0.65)
    for i, name in enumerate(shown):
        ax = canvas.axes(fig, left + i * (width + left), 0.12, width, height)
        values = faces[name].to_numpy(float)
        values = values[np.isfinite(values)]
        ax.hist(values, bins=_bins(values, name).tolist(), color=BLUE)
        ax.axvline(float(np.median(values)), color=ORANGE, linewidth=1.4)
        ax.set_xlabel(MEASURES[name])
        ax.spines[["top", "right"]].set_visible(False)
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        if i == 0:
            ax.set_ylabel("faces")
        canvas.plain_text(ax)
    return fig


def _bins(values: np.ndarray, name: str) -> np.ndarray:
    """Edges of 24 bins; those of an angle lie symmetrically around 0."""
    if name == "inter_ocular":
        low, high = float(values.min()), float(values.max())
        return np.linspace(low - 0.5, high + 0.5, 25)
    end = max(15.0, 5 * np.ceil(np.abs(values).max() / 5))
    return np.linspace(-end, end, 25)


@mpl.rc_context(STYLE)
def counts_matrix(table: pd.DataFrame) -> Figure:
    """Counts as an annotated matrix, the diagonal framed; labels of columns stand above it."""
    names, values = [spoken(str(e)) for e in table.index], table.to_numpy(dtype=float)
    left, cell, row = canvas.text_width(names), 0.8, 0.26
    heads = [canvas.wrapped(name, cell, 7.5) for name in names]
    top = 0.12 + _LINE * max(h.count("\n") + 1 for h in heads)
    fig = canvas.figure(left + cell * len(names) + 0.05, top + row * len(names) + 0.05)
    ax = canvas.axes(fig, left, top, cell * len(names), row * len(names))
    canvas.cells(ax, values, canvas.colours(values, low=0.0), digits=0)
    for i in range(len(names)):
        ax.add_patch(Rectangle((i, i), 1, 1, fill=False, edgecolor=BLUE, linewidth=1.4))
    centres = [i + 0.5 for i in range(len(names))]
    ax.set(xlim=(0, len(names)), ylim=(len(names), 0))
    ax.set_xticks(centres, heads)
    ax.set_yticks(centres, names)
    ax.xaxis.tick_top()
    canvas.bare(ax)
    return fig


@mpl.rc_context(STYLE)
def contact_sheet(portraits: Sequence[Portrait], columns: int = 6) -> Figure:
    """Small pictures with their landmarks, the label under each."""
    side = (WIDTH - _GAP) / columns - _GAP
    columns = min(columns, len(portraits))
    rows = -(-len(portraits) // columns)
    step = side + _GAP + _LINE
    fig, sheet = _sheet(_GAP + columns * (side + _GAP), _GAP + rows * step)
    for i, portrait in enumerate(portraits):
        row, column = divmod(i, columns)
        left, top = _GAP + column * (side + _GAP), _GAP + row * step
        _picture(sheet, portrait, (left, top, side))
        label = canvas.wrapped(spoken(portrait.expression) or "no label", 9.0)
        sheet.text(left + side / 2, top + side + 0.02, label, ha="center", va="top", size=6.5)
    return fig


@mpl.rc_context(STYLE)
def pairs(twins: Sequence[tuple[Portrait, Portrait]], columns: int = 3) -> Figure:
    """Pairs side by side, the label under each face and its id under that."""
    columns = min(columns, len(twins))
    side, between = 1.08, 0.16
    step_x, step_y = 2 * side + _GAP + between, side + 2 * _LINE + 0.12
    fig, sheet = _sheet(columns * step_x + _GAP, -(-len(twins) // columns) * step_y + _GAP)
    for i, pair in enumerate(twins):
        row, column = divmod(i, columns)
        for k, portrait in enumerate(pair):
            left, top = _GAP + column * step_x + k * (side + _GAP), _GAP + row * step_y
            _picture(sheet, portrait._replace(points=None), (left, top, side))
            middle, below = left + side / 2, top + side + 0.02
            sheet.text(middle, below, spoken(portrait.expression) or "no label", ha="center", va="top", size=7)
            name = short_labels([portrait.id], 22)[0]
            sheet.text(middle, below + _LINE, name, ha="center", va="top", size=5.5, color=GREY)
    return fig


@mpl.rc_context(STYLE)
def mean_faces(
    means: xr.DataArray, masks: xr.DataArray, counts: "Mapping[str, int] | pd.Series", support: np.ndarray | None = None
) -> Figure:
    """The mean face of each expression, its mask outlined; under it, where that face differs from the neutral one.

    Parameters
    ----------
    means : DataArray (expression, y, x, channel)
        RGB in [0, 1]; NaN where no face is seen.
    masks : DataArray (expression, y, x) in [0, 1]
        An expression without a mask gets no outline.
    counts : mapping of str to int
        Faces that each mean is made of, by expression.
    support : bool array (y, x), optional
        Where differences are looked at; everywhere by default.
    """
    names = [str(e) for e in means.coords["expression"].values]
    columns = min(len(names), 7)
    width = min((WIDTH - _GAP) / columns - _GAP, 1.3)
    height = width * means.sizes["y"] / means.sizes["x"]
    heads = [canvas.wrapped(spoken(e), width, 9.2) for e in names]
    head = 0.1 + _LINE * max(h.count("\n") + 1 for h in heads)
    differ = differences(means, support)
    step_y = head + height + 0.2 + (height + _GAP if differ is not None else 0)
    fig, sheet = _sheet(_GAP + columns * (width + _GAP), step_y * -(-len(names) // columns))
    high = 1.0 if differ is None else max(float(np.nanquantile(differ, 0.998)), 1e-6)
    outlines = {str(e): outline(m) for e, m in zip(masks.coords["expression"].values, masks.values, strict=True)}
    for i, name in enumerate(names):
        row, column = divmod(i, columns)
        box = (_GAP + column * (width + _GAP), row * step_y + head, width, height)
        sheet.text(box[0] + width / 2, box[1] - 0.05, heads[i], ha="center", va="bottom", weight="bold")
        _panel(sheet, np.nan_to_num(means.values[i], nan=0.85), box)
        _outlines(sheet, outlines.get(name, []), box, means.shape[1:3])
        low = box[1] + height
        if differ is not None:
            box = (box[0], low + _GAP, width, height)
            low = box[1] + height
            _difference(sheet, differ[i], high, box)
            _outlines(sheet, outlines.get(name, []), box, means.shape[1:3])
        faces = f"{counts[name]} face{'s' if counts[name] != 1 else ''}"
        sheet.text(box[0] + width / 2, low + 0.03, faces, ha="center", va="top", size=6.5)
    return fig


def differences(means: xr.DataArray, support: np.ndarray | None = None) -> np.ndarray | None:
    """How far each mean face is from the neutral one: (expression, y, x), None where there is none to compare.

    The distance is Euclidean over RGB, each face first brought to the neutral one's mean colour; NaN outside
    `support`.
    """
    names = [str(e) for e in means.coords["expression"].values]
    if "neutral" not in names or len(names) < 2:
        return None
    there = np.ones(means.shape[1:3], bool) if support is None else support
    faces = np.where(there[..., None], means.values, np.nan)
    levelled = faces - np.nanmean(faces, axis=(1, 2), keepdims=True)
    return np.linalg.norm(levelled - levelled[names.index("neutral")], axis=-1)


def _difference(sheet: Axes, values: np.ndarray, high: float, box: tuple[float, ...]) -> None:
    if not values[np.isfinite(values)].any():
        left, top, width, height = box
        sheet.add_patch(Rectangle((left, top), width, height, facecolor="#f2f2f2", edgecolor="none"))
        sheet.text(left + width / 2, top + height / 2, "(reference)", ha="center", va="center", size=7, style="italic")
        return
    _panel(sheet, HEAT.with_extremes(bad="#d9d9d9")(Normalize(0, high)(np.ma.masked_invalid(values))), box)


def _sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one invisible axes whose unit is the inch, the origin at the top left."""
    fig = canvas.figure(width, height)
    sheet = canvas.axes(fig, 0, 0, width, height)
    sheet.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    sheet.axis("off")
    return fig, sheet


def _panel(sheet: Axes, picture: np.ndarray, box: tuple[float, ...]) -> None:
    left, top, width, height = box
    sheet.imshow(np.clip(picture, 0, 1), extent=(left, left + width, top + height, top), aspect="auto")


def _picture(sheet: Axes, portrait: Portrait, square: tuple[float, float, float]) -> None:
    """A picture as large as fits a square, its landmarks as dots."""
    left, top, side = square
    height, width = portrait.picture.shape[:2]
    scale = side / max(height, width)
    left, top = left + (side - width * scale) / 2, top + (side - height * scale) / 2
    _panel(sheet, portrait.picture / 255, (left, top, width * scale, height * scale))
    if portrait.points is not None:
        x, y = ((portrait.points + 0.5) * scale + [left, top]).T
        sheet.scatter(x, y, s=0.8, color="#00e0ff", alpha=0.8, linewidths=0, zorder=3)


def _outlines(sheet: Axes, lines: Sequence[np.ndarray], box: tuple[float, ...], shape: Sequence[int]) -> None:
    """Lines given in px of a canvas of `shape`, drawn inside a box given in inches."""
    if not lines:
        return
    left, top, width, height = box
    scale = np.array([width / shape[1], height / shape[0]])
    drawn = LineCollection([(line + 0.5) * scale + [left, top] for line in lines], colors="white", linewidths=0.9)
    drawn.set_path_effects([patheffects.withStroke(linewidth=1.9, foreground="black")])
    sheet.add_collection(drawn, autolim=False)
