"""The table of null scores: p-values, families, seeds, reasons."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from xfer import scoring
from xfer.errors import InputError
from xfer.metrics import METRICS
from xfer.nulls import NULLS, adjust, null_scores
from xfer.nulls.comparisons import p_value
from xfer.nulls.table import COLUMNS

EXACT = {"check_exact": False, "rtol": 1e-6, "atol": 1e-7}


def test_p_counts_scores_at_least_as_good() -> None:
    scores = np.array([0.1] * 95 + [0.5, 0.5, 0.6, 0.7])
    assert p_value(0.5, scores, METRICS["iou"]) == pytest.approx(5 / 100)
    assert p_value(0.8, scores, METRICS["iou"]) == pytest.approx(1 / 100)
    assert p_value(0.1, scores, METRICS["kl"]) == pytest.approx(96 / 100), "of a divergence less is better"
    assert np.isnan(p_value(0.8, scores[:18], METRICS["iou"]))
    assert p_value(0.8, scores[:19], METRICS["iou"]) == pytest.approx(0.05)


def test_values_are_the_scores(study: xr.DataArray, masks: xr.DataArray, support: np.ndarray) -> None:
    table = null_scores(study, masks, support, nulls="surrogate", draws=20, resolution=1, threshold=["area", "otsu"])
    assert list(table.columns) == list(COLUMNS)
    for cut in ("area", "otsu"):
        scores = scoring.score(study, masks, metrics=["iou", "pearson"], threshold=cut, support=support)
        for name in ("iou", "pearson", "iou_specificity", "pearson_specificity"):
            ours = table[(table["metric"] == name) & table["threshold"].isin([cut, ""])]
            theirs = scores[(scores["metric"] == name) & (scores["mask_expression"] == scores["expression"])]
            np.testing.assert_allclose(ours["value"], theirs["value"], rtol=1e-10)


def test_order_company_and_threads_change_nothing(study: xr.DataArray, masks: xr.DataArray) -> None:
    options = {"nulls": ["surrogate", "shift"], "draws": 40}
    sort = ["model", "expression", "metric", "null"]
    one = null_scores(study, masks, workers=1, **options)
    other = null_scores(study[::-1], masks, workers=3, **options)
    pd.testing.assert_frame_equal(
        one.sort_values(sort, ignore_index=True), other.sort_values(sort, ignore_index=True), **EXACT
    )
    alone = null_scores(study[4:5], masks, nulls="surrogate", draws=40)
    same = one[(one["model"] == "b") & (one["expression"] == "fear") & (one["null"] == "surrogate")]
    np.testing.assert_allclose(alone["null_mean"], same["null_mean"], rtol=1e-6)


def test_the_seed_and_the_key_fix_the_draws(study: xr.DataArray, masks: xr.DataArray) -> None:
    options = {"nulls": "surrogate", "draws": 40, "metrics": "pearson"}
    one = null_scores(study, masks, seed=1, **options)
    pd.testing.assert_frame_equal(one, null_scores(study, masks, seed=1, **options))
    assert (one["null_mean"] != null_scores(study, masks, seed=2, **options)["null_mean"]).all()
    twins = study.copy(deep=True)
    twins[3:] = study[:3].values
    means = null_scores(twins, masks, **options)["null_mean"].to_numpy()
    assert (means[:6] != means[6:]).all(), "two networks with one map draw independently"


def test_a_planted_effect_is_found_and_noise_is_not(study: xr.DataArray, masks: xr.DataArray) -> None:
    planted = study.copy(deep=True)
    planted[2] = gaussian_filter(masks.values[2], 2) + 0.05 * study[2].values
    table = null_scores(planted, masks, nulls="surrogate", draws=200).set_index(["model", "expression", "metric"])
    for name in ("iou", "pearson", "energy_inside", "iou_specificity", "pearson_specificity"):
        p = table.xs(name, level="metric")["p"]
        assert p.loc[("a", "happiness")] <= 0.05
        assert (p.drop(("a", "happiness")) > 0.05).all()


@pytest.mark.parametrize("frame", [False, True])
def test_p_values_of_independent_maps_are_not_too_small(
    frame: bool, labelled, masks: xr.DataArray, support: np.ndarray, rng: np.random.Generator
) -> None:
    """P(p <= a) <= a + 2 standard errors; the benchmark of nulls does this at length."""
    count = 240
    noise = rng.standard_normal((count, 80, 72))
    maps = np.stack([gaussian_filter(one, 4)[20:-20, 20:-20] for one in noise])
    names = [f"m{i}" for i in range(count)]
    study = labelled(
        np.exp(maps / maps.std()), model=names, expression=(["anger", "fear", "happiness"] * count)[:count]
    )
    table = null_scores(study, masks, support if frame else None, nulls="surrogate", draws=99, resolution=0.5)
    for _, rows in table.groupby("metric"):
        for level in (0.01, 0.05, 0.1):
            assert (rows["p"] <= level).mean() <= level + 2 * np.sqrt(level * (1 - level) / count)


def test_the_primary_null_is_widened_about_its_mean(study: xr.DataArray, masks: xr.DataArray) -> None:
    """The mean and spread told are the draws' own; p is that of a score as much nearer the mean."""
    wide = null_scores(study, masks, nulls="surrogate", metrics="pearson", draws=200)
    assert NULLS["surrogate"].widened > 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NULLS._entries, "surrogate", replace(NULLS["surrogate"], widened=1.0))
        plain = null_scores(study, masks, nulls="surrogate", metrics="pearson", draws=200)
    pd.testing.assert_frame_equal(wide[["null_mean", "null_sd"]], plain[["null_mean", "null_sd"]])
    better = wide["value"] > wide["null_mean"]
    assert (wide.loc[better, "p"] >= plain.loc[better, "p"]).all()
    assert (wide.loc[~better, "p"] <= plain.loc[~better, "p"]).all()


def test_families_are_adjusted_apart() -> None:
    p = [0.01, 0.02, 0.03, 0.5, np.nan, 0.04, 0.9]
    table = pd.DataFrame({
        "null": "n", "metric": ["iou"] * 5 + ["pearson"] * 2, "threshold": ["area"] * 5 + [""] * 2, "mask": "ekman",
        "value": 0.0, "null_mean": 0.0, "null_sd": 0.0, "p": p, "n_draws": 99,
    })  # fmt: skip
    found = adjust(table)
    np.testing.assert_allclose(found["q"], [0.04, 0.04, 0.04, 0.5, np.nan, 0.08, 0.9])
    assert found["m"].tolist() == [4] * 5 + [2] * 2
    assert found["family"].tolist() == ["n iou area ekman"] * 5 + ["n pearson ekman"] * 2
    assert len(adjust(table[:0])) == 0


def test_values_outside_the_support_do_not_matter(
    study: xr.DataArray, masks: xr.DataArray, support: np.ndarray
) -> None:
    spoiled = study.copy(deep=True)
    spoiled.values[:, ~support] = np.nan
    options = {"nulls": "all", "draws": 24, "resolution": 1}
    clean = study.copy(deep=True)
    pd.testing.assert_frame_equal(
        null_scores(clean, masks, support, **options), null_scores(spoiled, masks, support, **options)
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"nulls": "surogate"}, "(did you mean 'surrogate'?)"),
        ({"draws": 0}, "'draws' must be at least 1; got 0"),
        ({"resolution": 0.4}, "'resolution' must be 1, 1/2, 1/3, ...; got 0.4"),
        ({"resolution": 2}, "'resolution' must be 1, 1/2, 1/3, ...; got 2"),
        ({"threshold": "otso"}, "'threshold' must be"),
        ({"support": np.ones((3, 3), bool)}, "the support have the shape (3, 3)"),
        ({"support": np.zeros((40, 32), bool)}, "'support' must have at least one pixel; got none"),
    ],
)
def test_bad_input_is_told(options: dict, text: str, study: xr.DataArray, masks: xr.DataArray) -> None:
    with pytest.raises(InputError) as told:
        null_scores(study, masks, **options)
    assert text in str(told.value)


def test_a_map_without_a_mask_is_named(study: xr.DataArray, masks: xr.DataArray) -> None:
    with pytest.raises(InputError, match=r"the maps of happiness have no mask in 'ellipses': anger, fear"):
        null_scores(study, masks[:2])
