"""Engines: what they are given, what they are asked, and what is refused before anything is done."""

import signal
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from loky.process_executor import BrokenProcessPool

from xfer.cli.groups import engined
from xfer.errors import InputError
from xfer.progress import Stage, silent
from xfer.study import provenance
from xfer.study.engine import Local, Needs, Ray, local, ray_worker, settle
from xfer.study.engine.ray import uninterrupted
from xfer.study.engine.work import AHEAD, Event, Relay, reporter
from xfer.training.ranks import Ranks


def halved(unit: int, progress: Stage) -> float:
    progress("halving", 1)()
    if unit == 3:
        raise ValueError("three")
    return unit / 2


def test_a_unit_comes_with_its_result_or_its_error() -> None:
    told: Counter[str] = Counter()
    found = dict(Local().run([2, 3, 4], halved, Needs(workers=1), lambda stage, n: lambda: told.update([stage])))
    assert (found[2], found[4], repr(found[3])) == (1.0, 2.0, "ValueError('three')")
    assert told == {"halving": 3}


def test_a_graphics_processor_is_worked_on_by_one() -> None:
    """Several workers would need to pickle what is no module's function."""
    found = Local().run([2, 4], lambda unit, progress: unit, Needs(device="cuda:0", workers=2), silent)
    assert dict(found) == {2: 2, 4: 4}


def test_units_that_let_others_work_are_done_in_threads() -> None:
    """Three at once, or they would wait for ever; what they close over could not be sent to another process."""
    meeting = threading.Barrier(3, timeout=60)

    def met(unit: int, progress: Stage) -> int:
        meeting.wait()
        if unit == 4:
            raise ValueError("four")
        return -unit

    found = dict(Local().run(range(6), met, Needs(workers=3, own_process=False), silent))
    assert repr(found.pop(4)) == "ValueError('four')"
    assert found == {0: 0, 1: -1, 2: -2, 3: -3, 5: -5}


def test_a_full_disk_ends_threads_too() -> None:
    begun: list[int] = []

    def full(unit: int, progress: Stage) -> None:
        begun.append(unit)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        list(Local().run(range(99), full, Needs(workers=2, own_process=False), silent))
    assert len(begun) < 99


def parts_of(unit: str, result: object) -> list[str]:
    """What may begin after a training."""
    return [f"{unit}{number}" for number in range(3)] if unit.isalpha() and not isinstance(result, Exception) else []


def test_what_follows_a_unit_waits_behind_those_that_are_there() -> None:
    begun: list[str] = []

    def note(unit: str, progress: Stage) -> None:
        begun.append(unit)
        if unit == "b":
            raise ValueError("b")

    found = dict(Local().run("abc", note, Needs(workers=1), silent, parts_of))
    assert begun == [*"abc", "a0", "a1", "a2", "c0", "c1", "c2"]
    assert list(found) == begun
    assert repr(found["b"]) == "ValueError('b')"


def test_what_follows_begins_while_others_still_work() -> None:
    """The second unit ends when a part of the first has begun: who waited for all units would wait for ever."""
    begun, part = list[str](), threading.Event()

    def note(unit: str, progress: Stage) -> bool:
        begun.append(unit)
        if unit == "a1":
            part.set()
        return unit != "b" or part.wait(60)

    found = dict(Local().run("ab", note, Needs(workers=2, own_process=False), silent, parts_of))
    assert sorted(begun) == sorted(found) == ["a", "a0", "a1", "a2", "b", "b0", "b1", "b2"]
    assert all(found.values())


def test_processes_that_would_import_another_xfer_are_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they compute would be kept under the digest of the one that this process has imported."""
    provenance.source_digest()
    (tmp_path / "study.py").write_text("")
    monkeypatch.setattr(provenance, "_SOURCE", tmp_path)
    with pytest.raises(InputError, match=r"^xfer was changed since this process began; start Python anew, then the"):
        next(Local().run([1, 2], halved, Needs(workers=2), silent))
    assert next(Local().run([2], halved, Needs(workers=2), silent)) == (2, 1), "this process goes on"


@pytest.mark.parametrize("workers", [1, 3])
def test_few_units_are_taken_from_those_that_wait(workers: int) -> None:
    """With what was begun and not read, however many there are."""
    waiting, futures, most = deque(range(100)), list[Future[int]](), 0

    def begin(unit: int) -> Future[int]:
        futures.append(Future())
        futures[-1].set_result(unit)
        return futures[-1]

    for done, (unit, future) in enumerate(local._ended(waiting, begin, workers)):
        assert future.result() == unit
        most = max(most, len(futures) - done)
    assert (len(futures), most) == (100, AHEAD * workers)


def test_a_lost_worker_costs_what_had_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those units get a process each, and the others begin in workers as before."""
    pools: list[int] = []

    def pool(waiting: deque[int], compute: object, workers: int, progress: Stage) -> Iterator[tuple[int, Any]]:
        pools.append(workers)
        lost: list[int] = []

        def begin(unit: int) -> Future[int]:
            if lost:  # unseen, as none of the others has been looked at
                raise BrokenProcessPool
            future = Future[int]()
            if unit == 2:
                lost.append(unit)
                future.set_exception(BrokenProcessPool())
            else:
                future.set_result(unit)
            return future

        for unit, future in local._ended(waiting, begin, workers):
            yield unit, future.exception() or future.result()

    monkeypatch.setattr(local, "_pool", pool)
    found = dict(Local().run(range(12), halved, Needs(workers=2), silent))
    assert str(found.pop(2)) == "its process was killed, most likely for its memory"
    assert found == {unit: unit for unit in range(12) if unit != 2}
    assert pools == [2, 1, 2], "the workers, one for the unit that was lost, and workers for those that had not begun"


def test_workers_that_are_lost_while_nothing_is_open_cost_nothing() -> None:
    waiting = deque("a")

    def begin(unit: str) -> Future[str]:
        if unit == "b":
            raise BrokenProcessPool
        future = Future[str]()
        future.set_result(unit)
        return future

    ended = local._ended(waiting, begin, 1)
    assert next(ended)[0] == "a"
    waiting.append("b")
    assert list(ended) == []
    assert list(waiting) == ["b"], "for other workers"


@pytest.mark.parametrize(("asked", "workers"), [(2, 5), (5, 2), (2, None)])
def test_no_stage_has_more_workers_than_are_asked_for(asked: int, workers: int | None) -> None:
    """Units meet in pairs; whatever limit a stage has by itself, the lower one counts."""
    names, meeting = set[str](), threading.Barrier(2, timeout=60)

    def note(unit: int, progress: Stage) -> None:
        names.add(threading.current_thread().name)
        meeting.wait()

    list(settle("local", workers=asked).run(range(8), note, Needs(workers=workers, own_process=False), silent))
    assert len(names) == 2


def test_what_a_worker_reports_reaches_the_progress() -> None:
    events: list[Event] = []
    first, second = (reporter(events.append)(name, 2) for name in ("a", "b"))
    first(), second(), first()
    told: Counter[str] = Counter()
    begun: list[tuple[str, int]] = []

    def progress(stage: str, steps: int) -> None:
        begun.append((stage, steps))
        return lambda: told.update([stage])

    relay = Relay(progress)
    for event in [("unknown", "", 0), *events]:
        relay(event)
    assert begun == [("a", 2), ("b", 2)]
    assert told == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"address": "here"}, "--address here: give HOST:PORT of Ray's head, or 'auto' on one of its nodes"),
        ({"address": "ray://here:10001"}, "--address ray://here:10001: give HOST:PORT of Ray's head"),
        ({"gpus": 1.5}, "--gpus 1.5: give a share of a GPU such as 0.5, or a whole number of them"),
        ({"gpus": 0}, "--gpus 0: give a share"),
        ({"gpus": float("nan")}, "--gpus nan: give a share"),
        ({"gpus": float("inf")}, "--gpus inf: give a share"),
        ({"memory": -1}, "--memory -1: give the GB that a unit may take"),
    ],
)
def test_what_cannot_be_asked_of_ray_is_one_line(options: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Ray(**options)


def test_an_unknown_engine_is_one_line() -> None:
    with pytest.raises(InputError, match=r"'--engine' must be one of local, ray; got 'rya' \(did you mean 'ray'"):
        settle("rya")


def test_a_network_that_several_processes_train_is_worked_on_here_and_alone() -> None:
    with pytest.raises(InputError) as error:
        settle(Ray(), Ranks(2))
    assert str(error.value) == (
        "--devices 2: a network that several processes train is not for Ray; use --engine local"
    )
    with pytest.raises(InputError) as error:
        settle("local", Ranks(2, 2), 3)
    assert str(error.value) == (
        "--workers 3: with --devices 2 --nodes 2 one network is trained after another; leave --workers out"
    )
    assert (settle("local", Ranks(2), 1), settle("local", workers=3)) == (Local(1), Local(3))


def test_without_ray_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ours = ("USAGE_STATS_ENABLED", "ENABLE_WINDOWS_OR_OSX_CLUSTER", "AUTH_MODE", "AUTH_TOKEN")
    for name in (*ours, "prestart_worker_first_driver"):
        monkeypatch.setenv(f"RAY_{name}", "as it was")
    with pytest.raises(InputError, match=r"--engine ray: Ray is not installed; pip install 'xfer-kit\[ray\]'"):
        settle("ray")


def test_what_is_rays_is_not_asked_of_others() -> None:
    asked: list[dict[str, Any]] = []

    @engined
    def command(*, engine_options: dict[str, Any]) -> None:
        asked.append(engine_options)

    with pytest.raises(InputError, match="--address, --gpus needs --engine ray"):
        command(address="auto", gpus=0.5)
    command()
    command(engine="ray", address="auto", gpus=0.5)
    assert [each["engine"] for each in asked] == ["local", Ray("auto", 0.5)]


@pytest.mark.parametrize("name", ["torch", "captum", "onnxruntime", "mediapipe", "POT"])
def test_a_worker_has_the_libraries_that_units_follow_from(name: str) -> None:
    """Landmarks and nulls are units too."""
    told = ray_worker.trouble(ray_worker.Asked({**ray_worker.versions(), name: "0.1"}, (), "."))
    assert told == f"has {name} {version(name)} there, 0.1 here; install the same there"


def test_a_worker_answers_first_without_what_computes() -> None:
    """That takes seconds to import, and a worker that is refused, or killed, has not yet needed it."""
    line = "import sys, xfer.study.engine.ray_worker; print({'torch', 'scipy', 'xarray', 'zarr'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", line], capture_output=True, text=True).stdout == "set()\n"


def test_an_interruption_waits_until_ray_has_connected() -> None:
    done = []

    def connect() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("connected")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a check in the background inherits none
    try:
        with pytest.raises(KeyboardInterrupt):
            connect()
        assert done == ["connected"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
