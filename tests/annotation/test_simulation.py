"""Raters who are nobody: what they answer follows from the masks and a seed, and never lies among people's files."""

import numpy as np
import pytest

from xfer import mask_sources
from xfer.annotation import attention, maps, read_answers, reliability, simulate, write_maps
from xfer.errors import InputError


def test_they_answer_everything_attentively_and_dab_inside_the_mask(pair):
    ids = simulate(pair, 4, right=1.0, spots=30)
    assert ids == ("000000000001", "000000000002", "000000000003", "000000000004")
    answers = read_answers(pair)
    checked = attention(pair, answers)
    assert checked["reason"].tolist() == [""] * 4
    assert checked["as_labelled"].tolist() == [1.0] * 4
    made = maps(pair, answers).mean("rater")
    (truth,) = mask_sources.load("ekman").masks
    for expression in ("anger", "fear"):
        own, other = (made.sel(expression=expression).where(truth.sel(expression=e) > 0.5).mean().item()
                      for e in (expression, {"anger": "fear", "fear": "anger"}[expression]))  # fmt: skip
        outside = made.sel(expression=expression).where(truth.sel(expression=expression) < 0.5).mean().item()
        assert own > 4 * outside
        assert own > other


def test_more_dabs_make_raters_agree_more(pair, tmp_path):
    found = []
    for spots in (2, 40):
        for old in pair.home.glob("0000*"):
            old.unlink()
        simulate(pair, 4, right=1.0, spots=spots)
        write_maps(pair, maps(pair))
        found.append(reliability(pair)["between"].mean())
    assert found[1] > found[0] + 0.2


def test_a_seed_gives_the_same_answers_and_a_second_call_adds_none(pair):
    simulate(pair, 2, right=0.5, seed=3)
    first = [pair.path(rater).read_bytes() for rater in pair.raters()]
    simulate(pair, 2, right=0.5, seed=4)
    assert [pair.path(rater).read_bytes() for rater in pair.raters()] == first
    for rater in pair.raters():
        pair.path(rater).unlink()
    simulate(pair, 2, right=0.5, seed=3)
    assert [pair.path(rater).read_bytes() for rater in pair.raters()] == first


def test_none_is_seen_right_where_right_is_zero(pair):
    simulate(pair, 2, right=0.0)
    answers = read_answers(pair)
    judged = answers[answers["kind"] != "part"]
    assert (judged["seen"] != judged["label"]).all()
    assert np.isin(judged["seen"], ["anger", "fear"]).all()


def test_they_stay_away_from_people(pair, work):
    work(pair, "anna")
    with pytest.raises(
        InputError, match=r"people have marked faces there \(1 files\); simulate in a folder of its own"
    ):
        simulate(pair)


@pytest.mark.parametrize("wrong", [{"raters": 0}, {"spots": 0}, {"right": 1.5}])
def test_numbers_that_do_not_fit_are_told(pair, wrong):
    with pytest.raises(InputError, match=r"raters and spots must be at least 1, right in \[0, 1\]"):
        simulate(pair, **wrong)
    assert pair.raters() == ()
