"""A folded network says what the network says, or is the network."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from xfer import models
from xfer.explainers import attribute
from xfer.explainers.families import Look
from xfer.explainers.folding import folded
from xfer.explainers.perturbation import Perturbation, Scene


def lively(model: nn.Module) -> nn.Module:
    """Batch normalisations with statistics of their own; evaluation mode."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model.eval()


@torch.no_grad()
def fold(model: nn.Module, images: Tensor) -> nn.Module:
    return folded(model, images[:1], model(images[:1]))


class Branching(nn.Module):
    """Its forward asks the values, which a tracer does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    def forward(self, images: Tensor) -> Tensor:
        seen = self.stem(images).mean((2, 3))
        return seen if seen.sum() > 1e9 else -seen


class Twice(nn.Module):
    """One convolution in front of two normalisations: what is folded into it once is wrong the other time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        return self.two(self.conv(self.one(self.conv(images)))).mean((2, 3))


def listened_to() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model[0].register_forward_hook(lambda *_: None)
    return model


@pytest.mark.parametrize("name", ["timm:resnet10t", "timm:mobilenetv3_small_050"])
@torch.no_grad()
def test_the_copy_says_the_same_without_normalisations(name: str) -> None:
    model = lively(models.build(name, classes=3, size=64))
    images = torch.rand(3, 3, 64, 64)
    copy = fold(model, images)
    norms = [sum(isinstance(each, nn.BatchNorm2d) for each in net.modules()) for net in (model, copy)]
    said = model(images)
    assert copy is not model
    assert norms[0] > norms[1] == 0
    torch.testing.assert_close(copy(images), said, rtol=0, atol=1e-5 * float(said.abs().max()))


@pytest.mark.parametrize("made", [Branching, Twice, listened_to, lambda: nn.Sequential(nn.Conv2d(3, 4, 3))])
def test_where_it_cannot_be_folded_the_network_stays(made: Callable[[], nn.Module]) -> None:
    model = lively(made())
    assert fold(model, torch.rand(2, 3, 16, 16)) is model


def test_maps_do_not_tell_and_the_network_is_left_alone() -> None:
    model = lively(models.build("timm:resnet10t", classes=3, size=48)).double()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.rand(2, 3, 48, 48, dtype=torch.float64)
    settings = {"perturbation": {"samples": 12, "segments": "grid", "pieces": 6}}
    with_folding = attribute(model, images, "lime,rise", settings=settings)
    handle = next(each for each in model.modules() if isinstance(each, nn.Conv2d)).register_forward_hook(
        lambda *_: None
    )
    without = attribute(model, images, "lime,rise", settings=settings)
    handle.remove()
    for name, maps in with_folding.items():
        torch.testing.assert_close(maps, without[name], rtol=1e-9, atol=1e-12)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@torch.no_grad()
def test_the_copy_s_weights_go_with_the_faces() -> None:
    model = lively(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    images = torch.rand(2, 3, 16, 16)
    look = Look(model, images, model(images), torch.arange(4).expand(2, -1), 0, 8)
    scene = Scene(look, Perturbation(samples=8, segments="grid", pieces=4))
    copy = scene._network
    assert copy is not model
    del scene
    assert {each.device.type for each in copy.parameters()} == {"meta"}
    assert {each.device.type for each in model.parameters()} == {"cpu"}
