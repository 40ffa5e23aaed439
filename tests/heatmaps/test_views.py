"""Cells picked by label, spread into dimensions, averaged over folds; named normalisations."""

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xfer import heatmaps, labels
from xfer.errors import InputError
from xfer.heatmaps import NORMALISATIONS
from xfer.heatmaps.store import label


def cells(rows, seed=0):
    """A stack with rows of (model, fold, expression)."""
    keys = {name: ["x"] * len(rows) for name in labels.KEY}
    keys["model"], keys["fold"], keys["expression"] = (list(column) for column in zip(*rows, strict=True))
    keys["target"] = keys["expression"]
    return label(np.random.default_rng(seed).normal(size=(len(rows), 4, 3)).astype(np.float32), keys)


@pytest.fixture
def maps():
    rows = [(m, f, e) for e in ("sadness", "contempt", "anger") for f in ("2", "1") for m in ("b", "a")]
    return cells(rows)


def test_select(maps):
    found = heatmaps.select(maps, model="a", expression="sad")
    assert found.coords["fold"].values.tolist() == ["2", "1"]
    np.testing.assert_array_equal(found.values, maps.values[[1, 3]])
    assert heatmaps.select(maps).identical(maps)


def test_select_says_what_there_is(maps):
    with pytest.raises(InputError, match=r"^'model' must be one of a, b; got 'aa' \(did you mean 'a'\?\)$"):
        heatmaps.select(maps, model="aa")
    with pytest.raises(InputError, match=r"^'expression' must be one of anger, contempt, sadness; got 'fear'"):
        heatmaps.select(maps, expression="fear")
    with pytest.raises(InputError, match=r"^'key' must be one of model, .*; got 'modell' \(did you mean 'model'\?\)$"):
        heatmaps.select(maps, modell="a")
    with pytest.raises(InputError, match=r"^no heatmap has model a, fold 2 together$"):
        heatmaps.select(cells([("a", "1", "fear"), ("b", "2", "fear")]), model="a", fold="2")


@given(st.permutations(range(12)))
@settings(max_examples=20, deadline=None)
def test_dense_finds_its_place_by_label(order):
    rows = [(m, f, e) for e in ("sadness", "contempt", "anger") for f in ("2", "1") for m in ("b", "a")]
    maps = cells(rows)
    dense = heatmaps.dense(maps.isel(cell=list(order)), "model", "fold", "expression")
    assert dense.dims == ("model", "fold", "expression", "y", "x")
    assert dense.coords["expression"].values.tolist() == ["anger", "sadness", "contempt"]
    assert dense.coords["layer"].item() == "x"
    for (model, fold, expression), values in zip(rows, maps.values, strict=True):
        np.testing.assert_array_equal(dense.sel(model=model, fold=fold, expression=expression).values, values)


def test_dense_refuses_what_would_be_silent(maps):
    with pytest.raises(
        InputError, match=r"^several heatmaps share one model x expression: they differ in fold; select or pool"
    ):
        heatmaps.dense(maps, "model", "expression")
    with pytest.raises(
        InputError, match=r"^1 heatmaps are missing in model x fold x expression, the first is a/1/anger$"
    ):
        heatmaps.dense(maps.isel(cell=slice(0, 11)), "model", "fold", "expression")
    with pytest.raises(InputError, match="'key' must be one of"):
        heatmaps.dense(maps, "models")
    holes = heatmaps.dense(maps.isel(cell=slice(0, 11)), "model", "fold", "expression", allow_missing=True)
    assert np.isnan(holes.sel(model="a", fold="1", expression="anger")).all()
    assert int(np.isnan(holes).sum()) == 12


def test_dense_views_align_exactly(maps):
    """Dense views of other expressions do not combine: xarray would drop the difference without a word."""
    one = heatmaps.dense(heatmaps.select(maps, fold="1"), "model", "expression")
    two = heatmaps.dense(cells([(m, "1", e) for m in "ab" for e in ("anger", "fear")]), "model", "expression")
    with pytest.raises(ValueError, match="exact"):
        xr.align(one, two, join="exact")


def test_pool_folds_is_the_mean(maps):
    maps.values[0, 0, 0] = np.nan
    pooled = heatmaps.pool_folds(maps)
    assert pooled.dtype == np.float32
    assert set(pooled.coords["fold"].values) == {"all"}
    assert pooled.sizes["cell"] == 6
    for i in range(6):
        key = {name: str(pooled.coords[name].values[i]) for name in ("model", "expression")}
        folds = heatmaps.select(maps, **key).values.astype(np.float64)
        np.testing.assert_allclose(pooled.values[i], (folds[0] + folds[1]) / 2, rtol=1e-6)
    assert int(np.isnan(pooled).sum()) == 1
    assert heatmaps.pool_folds(pooled).identical(pooled)


def test_pool_folds_with_unequal_folds():
    maps = cells([("a", "1", "fear"), ("a", "2", "fear"), ("a", "3", "fear"), ("b", "2", "fear")])
    pooled = heatmaps.pool_folds(maps)
    np.testing.assert_allclose(pooled.values[0], maps.values[:3].mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(pooled.values[1], maps.values[3])


def test_pool_folds_refuses_a_mean_among_its_parts():
    maps = cells([("a", "1", "fear"), ("a", "all", "fear")])
    with pytest.raises(InputError, match="fold 'all' stands beside single folds; keep one or the other"):
        heatmaps.pool_folds(maps)


def test_fold_means_of_the_published_maps_are_not_its_pooled_maps(published):
    """Per-map stretching cannot be undone: the mean of folds resembles the pooled map and is not it."""
    folds = heatmaps.read_heatmaps(published / "by_fold", "{model}_{fold}_{expression}_heatmap.png")
    whole = heatmaps.read_heatmaps(published / "by_network", "{model}_{expression}_heatmap.png")
    pooled = heatmaps.pool_folds(folds)
    assert pooled.coords["model"].equals(whole.coords["model"])
    assert pooled.coords["expression"].equals(whole.coords["expression"])
    r = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(pooled.values, whole.values, strict=True)]
    assert min(r) > 0.9
    assert not np.allclose(pooled.values, whole.values, atol=1)


@pytest.mark.parametrize("name", ["raw", "published"])
def test_stored_values_stay(name, rng):
    maps = rng.normal(size=(2, 3, 4))
    assert NORMALISATIONS[name](maps) is maps


@given(arrays(np.float64, (2, 3, 4), elements=st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda v: round(v, 3))))
@settings(max_examples=50, deadline=None)
def test_positive_l1_is_its_definition(maps):
    found = NORMALISATIONS["positive_l1"](maps)
    for one, ours in zip(maps, found, strict=True):
        positive = [max(v, 0.0) for v in one.ravel().tolist()]
        total = sum(positive)
        if total == 0:
            assert np.isnan(ours).all()
        else:
            np.testing.assert_allclose(ours.ravel(), [v / total for v in positive], rtol=1e-10)
            assert ours.sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_positive_l1_in_torch_is_the_same(rng, dtype):
    maps = rng.normal(size=(3, 5, 4)).astype(dtype)
    maps[0, 0, 0] = np.nan
    maps[2] = -1
    ours, torchs = NORMALISATIONS["positive_l1"](maps), NORMALISATIONS["positive_l1"](torch.from_numpy(maps))
    assert ours.dtype == dtype
    assert torchs.dtype == getattr(torch, dtype)
    np.testing.assert_allclose(torchs.numpy(), ours, rtol=1e-6)
    assert np.isnan(ours[0]).sum() == 1
    assert np.nansum(ours[0]) == pytest.approx(1, rel=1e-6)
    assert np.isnan(ours[2]).all()


def test_positive_l1_wants_more_than_a_spike():
    """A face whose positive part covers less than 1 % of its pixels has none that a mean could bear."""
    maps = -np.ones((2, 20, 20))
    maps[0, 3, :4] = maps[1, 3, :3] = 2.0
    maps[:, 10:] = np.nan
    maps[0, 0, 0], maps[1, 9, 9] = -3.0, np.nan
    maps[1, 3, :3], maps[0, 3, :2] = [2.0, -1.0, -1.0], 2.0
    found = NORMALISATIONS["positive_l1"](maps)
    assert np.nansum(found[0]) == pytest.approx(1)
    assert np.isnan(found[1]).all()
