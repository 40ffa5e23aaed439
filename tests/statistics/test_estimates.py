"""Estimates: agreement with the metrics, closed forms, reasons, and a small simulation of coverage."""

import numpy as np
import pytest

from xfer.errors import InputError
from xfer.metrics import METRICS
from xfer.statistics.estimates import Estimate, difference, estimate, mean_interval
from xfer.statistics.population import population
from xfer.statistics.sampling import bootstrap_weights
from xfer.statistics.scores import SCORES

NAMES = {
    "area_iou": ("iou", {"threshold": "area"}),
    "otsu_iou": ("iou", {"threshold": "otsu"}),
    "pearson": ("pearson", {}),
    "cosine": ("cosine", {}),
    "energy_inside": ("energy_inside", {}),
}


@pytest.fixture
def mask(rng):
    return (rng.random((9, 7)) < 0.3).astype(float)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("levels", [0, 5])
def test_scores_are_those_of_the_metrics(name, levels, rng, mask):
    """With ties too: maps of few levels."""
    maps = rng.integers(0, levels, (20, 9, 7)).astype(float) if levels else rng.standard_normal((20, 9, 7))
    metric, options = NAMES[name]
    expected = METRICS[metric](maps, mask, **options)
    np.testing.assert_allclose(SCORES[name](maps.reshape(20, -1), mask.ravel()), expected, rtol=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_the_value_is_the_score_of_the_mean_map_inside_the_support(name, rng, mask):
    maps = rng.random((12, 9, 7)) + 3 * mask
    support = rng.random((9, 7)) < 0.8
    maps[:, ~support] = np.nan
    metric, options = NAMES[name]
    expected = METRICS[metric](np.where(support, maps.mean(axis=0), 0), mask, support=support, **options)
    found = estimate(maps, mask, name, support=support, draws=50)
    assert found.value == pytest.approx(float(expected), rel=1e-6)
    assert found.reason == ""
    assert found.ci_low <= found.ci_high
    assert (found.n, len(found.draws)) == (12, 50)


def test_pearson_is_disattenuated_and_its_jackknife_is_the_plain_one(rng, mask):
    """Left-out values re-derived by calling the correction on 11 of 12 units."""
    maps = rng.random((12, 9, 7)) + mask
    found = estimate(maps, mask, "pearson", draws=4000)

    def corrected(rows):
        rows = rows.reshape(len(rows), -1) - rows.reshape(len(rows), -1).mean(axis=1, keepdims=True)
        pairs = [rows[i] @ rows[j] for i in range(len(rows)) for j in range(len(rows)) if i != j]
        centred = mask.ravel() - mask.mean()
        return rows.mean(axis=0) @ centred / np.linalg.norm(centred) / np.sqrt(np.mean(pairs))

    left = np.array([corrected(np.delete(maps, i, axis=0)) for i in range(12)])
    error = np.sqrt(11 / 12 * ((left - left.mean()) ** 2).sum())
    assert found.corrected == pytest.approx(corrected(maps), rel=1e-10)
    assert found.corrected == pytest.approx(found.value / np.sqrt(found.reliability), rel=1e-10)
    assert (found.ci_high - found.ci_low) / 2 == pytest.approx(2.200985160 * error, rel=1e-7)
    assert found.draws.std() == pytest.approx(error, rel=0.05)


def test_energy_of_positive_maps_is_a_ratio_of_means(rng, mask):
    maps = rng.random((8, 9, 7))
    found = estimate(maps, mask, "energy_inside", draws=10)
    assert found.value == pytest.approx((maps * mask).sum() / maps.sum(), rel=1e-10)
    assert (found.corrected, found.ci_method) == (pytest.approx(found.value, rel=1e-7), "jackknife")
    assert estimate(maps - 0.5, mask, "energy_inside", draws=10).ci_method in ("population draws", "")


def test_without_noise_the_draws_are_the_map(rng, mask):
    """Identical units: everything is signal, and nothing varies."""
    one = rng.standard_normal((9, 7))
    likely = population(np.repeat(one[None], 6, axis=0), mask)
    drawn = likely.draws(bootstrap_weights(6, 5, rng))
    np.testing.assert_allclose(drawn, np.broadcast_to(one.ravel(), (5, 63)), atol=2e-5)


def test_draws_keep_the_map_along_the_mask(rng, mask):
    """The mean of the draws has the mean map's inner products with the constant map and the mask."""
    maps = rng.standard_normal((10, 9, 7)).astype(np.float32) + mask
    likely = population(maps, mask)
    mean = maps.mean(axis=0).ravel()
    assert likely.mean.sum() == pytest.approx(mean.sum(), rel=1e-4)
    assert likely.mean @ mask.ravel() == pytest.approx(mean @ mask.ravel(), rel=1e-4)
    assert np.linalg.norm(likely.mean) < np.linalg.norm(mean)


def test_the_same_seed_gives_the_same_draws(rng, mask):
    maps = rng.random((10, 9, 7)) + 0.2 * mask
    first, again, other = (estimate(maps, mask, "area_iou", draws=40, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.draws, again.draws)
    assert (first.draws != other.draws).any()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda maps, mask: (maps[:0], mask), "no faces"),
        (lambda maps, mask: (maps[:1], mask), "1 unit: no interval"),
        (lambda maps, mask: (maps[:2], mask), "2 units: no interval"),
        (lambda maps, mask: (maps * 0 + 2, mask), "constant heatmap"),
        (lambda maps, mask: (maps * np.where(mask, np.nan, 1), mask), "heatmap not finite"),
        (lambda maps, mask: (maps, mask * 0), "empty mask"),
        (lambda maps, mask: (maps, mask * 0 + 1), "full mask"),
        (lambda maps, mask: (np.concatenate([maps, 2 * maps.mean() - maps[:, ::-1, ::-1]]), mask), None),
    ],
)
@pytest.mark.parametrize("name", ["pearson", "area_iou"])
def test_bad_input_is_nan_with_a_reason(change, reason, name, rng, mask):
    maps, truth = change(rng.random((6, 9, 7)) + mask, mask)
    found = estimate(maps, truth, name, draws=20)
    if reason is not None:
        assert found.reason == reason
        assert np.isnan([found.ci_low, found.ci_high, found.corrected]).all()
        assert not len(found.draws)
    assert bool(found.reason) == np.isnan(found.ci_low)


def test_noise_has_no_interval(mask):
    """Maps that cancel: the mean map is far smaller than its noise."""
    rng = np.random.default_rng(0)
    half = rng.standard_normal((5, 9, 7))
    maps = np.concatenate([half, -half]) + 1e-3 * rng.standard_normal((9, 7))
    found = estimate(maps, mask, "area_iou", draws=20)
    assert found.reason == "mean map indistinguishable from noise"
    assert np.isfinite(found.value)


def test_identical_maps_have_no_interval(rng, mask):
    maps = np.repeat(rng.random((1, 9, 7)), 5, axis=0)
    found = estimate(maps, mask, "pearson", draws=20)
    assert np.isfinite(found.value)
    assert np.isnan([found.ci_low, found.ci_high]).all()
    assert found.reason == "the maps of all 5 units are identical: no interval"


def test_unknown_scores_are_named(rng, mask):
    with pytest.raises(InputError, match=r"'score' must be one of area_iou, .* got 'pearsn'"):
        estimate(rng.random((5, 9, 7)), mask, "pearsn")


def test_differences_are_paired(rng, mask):
    """Two networks with the same noise differ by exactly their maps' difference."""
    maps = rng.random((20, 9, 7)) + mask
    one = estimate(maps, mask, "pearson", draws=50)
    found = difference(one, one)
    assert found.value == 0
    assert np.isnan([found.ci_low, found.ci_high]).all()
    assert found.reason == "the same difference in every draw: no interval"
    assert difference(one, estimate(maps[:10], mask, "pearson", draws=50)).reason == "not the same units"
    assert difference(one, Estimate(np.nan, reason="no faces")).reason == "no faces"


def test_plain_means(rng):
    values = np.r_[rng.exponential(size=40), np.nan]
    for method in ("BCa", "percentile"):
        found = mean_interval(values, method=method, draws=300)
        assert (found.ci_method, found.n) == (method, 40)
        assert found.ci_low < np.nanmean(values) == found.value < found.ci_high
    few = mean_interval(np.arange(5.0))
    assert (few.ci_method, few.ci_low) == ("t", pytest.approx(2 - 2.7764451 * np.sqrt(0.5), rel=1e-6))
    assert mean_interval(np.array([np.nan])).reason == "no values"
    assert mean_interval(np.array([1.0, 2.0])).reason == "2 units: no interval"
    assert mean_interval(np.ones(9)).reason == "constant values"
