"""Figure of training: loss and validation accuracy over epochs, one pair of panels per network."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from xfer.report import canvas
from xfer.report.canvas import BLUE, GREY, INK, ORANGE, STYLE, WIDTH, short_labels

_LEFT, _GAP, _PANEL, _STEP, _COLUMNS = 0.5, 0.14, 0.62, 1.78, 4
"""Inches left of the first panel, between panels, of a panel's height, from one row of networks to the next."""


@mpl.rc_context(STYLE)
def training_curves(
    curves: pd.DataFrame, networks: Sequence[str], chosen: pd.DataFrame, chance: float = float("nan")
) -> Figure:
    """Small multiples: validation accuracy above, loss below, the chosen epoch marked; one line a fold.

    Parameters
    ----------
    curves : DataFrame
        `Study.curves`.
    networks : sequence of str
        Which to draw, in order; one without a log says so.
    chosen : DataFrame
        Columns model, fold, epoch: the epoch (from 1) whose weights were kept.
    chance : float
        A line in the accuracy panels.
    """
    columns = min(_COLUMNS, max(len(networks), 1))
    width = min((WIDTH - _LEFT - _GAP * (columns - 1)) / columns - 0.02, 2.4)
    rows = -(-len(networks) // columns)
    across = max(_LEFT + columns * width + (columns - 1) * _GAP + 0.1, 4.6)
    fig = canvas.figure(across, rows * _STEP + 0.42)
    top = _top(curves[["train_loss", "validation_loss"]])
    kept = {(str(m), str(f)): e for m, f, e in chosen[["model", "fold", "epoch"]].itertuples(index=False, name=None)}
    for i, (network, name) in enumerate(zip(networks, short_labels(networks, 22), strict=True)):
        row, column = divmod(i, columns)
        place = _LEFT + column * (width + _GAP), row * _STEP + 0.2
        upper = canvas.axes(fig, *place, width, _PANEL)
        lower = canvas.axes(fig, place[0], place[1] + _PANEL + 0.08, width, _PANEL)
        own = curves[curves["model"] == network]
        _panels(upper, lower, own, {f: e for (m, f), e in kept.items() if m == network})
        _scales(upper, lower, own, top, chance, width, first=column == 0)
        upper.set_title(name, fontsize=min(8.0, 8.0 * width / (canvas.text_width([name], 9.2) - 0.16)), pad=3)
        if i + columns >= len(networks):
            lower.set_xlabel("epoch", fontsize=7, labelpad=1)
    _key(fig)
    return fig


def _top(losses: pd.DataFrame) -> float:
    """The end of the losses' axis: all of them, unless a few lie far above the rest."""
    values = losses.to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if not values.size:
        return 1.0
    return 1.05 * float(min(values.max(), 2 * np.quantile(values, 0.9)))


def _panels(upper: Axes, lower: Axes, own: pd.DataFrame, kept: Mapping[str, float]) -> None:
    """The lines of one network."""
    if not len(own):
        upper.text(0.5, 0.5, "no log", transform=upper.transAxes, ha="center", va="center", style="italic")
        return
    for fold, log in own.sort_values("epoch").groupby("fold", sort=True):
        epoch = log["epoch"].to_numpy(dtype=float)
        style: dict[str, Any] = {"marker": "o", "markersize": 2.2, "linewidth": 1.0}
        upper.plot(epoch, log["validation_accuracy"].to_numpy(float), color=BLUE, gid="validation_accuracy", **style)
        lower.plot(epoch, log["train_loss"].to_numpy(float), color=GREY, gid="train_loss", **style)
        lower.plot(epoch, log["validation_loss"].to_numpy(float), color=BLUE, gid="validation_loss", **style)
        best = kept.get(str(fold), float("nan"))
        if best in epoch:
            reached = float(log.loc[log["epoch"] == best, "validation_accuracy"].iloc[0])
            for ax in (upper, lower):
                ax.axvline(best, color=ORANGE, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0)
            upper.plot([best], [reached], marker="o", markersize=5, markerfacecolor="none", color=ORANGE,
                       markeredgewidth=1.3, linestyle="none", gid="chosen")  # fmt: skip


def _scales(
    upper: Axes, lower: Axes, own: pd.DataFrame, top: float, chance: float, width: float, *, first: bool
) -> None:
    last = max(float(own["epoch"].max()), 2.0) if len(own) else 2.0
    for ax, end in ((upper, 1.0), (lower, top)):
        ax.set(xlim=(1 - 0.06 * last, last * 1.06), ylim=(0, end))
        ax.spines[["right", "top"]].set_visible(False)
        ax.tick_params(length=2, labelsize=6.5, pad=2)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(3))
        ax.tick_params(labelleft=first)
    upper.tick_params(labelbottom=False)
    upper.set_yticks([0, 0.5, 1.0])
    if np.isfinite(chance):
        upper.axhline(chance, color=INK, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=0, gid="chance")
    if first:
        upper.set_ylabel("accuracy", fontsize=7, labelpad=2)
        lower.set_ylabel("loss", fontsize=7, labelpad=2)
        for ax in (upper, lower):
            ax.yaxis.set_label_coords(-0.3 / width, 0.5)


def _key(fig: Figure) -> None:
    signs = {
        "validation": Line2D([], [], color=BLUE, marker="o", markersize=2.2, linewidth=1.0),
        "training": Line2D([], [], color=GREY, marker="o", markersize=2.2, linewidth=1.0),
        "chosen epoch": Line2D([], [], color=ORANGE, linewidth=0.8, linestyle=(0, (3, 2)), marker="o", markersize=5,
                               markerfacecolor="none"),
        "chance": Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (1, 1.5))),
    }  # fmt: skip
    fig.legend(list(signs.values()), list(signs), loc="lower left", ncols=4, fontsize=7, frameon=False,
               bbox_to_anchor=(_LEFT / fig.get_size_inches()[0], 0.0), borderaxespad=0.1,
               handlelength=2.0)  # fmt: skip
