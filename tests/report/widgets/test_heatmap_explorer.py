"""The heatmap explorer, driven by its controls as a reader would."""

import io

import numpy as np
import pytest
from PIL import Image

from xfer.metrics import METRICS
from xfer.report.widgets import heatmap_explorer
from xfer.report.widgets.explorer import plain
from xfer.study import Study


@pytest.fixture
def explorer(imported: Study):
    return heatmap_explorer(imported)


def iou(explorer) -> float:
    return float(plain(explorer.score.value).split()[1])


def test_it_starts_with_the_studys_own_cut_of_the_mean_over_folds(imported, explorer):
    key = {name: choice.value for name, choice in explorer.choices.items()}
    assert key == {"model": "alpha", "expression": "anger", "fold": "mean of all"}
    score = METRICS["iou"](
        imported.pooled.values[0], imported.masks.sel(expression="anger").values, support=imported.support
    )
    assert iou(explorer) == pytest.approx(float(score), abs=5e-4)
    assert "FACS agreement with ekman" in plain(explorer.score.value)
    assert explorer.told == f"In the study: IoU {imported.table().loc['alpha', 'anger']:.3f} (otsu, mean over 4 folds)"


@pytest.mark.parametrize("model", ["alpha", "delta"])
def test_the_score_of_a_fold_is_the_studys(imported, explorer, model):
    explorer.choices["fold"].value, explorer.choices["model"].value = "CV2", model
    explorer.choices["expression"].value = "fear"
    rows = imported.scores.query("model == @model and fold == 'CV2' and expression == 'fear' and metric == 'iou'")
    own = rows[(rows["mask_expression"] == "fear") & (rows["mask"] == "ekman")]["value"].item()
    assert iou(explorer) == pytest.approx(own, abs=5e-4)
    assert explorer.told == f"In the study: IoU {own:.3f} (otsu)"


def test_the_slider_moves_score_and_picture_and_takes_over_from_otsu(imported, explorer):
    seen = {}
    for share in (0.2, 0.5, 0.8):
        explorer.threshold.value = share
        assert explorer.rule.value == "slider"
        heatmap, mask = imported.pooled.values[0], imported.masks.sel(expression="anger").values
        kept = (
            heatmap >= heatmap[imported.support].min() + share * np.ptp(heatmap[imported.support])
        ) & imported.support
        region = (mask >= 0.5) & imported.support
        assert iou(explorer) == pytest.approx((kept & region).sum() / (kept | region).sum(), abs=2e-3)
        seen[share] = explorer.png
    assert len(set(seen.values())) == 3
    assert "by eye" in plain(explorer.score.value)
    explorer.rule.value = "otsu"
    assert explorer.threshold.value not in seen
    assert "by eye" not in plain(explorer.score.value)


def test_the_masks_area_keeps_as_many_pixels_as_the_mask(explorer):
    explorer.rule.value = "area"
    words = plain(explorer.score.value).split()
    assert words[words.index("precision") + 1] == words[words.index("recall") + 1]


def test_every_control_changes_the_picture(explorer):
    seen = [explorer.png]
    for control, value in (
        (explorer.choices["model"], "beta"), (explorer.choices["expression"], "happiness"),
        (explorer.mask, "xfer/emfacs"), (explorer.strength, 0.9), (explorer.strength, 0.0),
        (explorer.underlay.choice, "none"), (explorer.rule, "area"), (explorer.threshold, 0.9),
    ):  # fmt: skip
        control.value = value
        seen.append(explorer.png)
    assert len(set(seen)) == len(seen)
    assert all(Image.open(io.BytesIO(picture)).size == Image.open(io.BytesIO(seen[0])).size for picture in seen)


def test_a_study_of_networks_is_chosen_from_by_explainer_and_by_who_was_recognised(trained):
    explorer = heatmap_explorer(trained)
    assert {"model", "expression", "explainer"} <= set(explorer.choices)
    assert not {"layer", "normalisation", "target"} & set(explorer.choices)
    assert explorer.choices["explainer"].value == "grad_cam"
    before = explorer.png
    explorer.choices["explainer"].value = "saliency"
    assert explorer.png != before
    assert "faces)" in explorer.told


def test_what_is_not_there_is_one_line_without_a_picture(trained):
    explorer = heatmap_explorer(trained)
    missing = [
        (e, o) for _, e in explorer.choices["expression"].options for _, o in explorer.choices["outcome"].options
        if explorer.cells.find(model="songnet", expression=e, explainer="grad_cam", outcome=o) is None
    ]  # fmt: skip
    assert missing, "a network of two epochs recognises no expression wholly"
    explorer.choices["expression"].value, explorer.choices["outcome"].value = missing[0]
    assert explorer.told.startswith("no heatmap has model songnet, expression ")
    assert explorer.png == b""
    explorer.choices["outcome"].value = "all"
    assert explorer.png


def test_a_constant_map_has_no_score_but_a_picture(imported, explorer, monkeypatch):
    flat = imported.heatmaps.copy(data=np.ones_like(imported.heatmaps.values))
    monkeypatch.setattr(explorer.cells, "_maps", flat)
    explorer.choices["expression"].value = "fear"
    assert plain(explorer.score.value) == "no score: constant heatmap"
    assert explorer.png
