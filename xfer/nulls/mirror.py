"""The map turned upside down."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer.nulls.spec import NULLS


@NULLS.register(
    "mirror",
    kind="draws",
    reference="this package",
    words="the map itself upside down, and turned by half a turn",
)
def mirror(
    heatmap: NDArray[Any], support: NDArray[np.bool_], draws: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    """The map flipped top to bottom, and then left to right as well.

    Faces and masks are nearly symmetric, so left to right alone is the map itself again. Two values give no p-value.

    Yields
    ------
    float32 array (2, y, x)
    """
    yield np.stack([heatmap[::-1], heatmap[::-1, ::-1]]).astype(np.float32)
