"""Exact messages, and that they come before any work."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from xfer.errors import InputError
from xfer.explainers import attribute, explain, trace

NEAREST = "norm, first, second, third, drop, relu, head"


def refused(message: str) -> Any:
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


@pytest.fixture
def untouched(small: nn.Module) -> Any:
    """The network, with a check that it never ran."""
    calls = []
    handle = small.register_forward_pre_hook(lambda *_: calls.append(1))
    yield small
    handle.remove()
    assert not calls


def test_a_layer_that_is_not_there(untouched: nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(
        InputError, match=r"^'layer' must be a module of Small; got 'secnod' \(the nearest: second, "
    ) as raised:
        attribute(untouched, images, layer="secnod")
    assert set(str(raised.value).split("nearest: ")[1].rstrip(")").split(", ")) == set(NEAREST.split(", "))


def test_ten_nearest_layers() -> None:
    model = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(30)))
    with pytest.raises(InputError) as raised:
        attribute(model, torch.rand(1, 3, 4, 4), layer="2x")
    near = str(raised.value).split("nearest: ")[1].rstrip(")").split(", ")
    assert near[0] == "2"
    assert len(near) == 10


def test_a_layer_that_is_no_name(untouched: nn.Module, images: torch.Tensor) -> None:
    with refused("'layer' must be a module's dotted name, 'auto' or a description; got Conv2d"):
        attribute(untouched, images, layer=untouched.second)


def test_a_wrong_number_of_names_is_told_after_one_batch(small: nn.Module, images: torch.Tensor) -> None:
    ran: list[int] = []
    small.register_forward_pre_hook(lambda module, inputs: ran.append(len(inputs[0])))
    with refused("'classes' has 2 names; the network has 3 classes"):
        explain(small, images, "grad_cam,lime", classes=["anger", "fear"], layer="second", batch_size=1)
    assert ran == [1]


@pytest.mark.parametrize("size", [7, "large", (3,), (0, 4)])
def test_a_size_that_is_none(size: Any, untouched: nn.Module, images: torch.Tensor) -> None:
    with refused(f"'size' must be None, 'image' or a height and width; got {size!r}"):
        explain(untouched, images, layer="second", size=size)


def test_a_scale_that_is_none(untouched: nn.Module) -> None:
    faces = [np.zeros((12, 10, 3), np.uint8)]
    with refused("'mean' and 'std' must be finite and 'std' above 0; got 0.5 and 0.0"):
        explain(untouched, faces, layer="second", mean=0.5, std=0.0)
    with refused("'mean' and 'std' must be one number, or one a channel; got (1.0, 2.0)"):
        explain(untouched, faces, layer="second", std=(1.0, 2.0))
    with refused("'mean' and 'std' must be finite and 'std' above 0; got nan and 1.0"):
        attribute(untouched, torch.rand(1, 3, 12, 10), "saliency", settings={"gradient": {"mean": float("nan")}})


def test_an_explainer_with_a_typo(untouched: nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"got 'grad_camm' \(did you mean 'grad_cam'\?\)$"):
        attribute(untouched, images, "grad_camm", layer="second")


@pytest.mark.parametrize("targets", [[0, 1, 2], [[0, 1]] * 3, np.zeros(5, int)])
def test_targets_for_another_number_of_faces(targets: Any, untouched: nn.Module, images: torch.Tensor) -> None:
    rows = len(targets)
    with refused(
        f"'targets' has {rows} rows for 4 faces: give one class a face, (1, target) classes for every face, or 'all'"
    ):
        attribute(untouched, images, targets=targets, layer="second")


def test_one_class_is_one_target_for_all(small: nn.Module, images: torch.Tensor) -> None:
    every = attribute(small, images, "hires_cam", layer="second")["hires_cam"]
    for targets in (1, [[1]], torch.tensor([1, 1, 1, 1])):
        one = attribute(small, images, "hires_cam", targets, layer="second")["hires_cam"]
        torch.testing.assert_close(one, every[:, 1:2])


def test_targets_that_are_no_classes(untouched: nn.Module, images: torch.Tensor) -> None:
    with refused("'targets' must be one of all, predicted; got 'al' (did you mean 'all'?)"):
        attribute(untouched, images, targets="al", layer="second")
    with refused("'targets' are names: give 'classes', the names in the order of the logits"):
        attribute(untouched, images, targets=["anger"] * 4, layer="second")
    with refused("'targets' must have the same number of classes for every face"):
        attribute(untouched, images, targets=[[0], [1, 2], [0], [0]], layer="second")
    with refused(
        "'targets' must be 'all', 'predicted' or class numbers (face,) or (face, target); "
        "got values of type float64 and shape (4,)"
    ):
        attribute(untouched, images, targets=[0.0, 1.0, 2.0, 0.0], layer="second")
    with refused("'targets' must be one of anger, fear, joy; got 'angr' (did you mean 'anger'?)"):
        explain(untouched, images, targets="angr", classes=["anger", "fear", "joy"], layer="second")


@pytest.mark.parametrize("wrong", [3, -1])
def test_a_class_that_does_not_exist(wrong: int, small: nn.Module, images: torch.Tensor) -> None:
    with refused(f"'targets' asks for class {wrong}; the network has 3 classes, 0 to 2"):
        attribute(small, images, targets=[0, 1, wrong, 0], layer="second", batch_size=1)


def test_no_spatial_features(small: nn.Module, images: torch.Tensor) -> None:
    with refused("layer 'head' has no spatial features: its output has the shape (4, 3); take an earlier layer"):
        attribute(small, images, layer="head")


def test_tokens_without_a_grid() -> None:
    model = nn.Sequential(nn.Flatten(2), nn.Linear(64, 8), nn.Flatten(), nn.Linear(24, 2))
    with refused("layer '1' has no spatial features: its output has the shape (2, 3, 8); take an earlier layer"):
        attribute(model, torch.rand(2, 3, 8, 8), layer="1")


def test_an_image_smaller_than_the_stride() -> None:
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)]
    model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=32, padding=1), *tail)
    with refused(
        "layer '0' has one cell for images of 16 x 20 px, which are smaller than its stride: "
        "take larger images or an earlier layer"
    ):
        attribute(model, torch.rand(2, 3, 16, 20), layer="0")


def test_an_image_the_network_cannot_take(small: nn.Module) -> None:
    with pytest.raises(InputError, match=r"^the network cannot take images of 30 x 30 px: .*mat1 and mat2 shapes"):
        attribute(small, torch.rand(2, 3, 30, 30), layer="second")
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(4), nn.MaxPool2d(4), nn.Flatten(), nn.LazyLinear(2))
    model(torch.rand(1, 3, 40, 40))
    with pytest.raises(InputError, match=r"^the network cannot take images of 10 x 10 px: .*too small$"):
        attribute(model, torch.rand(2, 3, 10, 10), layer="0")
    with pytest.raises(InputError, match=r"to have 3 channels, but got 1 channels instead$"):
        attribute(small, torch.rand(2, 1, 12, 10), layer="second")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value: float, untouched: nn.Module, images: torch.Tensor) -> None:
    untouched.norm.running_var[2] = value
    untouched.head.bias.data[0] = -value
    with refused("Small: 1 of 3 values of 'head.bias' are not finite: its training diverged or the file is damaged"):
        attribute(untouched, images, layer="second")


def test_large_finite_weights_are_accepted(small: nn.Module, images: torch.Tensor) -> None:
    small.float().second.weight.data.fill_(3e38)
    small.second.weight.data.mul_(torch.rand(5, 6, 3, 3) * 0 + 1)
    from xfer.explainers.state import check_finite

    check_finite(small)


def test_images_that_are_none(untouched: nn.Module, images: torch.Tensor) -> None:
    with refused("'images' must be a floating tensor (face, channel, y, x); got torch.uint8 of shape (4, 3, 12, 10)"):
        attribute(untouched, images.byte(), layer="second")
    with refused("'images' must be a floating tensor (face, channel, y, x); got torch.float64 of shape (3, 12, 10)"):
        attribute(untouched, images[0], layer="second")
    with refused("'images' must be a tensor (face, channel, y, x); got str"):
        attribute(untouched, "face.png", layer="second")
    with refused("'images' is empty"):
        attribute(untouched, images[:0], layer="second")
    images[2, 1, 3, 3] = float("nan")
    with refused("image 2 has values that are not finite"):
        attribute(untouched, images, layer="second")


def test_a_batch_size_of_zero(untouched: nn.Module, images: torch.Tensor) -> None:
    with refused("'batch_size' must be at least 1; got 0"):
        attribute(untouched, images, layer="second", batch_size=0)
    with refused("'layers' is empty: name a module, or give 'auto'"):
        trace(untouched, images, layers=())
    with pytest.raises(InputError, match=r"^'explainers' is empty: give 'all' or some of ablation_cam, "):
        attribute(untouched, images, [], layer="second")


class Odd(nn.Module):
    """Layers that cannot be explained, one for each reason."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.twice = nn.Tanh()
        self.never = nn.Tanh()
        self.beside = nn.Tanh()
        self.flat = nn.ReLU()
        self.head = nn.Linear(3 * 64, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(face, 3, 8, 8) to (face, 2)."""
        x = self.twice(self.twice(self.conv(images)))
        self.beside(x)
        return self.head((x + self.flat(x - 2)).flatten(1))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "twice",
            "layer 'twice' runs several times in one forward (a shared module): take one that runs once",
        ),
        ("never", "layer 'never' does not run in evaluation mode: take another layer"),
        ("beside", "no logit depends on layer 'beside': take a layer between the image and the logits"),
    ],
)
def test_layers_beside_the_road(layer: str, message: str, snapshot: Callable) -> None:
    model = Odd()
    before = snapshot(model)
    with refused(message):
        attribute(model, torch.rand(2, 3, 8, 8), layer=layer)
    assert snapshot(model) == before


def test_gradients_that_are_all_zero() -> None:
    """A pooled class token: the last block's other tokens do not reach the logits."""
    model = timm.create_model("vit_tiny_patch16_224", num_classes=2, img_size=32, depth=2)
    with refused(
        "every gradient at layer 'blocks.1' is zero: its features do not reach the logits; take an earlier layer"
    ):
        attribute(model, torch.rand(2, 3, 32, 32), layer="blocks.1")


def test_a_network_that_returns_no_logits() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"logits": self.conv(images).mean((2, 3))}

    with refused("the network must return logits (face, class) for 2 faces; it returned dict"):
        attribute(Wrapped(), torch.rand(2, 3, 8, 8), layer="conv")
    with refused(
        "the network must return logits (face, class) for 2 faces; it returned a tensor of shape (2, 2, 6, 6)"
    ):
        attribute(nn.Sequential(nn.Conv2d(3, 2, 3)), torch.rand(2, 3, 8, 8), layer="0")
