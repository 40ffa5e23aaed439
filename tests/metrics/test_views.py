"""Views: pixels inside the support, levels, ranks; checked against NumPy and SciPy."""

import numpy as np
import pytest
from scipy.stats import rankdata

from xfer.errors import InputError
from xfer.metrics import METRICS, View, reason, view
from xfer.metrics.views import divide, gather, views


@pytest.fixture
def maps(rng: np.random.Generator) -> np.ndarray:
    """Maps with many ties and different numbers of levels (3, 4, 5)."""
    return np.stack([rng.integers(0, k, (4, 5)) for k in (3, 20, 6)]).astype(np.float32)


def test_levels_and_areas_are_those_of_unique_padded_at_the_end(maps: np.ndarray) -> None:
    seen = view(maps)
    for row, values in enumerate(maps):
        levels, counts = np.unique(values, return_counts=True)
        k = len(levels)
        np.testing.assert_array_equal(seen.levels[row, :k], levels[::-1])
        np.testing.assert_array_equal(seen.areas[row, :k], np.cumsum(counts[::-1]))
        np.testing.assert_array_equal(seen.levels[row, k:], levels[0])
        np.testing.assert_array_equal(seen.areas[row, k:], 20)


def test_ranks_are_scipys_average_ranks_about_their_mean(maps: np.ndarray) -> None:
    expected = rankdata(maps.reshape(3, -1), axis=-1) - 10.5
    np.testing.assert_array_equal(view(maps).ranks, expected)


def test_sums_add_up_what_lies_at_or_above_each_level(maps: np.ndarray, rng: np.random.Generator) -> None:
    weights = rng.random((2, 1, 20))
    sums = view(maps).sums(weights)
    for a in range(2):
        for b in range(3):
            for k, level in enumerate(view(maps).levels[b]):
                assert sums[a, b, k] == pytest.approx(weights[a, 0][maps[b].ravel() >= level].sum())


def test_support_selects_pixels_in_reading_order() -> None:
    support = np.array([[True, False], [True, True]])
    np.testing.assert_array_equal(view(np.array([[1, 2], [3, 4]]), support).values, [1.0, 3.0, 4.0])


def test_a_region_starts_at_one_half() -> None:
    seen = view(np.array([[0.0, 0.4999, 0.5, 1.0]]))
    assert seen.region.tolist() == [False, False, True, True]
    assert float(seen.area) == 2


def test_a_map_that_is_not_finite_is_zeroed_and_remembered() -> None:
    seen = view(np.array([[[1.0, np.nan]], [[1.0, 2.0]], [[-np.inf, 2.0]]]))
    assert seen.finite.tolist() == [False, True, False]
    np.testing.assert_array_equal(seen.values, [[0, 0], [1, 2], [0, 0]])


def test_values_are_float64_whatever_comes_in() -> None:
    assert {view(np.ones((2, 2), dtype)).values.dtype for dtype in ("uint8", "float32", "bool")} == {
        np.dtype("float64")
    }


def test_a_view_is_handed_back() -> None:
    support = np.ones((2, 2), bool)
    seen = view(np.eye(2), support)
    assert view(seen) is seen
    assert view(seen, support) is seen


def test_hits_are_counted_once_per_mask() -> None:
    h, m = view(np.arange(4.0).reshape(2, 2)), view(np.eye(2))
    assert h.hits(m) is h.hits(m)
    assert h.hits(view(1 - np.eye(2))) is not h.hits(m)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: views(np.ones((2, 3)), np.ones((3, 2))),
            "'mask' must have the heatmap's 2 x 3 (rows x columns); got 3 x 2 (rows x columns)",
        ),
        (
            lambda: view(np.ones((2, 3)), np.ones((2, 2), bool)),
            "'support' must have the maps' 2 x 3 (rows x columns); got 2 x 2 (rows x columns)",
        ),
        (
            lambda: view(np.ones((2, 2)), np.zeros((2, 2), bool)),
            "'support' must have at least one pixel; got none",
        ),
        (
            lambda: view(view(np.ones((2, 2))), np.ones((2, 2), bool)),
            "'support' differs from the one the view was made with; leave it out, or make a new view",
        ),
        (
            lambda: views(view(np.ones((2, 2)), np.eye(2, dtype=bool)), view(np.ones((2, 2)))),
            "'heatmap' and 'mask' must be views of one support",
        ),
    ],
)
def test_what_does_not_fit_together_is_told(call: object, message: str) -> None:
    with pytest.raises(InputError) as error:
        call()  # type: ignore[operator]
    assert str(error.value) == message


def test_gather_broadcasts_both_ways() -> None:
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(gather(np, values, np.array([2, 0])), [[2, 0], [5, 3]])
    several = np.array([[[0]], [[1]], [[2]]])
    np.testing.assert_array_equal(gather(view(values[None]).xp, values, several)[..., 0], [[0, 3], [1, 4], [2, 5]])


def test_divide_puts_its_own_value_where_the_denominator_is_zero() -> None:
    np.testing.assert_array_equal(divide(np, np.array([1.0, 0.0]), np.array([0.0, 2.0]), 7.0), [7.0, 0.0])


def test_reasons_come_one_per_pair_and_as_a_string_for_one() -> None:
    heatmaps = np.array([[[1.0, 1.0]], [[1.0, 2.0]]])[:, None]
    masks = np.array([[[0.0, 1.0]], [[0.0, 0.0]], [[1.0, 1.0]]])
    assert reason(METRICS["auc_judd"], heatmaps, masks).tolist() == [
        ["constant heatmap"] * 3,
        ["", "empty mask", "full mask"],
    ]
    assert reason(METRICS["iou"], heatmaps[1, 0], masks[0]) == ""
    assert reason(METRICS["shuffled_auc"], heatmaps[1, 0], masks[0], others=masks[:1]) == (
        "other masks leave no pixel outside this one"
    )


@pytest.mark.parametrize("name", ["pearson", "spearman"])
@pytest.mark.parametrize(("weight", "text"), [(0.0, "empty mask"), (0.7, "constant mask"), (1.0, "full mask")])
def test_a_mask_without_variation_is_told_by_its_level(name: str, weight: float, text: str) -> None:
    assert reason(METRICS[name], np.eye(2), np.full((2, 2), weight)) == text


def test_view_is_public() -> None:
    assert isinstance(view(np.eye(2)), View)
