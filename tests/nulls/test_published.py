"""The published maps against chance: numbers of the authors' files, recomputed."""

from pathlib import Path

import pytest

from xfer import heatmaps
from xfer.nulls import expected_iou, null_scores

CHANCE = {"anger": 0.159, "disgust": 0.148, "fear": 0.152, "happiness": 0.112, "sadness": 0.158, "surprise": 0.142}


def test_chance_at_the_mean_otsu_area(published: Path) -> None:
    maps = heatmaps.read_heatmaps(published / "by_network", "{model}_{expression}_heatmap.png")
    found = expected_iou(maps, heatmaps.read_masks(published / "masks"))
    assert found.to_dict() == pytest.approx(CHANCE, abs=0.002)
    assert list(found.index) == list(CHANCE)


def test_smooth_maps_spread_where_pixels_do_not(published: Path) -> None:
    """The mean of smooth maps is near pq / (p + q - pq), but single ones reach far above: a test needs the spread."""
    maps = heatmaps.read_heatmaps(published / "by_network", "{model}_{expression}_heatmap.png")
    masks = heatmaps.read_masks(published / "masks")
    few = maps[maps.coords["model"] == "ResNet50"]
    options = {"nulls": ["surrogate", "pixels"], "metrics": "iou", "threshold": "otsu", "draws": 96, "resolution": 0.25}
    table = null_scores(few, masks, **options)
    wide = table[table["metric"] == "iou"].pivot_table("null_mean", "expression", "null")
    assert (wide["surrogate"] - wide["pixels"]).abs().max() < 0.06
    spread = table.loc[(table["null"] == "surrogate") & (table["metric"] == "iou"), "null_sd"]
    assert (spread > 0.05).all()
