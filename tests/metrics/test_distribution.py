"""KL and SIM re-derived pixel by pixel, and against SciPy where no epsilon matters."""

import math

import numpy as np
import pytest
from scipy.stats import entropy

from xfer.metrics.distribution import kl, sim


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A signed heatmap and a soft mask with zeros."""
    return rng.normal(size=(7, 6)), np.clip(rng.normal(0.3, 0.3, (7, 6)), 0, 1)


def shares(values: np.ndarray) -> list[float]:
    positive = [max(float(v), 0.0) for v in values.ravel()]
    return [v / math.fsum(positive) for v in positive]


def test_kl_is_the_benchmarks_sum(pair) -> None:
    h, m = map(shares, pair)
    e = 2.0**-52
    expected = math.fsum(b * math.log(e + b / (e + a)) for a, b in zip(h, m, strict=True))
    assert float(kl(*pair)) == pytest.approx(expected, rel=1e-10)


def test_kl_of_positive_maps_is_scipys_relative_entropy(rng: np.random.Generator) -> None:
    heatmap, mask = rng.random((9, 9)) + 0.1, rng.random((9, 9)) + 0.1
    assert float(kl(heatmap, mask)) == pytest.approx(entropy(mask.ravel(), heatmap.ravel()), rel=1e-10)


def test_kl_is_never_below_zero(rng: np.random.Generator) -> None:
    mask = rng.random((30, 30))
    assert 0 <= float(kl(mask, mask)) < 1e-9


def test_sim_is_the_shared_mass(pair) -> None:
    expected = math.fsum(min(a, b) for a, b in zip(*map(shares, pair), strict=True))
    assert float(sim(*pair)) == pytest.approx(expected, rel=1e-12)


def test_disjoint_maps_share_nothing() -> None:
    heatmap, mask = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert float(sim(heatmap, mask)) == 0.0
    assert float(kl(heatmap, mask)) == pytest.approx(52 * math.log(2), rel=1e-12)
