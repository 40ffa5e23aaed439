"""Figures of a twin study: differences with their intervals, specificity by arm and expression."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xfer.report import canvas
from xfer.report.canvas import BLUE, GREY, INK, ORANGE, STYLE, WIDTH, short_labels, spoken

_ROW, _HEAD, _FOOT, _GAP = 0.3, 0.3, 0.5, 0.35
"""Inches: a row, the title above, the axis below, the space between two panels."""


@mpl.rc_context(STYLE)
def difference_plot(specificity: pd.DataFrame, accuracy: pd.DataFrame, margin: float) -> Figure:
    """Two panels with one row a comparison.

    Parameters
    ----------
    specificity, accuracy : DataFrame by (first, second)
        ``difference``, ``ci_low`` and ``ci_high``; what is NaN is not drawn. The first row is drawn on top.
    margin : float
        Where the dashed line of non-inferiority stands, below 0.
    """
    names = short_labels([f"{first} − {second}" for first, second in specificity.index], 30)
    left, height = canvas.text_width(names), _ROW * max(len(names), 1)
    width = (WIDTH - left - _GAP - 0.1) / 2
    fig = canvas.figure(WIDTH, _HEAD + height + _FOOT)
    panels = (
        (specificity, "specificity (headline)", "difference of IoU, own mask minus others", None),
        (accuracy.reindex(specificity.index), "accuracy", "difference of accuracy", -margin),
    )
    for place, (table, title, label, line) in enumerate(panels):
        ax = canvas.axes(fig, left + place * (width + _GAP), _HEAD, width, height)
        _points(ax, table, line)
        _rows(ax, names if place == 0 else [""] * len(names))
        ax.set_title(title)
        ax.set_xlabel(label)
    return fig


def _points(ax: Axes, table: pd.DataFrame, line: float | None) -> None:
    at = np.arange(len(table)) + 0.5
    low, high, value = (table[name].to_numpy(float) for name in ("ci_low", "ci_high", "difference"))
    ax.axvline(0, color=INK, linewidth=0.8)
    if line is not None:
        ax.axvline(line, color=ORANGE, linewidth=1.2, linestyle=(0, (4, 2)), gid="margin")
    sure = (low > 0) | (high < 0)
    for chosen, colour in ((sure, BLUE), (~sure, GREY)):
        known = chosen & np.isfinite(low) & np.isfinite(high)
        ax.hlines(at[known], low[known], high[known], color=colour, linewidth=1.6, gid="interval")
        ax.plot(value[chosen], at[chosen], "o", color=colour, markersize=4.8, gid="point")
    shown = np.concatenate([[0.0], [] if line is None else [line], *(v[np.isfinite(v)] for v in (low, high, value))])
    room = 0.06 * (np.ptp(shown) or 1.0)
    ax.set_xlim(shown.min() - room, shown.max() + room)


def _rows(ax: Axes, names: Sequence[str]) -> None:
    """One unit of y is one row, the first on top."""
    ax.set_ylim(max(len(names), 1), 0)
    ax.set_yticks(np.arange(len(names)) + 0.5, names)
    ax.grid(axis="y", color="#ececec", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0, pad=4)
    ax.spines[["left", "right", "top"]].set_visible(False)
    canvas.plain_text(ax)


@mpl.rc_context(STYLE)
def specificity_cells(table: pd.DataFrame) -> Figure:
    """Arms (rows) x expressions (columns), coloured around 0.

    Parameters
    ----------
    table : DataFrame
        NaN is hatched.
    """
    arms = short_labels([str(arm) for arm in table.index])
    columns = [spoken(str(e)) for e in table.columns]
    left = canvas.text_width(arms)
    cell = min((WIDTH - left - 0.1) / max(len(columns), 1), 1.0)
    fig = canvas.figure(left + cell * len(columns) + 0.1, 0.35 + 0.3 * len(arms) + 0.05)
    ax = canvas.axes(fig, left, 0.35, cell * len(columns), 0.3 * len(arms))
    values = table.to_numpy(float)
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    shade = canvas.Colours(canvas.DIVERGING, mpl.colors.Normalize(-largest or -1.0, largest or 1.0))
    canvas.cells(ax, values, shade)
    ax.set(xlim=(0, len(columns)), ylim=(len(arms), 0))
    ax.set_yticks(np.arange(len(arms)) + 0.5, arms)
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns)
    ax.xaxis.tick_top()
    canvas.bare(ax)
    canvas.plain_text(ax)
    return fig
