"""How much of the relevance, or of the highest relevance, falls into the mask as a region."""

from typing import Any

from xfer.metrics import METRICS
from xfer.metrics.conditions import CONSTANT_HEATMAP, EMPTY_REGION, NO_POSITIVE_RELEVANCE, defined
from xfer.metrics.thresholds import top
from xfer.metrics.views import divide, dot, views

Array = Any

UNDEFINED = (CONSTANT_HEATMAP, EMPTY_REGION)


@METRICS.register(
    "energy_inside",
    best=1.0,
    worst=0.0,
    chance="p",
    mask="region",
    reference="Wang et al. 2020, doi:10.1109/CVPRW50498.2020.00020; Arras et al. 2022, "
    "doi:10.1016/j.inffus.2021.11.008 (relevance mass accuracy)",
    undefined=(*UNDEFINED, NO_POSITIVE_RELEVANCE),
    invariance="scale",
)
def energy_inside(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Share of the positive relevance that lies in the mask.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
        Batch dimensions broadcast.
    support : bool array (y, x), optional
        The pixels that count.

    Returns
    -------
    array (...)
        NaN for a constant heatmap, one without a positive value, or an empty mask.

    Examples
    --------
    >>> import numpy as np
    >>> float(energy_inside(np.array([[3, 1], [0, -5]]), np.array([[1, 0], [0, 1]])))
    0.75
    """
    h, m = views(heatmap, mask, support)
    score = dot(h.xp, h.share, m.indicator)
    return defined(score, h, m, (*UNDEFINED, NO_POSITIVE_RELEVANCE))


@METRICS.register(
    "rank_accuracy",
    best=1.0,
    worst=0.0,
    chance="p",
    mask="region",
    reference="Arras et al. 2022, doi:10.1016/j.inffus.2021.11.008",
    undefined=UNDEFINED,
    invariance="increasing",
)
def rank_accuracy(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Relevance rank accuracy: of the K highest pixels, the share in the mask of K pixels.

    Pixels tied at rank K share the remaining places equally. The same number as ``precision`` and ``recall`` at
    threshold ``area``.

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
    >>> float(rank_accuracy(np.array([[9, 5], [5, 1]]), np.array([[1, 1], [0, 0]])))
    0.75
    """
    h, m = views(heatmap, mask, support)
    return defined(divide(h.xp, top(h, m, m.area), m.area), h, m, UNDEFINED)


@METRICS.register(
    "pointing_game",
    best=1.0,
    worst=0.0,
    chance="p",
    mask="region",
    reference="Zhang et al. 2018, doi:10.1007/s11263-017-1059-x",
    undefined=UNDEFINED,
    invariance="increasing",
)
def pointing_game(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """1 if the heatmap's maximum lies in the mask, else 0; of several maxima, the share inside.

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
    >>> float(pointing_game(np.array([[9, 9], [5, 1]]), np.array([[1, 0], [0, 0]])))
    0.5
    """
    h, m = views(heatmap, mask, support)
    return defined(h.hits(m)[..., 0] / h.areas[..., 0], h, m, UNDEFINED)


@METRICS.register(
    "nss",
    best=float("inf"),
    worst=float("-inf"),
    chance="0",
    mask="region",
    reference="Peters et al. 2005, doi:10.1016/j.visres.2005.03.019",
    undefined=UNDEFINED,
    invariance="affine",
)
def nss(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Normalised scanpath saliency: mean z-score of the heatmap inside the mask.

    Mean and (population) standard deviation are those of the support. For a mask that covers the share p no
    heatmap scores above sqrt((1 - p) / p), which the mask itself reaches.

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
    >>> float(nss(np.array([[1, 0], [0, 1]]), np.array([[1, 0], [0, 0]])))
    1.0
    """
    h, m = views(heatmap, mask, support)
    total = dot(h.xp, h.centred, m.indicator) * h.n**0.5
    return defined(divide(h.xp, total, m.area), h, m, UNDEFINED)
