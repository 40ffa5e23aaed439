"""Floors: on the mean face the published cosines of maps that know no expression."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter, zoom

from xfer import masks
from xfer.labels import BASIC
from xfer.metrics import METRICS
from xfer.nulls.trivial import FLOORS, SPREAD, trivial_maps
from xfer.rasteriser import rescale

PUBLISHED = {"uniform": 0.476, "gaussian": 0.587, "all_au": 0.724, "mean": 0.785}
"""`../shared/reference/studies.md` section 2: cosines with the own map, mean over six expressions."""


@pytest.fixture(scope="module")
def drawn(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """The six maps and the twenty Action Units as the published code makes them: 28 x 28, blurred, enlarged again."""
    points = np.loadtxt(shared / "data" / "mean_face_68_224px.csv", delimiter=",", skiprows=1)[:, 1:]
    small = masks.action_units("belharbi2024", rescale(points, 28 / 224), height=28, width=28)
    blurred = [uniform_filter(one.astype(float), 3, mode="mirror") for one in small]
    units = np.stack([zoom(one, 8, order=1, mode="nearest", grid_mode=True) for one in blurred])
    of = dict(zip(masks.source("belharbi2024").regions.action_units, units, strict=True))
    book = masks.source("belharbi2024_code").codebook.expressions
    maps = np.stack([np.max([of[code] for code in book[name].weights], axis=0) for name in BASIC])
    low, high = (each((1, 2), keepdims=True) for each in (maps.min, maps.max))
    return (maps - low) / (high - low), units


def test_the_published_floors_on_the_mean_face(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """The cosine is `att_cos`; for the uniform map, whose contrast is undefined there, it is worked out."""
    maps = trivial_maps(*drawn, centre=(125.5 / 224, 112.5 / 224))
    found = {name: float(METRICS["att_cos"](maps[name], drawn[0]).mean()) for name in FLOORS}
    assert np.isnan(found["uniform"])
    found["uniform"] = float(np.mean([m.mean() / np.sqrt((m**2).mean()) for m in drawn[0]]))
    assert found == pytest.approx(PUBLISHED, abs=0.01)


def test_a_blob_has_the_width_and_the_middle_it_is_given(rng: np.random.Generator) -> None:
    maps = rng.random((3, 200, 100))
    blob = trivial_maps(maps, maps, centre=(0.25, 0.5))["gaussian"]
    weight = blob / blob.sum()
    y, x = (np.indices(blob.shape)[axis] + 0.5 for axis in (0, 1))
    assert (weight * y).sum() == pytest.approx(50, abs=0.5)
    assert (weight * x).sum() == pytest.approx(50, abs=0.01)
    assert np.sqrt((weight * (y - 50) ** 2).sum()) == pytest.approx(100 * SPREAD, rel=0.05)


def test_a_batch_on_torch_is_each_face_alone(rng: np.random.Generator) -> None:
    masks_, units = rng.random((2, 3, 5, 4)), rng.random((2, 7, 5, 4))
    together = trivial_maps(torch.from_numpy(masks_), torch.from_numpy(units))
    for face in range(2):
        alone = trivial_maps(masks_[face], units[face])
        for name in FLOORS:
            np.testing.assert_allclose(together[name][face].numpy(), alone[name], rtol=1e-12)
