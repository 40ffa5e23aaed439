"""Named normalisations of heatmaps (..., y, x), over numpy or torch; undefined is NaN."""

from collections.abc import Callable
from typing import Any

from array_api_compat import array_namespace

LEAST = 0.01
"""The share of a map's pixels that must be positive for `positive_l1`."""


def as_stored(maps: Any) -> Any:
    """The values as they are (``raw``: signed; ``published``: whatever a file held)."""
    return maps


def positive_l1(maps: Any) -> Any:
    """The positive part divided by its sum, per map.

    Parameters
    ----------
    maps : array (..., y, x)
        Signed relevance; NaN where no face was seen.

    Returns
    -------
    array (..., y, x)
        Sums to one over the pixels that are not NaN; NaN throughout where a map has no positive part, or one that
        covers less than `LEAST` of them: a face's whole weight on a few pixels would be a spike in the mean of many.

    Examples
    --------
    >>> import numpy as np
    >>> positive_l1(np.array([[3.0, -2.0], [1.0, 0.0]])).tolist()
    [[0.75, 0.0], [0.25, 0.0]]
    """
    xp = array_namespace(maps)
    zero = xp.zeros_like(maps)
    positive = xp.where(maps > 0, maps, zero)
    total = xp.sum(positive, axis=(-2, -1), keepdims=True)
    known = ~xp.isnan(maps)
    positives, pixels = (xp.sum(xp.astype(w, xp.float64), axis=(-2, -1), keepdims=True) for w in (maps > 0, known))
    defined = (total > 0) & (positives >= LEAST * pixels) & known
    shares = positive / xp.where(total > 0, total, total + 1)
    return xp.where(defined, shares, zero + float("nan"))


NORMALISATIONS: dict[str, Callable[[Any], Any]] = {
    "raw": as_stored,
    "positive_l1": positive_l1,
    "published": as_stored,
}
"""What the key ``normalisation`` may say, and how a face's map is brought there before it is averaged."""
