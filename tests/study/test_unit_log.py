"""The log of a study: what is added is read, and what is torn, damaged or somebody else's is passed over."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xfer.study import unit_log

LINE = {"unit": "a", "model": "songnet", "fold": "0", "checkpoint": "songnet-f0", "until": "part", "part": 2,
        "train_seconds": 0.0, "explain_seconds": 2.5, "accuracy": None}  # fmt: skip


def test_lines_are_added_behind_a_torn_one(tmp_path: Path) -> None:
    assert unit_log.read(tmp_path) == []
    unit_log.append(tmp_path, LINE)
    with (tmp_path / "units.jsonl").open("ab") as log:
        log.write(b'{"unit": "b", "mo\xff')
    unit_log.append(tmp_path, {**LINE, "unit": "c"})
    assert unit_log.read(tmp_path) == [LINE, {**LINE, "unit": "c"}]


@pytest.mark.parametrize("name", ["unit", "model", "fold", "checkpoint", "until", "train_seconds", "explain_seconds"])
@pytest.mark.parametrize("value", [None, [1], {"a": 1}])
def test_a_line_with_a_value_of_another_kind_is_none(name: str, value: Any, tmp_path: Path) -> None:
    unit_log.append(tmp_path, {**LINE, name: value})
    unit_log.append(tmp_path, LINE)
    assert unit_log.read(tmp_path) == [LINE]


def test_a_line_that_is_nested_too_deep_is_none(tmp_path: Path) -> None:
    (tmp_path / "units.jsonl").write_text("[" * 100_000 + "\n")
    unit_log.append(tmp_path, LINE)
    assert unit_log.read(tmp_path) == [LINE]


def test_what_a_line_does_not_tell_is_empty(tmp_path: Path) -> None:
    unit_log.append(tmp_path, {"model": "songnet"})
    (found,) = unit_log.read(tmp_path)
    assert (found["model"], found["unit"], found["train_seconds"], found["accuracy"]) == ("songnet", "", 0.0, None)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=25)
@given(json_values)
def test_whatever_a_line_holds_is_read_or_passed_over(value: Any) -> None:
    with TemporaryDirectory() as place:
        (Path(place) / "units.jsonl").write_text(json.dumps(value))
        assert len(unit_log.read(Path(place))) == isinstance(value, dict)
