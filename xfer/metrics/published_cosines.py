"""The two cosines of the published study of training guided by Action Units, with its normalisations."""

from typing import Any

from array_api_compat import array_namespace

from xfer.metrics import METRICS
from xfer.metrics.conditions import CONSTANT_HEATMAP, EMPTY_MAP, defined
from xfer.metrics.views import View, divide, dot, views

Array = Any

UNDEFINED = (CONSTANT_HEATMAP, EMPTY_MAP)
DECLARED: dict[str, Any] = {
    "best": 1.0,
    "worst": 0.0,
    "chance": "the normalised heatmap's mean over its root mean square, times the mask's",
    "mask": "map",
    "reference": "Belharbi et al. 2024, doi:10.48550/arXiv.2402.00281",
    "undefined": UNDEFINED,
}


@METRICS.register("att_cos", **DECLARED, invariance="scale")
def att_cos(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Cosine with a layer's attention, which is moved up to begin at 0 where it has negative values.

    A uniform map already scores the mask's mean over its root mean square, some .5 for maps of Action Units: read
    it beside the floors of `xfer.nulls.trivial`. Of the layer that training guided it is the training objective.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
    support : bool array (y, x), optional

    Returns
    -------
    array (...)
        NaN for a constant heatmap or a mask without weight; the published code counts those as 0, see `published`.

    Examples
    --------
    >>> import numpy as np
    >>> float(att_cos(np.array([[3, -1], [2, -1]]), np.array([[1, 0], [0, 0]])))
    0.8
    """
    h, m = views(heatmap, mask, support)
    return _cosine(h, m, h.xp.clip(h.low, max=0.0))


@METRICS.register("cam_cos", **DECLARED, invariance="affine")
def cam_cos(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Cosine with a class activation map that is stretched to [0, 1]; all else as `att_cos`.

    Examples
    --------
    >>> import numpy as np
    >>> float(cam_cos(np.array([[9, 5], [8, 5]]), np.array([[1, 0], [0, 0]])))
    0.8
    """
    h, m = views(heatmap, mask, support)
    return _cosine(h, m, h.low)


def published(scores: Array) -> Array:
    """Scores as the published code reports them: 0 in place of NaN, which lowers every mean that has one.

    >>> import numpy as np
    >>> published(np.array([0.5, np.nan])).tolist()
    [0.5, 0.0]
    """
    xp = array_namespace(scores)
    return xp.where(xp.isnan(scores), xp.zeros_like(scores), scores)


def _cosine(h: View, m: View, least: Array) -> Array:
    """Of the heatmap above its zero."""
    raised = h.values - least[..., None]
    score = divide(h.xp, dot(h.xp, raised, m.values), h.xp.sqrt(dot(h.xp, raised, raised)) * m.norm)
    return defined(score, h, m, UNDEFINED)
