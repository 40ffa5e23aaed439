"""Scores of many maps at once against one mask, for draws: float32, pixels in the last dimension, ties shared.

They agree with `xfer.metrics`, which scores single maps in float64 and knows every metric; these know five and do a
thousand maps of 7,000 pixels in a tenth of a second.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Score = Callable[[Floats, Floats], Floats]
"""``(maps (..., pixel), mask (pixel,)) -> scores (...)``."""


def area_iou(maps: Floats, mask: Floats) -> Floats:
    """IoU of the mask's region with as many of a map's highest pixels; pixels tied at the cut share the rest.

    >>> float(area_iou(np.array([3.0, 2.0, 1.0]), np.array([1.0, 0.0, 1.0])).round(4))
    0.3333
    """
    region = (mask >= 0.5).astype(maps.dtype)
    area = int(region.sum())
    if area in (0, maps.shape[-1]):
        return np.where(area, np.ones(maps.shape[:-1]), np.nan)
    place = maps.shape[-1] - area
    level = np.partition(maps, place, axis=-1)[..., place, None]
    top = maps >= level
    hits, surplus = top @ region, top.sum(axis=-1) - area
    if surplus.any():
        tied = maps == level
        hits = hits - surplus / tied.sum(axis=-1) * (tied @ region)
    return hits / (2 * area - hits)


def otsu_iou(maps: Floats, mask: Floats) -> Floats:
    """IoU of the mask's region with the pixels above Otsu's threshold over all splits of a map's values.

    References
    ----------
    Otsu 1979, doi:10.1109/TSMC.1979.4310076
    """
    region = (mask >= 0.5).astype(maps.dtype)
    order = np.argsort(-maps, axis=-1)
    falling = np.take_along_axis(maps, order, -1).astype(np.float64)
    falling -= falling.mean(axis=-1, keepdims=True)
    n = maps.shape[-1]
    area = np.arange(1, n)
    between = np.cumsum(falling, axis=-1)[..., :-1] ** 2 / (area * (n - area))
    between[falling[..., 1:] == falling[..., :-1]] = -1.0
    cut = n - 2 - np.flip(between, axis=-1).argmax(axis=-1)
    hits = np.take_along_axis(np.cumsum(region[order], axis=-1), cut[..., None], -1)[..., 0]
    return hits / (cut + 1 + region.sum() - hits)


def energy_inside(maps: Floats, mask: Floats) -> Floats:
    """Share of the positive part of a map that lies in the mask's region."""
    positive = np.maximum(maps, 0)
    return (positive @ (mask >= 0.5).astype(maps.dtype)) / positive.sum(axis=-1)


def cosine(maps: Floats, mask: Floats) -> Floats:
    """Cosine of the angle between map and mask."""
    return (maps @ mask) / np.sqrt(np.vecdot(maps, maps) * (mask @ mask))


def pearson(maps: Floats, mask: Floats) -> Floats:
    """Pearson correlation over the pixels."""
    return cosine(maps - maps.mean(axis=-1, keepdims=True), mask - mask.mean())


SCORES: Mapping[str, Score] = {
    "area_iou": area_iou,
    "otsu_iou": otsu_iou,
    "energy_inside": energy_inside,
    "cosine": cosine,
    "pearson": pearson,
}
"""By name; an IoU carries its threshold in its name."""
