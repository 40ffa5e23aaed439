"""Overlap of the thresholded heatmap with the mask as a region."""

from collections.abc import Callable
from typing import Any

from xfer.metrics import METRICS
from xfer.metrics.conditions import CONSTANT_HEATMAP, EMPTY_REGION, defined
from xfer.metrics.thresholds import cut, rule
from xfer.metrics.views import divide, dot, views

Array = Any
Ratio = Callable[[Array, Array, Array], Array]

UNDEFINED = (CONSTANT_HEATMAP, EMPTY_REGION)
DECLARED: dict[str, Any] = {
    "best": 1.0,
    "worst": 0.0,
    "mask": "region",
    "undefined": UNDEFINED,
    "invariance": "affine",
    "thresholded": True,
}


@METRICS.register(
    "iou",
    chance="p*q / (p + q - p*q)",
    reference="Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x",
    **DECLARED,
)
def iou(heatmap: Array, mask: Array, *, support: Array | None = None, threshold: str | float = "otsu") -> Array:
    """Intersection over union.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
        Batch dimensions broadcast.
    support : bool array (y, x), optional
        The pixels that count.
    threshold : {"otsu", "area", "upper_bound"} or float in (0, 1)
        See `xfer.metrics.thresholds.cut`. ``upper_bound`` is the best value over all thresholds: tuned on the
        answer, so never a result.

    Returns
    -------
    array (...)
        NaN for a constant heatmap or an empty mask.

    Examples
    --------
    >>> import numpy as np
    >>> float(iou(np.array([[9, 8], [1, 0]]), np.array([[1, 0], [0, 0]])))
    0.5
    """
    return _overlap(heatmap, mask, support, threshold, lambda hits, area, size: hits / (area + size - hits))


@METRICS.register("dice", chance="2*p*q / (p + q)", reference="Dice 1945, doi:10.2307/1932409", **DECLARED)
def dice(heatmap: Array, mask: Array, *, support: Array | None = None, threshold: str | float = "otsu") -> Array:
    """Dice coefficient, also F1: the harmonic mean of precision and recall.

    Arguments as for `iou`.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(dice(np.array([[9, 8], [1, 0]]), np.array([[1, 0], [0, 0]]))), 4)
    0.6667
    """
    return _overlap(heatmap, mask, support, threshold, lambda hits, area, size: 2 * hits / (area + size))


@METRICS.register("precision", chance="p", reference="Powers 2011, doi:10.48550/arXiv.2010.16061", **DECLARED)
def precision(heatmap: Array, mask: Array, *, support: Array | None = None, threshold: str | float = "otsu") -> Array:
    """Share of the thresholded heatmap that lies in the mask.

    Arguments as for `iou`.

    Examples
    --------
    >>> import numpy as np
    >>> float(precision(np.array([[9, 8], [1, 0]]), np.array([[1, 0], [0, 0]])))
    0.5
    """
    return _overlap(heatmap, mask, support, threshold, lambda hits, area, size: hits / area)


@METRICS.register("recall", chance="q", reference="Powers 2011, doi:10.48550/arXiv.2010.16061", **DECLARED)
def recall(heatmap: Array, mask: Array, *, support: Array | None = None, threshold: str | float = "otsu") -> Array:
    """Share of the mask that the thresholded heatmap covers.

    Arguments as for `iou`.

    Its upper bound is 1 for every heatmap: the lowest threshold covers everything.

    Examples
    --------
    >>> import numpy as np
    >>> float(recall(np.array([[9, 8], [1, 0]]), np.array([[1, 0], [0, 0]])))
    1.0
    """
    return _overlap(heatmap, mask, support, threshold, lambda hits, area, size: hits / size)


@METRICS.register(
    "iou_curve_area",
    best=0.6065306597126334,
    worst=0.0,
    chance="p/(1 - p) + p**2 * log(p) / (1 - p)**2",
    mask="region",
    reference="this package; the curve of IoU over all area thresholds",
    undefined=UNDEFINED,
    invariance="increasing",
)
def iou_curve_area(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Mean IoU of the top share q of the pixels, over q from 0 to 1: IoU without a threshold.

    The integral is exact; pixels tied at a cut share the area left, so the curve has no steps. A perfect heatmap
    scores p/2 - p log(p) for a mask that covers the share p of the support: `best` is the largest of these, at
    p = exp(-1/2), and not attainable for other masks. Compare values only between heatmaps, mask held fixed, or
    with chance.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
    support : bool array (y, x), optional

    Returns
    -------
    array (...)
        NaN for a constant heatmap or an empty mask.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(iou_curve_area(np.array([[1, 0], [0, 0]]), np.array([[1, 0], [0, 0]]))), 4)
    0.4716
    """
    h, m = views(heatmap, mask, support)
    hits = h.hits(m)
    width, gain = h.steps(h.areas), h.steps(hits)
    before = hits - gain
    union = h.areas - width + h.xp.clip(m.area, min=1.0)[..., None] - before
    # along a level both grow linearly: IoU = (before + gain u) / (union (1 + grow u)), u from 0 to 1
    grow = (width - gain) / union
    constant = divide(h.xp, h.xp.log1p(grow), grow, 1.0)
    linear = divide(h.xp, 1 - constant, grow, 0.5)
    score = dot(h.xp, width, (before * constant + gain * linear) / union) / h.n
    return defined(score, h, m, UNDEFINED)


def _overlap(heatmap: Array, mask: Array, support: Array | None, threshold: str | float, ratio: Ratio) -> Array:
    h, m = views(heatmap, mask, support)
    hits, area = cut(h, m, threshold)
    area, size = (h.xp.clip(pixels, min=1.0) for pixels in (area, m.area))
    if rule(threshold) == "upper_bound":
        score = h.xp.max(ratio(hits, area, size[..., None]), axis=-1)
    else:
        score = ratio(hits, area, size)
    return defined(score, h, m, UNDEFINED)
