"""The maps and masks of a study as null models see them, on one canvas."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xfer.errors import InputError
from xfer.labels import KEY
from xfer.nulls.canvas import block, bounding_box, coarsen, coarsen_masks, coarsen_support

Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Rivals:
    """What a cell's score is compared with by relabelling: pairs of map and mask.

    Attributes
    ----------
    heatmaps, masks : array (k, y, x) or (1, y, x)
        They broadcast.
    names : tuple of str
        What each pair is, in words; empty where there is none.
    reason : str
        Why there is none.
    """

    heatmaps: Float
    masks: Float
    names: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Cells:
    """Heatmaps, masks and support, cropped to the support and at one resolution.

    Attributes
    ----------
    maps : float32 array (cell, y, x)
    keys : DataFrame
        The key of every cell, one column per part.
    masks : float32 array (expression, y, x)
    expressions : tuple of str
    source : str
        Name of the mask source.
    support : bool array (y, x)
    randomised : Cells, optional
        Maps of networks with randomised weights.
    """

    maps: Float
    keys: pd.DataFrame
    masks: Float
    expressions: tuple[str, ...]
    source: str
    support: NDArray[np.bool_]
    randomised: "Cells | None" = field(default=None)

    def own(self, index: int) -> int:
        """The position of a cell's own mask."""
        return self.expressions.index(str(self.keys["expression"].iloc[index]))

    def alike(self, index: int, *free: str) -> NDArray[np.intp]:
        """Positions of the cells whose key is that of `index` but for the parts named."""
        return np.nonzero(self._same(self.keys.iloc[index], free))[0]

    def _same(self, key: "pd.Series[Any]", free: tuple[str, ...]) -> NDArray[np.bool_]:
        fixed = [name for name in KEY if name not in free]
        return np.asarray((self.keys[fixed] == key[fixed]).all(axis=1))

    def alike_in(self, other: "Cells", index: int, *free: str) -> NDArray[np.intp]:
        """Positions in `other` of the cells whose key is that of this `index` but for the parts named."""
        return np.nonzero(other._same(self.keys.iloc[index], free))[0]

    @cached_property
    def constant(self) -> NDArray[np.bool_]:
        """Whether a map has one value, or one that is not finite, inside the support (cell,)."""
        inside = self.maps[:, self.support]
        return ~np.isfinite(inside).all(axis=1) | (inside.min(axis=1) == inside.max(axis=1))


def prepare(
    heatmaps: xr.DataArray,
    masks: xr.DataArray,
    support: NDArray[np.bool_] | None = None,
    resolution: float = 1.0,
    randomised: xr.DataArray | None = None,
) -> Cells:
    """Cells from labelled arrays.

    Parameters
    ----------
    heatmaps : DataArray (cell, y, x)
    masks : DataArray (expression, y, x)
    support : bool array (y, x), optional
        The whole canvas by default.
    resolution : float
        1, 1/2, 1/3, ...: the side of a pixel here is one over it.
    randomised : DataArray (cell, y, x), optional
        Maps of networks with randomised weights, keyed like `heatmaps`.

    Raises
    ------
    InputError
        If sizes differ, a map has no mask, or the resolution is none of these.
    """
    side = block(resolution)
    whole = np.ones(heatmaps.shape[1:], dtype=bool) if support is None else np.asarray(support, dtype=bool)
    shapes = {"masks": masks.shape[1:], "support": whole.shape}
    if randomised is not None:
        shapes["randomised maps"] = randomised.shape[1:]
    for what, shape in shapes.items():
        if shape != heatmaps.shape[1:]:
            raise InputError(f"the {what} have the shape {tuple(shape)}, the heatmaps {heatmaps.shape[1:]}")
    expressions = tuple(str(e) for e in masks.coords["expression"].values)
    for expression in dict.fromkeys(map(str, heatmaps.coords["expression"].values)):
        if expression not in expressions:
            raise InputError(f"the maps of {expression} have no mask in {masks.name!r}: {', '.join(expressions)}")
    inside = coarsen_support(whole, side)
    box = bounding_box(inside)
    truth = coarsen_masks(masks.values, whole, side)[..., box[0], box[1]]

    def crop(maps: NDArray[Any]) -> Float:
        return coarsen(maps, whole, side)[..., box[0], box[1]]

    def cells(maps: xr.DataArray, others: Cells | None) -> Cells:
        keys = pd.DataFrame({name: maps.coords[name].values.astype(str) for name in KEY})
        values = np.stack([crop(m) for m in maps.values]) if maps.sizes["cell"] else np.zeros((0, *inside[box].shape))
        return Cells(values, keys, truth, expressions, str(masks.name), inside[box], others)

    return cells(heatmaps, None if randomised is None else cells(randomised, None))
