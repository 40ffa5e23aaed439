"""What a section of the page is made of: text, lists, figures with their words, tables, key figures."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from xfer.report.canvas import STYLE, decimal

_SCREEN = 115
"""CSS pixels per printed inch: 8 pt type is 13 px on a screen."""
_LARGEST = 16383
"""Pixels of a side of a WebP."""


@dataclass(frozen=True)
class Text:
    """A paragraph; `tone` is "" or "note" for what a reader must not overlook."""

    kind: ClassVar[str] = "text"
    text: str
    tone: str = ""


@dataclass(frozen=True)
class Items:
    """A list: a bold lead and its sentence each; the lead may be empty."""

    kind: ClassVar[str] = "items"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class KeyFigures:
    """Numbers to see first: (value, what it is)."""

    kind: ClassVar[str] = "key_figures"
    figures: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, its size in CSS px and the text for those who do not see it."""

    uri: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class Live:
    """What a script of the page makes of a figure; where no script runs, and in print, its pictures stand alone.

    Attributes
    ----------
    kind : str
        The script's name for it.
    facts : mapping
        What the script is told: plain numbers and text, no NaN.
    """

    kind: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Plot:
    """One numbered figure of one or more pictures.

    Attributes
    ----------
    title, reading, limit : str
        What is shown, how to read it, what it cannot say.
    live : Live, optional
    number : int
        Set by the page.
    """

    kind: ClassVar[str] = "plot"
    pictures: Sequence[Picture]
    title: str
    reading: str
    limit: str
    live: Live | None = None
    number: int = 0


@dataclass(frozen=True)
class Cell:
    """A table cell that is more than text: `mark` refers to a note under the table, `style` is a class of the page."""

    text: str
    mark: str = ""
    style: str = ""


@dataclass(frozen=True)
class Table:
    """A numbered table; the first cell of each row is its head.

    Attributes
    ----------
    title : str
    head : sequence of str
    rows, foot : sequences of rows of str or Cell
        `foot` rows are set apart (means, chance).
    notes : mapping of mark to text
    folded : bool
        Shown on request, for what repeats a figure.
    number : int
        Set by the page.
    """

    kind: ClassVar[str] = "table"
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    foot: Sequence[Sequence[str | Cell]] = ()
    notes: Mapping[str, str] | None = None
    folded: bool = False
    number: int = 0

    def column_style(self, column: int) -> str:
        """The class of a column's head: that of numbers where it has some, or none."""
        styles = {cell.style for row in self.rows if isinstance(cell := row[column], Cell)}
        return "number" if styles & {"number", "stacked", "undefined"} else ""


Block = Text | Items | KeyFigures | Plot | Table


@dataclass(frozen=True)
class Section:
    """A part of the page with its own entry in the table of contents."""

    id: str
    title: str
    blocks: Sequence[Block]


_MOST_DIGITS = 9


def number(value: float, digits: int = 3, mark: str = "") -> Cell:
    """A number for a table; NaN is the word 'undefined'.

    >>> number(0.26891).text, number(float("nan")).text
    ('0.269', 'undefined')
    """
    if not np.isfinite(value):
        return Cell("undefined", mark, "undefined")
    return Cell(decimal(value, digits), mark, "number")


def interval(low: float, high: float, digits: int = 3, mark: str = "") -> Cell:
    """The two ends of an interval; without them the word 'none'.

    >>> interval(-0.1234, 0.5).text, interval(0.0004, 0.01).text, interval(float("nan"), 0.5).text
    ('−0.123 to 0.500', '0.0004 to 0.010', 'none')
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        return Cell("none", mark, "undefined")
    return Cell(f"{end(low, digits)} to {end(high, digits)}", mark, "number")


def end(value: float, digits: int = 3) -> str:
    """An end of an interval, with so many decimals or as many as show its side of 0.

    >>> end(0.1234), end(-0.00004), end(0.0), end(1e-12)
    ('0.123', '−0.00004', '0.000', '0.000000001')
    """
    while value and digits < _MOST_DIGITS and not round(value, digits):
        digits += 1
    if value and not round(value, digits):
        value = float(np.copysign(10.0**-digits, value))
    return decimal(value, digits)


def with_interval(value: float, low: float, high: float, mark: str = "") -> Cell:
    """A number with the two ends of its interval behind it, or alone where there are none.

    >>> with_interval(0.2, -0.1234, 0.5).text.split(), with_interval(0.2, float("nan"), 0.5).text
    (['0.200', '(−0.123', 'to', '0.500)'], '0.200 (none)')
    """
    if not np.isfinite(value):
        return number(value, 3, mark)
    return behind(number(value).text, interval(low, high).text, mark)


def behind(text: str, more: str, mark: str = "") -> Cell:
    r"""A number with something in brackets behind it, below it where the table is narrow.

    >>> behind("2 of 3", "0.041").text
    '2\xa0of\xa03 (0.041)'
    """
    first, second = (part.replace(" ", "\N{NO-BREAK SPACE}") for part in (text, more))
    return Cell(f"{first} ({second})", mark, "stacked")


def probability(value: float, mark: str = "") -> Cell:
    """A p- or q-value to three digits, or that it is smaller than they can say.

    >>> probability(0.0412).text, probability(0.0004).text, probability(float("nan")).text
    ('0.041', '< 0.001', 'undefined')
    """
    if np.isfinite(value) and value < 0.0005:
        return Cell("< 0.001", mark, "number")
    return number(value, 3, mark)


def vector(fig: Figure, alt: str) -> Picture:
    """A figure as SVG: for lines and cells."""
    return _picture(fig, alt, "svg", "image/svg+xml", 72, metadata={"Date": None})


def raster(fig: Figure, alt: str, dpi: int = 180) -> Picture:
    """A figure of heatmaps, in pixels: a WebP, which looks the same and is a fifth of a PNG; too large ones as PNG."""
    if max(fig.get_size_inches()) * dpi > _LARGEST:
        return _picture(fig, alt, "png", "image/png", dpi, metadata={"Software": None})
    return _picture(fig, alt, "webp", "image/webp", dpi, pil_kwargs={"quality": 92})


def _picture(fig: Figure, alt: str, form: str, mime: str, dpi: int, **how: Any) -> Picture:
    held = io.BytesIO()
    with mpl.rc_context(STYLE):
        fig.savefig(held, format=form, dpi=dpi, **how)
    width, height = fig.get_size_inches() * _SCREEN
    data = base64.b64encode(held.getvalue()).decode("ascii")
    return Picture(f"data:{mime};base64,{data}", round(width), round(height), alt)
