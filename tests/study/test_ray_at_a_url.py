"""A study in a store that a cluster works on: the same bytes, though no worker sees the driver's files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import xfer
from tests.study import clusters
from tests.study.clusters import FACES, add, bytes_of, computed
from xfer.study import claiming, lease, parts
from xfer.study.engine import Ray
from xfer.study.engine.ray import library

if find_spec("ray") is None:
    pytest.skip("needs Ray: pip install 'xfer-kit[ray]'", allow_module_level=True)
os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # on a full machine it ends workers of its own choice
ray: Any = library(own=True)
pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("no_page"),
    pytest.mark.filterwarnings("ignore::ResourceWarning:ray"),
]

URL = "s3://box/deep/study"
BLIND = """
import sys
def look(event, arguments):
    if arguments and isinstance(arguments[0], (str, bytes)) and {hidden!r} in str(arguments[0]):
        raise PermissionError(f"{{event}}: {{arguments[0]}} is of another machine")
sys.addaudithook(look)
"""
"""What a node runs first: for it the driver's cache does not exist."""


@pytest.fixture
def elsewhere(s3: Any, machine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of nodes: a cache of their own, and no look into the driver's."""
    monkeypatch.setattr(lease, "BEAT", 1.0)
    monkeypatch.setattr(claiming, "EVERY", 1.0)
    hidden = os.environ["XDG_CACHE_HOME"]
    (tmp_path / "blind").mkdir()
    (tmp_path / "blind" / "sitecustomize.py").write_text(BLIND.format(hidden=hidden))
    source = Path(xfer.__file__).parents[1]
    path = os.pathsep.join(filter(None, [str(tmp_path / "blind"), str(source), os.environ.get("PYTHONPATH")]))
    told = {"PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path / "nodes")}
    look = [sys.executable, "-c", f"open({hidden + '/xfer'!r})"]
    blind = subprocess.run(look, env={**os.environ, **told}, capture_output=True, text=True)
    assert "is of another machine" in blind.stderr
    return told


@pytest.fixture
def cluster(elsewhere: dict[str, str], tmp_path: Path) -> Iterator[Any]:
    """A head without cores, where the driver is, and a node elsewhere."""
    from ray.cluster_utils import Cluster

    made = Cluster()
    with chdir(tmp_path):
        add(made, 0)
        add(made, env_vars=elsewhere)
        yield made
        if ray.is_initialized():
            ray.shutdown()
    made.shutdown()


@pytest.fixture
def asked(s3: Any, tmp_path: Path) -> dict[str, Any]:
    """What is asked of every engine: drawn faces in a bucket, whose landmarks are looked up."""
    (tmp_path / "faces").mkdir()
    found = clusters.study_of(tmp_path / "faces")
    for path in (tmp_path / "faces").iterdir():
        s3.upload_file(str(path), "box", f"faces/{path.name}")
    return {**found, "data": "csv:s3://box/faces/labels.csv", "models": "songnet_bn", "folds": 1, "metrics": "iou"}


def test_a_study_in_a_store_is_worked_on_by_nodes_that_do_not_see_the_drivers_files(
    cluster: Any, asked: dict[str, Any], elsewhere: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []
    steps: dict[str, int] = {}

    def progress(stage: str, count: int) -> Any:
        if stage.endswith(": training") and not lost:
            lost.append(stage)
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
            add(cluster, env_vars=elsewhere)

        def tick() -> None:
            steps[stage] = steps.get(stage, 0) + 1

        return tick

    with clusters.small():
        monkeypatch.setattr(parts, "FACES", 6)
        local = bytes_of(xfer.compare(**asked, out=tmp_path / "local", workers=1).folder)
        study = xfer.compare(**asked, out=URL, engine=Ray(cluster.address), progress=progress)
    assert bytes_of(study.folder) == local
    assert lost
    assert sum(until == "part" for _, until, _ in computed(study.folder)) > 1
    assert steps["landmarks"] == FACES
    assert max(computed(study.folder).values()) == 1
    assert not [*study.folder.rglob("*.ckpt"), *study.folder.glob("partials/*"), *study.folder.glob(".pixels*")]
    assert not list((tmp_path / "nodes").rglob("unit-*"))
    assert not list((tmp_path / "nodes").rglob(".pixels*")), "a node keeps nothing of a run that is over"
