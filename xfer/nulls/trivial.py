"""Floors: what maps score that know a face but not its expression. A cosine below them is no finding."""

from collections.abc import Mapping
from typing import Any

from array_api_compat import array_namespace

Array = Any

FLOORS: Mapping[str, str] = {
    "uniform": "the same value everywhere",
    "gaussian": "a round blob in the middle of the picture",
    "all_au": "every Action Unit at once",
    "mean": "the mean of the expressions' own masks",
}
"""Names and what they are, from the one that knows least to the one that knows most."""

SPREAD = 0.2
"""The blob's standard deviation as a share of the width: 45 px of 224, as the published numbers were computed with."""


def trivial_maps(
    masks: Array, units: Array, *, centre: tuple[float, float] = (0.5, 0.5), spread: float = SPREAD
) -> dict[str, Array]:
    """The maps behind the floors, of the same faces that the masks are drawn on.

    Parameters
    ----------
    masks : array (..., expression, y, x)
        In [0, 1]; numpy or torch.
    units : array (..., unit, y, x)
        Of all Action Units, or whatever there is in their place.
    centre : (y, x)
        The blob's middle, as shares of height and width.
    spread : float
        Its standard deviation, as a share of the width.

    Returns
    -------
    dict of str to array (..., y, x)
        One for each of `FLOORS`. A metric that needs contrast, such as IoU, is undefined for ``uniform``.

    References
    ----------
    Tatler 2007, doi:10.1167/7.14.4 (the centre of a picture as a rival)

    Examples
    --------
    >>> import numpy as np
    >>> maps = trivial_maps(np.eye(4).reshape(2, 2, 4), np.eye(4).reshape(2, 2, 4))
    >>> maps["uniform"].tolist(), maps["mean"].tolist()
    ([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]], [[0.5, 0.0, 0.5, 0.0], [0.0, 0.5, 0.0, 0.5]])
    """
    xp = array_namespace(masks, units)
    mean = xp.mean(masks, axis=-3)
    height, width = mean.shape[-2:]
    kind = {"dtype": mean.dtype, "device": mean.device}
    y = xp.arange(height, **kind) - (centre[0] * height - 0.5)
    x = xp.arange(width, **kind) - (centre[1] * width - 0.5)
    blob = xp.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * (spread * width) ** 2))
    return {
        "uniform": xp.ones_like(mean),
        "gaussian": xp.broadcast_to(blob, mean.shape),
        "all_au": xp.max(units, axis=-3),
        "mean": mean,
    }
