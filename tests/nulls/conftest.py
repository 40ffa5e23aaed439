"""Small studies for null models."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from xfer.labels import KEY

SHAPE = (40, 32)
EXPRESSIONS = ("anger", "fear", "happiness")

Labelled = Callable[..., xr.DataArray]


@pytest.fixture
def masks() -> xr.DataArray:
    """Three overlapping ellipses."""
    y, x = np.indices(SHAPE)
    drawn = [((y - a) / 8) ** 2 + ((x - b) / 9) ** 2 < 1 for a, b in ((12, 12), (14, 20), (29, 16))]
    values = np.array(drawn, dtype=np.float32)
    return xr.DataArray(values, {"expression": list(EXPRESSIONS)}, ("expression", "y", "x"), "ellipses")


@pytest.fixture
def support() -> np.ndarray:
    """A round face that does not fill the canvas."""
    y, x = np.indices(SHAPE)
    return ((y - 20) / 18) ** 2 + ((x - 15.5) / 14) ** 2 < 1


@pytest.fixture
def labelled() -> Labelled:
    """Maps (cell, y, x) with their key."""

    def label(maps: np.ndarray, **parts: list[str]) -> xr.DataArray:
        keys = {name: parts.get(name, ["none"] * len(maps)) for name in KEY}
        return xr.DataArray(maps, {name: ("cell", values) for name, values in keys.items()}, ("cell", "y", "x"))

    return label


@pytest.fixture
def study(labelled: Labelled, rng: np.random.Generator) -> xr.DataArray:
    """Two networks x three expressions of smooth, skewed maps."""
    noise = rng.standard_normal((6, SHAPE[0] + 40, SHAPE[1] + 40))
    fields = np.stack([gaussian_filter(field, 3) for field in noise])[:, 20:-20, 20:-20]
    maps = np.exp(fields / fields.std()).astype(np.float32)
    return labelled(maps, model=["a"] * 3 + ["b"] * 3, expression=list(EXPRESSIONS) * 2)
