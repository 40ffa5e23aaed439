"""The critical-difference diagram: networks on a line of average ranks, bars over those that do not differ."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xfer.report import canvas
from xfer.report.canvas import GREY, INK, ORANGE, STYLE, WIDTH, short_labels
from xfer.statistics.ranks import cliques

_STEP, _BAR = 0.21, 0.11
"""Inches between two names, and between two bars."""


@mpl.rc_context(STYLE)
def critical_difference(average: pd.Series, difference: float) -> Figure:
    """Average ranks on a line, the best on the left; bars join networks that differ by no more than ``difference``.

    Parameters
    ----------
    average : Series by network
        Average ranks, 1 = best.
    difference : float
        The critical difference.

    References
    ----------
    Demsar 2006 (jmlr.org/papers/v7/demsar06a.html), figure 1
    """
    ordered = average.sort_values(kind="stable")
    names = short_labels([str(name) for name in ordered.index], 22)
    groups = cliques(ordered, difference)
    half = (len(names) + 1) // 2
    label = canvas.text_width([f"{name} {rank:.2f}" for name, rank in zip(names, ordered, strict=True)], 7.5)
    above, first = 0.62, 0.12 + _BAR * len(groups) + 0.16
    height = above + first + _STEP * half
    fig = canvas.figure(WIDTH, height)
    ax = canvas.axes(fig, label + 0.12, 0.0, WIDTH - 2 * label - 0.24, height)
    count = len(names)
    ax.set(xlim=(1, max(count, 2)), ylim=(height, 0))
    ax.axis("off")
    _draw_scale(ax, count, above, difference)
    at = {str(name): float(rank) for name, rank in ordered.items()}
    for row, group in enumerate(groups):
        ends = [at[group[0]] - 0.04, at[group[-1]] + 0.04]
        ax.plot(ends, [above + 0.12 + _BAR * row] * 2, color=ORANGE, linewidth=3.2, solid_capstyle="butt",
                clip_on=False, gid="clique")  # fmt: skip
    for place, (name, rank) in enumerate(zip(names, ordered, strict=True)):
        left = place < half
        row = place if left else count - 1 - place
        _draw_name(ax, name, float(rank), above, above + first + _STEP * row, left)
    return fig


def _draw_scale(ax: Axes, count: int, top: float, difference: float) -> None:
    """The line of ranks with its ticks, and the critical difference as a length above it."""
    ax.plot([1, count], [top, top], color=INK, linewidth=0.9, clip_on=False)
    for rank in range(1, count + 1):
        ax.plot([rank, rank], [top - 0.06, top], color=INK, linewidth=0.9, clip_on=False)
        if count <= 20 or rank % 5 == 0 or rank == 1:
            ax.text(rank, top - 0.09, str(rank), ha="center", va="bottom", size=7.5)
    if np.isfinite(difference):
        end = 1 + difference
        ax.plot([1, end], [0.22, 0.22], color=ORANGE, linewidth=1.4, clip_on=False, gid="cd")
        for edge in (1, end):
            ax.plot([edge, edge], [0.17, 0.27], color=ORANGE, linewidth=1.4, clip_on=False)
        ax.text((1 + end) / 2, 0.14, f"critical difference {difference:.2f}", ha="center", va="bottom", size=7.5)


def _draw_name(ax: Axes, name: str, rank: float, top: float, y: float, left: bool) -> None:
    """A line from a network's rank down and out to its name on one of the two sides."""
    low, high = ax.get_xlim()
    edge, room = (low, -0.004) if left else (high, 0.004)
    ax.plot([rank, rank, edge], [top, y, y], color=GREY, linewidth=0.8, clip_on=False, gid="network")
    text = f"{name} {rank:.2f}" if left else f"{rank:.2f} {name}"
    ax.text(edge + room * (high - low) * 2, y, text, ha="right" if left else "left", va="center", size=7.5)
