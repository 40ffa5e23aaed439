"""The Ray engine on a cluster that is there: the same bytes, what a lost node or process costs, what is refused."""

import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import xfer
from tests.study import clusters
from tests.study.clusters import HOME, QUICK_FACES, Told, add, bytes_of, once, wait
from xfer.errors import InputError, TrainingError
from xfer.progress import Stage, silent
from xfer.study.engine import Needs, Ray
from xfer.study.engine.ray import library

if find_spec("ray") is None:
    pytest.skip("needs Ray: pip install 'xfer-kit[ray]'", allow_module_level=True)
os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # on a full machine it ends workers of its own choice
ray: Any = library(own=True)
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::ResourceWarning:ray")]


@dataclass(frozen=True)
class Chore:
    """A unit that writes into a file when it begins and ends, and may wait for another file in between."""

    name: str
    log: Path
    until: Path | None = None
    act: str = ""
    device: str = "cpu"


def do(chore: Chore, progress: Stage) -> str:
    """What tasks compute."""
    node = ray.get_runtime_context().get_node_id()
    with chore.log.open("a") as log:
        log.write(f"began {chore.name}\non {node}\n")
    began = chore.log.read_text().split("\n").count(f"began {chore.name}")
    tick = progress(f"{chore.name} on {node}", 2)
    tick()
    if chore.until is not None:
        wait(chore.until.exists)
    if chore.act == "die" or (chore.act == "die once" and began == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if chore.act == "fail":
        raise TrainingError(f"{chore.name}: no")
    if chore.act == "full":
        raise OSError(28, "No space left on device", "/there")
    tick()
    with chore.log.open("a") as log:
        log.write(f"ended {chore.name}\n")
    if chore.device != "cpu":
        return f"{chore.device} {os.getpid()}"
    return f"{os.environ['OMP_NUM_THREADS']} {chore.name}"


ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
ray.cloudpickle.register_pickle_by_value(clusters)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes with a core each, on 127.0.0.1."""
    from ray.cluster_utils import Cluster

    made = Cluster()
    for _ in range(3):
        add(made)
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def connected(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The same, with this process in it: engines take that, and workers stay warm between tests.

    Ray lets workers import from the working directory, where a checkout would hide what a node has installed.
    """
    with chdir(tmp_path_factory.mktemp("elsewhere")):
        ray.init(cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()


def run(
    chores: list[Chore],
    engine: Ray | None = None,
    needs: Needs | None = None,
    progress: Stage = silent,
) -> dict[str, Any]:
    """The chores' results by name."""
    return {chore.name: result for chore, result in (engine or Ray()).run(chores, do, needs or Needs(), progress)}


def lose(cluster: Any, node: Any) -> None:
    """One node goes, another comes, and the cluster knows of both."""
    cluster.remove_node(node, allow_graceful=False)
    add(cluster)
    if ray.is_initialized():
        wait(lambda: sum(each["Alive"] for each in ray.nodes()) == 3)


def test_three_nodes_give_the_same_bytes_though_one_is_lost_and_another_comes(
    cluster: Any, asked: dict[str, Any], local: dict[str, bytes], tmp_path: Path
) -> None:
    told = Told(lambda stage: lose(cluster, next(iter(cluster.worker_nodes))), ": heatmaps")
    study = xfer.compare(**asked, out=tmp_path / "study", engine=Ray(cluster.address), progress=told)
    assert bytes_of(study.folder) == local
    assert once(study.folder)
    assert told.steps["landmarks"] == QUICK_FACES, "no shard twice"


def test_a_lost_node_costs_what_it_was_working_on(connected: Any, tmp_path: Path) -> None:
    log, gone = tmp_path / "log", tmp_path / "gone"
    chores = [Chore(f"u{number}", log, until=gone) for number in range(9)]

    def first(stage: str) -> None:
        lost = next(node for node in connected.worker_nodes if node.node_id != stage.partition(" on ")[2])
        wait(lambda: f"on {lost.node_id}\n" in log.read_text())
        lose(connected, lost)
        gone.touch()

    found = run(chores, progress=(told := Told(first)))
    lines = Counter(log.read_text().splitlines())
    assert found == {chore.name: f"1 {chore.name}" for chore in chores}
    assert all(lines[f"ended {chore.name}"] == 1 for chore in chores)
    begun = sum(lines[f"began {chore.name}"] for chore in chores)
    assert begun == 9 + 1, "the one that was lost, again"
    assert begun + 8 <= sum(told.steps.values()) <= begun + 9, "the lost one may have sent no step yet"


def test_a_killed_process_is_begun_again_and_one_that_always_dies_stops_no_other(
    connected: Any, tmp_path: Path
) -> None:
    acts = {"well": "", "once": "die once", "always": "die", "fails": "fail"}
    found = run([Chore(name, tmp_path / "log", act=act) for name, act in acts.items()])
    lines = Counter((tmp_path / "log").read_text().splitlines())
    assert (found["well"], found["once"]) == ("1 well", "1 once")
    assert (lines["began well"], lines["began once"], lines["began always"]) == (1, 2, 4)
    assert isinstance(found["always"], TrainingError)
    assert str(found["always"]) == "its process was killed 4 times, most likely for its memory (WorkerCrashedError)"
    assert repr(found["fails"]) == "TrainingError('fails: no')"


def test_shares_of_graphics_processors_are_given_to_processes_that_stay(connected: Any, tmp_path: Path) -> None:
    node = connected.add_node(num_cpus=3, num_gpus=2, memory=2e9, **HOME)
    try:
        chores = [Chore(f"u{number}", tmp_path / "log", device="cuda:0") for number in range(8)]
        engine, needs = Ray(gpus=0.5, memory=0.5), Needs(device="cuda:0")
        found = [told.split() for told in run(chores, engine, needs).values()]
    finally:
        connected.remove_node(node)
    assert len(found) == 8
    assert {device for device, _ in found} <= {"cuda:0", "cuda:1"}
    assert len({process for _, process in found}) <= 4, "one process does several units"


def test_a_full_disk_is_everybodys(connected: Any, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left on device"):
        run([Chore("a", tmp_path / "log", act="full")])


@pytest.mark.parametrize(
    ("options", "needs", "told"),
    [
        (
            {},
            Needs(threads=4),
            "--engine ray: no node has 4 cores, which one unit takes; the most of one node are 1 cores",
        ),
        ({}, Needs(workers=9), r"--workers 9: the cluster has room for 3 units side by side \(1 cores each\)"),
        ({}, Needs(device="cuda:0"), "no node has 1 cores, 1 GPUs, which one unit takes; the most .* 1 cores, 0 GPUs"),
        ({"memory": 9000}, Needs(), "no node has 1 cores, 9e[+]03 GB of memory, which"),
        ({}, Needs(device="cuda:1"), "--device cuda:1: Ray gives every unit its GPU; use --device cuda"),
        ({}, Needs(files=(Path("/nowhere/faces"),)), "node .* cannot see /nowhere/faces; put data and --out where all"),
    ],
)
def test_what_a_cluster_lacks_is_told_before_anything_is_done(
    options: dict[str, Any], needs: Needs, told: str, connected: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told):
        run([Chore("a", tmp_path / "log")], Ray(**options), needs)
    assert not (tmp_path / "log").exists()


def test_a_node_with_another_xfer_is_refused_by_name(connected: Any, tmp_path: Path) -> None:
    source = Path(xfer.__file__).parent
    shutil.copytree(source, tmp_path / "xfer", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "xfer" / "labels.py").open("a") as labels:
        labels.write("\n# changed\n")
    (tmp_path / "masks").symlink_to(source.parent / "masks")
    other = add(connected, env_vars={"PYTHONPATH": str(tmp_path)})
    try:
        told = "node .* has xfer's source [0-9a-f]{12} there, [0-9a-f]{12} here; install the same there"
        with pytest.raises(InputError, match=told):
            run([Chore("a", tmp_path / "log")])
        assert not (tmp_path / "log").exists()
    finally:
        connected.remove_node(other)


def test_parts_begin_while_another_network_is_trained_and_follow_a_lost_training_once(
    connected: Any, tmp_path: Path
) -> None:
    """B's training waits for a part of A: who handed parts out after all trainings would wait for ever."""
    log, gate = tmp_path / "log", tmp_path / "gate"
    trainings = [Chore("b", log, until=gate), Chore("a", log, act="die once"), Chore("c", log, act="fail")]

    def follow(chore: Chore, result: Any) -> list[Chore]:
        well = len(chore.name) == 1 and not isinstance(result, Exception)
        return (
            [Chore(f"{chore.name}{number}", gate if chore.name == "a" else log) for number in range(2)] if well else []
        )

    found = {chore.name: result for chore, result in Ray(workers=2).run(trainings, do, Needs(), silent, follow)}
    begun = Counter(line for line in (log.read_text() + gate.read_text()).splitlines() if line.startswith("began"))
    assert begun == {"began a": 2, **dict.fromkeys((f"began {n}" for n in ("b", "c", "a0", "a1", "b0", "b1")), 1)}
    assert repr(found.pop("c")) == "TrainingError('c: no')"
    assert found == {name: f"1 {name}" for name in ("a", "b", "a0", "a1", "b0", "b1")}
