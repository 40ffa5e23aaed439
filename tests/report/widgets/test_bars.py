"""Bars of any work: what they say while it goes on, and that nothing of them stays."""

import pytest

from xfer.report.widgets import bars
from xfer.report.widgets.bars import Bars


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test sets."""
    now = [0.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: now[0])
    return now


def test_a_stage_tells_how_far_how_fast_and_how_long_still(clock):
    shown = Bars()
    tick = shown("faces", 120)
    (line,) = shown.children
    assert [line.children[0].value, line.children[1].value, line.children[1].max] == ["faces", 0, 120]
    for clock[0] in range(1, 31):
        tick()
    assert line.children[0].value == "faces: 30 of 120, 1.0 a second, 1 min 30 s left"
    assert line.children[1].value == 30


def test_steps_that_come_fast_are_not_all_drawn_and_the_last_one_ends_it(clock):
    shown = Bars()
    tick = shown("faces", 3)
    (line,) = shown.children
    clock[0] = 0.1
    tick()
    assert line.children[1].value == 0
    tick()
    tick()
    assert shown.children == ()


def test_names_of_stages_are_escaped():
    shown = Bars()
    shown("<b>net</b>", 1)
    assert shown.children[0].children[0].value == "&lt;b&gt;net&lt;/b&gt;"
