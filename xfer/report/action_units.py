"""The figure of Action Unit attribution: what each player adds to each expression, and the true effect beside it."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from xfer.errors import InputError
from xfer.report import canvas
from xfer.report.canvas import BLUE, GREY, INK, ORANGE, STYLE, WIDTH, short_labels, spoken

_ROW, _HEAD, _AXIS, _FOOT, _GAP = 0.128, 0.52, 0.42, 0.36, 0.14
"""Inches: a player, the titles above a row of panels, the axis below it, the legend, the space between panels."""
_COLUMNS = 4
_TYPE = 6.2


@mpl.rc_context(STYLE)
def unit_bars(means: pd.DataFrame, output: str = "probability") -> Figure:
    """Bars of every player's mean Shapley value, one panel an expression; the causal column beside it in orange.

    Parameters
    ----------
    means : DataFrame
        From `xfer.study.action_unit_means.mean_units`. Drawn are the rows whose class is the expression that the faces
        show, or all rows of a single class where there are none.
    output : {"probability", "logit"}
        What `phi` is a part of.

    Raises
    ------
    InputError
        If there is no row.
    """
    own = means[means["class"] == means["expression"]]
    shown = own if len(own) else means
    groups = [
        (str(expression), str(label), rows.set_index("player"))
        for (expression, label), rows in shown.groupby(["expression", "class"], sort=False)
    ]
    if not groups:
        raise InputError("no Action Unit attribution to draw")
    players = _ordered(list(dict.fromkeys(shown["player"])))
    causal = bool(shown["causal"].notna().any())
    bands = -(-len(groups) // _COLUMNS)
    columns = min(len(groups), _COLUMNS)
    left, tall = canvas.text_width(short_labels(players), _TYPE), _ROW * len(players)
    width = (WIDTH - left - 0.08 - _GAP * (columns - 1)) / columns
    fig = canvas.figure(WIDTH, bands * (_HEAD + tall + _AXIS) + _FOOT)
    limit = _limit(shown, "phi"), _limit(shown, "causal")
    for number, (expression, label, rows) in enumerate(groups):
        band, column = divmod(number, _COLUMNS)
        box = left + column * (width + _GAP), band * (_HEAD + tall + _AXIS) + _HEAD, width, tall
        title = spoken(str(expression)) if expression == label else f"{spoken(str(label))} on {spoken(str(expression))}"
        _panel(fig, rows.reindex(players), box, title, limit, causal, output, first=column == 0)
    _legend(fig, causal, absent=bool(shown["phi"].isna().any() or (causal and shown["causal"].isna().any())))
    return fig


def _ordered(players: list[str]) -> list[str]:
    """Action Units first, what none of them covers below."""
    return sorted(players, key=lambda player: not player.startswith("AU"))


def _limit(means: pd.DataFrame, name: str) -> float:
    values = np.abs(means[[name, f"{name}_low", f"{name}_high"]].to_numpy(float))
    return float(np.nanmax(values)) * 1.06 if np.isfinite(values).any() and np.nanmax(values) > 0 else 1.0


def _panel(
    fig: Figure,
    rows: pd.DataFrame,
    box: tuple[float, float, float, float],
    title: str,
    limits: tuple[float, float],
    causal: bool,
    output: str,
    *,
    first: bool,
) -> None:
    left, top, width, height = box
    part = 0.56 * width if causal else width
    ax = canvas.axes(fig, left, top, part, height)
    inside = rows["inside_codebook"].fillna(False).to_numpy(bool)
    _bars(ax, rows, "phi", [BLUE if mine else "#b5b5b5" for mine in inside], limits[0])
    ax.set_yticks(np.arange(len(rows)) + 0.5, short_labels(list(rows.index)) if first else [""] * len(rows))
    ax.tick_params(axis="y", length=0, pad=2, labelsize=_TYPE)
    ax.set_title(title, pad=13)
    subjects = int(rows["subjects"].max())
    people = f"{subjects} {'person' if subjects == 1 else 'people'}"
    told = people if rows["inside_codebook"].notna().any() else f"{people}; not in the codebook"
    ax.text(0, 1, told, transform=ax.transAxes, va="bottom", size=_TYPE, color=INK)
    ax.set_xlabel(f"Shapley value,\n{output}", size=_TYPE)
    canvas.plain_text(ax)
    if causal:
        beside = canvas.axes(fig, left + part + 0.05, top, width - part - 0.05, height)
        _bars(beside, rows, "causal", [ORANGE] * len(rows), limits[1])
        beside.set_yticks([])
        beside.set_xlabel(f"causal effect,\n{output}", size=_TYPE)


def _bars(ax: Axes, rows: pd.DataFrame, name: str, colours: list[str], limit: float) -> None:
    at = np.arange(len(rows)) + 0.5
    values, low, high = (rows[column].to_numpy(float) for column in (name, f"{name}_low", f"{name}_high"))
    ax.barh(at, np.nan_to_num(values), height=0.74, color=colours, gid=name)
    known = np.isfinite(low) & np.isfinite(high)
    ax.hlines(at[known], low[known], high[known], color=INK, linewidth=0.6, gid=f"{name} interval")
    absent = ~np.isfinite(values)
    ax.plot(np.zeros(absent.sum()), at[absent], "x", color=GREY, markersize=2.6, markeredgewidth=0.6, gid="undefined")
    ax.axvline(0, color=INK, linewidth=0.6)
    ax.hlines(np.arange(1, len(rows)), -limit, limit, color="#f0f0f0", linewidth=0.4, zorder=0)
    ax.set(xlim=(-limit, limit), ylim=(len(rows), 0))
    end = float(f"{0.6 * limit:.1g}")
    ax.set_xticks([-end, 0, end], [f"{value:g}".replace("-", "−") for value in (-end, 0, end)])
    ax.tick_params(axis="x", labelsize=_TYPE, length=2, pad=2)
    ax.spines[["left", "right", "top"]].set_visible(False)


def _legend(fig: Figure, causal: bool, *, absent: bool) -> None:
    parts = {"in the codebook's expression": BLUE, "not in it": "#b5b5b5"}
    if causal:
        parts["causal: the face drawn again without the row's Action Units"] = ORANGE
    handles: list[Any] = [Patch(color=colour, label=name) for name, colour in parts.items()]
    if absent:
        handles.append(Line2D([], [], color=GREY, marker="x", markersize=3, linestyle="none", label="no value"))
    fig.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.01, 0.0), ncols=4, frameon=False,
               fontsize=_TYPE + 0.3, handlelength=1.2, columnspacing=1.4)  # fmt: skip
