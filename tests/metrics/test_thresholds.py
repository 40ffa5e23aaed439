"""Thresholding rules: exact searches in rational numbers, the 256-bin rule, and expectations over tie-breaking."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.filters import threshold_otsu

from xfer.errors import InputError
from xfer.metrics import view
from xfer.metrics.thresholds import cut, level, otsu, rule

bytes_maps = arrays(np.uint8, (5, 6), elements=st.integers(0, 255)).filter(lambda a: a.min() < a.max())
few_levels = arrays(np.uint8, (3, 4), elements=st.integers(0, 3)).filter(lambda a: a.min() < a.max())
regions = arrays(np.bool_, (3, 4)).filter(lambda a: a.any())


def otsu_by_fractions(values: np.ndarray) -> int:
    """The lowest of the best splits, searched over all distinct values in exact arithmetic."""
    best, split = Fraction(-1), 0
    whole = [int(v) for v in values.ravel()]
    for t in sorted(set(whole))[:-1]:
        low, high = [v for v in whole if v <= t], [v for v in whole if v > t]
        gap = Fraction(sum(low), len(low)) - Fraction(sum(high), len(high))
        between = len(low) * len(high) * gap**2
        if between > best:
            best, split = between, t
    return split


def foreground(values: np.ndarray) -> np.ndarray:
    seen = view(values)
    return values >= seen.levels[otsu(seen)]


@given(values=bytes_maps)
@settings(max_examples=60, deadline=None)
def test_otsu_is_the_exact_search(values: np.ndarray) -> None:
    np.testing.assert_array_equal(foreground(values), values > otsu_by_fractions(values))


@given(values=few_levels, factor=st.floats(1e-6, 1e6), offset=st.floats(-10, 10))
@settings(max_examples=60, deadline=None)
def test_otsu_settles_ties_alike_at_every_scale(values: np.ndarray, factor: float, offset: float) -> None:
    moved = (values + offset) * factor
    np.testing.assert_array_equal(foreground(moved), values > otsu_by_fractions(values))


def test_rounding_does_not_settle_a_tie_of_otsu() -> None:
    values = np.array([[2, 13, 18, 19, 24, 35]])
    assert otsu_by_fractions(values) == otsu_by_fractions(37 - values) == 13
    np.testing.assert_array_equal(foreground((values - 1.7) * 0.7), values > 13)


def test_otsu_is_scikit_images_on_eight_bits(rng: np.random.Generator) -> None:
    values = np.clip(rng.normal([[80.0], [150.0]], 30, (2, 3000)), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(foreground(values), values > threshold_otsu(values))


def test_otsu_takes_the_lowest_of_equal_splits() -> None:
    assert foreground(np.array([[0.0, 1.0, 2.0]])).tolist() == [[False, True, True]]


def test_a_number_is_a_share_of_the_range() -> None:
    heatmap, mask = view(np.array([[-2.0, 0.0, 1.0, 2.0]])), view(np.ones((1, 4)))
    areas = {t: float(cut(heatmap, mask, t)[1]) for t in (0.01, 0.5, 0.51, 0.75, 0.99)}
    assert areas == {0.01: 3, 0.5: 3, 0.51: 2, 0.75: 2, 0.99: 1}


@given(values=few_levels, region=regions)
@settings(max_examples=40, deadline=None)
def test_area_is_the_expectation_over_breaking_ties_at_random(values: np.ndarray, region: np.ndarray) -> None:
    size = int(region.sum())
    level = np.sort(values.ravel())[-size]
    sure = np.flatnonzero(values.ravel() > level)
    tied = np.flatnonzero(values.ravel() == level)
    draws = [region.ravel()[[*sure, *some]].sum() for some in combinations(tied.tolist(), size - len(sure))]
    hits, area = cut(view(values), view(region), "area")
    assert float(area) == size
    assert float(hits) == pytest.approx(float(np.mean(draws)), rel=1e-12)


def test_upper_bound_offers_every_level() -> None:
    hits, areas = cut(view(np.array([[3, 2, 2, 0]])), view(np.array([[0, 1, 0, 1]])), "upper_bound")
    assert hits.tolist() == [0, 1, 2]
    assert areas.tolist() == [1, 3, 4]


@pytest.mark.parametrize("threshold", ["otsu", "area", "upper_bound", 0.5, np.float64(0.25)])
def test_a_rule_is_handed_back(threshold: str | float) -> None:
    assert rule(threshold) == threshold


@pytest.mark.parametrize("threshold", ["otzu", "0.5", 0, 1, 1.0, -0.1, float("nan"), True, None])
def test_an_unknown_threshold_is_told(threshold: object) -> None:
    with pytest.raises(InputError) as error:
        rule(threshold)  # type: ignore[arg-type]
    assert str(error.value) == (
        f"'threshold' must be otsu, area, upper_bound or a number between 0 and 1; got {threshold!r}"
    )


@settings(deadline=None)
@given(bytes_maps, st.one_of(st.just("otsu"), st.floats(0.01, 0.99)))
def test_the_pixels_from_a_level_on_are_those_that_the_cut_counts(values, threshold):
    heatmap, mask = view(values.astype(float)), view(np.eye(5, 6))
    hits, area = cut(heatmap, mask, threshold)
    kept = values >= float(level(heatmap, mask, threshold))
    assert kept.sum() == area
    assert (kept & (np.eye(5, 6) > 0)).sum() == hits


@settings(deadline=None)
@given(few_levels, regions)
def test_the_level_of_the_area_is_the_lowest_value_that_is_needed(values, region):
    found = float(level(view(values.astype(float)), view(region.astype(float)), "area"))
    assert found == np.sort(values.ravel())[::-1][region.sum() - 1]


def test_a_level_has_the_scale_of_the_map_however_large_that_is():
    values = np.array([[0.0, 1.0], [3.0, 4.0]])
    for scale in (1.0, 1e200, 1e-200):
        assert float(level(view(values * scale), view(np.eye(2)), "otsu")) == 3.0 * scale


def test_upper_bound_has_no_one_level():
    with pytest.raises(InputError, match="tries every level"):
        level(view(np.eye(2)), view(np.eye(2)), "upper_bound")
