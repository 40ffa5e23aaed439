"""Surrogates keep what they promise: the histogram exactly, the spectrum nearly, and nothing of the places."""

import numpy as np
import pytest
from scipy import fft
from scipy.ndimage import gaussian_filter

from xfer.metrics import view
from xfer.nulls.canvas import fill
from xfer.nulls.rearranged import Rearranged, questions
from xfer.nulls.surrogate import ITERATIONS, Target, mirrored, random_tori, surrogate


@pytest.fixture
def heatmap(rng: np.random.Generator) -> np.ndarray:
    field = gaussian_filter(rng.standard_normal((100, 90)), 6)[20:-20, 20:-20]
    return np.exp(field / field.std()).astype(np.float32)


def amplitude_error(fields: np.ndarray, target: Target) -> np.ndarray:
    """Root of the summed squared differences of amplitudes, over that of the amplitudes; one per field."""
    found = np.abs(fft.rfft2(fields))
    return np.sqrt(((found - target.amplitudes) ** 2).sum((1, 2)) / (target.amplitudes**2).sum())


def test_the_torus_has_no_seams_and_is_quick_to_transform(heatmap: np.ndarray) -> None:
    torus = mirrored(heatmap[:59, :49])
    assert torus.shape == (120, 100)
    np.testing.assert_array_equal(torus, torus[::-1, ::-1])
    np.testing.assert_allclose(torus[:59, :49] - torus[0, 0], heatmap[:59, :49] - heatmap[0, 0], atol=1e-5)
    assert abs(float(torus.mean(dtype=float))) < 1e-6


def test_random_phases_are_those_of_a_real_field(heatmap: np.ndarray) -> None:
    target = Target.of(mirrored(heatmap))
    fields = random_tori(target, 3, np.random.default_rng(0), 0)
    amplitudes = np.abs(target.normal)
    np.testing.assert_allclose(np.abs(fft.rfft2(fields)), np.broadcast_to(amplitudes, (3, *amplitudes.shape)),
                               rtol=1e-3, atol=amplitudes.max() * 1e-5)  # fmt: skip
    assert abs(np.corrcoef(fields[0].ravel(), fields[1].ravel())[0, 1]) < 0.5


def test_rounds_bring_the_spectrum_to_the_maps(heatmap: np.ndarray) -> None:
    """With the map's values in the order of the field, amplitudes come near the map's; this map is very skewed."""
    target = Target.of(mirrored(heatmap))
    errors = []
    for rounds in (0, ITERATIONS, 30):
        fields = random_tori(target, 4, np.random.default_rng(0), rounds)
        order = fields.reshape(4, -1).argsort(axis=1).argsort(axis=1)
        placed = np.sort(mirrored(heatmap), axis=None)[order].reshape(fields.shape)
        errors.append(float(amplitude_error(placed, target).max()))
    assert errors[0] > 2 * errors[1] > 2 * errors[2]
    assert errors[1] < 0.2


@pytest.mark.parametrize("whole", [True, False])
def test_the_histogram_inside_the_support_is_kept_exactly(heatmap: np.ndarray, whole: bool) -> None:
    y, x = np.indices(heatmap.shape)
    support = np.ones(heatmap.shape, bool) if whole else (y - 30) ** 2 + (x - 25) ** 2 < 24**2
    values = Rearranged(heatmap, view(np.zeros((1, *heatmap.shape)), support), support, [])
    fields = next(surrogate(fill(heatmap, support), support, 8, np.random.default_rng(0)))
    placed = values.place(fields[:, support])
    assert placed.shape == (16, support.sum())
    for row in placed:
        np.testing.assert_array_equal(np.sort(row), np.sort(values.own))
    assert len(np.unique(placed, axis=0)) == 16


def test_pixels_are_put_in_the_order_of_the_field(rng: np.random.Generator) -> None:
    heatmap = rng.permutation(np.arange(30.0)).reshape(5, 6).astype(np.float32)
    support = np.ones((5, 6), bool)
    values = Rearranged(heatmap, view(np.zeros((1, 5, 6)), support), support, questions([], []))
    field = rng.permutation(30).astype(np.float32)[None]
    placed = values.place(field) * values.deviation + values.mean
    np.testing.assert_allclose(placed, field, atol=1e-5)


def test_neighbours_resemble_each_other_as_in_the_map(heatmap: np.ndarray) -> None:
    """The mean autocorrelation of the draws at short distances is that of the map."""

    def lagged(maps: np.ndarray, lag: int) -> float:
        pairs = zip(maps[:, lag:].reshape(len(maps), -1), maps[:, :-lag].reshape(len(maps), -1), strict=True)
        return float(np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs]))

    support = np.ones(heatmap.shape, bool)
    values = Rearranged(heatmap, view(np.zeros((1, *heatmap.shape)), support), support, [])
    batches = surrogate(heatmap, support, 64, np.random.default_rng(0))
    placed = np.concatenate([values.place(f.reshape(len(f), -1)) for f in batches]).reshape(-1, *heatmap.shape)
    for lag in (1, 2, 4):
        assert lagged(placed, lag) == pytest.approx(lagged(heatmap[None], lag), abs=0.04)
    shuffled = np.random.default_rng(0).permutation(heatmap.ravel()).reshape(1, *heatmap.shape)
    assert lagged(shuffled, 1) < 0.1


def test_no_place_is_preferred(heatmap: np.ndarray) -> None:
    """The mean of many draws is flat: no pull to the middle or to the borders."""
    support = np.ones(heatmap.shape, bool)
    values = Rearranged(heatmap, view(np.zeros((1, *heatmap.shape)), support), support, [])
    draws = 400
    batches = surrogate(heatmap, support, draws, np.random.default_rng(0))
    mean = np.concatenate([values.place(f.reshape(len(f), -1)) for f in batches]).mean(axis=0)
    assert np.abs(mean).max() < 5 / np.sqrt(draws)
