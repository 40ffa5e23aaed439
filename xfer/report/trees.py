"""Figures of families of networks: dendrograms, alone and beside the correlations they come from."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xfer import clustering
from xfer.clustering import Tree
from xfer.report import canvas
from xfer.report.canvas import CLUSTERS, GREY, INK, STYLE, WIDTH, short_labels
from xfer.report.matrices import colour_bar, draw_correlations, matrix_cell

_TREE, _TOP, _BOTTOM = 1.7, 0.3, 0.42
"""Inches: the width of a tree, the space for a title above, for the axis below."""

FAINT = "#c4c4c4"
"""Branches that hardly any draw has."""


@mpl.rc_context(STYLE)
def dendrogram(tree: Tree, title: str = "") -> Figure:
    """A dendrogram with its root on the left; the two branches of the last merge in two colours.

    Parameters
    ----------
    tree : Tree
        Drawn in the order of ``tree.leaves``, top to bottom.
    title : str
        The cophenetic correlation is added to it.
    """
    cell = 0.22
    names = short_labels(tree.leaves)
    label, height = canvas.text_width(names), cell * len(names)
    fig = canvas.figure(0.15 + 2.6 + label, _TOP + height + _BOTTOM)
    ax = canvas.axes(fig, 0.15, _TOP, 2.6, height)
    draw_tree(ax, tree, names)
    ax.set_title(_title(tree, title))
    return fig


@mpl.rc_context(STYLE)
def supported(trees: Sequence[tuple[str, Tree, np.ndarray]], *, least: float = 0.5) -> Figure:
    """Dendrograms side by side with the support of every clade at its join; clades with less are grey.

    Parameters
    ----------
    trees : sequence of (title, Tree, array (join,))
        The support of every join in [0, 1], in the order of the tree's linkage; NaN is not printed.
    least : float
        The support below which a clade is grey.
    """
    names = [short_labels(tree.leaves, 20) for _, tree, _ in trees]
    label = canvas.text_width([name for some in names for name in some])
    across = min(len(trees), 1 if label > 1.6 else 2)
    width = min(2.6, (WIDTH - 0.15 * across) / across - label)
    cell, down = 0.215, -(-len(trees) // across)
    tall = [max(len(some) for some in names[row * across : (row + 1) * across]) * cell for row in range(down)]
    fig = canvas.figure(across * (0.15 + width + label), sum(tall) + down * (_TOP + _BOTTOM + 0.08))
    top = 0.0
    for place, ((title, tree, support), some) in enumerate(zip(trees, names, strict=True)):
        row, column = divmod(place, across)
        top = top + tall[row - 1] + _TOP + _BOTTOM + 0.08 if row and not column else top
        ax = canvas.axes(fig, 0.15 + column * (0.15 + width + label), top + _TOP, width, cell * len(some))
        draw_tree(ax, tree, some, support=np.asarray(support, dtype=float), least=least)
        ax.set_title(title)
    return fig


@mpl.rc_context(STYLE)
def family(
    tree: Tree,
    correlations: pd.DataFrame,
    title: str = "",
    *,
    low: float | None = None,
    cut: int = 2,
    support: np.ndarray | None = None,
    measure: str = "r",
    numbers: bool = True,
) -> Figure:
    """A dendrogram and, row by row beside it, the correlation matrix in the order of its leaves.

    Parameters
    ----------
    tree : Tree
    correlations : DataFrame, names x the same names
    title : str
        The cophenetic correlation is added to it.
    low : float, optional
        The lower end of the colour scale, to compare several figures.
    cut : int
        Into how many clusters, each in a colour.
    support : array (join,), optional
        Printed on the joins.
    measure : str
        What the correlations are, as on an axis.
    numbers : bool
        Whether cells carry their correlation, if there are not too many.
    """
    names = short_labels(tree.leaves)
    cell, label = matrix_cell(len(names)), canvas.text_width(names)
    side = cell * len(names)
    left = 0.15 + _TREE + label
    fig = canvas.figure(left + side + 0.6, _TOP + side + max(_BOTTOM, label))
    trunk = canvas.axes(fig, 0.15, _TOP, _TREE, side)
    draw_tree(trunk, tree, names, support=support, cut=cut)
    trunk.set_title(_title(tree, title))
    trunk.set_xlabel(f"distance 1 − {measure}")
    ax = canvas.axes(fig, left, _TOP, side, side)
    ordered = correlations.loc[list(tree.leaves), list(tree.leaves)]
    draw_correlations(ax, ordered.to_numpy(dtype=float), low, numbers=numbers)
    ax.set_xticks(np.arange(len(names)) + 0.5, names, rotation=90)
    ax.set_yticks([])
    canvas.bare(ax)
    colour_bar(fig, ax, left + side + 0.1, _TOP, side, measure)
    return fig


def _title(tree: Tree, title: str) -> str:
    fit = f"cophenetic r = {tree.cophenetic:.2f}" if np.isfinite(tree.cophenetic) else "cophenetic r undefined"
    return f"{title} ({fit})" if title else fit


def draw_tree(
    ax: Axes,
    tree: Tree,
    labels: Sequence[str],
    *,
    support: np.ndarray | None = None,
    least: float = 0.5,
    cut: int | None = None,
) -> None:
    """The branches of a tree on axes of which one unit of y is one leaf; `labels` in the order of its leaves.

    With the `support` of its joins, those below `least` are grey, the others black; leaves have the colours of a cut
    into clusters, which is in two without support, and there is none with it, unless `cut` says otherwise.
    """
    count = len(tree.names)
    place = {tree.names.index(name): row + 0.5 for row, name in enumerate(tree.leaves)}
    height = dict.fromkeys(range(count), 0.0)
    clusters = cut or (2 if support is None else 1)
    colour = _branch_colours(tree, min(clusters, count))
    if support is not None:
        leaves = colour if cut else dict.fromkeys(range(count), INK)
        colour = _support_colours(tree, support, least) | {leaf: leaves[leaf] for leaf in range(count)}
    for step, (first, second, distance, _) in enumerate(tree.linkage):
        one, other, node = int(first), int(second), count + step
        corners = [height[one], distance, distance, height[other]]
        rows = [place[one], place[one], place[other], place[other]]
        ax.plot(corners, rows, color=colour[node], linewidth=1.3, solid_joinstyle="miter", gid=f"merge-{step}")
        place[node], height[node] = (place[one] + place[other]) / 2, distance
    top = max(height.values()) or 1.0
    if support is not None:
        _print_support(ax, support, height, place, least)
    if 1 < clusters < count:
        between = tree.linkage[-clusters : len(tree.linkage) - clusters + 2, 2].mean()
        ax.axvline(between, color=GREY, linewidth=0.7, linestyle=(0, (3, 2)), gid="cut")
    ax.set(xlim=(top * 1.06, 0), ylim=(count, 0), xlabel="distance 1 − r")
    ax.yaxis.tick_right()
    ax.set_yticks(np.arange(count) + 0.5, labels)
    for label, name in zip(ax.get_yticklabels(), tree.leaves, strict=True):
        label.set_color(colour[tree.names.index(name)])
    ax.spines[["left", "right", "top"]].set_visible(False)
    ax.tick_params(axis="y", length=0, pad=4)
    ax.set_xticks([t for t in MaxNLocator(4).tick_values(0, top) if 0 <= t <= top])


def _support_colours(tree: Tree, support: np.ndarray, least: float) -> dict[int, str]:
    """Grey for joins with less than the least support, black for the others."""
    count = len(tree.names)
    return {count + step: INK if value >= least else FAINT for step, value in enumerate(support)}


def _print_support(
    ax: Axes, support: np.ndarray, height: dict[int, float], place: dict[int, float], least: float
) -> None:
    """The support of every join but the last, which holds all leaves, in percent on it."""
    count = len(support) + 1
    for step, value in enumerate(support[:-1]):
        if np.isfinite(value):
            ax.text(
                height[count + step], place[count + step], f"{value * 100:.0f}", ha="center", va="center", size=6.2,
                gid="support", color=INK if value >= least else GREY, weight="bold" if value >= least else "normal",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6}, zorder=3,
            )  # fmt: skip


def _branch_colours(tree: Tree, clusters: int) -> dict[int, str]:
    """A colour for every leaf and join: its cluster's, from blue for the one on top; grey for joins of several."""
    count, of = len(tree.names), clustering.cut(tree, clusters)
    numbers = {leaf: {of[name]} for leaf, name in enumerate(tree.names)}
    for step, (first, second) in enumerate(tree.linkage[:, :2].astype(int).tolist()):
        numbers[count + step] = numbers[first] | numbers[second]
    return {
        node: CLUSTERS[(min(held) - 1) % len(CLUSTERS)] if len(held) == 1 else GREY for node, held in numbers.items()
    }
