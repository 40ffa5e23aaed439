"""Ceilings from other mask sources."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from xfer.errors import InputError
from xfer.metrics import METRICS
from xfer.nulls import ceiling


def source(masks: xr.DataArray, name: str, down: int) -> xr.DataArray:
    return masks.copy(data=np.roll(masks.values, down, axis=1)).rename(name)


def test_the_others_are_scored_as_heatmaps(masks: xr.DataArray) -> None:
    sources = [masks, *(source(masks, f"s{k}", k) for k in (1, 2, 4))]
    found = ceiling(sources, metrics=["iou", "pearson"]).set_index(["mask", "expression", "metric"])
    each = [float(METRICS["iou"](s.values[1], masks.values[1], threshold="area")) for s in sources[1:]]
    row = found.loc[("ellipses", "fear", "iou")]
    student = stats.t.interval(0.95, 2, np.mean(each), stats.sem(each))
    assert (row["ceiling"], row["low"], row["high"]) == pytest.approx((np.mean(each), *student))
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
