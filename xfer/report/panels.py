"""What figures of maps are made of: a sheet in inches, one map in its box with a face beneath, outlines, the legend."""

from collections.abc import Sequence

import numpy as np
from contourpy import LineType, contour_generator
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.ndimage import gaussian_filter

from xfer.geometry import FEATURES, OUTLINE
from xfer.report import canvas
from xfer.report.canvas import GREY, HEAT, ORANGE, spoken

Box = tuple[float, float, float, float]
"""Left, top, width and height in inches."""

_BOLD = 9.2
"""The size of plain type that is as wide as bold 8 pt."""
_DIM = 0.62
"""How bright a white face is beneath the lowest value of a map."""
_RELIEF, _FEATURE = 0.9, 0.03
"""How strongly features stand out from their surroundings, and the size of these as a share of the canvas."""


def outline(mask: np.ndarray) -> list[np.ndarray]:
    """The closed lines around the pixels of a mask.

    Parameters
    ----------
    mask : array (y, x) in [0, 1]
        Pixels of at least 0.5 belong to the region.

    Returns
    -------
    list of arrays (point, 2)
        (x, y) in px, the centre of the first pixel at (0, 0); a region at the border is closed there.

    Examples
    --------
    >>> mask = np.zeros((6, 8))
    >>> mask[2:4, 3:6] = 1
    >>> line, = outline(mask)
    >>> line.min(axis=0).tolist(), line.max(axis=0).tolist()
    ([2.5, 1.5], [5.5, 3.5])
    """
    padded = np.pad(np.asarray(mask, dtype=float), 1)
    return [np.asarray(line) - 1.0 for line in contour_generator(z=padded, line_type=LineType.Separate).lines(0.5)]


def blend(heatmap: np.ndarray, limits: tuple[float, float], face: np.ndarray) -> np.ndarray:
    """A heatmap in colour over a dim grey face: its tones show where the map is low, its features everywhere.

    Parameters
    ----------
    heatmap : array (y, x)
        NaN is grey.
    limits : (float, float)
        Values of the darkest and the brightest colour.
    face : array (y, x, 4)
        Red, green, blue, alpha in [0, 1].

    Returns
    -------
    array (y, x, 3) in [0, 1]

    Examples
    --------
    >>> white = np.ones((1, 2, 4))
    >>> blend(np.array([[0.0, 1.0]]), (0.0, 1.0), white).round(2).tolist()
    [[[0.62, 0.62, 0.63], [0.99, 0.99, 0.75]]]
    """
    low, high = limits
    share = np.clip((np.nan_to_num(heatmap, nan=low) - low) / (high - low if high > low else 1.0), 0, 1)[..., None]
    grey = np.nan_to_num(face[..., :3] @ (0.299, 0.587, 0.114) * face[..., 3])
    relief = face[..., 3] * (grey - gaussian_filter(grey, _FEATURE * face.shape[0], mode="nearest"))
    mixed = HEAT(share[..., 0])[..., :3] + _DIM * (1 - share) * grey[..., None] + _RELIEF * relief[..., None]
    return np.where(np.isfinite(heatmap)[..., None], np.clip(mixed, 0, 1), 0.55)


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one invisible axes whose unit is the inch, the origin at the top left."""
    fig = canvas.figure(width, height)
    ax = canvas.axes(fig, 0, 0, width, height)
    ax.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    ax.axis("off")
    return fig, ax


def limits_of(values: np.ndarray) -> tuple[float, float]:
    """The lowest and highest finite value; (0, 1) where there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def draw_map(
    ax: Axes,
    heatmap: np.ndarray,
    box: Box,
    limits: tuple[float, float] | None = None,
    face: np.ndarray | None = None,
    absent: str = "no map",
) -> bool:
    """One map in a box, over a face where one is given; `absent` where it is NaN everywhere. Whether there is a map."""
    left, top, width, height = box
    if not np.isfinite(heatmap).any():
        ax.add_patch(
            Rectangle((left, top), width, height, facecolor="#f2f2f2", edgecolor="#9a9a9a", hatch="////", lw=0)
        )
        ax.text(left + width / 2, top + height / 2, absent, ha="center", va="center", style="italic",
                size=min(8.0, width * 13), bbox={"facecolor": "#f2f2f2", "edgecolor": "none", "pad": 1})  # fmt: skip
        return False
    low, high = limits or limits_of(heatmap)
    image = ax.imshow(
        np.ma.masked_invalid(heatmap) if face is None else blend(heatmap, (low, high), face),
        cmap=HEAT.with_extremes(bad="#8c8c8c"),
        norm=Normalize(low, high if high > low else low + 1.0),
        extent=(left, left + width, top + height, top),
        aspect="auto",
        interpolation="bilinear",
    )
    image.set_gid("heatmap")
    return True


def draw_lines(
    ax: Axes,
    lines: Sequence[np.ndarray],
    box: Box,
    shape: Sequence[int],
    *,
    style: str | tuple[int, tuple[int, ...]] = "solid",
    linewidth: float = 0.9,
    colour: str = "white",
) -> None:
    """Draw lines given in px of a canvas of `shape` inside a box, dark on either side."""
    if not lines:
        return
    left, top, width, height = box
    scale, corner = np.array([width / shape[1], height / shape[0]]), np.array([left, top])
    drawn = LineCollection(
        [corner + (line + 0.5) * scale for line in lines], colors=colour, linestyles=[style], linewidths=linewidth
    )
    drawn.set_path_effects([patheffects.withStroke(linewidth=linewidth + 1.0, foreground="black")])
    ax.add_collection(drawn, autolim=False)


def draw_face(ax: Axes, points: np.ndarray, box: Box, shape: Sequence[int]) -> None:
    """The features of a face, and its outline where a frame's points tell it, as thin lines inside a box.

    Parameters
    ----------
    points : array (point, 2)
        The 68 landmarks, or a frame's 89 points, (x, y) in px of a canvas of `shape`.
    """
    left, top, width, height = box
    placed = (points + 0.5) * [width / shape[1], height / shape[0]] + [left, top]
    whole = (*OUTLINE, OUTLINE[0]) if len(points) > max(OUTLINE) else tuple(range(17))
    lines = [placed[list(line)] for line in (whole, *FEATURES)]
    ax.add_collection(LineCollection(lines, colors=GREY, linewidths=0.7, gid="face"), autolim=False)


def draw_doubt(ax: Axes, box: Box, linewidth: float = 1.6) -> None:
    """The dashed orange frame of a map that explains nothing."""
    inset = linewidth / 144
    left, top, width, height = box
    frame = Rectangle(
        (left + inset, top + inset), width - 2 * inset, height - 2 * inset,
        fill=False, edgecolor=ORANGE, linewidth=linewidth, linestyle=(0, (3, 1.5)),
    )  # fmt: skip
    ax.add_patch(frame).set_gid("doubt")


def wrapped_heads(expressions: Sequence[str], width: float) -> tuple[list[str], float, float]:
    """Expressions as bold heads of columns of a width in inches; their size in points; inches they take."""
    heads = [canvas.wrapped(spoken(e), width, _BOLD) for e in expressions]
    longest = canvas.text_width("\n".join(heads).split("\n"), _BOLD) - 0.16
    return heads, min(8.0, 8.0 * width / longest), 0.14 + 0.13 * max(head.count("\n") + 1 for head in heads)


def legend(ax: Axes, left: float, top: float, limits: tuple[float, float] | None, doubt: bool = False) -> None:
    """The colour scale, the mask's outline and, where one is drawn, the frame of a doubtful map."""
    bar = (left, left + 0.8, top + 0.13, top)
    ax.imshow(np.linspace(0, 1, 256)[None], cmap=HEAT, extent=bar, aspect="auto")
    ends = (
        "lowest to highest value of each map"
        if limits is None
        else f"{limits[0]:.3g} to {limits[1]:.3g}, one scale for all"
    )
    ax.text(left + 0.87, top + 0.065, ends, va="center", size=7)
    start = left + 0.87 + canvas.text_width([ends], 7) + 0.1
    ax.add_patch(Rectangle((start, top), 0.28, 0.13, facecolor=HEAT(0.45), edgecolor="none"))
    draw_lines(ax, [np.array([[0.0, 0.0], [1.0, 0.0]])], (start - 0.14, top - 0.5 * 0.13 + 0.065, 0.28, 0.13), (1, 1))
    ax.text(start + 0.35, top + 0.065, "outline of the mask", va="center", size=7)
    if doubt:
        start += 0.35 + canvas.text_width(["outline of the mask"], 7) + 0.1
        draw_doubt(ax, (start, top, 0.28, 0.13), 1.2)
        ax.text(start + 0.35, top + 0.065, "explains nothing", va="center", size=7)
