"""What the other networks see on average."""

import numpy as np

from xfer.nulls.cells import Cells, Rivals
from xfer.nulls.spec import NULLS


@NULLS.register(
    "other_networks",
    kind="relabel",
    reference="this package",
    words="the mean map of the other networks for the same expression",
)
def other_networks(cells: Cells, index: int) -> Rivals:
    """The mean map of the other networks of this cell's key (any layer); constant maps are left out."""
    own = cells.masks[[cells.own(index)]]
    alike = cells.alike(index, "model", "layer")
    model = cells.keys["model"].iloc[index]
    others = [i for i in alike if cells.keys["model"].iloc[i] != model and not cells.constant[i]]
    if not others:
        return Rivals(own[:0], own, (), "no other network")
    mean = cells.maps[others].mean(axis=0, dtype=float, keepdims=True).astype(np.float32)
    return Rivals(mean, own, (f"mean of {len(others)} networks",))
