"""The benchmark's simulation, small: intervals cover, corrections remove bias, tests keep their level."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def simulation():
    path = Path(__file__).parents[1] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("coverage_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_intervals_cover(simulation):
    """60 studies: below 0.85 has a chance of 1 in 1,000 where the coverage is 0.95."""
    table = simulation.coverage(60, 30, 0.8, draws=100).set_index("number")
    assert (table["covered"] >= 0.85).all()
    assert (table["none"] == 0).all()
    biased = table.loc[["Pearson", "area IoU", "anchored"]]
    assert (biased["bias"].abs() < biased["raw bias"].abs()).all()


def test_a_plain_bootstrap_does_not(simulation):
    """What the correction is for: percentile intervals of the noisy mean map's score."""
    from xfer.statistics.sampling import bootstrap_weights
    from xfer.statistics.scores import pearson

    rng, covered = np.random.default_rng(1), []
    for _ in range(60):
        truth = simulation.Truth.random(rng)
        maps = truth.subjects(rng, 30, 0.5).reshape(30, -1)
        scores = pearson(bootstrap_weights(30, 200, rng) @ maps / 30, truth.mask)
        low, high = np.quantile(scores, [0.025, 0.975])
        covered.append(low <= pearson(truth.map, truth.mask) <= high)
    assert np.mean(covered) < 0.75


@pytest.mark.parametrize("name", ["paired permutation, Pearson", "Friedman", "PERMANOVA", "Mantel"])
def test_p_values_keep_their_level(simulation, name):
    n, found, power = simulation.validity(name, 60)
    for level, share in zip(simulation.LEVELS, found, strict=True):
        assert share <= level + 3.5 * np.sqrt(level * (1 - level) / n)
    assert power > 0.2
