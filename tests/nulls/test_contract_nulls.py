"""One suite for every registered null: what it declares must hold. A new null is tested by being registered."""

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xfer.metrics import METRICS
from xfer.nulls import NULLS, Null, null_scores, primary
from xfer.nulls.cells import prepare

every_null = pytest.mark.parametrize("null", NULLS.values(), ids=lambda n: n.name)


def test_the_nulls_of_the_issue_are_there() -> None:
    expected = {"surrogate", "pixels", "mirror", "rotation", "shift", "centre_bias", "other_networks",
                "other_expressions", "random_weights"}  # fmt: skip
    assert set(NULLS) >= expected
    assert primary().name == "surrogate"


@every_null
def test_declares_what_tables_print(null: Null) -> None:
    assert null.kind in ("draws", "relabel", "expectation")
    assert null.reference
    assert null.words == null.words.strip().rstrip(".")


@every_null
def test_gives_what_its_kind_says(null: Null, study: xr.DataArray, masks: xr.DataArray, support: np.ndarray) -> None:
    cells = prepare(study, masks, support)
    if null.kind == "draws":
        batches = list(null.function(cells.maps[0], cells.support, 30, np.random.default_rng(0)))
        assert all(b.dtype == np.float32 and b.shape[1:] == cells.support.shape for b in batches)
        assert all(np.isfinite(b).all() for b in batches)
    elif null.kind == "relabel":
        rivals = null.function(cells, 0)
        assert bool(rivals.names) != bool(rivals.reason)
        assert len(rivals.names) == (0 if rivals.reason else max(len(rivals.heatmaps), len(rivals.masks)))
    else:
        assert math.isfinite(null.function(METRICS["iou"], 0.2, 0.3))


@every_null
def test_leaves_its_input_alone(null: Null, study: xr.DataArray, masks: xr.DataArray) -> None:
    before = study.copy(deep=True), masks.copy(deep=True)
    null_scores(study, masks, nulls=[null.name], draws=20, resolution=1, workers=1)
    xr.testing.assert_identical(study, before[0])
    xr.testing.assert_identical(masks, before[1])


@every_null
def test_bad_maps_are_nan_with_a_reason(null: Null, study: xr.DataArray, masks: xr.DataArray) -> None:
    study = study.copy(deep=True)
    study[0] = 3.0
    study[1, 5, 5] = np.nan
    study[3] = study[4]
    table = null_scores(study, masks, nulls=[null.name], draws=20, workers=1)
    cells = table.groupby(["model", "expression"])
    assert set(cells.get_group(("a", "anger"))["reason"]) == {"constant heatmap"}
    assert set(cells.get_group(("a", "fear"))["reason"]) == {"heatmap not finite"}
    bad = pd.concat([cells.get_group(("a", "anger")), cells.get_group(("a", "fear"))])
    assert bad[["null_mean", "null_sd", "p", "q"]].isna().all(axis=None)
    assert (table["p"].isna() == (table["reason"] != "")).all()
