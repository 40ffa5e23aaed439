"""Maps of several explainers, one class a face, ready to be compared."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import nn

from xfer.errors import InputError

__all__ = ["Maps", "gathered", "plain", "rank_correlation", "ranked"]

Maps = Mapping[str, Any]
"""Explainer -> maps (face, y, x), or (face, 1, y, x) of one class a face as `xfer.explainers.attribute` gives."""


def plain(maps: Maps) -> dict[str, NDArray[np.float64]]:
    """Maps as arrays (face, y, x), every method at its own resolution.

    Parameters
    ----------
    maps : mapping of str to array or tensor, or DataArray (explainer, face, y, x)
        Of one class a face.

    Raises
    ------
    InputError
        If there is none, faces differ in number, or there are several classes a face.

    Examples
    --------
    >>> plain({"grad_cam": torch.ones(2, 1, 3, 4)})["grad_cam"].shape
    (2, 3, 4)
    """
    named = {str(name): each for name, each in (_items(maps))}
    found: dict[str, NDArray[np.float64]] = {}
    for name, each in named.items():
        array = each.detach().cpu().double().numpy() if isinstance(each, torch.Tensor) else np.asarray(each, np.float64)
        array = array[:, 0] if array.ndim == 4 and array.shape[1] == 1 else array
        if array.ndim != 3:
            raise InputError(f"maps of {name!r} must be (face, y, x), one class a face; got the shape {array.shape}")
        found[name] = array
    counts = {len(each) for each in found.values()}
    if not found or len(counts) > 1:
        raise InputError(f"'maps' must hold maps of the same faces; got {sorted(counts) or 'none'} faces")
    return found


def _items(maps: Any) -> Any:
    """Names and maps of a mapping, or of a labelled array with the dimension `explainer`."""
    if hasattr(maps, "dims"):
        return [(name, maps.sel(explainer=name).to_numpy()) for name in maps["explainer"].to_numpy()]
    return maps.items()


def _at_size(maps: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Maps (face, y, x) brought to a height and width by bilinear interpolation."""
    if maps.shape[1:] == size:
        return maps
    moved = nn.functional.interpolate(torch.from_numpy(maps)[:, None], size=size, mode="bilinear", align_corners=False)
    return moved[:, 0].numpy()


def gathered(maps: Maps, size: tuple[int, int] | None = None) -> dict[str, NDArray[np.float64]]:
    """Maps of one resolution: a given one, or the finest among them.

    Raises
    ------
    InputError
        As `plain`.

    Examples
    --------
    >>> [each.shape for each in gathered({"a": np.ones((1, 2, 2)), "b": np.ones((1, 4, 4))}).values()]
    [(1, 4, 4), (1, 4, 4)]
    """
    found = plain(maps)
    finest = size or max((each.shape[1:] for each in found.values()), key=lambda shape: shape[0] * shape[1])
    return {name: _at_size(each, (finest[0], finest[1])) for name, each in found.items()}


def ranked(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ranks of the pixels of maps (face, y, x), equal ones averaged, less their mean: (face, y, x)."""
    ranks = np.asarray(rankdata(maps.reshape(len(maps), -1), axis=1), np.float64)
    return (ranks - (ranks.shape[1] + 1) / 2).reshape(maps.shape)


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman correlation of maps (face, y, x), a face (face,); NaN where one of the two is constant.

    `xfer.metrics` has it for a heatmap and a mask, which has no negative values.

    Examples
    --------
    >>> rank_correlation(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[-1.0, -5.0, -9.0]]]))
    array([-1.])
    """
    a, b = ranked(first), ranked(second)
    spread = np.sqrt((a * a).sum((1, 2)) * (b * b).sum((1, 2)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, (a * b).sum((1, 2)) / spread, np.nan)
