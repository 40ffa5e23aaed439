"""The mean over a network's expressions against chance: draws in step, p by hand, valid where heatmaps resemble."""

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from tests.nulls.conftest import EXPRESSIONS, SHAPE
from xfer.metrics import METRICS
from xfer.nulls import NULLS, drawn_scores, mean_scores
from xfer.nulls.comparisons import p_value

OPTIONS = {"nulls": "surrogate", "metrics": "pearson", "draws": 60}


def test_draws_of_one_network_are_in_step(study: xr.DataArray, masks: xr.DataArray) -> None:
    """Two expressions with one heatmap and one mask have the same draws; another network has others."""
    twins = study.copy(deep=True)
    twins.values[1] = twins.values[3] = study.values[0]
    same = masks.copy(deep=True)
    same.values[1] = masks.values[0]
    found = drawn_scores(twins, same, **OPTIONS)
    rows = found.table["metric"] == "pearson"
    keys = found.table[rows][["model", "expression"]].itertuples(index=False, name=None)
    draws = dict(zip(keys, [found.draws[i] for i in found.table.index[rows]], strict=True))
    np.testing.assert_allclose(draws["a", "anger"], draws["a", "fear"])
    assert abs(np.corrcoef(draws["a", "anger"], draws["b", "anger"])[0, 1]) < 0.5


def test_heatmaps_that_resemble_have_draws_that_do(labelled, rng: np.random.Generator) -> None:
    """The correlation of two maps is kept by their draws, against one mask."""
    fields = np.stack([gaussian_filter(f, 3)[20:-20, 20:-20] for f in rng.standard_normal((2, 80, 72))])
    fields /= fields.std((1, 2), keepdims=True)
    maps = np.stack([fields[0], 0.9 * fields[0] + np.sqrt(1 - 0.81) * fields[1]]).astype(np.float32)
    y, x = np.indices(SHAPE)
    mask = np.stack([((y - 14) / 8) ** 2 + ((x - 12) / 7) ** 2 < 1] * 2).astype(np.float32)
    masks = xr.DataArray(mask, {"expression": ["anger", "fear"]}, ("expression", "y", "x"), "one")
    study = labelled(maps, model=["a", "a"], expression=["anger", "fear"])
    found = drawn_scores(study, masks, **{**OPTIONS, "draws": 400, "resolution": 1})
    pair = [d for d, m in zip(found.draws, found.table["metric"], strict=True) if m == "pearson"]
    assert np.corrcoef(*pair)[0, 1] == pytest.approx(np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1], abs=0.08)


def test_p_is_that_of_the_mean(study: xr.DataArray, masks: xr.DataArray) -> None:
    found = drawn_scores(study, masks, **{**OPTIONS, "metrics": ["iou", "pearson"]})
    means = mean_scores(found).set_index(["model", "metric"])
    table = found.table[(found.table["model"] == "b") & (found.table["metric"] == "iou")]
    scores = np.mean([found.draws[i] for i in table.index], axis=0)
    value = table["value"].mean()
    row = means.loc[("b", "iou")]
    assert (row["value"], row["null_mean"]) == pytest.approx((value, scores.mean()))
    assert row["expressions"] == 3
    wide = scores.mean() + NULLS["surrogate"].widened * (scores - scores.mean())
    assert row["p"] == p_value(value, wide, METRICS["iou"])
    assert set(means.index.get_level_values("metric")) == {"iou", "iou_specificity", "pearson", "pearson_specificity"}


def test_an_undefined_heatmap_leaves_its_network_without_p(study: xr.DataArray, masks: xr.DataArray) -> None:
    flat = study.copy(deep=True)
    flat.values[1] = 3.0
    means = mean_scores(drawn_scores(flat, masks, **OPTIONS)).set_index(["model", "metric"])
    assert np.isnan(means.loc[("a", "pearson"), "p"])
    assert means.loc[("a", "pearson"), "reason"] == "fear: constant heatmap"
    assert means.loc[("b", "pearson"), "reason"] == ""


def test_few_draws_have_no_p(study: xr.DataArray, masks: xr.DataArray) -> None:
    means = mean_scores(drawn_scores(study, masks, **{**OPTIONS, "draws": 10}))
    assert means["p"].isna().all()
    assert means["reason"].str.endswith("a p-value takes 19 or more").all()


def test_p_of_networks_that_know_nothing_is_not_too_small(labelled, masks: xr.DataArray) -> None:
    """Heatmaps of a network's expressions share most of their variance, as those of real networks do.

    P(p <= a) <= a + 2 standard errors; the benchmark of nulls does this at length.
    """
    rng, count = np.random.default_rng(8), 120
    noise = rng.standard_normal((count, 4, 80, 72))
    fields = np.array([[gaussian_filter(f, 4)[20:-20, 20:-20] for f in some] for some in noise])
    maps = np.exp((np.sqrt(0.8) * fields[:, :1] + np.sqrt(0.2) * fields[:, 1:]) / fields.std())
    models = np.repeat([f"m{i}" for i in range(count)], 3).tolist()
    study = labelled(maps.reshape(-1, *SHAPE).astype(np.float32), model=models, expression=[*EXPRESSIONS] * count)
    means = mean_scores(drawn_scores(study, masks, nulls="surrogate", draws=99, resolution=0.5))
    for metric in ("iou", "pearson", "energy_inside"):
        p = means.loc[means["metric"] == metric, "p"]
        for level in (0.05, 0.1):
            assert (p <= level).mean() <= level + 2 * np.sqrt(level * (1 - level) / count)
