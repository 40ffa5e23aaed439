"""Resampling in blocks: what comes back is what was found, to the last bit; no finished block is computed again."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xfer.errors import InputError
from xfer.study import resampling
from xfer.study.engine import Local
from xfer.study.folder import PARTIALS
from xfer.study.resampling import Rows, resample

COUNT = 7
VALUES: dict[str, Any] = {
    "third": 1 / 3,
    "small": np.float64(5e-324),
    "single": np.float32(0.1),
    "none": math.nan,
    "endless": -math.inf,
    "count": np.int64(2**53 + 1),
    "yes": np.True_,
    "text": "p \u2264 .05",
    "draws": np.array([0.1, np.nan, 3e300]),
    "halves": np.array([0.5], np.float32),
    "nothing": np.empty(0),
}


class Counted:
    """Rows that tell whose they are; who was asked is remembered, and one may be refused."""

    def __init__(self, refused: int = -1, seed: int = 0) -> None:
        self.refused, self.seed, self.asked = refused, seed, Counter[int]()

    def told(self) -> Iterator[bytes]:
        yield str(self.seed).encode()

    def rows(self, member: int) -> Rows:
        self.asked[member] += 1
        if member == self.refused:
            raise InputError("no such map")
        return [{"member": member, **VALUES}] * (member % 3)


def found(home: Path, what: Counted, told: Counter[str]) -> list[Rows]:
    return resample(what, COUNT, home, Local(), lambda: told.update(["member"]))


def test_rows_come_back_in_order_and_as_they_were(tmp_path: Path) -> None:
    told: Counter[str] = Counter()
    rows = found(tmp_path, Counted(), told)
    assert [len(each) for each in rows] == [0, 1, 2, 0, 1, 2, 0]
    assert told["member"] == COUNT
    for row in (row for each in rows for row in each):
        for name, value in VALUES.items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(row[name], value, strict=True)
            else:
                assert row[name] == value or (name == "none" and math.isnan(row[name]))
    resampling.clear(tmp_path)
    assert not list((tmp_path / PARTIALS).iterdir())


def test_what_an_ended_run_found_is_not_computed_again(tmp_path: Path) -> None:
    first, second, told = Counted(refused=6), Counted(), Counter[str]()
    with pytest.raises(InputError, match="no such map"):
        found(tmp_path, first, told)
    rows = found(tmp_path, second, told := Counter())
    assert set(second.asked) == {6}
    assert told["member"] == COUNT
    assert rows[4][0]["member"] == 4
    assert set(first.asked.values()) == {1}
    other = Counted(seed=1)
    found(tmp_path, other, told)
    assert sum(other.asked.values()) == COUNT, "another seed is another file"
