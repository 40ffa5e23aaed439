"""Marks in the canonical frame, and what raters agree on."""

import re

import numpy as np
import pytest

from xfer import mask_sources
from xfer.annotation import Collection, attention, maps, read_answers, reliability, write_maps
from xfer.annotation.parts import draw_pieces
from xfer.annotation.reliability import kappa
from xfer.errors import InputError
from xfer.geometry import load_frame
from xfer.heatmaps import read_raters

FRAME = load_frame("xfer")
PIECES = draw_pieces(FRAME.points[:68], FRAME.height, FRAME.width)


def iou(one: np.ndarray, two: np.ndarray) -> float:
    return float((one & two).sum() / (one | two).sum())


def test_a_part_clicked_on_any_face_lands_on_that_part_of_the_frame(collection: Collection, work) -> None:
    work(collection, "Anna")
    made = maps(collection)
    assert made.dims == ("rater", "expression", "y", "x")
    assert list(made.expression.values) == list(collection.expressions)
    assert (made.faces.values == 1).all()
    for one in made.values[0]:
        assert set(np.unique(one)) >= {0.0, 1.0}
        assert iou(one >= 0.5, PIECES["mouth", 0]) > 0.8


def test_a_map_is_the_share_of_faces_with_a_mark(collection: Collection, work) -> None:
    work(collection, "Anna", seen="fear", part="nose")
    one = maps(collection, outcome="all")
    assert one.faces.values.tolist() == [[6]]
    assert one.values.max() == 1
    assert iou(one.values[0, 0] >= 0.5, PIECES["nose", 0]) > 0.8
    assert maps(collection).faces.values.tolist() == [[1]]


def test_who_fails_the_checks_does_not_count_unless_asked_for(collection: Collection, work) -> None:
    work(collection, "Anna")
    work(collection, "Bo", attentive=False)
    checked = attention(collection, read_answers(collection)).set_index("rater")
    anna, bo = (checked.loc[collection.rater_id(name)] for name in ("Anna", "Bo"))
    assert (anna["passed"], anna["reason"]) == (1, "")
    assert (bo["passed"], bo["reason"]) == (0, "passed 0 of 1 attention checks")
    assert (anna["faces"], anna["of"], anna["again"], anna["same_answer"], anna["overlap"]) == (6, 6, 1, 1, 1)
    assert anna["as_labelled"] == 1
    assert list(maps(collection).rater.values) == [collection.rater_id("Anna")]
    assert maps(collection, everybody=True).sizes["rater"] == 2


def test_no_map_says_why(pair: Collection, work) -> None:
    told = f"{pair.home}: no map can be made; "
    with pytest.raises(InputError, match=re.escape(told + "nobody has marked a face yet")):
        maps(pair)
    with pytest.raises(InputError, match=re.escape("'outcome' must be one of correct, all; got 'right'")):
        maps(pair, outcome="right")
    work(pair, "Bo", attentive=False)
    with pytest.raises(InputError, match=re.escape(told + "no rater passed the attention checks")):
        maps(pair)


def test_raters_who_mark_alike_are_reliable_and_their_maps_are_the_mask(pair: Collection, work) -> None:
    for name in ("Anna", "Bo", "Cy", "Di"):
        work(pair, name)
    made = maps(pair)
    assert len(write_maps(pair, made)) == 4 * 2
    np.testing.assert_array_equal(read_raters(pair.home).values, made.values)
    sources = mask_sources.load(f"human:{pair.home}")
    assert sources.measures == {"human:people": "human alignment"}
    assert iou(sources.masks[0].values[0] >= 0.5, PIECES["mouth", 0]) > 0.8
    found = reliability(pair)
    assert (found["raters"] == 4).all()
    np.testing.assert_allclose(found[["between", "reliability", "ceiling_iou", "ceiling_pearson"]], 1, atol=1e-4)
    assert kappa(read_answers(pair)) == pytest.approx(1)


def test_raters_who_mark_different_parts_are_not(pair: Collection, work) -> None:
    for name, part in {"Anna": "mouth", "Bo": "nose", "Cy": "chin", "Di": "forehead"}.items():
        work(pair, name, part=part)
    write_maps(pair, maps(pair))
    found = reliability(pair)
    assert (found["between"] < 0).all()
    assert (found["ceiling_iou"] < 0.2).all()


def test_few_raters_have_no_ceiling_and_the_table_says_so(pair: Collection, work) -> None:
    work(pair, "Anna")
    write_maps(pair, maps(pair))
    found = reliability(pair)
    assert found["between"].isna().all()
    assert found["ceiling_iou"].isna().all()
    assert set(found["reason"]) == {"1 rater: a split-half ceiling takes 4"}
    assert np.isnan(kappa(read_answers(pair)))


def test_new_maps_replace_the_old_and_nothing_else(pair: Collection, work) -> None:
    work(pair, "Anna")
    write_maps(pair, maps(pair))
    journal = pair.path(pair.rater_id("Anna"))
    before = journal.read_bytes()
    other = pair.home / "someone_anger.npy"
    np.save(other, np.ones((275, 224), np.float32))
    write_maps(pair, maps(pair).sel(expression=["fear"]))
    kept = sorted(path.name for path in pair.home.glob("*.npy"))
    assert kept == sorted([f"{pair.rater_id('Anna')}_fear.npy", "someone_anger.npy"])
    assert journal.read_bytes() == before
