"""The Ray engine on clusters that it starts on this machine: the same bytes, and nothing that stays."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

import xfer
from tests.study.clusters import QUICK_FACES, QUICK_PART, QUICK_TEST, SHARD, Told, bytes_of, computed, once, wait
from xfer.errors import InputError
from xfer.study import resampling, stages
from xfer.study.engine import Ray, ray_tasks
from xfer.study.engine.ray import library

if find_spec("ray") is None:
    pytest.skip("needs Ray: pip install 'xfer-kit[ray]'", allow_module_level=True)
os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # on a full machine it ends workers of its own choice
ray: Any = library(own=True)
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::ResourceWarning:ray")]


def test_a_cluster_of_its_own_gives_the_same_bytes_and_leaves_nothing(
    asked: dict[str, Any], local: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, queues = list[str](), ray_tasks._queue.cache_info().misses
    monkeypatch.setattr(ray, "init", lambda start=ray.init, **options: begun.append("") or start(**options))
    places, ports = set[str](), set[int]()

    def look(stage: str) -> None:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                heard = [each.laddr for each in process.net_connections() if each.status == psutil.CONN_LISTEN]
                places.update(address.ip for address in heard)
                ports.update(address.port for address in heard)

    told = Told(look, ": training")
    study = xfer.compare(**asked, out=tmp_path / "study", engine="ray", progress=told)
    assert bytes_of(study.folder) == local
    assert once(study.folder)
    assert len(begun) == 1, "for landmarks, networks and intervals"
    assert ray_tasks._queue.cache_info().misses == queues + 1
    assert {place.removeprefix("::ffff:") for place in places} == {"127.0.0.1"}
    assert 8265 not in ports, "no dashboard"
    assert sum(count for stage, count in told.steps.items() if "heatmaps" in stage) == 2 * QUICK_TEST
    cells = len(study.inference[["model", "expression"]].drop_duplicates())
    assert cells > resampling.MEMBERS
    steps = {"landmarks": QUICK_FACES, "null models": cells, "intervals": cells, "comparing networks": 1}
    assert {stage: told.steps[stage] for stage in steps} == steps
    took = stages.read(study.folder).set_index("stage")["processor_seconds"]
    assert took["networks"] > 1, "the workers' own"
    wait(lambda: not [each for each in psutil.Process().children(recursive=True) if _of_ray(each)])


def _of_ray(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "/ray/" in " ".join(process.cmdline()) or process.name().startswith("ray::")
    return False


def test_no_cluster_at_the_address_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=f"--address {address}: no Ray cluster that takes this run .*refused"):
            Ray(address).check()


CODE = """
import signal
from xfer.study import landmark_shards, parts
from xfer.study.networks import compare_networks
signal.signal(signal.SIGINT, signal.default_int_handler)  # a check that runs in the background ignores it
landmark_shards.FACES, parts.FACES = {sizes}
compare_networks(**{options!r}, out={out!r}, engine="ray", workers=1)
"""


def finished(out: Path, process: subprocess.Popen, mark: str) -> bool:
    """Whether a unit is finished, or the run is over."""
    return any(out.glob("shards/*.npz")) or process.poll() is not None


def working(out: Path, process: subprocess.Popen, mark: str) -> bool:
    """Whether Ray's workers are there, or the run is over."""
    return any(name.startswith("ray::") for name in left(mark)) or process.poll() is not None


def left(mark: str) -> list[str]:
    """The processes that carry a mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("XFER_MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.name())
        except (psutil.Error, OSError):
            continue
    return found


def test_a_killed_and_an_interrupted_driver_leave_no_process_and_any_engine_goes_on(
    asked: dict[str, Any], local: dict[str, bytes], tmp_path: Path
) -> None:
    out, kept = tmp_path / "study", dict[str, int]()
    line = [sys.executable, "-c", CODE.format(options=asked, sizes=(SHARD, QUICK_PART), out=str(out))]
    for reached, stop in ((finished, signal.SIGKILL), (working, signal.SIGINT)):
        mark = f"{tmp_path.name} {stop.name}"
        place = str(Path(xfer.__file__).parents[1])
        process = subprocess.Popen(line, env={**os.environ, "XFER_MARK": mark, "PYTHONPATH": place})
        wait(partial(reached, out, process, mark))
        process.send_signal(stop)
        assert process.wait(300)
        wait(lambda mark=mark: not left(mark))
        now = {path.name: path.stat().st_mtime_ns for path in out.glob("shards/*.npz")}
        assert kept.items() <= now.items(), "what was finished is not made twice"
        kept = now
    study = xfer.compare(**asked, workers=1, out=out)
    now = {path.name: path.stat().st_mtime_ns for path in out.glob("shards/*.npz")}
    assert kept.items() <= now.items()
    assert bytes_of(study.folder) == local
    assert max(computed(out).values()) == 1
