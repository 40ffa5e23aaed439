"""The ceiling of human alignment, against closed forms and simulated raters."""

from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from xfer.heatmaps import consensus
from xfer.statistics.raters import split_half_ceiling
from xfer.statistics.scores import SCORES

SHAPE = (34, 28)


def truth() -> np.ndarray:
    """Eyes and mouth, and a little everywhere."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    spots = ((10, 8, 3, 1), (10, 20, 3, 1), (25, 14, 5, 0.7))
    return 0.5 + sum(h * np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * s**2)) for a, b, s, h in spots)


def simulated(n: int, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Shares (rater, pixel): the truth and smooth noise of standard deviation `noise`."""
    fields = gaussian_filter(rng.standard_normal((n, SHAPE[0] + 20, SHAPE[1] + 20)), (0, 2, 2))[:, 10:-10, 10:-10]
    maps = np.maximum(truth() + noise * fields / fields.std(), 0).reshape(n, -1)
    return maps / maps.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n", [6, 9])
def test_pearson_recovers_the_known_reliability(n: int) -> None:
    """Raters' noise has the variance of the truth: n of them have the reliability n / (n + 1). Tolerance .03."""
    rng, signal = np.random.default_rng(n), truth().var()
    noise = np.sqrt(signal)
    wide = [simulated(n, noise, rng) for _ in range(30)]
    found = [split_half_ceiling(shares, "pearson", seed=i).corrected for i, shares in enumerate(wide)]
    between = [np.corrcoef(wide[i].mean(0), wide[i + 15].mean(0))[0, 1] for i in range(15)]
    assert np.mean(found) == pytest.approx(n / (n + 1), abs=0.03)
    assert np.mean(found) == pytest.approx(np.mean(between), abs=0.03)


@pytest.mark.parametrize("score", ["area_iou", "otsu_iou", "energy_inside", "cosine"])
def test_the_ceiling_is_near_what_other_raters_score(score: str) -> None:
    """Other raters, as many, drawn anew: within .05 on average, and nearer than half against half."""
    rng = np.random.default_rng(3)
    groups = [simulated(8, 0.25, rng) for _ in range(30)]
    found = [split_half_ceiling(shares, score, seed=i) for i, shares in enumerate(groups[:10])]
    masks = [consensus(shares.mean(0)) for shares in groups]
    fresh = [SCORES[score](groups[i].mean(0), masks[i + 1]) for i in range(29)]
    assert np.mean([f.corrected for f in found]) == pytest.approx(np.mean(fresh), abs=0.05)
    assert np.mean([f.value for f in found]) < np.mean([f.corrected for f in found])


def test_four_raters_are_halved_in_three_ways() -> None:
    """By hand over all halves, both ways round; random ones agree within their error."""
    shares = simulated(4, 0.2, np.random.default_rng(0))
    halves = [(list(a), [i for i in range(4) if i not in a]) for a in combinations(range(4), 2)]
    each = [SCORES["pearson"](shares[a].mean(0), consensus(shares[b].mean(0))) for a, b in halves]
    r = float(np.mean(each))
    found = split_half_ceiling(shares, "pearson")
    assert found.value == pytest.approx(r, abs=0.01)
    assert found.corrected == pytest.approx(2 * r / (1 + r), abs=0.01)


def test_the_interval_covers_the_mean_over_studies() -> None:
    """Leave-one-rater-out intervals of 95 %: at least 33 of 40 cover what as many other raters score (binomial)."""
    rng = np.random.default_rng(11)
    groups = [simulated(8, 0.4, rng) for _ in range(40)]
    found = [split_half_ceiling(shares, "pearson", seed=i) for i, shares in enumerate(groups)]
    expected = np.mean([np.corrcoef(groups[i].mean(0), groups[i - 1].mean(0))[0, 1] for i in range(40)])
    assert sum(f.ci_low <= expected <= f.ci_high for f in found) >= 33
    assert {f.ci_method for f in found} == {"jackknife"}


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_too_few_raters_have_no_ceiling(n: int) -> None:
    found = split_half_ceiling(simulated(4, 0.2, np.random.default_rng(0))[:n], "area_iou")
    assert np.isnan([found.value, found.corrected, found.ci_low, found.ci_high]).all()
    assert found.reason == f"{n} rater{'s' * (n != 1)}: a split-half ceiling takes 4"


def test_raters_with_one_map_have_a_ceiling_and_no_interval() -> None:
    same = np.repeat(simulated(1, 0.2, np.random.default_rng(0)), 5, axis=0)
    found = split_half_ceiling(same, "pearson")
    assert found.corrected == pytest.approx(found.value, abs=0.05)
    assert np.isnan(found.ci_low)
    assert found.reason == "all raters' maps are the same: no interval"


def test_an_undefined_half_says_so() -> None:
    """Two raters mark what lies outside the pixels that count, so that some halves have nothing."""
    shares = simulated(4, 0.2, np.random.default_rng(0))
    shares[:2] = 0
    found = split_half_ceiling(shares, "pearson")
    assert np.isnan(found.corrected)
    assert found.reason == "the score of some halves is undefined"


def test_the_seed_decides() -> None:
    shares = simulated(7, 0.3, np.random.default_rng(5))
    first, again, other = (split_half_ceiling(shares, "area_iou", seed=s) for s in (1, 1, 2))
    assert first.corrected == again.corrected
    assert first.corrected != other.corrected
