"""Marks: what they cover, and that a line of JSON brings the same ones back."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xfer.annotation.marks import Click, Stroke, from_json, paint, thin, to_json
from xfer.errors import InputError

points = st.tuples(st.integers(-50, 600), st.integers(-50, 600))
strokes = st.builds(Stroke, st.integers(1, 120), st.lists(points, min_size=1, max_size=20).map(tuple), st.booleans())


@given(strokes)
def test_json_brings_the_same_stroke_back(stroke: Stroke) -> None:
    assert from_json(json.loads(json.dumps(to_json(stroke)))) == stroke


def test_json_brings_the_same_click_back() -> None:
    assert from_json(to_json(Click(("eyes", 1)))) == Click(("eyes", 1))


@pytest.mark.parametrize(
    "told",
    [None, [], {}, {"brush": 3}, {"brush": 3, "path": []}, {"brush": 3, "path": [1, 2, 3]},
     {"brush": True, "path": [1, 2]}, {"brush": 3, "path": [1, 2.5]}, {"brush": 3, "path": [1, 10**9]},
     {"part": ["eyes"]}, {"part": [1, "eyes"]}],
)  # fmt: skip
def test_what_is_no_mark_is_refused(told: object) -> None:
    with pytest.raises(InputError, match=re.escape(f"not a mark: {str(told)[:60]}")):
        from_json(told)


def test_a_stroke_covers_what_is_nearer_than_half_its_width() -> None:
    painted = paint([Stroke(20, ((30, 40), (70, 40)))], {}, 80, 100)
    y, x = np.mgrid[:80, :100]
    away = np.hypot(x - np.clip(x, 30, 70), y - 40)
    assert painted[away < 9].all()
    assert not painted[away > 11].any()


def test_one_point_is_a_dot_and_the_eraser_takes_away() -> None:
    dot = paint([Stroke(10, ((20, 20),))], {}, 40, 40)
    assert abs(int(dot.sum()) - np.pi * 25) < 20
    assert not paint([Stroke(10, ((20, 20),)), Stroke(30, ((20, 20),), erase=True)], {}, 40, 40).any()
    again = [Stroke(10, ((20, 20),)), Stroke(30, ((20, 20),), erase=True), Stroke(10, ((20, 20),))]
    assert (paint(again, {}, 40, 40) == dot).all()


def test_a_click_marks_its_piece_and_an_unknown_one_is_named() -> None:
    area = np.zeros((8, 9), bool)
    area[2:5, 3:6] = True
    assert (paint([Click(("eyes", 0))], {("eyes", 0): area}, 8, 9) == area).all()
    with pytest.raises(InputError, match=re.escape("no part of the face ('ears', 0); there is ('eyes', 0)")):
        paint([Click(("ears", 0))], {("eyes", 0): area}, 8, 9)


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=1, max_size=60), st.integers(6, 100))
def test_a_thinned_path_keeps_its_ends_and_stays_within_a_quarter_brush(path: list, size: int) -> None:
    kept = thin(path, size)
    whole = [(round(x), round(y)) for x, y in path]
    assert kept[0] == whole[0]
    assert kept[-1] == whole[-1]
    far = [min(max(abs(x - a), abs(y - b)) for a, b in kept) for x, y in whole]
    assert max(far) <= 2 * max(1, size // 4)
