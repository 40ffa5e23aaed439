"""Figures of numbers with intervals: networks between chance and ceiling, shares of variance."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xfer.report import canvas
from xfer.report.canvas import BLUE, GREY, INK, ORANGE, STYLE, WIDTH, short_labels

_ROW, _HEAD, _FOOT, _GAP = 0.235, 0.32, 0.78, 0.3
"""Inches: a row, the title above, axis and legend below, the space between two panels."""


@mpl.rc_context(STYLE)
def forest(table: pd.DataFrame, metric: str) -> Figure:
    """Networks on the y axis; their score between chance and ceiling, and the anchored score where there is one.

    Parameters
    ----------
    table : DataFrame by network
        ``value``, ``corrected``, ``ci_low``, ``ci_high``, ``null_mean``, ``ceiling``, ``anchored``, ``anchored_low``
        and ``anchored_high``; what is NaN is not drawn. The first row is drawn on top.
    metric : str
        The label of the scores' axis.
    """
    names = short_labels([str(name) for name in table.index])
    left, height = canvas.text_width(names), _ROW * max(len(names), 1)
    panels = [_draw_scores]
    if np.isfinite(table["anchored"]).any():
        panels = [_draw_anchored, _draw_scores]
    width = (WIDTH - left - _GAP * (len(panels) - 1) - 0.1) / len(panels)
    fig = canvas.figure(WIDTH, _HEAD + height + _FOOT)
    handles: dict[str, Line2D] = {}
    for place, draw in enumerate(panels):
        ax = canvas.axes(fig, left + place * (width + _GAP), _HEAD, width, height)
        handles |= draw(ax, table, metric)
        _rows(ax, names if place == 0 else [""] * len(names))
    fig.legend(list(handles.values()), list(handles), loc="lower left", bbox_to_anchor=(0.01, 0.0), ncols=4,
               frameon=False, fontsize=7.5, handletextpad=0.5, columnspacing=1.6)  # fmt: skip
    return fig


def _rows(ax: Axes, names: Sequence[str]) -> None:
    """One unit of y is one row, the first on top, with a hairline through each."""
    ax.set_ylim(max(len(names), 1), 0)
    ax.set_yticks(np.arange(len(names)) + 0.5, names)
    ax.grid(axis="y", color="#ececec", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0, pad=4)
    ax.spines[["left", "right", "top"]].set_visible(False)
    canvas.plain_text(ax)


def _draw_anchored(ax: Axes, table: pd.DataFrame, metric: str) -> dict[str, Line2D]:
    ax.axvline(0, color=GREY, linewidth=1.6, gid="null")
    ax.axvline(1, color=ORANGE, linewidth=1.6, gid="ceiling")
    handles = _points(ax, table["anchored"], table["anchored_low"], table["anchored_high"])
    ax.set_title("anchored")
    ax.set_xlabel("0 is chance, 1 is the ceiling")
    _margins(ax, [0.0, 1.0], table[["anchored", "anchored_low", "anchored_high"]])
    return handles


def _draw_scores(ax: Axes, table: pd.DataFrame, metric: str) -> dict[str, Line2D]:
    handles: dict[str, Line2D] = {}
    at = np.arange(len(table)) + 0.5
    for column, label, colour in (("null_mean", "chance: smooth surrogates", GREY), ("ceiling", "ceiling", ORANGE)):
        if np.isfinite(table[column]).any():
            (handles[label],) = ax.plot(
                table[column], at, "|", color=colour, markersize=11, markeredgewidth=2.4, gid=column
            )
    if np.isfinite(table["corrected"]).any():
        handles = _points(ax, table["corrected"], table["ci_low"], table["ci_high"]) | handles
    (handles["raw score"],) = ax.plot(
        table["value"], at, "o", markersize=4.2, markerfacecolor="white", markeredgecolor=INK, gid="raw"
    )
    ax.set_title("score")
    ax.set_xlabel(metric)
    _margins(ax, [], table[["value", "corrected", "ci_low", "ci_high", "null_mean", "ceiling"]])
    return handles


def _points(ax: Axes, values: pd.Series, low: pd.Series, high: pd.Series) -> dict[str, Line2D]:
    at = np.arange(len(values)) + 0.5
    known = np.isfinite(low.to_numpy()) & np.isfinite(high.to_numpy())
    ax.hlines(at[known], low[known], high[known], color=BLUE, linewidth=1.5, gid="interval")
    (points,) = ax.plot(values, at, "o", color=BLUE, markersize=4.6, gid="point")
    return {"noise-corrected, 95% interval": points}


def _margins(ax: Axes, always: Sequence[float], numbers: pd.DataFrame) -> None:
    values = numbers.to_numpy(dtype=float)
    shown = np.concatenate([values[np.isfinite(values)], np.asarray(always, dtype=float)])
    if shown.size:
        room = 0.06 * (np.ptp(shown) or 1.0)
        ax.set_xlim(shown.min() - room, shown.max() + room)


@mpl.rc_context(STYLE)
def variance_bars(shares: pd.DataFrame) -> Figure:
    """Shares of variance as bars with their intervals.

    Parameters
    ----------
    shares : DataFrame
        ``factor``, ``omega``, ``ci_low`` and ``ci_high``; the first row is drawn on top.
    """
    names = short_labels([str(name) for name in shares["factor"]])
    numbers = shares[["omega", "ci_low", "ci_high"]].astype(float)
    left, height = canvas.text_width(names), 0.28 * max(len(names), 1)
    fig = canvas.figure(left + 4.4, 0.1 + height + 0.5)
    ax = canvas.axes(fig, left, 0.1, 4.3, height)
    at = np.arange(len(names)) + 0.5
    ax.barh(at, numbers["omega"], height=0.62, color="#9cc5e0", gid="share")
    known = np.isfinite(numbers[["ci_low", "ci_high"]].to_numpy()).all(axis=1)
    ax.hlines(at[known], numbers["ci_low"][known], numbers["ci_high"][known], color=INK, linewidth=1.1, gid="interval")
    ax.axvline(0, color=INK, linewidth=0.6)
    _rows(ax, names)
    _margins(ax, [0.0, 1.0], numbers)
    ax.set_xlabel("share of the variance, ω²")
    return fig
