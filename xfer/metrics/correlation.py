"""Agreement of the heatmap with the mask as a map of weights, pixel by pixel."""

from typing import Any

from xfer.metrics import METRICS
from xfer.metrics.conditions import CONSTANT_HEATMAP, CONSTANT_MAP, EMPTY_MAP, FULL_MAP, defined
from xfer.metrics.views import divide, dot, views

Array = Any

UNDEFINED = (CONSTANT_HEATMAP, EMPTY_MAP, FULL_MAP, CONSTANT_MAP)


@METRICS.register(
    "pearson",
    best=1.0,
    worst=-1.0,
    chance="0",
    mask="map",
    reference="Pearson 1895, doi:10.1098/rspl.1895.0041",
    undefined=UNDEFINED,
    invariance="affine",
)
def pearson(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Pearson correlation over the pixels.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
        Batch dimensions broadcast.
    support : bool array (y, x), optional
        The pixels that count.

    Returns
    -------
    array (...)
        NaN where heatmap or mask is constant.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(pearson(np.array([[4, 2], [1, 1]]), np.array([[1, 0], [0, 0]]))), 4)
    0.9428
    """
    h, m = views(heatmap, mask, support)
    return defined(dot(h.xp, h.centred, m.centred), h, m, UNDEFINED)


@METRICS.register(
    "spearman",
    best=1.0,
    worst=-1.0,
    chance="0",
    mask="map",
    reference="Spearman 1904, doi:10.2307/1412159",
    undefined=UNDEFINED,
    invariance="increasing",
)
def spearman(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Spearman correlation: Pearson's of the ranks, ties averaged.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
    support : bool array (y, x), optional

    Returns
    -------
    array (...)
        NaN where heatmap or mask is constant.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(spearman(np.array([[4, 2], [1, 1]]), np.array([[1, 0], [0, 0]]))), 4)
    0.8165
    """
    h, m = views(heatmap, mask, support)
    ranks = h.level_ranks - (h.n + 1) / 2
    covariance = dot(h.xp, ranks, h.steps(h.sums(m.ranks)))
    spread = dot(h.xp, ranks**2, h.steps(h.areas)) * dot(h.xp, m.ranks, m.ranks)
    return defined(divide(h.xp, covariance, h.xp.sqrt(spread)), h, m, UNDEFINED)


@METRICS.register(
    "cosine",
    best=1.0,
    worst=-1.0,
    chance="the heatmap's mean over its root mean square, times the mask's",
    mask="map",
    reference="Salton 1975, doi:10.1145/361219.361220",
    undefined=(CONSTANT_HEATMAP, EMPTY_MAP),
    invariance="scale",
)
def cosine(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Cosine of the angle between heatmap and mask as vectors of pixels; the mean is not removed.

    The worst value, -1, needs a heatmap that is negative throughout the mask; without negative values the score
    stays in [0, 1] and chance is far above 0.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
    support : bool array (y, x), optional

    Returns
    -------
    array (...)
        NaN for a constant heatmap or a mask without weight.

    Examples
    --------
    >>> import numpy as np
    >>> float(cosine(np.array([[4, 0], [3, 0]]), np.array([[1, 0], [0, 0]])))
    0.8
    """
    h, m = views(heatmap, mask, support)
    score = divide(h.xp, dot(h.xp, h.values, m.values), h.norm * m.norm)
    return defined(score, h, m, (CONSTANT_HEATMAP, EMPTY_MAP))
