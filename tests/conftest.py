"""Fixtures shared by the suite; what is slow to import waits for the fixture, since xdist's first process runs none."""

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from xfer.landmarkers import Finder

_SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_configure() -> None:
    """One thread a process: workers that each take all cores wait for one another longer than they work."""
    os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_finish() -> None:
    """What is there before the first test is no garbage; each look through it for some took half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def few_draws() -> Iterator[None]:
    """Studies of the suite draw little, unless a test asks for more."""
    from xfer.study import action_unit_means, plan, results

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "DRAWS", 20)
        patch.setattr(action_unit_means, "DRAWS", 20)
        for name, protocol in plan.PROTOCOLS.items():
            patch.setitem(plan.PROTOCOLS, name, replace(protocol, draws=20, randomised=0))
        yield


@pytest.fixture
def no_page() -> Iterator[None]:
    """A study has its name for a page, which takes as long as all else of a small one; for what says nothing of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xfer.report.page.build", lambda study, faces="mean": study.name)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped elsewhere."""
    if not _SHARED.is_dir():
        pytest.skip("no ../shared beside the checkout: the real data is not redistributed")
    return _SHARED


@pytest.fixture(scope="session")
def published(shared: Path) -> Path:
    """The published heatmaps, masks and scores of the 12-network study."""
    return shared / "data" / "published_heatmaps"


@pytest.fixture(scope="session")
def mediapipe(shared: Path) -> "Iterator[Finder]":
    """MediaPipe's Face Landmarker, once a process: where it was opened again and again it has crashed."""
    from xfer import landmarkers

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFER_ASSETS", str(shared / "models"))
        finder = landmarkers.open("mediapipe")
    with finder:
        yield finder


@pytest.fixture
def rng() -> "np.random.Generator":
    """A seeded generator."""
    import numpy as np

    return np.random.default_rng(20240911)


OnnxFile = Callable[..., Path]
"""See `onnx_file`."""


@pytest.fixture
def onnx_file(tmp_path: Path) -> OnnxFile:
    """Writes a network whose logits are the weighted means of a face's channels, with whatever a test changes."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    def make(
        shape: Sequence[object] = ("face", 3, 8, 8),
        weights: "np.ndarray | None" = None,
        *,
        kind: int = TensorProto.FLOAT,
        tail: Sequence[str] = (),
        opset: int = 17,
        change: "Callable[[onnx.ModelProto], None]" = lambda model: None,
        name: str = "net.onnx",
    ) -> Path:
        last = shape[3] in (1, 3)
        channels = int(str(shape[3] if last else shape[1]))
        table = np.arange(channels * 4, dtype=np.float32).reshape(channels, 4) / 10 if weights is None else weights
        nodes = [helper.make_node("Cast", ["faces"], ["floats"], to=TensorProto.FLOAT)]
        nodes += [helper.make_node("ReduceMean", ["floats"], ["means"], axes=[1, 2] if last else [2, 3], keepdims=0)]
        nodes += [helper.make_node("MatMul", ["means", "table"], ["v0"])]
        nodes += [helper.make_node(kind_of, [f"v{i}"], [f"v{i + 1}"]) for i, kind_of in enumerate(tail)]
        outputs = [helper.make_tensor_value_info(f"v{len(tail)}", TensorProto.FLOAT, [shape[0], table.shape[1]])]
        inputs = [helper.make_tensor_value_info("faces", kind, shape)]
        held = [numpy_helper.from_array(table, "table")]
        graph = helper.make_graph(nodes, "net", inputs, outputs, held)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        change(model)
        (tmp_path / name).write_bytes(model.SerializeToString())
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """An S3 server, or nearly: moto's on 127.0.0.1."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client with the empty bucket ``box``; xfer finds the server where the store's own tools look for it."""
    import boto3

    from xfer.datasets import objects

    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    calm = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}
    for name, value in {**keys, **nowhere, **calm, "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    objects._filesystem.cache_clear()
    objects._handle.cache_clear()
    urlopen(Request(f"{address}/moto-api/reset", method="POST")).close()
    client = boto3.client("s3")
    client.create_bucket(Bucket="box")
    yield client
    objects._filesystem.cache_clear()
    objects._handle.cache_clear()


Machine = Callable[[str], None]
"""See `machine`."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Be another machine: with a cache of its own. Beats are short on all of them, and patience is not."""
    from xfer.study import claiming, lease

    monkeypatch.setattr(lease, "BEAT", 0.1)
    monkeypatch.setattr(lease, "SILENT", 50)
    monkeypatch.setattr(claiming, "EVERY", 0.05)

    def be(name: str) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "machines" / name))

    be("first")
    return be


@pytest.fixture
def store(machine: Machine) -> Iterator[Any]:
    """A store in memory; studies are at ``memory://box/study``."""
    import fsspec

    store = fsspec.filesystem("memory")
    store.rm("/box", recursive=True) if store.exists("/box") else None
    yield store
    store.rm("/box", recursive=True) if store.exists("/box") else None
