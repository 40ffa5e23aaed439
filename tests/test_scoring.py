"""Labelled scoring: rows are matched by label, controls stand beside scores, undefined scores say why."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xfer
from xfer import scoring
from xfer.errors import InputError
from xfer.labels import KEY
from xfer.metrics import METRICS

EXPRESSIONS = ("anger", "fear", "sadness")


def heatmaps(
    rng: np.random.Generator, models: tuple[str, ...] = ("a", "b"), folds: tuple[str, ...] = ("all",)
) -> xr.DataArray:
    cells = [(m, f, e) for m in models for f in folds for e in EXPRESSIONS]
    key = dict.fromkeys(KEY, "unknown")
    rows = [{**key, "model": m, "fold": f, "expression": e, "target": e} for m, f, e in cells]
    coords = {name: ("cell", [row[name] for row in rows]) for name in KEY}
    return xr.DataArray(rng.random((len(cells), 12, 10)), dims=("cell", "y", "x"), coords=coords)


def masks(expressions: tuple[str, ...] = EXPRESSIONS, name: str = "drawn") -> xr.DataArray:
    values = np.zeros((len(expressions), 12, 10))
    for i, expression in enumerate(expressions):
        start = EXPRESSIONS.index(expression) * 3
        values[i, start : start + 5, 2:8] = 1
    return xr.DataArray(values, dims=("expression", "y", "x"), coords={"expression": list(expressions)}, name=name)


def test_every_pair_of_map_and_mask_is_the_metric_itself(rng: np.random.Generator) -> None:
    maps, truth = heatmaps(rng), masks()
    scores = xfer.score(maps, truth, metrics="pearson,iou", threshold=0.5)
    assert list(scores.columns) == list(scoring.COLUMNS)
    for row in scores.itertuples():
        if row.metric.endswith("_specificity"):
            continue
        at = (maps.coords["model"] == row.model) & (maps.coords["expression"] == row.expression)
        heatmap = maps[at].values[0]
        options = {"threshold": 0.5} if row.metric == "iou" else {}
        expected = METRICS[row.metric](heatmap, truth.sel(expression=row.mask_expression).values, **options)
        assert row.value == pytest.approx(float(expected), rel=1e-12)
    assert len(scores) == 6 * 2 * (3 + 1)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(3)), seed=st.integers(0, 99))
def test_the_order_of_masks_changes_nothing(order: list[int], seed: int) -> None:
    maps = heatmaps(np.random.default_rng(seed))
    sort = ["model", "expression", "mask_expression", "metric"]
    one, two = (
        xfer.score(maps, m, metrics=["iou", "shuffled_auc"]).sort_values(sort).reset_index(drop=True)
        for m in (masks(), masks(tuple(EXPRESSIONS[i] for i in order)))
    )
    pd.testing.assert_frame_equal(one, two, rtol=1e-12)


def test_specificity_subtracts_the_mean_of_the_other_masks(rng: np.random.Generator) -> None:
    scores = xfer.score(heatmaps(rng, ("a",)), masks(), metrics=["nss"])
    plain = scores[scores["metric"] == "nss"].pivot_table("value", "expression", "mask_expression")
    special = scores[scores["metric"] == "nss_specificity"].set_index("expression")["value"]
    for expression in EXPRESSIONS:
        others = [plain.loc[expression, e] for e in EXPRESSIONS if e != expression]
        assert special[expression] == pytest.approx(plain.loc[expression, expression] - np.mean(others), rel=1e-12)


def test_emd_has_no_specificity(rng: np.random.Generator) -> None:
    scores = xfer.score(heatmaps(rng, ("a",)), masks(), metrics="all")
    assert {m.removesuffix("_specificity") for m in scores["metric"]} == set(METRICS)
    without = {name for name in METRICS if f"{name}_specificity" not in set(scores["metric"])}
    assert without == {"emd"}


def test_emd_is_measured_in_inter_ocular_distances(rng: np.random.Generator) -> None:
    maps = heatmaps(rng, ("a",))
    one, two = (xfer.score(maps, masks(), metrics=["emd"], inter_ocular=d)["value"] for d in (4.0, 8.0))
    np.testing.assert_allclose(one, 2 * two, rtol=1e-12)


def test_support_is_the_same_as_cropping(rng: np.random.Generator) -> None:
    maps, truth = heatmaps(rng), masks()
    support = np.zeros((12, 10), dtype=bool)
    support[1:11, 2:9] = True
    inside = xfer.score(maps, truth, metrics=["iou", "auc_judd", "spearman"], support=support)
    cropped = xfer.score(maps[:, 1:11, 2:9], truth[:, 1:11, 2:9], metrics=["iou", "auc_judd", "spearman"])
    pd.testing.assert_frame_equal(inside, cropped)


def test_a_constant_map_is_undefined_everywhere_and_says_so(rng: np.random.Generator) -> None:
    maps = heatmaps(rng)
    maps[0] = 3.0
    scores = xfer.score(maps, masks())
    flat = (scores["model"] == "a") & (scores["expression"] == "anger")
    assert scores.loc[flat, "value"].isna().all()
    assert set(scores.loc[flat, "reason"]) == {"constant heatmap"}
    assert set(scores.loc[~flat, "reason"]) == {""}
    assert scores.loc[~flat, "value"].notna().all()


def test_an_iterator_is_read_map_by_map(rng: np.random.Generator) -> None:
    maps, seen = heatmaps(rng), []
    stream = (seen.append(key["model"]) or (key, heatmap) for key, heatmap in scoring.cells(maps))
    done: list[int] = []
    lazy = xfer.score(stream, masks(), metrics=["dice"], progress=lambda: done.append(len(seen)))
    pd.testing.assert_frame_equal(lazy, xfer.score(maps, masks(), metrics=["dice"]))
    assert done == [1, 2, 3, 4, 5, 6]


def test_several_sources_are_told_apart(rng: np.random.Generator) -> None:
    maps = heatmaps(rng)
    both = xfer.score(maps, [masks(), masks(name="other")], metrics=["recall"])
    assert both.groupby("mask").size().to_dict() == {"drawn": 24, "other": 24}


def test_tables_average_folds_and_keep_an_undefined_fold_undefined(rng: np.random.Generator) -> None:
    maps = heatmaps(rng, folds=("CV1", "CV2"))
    scores = xfer.score(maps, masks(), metrics=["iou"])
    cell = scores[(scores["model"] == "a") & (scores["expression"] == "fear") & (scores["mask_expression"] == "fear")]
    cell = cell[cell["metric"] == "iou"]
    assert scoring.table(scores).loc["a", "fear"] == pytest.approx(cell["value"].mean(), rel=1e-12)
    scores.loc[cell.index[0], "value"] = np.nan
    table = scoring.table(scores)
    assert np.isnan(table.loc["a", "fear"])
    assert table.notna().to_numpy().sum() == 5


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"metrics": ["iuo"]}, "'metric' must be one of .*; got 'iuo' \\(did you mean 'iou'\\?\\)"),
        ({"threshold": "best"}, "'threshold' must be otsu, area, upper_bound or a number between 0 and 1; got 'best'"),
        ({"threshold": 1.0}, "'threshold' must be .*; got 1.0"),
        ({"support": np.ones((3, 3), bool)}, r"'support' has the shape \(3, 3\), the masks of 'drawn' \(12, 10\)"),
    ],
)
def test_wrong_arguments(rng: np.random.Generator, options: dict[str, object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        xfer.score(heatmaps(rng), masks(), **options)  # type: ignore[arg-type]


def test_map_without_a_mask_and_map_of_another_size(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="the sadness map of 'a' has no mask in 'drawn', which has anger, fear"):
        xfer.score(heatmaps(rng), masks(("anger", "fear")))
    with pytest.raises(
        InputError, match="the anger map of 'a' has 11 rows x 10 columns, the masks of 'drawn' have 12 x 10"
    ):
        xfer.score(heatmaps(rng)[:, 1:], masks())


@pytest.mark.parametrize("scale", [1e160, 1e-160, 1e-305, 3e300])
def test_the_scale_of_a_map_changes_no_score(rng: np.random.Generator, scale: float) -> None:
    maps = heatmaps(rng, ("a",)) - 0.2
    plain, scaled = (xfer.score(m, masks(), inter_ocular=5.0) for m in (maps, maps * scale))
    np.testing.assert_allclose(scaled["value"], plain["value"], rtol=1e-9, atol=1e-12)
    assert set(scaled["reason"]) == {""}


def test_a_metric_asked_for_twice_is_scored_once(rng: np.random.Generator) -> None:
    assert len(xfer.score(heatmaps(rng), masks(), metrics="iou,iou")) == 6 * 4


def test_csv_text_cannot_act_as_a_formula(tmp_path) -> None:  # type: ignore[no-untyped-def]
    frame = pd.DataFrame({"model": ["=1+1", "+x", "-x", "@x", "plain", "\tx"], "value": [-1.5, 2.0, np.nan, 0, 1, 1]})
    scoring.write_csv(frame, tmp_path / "x.csv")
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert lines[1:] == ["'=1+1,-1.5", "'+x,2.0", "'-x,", "'@x,0.0", "plain,1.0", "'\tx,1.0"]
    assert scoring.read_csv(tmp_path / "x.csv")["model"].tolist() == frame["model"].tolist()
