"""Heatmap and mask as distributions of unit mass over the pixels."""

from typing import Any

from xfer.metrics import METRICS
from xfer.metrics.conditions import CONSTANT_HEATMAP, EMPTY_MAP, NO_POSITIVE_RELEVANCE, defined
from xfer.metrics.views import dot, views

Array = Any

UNDEFINED = (CONSTANT_HEATMAP, EMPTY_MAP, NO_POSITIVE_RELEVANCE)
EPSILON = 2.0**-52
DECLARED: dict[str, Any] = {
    "mask": "map",
    "reference": "Bylinskii et al. 2019, doi:10.1109/TPAMI.2018.2815601",
    "undefined": UNDEFINED,
    "invariance": "scale",
}


@METRICS.register(
    "kl",
    best=0.0,
    worst=float("inf"),
    chance="mean of log(mean of h / h) for a heatmap h, minus log(p)",
    **DECLARED,
)
def kl(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Kullback-Leibler divergence of the heatmap from the mask, in nats.

    With the mask m and the heatmap's positive part h, both of unit mass, the sum over the pixels of
    m log(e + m / (e + h)), e = 2^-52, as in the saliency benchmark; not below 0. It is dominated by pixels of the
    mask where the heatmap is 0: each adds up to 36 times its weight.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
        Batch dimensions broadcast.
    support : bool array (y, x), optional
        The pixels that count.

    Returns
    -------
    array (...)
        NaN for a constant heatmap, one without a positive value, or a mask without weight.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(kl(np.array([[2, 1], [1, 0]]), np.array([[1, 0], [0, 0]]))), 4)
    0.6931
    """
    h, m = views(heatmap, mask, support)
    terms = h.xp.log(EPSILON + m.share / (EPSILON + h.share))
    return defined(h.xp.clip(dot(h.xp, m.share, terms), min=0.0), h, m, UNDEFINED)


@METRICS.register("sim", best=1.0, worst=0.0, chance="the overlap of the two histograms of weights", **DECLARED)
def sim(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Similarity, or histogram intersection: the mass that heatmap and mask share.

    The sum over the pixels of the smaller of mask and positive part of the heatmap, both of unit mass.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
    support : bool array (y, x), optional

    Returns
    -------
    array (...)
        NaN for a constant heatmap, one without a positive value, or a mask without weight.

    Examples
    --------
    >>> import numpy as np
    >>> float(sim(np.array([[2, 1], [1, 0]]), np.array([[1, 0], [0, 0]])))
    0.5
    """
    h, m = views(heatmap, mask, support)
    return defined(h.xp.sum(h.xp.minimum(h.share, m.share), axis=-1), h, m, UNDEFINED)
