"""Fixtures shared by the suite."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from xfer import landmarkers
from xfer.landmarkers import Finder
from xfer.study import action_unit_means, plan, results

_SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_configure() -> None:
    """One thread a process: workers that each take all cores wait for one another longer than they work."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def few_draws() -> Iterator[None]:
    """Studies of the suite draw little, unless a test asks for more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "DRAWS", 20)
        patch.setattr(action_unit_means, "DRAWS", 20)
        for name, protocol in plan.PROTOCOLS.items():
            patch.setitem(plan.PROTOCOLS, name, replace(protocol, draws=20, randomised=0))
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
def mediapipe(shared: Path) -> Iterator[Finder]:
    """MediaPipe's Face Landmarker, once a process: where it was opened again and again it has crashed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFER_ASSETS", str(shared / "models"))
        finder = landmarkers.open("mediapipe")
    with finder:
        yield finder


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(20240911)


OnnxFile = Callable[..., Path]
"""See `onnx_file`."""


@pytest.fixture
def onnx_file(tmp_path: Path) -> OnnxFile:
    """Writes a network whose logits are the weighted means of a face's channels, with whatever a test changes."""

    def make(
        shape: Sequence[object] = ("face", 3, 8, 8),
        weights: np.ndarray | None = None,
        *,
        kind: int = TensorProto.FLOAT,
        tail: Sequence[str] = (),
        opset: int = 17,
        change: Callable[[onnx.ModelProto], None] = lambda model: None,
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
