"""Overlap: plain sets of pixels, and the IoU curve by numerical integration."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from xfer.metrics.overlap import dice, iou, iou_curve_area, precision, recall

REFERENCES = [(iou, jaccard_score), (dice, f1_score), (precision, precision_score), (recall, recall_score)]


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A heatmap of eight bits with ties, and a soft mask."""
    return rng.integers(0, 40, (12, 11)).astype(np.uint8), rng.random((12, 11))


@pytest.mark.parametrize(("metric", "reference"), REFERENCES)
def test_a_number_as_threshold_is_scikit_learns(metric, reference, pair) -> None:
    heatmap, mask = pair
    level = heatmap.min() + 0.4 * (int(heatmap.max()) - int(heatmap.min()))
    expected = reference(mask.ravel() >= 0.5, heatmap.ravel() >= level)
    assert float(metric(heatmap, mask, threshold=0.4)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("metric", "reference"), REFERENCES)
def test_upper_bound_is_the_best_of_all_thresholds(metric, reference, pair) -> None:
    heatmap, mask = pair
    every = [reference(mask.ravel() >= 0.5, heatmap.ravel() >= level) for level in np.unique(heatmap)]
    assert float(metric(heatmap, mask, threshold="upper_bound")) == pytest.approx(max(every), rel=1e-12)


@pytest.mark.parametrize(("metric", "reference"), REFERENCES)
def test_area_without_ties_is_scikit_learns(metric, reference, rng: np.random.Generator) -> None:
    heatmap, mask = rng.random((9, 8)), rng.random((9, 8)) > 0.7
    level = np.sort(heatmap.ravel())[-mask.sum()]
    expected = reference(mask.ravel(), heatmap.ravel() >= level)
    assert float(metric(heatmap, mask, threshold="area")) == pytest.approx(expected, rel=1e-12)


def curve(heatmap: np.ndarray, mask: np.ndarray, area: float) -> float:
    """IoU of the top `area` pixels (a fraction allowed), pixel by pixel from the top, ties shared equally."""
    hits, left = 0.0, area
    for level in sorted(set(heatmap.ravel().tolist()), reverse=True):
        tied = heatmap == level
        taken = min(left, float(tied.sum()))
        hits += taken * mask[tied].mean()
        left -= taken
    return hits / (area + mask.sum() - hits)


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_curve_area_is_the_integral(levels: int, rng: np.random.Generator) -> None:
    heatmap, mask = rng.integers(0, levels, (5, 6)), rng.random((5, 6)) > 0.6
    breaks = np.cumsum(np.unique(heatmap, return_counts=True)[1][::-1])
    edges = [0, *breaks.tolist()]
    parts = [quad(lambda a: curve(heatmap, mask, a), low, high, epsabs=1e-13)[0] for low, high in pairwise(edges)]
    assert float(iou_curve_area(heatmap, mask)) == pytest.approx(sum(parts) / 30, rel=1e-10)


def test_curve_area_of_the_mask_itself_has_a_closed_form() -> None:
    mask = np.arange(100).reshape(10, 10) < 37
    p = 0.37
    assert float(iou_curve_area(mask * 1.0, mask)) == pytest.approx(p / 2 - p * math.log(p), rel=1e-12)


def test_curve_area_keeps_its_digits_where_a_level_almost_fills_the_mask() -> None:
    mask = np.ones((250, 250))
    mask[0, 0] = 0
    heatmap = np.ones((250, 250))
    heatmap[-1, -1] = 2
    n, size = 62500, 62499
    inside = size - 1
    expected = (0.5 / size) + quad(
        lambda a: (1 + inside * (a - 1) / (n - 1)) / (a + size - 1 - inside * (a - 1) / (n - 1)),
        1,
        n,
        epsabs=1e-11,
        epsrel=1e-13,
    )[0]
    assert float(iou_curve_area(heatmap, mask)) == pytest.approx(expected / n, rel=1e-10)


def test_the_published_ious(published) -> None:
    """All 72 values the authors printed."""
    import pandas as pd
    from PIL import Image

    table = pd.read_csv(published / "iou_by_network.csv")
    assert len(table) == 72
    for row in table.itertuples():
        name = row.expression.capitalize()
        heatmap = np.asarray(Image.open(published / "by_network" / f"{row.model}_{name}_heatmap.png"))
        mask = np.asarray(Image.open(published / "masks" / f"{name}_gt.png").convert("L")) / 255
        assert float(iou(heatmap, mask)) == pytest.approx(row.iou_otsu, abs=1e-9), (row.model, name)
        assert float(iou(heatmap / np.float32(255), mask)) == pytest.approx(row.iou_otsu, abs=1e-9)
