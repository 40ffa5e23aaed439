"""Figure of correct against incorrect faces: two maps side by side per network and expression."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from xfer.report import canvas
from xfer.report.canvas import ORANGE, STYLE, WIDTH, short_labels
from xfer.report.panels import draw_doubt, draw_lines, draw_map, legend, outline, sheet, wrapped_heads

_PAIR, _GAP, _NOTE, _FOOTER, _LEGEND, _DOUBT = 0.015, 0.09, 0.13, 0.36, 4.4, 6.2
"""Inches between the maps of a pair, between pairs, under a map; of the legend: height, width, width with frames."""


@mpl.rc_context(STYLE)
def outcome_pairs(
    correct: xr.DataArray,
    incorrect: xr.DataArray,
    counts: np.ndarray,
    masks: xr.DataArray,
    *,
    few: int = 0,
    doubts: np.ndarray | None = None,
    face: np.ndarray | None = None,
) -> Figure:
    """Maps of the faces that were recognised (left of each pair) and of those that were not (right), n under each.

    Parameters
    ----------
    correct, incorrect : DataArrays (model, expression, y, x)
        Over the same models and expressions; NaN everywhere where there is no such face.
    counts : array (model, expression, 2)
        Faces behind each map; NaN where it is not known.
    masks : DataArray (expression, y, x) in [0, 1]
    few : int
        Maps of fewer faces have their number in orange.
    doubts : bool array (model, expression), optional
        Pairs that explain nothing; they are framed.
    face : array (y, x, 4) in [0, 1], optional
        A face that shows beneath each map.
    """
    models = short_labels([str(m) for m in correct.coords["model"].values])
    expressions = [str(e) for e in correct.coords["expression"].values]
    left, shape = canvas.text_width(models), correct.shape[-2:]
    width = min((WIDTH - left) / len(expressions) - _GAP, 1.6)
    each = (width - _PAIR) / 2
    height = each * shape[0] / shape[1]
    heads, size, head = wrapped_heads(expressions, width)
    step_x, step_y = width + _GAP, height + _NOTE + 0.05
    head += 0.12
    bottom = head + step_y * len(models)
    doubtful = doubts is not None and bool(doubts.any())
    across = left + max(step_x * len(expressions), _DOUBT if doubtful else _LEGEND)
    fig, ax = sheet(across, bottom + _FOOTER)
    lines = {e: outline(masks.sel(expression=e).values) for e in expressions if e in masks.coords["expression"].values}
    small = min(6.5, each * 14)
    for row, column, which in np.ndindex(len(models), len(expressions), 2):
        heatmap = (correct, incorrect)[which].values[row, column]
        place = left + column * step_x + which * (each + _PAIR), head + row * step_y
        box = (*place, each, height)
        if draw_map(ax, heatmap, box, None, face, absent="none"):
            draw_lines(ax, lines.get(expressions[column], []), box, shape, linewidth=0.5)
        if doubts is not None and doubts[row, column]:
            draw_doubt(ax, box, 1.2)
        n = counts[row, column, which]
        ax.text(place[0] + each / 2, place[1] + height + 0.02, f"{int(n)}" if np.isfinite(n) else "?", ha="center",
                va="top", size=small, color=ORANGE if n < few else canvas.INK,
                weight="bold" if n < few else "normal")  # fmt: skip
    for row, model in enumerate(models):
        ax.text(left - 0.08, head + row * step_y + height / 2, model, ha="right", va="center")
    for column, text in enumerate(heads):
        start = left + column * step_x
        ax.text(start + width / 2, head - 0.19, text, ha="center", va="bottom", weight="bold", size=size)
        for which, word in enumerate(("right", "wrong")):
            middle = start + which * (each + _PAIR) + each / 2
            ax.text(middle, head - 0.05, word, ha="center", va="bottom", size=small)
    legend(ax, left, bottom + 0.1, None, doubtful)
    return fig
