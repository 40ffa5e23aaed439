"""Permutation tests, groups, ranks, multiplicity: re-derivations, references, reasons."""

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xfer.errors import InputError
from xfer.statistics.groups import distinct, mantel, permanova
from xfer.statistics.multiplicity import adjust
from xfer.statistics.permutation import p_value, paired
from xfer.statistics.ranks import cliques, critical_difference, ranking
from xfer.statistics.scores import area_iou


def distances(rng, n, shift=0.0, members=0):
    maps = rng.standard_normal((n, 30))
    maps[:members] += shift * rng.standard_normal(30)
    return 1 - np.corrcoef(maps)


def test_p_values_count_the_observed_one():
    assert p_value(2.0, np.array([0.0, 1.0, 2.0])) == 0.5
    assert p_value(9.0, np.zeros(99)) == 0.01
    assert p_value(2.0, np.array([0.0, 1.0, 2.0, 2.0]), exact=True) == 0.5


def test_the_exact_paired_test_is_the_one_by_hand(rng):
    mask = (rng.random((6, 5)) < 0.3).astype(float)
    first, second = rng.random((5, 6, 5)) + 0.3 * mask, rng.random((5, 6, 5))
    found = paired(first, second, mask)

    def gap(swaps):
        swap = np.array(swaps)[:, None, None]
        a, b = np.where(swap, second, first).mean(axis=0), np.where(swap, first, second).mean(axis=0)
        return float(area_iou(a.ravel(), mask.ravel()) - area_iou(b.ravel(), mask.ravel()))

    every = np.array([gap(swaps) for swaps in product([False, True], repeat=5)])
    assert found.statistic == pytest.approx(every[0], abs=1e-6)
    assert found.p == pytest.approx(np.mean(abs(every) >= abs(every[0]) - 1e-9))
    assert (found.exact, found.permutations, found.smallest) == (True, 16, 1 / 16)
    assert found.effect == pytest.approx(every[0] / every.std() / np.sqrt(5), rel=1e-5)


def test_paired_test_of_many_blocks_and_of_bad_input(rng):
    mask = (rng.random((6, 5)) < 0.3).astype(float)
    maps = rng.random((20, 6, 5))
    found = paired(maps + mask, maps, mask, "pearson", permutations=99, seed=1)
    assert (found.p, found.exact, found.smallest) == (0.01, False, 0.01)
    assert found == paired(maps + mask, maps, mask, "pearson", permutations=99, seed=1)
    same = paired(maps, maps, mask)
    assert (same.p, same.statistic, same.effect) == (1.0, 0.0, 0.0)
    assert paired(maps[:1], maps[:1], mask).reason == "1 unit: nothing to permute"
    assert paired(maps[:0], maps[:0], mask).reason == "no faces"
    assert paired(maps, maps * np.nan, mask).reason == "heatmap not finite"
    assert paired(maps, maps * 0, mask).reason == "constant heatmap"
    with pytest.raises(InputError, match="the same blocks"):
        paired(maps, maps[:3], mask)


def test_permanova_is_anova_in_one_dimension(rng):
    """On Euclidean distances of numbers the pseudo-F is the F of an analysis of variance."""
    numbers, tags = rng.standard_normal(12), ["a"] * 5 + ["b"] * 7
    found = permanova(abs(numbers[:, None] - numbers), tags)
    assert found.statistic == pytest.approx(stats.f_oneway(numbers[:5], numbers[5:]).statistic, rel=1e-10)
    assert (found.exact, found.permutations, found.smallest) == (True, 792, 1 / 792)


def test_permanova_by_hand_over_all_orders(rng):
    matrix, tags = distances(rng, 6), np.array([0, 0, 0, 1, 1, 1])
    squared = matrix**2

    def within(labels):
        return sum(squared[np.ix_(labels == g, labels == g)].sum() / 2 / (labels == g).sum() for g in (0, 1))

    every = [within(np.array(order)) for order in permutations(tags)]
    found = permanova(matrix, tags)
    assert found.p == pytest.approx(np.mean(np.array(every) <= within(tags) + 1e-12))
    assert found.smallest == pytest.approx(2 / 20)


def test_mantel_of_tags_and_of_matrices(rng):
    matrix = distances(rng, 12, 2.0, 8)
    tags = np.array(["yes"] * 8 + ["no"] * 4)
    upper = np.triu_indices(12, 1)
    by_tags, by_matrix = mantel(matrix, tags), mantel(matrix, (tags[:, None] != tags).astype(float), permutations=999)
    expected = np.corrcoef(matrix[upper], (tags[:, None] != tags)[upper])[0, 1]
    assert by_tags.statistic == pytest.approx(expected, rel=1e-10)
    assert by_matrix.statistic == pytest.approx(expected, rel=1e-10)
    assert by_tags.p == pytest.approx(by_matrix.p, abs=0.02)
    assert by_tags.permutations == distinct(tags) == 495
    assert mantel(matrix[:5, :5], matrix[:5, :5]).p == pytest.approx(1 / 120)


@pytest.mark.parametrize("test", [permanova, mantel])
def test_groups_that_cannot_be_tested(test, rng):
    matrix = distances(rng, 6)
    assert test(matrix, ["a"] * 6).reason == "one group only"
    assert test(matrix[:3, :3], ["a", "b", "b"]).reason == "fewer than 4 networks"
    assert test(matrix, ["a", "b"]).reason == "one tag a row is needed"
    matrix[2] = np.nan
    found = test(matrix, ["a", "b"] * 3)
    assert (found.reason, np.isnan(found.p)) == ("distances not finite", True)
    assert test(np.zeros((6, 6)), ["a", "b"] * 3).reason in ("constant distances", "all distances are 0")


def test_ranking_of_a_clear_order(rng):
    blocks = pd.DataFrame(rng.standard_normal((20, 4)) * 0.3 + [3, 2, 1, 0], columns=list("abcd"))
    blocks.loc[3, "b"] = np.nan
    for post_hoc in ("nemenyi", "wilcoxon_holm"):
        found = ranking(blocks, post_hoc=post_hoc)
        assert (list(found.average.index), found.blocks, found.warning) == (list("abcd"), 19, "")
        assert found.p == pytest.approx(stats.friedmanchisquare(*blocks.dropna().T.to_numpy()).pvalue)
        assert found.pairs.loc["a", "d"] == found.pairs.loc["d", "a"] < 0.001


def test_wilcoxon_holm_is_that_of_the_columns(rng):
    blocks = pd.DataFrame(rng.standard_normal((15, 3)), columns=["x", "b", "m"])
    found = ranking(blocks, post_hoc="wilcoxon_holm").pairs
    pairs = [("x", "b"), ("x", "m"), ("b", "m")]
    plain = np.array([stats.wilcoxon(blocks[i], blocks[j], zero_method="zsplit").pvalue for i, j in pairs])
    np.testing.assert_allclose([found.loc[i, j] for i, j in pairs], adjust(plain, "holm").p, rtol=1e-10)


def test_nemenyi_agrees_with_the_critical_difference(rng):
    blocks = pd.DataFrame(rng.standard_normal((12, 5)) + np.arange(5) * 0.4)
    found = ranking(blocks)
    apart = abs(found.average.to_numpy()[:, None] - found.average.to_numpy())
    np.testing.assert_array_equal(apart >= found.critical_difference, found.pairs.to_numpy() <= 0.05)
    assert critical_difference(12, 6) == pytest.approx(6.8, abs=0.05)


def test_few_blocks_are_warned_of(rng):
    blocks = pd.DataFrame(rng.standard_normal((5, 12)))
    found = ranking(blocks, post_hoc="wilcoxon_holm", folds=True)
    assert found.warning == (
        "5 blocks: only large differences can be found; the smallest adjusted p of Wilcoxon's test is 1; "
        "folds share training data, so p is too small"
    )
    assert ranking(blocks.iloc[:, :2]).reason == "fewer than 3 networks"
    assert ranking(blocks.iloc[:1]).reason == "fewer than 2 complete blocks"
    assert ranking(blocks * 0).reason == "all networks score the same"
    with pytest.raises(InputError, match="'post_hoc' must be one of"):
        ranking(blocks, post_hoc="tukey")


def test_cliques_are_maximal_runs():
    ranks = pd.Series({"a": 1.0, "b": 2.0, "c": 2.5, "d": 6.0})
    assert cliques(ranks, 1.5) == [("a", "b", "c")]
    assert cliques(ranks, 0.1) == []
    assert cliques(ranks, 9) == [("a", "b", "c", "d")]


def test_adjusted_p_values(rng):
    p = rng.random((4, 5))
    np.testing.assert_allclose(adjust(p).p.ravel(), stats.false_discovery_control(p.ravel()), rtol=1e-12)
    assert adjust(np.full(3, np.nan)).m == 0
    with pytest.raises(InputError, match="'method' must be one of holm, benjamini_hochberg; got 'bonferroni'"):
        adjust(p, "bonferroni")


def test_exact_swaps_never_give_p_below_the_smallest(rng: np.random.Generator) -> None:
    """Even where a score rounds otherwise for one map than for several, as float32 does at the cut of an area."""

    def score(maps: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return maps.mean(axis=-1) * (2 if len(maps) == 1 else 1)

    first, second = rng.random((2, 5, 6, 7)) + np.array([1.0, 0.0])[:, None, None, None]
    found = paired(first, second, np.ones((6, 7)), score)
    assert found.p == found.smallest == 1 / 16
