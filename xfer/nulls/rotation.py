"""The map rotated about the middle of the support."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, center_of_mass

from xfer.nulls.spec import NULLS

ANGLES = tuple(range(30, 331, 15))
"""In degrees."""


@NULLS.register(
    "rotation",
    kind="draws",
    reference="after the spin test of Alexander-Bloch et al. 2018, doi:10.1016/j.neuroimage.2018.05.070",
    words="the map itself rotated by 30 to 330 degrees",
)
def rotation(
    heatmap: NDArray[Any], support: NDArray[np.bool_], draws: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    """The map rotated by every one of `ANGLES` about the support's centre; what turns in from outside is mirrored.

    Yields
    ------
    float32 array (k, y, x)
        The first `draws` of them.
    """
    centre = np.array(center_of_mass(support))
    turned = []
    for angle in np.deg2rad(ANGLES[:draws]):
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        offset = centre - matrix @ centre
        turned.append(affine_transform(heatmap, matrix, offset, order=1, mode="reflect"))
    yield np.stack(turned).astype(np.float32)
