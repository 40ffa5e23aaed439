"""Figures of families of networks: dendrograms, alone and beside the correlations they come from."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xfer.clustering import Tree
from xfer.report import canvas
from xfer.report.canvas import BLUE, GREY, ORANGE, STYLE, short_labels
from xfer.report.matrices import colour_bar, draw_correlations, matrix_cell

_TREE, _TOP, _BOTTOM = 1.7, 0.3, 0.42
"""Inches: the width of a tree, the space for a title above, for the axis below."""


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
def family(tree: Tree, correlations: pd.DataFrame, title: str = "", *, low: float | None = None) -> Figure:
    """A dendrogram and, row by row beside it, the correlation matrix in the order of its leaves.

    Parameters
    ----------
    tree : Tree
    correlations : DataFrame, names x the same names
    title : str
        The cophenetic correlation is added to it.
    low : float, optional
        The lower end of the colour scale, to compare several figures.
    """
    names = short_labels(tree.leaves)
    cell, label = matrix_cell(len(names)), canvas.text_width(names)
    side = cell * len(names)
    left = 0.15 + _TREE + label
    fig = canvas.figure(left + side + 0.6, _TOP + side + max(_BOTTOM, label))
    trunk = canvas.axes(fig, 0.15, _TOP, _TREE, side)
    draw_tree(trunk, tree, names)
    trunk.set_title(_title(tree, title))
    ax = canvas.axes(fig, left, _TOP, side, side)
    ordered = correlations.loc[list(tree.leaves), list(tree.leaves)]
    draw_correlations(ax, ordered.to_numpy(dtype=float), low)
    ax.set_xticks(np.arange(len(names)) + 0.5, names, rotation=90)
    ax.set_yticks([])
    canvas.bare(ax)
    colour_bar(fig, ax, left + side + 0.1, _TOP, side)
    return fig


def _title(tree: Tree, title: str) -> str:
    fit = f"cophenetic r = {tree.cophenetic:.2f}" if np.isfinite(tree.cophenetic) else "cophenetic r undefined"
    return f"{title} ({fit})" if title else fit


def draw_tree(ax: Axes, tree: Tree, labels: Sequence[str]) -> None:
    """The branches of a tree on axes of which one unit of y is one leaf; `labels` in the order of its leaves."""
    count = len(tree.names)
    place = {tree.names.index(name): row + 0.5 for row, name in enumerate(tree.leaves)}
    height = dict.fromkeys(range(count), 0.0)
    colour = _branch_colours(tree)
    for step, (first, second, distance, _) in enumerate(tree.linkage):
        one, other, node = int(first), int(second), count + step
        corners = [height[one], distance, distance, height[other]]
        rows = [place[one], place[one], place[other], place[other]]
        ax.plot(corners, rows, color=colour[node], linewidth=1.3, solid_joinstyle="miter", gid=f"merge-{step}")
        place[node], height[node] = (place[one] + place[other]) / 2, distance
    top = max(height.values()) or 1.0
    if count > 2:
        ax.axvline(
            (tree.linkage[-1, 2] + tree.linkage[-2, 2]) / 2, color=GREY, linewidth=0.7, linestyle=(0, (3, 2)), gid="cut"
        )
    ax.set(xlim=(top * 1.06, 0), ylim=(count, 0), xlabel="distance 1 − r")
    ax.yaxis.tick_right()
    ax.set_yticks(np.arange(count) + 0.5, labels)
    for label, name in zip(ax.get_yticklabels(), tree.leaves, strict=True):
        label.set_color(colour[tree.names.index(name)])
    ax.spines[["left", "right", "top"]].set_visible(False)
    ax.tick_params(axis="y", length=0, pad=4)
    ax.set_xticks([t for t in MaxNLocator(4).tick_values(0, top) if 0 <= t <= top])


def _branch_colours(tree: Tree) -> dict[int, str]:
    """A colour for every leaf and merge: blue for the branch drawn on top, orange for the other, grey for the root."""
    count = len(tree.names)
    top, colour = tree.names.index(tree.leaves[0]), {count + len(tree.linkage) - 1: GREY}
    for branch in tree.linkage[-1, :2].astype(int).tolist():
        nodes = _below(tree, branch)
        colour |= dict.fromkeys(nodes, BLUE if top in nodes else ORANGE)
    return colour


def _below(tree: Tree, node: int) -> list[int]:
    """A node and all under it."""
    count, nodes = len(tree.names), [node]
    for each in nodes:
        if each >= count:
            nodes += tree.linkage[each - count, :2].astype(int).tolist()
    return nodes
