"""Maps made ready for resampling: coarser pixels, cropped to the support, filled outside it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from xfer.errors import InputError

Bool = NDArray[np.bool_]


def block(resolution: float) -> int:
    """Pixels along the side of the block that becomes one pixel at a resolution (1 = as it is, 0.5 = half).

    >>> block(0.5)
    2

    Raises
    ------
    InputError
        If it is not 1 over a whole number.
    """
    side = round(1 / resolution) if 0 < resolution <= 1 else 0
    if not side or abs(side * resolution - 1) > 1e-9:
        raise InputError(f"'resolution' must be 1, 1/2, 1/3, ...; got {resolution}")
    return side


def coarsen(maps: NDArray[Any], support: Bool, side: int) -> NDArray[np.float32]:
    """Block means over the pixels of the support.

    Parameters
    ----------
    maps : array (..., y, x)
    support : bool array (y, x)
    side : int
        Pixels along the side of a block; blocks at the lower and right border may be smaller.

    Returns
    -------
    float32 array (..., ceil(y / side), ceil(x / side))
        0 where a block has no pixel of the support; not finite where one of its pixels is not.
    """
    inside = np.where(support, maps, 0.0)
    weight = _block_sums(support.astype(float), side)
    return (_block_sums(inside, side) / np.maximum(weight, 1)).astype(np.float32)


def coarsen_masks(masks: NDArray[Any], support: Bool, side: int) -> NDArray[np.float32]:
    """`coarsen` for masks (..., y, x), which are read as regions at one half.

    A block of which exactly half lies in the mask counts on every other square of a checkerboard, so that regions
    keep their size; its value is moved by a thousandth.
    """
    coarse = coarsen(masks, support, side)
    y, x = np.indices(coarse.shape[-2:])
    outside = (coarse == 0.5) & ((y + x) % 2 == 1) & (side > 1)
    return np.where(outside, np.float32(0.499), coarse)


def coarsen_support(support: Bool, side: int) -> Bool:
    """The blocks of which at least half the pixels lie in the support."""
    share = _block_sums(support.astype(float), side) / _block_sums(np.ones(support.shape), side)
    return share >= 0.5


def _block_sums(maps: NDArray[Any], side: int) -> NDArray[Any]:
    rows, columns = (np.arange(0, length, side) for length in maps.shape[-2:])
    return np.add.reduceat(np.add.reduceat(maps, rows, axis=-2), columns, axis=-1)


def bounding_box(support: Bool) -> tuple[slice, slice]:
    """Rows and columns that hold the support.

    Raises
    ------
    InputError
        If the support has no pixel.
    """
    if not support.any():
        raise InputError("'support' must have at least one pixel; got none")
    ys, xs = np.nonzero(support)
    return slice(int(ys.min()), int(ys.max()) + 1), slice(int(xs.min()), int(xs.max()) + 1)


def fill(maps: NDArray[Any], support: Bool) -> NDArray[Any]:
    """Maps (..., y, x) whose pixels outside the support have the value of the nearest pixel inside."""
    if support.all():
        return maps
    nearest = distance_transform_edt(~support, return_distances=False, return_indices=True)
    return maps[..., nearest[0], nearest[1]]
