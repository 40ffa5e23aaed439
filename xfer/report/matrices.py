"""Figures of tables: scores, the swap control, correlations."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xfer import scoring
from xfer.report import canvas
from xfer.report.canvas import BLUE, STYLE, WIDTH, finite_mean, short_labels, spoken

_ROW, _GAP = 0.235, 0.25
"""Inches of a row, cells between a block and its means."""

_ANNOTATED = 16
"""The most rows of a correlation matrix whose cells carry numbers."""


@mpl.rc_context(STYLE)
def score_heat(
    table: pd.DataFrame,
    *,
    chance: pd.Series | None = None,
    higher_is_better: bool = True,
    digits: int = 3,
    marks: np.ndarray | None = None,
) -> Figure:
    """Scores as an annotated matrix; row means on the right, column means and the chance value below.

    The best of each column is bold, those with a mark left out.

    Parameters
    ----------
    table : DataFrame, models x expressions
        NaN is hatched and says 'undefined'; so is the mean of its row, that of its column leaves it out.
    chance : Series by expression, optional
    higher_is_better : bool
        Which end of a column is its best.
    digits : int
        Decimals printed.
    marks : array (model, expression) of str, optional
        Printed behind a score.
    """
    values, names = table.to_numpy(dtype=float), short_labels([str(m) for m in table.index])
    below = {"mean": table.mean(axis=0).to_numpy(dtype=float)}
    if chance is not None:
        below["chance"] = chance.reindex(table.columns).to_numpy(dtype=float)
    rows, columns = values.shape
    right, under = columns + _GAP, rows + _GAP
    foot = np.array([[*line, finite_mean(values if name == "mean" else line)] for name, line in below.items()])
    left = canvas.text_width([*names, *below])
    cell = min(0.72, (WIDTH - left - 0.05) / (right + 1))
    wide, tall = cell * (right + 1), _ROW * (under + len(below))
    heads = _heads([*table.columns, "mean"], cell)
    fig = canvas.figure(left + wide + 0.05, heads[2] + tall + 0.05)
    ax = canvas.axes(fig, left, heads[2], wide, tall)
    shade, size = canvas.colours(values, *below.values()), min(7.5, cell * 13)
    plain = values if marks is None else np.where(marks == "", values, np.nan)
    best = _best(plain if higher_is_better else -plain, axis=0)
    across = scoring.network_means(table).to_numpy(dtype=float)[:, None]
    blocks = ((0, 0, values), (right, 0, across), (0, under, foot[:, :-1]), (right, under, foot[:, -1:]))
    for x, y, block in blocks:
        canvas.cells(ax, block, shade, at=(x, y), digits=digits, size=size, bold=best if block is values else None,
                     marks=marks if block is values else None)  # fmt: skip
    ax.set(xlim=(0, right + 1), ylim=(under + len(below), 0))
    _draw_heads(ax, [*_centres(columns), right + 0.5], heads)
    ax.set_yticks([*_centres(rows), *(under + place for place in _centres(len(below)))], [*names, *below])
    canvas.bare(ax)
    return fig


@mpl.rc_context(STYLE)
def marked_matrix(
    table: pd.DataFrame,
    title: str,
    *,
    marks: np.ndarray | None = None,
    plain: np.ndarray | None = None,
    digits: int = 2,
) -> Figure:
    """Scores or reliabilities as an annotated matrix of which some cells carry a mark and some have no colour.

    Parameters
    ----------
    table : DataFrame, models x expressions
        NaN is hatched and says 'undefined'.
    title : str
    marks : array (model, expression) of str, optional
        Printed behind a number, which is then bold.
    plain : bool array (model, expression), optional
        Cells drawn grey.
    digits : int
    """
    values, names = table.to_numpy(dtype=float), short_labels([str(m) for m in table.index])
    rows, columns = values.shape
    left = canvas.text_width(names)
    cell = min(0.72, (WIDTH - left - 0.05) / columns)
    heads = _heads(list(table.columns), cell)
    top = heads[2] + 0.22
    width, height = left + cell * columns + 0.05, top + _ROW * rows + 0.05
    fig = canvas.figure(width, height)
    ax = canvas.axes(fig, left, top, cell * columns, _ROW * rows)
    fig.text(left / width, 1 - 0.14 / height, title, size=9, weight="bold", va="center")
    bold = None if marks is None else marks != ""
    canvas.cells(ax, values, canvas.colours(values), digits=digits, size=min(7.5, cell * 13), bold=bold, marks=marks,
                 plain=plain)  # fmt: skip
    ax.set(xlim=(0, columns), ylim=(rows, 0))
    _draw_heads(ax, _centres(columns), heads)
    ax.set_yticks(_centres(rows), names)
    canvas.bare(ax)
    return fig


def _centres(count: int) -> list[float]:
    return [i + 0.5 for i in range(count)]


def _best(values: np.ndarray, axis: int) -> np.ndarray:
    """Where the finite maximum along an axis stands."""
    top = np.max(values, axis=axis, initial=-np.inf, where=np.isfinite(values), keepdims=True)
    return values == top


def _heads(names: Sequence[str], cell: float) -> tuple[list[str], float, float]:
    """Column heads for cells of a width in inches, their rotation in degrees and the height they take in inches."""
    spelled = [spoken(name) for name in names]
    if canvas.text_width([word for name in spelled for word in name.split()], 7.5) - 0.1 <= cell:
        fitted = [canvas.wrapped(name, cell, 7.5) for name in spelled]
        return fitted, 0.0, 0.14 + 0.13 * max(head.count("\n") + 1 for head in fitted)
    return spelled, 90.0, canvas.text_width(spelled, 7.5)


def _draw_heads(ax: Axes, places: Sequence[float], heads: tuple[list[str], float, float]) -> None:
    names, rotation, _ = heads
    ax.xaxis.tick_top()
    ax.set_xticks(places, names, rotation=rotation)


@mpl.rc_context(STYLE)
def swap_matrix(swap: pd.DataFrame, *, higher_is_better: bool = True, digits: int = 3) -> Figure:
    """Scores of every expression's maps (rows) against every expression's mask (columns).

    The own mask is framed; the best of each row is bold with a dot.

    Parameters
    ----------
    swap : DataFrame, expressions x mask expressions
    higher_is_better : bool
        Which end of a row is its best.
    """
    values = swap.to_numpy(dtype=float)
    rows, columns = values.shape
    best = _best(values if higher_is_better else -values, axis=1)
    names, row_height = [spoken(e) for e in swap.index], 0.3
    left = canvas.text_width(names) + 0.22
    cell = min(0.78, (WIDTH - left - 0.05) / columns)
    heads = _heads(list(swap.columns), cell)
    top = heads[2] + 0.2
    width, height = max(left + cell * columns + 0.05, 4.2), top + row_height * rows + 0.32
    fig = canvas.figure(width, height)
    ax = canvas.axes(fig, left, top, cell * columns, row_height * rows)
    shade = canvas.colours(values)
    canvas.cells(ax, values, shade, digits=digits, bold=best, size=min(8, cell * 12))
    for row, column in zip(*np.nonzero(best), strict=True):
        ink = canvas.ink_on(shade(values[row, column]))
        ax.plot(column + 0.12, row + 0.5, marker="o", markersize=2.6, color=ink, gid="best")
    for row, column in own_cells(swap):
        frame = Rectangle((column + 0.03, row + 0.06), 0.94, 0.88, fill=False, edgecolor=BLUE, linewidth=1.8)
        ax.add_patch(frame).set_gid("own")
    ax.set(xlim=(0, columns), ylim=(rows, 0), ylabel="heatmaps of", xlabel="scored against the mask of")
    ax.xaxis.set_label_position("top")
    _draw_heads(ax, _centres(columns), heads)
    ax.set_yticks(_centres(rows), names)
    canvas.bare(ax)
    fig.text(left / width, 0.1 / height, "blue frame: own mask    ● bold: best mask of the row", size=7)
    return fig


def own_cells(swap: pd.DataFrame) -> list[tuple[int, int]]:
    """Row and column of the cells in which an expression's maps meet its own mask."""
    columns = list(swap.columns)
    return [(row, columns.index(name)) for row, name in enumerate(swap.index) if name in columns]


@mpl.rc_context(STYLE)
def correlation_matrix(
    correlations: pd.DataFrame, *, order: Sequence[str] | None = None, low: float | None = None
) -> Figure:
    """Correlations as an annotated matrix, rows and columns in the order given.

    Parameters
    ----------
    correlations : DataFrame, names x the same names
    order : sequence of names, optional
        A tree's leaves, for instance; the table's own order by default.
    low : float, optional
        The lower end of the colour scale, to compare several matrices; the smallest value by default.
    """
    ordered = correlations if order is None else correlations.loc[list(order), list(order)]
    names = short_labels([spoken(n) for n in ordered.index])
    cell = matrix_cell(len(names))
    left = canvas.text_width(names)
    side = cell * len(names)
    fig = canvas.figure(left + side + 0.6, 0.22 + side + left)
    ax = canvas.axes(fig, left, 0.22, side, side)
    draw_correlations(ax, ordered.to_numpy(dtype=float), low)
    ax.set_xticks(_centres(len(names)), names, rotation=90)
    ax.set_yticks(_centres(len(names)), names)
    canvas.bare(ax)
    colour_bar(fig, ax, left + side + 0.12, 0.22, side)
    return fig


def matrix_cell(count: int) -> float:
    """Inches of a cell's side in a matrix of `count` rows."""
    return min(0.42, max(3.5 / count, 0.16))


def draw_correlations(ax: Axes, values: np.ndarray, low: float | None, *, numbers: bool = True) -> None:
    """Cells of a correlation matrix on axes of which one unit is one cell."""
    count = len(values)
    start = min(_lowest(values), 1.0 if low is None else low)
    shade = canvas.colours(values, low=start, high=1.0)
    size = min(7.5, matrix_cell(count) * 19)
    canvas.cells(ax, values, shade, digits=2, size=size, annotate=numbers and count <= _ANNOTATED)
    ax.set(xlim=(0, count), ylim=(count, 0))


def _lowest(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return min(float(finite.min()), 0.9) if finite.size else 0.0


def colour_bar(fig: Figure, ax: Axes, left: float, top: float, height: float, measure: str = "r") -> None:
    """The scale of a correlation matrix, to its right (inches)."""
    place = canvas.axes(fig, left, top, 0.1, min(height, 1.6))
    bar = fig.colorbar(ax.collections[0], cax=place)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=7)
    bar.ax.set_title(measure, fontsize=8, style="italic", weight="normal", loc="center", pad=3)
