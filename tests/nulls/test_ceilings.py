"""Ceilings from other mask sources, and the score between chance and ceiling."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from xfer.errors import InputError
from xfer.metrics import METRICS
from xfer.nulls import anchor, anchored, ceiling, mean_interval, null_scores


def source(masks: xr.DataArray, name: str, down: int) -> xr.DataArray:
    return masks.copy(data=np.roll(masks.values, down, axis=1)).rename(name)


def test_interval_is_students() -> None:
    values = [0.2, 0.5, 0.4, 0.7]
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert mean_interval(values) == pytest.approx((np.mean(values), *expected))
    assert np.isnan(mean_interval([0.2, 0.3])).tolist() == [False, True, True]
    assert np.isnan(mean_interval([])).all()


def test_the_others_are_scored_as_heatmaps(masks: xr.DataArray) -> None:
    sources = [masks, *(source(masks, f"s{k}", k) for k in (1, 2, 4))]
    found = ceiling(sources, metrics=["iou", "pearson"]).set_index(["mask", "expression", "metric"])
    each = [float(METRICS["iou"](s.values[1], masks.values[1], threshold="area")) for s in sources[1:]]
    row = found.loc[("ellipses", "fear", "iou")]
    assert (row["ceiling"], row["low"], row["high"]) == pytest.approx(mean_interval(each))
    assert (row["n"], row["sources"], row["reason"], row["threshold"]) == (3, "s1, s2, s4", "", "area")
    assert len(found) == 4 * 3 * 2


def test_a_copy_is_no_second_opinion(masks: xr.DataArray) -> None:
    copy = masks.rename("copy")
    found = ceiling([masks, copy, source(masks, "moved", 3)], metrics="iou").set_index(["mask", "expression"])
    row = found.loc[("ellipses", "anger")]
    assert (row["n"], row["sources"], row["left_out"]) == (1, "moved", "copy")
    assert row["reason"] == "no interval from 1 other source"
    alone = ceiling([masks, copy], metrics="iou")
    assert alone["ceiling"].isna().all()
    assert set(alone["reason"]) == {"no other source"}


def test_an_expression_that_others_lack(masks: xr.DataArray) -> None:
    found = ceiling([masks, source(masks, "moved", 3)[:2]], metrics="iou").set_index(["mask", "expression"])
    assert found.loc[("ellipses", "happiness"), "reason"] == "no other source"
    assert found.loc[("ellipses", "fear"), "ceiling"] > 0.3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: [m], "a ceiling compares mask sources; give two or more, as in --masks ekman,emfacs,belharbi2024"),
        (lambda m: [m, m], "mask sources need names of their own; got ellipses, ellipses"),
        (lambda m: [m, m[:, 1:].rename("small")], "mask sources must share one canvas"),
    ],
)
def test_bad_sources_are_told(change, text: str, masks: xr.DataArray) -> None:
    with pytest.raises(InputError) as told:
        ceiling(change(masks))
    assert str(told.value) == text


def test_anchored_is_never_clipped() -> None:
    values, reasons = anchored([0.2, 0.4, 0.8], 0.3, 0.7, 0.3, 0.5)
    np.testing.assert_allclose(values, [-0.25, 0.25, 1.25])
    assert reasons.tolist() == ["", "", ""]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((np.nan, 0.1, 0.5, 0.3, 0.5), "no score"),
        ((0.2, np.nan, 0.5, 0.3, 0.5), "no null mean"),
        ((0.2, 0.1, np.nan, 0.3, 0.5), "no ceiling"),
        ((0.2, 0.1, 0.5, np.nan, np.nan), "no interval of ceiling - null"),
        ((0.2, 0.3, 0.3, -0.1, 0.1), "the interval of ceiling - null, -0.100 to 0.100, contains 0"),
        ((0.2, 0.3, 0.3, 0.0, 0.0), "the interval of ceiling - null, 0.000 to 0.000, contains 0"),
        ((0.2, 0.5, 0.3, -0.3, -0.1), "the ceiling lies below the null: -0.300 to -0.100"),
    ],
)
def test_no_anchor_without_a_gap(numbers: tuple[float, ...], text: str) -> None:
    value, why = anchored(*numbers)
    assert np.isnan(value)
    assert str(why) == text


def test_anchor_joins_nulls_and_ceilings(study: xr.DataArray, masks: xr.DataArray) -> None:
    nulls = null_scores(study, masks, nulls="surrogate", metrics=["iou"], draws=40)
    ceilings = ceiling([masks, *(source(masks, f"s{k}", k) for k in (1, 2, 3))], metrics=["iou"])
    found = anchor(nulls, ceilings)
    assert len(found) == len(nulls)
    own = found[found["metric"] == "iou"]
    expected = (own["value"] - own["null_mean"]) / (own["ceiling"] - own["null_mean"])
    pd.testing.assert_series_equal(own["anchored"], expected, check_names=False)
    assert set(found.loc[found["metric"] != "iou", "anchored_reason"]) == {"no ceiling"}
