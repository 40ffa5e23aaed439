"""A blob in the middle of the face."""

import numpy as np
from scipy.ndimage import center_of_mass

from xfer.nulls.cells import Cells, Rivals
from xfer.nulls.spec import NULLS

WIDTHS = tuple(float(w) for w in np.round(np.geomspace(0.05, 0.6, 12), 3))
"""Standard deviations, as shares of the height of the support."""


@NULLS.register(
    "centre_bias",
    kind="relabel",
    best=True,
    reference="Tatler 2007, doi:10.1167/7.14.4",
    words="a round Gaussian in the middle of the support, of the width that suits the mask best",
)
def centre_bias(cells: Cells, index: int) -> Rivals:
    """A Gaussian of every one of `WIDTHS` at the support's centre; the best of them is a strict rival."""
    y0, x0 = center_of_mass(cells.support)
    y, x = np.indices(cells.support.shape)
    distance = (y - y0) ** 2 + (x - x0) ** 2
    height = cells.support.shape[0]
    blobs = np.stack([np.exp(-distance / (2 * (width * height) ** 2)) for width in WIDTHS]).astype(np.float32)
    names = tuple(f"width {width:g} of the support's height" for width in WIDTHS)
    return Rivals(blobs, cells.masks[[cells.own(index)]], names)
