"""What units take along to machines that do not see the study's folder, and what they bring back; no Ray is needed."""

import gc
import pickle
import sys
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import gethostname
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xfer.datasets.images import ImageError
from xfer.errors import InputError, TrainingError
from xfer.study import cache
from xfer.study.engine import freight, ray, ray_worker
from xfer.study.engine.freight import Freight, depot, forget, opened
from xfer.study.engine.ray_tasks import Board
from xfer.study.engine.work import Relay
from xfer.study.mirror import RUNS, Mirror
from xfer.training.store import Store, brought_to


@dataclass(frozen=True)
class Inner:
    """Something of a unit's with a path."""

    path: Path
    elsewhere: Path = Path("/data/labels.csv")


@dataclass(frozen=True)
class Work:
    """A unit."""

    home: Path
    inner: Inner
    number: int = 1
    made: int = field(default=0, init=False)


class Sent:
    """Ray's objects, which are what was put."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def put(self, content: Any) -> Any:
        self.sizes.append(len(content))
        return content

    def get(self, reference: Any) -> Any:
        return reference


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sent:
    """Objects of 4 bytes, and a cache of this test's."""
    found = Sent()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=found.get, get_gpu_ids=list))
    monkeypatch.setattr(freight, "_CHUNK", 4)
    monkeypatch.setattr(freight, "_LOCKS", {})
    return found


@pytest.fixture
def carried(sent: Sent, tmp_path: Path) -> Freight:
    """A study with a checkpoint and pictures."""
    home = tmp_path / "study"
    (home / "checkpoints").mkdir(parents=True)
    (home / ".pixels-1.tmp").write_bytes(b"pictures")
    (home / "checkpoints/net.ckpt").write_bytes(b"epoch")
    (home / "checkpoints/net.csv").write_bytes(b"1\n")
    return Freight(sent, home)


def files_of(home: Path) -> dict[str, bytes]:
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_a_unit_finds_and_leaves_files_as_in_the_studys_folder(carried: Freight, sent: Sent) -> None:
    read = [carried.home / name for name in (".pixels-1.tmp", "checkpoints/net.ckpt", "checkpoints/net.csv", "gone")]
    load = carried.load(read)
    assert carried.load(read).files == load.files
    assert sent.sizes == [4, 4, 4, 1, 2], "in pieces, and once"
    with opened(load) as bag:
        assert files_of(bag.home) == {"checkpoints/net.ckpt": b"epoch", "checkpoints/net.csv": b"1\n"}
        assert (bag.node / ".pixels-1.tmp").read_bytes() == b"pictures"
        assert bag.logs() == []
        (bag.home / "checkpoints/net.csv").write_bytes(b"1\n2\n")
        assert bag.logs() == [("checkpoints/net.csv", b"1\n2\n")]
        assert bag.logs() == []
        carried.follow(("checkpoints/net.csv", b"1\n2\n"))
        assert (carried.home / "checkpoints/net.csv").read_bytes() == b"1\n2\n"
        (bag.home / "checkpoints/net.ckpt").unlink()
        for name in ("shards/0a.npz", "checkpoints/net.safetensors", "partials/.0b.npz.7.tmp"):
            (bag.home / name).parent.mkdir(exist_ok=True)
            (bag.home / name).write_bytes(name.encode())
        brought = bag.brought()
    assert not bag.home.exists()
    written = []
    (carried.home / "checkpoints/net.csv").write_bytes(b"1\n")
    whole = freight.write_whole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(freight, "write_whole", lambda path, write: (written.append(path.name), whole(path, write)))
        carried.unload(brought)
    assert written == ["net.csv", "net.safetensors", "0a.npz"]
    assert files_of(carried.home) == {
        ".pixels-1.tmp": b"pictures",
        "checkpoints/net.csv": b"1\n2\n",
        "checkpoints/net.safetensors": b"checkpoints/net.safetensors",
        "shards/0a.npz": b"shards/0a.npz",
    }
    carried.follow(("checkpoints/net.csv", b"1\n"))
    assert (carried.home / "checkpoints/net.csv").read_bytes() == b"1\n2\n", "a message that comes late"


def test_ray_keeps_pictures_while_they_are_there(carried: Freight, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study's later stages need its memory, and the disk that it spills to."""

    class Kept:
        """An object of Ray's, which goes with the last who refers to it."""

    monkeypatch.setattr(carried._ray, "put", lambda content: Kept())
    pictures = carried.home / ".pixels-1.tmp"
    kept = [weakref.ref(each) for each in carried.load([pictures]).files[pictures.name]]
    again = carried.load([pictures]).files[pictures.name]
    assert [each() for each in kept] == list(again)
    del again
    pictures.unlink()
    carried.load([])
    gc.collect()
    assert [each() for each in kept] == [None, None]


def test_the_log_of_a_training_that_goes_on_comes_by_the_board(carried: Freight) -> None:
    heard: list[tuple[str, int]] = []
    board = object.__new__(Board)
    came: list[Any] = []
    queue = SimpleNamespace(qsize=lambda: len(came), get_nowait_batch=lambda count: came[:count])
    queue.put_nowait_batch = came.extend
    board.mouth = ray_worker.Mouth(queue, "this")
    board.mouth.tell([("key", "training", 3), ("checkpoints/net.csv", b"1\n2\n")])
    late = [("other", "training", 3), ("checkpoints/other.csv", b"1\n")]
    ray_worker.Mouth(queue, "interrupted").tell(late)
    board._relay = Relay(lambda *stage: heard.append(stage))
    for log in board.read():
        carried.follow(log)
    assert heard == [("training", 3)]
    assert not (carried.home / "checkpoints/other.csv").exists(), "of another study, whose workers were just ending"
    assert (carried.home / "checkpoints/net.csv").read_bytes() == b"1\n2\n"


def test_paths_below_the_studys_folder_are_put_below_the_workers_and_back(carried: Freight) -> None:
    unit = Work(carried.home, Inner(carried.home / "partials/0a.npz"))
    with opened(carried.load([])) as bag:
        moved = bag.moved(unit)
        assert moved == Work(bag.home, Inner(bag.home / "partials/0a.npz"))
        assert bag.moved(Inner(Path("/a"))) == Inner(Path("/a"))
        for kind in (InputError, TrainingError):
            told = bag.told(kind(f"{bag.home}/shards/0a.npz: is damaged"))
            assert (type(told), str(told)) == (kind, f"{carried.home}/shards/0a.npz: is damaged")
        picture = bag.told(ImageError(bag.home / "1.png", "is cut short"))
        assert (type(picture), str(picture)) == (ImageError, f"{carried.home}/1.png: is cut short")
        other = KeyError("x")
        assert bag.told(other) is other


def computed(carried: Freight, error: Exception) -> Any:
    """What a worker answers to a unit that raises."""

    def compute(unit: Work, progress: Any) -> None:
        raise error

    load = carried.load([carried.home / ".pixels-1.tmp"])
    asked = ray_worker.Asked(ray_worker.versions(), (), str(Path.cwd()), carried.run)
    mouth = ray_worker.Mouth(None, "")
    return ray_worker.work(compute, Work(carried.home, Inner(Path("/a"))), None, asked, mouth, load).result


def test_a_disk_of_a_node_is_told_with_its_name(carried: Freight, monkeypatch: pytest.MonkeyPatch) -> None:
    where = f"on node {gethostname()}"
    told = str(computed(carried, OSError(28, "No space left on device", "/cache/1")))
    assert told == f"[Errno 28] No space left on device, {where}: '/cache/1'"
    assert str(computed(carried, OSError("a file is cut short"))) == f"a file is cut short, {where}"
    assert str(computed(carried, KeyError("x"))) == "'x'"
    forget(carried.run)

    def full(path: Path, pieces: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", "/cache/pictures")

    with monkeypatch.context() as patch:
        patch.setattr(freight, "_unpack", full)
        told = str(computed(carried, KeyError("not reached")))
    assert told == f"[Errno 28] No space left on device, {where}: '/cache/pictures'"
    assert str(computed(carried, KeyError("x"))) == "'x'"
    kept = [path.name for path in depot(carried.run).iterdir() if not path.name.endswith(".lock")]
    assert kept == [".pixels-1.tmp"], "who was ended half-way leaves nothing that stays"


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(("failed", "absent"), [("net.safetensors", "0a.npz"), ("0.maps.npz", "0.npz")])
def test_a_disk_that_is_full_half_way_leaves_what_the_next_run_goes_on_from(
    carried: Freight, failed: str, absent: str, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever order the disk of a node lists files: no part without its maps, and no training that is lost."""
    names = ["checkpoints/net.safetensors", "checkpoints/net.csv", "shards/0a.npz"]
    names += ["partials/0.npz", "partials/0.maps.npz"]
    brought = [freight.Found(name, np.zeros(1, np.uint8)) for name in names]
    brought.append(freight.Found("checkpoints/net.ckpt", None))
    whole = freight.write_whole

    def full(path: Path, write: Any) -> None:
        if path.name == failed:
            raise OSError(28, "No space left on device")
        whole(path, write)

    with monkeypatch.context() as patch:
        patch.setattr(freight, "write_whole", full)
        with pytest.raises(OSError, match="No space"):
            carried.unload(brought[::turn])
    left = {Path(name).name for name in files_of(carried.home)}
    assert "net.ckpt" in left
    assert not {failed, absent} & left
    carried.unload(brought[::turn])
    assert set(files_of(carried.home)) == {*names, ".pixels-1.tmp"}


@pytest.mark.parametrize("turn", [1, -1])
def test_a_training_goes_on_from_nothing_newer_than_the_best_weights_beside_it(
    carried: Freight, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["checkpoints/net.best.safetensors", "checkpoints/net.ckpt", "checkpoints/net.csv"]
    written: list[str] = []
    monkeypatch.setattr(freight, "write_whole", lambda path, write: written.append(path.name))
    carried.unload([freight.Found(name, np.zeros(1, np.uint8)) for name in names[::turn]])
    assert written == ["net.csv", "net.best.safetensors", "net.ckpt"]


def test_pictures_lie_once_on_a_machine_until_the_run_is_over(carried: Freight, sent: Sent) -> None:
    load = carried.load([carried.home / ".pixels-1.tmp"])
    with opened(load) as first, opened(load) as second:
        assert first.node == second.node == depot(carried.run)
        assert first.home != second.home
    nodes = cache.nodes()
    assert [path.name for path in nodes.iterdir() if path.is_dir()] == [carried.run]
    other = depot("other")
    assert {path for path in nodes.iterdir() if path.is_dir()} == {depot(carried.run), other}, "both are in use"
    forget(carried.run)
    assert not [path for path in nodes.iterdir() if carried.run in path.name]


def test_what_a_killed_run_left_on_a_node_goes_with_the_next_one(sent: Sent) -> None:
    nodes = cache.nodes()
    killed = depot("killed")
    (killed / ".pixels-1.tmp").write_bytes(b"pictures")
    freight._LOCKS.popitem()[1].release()  # as the end of its process does
    depot("next")
    assert [path.name for path in nodes.iterdir() if path.is_dir()] == ["next"]
    assert all(path.name.startswith("next") for path in nodes.iterdir())


def test_nodes_that_share_a_cache_keep_files_of_their_own(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their disk may not tell one of the locks of another."""
    mine = depot("run")
    freight._LOCKS.popitem()[1].release()
    monkeypatch.setattr(cache.platform, "node", lambda: "another")
    theirs = depot("run")
    forget("run")
    assert (mine.is_dir(), theirs.is_dir()) == (True, False)


def test_a_worker_holds_nothing_of_runs_that_are_over(sent: Sent) -> None:
    for run in ("first", "second", "third"):
        depot(run)
        forget(run)
    last = depot("last")
    assert list(freight._LOCKS) == [last]
    last.rmdir()
    assert depot("last").is_dir(), "swept by another run before this one held it"


def test_a_node_whose_cache_cannot_be_written_is_told(sent: Sent, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(InputError, match=rf"^{cache.nodes()}: cannot be written \(Not a directory\); set"):
        depot("run")


def test_a_store_of_pictures_is_found_where_it_was_brought(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    made = Store(1, 2, tmp_path / "here", named=True)
    made.add(np.full((3, 2, 2), 7, np.uint8), np.ones((68, 2), np.float32))
    made.seal()
    assert made.path is not None
    told = pickle.dumps(made)
    made.path.rename(tmp_path / made.path.name)
    with brought_to(tmp_path):
        there = pickle.loads(told)
    assert there.read(np.array([0])).unique().tolist() == [7]
    assert there.landmarks.tolist() == np.ones((1, 68, 2)).tolist()
    assert pickle.loads(told).path == made.path
    made.discard()


def test_files_are_carried_to_a_cluster_that_this_run_did_not_start(store: Any, tmp_path: Path) -> None:
    """One that the process had joined by itself has other nodes too, though no address is given."""
    home = Mirror.at("memory://box/study", RUNS).home
    with ray.Ray().kept() as held:
        assert ray._freight(None, held, tmp_path) is None
        assert ray._freight(None, held, None) is None
        found = ray._freight(SimpleNamespace(nodes=list), held, home)
        assert found is not None
        assert found is ray._freight(None, held, home)
        second = ray._freight(SimpleNamespace(nodes=list), held, Mirror.at("memory://box/second", RUNS).home)
        assert second is not None
        assert second.home != home
        assert second.run != found.run, "another study in the same block"
        held.own = True
        assert ray._freight(None, held, home) is None
        held.pop_all()


def test_a_worker_that_cannot_reach_the_store_is_told(store: Any) -> None:
    store.pipe("/box/1.png", b"face")
    asked = ray_worker.Asked(ray_worker.versions(), ("memory://box/1.png", "memory://box/2.png"), ".")
    told = "cannot reach the store: memory://box/2.png: no such object, folder or bucket"
    assert ray_worker.trouble(asked) == told
    assert ray_worker.trouble(replace(asked, files=asked.files[:1])) == ""


def test_a_worker_that_keeps_files_has_room_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    told = ray_worker.trouble(ray_worker.Asked(ray_worker.versions(), (), ".", "run"))
    assert told == f"cannot keep files: {cache.nodes()}: cannot be written (Not a directory); set XDG_CACHE_HOME"
