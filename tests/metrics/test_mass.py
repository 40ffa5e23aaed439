"""Mass and rank metrics re-derived pixel by pixel."""

import numpy as np
import pytest
from scipy.stats import zscore

from xfer.metrics import METRICS, reason
from xfer.metrics.mass import energy_inside, nss, pointing_game, rank_accuracy


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A signed heatmap with distinct values, and a region."""
    return rng.normal(size=(8, 9)), rng.random((8, 9)) > 0.6


def test_energy_counts_positive_relevance_only(pair) -> None:
    heatmap, mask = pair
    inside = sum(v for v, m in zip(heatmap.ravel(), mask.ravel(), strict=True) if v > 0 and m)
    total = sum(v for v in heatmap.ravel() if v > 0)
    assert float(energy_inside(heatmap, mask)) == pytest.approx(inside / total, rel=1e-12)


def test_energy_without_positive_relevance_is_undefined() -> None:
    heatmap, mask = np.array([[-1.0, -2.0]]), np.array([[1, 0]])
    assert np.isnan(energy_inside(heatmap, mask))
    assert reason(METRICS["energy_inside"], heatmap, mask) == "no positive relevance"


def test_rank_accuracy_counts_the_top_k(pair) -> None:
    heatmap, mask = pair
    ranked = sorted(zip(heatmap.ravel(), mask.ravel(), strict=True), reverse=True)
    k = int(mask.sum())
    assert float(rank_accuracy(heatmap, mask)) == pytest.approx(sum(m for _, m in ranked[:k]) / k, rel=1e-12)


@pytest.mark.parametrize("name", ["precision", "recall"])
def test_rank_accuracy_is_precision_and_recall_at_the_masks_area(name: str, rng: np.random.Generator) -> None:
    heatmap, mask = rng.integers(0, 5, (6, 7)), rng.random((6, 7)) > 0.5
    at_area = METRICS[name](heatmap, mask, threshold="area")
    assert float(rank_accuracy(heatmap, mask)) == pytest.approx(float(at_area), rel=1e-12)


def test_pointing_game_looks_where_the_maximum_is(pair) -> None:
    heatmap, mask = pair
    assert float(pointing_game(heatmap, mask)) == float(mask.ravel()[heatmap.argmax()])


def test_pointing_game_splits_the_point_among_maxima() -> None:
    assert float(pointing_game(np.array([[7, 7, 7, 7, 1]]), np.array([[1, 0, 0, 0, 1]]))) == 0.25


def test_nss_is_the_mean_z_score_inside(pair) -> None:
    heatmap, mask = pair
    assert float(nss(heatmap, mask)) == pytest.approx(zscore(heatmap, axis=None)[mask].mean(), rel=1e-12)


def test_nss_takes_its_z_scores_within_the_support(pair) -> None:
    heatmap, mask = pair
    support = np.zeros(heatmap.shape, bool)
    support[2:7, 1:8] = True
    expected = zscore(heatmap[support])[mask[support]].mean()
    assert float(nss(heatmap, mask, support=support)) == pytest.approx(expected, rel=1e-12)
