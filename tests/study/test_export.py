"""Networks in ONNX give torch's numbers, and say what they are."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.models import VisionTransformer
from torch import Tensor, nn

import xfer
from xfer import exporting, models
from xfer.errors import InputError
from xfer.exporting import Exported
from xfer.models.facts import Facts
from xfer.models.onnx import OnnxNetwork
from xfer.onnx_files import open_network


class Tail(nn.Module):
    """What stands behind `first` asks for every gradient that is written out: groups, pools, BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.behind = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(4, 8, 3, 2, 1, groups=2),
            nn.BatchNorm2d(8),
            nn.SiLU(),
            nn.AvgPool2d(2),
            nn.AdaptiveAvgPool2d(1),
        )
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Images whose channels lie last in memory, as behind a permutation."""
        seen = self.first(images).contiguous(memory_format=torch.channels_last)
        return self.head(self.drop(self.behind(seen).flatten(1)))


class Undecided(nn.Module):
    """Its way depends on what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        seen = self.first(images)
        return self.head(seen.mean((2, 3)) if images.mean() > 0.5 else seen.amax((2, 3)))


def faces(size: int, count: int = 4) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(7))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return make()


def check(network: nn.Module, done: Exported, count: int) -> None:
    """Logits and heatmaps of other faces than those the export tried."""
    given = faces(done.facts.size, count)
    found = open_network(done.file).session.run(None, {"faces": given.numpy()})
    network.eval()
    with torch.no_grad():
        wanted = network(given).numpy()
    np.testing.assert_allclose(found[0], wanted, atol=1e-4 * max(1, np.abs(wanted).max()))
    if done.grid:
        maps = xfer.explain(network, given, "grad_cam", layer=done.facts.layer).sel(explainer="grad_cam").to_numpy()
        assert np.abs(maps).max() > 0
        np.testing.assert_allclose(found[1], maps, atol=1e-4 * np.abs(maps).max())


@pytest.fixture(scope="module")
def songnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Exported]:
    network = models.build("songnet", 3, size=48, seed=3)
    file = tmp_path_factory.mktemp("export") / "songnet.onnx"
    options: dict[str, Any] = {"size": 48, "mean": 0.5, "std": [0.2, 0.3, 0.4], "classes": ["angry", "fear", "happy"]}
    return network, xfer.export(network, file, with_heatmap=True, **options)


@pytest.mark.parametrize("count", [1, 4])
def test_songnet_with_heatmaps(songnet: tuple[nn.Module, Exported], count: int) -> None:
    network, done = songnet
    assert len(done.grid) == 2
    assert done.difference <= exporting.file.TOLERANCE
    check(network, done, count)


def test_what_is_recorded_reads_back(songnet: tuple[nn.Module, Exported]) -> None:
    _, done = songnet
    assert done.facts == Facts(48, (0.5,) * 3, (0.2, 0.3, 0.4), ("anger", "fear", "happiness"), done.facts.layer)
    assert OnnxNetwork(done.file).facts == done.facts
    told = json.loads(open_network(done.file).metadata["xfer"])
    assert (told["xfer"], told["opset"], told["explainer"], told["layer"]) == (
        xfer.__version__, done.opset, "grad_cam", done.facts.layer,
    )  # fmt: skip
    assert str(done.file.parent).encode() not in done.file.read_bytes()


def test_it_comes_in_again_with_the_same_logits(songnet: tuple[nn.Module, Exported]) -> None:
    network, done = songnet
    with torch.no_grad():
        torch.testing.assert_close(OnnxNetwork(done.file)(faces(48)), network.eval()(faces(48)), rtol=0, atol=1e-4)


def test_a_tail_with_every_gradient(tmp_path: Path) -> None:
    network = seeded(Tail)
    network.train()(faces(16))  # running statistics that are not 0 and 1
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    done = xfer.export(network, tmp_path / "tail.onnx", with_heatmap=True, size=16, layer="first")
    assert done.grid == (16, 16)
    assert all(module.training and not module._forward_hooks for module in network.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert all(tensor.equal(before[name]) for name, tensor in network.state_dict().items())
    check(network, done, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["tail.onnx"]


def test_a_transformer_with_heatmaps(tmp_path: Path) -> None:
    network = seeded(lambda: VisionTransformer(32, 8, num_classes=2, embed_dim=16, depth=2, num_heads=2))
    done = xfer.export(network, tmp_path / "vit.onnx", with_heatmap=True, size=32)
    check(network, done, 3)


def test_logits_alone(tmp_path: Path) -> None:
    network = models.build("timm:test_resnet", 6, size=64)
    done = xfer.export(network, tmp_path / "resnet.onnx", size=64)
    assert done.grid == ()
    assert len(open_network(done.file).session.get_outputs()) == 1
    check(network, done, 2)


@pytest.mark.parametrize("with_heatmap", [False, True])
def test_a_network_that_cannot_be_traced(tmp_path: Path, with_heatmap: bool) -> None:
    (tmp_path / "net.onnx").write_text("old")
    with pytest.raises(InputError, match=r"^Undecided: cannot be traced for ONNX \(\w+: .*\)$") as caught:
        xfer.export(seeded(Undecided), tmp_path / "net.onnx", size=12, layer="first", with_heatmap=with_heatmap)
    assert "\n" not in str(caught.value)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("net.onnx", "old")]


def test_a_file_with_other_numbers_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting.file, "_difference", lambda here, there, unit: 0.25)
    with pytest.raises(InputError, match=r"^Tail: is not written: its output 'logits' is off by 0\.25 of the largest"):
        xfer.export(seeded(Tail), tmp_path / "net.onnx", size=16)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("here", "there", "unit", "off"),
    [
        ([2.0, 4.0], [2.0, 3.0], 1.0, 0.25),
        ([0.1, 0.2], [0.1, 0.1], 1.0, 0.1),
        ([0.1, 0.2], [0.1, 0.1], 0.0, 0.5),
        ([0.0, 0.0], [0.0, 0.0], 0.0, 0.0),
        ([0.0, 0.0], [0.0], 0.0, float("inf")),
    ],
)
def test_differences_are_in_units_of_the_largest(here: list, there: list, unit: float, off: float) -> None:
    assert exporting.file._difference(torch.tensor(here), torch.tensor(there), unit) == pytest.approx(off)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda net: net, {}, "Tail: say for faces of which 'size' in px it is"),
        (
            lambda net: net.half(),
            {"size": 16},
            "Tail: is torch.float16 on cpu; export a copy in float32 on the CPU: model.cpu().float()",
        ),
        (lambda net: net, {"size": 16, "classes": ["anger"]}, "'classes' has 1 names; the network has 2 classes"),
        (
            lambda net: net,
            {"size": 16, "layer": "frist"},
            "'layer' must be a module of Tail; got 'frist' (the nearest: first, drop, behind, behind.6, behind.5, "
            "behind.4, behind.3, behind.2, behind.1, behind.0)",
        ),
        (
            lambda net: nn.init.constant_(net.head.bias, float("nan")),
            {"size": 16},
            "Tail: 2 of 2 values of 'head.bias' are not finite: its training diverged or the file is damaged",
        ),
    ],
)
def test_modules_that_do_not_fit(
    tmp_path: Path, change: Callable[[Any], Any], options: dict[str, Any], message: str
) -> None:
    network = seeded(Tail)
    change(network)
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        xfer.export(network, tmp_path / "net.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_a_network_without_a_grid_has_no_heatmap(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    with pytest.raises(InputError, match=r"^Sequential: has no layer with a grid of cells to read a heatmap from$"):
        xfer.export(network, tmp_path / "net.onnx", with_heatmap=True, size=16)
    assert xfer.export(network, tmp_path / "net.onnx", size=16).facts == Facts(16)


@pytest.mark.parametrize("file", [".", "absent/net.onnx"])
def test_a_place_that_cannot_be_written(tmp_path: Path, file: str) -> None:
    place = tmp_path / file
    with pytest.raises(InputError, match=f"^{re.escape(str(place))}: give a file in a folder that exists and can be"):
        xfer.export("songnet=absent.safetensors", place)


def test_onnx_is_onnx_already(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^onnx:net\.onnx: is in ONNX already$"):
        xfer.export("onnx:net.onnx", tmp_path / "net.onnx")
