"""Nulls that compare a map with rivals: the scores are those of the rivals, worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xfer import scoring
from xfer.metrics import METRICS
from xfer.nulls import null_scores
from xfer.nulls.centre_bias import WIDTHS


def rows(study: xr.DataArray, masks: xr.DataArray, null: str, **options) -> pd.DataFrame:
    table = null_scores(study, masks, nulls=null, metrics=["iou", "pearson"], resolution=1, **options)
    return table.set_index(["model", "expression", "metric"])


def test_other_networks_is_the_mean_of_the_others(study: xr.DataArray, masks: xr.DataArray) -> None:
    third = study[:3].copy(deep=True).assign_coords(model=("cell", ["c"] * 3), layer=("cell", ["deeper"] * 3))
    third.values[1] = 7.0
    found = rows(xr.concat([study, third], "cell"), masks, "other_networks")
    mean = (study.values[3] + third.values[0].astype(float)) / 2
    expected = METRICS["pearson"](mean, masks.values[0])
    assert found.loc[("a", "anger", "pearson"), "null_mean"] == pytest.approx(float(expected), rel=1e-5)
    assert found.loc[("a", "anger", "pearson"), "detail"] == "mean of 2 networks"
    assert found.loc[("a", "fear", "pearson"), "detail"] == "mean of 1 networks", "constant maps are left out"
    assert found["p"].isna().all()
    assert set(found["reason"]) == {"one value: a p-value takes 19 or more", "constant heatmap"}


def test_one_network_has_no_others(study: xr.DataArray, masks: xr.DataArray) -> None:
    assert set(rows(study[:3], masks, "other_networks")["reason"]) == {"no other network"}


def test_other_expressions_give_the_specificity(study: xr.DataArray, masks: xr.DataArray) -> None:
    found = rows(study, masks, "other_expressions")
    scores = scoring.score(study, masks, metrics=["iou", "pearson"], threshold="area")
    for name in ("iou", "pearson"):
        theirs = scores[scores["metric"] == f"{name}_specificity"]["value"].to_numpy()
        ours = found.xs(name, level="metric")
        np.testing.assert_allclose(ours["value"] - ours["null_mean"], theirs, rtol=1e-6)
    assert found["n_draws"].eq(2).all()
    assert found.loc[("a", "anger", "iou"), "detail"] == "fear, happiness"


def test_the_best_blob_is_reported_with_its_width(study: xr.DataArray, masks: xr.DataArray) -> None:
    found = rows(study, masks, "centre_bias").loc[("a", "fear", "pearson")]
    y, x = np.indices(masks.shape[1:])
    each = {
        width: float(METRICS["pearson"](np.exp(-((y - 19.5) ** 2 + (x - 15.5) ** 2) / (2 * (width * 40) ** 2)), m))
        for width in WIDTHS
        for m in [masks.values[1]]
    }
    best = max(each, key=lambda w: each[w])
    assert found["null_mean"] == pytest.approx(each[best], rel=1e-5)
    assert found["detail"] == f"best of {len(WIDTHS)}: width {best:g} of the support's height"


def test_randomised_maps_are_matched_by_key(study: xr.DataArray, masks: xr.DataArray, rng: np.random.Generator) -> None:
    randomised = xr.concat([study[:2]] * 20, "cell")
    randomised = randomised.assign_coords(seed=("cell", [str(i // 2) for i in range(40)]))
    randomised.values[:] = rng.random(randomised.shape)
    found = rows(study, masks, "random_weights", randomised=randomised)
    assert found.loc[("a", "anger", "iou"), "n_draws"] == 20
    expected = METRICS["pearson"](randomised.values[::2], masks.values[0])
    assert found.loc[("a", "anger", "pearson"), "null_mean"] == pytest.approx(float(expected.mean()), rel=1e-4)
    p = (1 + np.sum(expected >= found.loc[("a", "anger", "pearson"), "value"])) / 21
    assert found.loc[("a", "anger", "pearson"), "p"] == pytest.approx(p)
    assert found.loc[("b", "anger", "iou"), "reason"] == "no map of this cell with randomised weights"
    assert set(rows(study, masks, "random_weights")["reason"]) == {"no run with randomised weights"}


def test_pixels_is_the_declared_chance_at_the_maps_area(study: xr.DataArray, masks: xr.DataArray) -> None:
    found = rows(study, masks, "pixels", threshold=0.5).loc[("a", "anger", "iou")]
    h, p = study.values[0], float(masks.values[0].mean())
    q = float(((h - h.min()) / np.ptp(h) >= 0.5).mean())
    assert found["null_mean"] == pytest.approx(p * q / (p + q - p * q), rel=1e-6)
    assert np.isnan(found["p"])
    assert found["reason"] == "an expectation is no test"
    table = null_scores(study, masks, nulls="pixels", metrics="cosine", resolution=1)
    assert table["reason"].str.startswith("no closed form: the heatmap's mean").all()


def test_a_map_upside_down(study: xr.DataArray, masks: xr.DataArray) -> None:
    found = rows(study, masks, "mirror").loc[("a", "anger", "pearson")]
    flipped = np.stack([study.values[0][::-1], study.values[0][::-1, ::-1]])
    assert found["null_mean"] == pytest.approx(float(METRICS["pearson"](flipped, masks.values[0]).mean()), abs=1e-4)
    assert found["reason"] == "2 values: a p-value takes 19 or more"
