"""`xfer.explain`: names, sizes and photographs around the maps of `attribute`."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xfer
from xfer.errors import InputError
from xfer.explainers import EXPLAINERS, LAYER, attribute

CLASSES = ["anger", "fear", "happiness"]


def test_names_and_values(small: nn.Module, images: torch.Tensor, snapshot: Callable) -> None:
    before = snapshot(small)
    maps = xfer.explain(small, images, LAYER, layer="second", classes=CLASSES, batch_size=3)
    assert snapshot(small) == before
    assert maps.dims == ("explainer", "face", "target", "y", "x")
    read = [e.name for e in EXPLAINERS.values() if e.family == LAYER and e.name != "cam"]
    assert maps.shape == (len(read), 4, 3, 6, 5)
    assert list(maps.explainer.values) == read
    assert list(maps.target.values) == CLASSES
    assert maps.attrs["layer"] == "second"
    assert maps.attrs["left_out"].startswith("cam does not apply to layer 'second': more than average pooling and a ")
    assert "y" not in maps.coords
    tensors = attribute(small, images, LAYER, layer="second")
    for name in read:
        np.testing.assert_allclose(maps.sel(explainer=name), tensors[name], rtol=1e-12, atol=1e-15)
    with torch.no_grad():
        expected = [CLASSES[k] for k in small.eval()(images).argmax(1)]
    assert list(maps.predicted.values) == expected


def test_classes_without_names_are_numbers(small: nn.Module, images: torch.Tensor) -> None:
    assert xfer.explain(small, images, "grad_cam", layer="second").target.values.tolist() == [0, 1, 2]


def test_targets_by_name(small: nn.Module, images: torch.Tensor) -> None:
    every = xfer.explain(small, images, "grad_cam", layer="second", classes=CLASSES)
    some = xfer.explain(small, images, "grad_cam", [["happiness", "anger"]], layer="second", classes=CLASSES)
    np.testing.assert_allclose(some, every.sel(target=["happiness", "anger"]), rtol=1e-12)
    one = xfer.explain(small, images, "grad_cam", "fear", layer="second", classes=CLASSES)
    assert list(one.target.values) == ["fear"]
    own = ["fear", "anger", "anger", "happiness"]
    each = xfer.explain(small, images, "grad_cam", own, layer="second", classes=CLASSES)
    assert each.target_class.dims == ("face", "target")
    assert each.target_class.values[:, 0].tolist() == own
    assert "target" not in each.coords
    np.testing.assert_allclose(each[0, 3, 0], every.sel(target="happiness")[0, 3], rtol=1e-12)


@pytest.mark.parametrize(("size", "shape"), [(None, (6, 5)), ("image", (12, 10)), ((24, 7), (24, 7))])
def test_sizes(size: object, shape: tuple[int, int], small: nn.Module, images: torch.Tensor) -> None:
    maps = xfer.explain(small, images, "hires_cam", layer="second", size=size)
    assert maps.shape[-2:] == shape
    grid = attribute(small, images, "hires_cam", layer="second")["hires_cam"]
    expected = nn.functional.interpolate(grid, size=shape, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(maps[0], expected, rtol=1e-12, atol=1e-14)


def test_several_layers(small: nn.Module, images: torch.Tensor) -> None:
    maps = xfer.explain(small, images, "eigen_cam,hires_cam", layer=["third", "first"])
    assert maps.dims == ("explainer", "layer", "face", "target", "y", "x")
    assert maps.layer.values.tolist() == ["third", "first"]
    assert "layer" not in maps.attrs
    for layer in ("third", "first"):
        alone = xfer.explain(small, images, "eigen_cam,hires_cam", layer=layer, size="image")
        np.testing.assert_allclose(maps.sel(layer=layer), alone, rtol=1e-9, atol=1e-13)


def test_a_method_that_applies_at_one_layer_only_is_nan_at_the_other() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    maps = xfer.explain(model, torch.rand(2, 3, 8, 8), "layer", layer=["0", "1"])
    assert maps.sel(explainer="cam", layer="0").isnull().all()
    assert maps.drop_sel(explainer="cam").notnull().all()
    assert maps.sel(layer="1").notnull().all()
    reason = "more than average pooling and a linear layer follows the layer (Tanh)"
    assert maps.attrs == {"left_out": f"cam does not apply to layer '0': {reason}"}


def test_photographs_are_scaled_and_normalised(small: nn.Module, rng: np.random.Generator) -> None:
    photographs = [rng.integers(0, 256, (12, 10, 3), dtype=np.uint8) for _ in range(5)]
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
    maps = xfer.explain(small, photographs, "grad_cam", layer="second", mean=mean, std=std, batch_size=2)
    tensor = torch.from_numpy((np.stack(photographs) / 255 - mean) / std).permute(0, 3, 1, 2)
    np.testing.assert_allclose(maps, xfer.explain(small, tensor, "grad_cam", layer="second"), rtol=1e-4, atol=1e-6)
    floats = [photograph / 255 for photograph in photographs]
    again = xfer.explain(small, floats, "grad_cam", layer="second", mean=mean, std=std)
    np.testing.assert_allclose(again, maps, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (
            [np.zeros((4, 4), np.uint8)],
            {},
            "image 0 must be RGB (y, x, 3), uint8 or floats in [0, 1]; got uint8 of shape (4, 4)",
        ),
        (
            [np.zeros((12, 10, 3), np.uint8), np.zeros((10, 12, 3), np.uint8)],
            {},
            "image 1 is 10 x 12 px, image 0 12 x 10: bring them to one size",
        ),
        ([np.full((12, 10, 3), 255.0)], {}, "image 0 has values outside [0, 1]"),
        ([np.full((12, 10, 3), np.nan)], {}, "image 0 has values outside [0, 1]"),
        ([], {}, "'images' is empty"),
        (
            torch.rand(1, 3, 12, 10),
            {"mean": 0.5},
            "'mean' and 'std' are for arrays; a tensor is taken as the network expects it",
        ),
        (
            torch.rand(1, 3, 12, 10),
            {"classes": ["a", "b"]},
            "'classes' has 2 names; the network has 3 classes",
        ),
        (
            torch.rand(1, 3, 12, 10),
            {"size": "grid"},
            "'size' must be None, 'image' or a height and width; got 'grid'",
        ),
        (
            torch.rand(1, 3, 12, 10),
            {"size": (0, 5)},
            "'size' must be None, 'image' or a height and width; got (0, 5)",
        ),
    ],
)
def test_bad_input(images: object, options: dict, message: str, small: nn.Module) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        xfer.explain(small, images, LAYER, layer="second", **options)


class Writing(nn.Module):
    """Scales its images in place, as preprocessing inside a network may."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 3)
        self.inplace = True

    def forward(self, images: Tensor) -> Tensor:
        """(face, 3, y, x) to (face, 3)."""
        scaled = images.sub_(0.5).mul_(4) if self.inplace else (images - 0.5) * 4
        return self.head(self.conv(scaled).relu().mean((2, 3)))


def test_images_stay_as_they_are_though_the_network_writes_into_them() -> None:
    torch.manual_seed(0)
    model, images = Writing().double(), torch.rand(3, 3, 12, 12, dtype=torch.float64)
    before = images.clone()
    names = "grad_cam,saliency,integrated_gradients,occlusion,score_cam,ablation_cam,fem"
    found = attribute(model, images, names, layer="conv")
    assert torch.equal(images, before)
    model.inplace = False
    for name, expected in attribute(model, images, names, layer="conv").items():
        torch.testing.assert_close(found[name], expected, rtol=1e-9, atol=1e-12)
