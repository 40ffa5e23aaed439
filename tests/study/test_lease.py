"""One writer of a study in a store, by conditional writes and the clock of whoever watches."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from xfer.datasets import objects
from xfer.errors import InputError
from xfer.study import lease
from xfer.study.lease import Lease, newest, told

URL = "memory://box/study"


def names(store: Any) -> list[str]:
    return [path.removeprefix("/box/study/.lease/") for path in sorted(store.find("/box/study/.lease"))]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "SILENT", 4)


def until(condition: Callable[[], object]) -> None:
    """Wait for what other threads do, on a machine that may be busy."""
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited for 10 s")


def never(error: InputError) -> None:
    raise AssertionError(error)


def test_it_is_taken_given_back_and_taken_again_and_tells_nothing_of_the_machine(store):
    assert newest(URL) is None
    assert told(URL) == ""
    with Lease.take(URL).kept(never):
        first = newest(URL)
        assert (first.number, first.process, first.free) == (1, os.getpid(), False)
        assert told(URL) == f"process {os.getpid()}, heard of 0 s ago"
        assert set(json.loads(first.content)) == {"format", "holder", "process", "beat", "free"}
    assert newest(URL).free
    assert told(URL) == ""
    second = Lease.take(URL)
    assert second.number == 2
    assert second.holder != first.holder
    assert names(store) == ["000002"]


def test_who_is_alive_keeps_it(store):
    with (
        Lease.take(URL).kept(never),
        pytest.raises(InputError, match=f"^{URL}: is being written by process {os.getpid()}; wait for it or give anot"),
    ):
        Lease.take(URL)


def test_who_is_silent_loses_it_and_stops_when_it_wakes(store, impatient):
    asleep, waits = Lease.take(URL), []

    def progress(stage, steps):
        waits.append((stage, steps))
        return lambda: waits.append(stage)

    began = time.monotonic()
    awake = Lease.take(URL, progress=progress)
    assert time.monotonic() - began > lease.SILENT * lease.BEAT
    stage = f"waiting for process {os.getpid()}, which may have been killed"
    assert waits == [(stage, lease.SILENT), *[stage] * lease.SILENT]
    assert awake.number == 2
    lost: list[InputError] = []
    with awake.kept(never), asleep.kept(lost.append):
        until(lambda: lost)
    expected = f"{URL}: process {os.getpid()} has taken over, so this run stopped; what is finished is kept"
    assert [str(error) for error in lost] == [expected]
    assert newest(URL).holder == awake.holder


def test_a_run_of_this_machine_that_is_known_to_be_dead_is_not_waited_for(store, monkeypatch):
    dead = Lease.take(URL)
    monkeypatch.setattr(lease, "BEAT", 1000.0)
    assert Lease.take(URL, dead.holder).number == 2


def test_of_two_that_take_it_at_once_one_has_it(store, monkeypatch):
    first, late = Lease.take(URL), [None]
    monkeypatch.setattr(lease, "newest", lambda url: late.pop() if late else newest(url))
    with first.kept(never), pytest.raises(InputError, match="is being written by process"):
        Lease.take(URL)


def test_a_store_without_conditions_gives_it_to_the_last(store, monkeypatch):
    def create(url, content):
        objects.create(url, content)
        store.pipe_file(
            "/box/study/.lease/000001", json.dumps({"holder": "other", "process": 7, "free": True}).encode()
        )
        monkeypatch.setattr(lease, "create", objects.create)
        return True

    monkeypatch.setattr(lease, "create", create)
    assert Lease.take(URL).number == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"holder": 1}',
        b"x" * 20_000,
        b'{"holder": "a", "process": Infinity, "free": true}',
        b"[" * 9999,
    ],
)
def test_a_damaged_one_is_waited_for_and_replaced(store, content, impatient):
    store.pipe_file("/box/study/.lease/000004", content)
    store.pipe_file("/box/study/.lease/readme", b"")
    assert str(newest(URL)) == "another run"
    assert Lease.take(URL).number == 5


def test_a_store_that_does_not_answer_for_a_while_costs_no_lease_but_nothing_is_written_meanwhile(store, monkeypatch):
    lost: list[InputError] = []
    held = Lease.take(URL)
    with held.kept(lost.append):
        held.require()
        with monkeypatch.context() as patch:
            patch.setattr(type(store), "find", _unreachable)
            until(lambda: held._trouble)
            time.sleep(2 * lease.BEAT)
            with pytest.raises(objects.UnansweredError, match=rf"^{URL}/.lease: cannot be read \(no route\)$"):
                held.require()
        until(lambda: held._trouble is None)
        monkeypatch.setattr(time, "time", lambda: 4e9)
        with pytest.raises(objects.UnansweredError, match=f"^{URL}: the lease of this run could not be looked at"):
            held.require()
    assert lost == []


def _unreachable(*arguments, **options):
    raise ConnectionError("no route")


def test_the_lease_itself_may_not_vanish(store):
    lost: list[InputError] = []
    with Lease.take(URL).kept(lost.append):
        store.rm("/box/study/.lease", recursive=True)
        until(lambda: lost)
    assert "the lease of this run is gone" in str(lost[0])
    assert newest(URL) is None


def test_readers_forget_a_run_that_was_killed_long_ago(store, monkeypatch):
    Lease.take(URL)
    monkeypatch.setattr(lease, "_FORGOTTEN", -1.0)
    assert told(URL) == ""


def test_a_beat_counts_from_when_it_was_sent(store, monkeypatch):
    """The others may have heard it long before its answer came."""
    held, whole, clock = Lease.take(URL), Lease._write, [1000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])

    def slow(self: Lease) -> None:
        whole(self)
        clock[0] += 10 * lease.BEAT

    monkeypatch.setattr(Lease, "_write", slow)
    assert held._beat() == ""
    with pytest.raises(objects.UnansweredError):
        held.require()
