"""From a heatmap to a region: thresholding rules, and how much of a mask each cuts out."""

from typing import Any

from xfer.errors import InputError
from xfer.metrics.views import View, divide, gather

Array = Any

RULES = ("otsu", "area", "upper_bound")


def rule(threshold: str | float) -> str | float:
    """Check a threshold: a rule's name or a number between 0 and 1.

    Raises
    ------
    InputError
        If it is neither.
    """
    number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if threshold in RULES or (number and 0 < float(threshold) < 1):
        return threshold
    raise InputError(f"'threshold' must be {', '.join(RULES)} or a number between 0 and 1; got {threshold!r}")


def cut(heatmap: View, mask: View, threshold: str | float) -> tuple[Array, Array]:
    """How many pixels a threshold leaves of the heatmap, and how many of them lie in the mask's region.

    Parameters
    ----------
    heatmap, mask : View
    threshold : {"otsu", "area", "upper_bound"} or float in (0, 1)
        ``otsu``: `otsu`. ``area``: as many pixels as the mask has, see `top`. A number t: values of at least
        minimum + t (maximum - minimum). ``upper_bound``: every level of the heatmap, on a last axis.

    Returns
    -------
    hits, area : array (...), or (..., k) for ``upper_bound``
    """
    threshold = rule(threshold)
    if threshold == "upper_bound":
        return heatmap.hits(mask), heatmap.areas
    if threshold == "area":
        return top(heatmap, mask, mask.area), mask.area
    index = otsu(heatmap) if threshold == "otsu" else _relative(heatmap, float(threshold))
    return _at(heatmap, heatmap.hits(mask), index), _at(heatmap, heatmap.areas, index)


def level(heatmap: View, mask: View, threshold: str | float) -> Array:
    """The value of a heatmap from which on a threshold keeps its pixels (...).

    With ``area`` the pixels of that very value are kept in part, see `top`.

    Raises
    ------
    InputError
        If the threshold is none, or ``upper_bound``, which keeps every level in turn.

    >>> import numpy as np
    >>> from xfer.metrics import view
    >>> heatmap, mask = np.array([[0.0, 1.0], [3.0, 4.0]]), np.array([[0, 0], [0, 1]])
    >>> [float(level(view(heatmap), view(mask), rule)) for rule in ("otsu", "area", 0.25)]
    [3.0, 4.0, 1.0]
    """
    if rule(threshold) == "upper_bound":
        raise InputError("'upper_bound' tries every level of a heatmap; give otsu, area or a number between 0 and 1")
    if threshold == "area":
        index = _reaching(heatmap, mask.area)
    else:
        index = otsu(heatmap) if threshold == "otsu" else _relative(heatmap, float(threshold))
    found = _at(heatmap, heatmap.levels, index)
    return found if heatmap.scale is None else found * heatmap.scale


def otsu(heatmap: View) -> Array:
    """Index in ``heatmap.levels`` of the last level above Otsu's threshold (...).

    The split with the largest variance between the classes, over all splits of the distinct values, so the result
    does not depend on bins or scale; on maps of 8 bits it is the rule of 256 bins. Of equal splits (to 1e-12) the
    lowest is taken, as by a search from below.

    References
    ----------
    Otsu 1979, doi:10.1109/TSMC.1979.4310076
    """
    xp, area, n = heatmap.xp, heatmap.areas, heatmap.n
    weight = _relative_levels(heatmap) * heatmap.steps(area)
    total = xp.cumulative_sum(weight, axis=-1)
    between = divide(xp, (total * n - total[..., -1:] * area) ** 2, area * (n - area), -1.0)
    near = between >= xp.max(between, axis=-1, keepdims=True) * (1 - 1e-12)
    lowest = xp.argmax(xp.astype(xp.flip(near & (area < n), axis=-1), xp.int8), axis=-1)
    return near.shape[-1] - 1 - lowest


def top(heatmap: View, mask: View, area: Array) -> Array:
    """How many of the ``area`` highest pixels lie in the mask's region (...).

    Pixels tied at the cut share what is left of the area equally: the expectation over breaking ties at random.
    """
    xp = heatmap.xp
    index = _reaching(heatmap, area)
    areas, hits = heatmap.areas, heatmap.hits(mask)
    width = _at(heatmap, heatmap.steps(areas), index)
    missing = _at(heatmap, areas, index) - area
    return _at(heatmap, hits, index) - divide(xp, missing, width, 0.0) * _at(heatmap, heatmap.steps(hits), index)


def _reaching(heatmap: View, area: Array) -> Array:
    """Index of the highest level with at least so many pixels at or above it (...)."""
    xp = heatmap.xp
    return xp.sum(xp.astype(heatmap.areas < area[..., None], xp.int64), axis=-1)


def _relative(heatmap: View, level: float) -> Array:
    above = heatmap.xp.astype(_relative_levels(heatmap) >= level, heatmap.xp.int64)
    return heatmap.xp.clip(heatmap.xp.sum(above, axis=-1) - 1, min=0)


def _relative_levels(heatmap: View) -> Array:
    low, high = heatmap.low[..., None], heatmap.high[..., None]
    return divide(heatmap.xp, heatmap.levels - low, high - low, 0.0)


def _at(heatmap: View, values: Array, index: Array) -> Array:
    """Values (..., k) at one index (...) per row; batch dimensions broadcast."""
    return gather(heatmap.xp, values, index[..., None])[..., 0]
