"""Correlations against SciPy and scikit-learn in float64."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics.pairwise import cosine_similarity

from xfer.metrics.correlation import cosine, pearson, spearman

REFERENCES = [
    (pearson, lambda a, b: pearsonr(a, b).statistic),
    (spearman, lambda a, b: spearmanr(a, b).statistic),
    (cosine, lambda a, b: cosine_similarity(a[None], b[None])[0, 0]),
]


@pytest.mark.parametrize(("metric", "reference"), REFERENCES)
@pytest.mark.parametrize("kind", ["continuous", "tied", "binary mask", "offset"])
def test_the_reference_library_agrees(metric, reference, kind: str, rng: np.random.Generator) -> None:
    heatmap, mask = rng.normal(size=(40, 30)), rng.random((40, 30))
    if kind == "tied":
        heatmap, mask = np.round(heatmap * 2), np.round(mask * 4) / 4
    if kind == "binary mask":
        mask = (mask > 0.8).astype(float)
    if kind == "offset":
        heatmap = heatmap * 1e-3 + 100
    expected = reference(heatmap.ravel(), mask.ravel())
    assert float(metric(heatmap, mask)) == pytest.approx(expected, rel=1e-10)


def test_cosine_ignores_no_mean() -> None:
    assert float(cosine(np.array([[1.0, 1.0, 2.0]]), np.array([[1.0, 1.0, 1.0]]))) == pytest.approx(
        4 / np.sqrt(18), rel=1e-14
    )


@pytest.mark.parametrize("metric", [pearson, spearman, cosine])
def test_opposites_score_worst(metric) -> None:
    mask = np.array([[0.0, 0.25], [0.5, 1.0]])
    assert float(metric(-mask, mask)) == pytest.approx(-1.0, rel=1e-14)
