"""How far relevance would have to be moved to lie where the mask is."""

from typing import Any

import numpy as np

from xfer.metrics import METRICS
from xfer.metrics.conditions import CONSTANT_HEATMAP, EMPTY_MAP, NO_POSITIVE_RELEVANCE, defined
from xfer.metrics.views import View, views

Array = Any

UNDEFINED = (CONSTANT_HEATMAP, EMPTY_MAP, NO_POSITIVE_RELEVANCE)


@METRICS.register(
    "emd",
    best=0.0,
    worst=float("inf"),
    chance="the distance between two unrelated maps of these shapes",
    mask="map",
    reference="Rubner et al. 2000, doi:10.1023/A:1026543900054",
    undefined=UNDEFINED,
    invariance="scale",
    specificity=False,
    spatial=True,
)
def emd(
    heatmap: Array,
    mask: Array,
    *,
    support: Array | None = None,
    inter_ocular: float | None = None,
    grid: tuple[int, int] = (12, 10),
) -> Array:
    """Earth mover's distance: mean distance over which mass is moved, in inter-ocular distances.

    Positive parts, 0 outside the support, are averaged over the areas of a grid of cells and given unit mass; the
    distance between cells is that of their centres. Solved exactly, on the CPU.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
        Batch dimensions broadcast.
    support : bool array (y, x), optional
        The pixels that count.
    inter_ocular : float, optional
        Distance of the outer eye corners in px of this canvas. Without it, the unit is the canvas's width.
    grid : (int, int)
        Rows and columns of cells.

    Returns
    -------
    array (...)
        NaN for a constant heatmap, one without a positive value, or a mask without weight.

    Examples
    --------
    >>> import numpy as np
    >>> float(emd(np.array([[1, 0]]), np.array([[0, 1]]), inter_ocular=2.0, grid=(1, 2)))
    0.5
    """
    h, m = views(heatmap, mask, support)
    unit = float(inter_ocular or h.canvas[1])
    score = _pairs(_coarse(h, grid), _coarse(m, grid), _distances(h.canvas, grid) / unit)
    score = h.xp.asarray(score, dtype=h.dtype, device=h.values.device)
    return defined(score, h, m, UNDEFINED)


def averaging(pixels: int, cells: int) -> np.ndarray:
    """Weights (cells, pixels) that average pixels over equal cells, a pixel on a border in parts.

    >>> averaging(3, 2).round(3).tolist()
    [[0.667, 0.333, 0.0], [0.0, 0.333, 0.667]]
    """
    edges = np.arange(cells + 1)[:, None] * (pixels / cells)
    ends = np.minimum(edges[1:], np.arange(1, pixels + 1))
    starts = np.maximum(edges[:-1], np.arange(pixels))
    return np.clip(ends - starts, 0, None) * (cells / pixels)


def _coarse(maps: View, grid: tuple[int, int]) -> np.ndarray:
    """Unit masses (..., rows * columns) on the grid; all 0 where there is no mass."""
    xp = maps.xp
    values = xp.asarray(maps.maps, dtype=maps.dtype)
    counts = xp.isfinite(values) & maps.finite[..., None, None] & (values > 0)
    if maps.support is not None:
        counts = counts & xp.asarray(maps.support, dtype=xp.bool, device=values.device)
    positive = xp.where(counts, values, xp.zeros_like(values))
    positive = _on_cpu(positive if maps.scale is None else positive / maps.scale[..., None, None])
    (rows, columns), (height, width) = grid, maps.canvas
    coarse = averaging(height, rows) @ positive @ averaging(width, columns).T
    flat = coarse.reshape(*coarse.shape[:-2], rows * columns)
    total = flat.sum(axis=-1, keepdims=True)
    return flat / np.where(total > 0, total, 1)


def _on_cpu(values: Array) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float64)


def _distances(canvas: tuple[int, int], grid: tuple[int, int]) -> np.ndarray:
    """Distances in px between the centres of all cells (cells, cells)."""
    y, x = np.meshgrid(*(np.arange(n) * (size / n) for n, size in zip(grid, canvas, strict=True)), indexing="ij")
    return np.hypot(y.reshape(-1, 1) - y.reshape(1, -1), x.reshape(-1, 1) - x.reshape(1, -1))


def _pairs(supply: np.ndarray, demand: np.ndarray, cost: np.ndarray) -> np.ndarray:
    from ot import emd2  # slow to import (it imports torch where there is one), and needed here only

    shape = np.broadcast_shapes(supply.shape, demand.shape)
    pairs = zip(*(np.broadcast_to(m, shape).reshape(-1, shape[-1]) for m in (supply, demand)), strict=True)
    costs = [emd2(s, d, cost, numItermax=1_000_000) if s.any() and d.any() else np.nan for s, d in pairs]
    return np.array(costs).reshape(shape[:-1])
