"""A run holds a study in a store until something takes it away; then it ends in one line and goes on another time."""

import errno
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from xfer.datasets.objects import UnansweredError
from xfer.errors import InputError
from xfer.study import claiming, folder, lease, mirror
from xfer.study.claiming import claim, quiet
from xfer.study.mirror import RUNS, Mirror
from xfer.study.places import writing

URL = "memory://box/study"
CONFIG: dict[str, Any] = {"format": 1, "kind": "models", "threshold": "otsu"}
LONG = 20.0
"""Seconds that a run works for which nothing ends early."""


@contextmanager
def run(**options: Any) -> Iterator[Path]:
    home = writing(URL)
    with claim(home, CONFIG | options.pop("config", {}), **options):
        yield home


def work(act: Callable[[Path], object], **options: Any) -> None:
    """A run that does something and goes on for long."""
    with run(**options) as home:
        act(home)
        time.sleep(LONG)


def brought(store: Any, name: str) -> None:
    """Wait until a file is in the store, on a machine that may be busy."""
    for _ in range(200):
        if store.exists(f"/box/study/{name}"):
            return
        time.sleep(0.05)
    raise AssertionError(name)


def test_what_a_run_writes_is_there_while_it_runs_and_another_machine_goes_on(store, machine):
    with run() as home:
        (home / "units.jsonl").write_text("1\n")
        brought(store, "units.jsonl")
        assert store.cat("/box/study/units.jsonl") == b"1\n"
        (home / "scores.csv").write_text("last")
    assert store.cat("/box/study/scores.csv") == b"last"
    machine("second")
    with run() as again:
        assert again != home
        assert (again / "units.jsonl").read_text() == "1\n"
    assert lease.newest(URL).free


def test_a_folder_is_claimed_as_ever(tmp_path):
    with claim(tmp_path / "study", CONFIG):
        assert folder.holder(tmp_path / "study") == f"process {os.getpid()}"


def test_another_configuration_is_refused_by_the_url_and_set_aside_when_asked(store, machine):
    with run() as home:
        (home / "scores.csv").write_text("old")
    machine("second")
    expected = (
        rf"^{URL}: belongs to another study \(threshold: 'otsu' there, 'area' now\); give another --out, or --fresh"
    )
    with pytest.raises(InputError, match=expected), run(config={"threshold": "area"}):
        raise AssertionError
    with run(config={"threshold": "area"}, fresh=True) as home:
        assert not (home / "scores.csv").exists()
    assert store.cat("/box/study.old-1/scores.csv") == b"old"
    assert b"area" in store.cat("/box/study/study.toml")
    assert not store.exists("/box/study/scores.csv")


def test_one_run_of_a_machine_and_one_of_all(store, machine):
    with run():
        with pytest.raises(
            InputError, match=f"^{URL}: is being written by process {os.getpid()} of this machine; wait"
        ):
            writing(URL)
        machine("second")
        with pytest.raises(InputError, match=f"^{URL}: is being written by process {os.getpid()}; wait for it"), run():
            raise AssertionError


def test_a_run_that_ends_badly_keeps_what_is_finished(store):
    def act(home: Path) -> None:
        (home / "scores.csv").write_text("kept")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(act)
    assert store.cat("/box/study/scores.csv") == b"kept"
    assert lease.newest(URL).free


def full(*arguments: Any, **options: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def stuffed(*arguments: Any, **options: Any) -> None:
    raise OSError(errno.EIO, "XMinioStorageFull: minimum free drive threshold")


class QuotaExceededError(Exception):
    pass


def quota(*arguments: Any, **options: Any) -> None:
    raise QuotaExceededError("bucket limit reached")


def forbidden(*arguments: Any, **options: Any) -> None:
    raise PermissionError("Access Denied")


def expired(*arguments: Any, **options: Any) -> None:
    raise PermissionError("The provided token has expired.")


@pytest.mark.parametrize(
    ("fails", "told"),
    [
        (full, r"the disk of this machine is full \(\[Errno 28\] No space left on device\); make room, then the same"),
        (stuffed, r"the store is full \(\[Errno 5\] XMinioStorageFull: minimum free drive threshold\); make room"),
        (quota, r"the store is full \(bucket limit reached\); make room"),
        (forbidden, r"may not be written \(Access Denied\)"),
        (expired, r"the credentials have expired \(The provided token has expired.\); log in again"),
    ],
)
def test_a_store_that_refuses_half_way_ends_the_run_which_goes_on_later(store, monkeypatch, fails, told):
    began = time.monotonic()
    with monkeypatch.context() as patch:

        def act(home: Path) -> None:
            patch.setattr(type(store), "put_file", fails)
            (home / "scores.csv").write_text("not brought")

        with pytest.raises(InputError, match=f"^{URL}: {told}"):
            work(act)
    assert time.monotonic() - began < LONG / 2
    with run() as home:
        assert (home / "scores.csv").read_text() == "not brought"
    assert store.cat("/box/study/scores.csv") == b"not brought"


def taken(home: Path | None = None) -> None:
    at, path = lease.at(f"{URL}/.lease/000009")
    at.pipe_file(path, b'{"holder": "other", "process": 7, "free": false}')


@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN])
def test_a_run_whose_lease_is_taken_stops(store, before):
    handler = signal.signal(signal.SIGINT, before)
    try:
        began = time.monotonic()
        with pytest.raises(InputError, match=f"^{URL}: process 7 has taken over, so this run stopped; what is fini"):
            work(taken)
        assert time.monotonic() - began < LONG / 2
        assert signal.getsignal(signal.SIGINT) == before
    finally:
        signal.signal(signal.SIGINT, handler)
    assert lease.newest(URL).number == 9


def test_in_another_thread_it_is_told_at_the_end(store):
    ended: list[BaseException] = []

    def work() -> None:
        try:
            with run():
                taken()
        except InputError as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "process 7 has taken over" in str(ended[0])


def unanswered(*arguments: Any, **options: Any) -> None:
    raise UnansweredError("no route")


def test_a_machine_that_slept_writes_nothing_before_it_is_sure(store, monkeypatch):
    with run() as home:
        monkeypatch.setattr(lease.Lease, "require", unanswered)
        (home / "scores.csv").write_text("stale")
        time.sleep(10 * claiming.EVERY)
        assert not store.exists("/box/study/scores.csv")


def test_who_loses_the_lease_while_files_are_brought_brings_no_more_of_them(store, monkeypatch):
    with run() as home:
        wakes, whole, clock = threading.Event(), type(store).put_file, itertools.count(4e9, 1e3)

        def asleep(self: Any, *arguments: Any, **options: Any) -> None:
            whole(self, *arguments, **options)
            if not wakes.is_set():
                monkeypatch.setattr(time, "time", clock.__next__)
                wakes.set()

        mirror = Mirror.of(home)
        assert mirror is not None
        with mirror._lock:
            for name in ("a.csv", "b.csv", "c.csv"):
                (home / name).write_text("stale")
            monkeypatch.setattr(type(store), "put_file", asleep)
        assert wakes.wait(10)
        time.sleep(10 * claiming.EVERY)
        there = [name for name in ("a.csv", "b.csv", "c.csv") if store.exists(f"/box/study/{name}")]
        assert len(there) == 1


@pytest.mark.parametrize("when", ["pull", "require"])
def test_who_loses_the_lease_before_the_work_or_at_its_end_is_told(store, monkeypatch, when):
    whole = getattr(Mirror, when)

    def late(self: Mirror, *arguments: Any, **options: Any) -> None:
        whole(self, *arguments, **options)
        if when == "require" or options.get("alone"):
            taken()
            time.sleep(10 * lease.BEAT)

    monkeypatch.setattr(Mirror, when, late)
    begun: list[Path] = []
    expected = f"^{URL}: process 7 has taken over, so this run stopped; what is finished"
    with pytest.raises(InputError, match=expected), run() as home:
        begun.append(home)
    assert len(begun) == (when == "require")


def test_a_study_that_began_elsewhere_since_it_was_looked_at_is_not_mixed_with(store, monkeypatch):
    whole = lease.Lease.take

    def late(*arguments: Any, **options: Any) -> lease.Lease:
        store.pipe("/box/study/study.toml", b'format = 1\nkind = "models"\nthreshold = "area"\n')
        return whole(*arguments, **options)

    monkeypatch.setattr(lease.Lease, "take", late)
    expected = rf"^{URL}: belongs to another study \(threshold: 'area' there, 'otsu' now\)"
    with pytest.raises(InputError, match=expected), run():
        raise AssertionError
    assert b"area" in store.cat("/box/study/study.toml")


def test_nodes_that_train_together_do_not_see_a_mirror(store):
    expected = f"^{URL}: --nodes 2: other nodes do not see it; give --out in a folder that all see$"
    with pytest.raises(InputError, match=expected), run(nodes=2):
        raise AssertionError
    assert not store.exists("/box/study")


def disconnected(*arguments: Any, **options: Any) -> None:
    raise ConnectionResetError("Connection reset by peer")


def test_a_network_that_fails_for_a_while_costs_nothing_and_for_long_the_run(store, monkeypatch):
    with run() as home:
        with monkeypatch.context() as patch:
            patch.setattr(type(store), "put_file", disconnected)
            (home / "scores.csv").write_text("late")
            time.sleep(6 * claiming.EVERY)
            assert not store.exists("/box/study/scores.csv")
        brought(store, "scores.csv")
    monkeypatch.setattr(claiming, "PATIENCE", 0.2)

    def act(home: Path) -> None:
        monkeypatch.setattr(type(store), "put_file", disconnected)
        (home / "scores.csv").write_text("never")

    with pytest.raises(InputError, match=rf"^{URL}: cannot be written \(Connection reset by peer\)$"):
        work(act)


def test_what_was_changed_by_somebody_is_named_at_the_end(store):
    with pytest.raises(InputError, match=rf"^{URL}/study.toml: has changed or is gone .* \(digest mismatch\)"), run():
        store.pipe("/box/study/study.toml", b"")
    with run():
        pass
    assert b"otsu" in store.cat("/box/study/study.toml")


def test_an_unknown_store_is_told_from_a_near_one():
    with pytest.raises(InputError) as caught:
        writing("gcs://box/study")
    assert str(caught.value) == "'store' must be one of file, gs, memory, s3; got 'gcs' (did you mean 'gs'?)"


def test_what_to_install_is_told(monkeypatch, machine):
    from xfer.datasets import objects

    def absent(*arguments: Any, **options: Any) -> None:
        raise ImportError

    objects._filesystem.cache_clear()
    monkeypatch.setattr(objects.fsspec, "filesystem", absent)
    with pytest.raises(InputError, match=r"^s3://box/study: s3:// is not installed; pip install 'xfer-kit\[s3\]'$"):
        writing("s3://box/study")


def test_a_run_that_dies_on_this_machine_is_not_waited_for(store, monkeypatch):
    mirror = Mirror.at(URL, RUNS)
    mirror.holder = lease.Lease.take(URL).holder
    mirror.save()
    monkeypatch.setattr(lease, "SILENT", 10**6)
    with run():
        assert lease.newest(URL).number == 2


def test_a_plan_is_kept_where_nobody_runs_and_refused_where_somebody_does(store, machine):
    with run():
        machine("second")
        refused = f"^{URL}: is being written by process {os.getpid()}; wait for it or give another --out"
        with pytest.raises(InputError, match=refused), quiet(writing(URL)):
            raise AssertionError
    with quiet(writing(URL)):
        assert not lease.newest(URL).free
    assert lease.newest(URL).free
    with quiet(Path("reports/study")):
        pass


def test_a_full_disk_of_this_machine_is_not_taken_for_the_store(store, machine, monkeypatch):
    with run() as home:
        (home / "scores.csv").write_text("kept")
    machine("second")
    Mirror.at(URL, RUNS)
    monkeypatch.setattr(mirror, "write_whole", full)
    told = rf"^{URL}: the disk of this machine is full \(\[Errno 28\] No space left on device\); make room, then "
    with pytest.raises(InputError, match=told):
        writing(URL)
