"""Figures of recognition: accuracy per network beside chance and a linear classifier, confusion matrices."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xfer.report import canvas
from xfer.report.canvas import BLUE, GREY, INK, ORANGE, STYLE, WIDTH, short_labels, spoken

_ROW, _FOOT = 0.235, 0.78
_KEY = 4.6
"""Inches that the key of a confusion figure takes."""
"""Inches of a network's row, and of the axis and key below them."""

_GAP, _TITLE = 0.16, 0.24
"""Inches between confusion matrices, and above each for its name."""


@mpl.rc_context(STYLE)
def accuracy_chart(table: pd.DataFrame, doubtful: Sequence[str] = (), common: float = float("nan")) -> Figure:
    """One row per network: its accuracy (dot), the range over folds (bar), the linear classifier (tick); chance a line.

    Parameters
    ----------
    table : DataFrame
        Index model, columns accuracy, low, high, linear, chance, in the order to draw.
    doubtful : sequence of str
        Networks drawn in orange and hollow.
    common : float
        The share of the most frequent expression, drawn where it is above chance.
    """
    names = short_labels([str(m) for m in table.index])
    left, height = canvas.text_width(names), _ROW * max(len(names), 1)
    fig = canvas.figure(WIDTH, height + _FOOT + 0.05)
    ax = canvas.axes(fig, left, 0.05, WIDTH - left - 0.75, height)
    ax.set(xlim=(0, 1), ylim=(len(names), 0), xlabel="accuracy on test faces")
    ax.set_yticks(np.arange(len(names)) + 0.5, names)
    ax.hlines(np.arange(len(names)) + 0.5, 0, 1, color="#e3e3e3", linewidth=0.6, zorder=0)
    chance = canvas.finite_mean(table["chance"])
    if np.isfinite(chance):
        ax.axvline(chance, color=INK, linewidth=0.9, linestyle=(0, (1, 1.5))).set_gid("chance")
    if np.isfinite(common) and common > chance + 0.005:
        ax.axvline(common, color=GREY, linewidth=0.9, linestyle=(0, (4, 2))).set_gid("commonest")
    for row, (model, line) in enumerate(table.iterrows()):
        _accuracy_row(ax, row + 0.5, line.astype(float), str(model) in doubtful)
    ax.spines[["left", "right", "top"]].set_visible(False)
    ax.tick_params(axis="y", length=0, pad=4)
    ax.set_xticks(np.linspace(0, 1, 6))
    canvas.plain_text(ax)
    _accuracy_key(fig, left, ax, bool(doubtful))
    return fig


def _accuracy_row(ax: Axes, middle: float, line: pd.Series, doubtful: bool) -> None:
    colour = ORANGE if doubtful else BLUE
    if np.isfinite(line["linear"]):
        ends = [middle - 0.34, middle + 0.34]
        ax.plot([line["linear"]] * 2, ends, color=GREY, linewidth=2.2, solid_capstyle="butt", gid="linear")
    value = line["accuracy"]
    if not np.isfinite(value):
        ax.text(1.02, middle, "undefined", va="center", size=7.5, style="italic", clip_on=False)
        return
    if line["high"] > line["low"]:
        ax.plot([line["low"], line["high"]], [middle] * 2, color=colour, linewidth=1.4, gid="range")
    ax.plot([value], [middle], marker="o", markersize=5.5, color=colour, linestyle="none",
            markerfacecolor="white" if doubtful else colour, markeredgewidth=1.4, gid="accuracy")  # fmt: skip
    ax.text(1.02, middle, canvas.decimal(value, 3), va="center", size=7.5, clip_on=False)


def _accuracy_key(fig: Figure, left: float, ax: Axes, doubtful: bool) -> None:
    """What the signs mean, on a line below the axis; only those that are drawn."""
    drawn = {str(line.get_gid()) for line in ax.lines}
    signs: list[tuple[str, Line2D]] = [
        ("network", Line2D([], [], marker="o", color=BLUE, linestyle="none", markersize=5)),
        ("range over folds", Line2D([], [], color=BLUE, linewidth=1.4)),
        ("near chance or below linear", Line2D([], [], marker="o", color=ORANGE, markerfacecolor="white",
                                               linestyle="none", markersize=5, markeredgewidth=1.4)),
        ("linear classifier", Line2D([], [], color=GREY, linewidth=2.2, marker="|", linestyle="none",
                                     markersize=8, markeredgewidth=2.2)),
        ("chance", Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)))),
        ("always the most frequent", Line2D([], [], color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))),
    ]  # fmt: skip
    wanted = ["accuracy", "range", "accuracy" if doubtful else "none", "linear", "chance", "commonest"]
    kept = [sign for sign, gid in zip(signs, wanted, strict=True) if gid in drawn]
    fig.legend([line for _, line in kept], [name for name, _ in kept], loc="lower left", ncols=3, fontsize=7,
               bbox_to_anchor=(left / WIDTH, 0.0), frameon=False, handlelength=1.6, borderaxespad=0.1,
               columnspacing=1.4)  # fmt: skip


@mpl.rc_context(STYLE)
def confusion_grid(matrices: Mapping[str, pd.DataFrame], notes: Mapping[str, str] | None = None) -> Figure:
    """Confusion matrices side by side: true expression in rows, predicted in columns, shaded by the row's share.

    Parameters
    ----------
    matrices : mapping of network to DataFrame of counts, all over the same expressions
        Numbers in the cells are faces.
    notes : mapping of network to str, optional
        Printed behind a network's name.
    """
    names = short_labels(list(matrices), 22)
    first = next(iter(matrices.values()))
    labels = [spoken(e) for e in first.index]
    left, below = canvas.text_width(labels, 7), canvas.text_width(labels, 7)
    columns = min(len(names), 4 if len(labels) <= 6 else 3 if len(labels) <= 8 else 2)
    side = min((WIDTH - left - _GAP * (columns - 1)) / columns, 0.42 * len(labels))
    rows = -(-len(names) // columns)
    step = _TITLE + side + below
    fig = canvas.figure(max(left + columns * side + (columns - 1) * _GAP + 0.03, _KEY), rows * step + 0.2)
    for i, (name, counts) in enumerate(zip(names, matrices.values(), strict=True)):
        row, column = divmod(i, columns)
        ax = canvas.axes(fig, left + column * (side + _GAP), row * step + _TITLE, side, side)
        _confusion(ax, counts, side / len(labels))
        title = f"{name} {(notes or {}).get(list(matrices)[i], '')}".strip()
        ax.set_title(title, fontsize=min(8.0, 8.0 * side / (canvas.text_width([title], 9.2) - 0.16)), pad=3)
        ax.set_yticks(np.arange(len(labels)) + 0.5, labels if column == 0 else [""] * len(labels), fontsize=7)
        ax.set_xticks(np.arange(len(labels)) + 0.5, labels, rotation=90, fontsize=7)
        canvas.bare(ax)
    height = fig.get_size_inches()[1]
    key = "rows: true expression    columns: predicted    number: faces    shade: share of the row"
    fig.text(0.03, 0.05 / height, key, size=6.5)
    return fig


def _confusion(ax: Axes, counts: pd.DataFrame, cell: float) -> None:
    faces = counts.to_numpy(dtype=float)
    totals = faces.sum(axis=1, keepdims=True)
    shares = np.divide(faces, totals, out=np.full_like(faces, np.nan), where=totals > 0)
    shade = canvas.colours([0.0, 1.0])
    digits = max(len(f"{int(faces.max(initial=0))}"), 2)
    canvas.cells(ax, shares, shade, annotate=False)
    size = min(7.0, cell * 72 * 0.92 / (0.64 * digits))
    for (row, column), share in np.ndenumerate(shares):
        if np.isfinite(share):
            ax.text(column + 0.5, row + 0.5, f"{int(faces[row, column])}", ha="center", va="center", size=size,
                    color=canvas.ink_on(shade(share)), weight="bold" if row == column else "normal")  # fmt: skip
    ax.set(xlim=(0, len(faces)), ylim=(len(faces), 0))
