"""What all figures share: type, colours, labels that fit, axes placed in inches, annotated cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import FT2Font
from matplotlib.patches import Rectangle

STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#444444",
    "axes.facecolor": "white",
    "figure.facecolor": "white",
    "text.color": "#1a1a1a",
    "text.parse_math": False,
    "text.usetex": False,
    "axes.labelcolor": "#1a1a1a",
    "xtick.color": "#1a1a1a",
    "ytick.color": "#1a1a1a",
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "svg.hashsalt": "xfer",
    "svg.fonttype": "path",
    "hatch.linewidth": 0.5,
    "hatch.color": "#9a9a9a",
}
"""Settings every figure is drawn under; 8 pt type at the printed size, labels never read as formulas."""

WIDTH = 7.2
"""Inches: the width of a printed page's text (183 mm)."""

INK, GREY, BLUE, ORANGE = "#1a1a1a", "#8c8c8c", "#0072b2", "#d55e00"
"""Text, what is secondary, and two colours every kind of colour vision tells apart (Okabe and Ito)."""

CLUSTERS = (BLUE, ORANGE, "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#6a3d9a", "#8b5a2b")
"""Okabe's and Ito's colours and two more, for groups that are told apart; more groups start anew."""

HEAT = mpl.colormaps["magma"]
"""Perceptually uniform, dark to bright: for heatmaps."""

SHADES = ListedColormap(mpl.colormaps["magma_r"](np.linspace(0.02, 0.82, 256)), "xfer_shades")
"""The same scale from pale to dark without its black end: for numbers in cells."""

_PLAIN = "#e2e2e2"
"""Of cells without a colour of their own."""

DIVERGING = mpl.colormaps["PuOr_r"]
"""For values on both sides of zero."""


@dataclass(frozen=True)
class Colours:
    """A colour map and the values at its ends."""

    colormap: Colormap
    norm: Normalize

    def __call__(self, value: float) -> tuple[float, float, float, float]:
        """The colour (r, g, b, a) of a value."""
        return self.colormap(float(self.norm(value)))


def colours(*arrays: Any, low: float | None = None, high: float | None = None) -> Colours:
    """Colours that cover all finite values; diverging around 0 where values have both signs and no end is set.

    Parameters
    ----------
    *arrays : arrays of any shape
    low, high : float, optional
        Ends of the scale instead of the smallest and largest value.
    """
    flat = np.concatenate([np.ravel(np.asarray(a, dtype=float)) for a in arrays])
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        flat = np.array([0.0, 1.0])
    if low is None and high is None and flat.min() < 0 < flat.max():
        end = float(np.abs(flat).max())
        return Colours(DIVERGING, Normalize(-end, end))
    start = float(flat.min()) if low is None else low
    end = float(flat.max()) if high is None else high
    return Colours(SHADES, Normalize(start, end if end > start else start + 1.0))


def ink_on(colour: Sequence[float]) -> str:
    """Black or white, whichever has more contrast on a colour (WCAG relative luminance).

    >>> ink_on((1, 1, 1)), ink_on((0, 0, 0))
    ('#1a1a1a', 'white')
    """
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = float(np.dot((0.2126, 0.7152, 0.0722), linear))
    return INK if luminance > 0.19 else "white"


def short_labels(names: Sequence[str], length: int = 26) -> list[str]:
    r"""Names cut in the middle to at most `length` characters, still told apart; what cannot be printed is \ufffd.

    >>> short_labels(["resnet50", "timm:vit_base_patch16_224.augreg"], 16)
    ['resnet50', 'timm:vit….augreg']
    """
    made: list[str] = []
    for name in names:
        clean = "".join(c if _font().get_char_index(ord(c)) and c.isprintable() else "\ufffd" for c in str(name))
        label, copies = _cut(clean or "(no name)", length), 1
        while label in made:
            copies += 1
            mark = f" ({copies})"
            label = _cut(clean, length - len(mark)) + mark
        made.append(label)
    return made


def _cut(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"


def spoken(expression: str) -> str:
    """An expression as a reader sees it.

    >>> spoken("happily_surprised")
    'happily surprised'
    """
    return str(expression).replace("_", " ")


@cache
def _font() -> FT2Font:
    return get_font(findfont(FontProperties(family=STYLE["font.family"])))


def text_width(labels: Sequence[str], size: float = 8.0) -> float:
    """Inches that the longest of some labels takes in `size` points, with a little room on either side."""
    font, widths = _font(), [0.0]
    for label in labels:
        font.set_size(size, 72)
        font.set_text(label)
        widths.append(font.get_width_height()[0] / 64 / 72)
    return max(widths) + 0.16


def wrapped(text: str, width: float, size: float = 8.0) -> str:
    """Text broken between words so that lines take at most `width` inches; a longer word stands alone."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width([f"{lines[-1]} {word}"], size) - 0.16 <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, known to no pyplot state."""
    return Figure(figsize=(width, height))


def axes(fig: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes whose box is given in inches from the figure's top left corner."""
    whole_width, whole_height = fig.get_size_inches()
    bottom = whole_height - top - height
    return fig.add_axes((left / whole_width, bottom / whole_height, width / whole_width, height / whole_height))


def plain_text(ax: Axes) -> None:
    """Make sure that no tick label is ever read as a formula, also when it is drawn later."""
    for label in (*ax.get_xticklabels(), *ax.get_yticklabels()):
        label.set_parse_math(False)


def cells(
    ax: Axes,
    values: np.ndarray,
    shade: Colours,
    *,
    at: tuple[float, float] = (0.0, 0.0),
    digits: int = 3,
    size: float = 7.5,
    bold: np.ndarray | None = None,
    annotate: bool = True,
    marks: np.ndarray | None = None,
    plain: np.ndarray | None = None,
) -> None:
    """Draw values (row, column) as annotated cells of side 1; NaN is hatched and says 'undefined'.

    Parameters
    ----------
    at : (float, float)
        Column and row at which the block's top left corner stands.
    bold : bool array (row, column), optional
        Cells to print in bold.
    marks : array (row, column) of str, optional
        Printed behind a value.
    plain : bool array (row, column), optional
        Cells drawn grey, whatever their value.
    """
    left, top = at
    rows, columns = values.shape
    edges = left + np.arange(columns + 1), top + np.arange(rows + 1)
    grey = np.zeros(values.shape, dtype=bool) if plain is None else plain
    shown = np.ma.masked_array(values, ~np.isfinite(values) | grey)
    ax.pcolormesh(*edges, shown, cmap=shade.colormap, norm=shade.norm, edgecolors="white", linewidth=0.8)
    for (row, column), value in np.ndenumerate(values):
        centre = left + column + 0.5, top + row + 0.5
        if not np.isfinite(value):
            undefined_cell(ax, left + column, top + row, "undefined" if annotate else "", size)
            continue
        if grey[row, column]:
            ax.add_patch(Rectangle((left + column, top + row), 1, 1, facecolor=_PLAIN, edgecolor="white", gid="plain"))
        if annotate:
            weight = "bold" if bold is not None and bold[row, column] else "normal"
            ax.text(
                *centre,
                decimal(value, digits) + ("" if marks is None else str(marks[row, column])),
                ha="center",
                va="center",
                size=size,
                weight=weight,
                color=INK if grey[row, column] else ink_on(shade(value)),
            )


def undefined_cell(ax: Axes, left: float, top: float, label: str, size: float) -> None:
    """A hatched cell of side 1 for what has no number."""
    ax.add_patch(Rectangle((left, top), 1, 1, facecolor="#f2f2f2", edgecolor="#9a9a9a", hatch="/////", linewidth=0))
    if label:
        ax.text(left + 0.5, top + 0.5, label, ha="center", va="center", size=size * 0.78, color=INK, style="italic",
                bbox={"facecolor": "#f2f2f2", "edgecolor": "none", "pad": 0.6})  # fmt: skip


def decimal(value: float, digits: int) -> str:
    """A number with a minus sign that is one, and none before a zero.

    >>> decimal(-0.25, 1), decimal(-0.001, 1)
    ('−0.2', '0.0')
    """
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def finite_mean(values: Any) -> float:
    """The mean of what is finite; NaN where nothing is."""
    array = np.asarray(values, dtype=float)
    kept = array[np.isfinite(array)]
    return float(kept.mean()) if kept.size else float("nan")


def bare(ax: Axes) -> None:
    """Hide spines and tick marks; labels stay."""
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, pad=3)
