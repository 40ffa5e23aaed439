"""Units, weights, halves and reliability."""

import numpy as np
import pytest

from xfer.errors import InputError
from xfer.statistics.reliability import cross_products, gram, reliability, spearman_brown, split_half
from xfer.statistics.sampling import bootstrap_weights, half_samples, jackknife_weights, unit_maps


def test_unit_maps_of_equal_counts_are_the_means(rng):
    sums = rng.random((6, 4, 3))
    np.testing.assert_allclose(unit_maps(sums, np.full(6, 5)), sums / 5, rtol=1e-6)


def test_unit_maps_average_to_the_mean_map_and_have_its_jackknife(rng):
    """Counts differ from block to block and pixel to pixel; leaving a block out agrees to first order."""
    counts = rng.integers(20, 30, (50, 4, 3)).astype(float)
    sums = counts + 3 * rng.standard_normal((50, 4, 3))
    maps = unit_maps(sums, counts).astype(float)
    mean = sums.sum(axis=0) / counts.sum(axis=0)
    np.testing.assert_allclose(maps.mean(axis=0), mean, rtol=1e-6)
    left = np.stack([np.delete(sums, i, 0).sum(0) / np.delete(counts, i, 0).sum(0) for i in range(50)])
    linear = (maps.sum(axis=0) - maps) / 49
    np.testing.assert_allclose(linear - mean, left - mean, atol=0.03 * abs(left - mean).max())


def test_groups_are_units(rng):
    sums, counts, folds = rng.random((6, 4, 3)), rng.integers(1, 9, 6), ["b", "a", "b", "a", "c", "c"]
    by_hand = np.stack([sums[[1, 3]].sum(0), sums[[0, 2]].sum(0), sums[[4, 5]].sum(0)])
    merged = unit_maps(by_hand, np.array([counts[[1, 3]].sum(), counts[[0, 2]].sum(), counts[[4, 5]].sum()]))
    np.testing.assert_allclose(unit_maps(sums, counts, folds), merged, rtol=1e-6)


def test_units_without_faces_are_left_out(rng):
    sums, counts = rng.random((4, 3, 2)), np.array([3, 0, 2, 0])
    sums[counts == 0] = 0
    np.testing.assert_array_equal(unit_maps(sums, counts), unit_maps(sums[::2], counts[::2]))
    assert unit_maps(sums * 0, counts * 0).shape == (0, 3, 2)


def test_uncovered_pixels_are_nan_and_lengths_are_checked(rng):
    counts = np.ones((3, 2, 2))
    counts[:, 0, 0] = 0
    maps = unit_maps(np.ones((3, 2, 2)), counts)
    assert np.isnan(maps[:, 0, 0]).all()
    assert np.isfinite(maps[:, 1]).all()
    with pytest.raises(InputError, match="one entry a block; got 3 sums, 2 counts"):
        unit_maps(np.ones((3, 2, 2)), np.ones(2))


def test_bootstrap_weights_have_the_variance_of_a_mean(rng):
    values = rng.standard_normal(10)
    means = bootstrap_weights(10, 200_000, rng) @ values / 10
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)
    assert means.var() == pytest.approx(values.var(ddof=1) / 10, rel=0.02)
    np.testing.assert_allclose(jackknife_weights(4).sum(axis=1), 4)


@pytest.mark.parametrize("n", [7, 8])
def test_halves(n, rng):
    halves = half_samples(n, 500, rng)
    assert (halves.sum(axis=1) == n // 2).all()
    assert (abs(halves.mean(axis=0) - n // 2 / n) < 0.1).all()
    folds = np.array([0, 0, 0, 1, 1, 1, 1, 2][:n])
    stratified = half_samples(n, 500, rng, folds)
    assert set(stratified[:, :3].sum(axis=1)) == {1, 2}
    assert (stratified[:, 3:7].sum(axis=1) == 2).all()


def test_split_half_reliability_is_the_squared_correlation_with_the_population_map():
    rng, found = np.random.default_rng(1), []
    for _ in range(30):
        truth = rng.standard_normal(400)
        rows = truth + np.sqrt(10) * 0.5 * rng.standard_normal((10, 400))
        found.append((split_half(rows, rng=rng), reliability(rows), np.corrcoef(rows.mean(axis=0), truth)[0, 1] ** 2))
    halves, limit, true = np.mean(found, axis=0)
    assert halves == pytest.approx(true, abs=0.01)
    assert limit == pytest.approx(0.8, abs=0.01)


def test_reliability_of_few_and_of_constant_maps(rng):
    assert np.isnan(split_half(rng.random((1, 9)), rng=rng))
    assert np.isnan(reliability(rng.random((1, 9))))
    assert np.isnan(split_half(np.ones((4, 9)), rng=rng))
    assert spearman_brown(1.0) == 1.0


def test_cross_products_pair_different_units_only(rng):
    rows = rng.standard_normal((5, 12))
    products = gram(rows)
    pairs = [products[i, j] for i in range(5) for j in range(5) if i != j]
    assert cross_products(products) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert cross_products(products, np.ones((1, 5)))[0] == pytest.approx(np.mean(pairs), rel=1e-12)
    twice = cross_products(products, np.array([[2.0, 1, 0, 0, 0]]))
    assert twice[0] == pytest.approx(products[0, 1], rel=1e-12)
    assert np.isnan(cross_products(products, np.array([[0.0, 2.5, 0, 0, 0]]))).all()
