"""What the page's scripts are told: maps read back, outlines, curves, leaves, single faces."""

import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from xfer.report import cell_faces, figures, leaves, pixels
from xfer.report.cell_faces import CellFaces
from xfer.report.explorer import curves, training


def decoded(told):
    shades = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["map"]))), dtype=float)
    return np.where(shades == 0, np.nan, told["low"] + (shades - 1) / pixels.LEVELS * (told["high"] - told["low"]))


def live(page, kind):
    (holder,) = page.xpath(f"//*[@data-live='{kind}']")
    return json.loads(holder.getnext().text)


def test_a_map_comes_back_to_half_a_step(rng):
    heatmap = rng.normal(size=(9, 7))
    heatmap[2, 3] = np.nan
    back = decoded(pixels.levels(heatmap))
    assert np.nanmax(np.abs(back - heatmap)) <= (np.nanmax(heatmap) - np.nanmin(heatmap)) / 508 + 1e-12
    assert np.isnan(back[2, 3])
    assert np.isnan(back).sum() == 1


def test_a_constant_map_is_its_lowest_level():
    assert (decoded(pixels.levels(np.full((2, 2), 3.0))) == 3).all()


def test_the_page_tells_every_map_score_and_curve(make_study, page_of):
    study = make_study(models=("a", "b"), expressions=("anger", "fear"), folds=("CV1", "CV2"), missing=[("b", "fear")])
    told = live(page_of(study), "heatmaps")
    assert (told["height"], told["width"]) == study.support.shape
    assert told["expressions"] == ["anger", "fear"]
    assert len(told["outlines"]) == 2
    assert all(d.startswith("M") and d.endswith("Z") for d in told["outlines"])
    rows = dict(zip(told["models"], told["cells"][0], strict=True))
    assert rows["b"][1]["note"] == "no map"
    assert "map" not in rows["b"][1]
    table = study.table()
    for model, column, expression in (("a", 0, "anger"), ("a", 1, "fear"), ("b", 0, "anger")):
        cell = rows[model][column]
        at = (study.heatmaps.model == model) & (study.heatmaps.expression == expression)
        mean = study.heatmaps.values[at.values].mean(axis=0)
        np.testing.assert_allclose(decoded(cell), mean, atol=np.ptp(mean) / 508 + 1e-6)
        assert cell["note"] == f"IoU {table.loc[model, expression]:.3f}"
        assert dict(cell["known"])["IoU (otsu)"] == f"{table.loc[model, expression]:.4f}"
        mask = study.masks.sel(expression=expression).values >= 0.5
        for share, iou in zip(np.arange(1, 20) / 20, cell["curve"], strict=True):
            region = mean >= mean.min() + share * np.ptp(mean)
            assert iou == pytest.approx((region & mask).sum() / (region | mask).sum(), abs=2e-3)


def test_curves_leave_out_maps_with_gaps_and_without_masks(rng):
    maps = xr.DataArray(
        rng.random((1, 3, 5, 4)),
        {"model": ["m"], "expression": ["anger", "fear", "awed"]},
        ("model", "expression", "y", "x"),
    )
    maps.values[0, 1, 2, 2] = np.nan
    masks = xr.DataArray(np.eye(5, 4)[None].repeat(2, 0), {"expression": ["anger", "fear"]}, ("expression", "y", "x"))
    assert set(curves(maps, masks, np.ones((5, 4), bool))) == {("m", "anger")}


def test_training_logs_are_told_fold_by_fold_without_nan():
    log = pd.DataFrame({
        "model": "m", "fold": ["0", "0", "1"], "epoch": [2, 1, 1], "train_loss": [0.5, 1.0, 2.0],
        "validation_loss": [np.nan, 1.0, 1.0], "validation_accuracy": [0.25, 0.5, 1.0],
    })  # fmt: skip
    networks = pd.DataFrame({"model": ["m", "m"], "fold": ["0", "1"], "epoch": [2.0, np.nan]})
    assert training(log, networks) == {
        "m": [
            {"epochs": [1, 2], "kept": 2.0, "train": [1.0, 0.5], "validation": [1.0, None], "accuracy": [0.5, 0.25]},
            {"epochs": [1], "kept": None, "train": [2.0], "validation": [1.0], "accuracy": [1.0]},
        ]
    }


def test_leaves_stand_where_they_are_drawn(make_study):
    study = make_study()
    tree, r = study.tree("fear"), study.model_correlations("fear")
    drawn = figures.family(tree, r)
    told = leaves.panel("Fear", tree, r, drawn)
    assert told["leaves"] == list(tree.leaves)
    assert told["correlations"][0][1] == f"{r.loc[tree.leaves[0], tree.leaves[1]]:.2f}".replace("-", "−")
    width, height = drawn.get_size_inches()
    for row, label in enumerate(drawn.axes[0].get_yticks()):
        x, y = drawn.axes[0].transData.transform((0, label)) / drawn.dpi
        left, top, wide, high = told["tree"]
        assert 1 - y / height == pytest.approx(top + (row + 0.5) / 3 * high, abs=1e-3)
        assert x / width == pytest.approx(left + wide, abs=1e-3)
    corner = drawn.axes[1].transData.transform((0, 0)) / drawn.dpi
    assert corner[0] / width == pytest.approx(told["matrix"][0], abs=1e-3)
    assert 1 - corner[1] / height == pytest.approx(told["matrix"][1], abs=1e-3)


class Kept:
    """As `KeptFaces`: three faces of one cell, one of them with a picture."""

    explainers = ("grad_cam",)
    table = pd.DataFrame({
        "model": "m", "fold": "0", "face": ["x", "y", "z"], "expression": "fear",
        "predicted": ["anger", "fear", "fear"], "probability": [0.9, 0.8, 0.7], "right": [False, True, True],
    })  # fmt: skip

    def __init__(self, study):
        self.looked = []

    def map(self, model, fold, face, explainer):
        return np.arange(6.0).reshape(2, 3)

    def face(self, name):
        picture = np.full((200, 100, 3), 90, np.uint8) if name == "x" else None
        return SimpleNamespace(picture=picture, points=None if name == "y" else np.zeros((68, 2)))


def test_single_faces_are_told_where_they_are_kept_and_wanted(monkeypatch):
    monkeypatch.setattr(cell_faces, "KeptFaces", Kept)
    study = SimpleNamespace(config={"per_face": True})
    assert CellFaces(study, wanted=False).of("m", "fear", "grad_cam") == {}
    assert CellFaces(SimpleNamespace(config={}), wanted=True).of("m", "fear", "grad_cam") == {}
    faces = CellFaces(study, wanted=True)
    assert faces.of("m", "fear", "lime") == {}
    told = faces.of("m", "fear", "grad_cam")
    assert told["shown"] == "3 of 3 faces, wrong answers first"
    assert [face["told"] for face in told["faces"]] == [
        "taken for anger, p 0.90",
        "recognised, p 0.80",
        "recognised, p 0.70",
    ]
    assert [face["size"] for face in told["faces"]] == [[2, 3]] * 3
    faces.of("m", "fear", "grad_cam")
    assert len(faces.people) == 3
    picture = faces.people[0]["picture"]
    assert Image.open(io.BytesIO(base64.b64decode(picture.split(",")[1]))).size == (56, 112)
    assert [bool(person["lines"]) for person in faces.people] == [True, False, True]
    assert faces.people[0]["lines"].count("M") == 9
    assert faces.people[0]["lines"].startswith("M0.5 0.2L0.5 0.2L")
