"""How well the heatmap ranks the pixels of the mask above others."""

from typing import Any

from xfer.errors import InputError
from xfer.metrics import METRICS
from xfer.metrics.conditions import CONSTANT_HEATMAP, EMPTY_REGION, FULL_REGION, NO_NEGATIVES, defined, union
from xfer.metrics.views import View, divide, dot, view, views

Array = Any

DECLARED: dict[str, Any] = {
    "best": 1.0,
    "worst": 0.0,
    "chance": "0.5",
    "mask": "region",
    "invariance": "increasing",
}


@METRICS.register(
    "auc_judd",
    reference="Judd et al. 2009, doi:10.1109/ICCV.2009.5459462",
    undefined=(CONSTANT_HEATMAP, EMPTY_REGION, FULL_REGION),
    **DECLARED,
)
def auc_judd(heatmap: Array, mask: Array, *, support: Array | None = None) -> Array:
    """Area under the ROC curve, pixels of the mask against all others.

    The chance that a pixel of the mask outranks one outside it (Mann and Whitney's U over the number of pairs);
    ties count half.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
        Batch dimensions broadcast.
    support : bool array (y, x), optional
        The pixels that count.

    Returns
    -------
    array (...)
        NaN for a constant heatmap, an empty or a full mask.

    Examples
    --------
    >>> import numpy as np
    >>> float(auc_judd(np.array([[3, 3], [1, 0]]), np.array([[1, 0], [0, 1]])))
    0.375
    """
    h, m = views(heatmap, mask, support)
    score = _area(h, h.hits(m), h.areas - h.hits(m))
    return defined(score, h, m, (CONSTANT_HEATMAP, EMPTY_REGION, FULL_REGION))


@METRICS.register(
    "shuffled_auc",
    reference="Zhang et al. 2008, doi:10.1167/8.7.32",
    undefined=(CONSTANT_HEATMAP, EMPTY_REGION, NO_NEGATIVES),
    contrast=True,
    **DECLARED,
)
def shuffled_auc(heatmap: Array, mask: Array, *, others: Array | None = None, support: Array | None = None) -> Array:
    """Area under the ROC curve, pixels of the mask against those of the other expressions' masks.

    What all expressions share, such as the centre of the face, earns nothing here. The negatives are the union of
    the other masks minus the mask itself.

    Parameters
    ----------
    heatmap, mask : array (..., y, x) or View
        Batch dimensions broadcast.
    others : array (k, ..., y, x) or View
        The other expressions' masks. The mask itself may be among them: it takes itself out.
    support : bool array (y, x), optional

    Returns
    -------
    array (...)
        NaN for a constant heatmap, an empty mask, or one that covers all the others.

    Raises
    ------
    InputError
        If ``others`` is missing or a single map.

    Examples
    --------
    >>> import numpy as np
    >>> heatmap, own, other = np.array([[[3, 2], [1, 0]], [[1, 0], [1, 0]], [[0, 1], [0, 0]]])
    >>> float(shuffled_auc(heatmap, own, others=other[None]))
    0.5
    """
    h, m = views(heatmap, mask, support)
    o = _others(others, support)
    score = _area(h, h.hits(m), h.sums(union(o) & ~m.region))
    return defined(score, h, m, (CONSTANT_HEATMAP, EMPTY_REGION, NO_NEGATIVES), o)


def _others(others: Array | None, support: Array | None) -> View:
    if others is None or (not isinstance(others, View) and others.ndim < 3):
        got = "nothing" if others is None else f"an array of {others.ndim} dimensions"
        raise InputError(f"'others' must be the other expressions' masks (k, y, x); got {got}")
    return view(others, support)


def _area(heatmap: View, positives: Array, negatives: Array) -> Array:
    """The area under the curve of running sums (..., k) of negatives and positives, by trapezia."""
    heights = positives - heatmap.steps(positives) / 2
    area = dot(heatmap.xp, heights, heatmap.steps(negatives))
    return divide(heatmap.xp, area, positives[..., -1] * negatives[..., -1])
