"""One forward, short backwards: what is run, what is kept, and which networks it works on."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from xfer.explainers import LAYER, attribute, trace


def counted(model: nn.Module, name: str) -> list[int]:
    """How often a module runs, as a list that grows."""
    calls: list[int] = []
    model.get_submodule(name).register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    return calls


def test_all_methods_and_classes_come_from_one_forward(small: nn.Module, images: torch.Tensor) -> None:
    calls = counted(small, "first")
    attribute(small, images, LAYER, layer="second")
    assert calls == [4]


def test_batches_are_bounded(small: nn.Module, images: torch.Tensor) -> None:
    calls = counted(small, "first")
    attribute(small, images, LAYER, layer="second", batch_size=3)
    assert calls == [3, 1]


def test_nothing_before_the_layer_has_a_graph(small: nn.Module, images: torch.Tensor) -> None:
    graphs = {}
    for name in ("first", "norm", "third", "head"):
        small.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: graphs.__setitem__(name, output.requires_grad)
        )
    attribute(small, images, LAYER, layer="second")
    assert graphs == {"first": False, "norm": False, "third": True, "head": True}


def test_an_in_place_relu_after_the_layer_changes_nothing(small: nn.Module, images: torch.Tensor) -> None:
    in_place = attribute(small, images, LAYER, layer="second")
    small.relu.inplace = False
    for name, maps in attribute(small, images, LAYER, layer="second").items():
        assert torch.equal(maps, in_place[name])


def test_an_in_place_layer_itself() -> None:
    torch.manual_seed(0)
    tail = [
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(4 * 16, 3),
    ]
    model = nn.Sequential(nn.Conv2d(3, 4, 3), *tail).double()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    maps = attribute(model, images, LAYER, layer="1")
    for module in model:
        if isinstance(module, nn.ReLU):
            module.inplace = False
    for name, expected in attribute(model, images, LAYER, layer="1").items():
        assert torch.equal(maps[name], expected)


@pytest.mark.parametrize("wrap", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_gradient_mode_does_not_matter(wrap: type, small: nn.Module, images: torch.Tensor) -> None:
    expected = attribute(small, images, LAYER, layer="second")
    with wrap():
        maps = attribute(small, images.clone(), LAYER, layer="second")
        assert torch.is_inference_mode_enabled() == (wrap is torch.inference_mode)
    for name in expected:
        assert torch.equal(maps[name], expected[name])


def test_frozen_parameters(small: nn.Module, images: torch.Tensor) -> None:
    expected = attribute(small, images, LAYER, layer="second")
    small.requires_grad_(False)
    for name, maps in attribute(small, images, LAYER, layer="second").items():
        assert torch.equal(maps, expected[name])
    assert not any(p.requires_grad for p in small.parameters())


def test_channels_last(small: nn.Module, images: torch.Tensor) -> None:
    expected = attribute(small, images, LAYER, layer="second")
    small = small.to(memory_format=torch.channels_last)
    for name, maps in attribute(small, images.to(memory_format=torch.channels_last), LAYER, layer="second").items():
        torch.testing.assert_close(maps, expected[name], rtol=1e-10, atol=1e-14)


def test_autocast_keeps_the_sums_in_float32(small: nn.Module, images: torch.Tensor) -> None:
    small.float()
    expected = attribute(small, images.float(), LAYER, layer="second")
    with torch.autocast("cpu", torch.bfloat16):
        maps = attribute(small, images.float(), LAYER, layer="second")
    for name in ("grad_cam", "hires_cam", "layer_cam", "element_wise_grad_cam"):
        assert maps[name].dtype == torch.float32
        scale = expected[name].abs().max()
        assert 0 < (maps[name] - expected[name]).abs().max() / scale < 0.1


def test_half_precision_weights(small: nn.Module, images: torch.Tensor) -> None:
    expected = attribute(small, images, "hires_cam", layer="second")["hires_cam"]
    maps = attribute(small.bfloat16(), images, "hires_cam", layer="second")["hires_cam"]
    assert maps.dtype == torch.float32
    assert (maps - expected).abs().max() / expected.abs().max() < 0.1


def test_several_layers_of_one_forward(small: nn.Module, images: torch.Tensor) -> None:
    calls = counted(small, "first")
    seen = trace(small, images, LAYER, layers=("third", "first", "second"))
    assert calls == [4]
    assert list(seen.maps) == ["third", "first", "second"]
    for layer, maps in seen.maps.items():
        for name, expected in attribute(small, images, LAYER, layer=layer).items():
            torch.testing.assert_close(maps[name], expected, rtol=1e-10, atol=1e-14)


def test_logits_and_predictions_come_with_the_maps(small: nn.Module, images: torch.Tensor) -> None:
    seen = trace(small, images, "hires_cam", "predicted", layers=("second",), batch_size=3)
    with torch.no_grad():
        logits = small.eval()(images)
    torch.testing.assert_close(seen.logits, logits, rtol=1e-12, atol=1e-14)
    assert torch.equal(seen.targets[:, 0], logits.argmax(1))
    assert not seen.logits.requires_grad


def test_a_layer_that_returns_a_tuple() -> None:
    class Pair(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, str]:
            return x * 2, "kept"

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Pair()
            self.head = nn.Linear(3 * 16, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            features, word = self.pair(x)
            assert word == "kept"
            return self.head(features.flatten(1))

    model = Model().double()
    images = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    maps = attribute(model, images, "hires_cam", layer="pair")["hires_cam"]
    expected = torch.einsum("tcyx,ncyx->ntyx", model.head.weight.detach().view(2, 3, 4, 4), 2 * images)
    torch.testing.assert_close(maps, expected, rtol=1e-12, atol=1e-14)


def test_chunks_of_classes_change_nothing(
    small: nn.Module, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = attribute(small, images, LAYER, layer="second")
    monkeypatch.setattr("xfer.explainers.shared_pass.CPU_CELLS", 4 * 5 * 30 * 2)
    for name, maps in attribute(small, images, LAYER, layer="second").items():
        torch.testing.assert_close(maps, expected[name], rtol=1e-12, atol=1e-14)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda_the_maps_stay_there_and_are_the_same(small: nn.Module, images: torch.Tensor) -> None:
    expected = attribute(small, images, LAYER, layer="second")
    for name, maps in attribute(small.cuda(), images, LAYER, layer="second").items():
        assert maps.is_cuda
        torch.testing.assert_close(maps.cpu(), expected[name], rtol=1e-8, atol=1e-10)


def test_a_described_layer(small: nn.Module, images: torch.Tensor) -> None:
    described = SimpleNamespace(name="second", grid=(6, 5), prefix=0, kind="map")
    for name, maps in attribute(small, images, LAYER, layer=described).items():
        assert torch.equal(maps, attribute(small, images, LAYER, layer="second")[name])
