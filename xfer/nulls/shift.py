"""The map moved about, continued by its mirror images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer.nulls.spec import NULLS

LATTICE = 16
"""Steps along each axis of the map and its mirror image."""


@NULLS.register(
    "shift",
    kind="draws",
    reference="after Lotwick & Silverman 1982, doi:10.1111/j.2517-6161.1982.tb01221.x",
    words="the map itself moved about",
)
def shift(
    heatmap: NDArray[Any], support: NDArray[np.bool_], draws: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    """Windows of the map's size cut from the map and its mirror images, on a lattice over their whole period.

    Keeps the details of the map, which surrogates do not; but neighbouring windows resemble each other and some
    are the map itself in a mirror, so its p-values are coarse.

    Yields
    ------
    float32 array (k, y, x)
        At most ``LATTICE**2 - 1``; fewer draws are chosen at random.
    """
    height, width = heatmap.shape
    wide = np.pad(np.asarray(heatmap, np.float32), [(0, height), (0, width)], mode="symmetric")
    wide = np.pad(wide, [(0, height), (0, width)], mode="wrap")
    steps = np.arange(1, LATTICE**2)
    chosen = steps if draws >= len(steps) else np.sort(rng.choice(steps, draws, replace=False))
    tops, lefts = chosen // LATTICE * 2 * height // LATTICE, chosen % LATTICE * 2 * width // LATTICE
    for part in np.array_split(np.arange(len(chosen)), -(-len(chosen) // 16)):
        yield np.stack([wide[tops[i] : tops[i] + height, lefts[i] : lefts[i] + width] for i in part])
