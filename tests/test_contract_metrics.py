"""One suite for every registered metric: what it declares must hold.

A new metric is tested by being registered. Not tested here: the numbers themselves (see tests/metrics).
"""

import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xfer.errors import InputError
from xfer.metrics import METRICS, Metric, reason, view

SHAPE = (7, 6)
EXPECTED = {
    "iou", "dice", "precision", "recall", "iou_curve_area", "pearson", "spearman", "cosine", "energy_inside",
    "rank_accuracy", "pointing_game", "nss", "auc_judd", "shuffled_auc", "kl", "sim", "emd", "att_cos", "cam_cos",
}  # fmt: skip
CEILING = {
    "nss": lambda p: math.sqrt((1 - p) / p),
    "iou_curve_area": lambda p: p / 2 - p * math.log(p),
}
"""What a perfect heatmap scores where the declared best cannot be attained, given the mask's share p."""

every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=lambda m: m.name)


@pytest.fixture
def masks(rng: np.random.Generator) -> np.ndarray:
    """Three soft masks whose regions are neither empty nor full."""
    return rng.random((3, *SHAPE))


@pytest.fixture
def heatmap(rng: np.random.Generator) -> np.ndarray:
    """A signed heatmap with distinct values."""
    return rng.normal(size=SHAPE)


def options(metric: Metric, masks: np.ndarray) -> dict[str, Any]:
    return {"others": masks} if metric.contrast else {}


def chance(metric: Metric, p: float, q: float) -> float | None:
    """The declared chance as a number, None if it is in words."""
    try:
        return float(eval(metric.chance, {"__builtins__": {}}, {"p": p, "q": q, "log": math.log}))
    except (SyntaxError, NameError):
        return None


def test_the_metrics_of_the_design_are_there() -> None:
    assert set(METRICS) >= EXPECTED


@every_metric
def test_it_declares_itself_completely(metric: Metric) -> None:
    assert metric.best != metric.worst
    assert metric.mask in {"region", "map"}
    assert metric.invariance in {"increasing", "affine", "scale"}
    assert "doi:" in metric.reference or metric.reference.startswith("this package")
    assert chance(metric, 0.2, 0.3) is not None or " " in metric.chance
    accepted = inspect.signature(metric.function).parameters
    assert accepted["support"].kind is inspect.Parameter.KEYWORD_ONLY
    assert ("threshold" in accepted) == metric.thresholded
    assert ("others" in accepted) == metric.contrast
    assert "Examples" in (metric.function.__doc__ or "")


@every_metric
@pytest.mark.parametrize("threshold", ["otsu", "area", "upper_bound", 0.5])
def test_the_mask_itself_scores_best(metric: Metric, threshold: str | float, masks: np.ndarray) -> None:
    regions = (masks >= 0.7).astype(float)
    more = {"threshold": threshold} if metric.thresholded else {}
    scores = metric(regions, regions, **options(metric, regions), **more)
    best = [CEILING[metric.name](r.mean()) if metric.name in CEILING else metric.best for r in regions]
    np.testing.assert_allclose(scores, best, rtol=1e-10, atol=1e-10)


@every_metric
def test_nothing_scores_better_than_the_mask_itself(
    metric: Metric, masks: np.ndarray, rng: np.random.Generator
) -> None:
    region = (masks[0] >= 0.6).astype(float)
    rivals = rng.normal(region * rng.random((40, 1, 1)) * 6, 1.0)
    direction = 1 if metric.best > metric.worst else -1
    scores = direction * metric(rivals, region, **options(metric, masks))
    assert np.max(scores) <= direction * metric(region, region, **options(metric, masks)) + 1e-9
    assert np.ptp(scores) > 0.01


maps = arrays(np.float64, (2, 3), elements=st.sampled_from([-2.0, -0.5, 0.0, 0.1, 0.25, 1.0, 3.0]))
weights = arrays(np.float64, (2, 3), elements=st.sampled_from([0.0, 0.3, 0.5, 1.0]))


@every_metric
@given(heatmap=maps, mask=weights, other=weights)
@settings(max_examples=60, deadline=None)
def test_a_score_is_in_range_or_undefined_with_a_reason(
    metric: Metric, heatmap: np.ndarray, mask: np.ndarray, other: np.ndarray
) -> None:
    more = options(metric, other[None])
    score = float(metric(heatmap, mask, **more))
    why = reason(metric, heatmap, mask, **more)
    low, high = sorted((metric.best, metric.worst))
    assert math.isnan(score) == bool(why)
    assert why or low - 1e-12 <= score <= high + 1e-12


@every_metric
def test_pixels_may_be_shuffled_unless_it_is_spatial(
    metric: Metric, heatmap: np.ndarray, masks: np.ndarray, rng: np.random.Generator
) -> None:
    support = rng.random(SHAPE) > 0.3
    order = rng.permutation(int(support.sum()))
    moved = [m.copy() for m in (heatmap, *masks)]
    for m in moved:
        m[support] = m[support][order]
    before = metric(heatmap, masks, support=support, **options(metric, masks))
    moved_masks = np.stack(moved[1:])
    after = metric(moved[0], moved_masks, support=support, **options(metric, moved_masks))
    if metric.spatial:
        assert np.abs(after - before).max() > 1e-6
    else:
        np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-14)


CHANGES = {
    "scale": lambda h: 3.7 * h,
    "affine": lambda h: 3.7 * h + 1.3,
    "increasing": lambda h: np.exp(h) + h,
}


@every_metric
def test_it_is_as_invariant_as_it_declares_and_no_more(metric: Metric, heatmap: np.ndarray, masks: np.ndarray) -> None:
    both = np.stack([heatmap, abs(heatmap)])[:, None]
    expected = metric(both, masks, **options(metric, masks))
    promised = list(CHANGES).index(metric.invariance)
    for rank, change in enumerate(CHANGES.values()):
        changed = metric(change(both), masks, **options(metric, masks))
        if rank <= promised:
            np.testing.assert_allclose(changed, expected, rtol=1e-9, atol=1e-12)
        else:
            assert np.abs(changed - expected).max() > 1e-3


@every_metric
@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 0.1])
def test_a_constant_heatmap_is_undefined(metric: Metric, value: float, masks: np.ndarray) -> None:
    more = options(metric, masks)
    assert np.isnan(metric(np.full(SHAPE, value), masks, **more)).all()
    assert set(reason(metric, np.full(SHAPE, value), masks, **more)) == {"constant heatmap"}


@every_metric
def test_an_empty_mask_is_undefined(metric: Metric, heatmap: np.ndarray, masks: np.ndarray) -> None:
    masks[1] = 0
    scores = metric(heatmap, masks, **options(metric, masks))
    assert np.isnan(scores).tolist() == [False, True, False]
    assert reason(metric, heatmap, masks, **options(metric, masks)).tolist() == ["", "empty mask", ""]


@every_metric
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_undefined_inside_the_support_only(
    metric: Metric, value: float, heatmap: np.ndarray, masks: np.ndarray
) -> None:
    support = np.ones(SHAPE, bool)
    support[0, 0] = False
    more = options(metric, masks)
    expected = metric(heatmap, masks, support=support, **more)
    heatmap[0, 0] = value
    np.testing.assert_array_equal(metric(heatmap, masks, support=support, **more), expected)
    assert np.isnan(metric(heatmap, masks, **more)).all()
    assert set(reason(metric, heatmap, masks, **more)) == {"heatmap not finite"}
    heatmap[0, 0], masks[1, 0, 0] = 0, value
    assert reason(metric, heatmap, masks[:2], **options(metric, masks[2:])).tolist() == [
        "",
        "mask not finite",
    ]


@every_metric
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_torch_and_numpy_agree_and_each_gets_its_own_kind(
    metric: Metric, device: str, heatmap: np.ndarray, masks: np.ndarray
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    arrays32 = heatmap[None].astype(np.float32), masks.astype(np.float32), masks[0] > 0.1
    h, m, support = (torch.from_numpy(a).to(device) for a in arrays32)
    expected = metric(arrays32[0], arrays32[1], support=arrays32[2], **options(metric, arrays32[1]))
    score = metric(h, m, support=support, **options(metric, m))
    assert isinstance(expected, np.ndarray)
    assert isinstance(score, torch.Tensor)
    assert (score.dtype, score.device.type) == (torch.float64, device)
    np.testing.assert_allclose(score.cpu().numpy(), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(metric(h, m, support=arrays32[2], **options(metric, m)).cpu(), score.cpu())


@every_metric
@pytest.mark.parametrize("threshold", ["otsu", "area", "upper_bound", 0.3])
def test_broadcasting_is_a_loop(
    metric: Metric, threshold: str | float, masks: np.ndarray, rng: np.random.Generator
) -> None:
    heatmaps = np.stack([rng.integers(0, k, SHAPE) for k in (2, 9, 500, 4)]).reshape(4, 1, *SHAPE)
    more = {**options(metric, masks), **({"threshold": threshold} if metric.thresholded else {})}
    together = metric(heatmaps, masks, **more)
    one_by_one = [[float(metric(h[0], m, **more)) for m in masks] for h in heatmaps]
    assert together.shape == (4, 3)
    np.testing.assert_allclose(together, one_by_one, rtol=1e-12, atol=1e-14)


@every_metric
def test_support_is_cropping_unless_it_is_spatial(metric: Metric, heatmap: np.ndarray, masks: np.ndarray) -> None:
    if metric.spatial:
        pytest.skip("its grid spans the canvas, which cropping changes")
    support = np.zeros(SHAPE, bool)
    support[1:6, 2:5] = True
    cropped = masks[:, 1:6, 2:5]
    np.testing.assert_allclose(
        metric(heatmap, masks, support=support, **options(metric, masks)),
        metric(heatmap[1:6, 2:5], cropped, **options(metric, cropped)),
        rtol=1e-12,
    )


@pytest.mark.parametrize(
    "metric", [m for m in METRICS.values() if chance(m, 0.2, 0.3) is not None], ids=lambda m: m.name
)
def test_independent_maps_score_the_declared_chance(metric: Metric, rng: np.random.Generator) -> None:
    side, draws = 40, 200
    mask = (rng.permutation(side**2) < 0.2 * side**2).astype(float).reshape(side, side)
    others = (rng.permutation(side**2) < 0.4 * side**2).astype(float).reshape(1, side, side)
    more = {"threshold": 0.7} if metric.thresholded else {}
    scores = metric(rng.random((draws, side, side)), mask, **options(metric, others), **more)
    expected = chance(metric, 0.2, 0.3)
    assert abs(scores.mean() - expected) < 4 * scores.std() / math.sqrt(draws) + 0.002


@every_metric
def test_views_score_like_arrays_and_nothing_is_changed(metric: Metric, heatmap: np.ndarray, masks: np.ndarray) -> None:
    before = heatmap.copy(), masks.copy()
    h, m = view(heatmap[None]), view(masks)
    expected = metric(heatmap[None], masks, **options(metric, masks))
    for _ in range(2):
        np.testing.assert_array_equal(metric(h, m, **({"others": m} if metric.contrast else {})), expected)
    np.testing.assert_array_equal(heatmap, before[0])
    np.testing.assert_array_equal(masks, before[1])


@every_metric
def test_maps_of_different_size_are_told(metric: Metric) -> None:
    with pytest.raises(InputError) as error:
        metric(np.eye(3), np.eye(4), **options(metric, np.eye(4)[None]))
    assert str(error.value) == "'mask' must have the heatmap's 3 x 3 (rows x columns); got 4 x 4 (rows x columns)"
