"""The parts of a face that raters can click, on the canonical frame: a picture of nobody."""

from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

from xfer.annotation.parts import FRAME, draw_pieces, parts
from xfer.geometry import OUTLINE, load_frame

_LINE = "#b35400"


def parts_figure() -> Figure:
    """Every part with its name."""
    frame = load_frame(FRAME)
    figure = Figure(figsize=(4.2, 5.2), layout="constrained")
    axes = figure.add_subplot()
    outline = frame.points[[*OUTLINE, OUTLINE[0]]]
    axes.plot(outline[:, 0], outline[:, 1], color="0.6", linewidth=1)
    named = set()
    for (name, _), area in draw_pieces(frame.points[:68], frame.height, frame.width).items():
        axes.contour(area, [0.5], colors=_LINE, linewidths=1)
        if name not in named:
            y, x = np.argwhere(area).mean(axis=0)
            said = parts()[name].said.removeprefix("the ").removeprefix("skin ")
            axes.text(x, y, fill(said, 12), ha="center", va="center", fontsize=6)
            named.add(name)
    axes.set(aspect="equal", xlim=(0, frame.width), ylim=(frame.height, 0))
    axes.set_axis_off()
    axes.set_title(
        "Raters mark faces in JupyterLab, where a kernel runs:\nby brush, or by clicking these parts", fontsize=8
    )
    return figure
