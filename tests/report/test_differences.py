"""The page that sets one study against another."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest

from xfer.report.page import build_differences


@pytest.fixture
def against(whole_page):
    """A function that builds the page of two studies and reads it back."""
    return lambda first, second: type(whole_page)(build_differences(first, second))


@pytest.fixture
def pair(make_study):
    first, second = make_study(seed=1), make_study(models=("net_b", "net_c", "net_d"), seed=2)
    first.name, second.name = "first", "second"
    return first, second


def test_equal_studies_differ_in_nothing(make_study, against):
    page = against(make_study(), make_study())
    assert "Both have the same configuration." in page.said("differ")
    assert "the same versions" in page.said("differ")
    assert page.section("differ").xpath(".//table") == []
    assert {row[3] for row in page.table("scores")[1:]} == {"0.0000"}
    assert {v for row in page.table("maps")[1:] for v in row[1:]} == {"1.00"}


def test_configuration_and_versions_stand_side_by_side(pair, against):
    first, second = pair
    second.config = first.config | {"threshold": "area", "data": {"faces": 3}}
    second.provenance = deepcopy(first.provenance)
    second.provenance["versions"]["numpy"] = "3"
    page = against(first, second)
    assert page.table("differ")[1:] == [["data.faces", "not there", "3"], ["threshold", "otsu", "area"]]
    assert page.table("differ", 1)[1:] == [["versions.numpy", "2", "3"]]
    assert "Study A is 'first', study B is 'second'." in page.said("differ")


def test_scores_of_shared_networks_with_their_difference(pair, against):
    first, second = pair
    page = against(first, second)
    assert "Only in A: net_a." in page.said("networks")
    assert "Only in B: net_d." in page.said("networks")
    one, other = first.table().mean(axis=1), second.table().mean(axis=1)
    rows = {row[0]: row[1:] for row in page.table("scores")[1:]}
    assert set(rows) == {"net_b", "net_c"}
    for model, told in rows.items():
        assert told[:2] == [f"{one[model]:.4f}", f"{other[model]:.4f}"]
        assert float(told[2].replace("−", "-")) == pytest.approx(one[model] - other[model], abs=5.1e-5)
    assert len(page.table("scores", 1)) == 1 + 2 * 6


def test_scores_against_other_masks_have_no_difference(pair, against):
    first, second = pair
    first.config["mask_digests"], second.config["mask_digests"] = ["a"], ["b"]
    page = against(first, second)
    assert "do not measure the same thing: masks differ" in page.said("differ")
    assert page.table("scores")[0][:3] == ["network", "A", "B"]
    assert "A − B" not in page.said("scores")


def test_intervals_stand_where_a_study_has_them(pair, against):
    first, second = pair
    first.inference = pd.DataFrame({
        "model": ["net_b"], "expression": ["fear"], "metric": ["iou"], "threshold": ["otsu"], "mask": ["ekman"],
        "ci_low": [0.125], "ci_high": [0.375], "corrected": [0.25],
    })  # fmt: skip
    rows = {(row[0], row[1]): row[-2:] for row in against(first, second).table("scores", 1)[1:]}
    assert rows["net_b", "fear"] == ["0.125 to 0.375", "none"]
    assert rows["net_b", "anger"] == ["none", "none"]


def test_heatmaps_are_compared_pixel_by_pixel(pair, against):
    first, second = pair
    page = against(first, second)
    assert len(page.section("maps").xpath(".//img")) == 1
    told = {row[0]: row[1:] for row in page.table("maps")[1:]}
    one, other = (
        study.heatmaps.values[((study.heatmaps.model == "net_b") & (study.heatmaps.expression == "anger")).values][0]
        for study in pair
    )
    assert told["net_b"][0] == f"{np.corrcoef(one.ravel(), other.ravel())[0, 1]:.2f}".replace("-", "−")


def test_maps_of_another_size_cannot_be_laid_on_each_other(pair, against):
    first, second = pair
    second.heatmaps = second.heatmaps[:, ::2]
    second.support = second.support[::2]
    assert "The maps of A have 55 x 45 rows x columns, those of B 28 x 45" in against(first, second).said("maps")


def test_studies_without_a_shared_network(make_study, against):
    page = against(make_study(models=("a", "b")), make_study(models=("c", "d")))
    assert "No network is in both studies." in page.said("networks")
    assert "share no network and expression" in page.said("scores")
    assert "share no network and expression" in page.said("maps")
