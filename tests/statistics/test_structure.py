"""Clades, variance, anchored scores."""

import numpy as np
import pandas as pd
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from xfer.errors import InputError
from xfer.statistics.anchors import anchor, anchored
from xfer.statistics.clades import adjusted_rand, bakers_gamma, clades, cophenetic, corrected_correlations, support
from xfer.statistics.estimates import Estimate
from xfer.statistics.variance import REST, shares, winner_changes


def linkage(matrix, method="average"):
    return hierarchy.linkage(squareform(matrix, checks=False), method)


def test_correlations_are_corrected_for_shared_and_own_noise():
    """Population maps that correlate 0.6; the same faces' noise in both, which alone would correlate 1."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((2, 3000))
    truth = np.stack([base[0], 0.6 * base[0] + 0.8 * base[1]])
    noise = 4 * rng.standard_normal((30, 3000))
    maps = truth[:, None] + noise + 2 * rng.standard_normal((2, 30, 3000))
    plain = np.corrcoef(maps.mean(axis=1))[0, 1]
    found = corrected_correlations(maps)
    assert abs(found[0, 1] - np.corrcoef(truth)[0, 1]) < 0.03 < abs(plain - 0.6)
    drawn = corrected_correlations(maps, draws=200, seed=1)
    assert drawn.shape == (200, 2, 2)
    assert drawn[:, 0, 1].mean() == pytest.approx(found[0, 1], abs=0.02)


def test_maps_that_are_noise_correlate_with_nothing():
    rng = np.random.default_rng(3)
    half = rng.standard_normal((5, 50))
    found = corrected_correlations(np.stack([np.concatenate([half, -half]), rng.random(50) + rng.random((10, 50))]))
    assert np.isnan(found[0]).all()
    assert found[1, 1] == 1.0


def test_support_is_the_share_of_draws_with_the_clade(rng):
    near = np.array([[0, 1, 5, 5], [1, 0, 5, 5], [5, 5, 0, 1.5], [5, 5, 1.5, 0]])
    other = near[np.ix_([0, 2, 1, 3], [0, 2, 1, 3])]
    draws = np.stack([near, near, other, np.full((4, 4), np.nan)])
    tree = linkage(near)
    assert dict(zip(clades(tree), support(tree, draws), strict=True)) == {
        frozenset({0, 1}): 0.5,
        frozenset({2, 3}): 0.5,
        frozenset({0, 1, 2, 3}): 0.75,
    }
    assert np.isnan(support(tree, draws[:0])).all()


def test_agreement_of_trees(rng):
    points = rng.random((8, 3))
    matrix = np.linalg.norm(points[:, None] - points, axis=-1)
    tree = linkage(matrix)
    assert bakers_gamma(tree, tree) == pytest.approx(1.0)
    stretched = tree.copy()
    stretched[:, 2] = tree[:, 2] ** 3
    assert bakers_gamma(tree, stretched) == pytest.approx(1.0)
    assert bakers_gamma(tree, linkage(matrix, "single")) < 1.0
    assert np.isnan(bakers_gamma(linkage(matrix[:2, :2]), linkage(matrix[:2, :2])))


def test_cophenetic_of_three_linkages(rng):
    points = rng.random((8, 3))
    matrix = np.linalg.norm(points[:, None] - points, axis=-1)
    found = cophenetic(matrix)
    assert list(found) == ["average", "complete", "single"]
    for method, value in found.items():
        expected = hierarchy.cophenet(linkage(matrix, method), squareform(matrix, checks=False))[0]
        assert value == pytest.approx(expected, rel=1e-9)
    assert all(np.isnan(value) for value in cophenetic(matrix * np.nan).values())
    assert all(np.isnan(value) for value in cophenetic(matrix[:2, :2]).values())


def test_adjusted_rand_is_scikit_learns(rng):
    for _ in range(20):
        first, second = rng.integers(0, 3, (2, 12))
        assert adjusted_rand(first, second) == pytest.approx(adjusted_rand_score(first, second), abs=1e-12)
    assert adjusted_rand([1, 1], [2, 2]) == 1.0
    assert np.isnan(adjusted_rand([1], [1]))


def grid(rng, network=1.0, fold=0.5, noise=0.3, folds=6):
    effects = network * rng.standard_normal(5), fold * rng.standard_normal(folds)
    rows = [(f"n{i}", f"f{j}", effects[0][i] + effects[1][j]) for i in range(5) for j in range(folds)]
    table = pd.DataFrame(rows, columns=["network", "fold", "value"])
    return table.assign(value=table["value"] + noise * rng.standard_normal(len(table)), mask="ekman")


def test_shares_are_those_of_statsmodels(rng):
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    table = grid(rng)
    expected = anova_lm(ols("value ~ C(network) + C(fold)", table).fit())
    found = shares(table, ["network", "fold", "mask"], unit="fold")
    squares = expected["sum_sq"].to_numpy()
    np.testing.assert_allclose(found.table["eta"], squares / squares.sum(), rtol=1e-8)
    noise = expected["mean_sq"].iloc[-1]
    omega = (squares[:2] - expected["df"].iloc[:2] * noise) / (squares.sum() + noise)
    np.testing.assert_allclose(found.table["omega"][:2], omega, rtol=1e-8)
    assert list(found.table["factor"]) == ["network", "fold", REST]
    assert found.table["omega"].sum() == pytest.approx(1.0)
    assert (found.table["ci_low"] <= found.table["omega"]).all()


def test_interactions_have_rows_of_their_own(rng):
    tables = [grid(rng).assign(mask=name) for name in ("a", "b", "c")]
    found = shares(pd.concat(tables), ["network", "fold", "mask"], unit="fold", pairs=True)
    assert list(found.table["factor"])[3:] == ["network x fold", "network x mask", "fold x mask", REST]
    assert found.table["eta"].sum() == pytest.approx(1.0)
    assert (found.table["eta"] >= 0).all()


def test_incomplete_levels_are_dropped_and_named(rng):
    table = grid(rng)
    gone = table.drop(table.index[(table["network"] == "n2") & (table["fold"] != "f0")])
    found = shares(gone, ["network", "fold"], unit="fold")
    assert (found.dropped, found.n) == (("network n2",), 24)
    assert shares(table.assign(value=1.0), ["network", "fold"], unit="fold").reason == "constant scores"
    assert shares(table[:1], ["network", "fold"], unit="fold").reason == "no factor with two levels"
    few = shares(table[table["fold"].isin(["f0", "f1"])], ["network", "fold"], unit="fold").table
    assert few["ci_low"].isna().all()
    with pytest.raises(InputError, match="no column 'layer'"):
        shares(table, ["layer"], unit="fold")
    with pytest.raises(InputError, match="'unit' must be one of the factors network; got 'fold'"):
        shares(table, ["network"], unit="fold")


def test_winners_change_or_not():
    rows = [("a", "otsu", 0.5), ("b", "otsu", 0.4), ("a", "area", 0.2), ("b", "area", 0.3), ("c", "area", 0.9)]
    table = pd.DataFrame(rows, columns=["model", "threshold", "value"])
    found = winner_changes(table, "threshold")
    assert found.changes
    assert list(found.table["winner"]) == ["b", "a"]
    np.testing.assert_allclose(found.table["margin"], 0.1)
    assert not winner_changes(table[table["threshold"] == "otsu"], "threshold").changes
    with pytest.raises(InputError, match="no column 'fold'"):
        winner_changes(table, "fold")


def test_anchored_scores(rng):
    score = Estimate(
        0.3, 0.35, 0.25, 0.45, "population draws", 0.9, 40, "", 39.0, 0.35 + 0.05 * rng.standard_normal(999)
    )
    null, ceiling = rng.normal(0.2, 0.02, 200), 0.7
    found = anchored(score, anchor(null), anchor(ceiling))
    assert found.value == pytest.approx((0.3 - null.mean()) / (0.7 - null.mean()))
    assert found.ci_low < found.corrected < found.ci_high
    assert (found.ci_high - found.ci_low) == pytest.approx(4.04 * 0.05 / 0.5, rel=0.1)
    above = anchored(score, anchor(0.1), anchor(0.2))
    assert above.corrected > 1


@pytest.mark.parametrize(
    ("null", "ceiling", "reason"),
    [
        (np.array([]), 0.7, "no null"),
        (0.2, np.array([np.nan]), "no ceiling"),
        (np.array([0.1, 0.3, 0.2, 0.4]), 0.25, "ceiling not distinguishable from null"),
        (0.2, 0.2, "ceiling not distinguishable from null"),
        (0.4, 0.2, "ceiling below null"),
    ],
)
def test_anchors_that_hold_nothing(null, ceiling, reason):
    found = anchored(Estimate(0.3, 0.35), anchor(null), anchor(ceiling))
    assert (found.reason, np.isnan(found.value), np.isnan(found.corrected)) == (reason, True, True)
