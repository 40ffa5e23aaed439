"""Coarser pixels, cropping and filling."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xfer.metrics import METRICS
from xfer.nulls import resolution_differences
from xfer.nulls.canvas import bounding_box, coarsen, coarsen_masks, coarsen_support, fill


def test_blocks_are_means_over_the_support(rng: np.random.Generator) -> None:
    maps, support = rng.random((2, 5, 4)), np.ones((5, 4), bool)
    support[0, 0] = support[0, 1] = support[1, 0] = False
    found = coarsen(maps, support, 2)
    assert found.shape == (2, 3, 2)
    np.testing.assert_allclose(found[:, 0, 0], maps[:, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1, 1], maps[:, 2:4, 2:4].mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found[:, 2, 0], maps[:, 4, :2].mean(1), rtol=1e-6)
    assert coarsen_support(support, 2).tolist() == [[False, True], [True, True], [True, True]]
    np.testing.assert_array_equal(coarsen(maps, np.ones((5, 4), bool), 1), maps.astype(np.float32))


def test_regions_keep_their_size() -> None:
    """A band of odd height whose border halves every block it crosses."""
    mask, whole = np.zeros((1, 40, 40)), np.ones((40, 40), bool)
    mask[0, 9:31] = 1
    assert (coarsen(mask, whole, 2) >= 0.5).mean() == 24 / 40
    coarse = coarsen_masks(mask, whole, 2)
    assert (coarse >= 0.5).mean() == mask.mean()
    np.testing.assert_allclose(coarse, coarsen(mask, whole, 2), atol=0.0011)
    np.testing.assert_array_equal(coarsen_masks(mask / 2, whole, 1), (mask / 2).astype(np.float32))


def test_a_missing_pixel_spoils_its_block_only() -> None:
    maps = np.ones((4, 4))
    maps[0, 0] = np.nan
    assert np.isnan(coarsen(maps, np.ones((4, 4), bool), 2)).tolist() == [[True, False], [False, False]]


def test_outside_pixels_take_the_nearest_value(rng: np.random.Generator) -> None:
    maps, support = rng.random((3, 6, 7)), np.zeros((6, 7), bool)
    support[2:4, 1:6] = True
    filled = fill(maps, support)
    np.testing.assert_array_equal(filled[:, 2:4, 1:6], maps[:, 2:4, 1:6])
    np.testing.assert_array_equal(filled[:, 0, 3], maps[:, 2, 3])
    np.testing.assert_array_equal(filled[:, 5, 6], maps[:, 3, 5])
    assert bounding_box(support) == (slice(2, 4), slice(1, 6))
    assert fill(maps, np.ones((6, 7), bool)) is maps


def test_differences_are_coarse_minus_full(study: xr.DataArray, masks: xr.DataArray) -> None:
    found = resolution_differences(study, masks, metrics=["pearson"])
    halves = study.values.reshape(6, 20, 2, 16, 2).mean((2, 4)), masks.values.reshape(3, 20, 2, 16, 2).mean((2, 4))
    coarse = METRICS["pearson"](halves[0][0], halves[1][0])
    full = METRICS["pearson"](study.values[0], masks.values[0])
    assert isinstance(found, pd.DataFrame)
    assert found["full"][0] == pytest.approx(float(full), rel=1e-6)
    assert found["difference"][0] == pytest.approx(float(coarse - full), abs=1e-4)
    assert found["difference"].abs().max() < 0.05
