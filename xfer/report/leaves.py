"""What the page's scripts are told of a dendrogram beside its correlations: where leaves and cells stand, and r."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xfer.clustering import Tree
from xfer.report.blocks import number


def panel(name: str, tree: Tree, correlations: pd.DataFrame, drawn: Figure) -> dict[str, Any]:
    """One picture of `trees.family`.

    Parameters
    ----------
    name : str
        The expression.
    tree : Tree
    correlations : DataFrame, names x the same names
    drawn : Figure
        Of `trees.family`, for the same tree.

    Returns
    -------
    dict
        ``name``; ``leaves`` from top to bottom; ``tree`` and ``matrix``: left, top, width and height as shares of the
        picture; ``correlations`` in the order of the leaves, as text.
    """
    order = list(tree.leaves)
    return {
        "name": name,
        "leaves": order,
        "tree": _box(drawn.axes[0]),
        "matrix": _box(drawn.axes[1]),
        "correlations": [[number(r, 2).text for r in line] for line in correlations.loc[order, order].to_numpy(float)],
    }


def _box(ax: Axes) -> list[float]:
    place = ax.get_position()
    return [round(float(v), 4) for v in (place.x0, 1 - place.y1, place.width, place.height)]
