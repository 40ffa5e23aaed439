"""A figure of single faces: image by method by class."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from xfer.explainers import EXPLAINERS
from xfer.report import canvas
from xfer.report.canvas import DIVERGING, HEAT, STYLE, WIDTH, spoken
from xfer.report.panels import Box, sheet, wrapped_heads
from xfer.study.photographs import Explanation

_GAP, _NOTE, _FOOTER = 0.06, 0.16, 0.36
_SMALL, _LONGEST = 5.5, 24
"""Points and letters of a face's name; a longer one loses its middle."""
_STRENGTH = 0.62
"""How much of a map's strongest colour covers the face."""


@mpl.rc_context(STYLE)
def explanation_grid(shown: Sequence[Explanation], names: Sequence[str] = ()) -> Figure:
    """Every face beside its maps: a row for each face and class, a column for each method.

    A signed map is orange where it speaks for the class and purple where it speaks against it, the stronger the nearer
    to its largest absolute value; one without a sign is bright where it is high.

    Parameters
    ----------
    shown : sequence of Explanation
        All of the same methods.
    names : sequence of str
        What the faces are called.

    Returns
    -------
    Figure
    """
    methods = [str(name) for name in shown[0].maps.coords["explainer"].values]
    targets = [spoken(str(t)) for each in shown for t in each.maps.coords["target"].values]
    names = [name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[-_LONGEST // 2 :]}" for name in names]
    left = max(canvas.text_width(targets), canvas.text_width(names, _SMALL) if names else 0.0) + 0.1
    side = min((WIDTH - left) / (len(methods) + 1) - _GAP, 1.1)
    heads, size, head = wrapped_heads(["face", *methods], side)
    rows = [(each, i) for each in shown for i in range(each.maps.sizes["target"])]
    step = side + _GAP
    bottom = head + (step + _NOTE) * len(rows)
    fig, ax = sheet(left + step * (len(methods) + 1), bottom + _FOOTER)
    for column, text in enumerate(heads):
        middle = left + column * step + side / 2
        ax.text(middle, head - 0.07, text, ha="center", va="bottom", weight="bold", size=size)
    for row, (each, target) in enumerate(rows):
        top = head + row * (step + _NOTE)
        if target == 0:
            _face(ax, each.face, (left, top, side, side))
            place = shown.index(each)
            said = f"{spoken(each.predicted)} {each.probability:.2f}"
            ax.text(left + side / 2, top + side + 0.03, said, ha="center", va="top", size=6.5)
            if names:
                ax.text(
                    left - 0.08,
                    top + side - 0.05,
                    names[place],
                    ha="right",
                    va="bottom",
                    size=_SMALL,
                    color=canvas.GREY,
                )
        ax.text(
            left - 0.08, top + side / 2, spoken(str(each.maps.coords["target"].values[target])), ha="right", va="center"
        )
        for column, method in enumerate(methods):
            box = (left + (column + 1) * step, top, side, side)
            _map(ax, each.maps.values[column, target], each.face, box, EXPLAINERS[method].signed)
    _legend(ax, left, bottom + 0.1)
    return fig


def _face(ax: Axes, face: np.ndarray, box: Box) -> None:
    left, top, width, height = box
    ax.imshow(face, extent=(left, left + width, top + height, top), aspect="auto", interpolation="bilinear")


def _map(ax: Axes, values: np.ndarray, face: np.ndarray, box: Box, signed: bool) -> None:
    """A map in colour over the grey face; grey alone where it is not defined."""
    grey = np.repeat((face @ (0.299, 0.587, 0.114) / 255)[..., None], 3, axis=-1)
    if np.isfinite(values).all() and np.ptp(values):
        large = np.asarray(
            Image.fromarray(values.astype(np.float32)).resize(face.shape[1::-1], Image.Resampling.BILINEAR)
        )
        most = np.abs(values).max()
        norm = Normalize(-most, most) if signed else Normalize(values.min(), values.max())
        strength = np.abs(large) / most if signed else norm(large)
        colour = (DIVERGING if signed else HEAT)(norm(large))[..., :3]
        share = _STRENGTH * np.sqrt(np.clip(np.asarray(strength), 0, 1))[..., None]
        grey = (1 - share) * grey + share * colour
    _face(ax, np.clip(grey, 0, 1), box)


def _legend(ax: Axes, left: float, top: float) -> None:
    for start, colormap, text in (
        (left, DIVERGING, "against the class, and for it"),
        (left + 2.6, HEAT, "low to high, no sign"),
    ):
        ax.imshow(
            np.linspace(0, 1, 256)[None], cmap=colormap, extent=(start, start + 0.8, top + 0.13, top), aspect="auto"
        )
        ax.text(start + 0.87, top + 0.065, text, va="center", size=7)
