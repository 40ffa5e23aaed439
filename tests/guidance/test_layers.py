"""Layers by name, index and ``last``."""

import pytest
import timm
import torch
from torch import nn

from xfer import models
from xfer.errors import InputError
from xfer.guidance import layers


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return timm.create_model("test_resnet", num_classes=4)


@pytest.fixture(scope="module")
def strided() -> nn.Module:
    return timm.create_model("test_resnet", num_classes=4, output_stride=8)


def test_last_has_14_cells_or_is_the_deepest_of_a_strided_network(resnet: nn.Module, strided: nn.Module) -> None:
    (last,) = layers.find(resnet, ("last",), 128)
    assert (last.name, last.grid) == ("layer2.0", (16, 16))
    (last,) = layers.find(strided, ("last",), 128, 8)
    assert (last.name, last.grid) == ("layer4.0", (16, 16))
    (last,) = layers.find(resnet, ("last",), 24)
    assert last.grid == (12, 12)


def test_indices_count_stages_from_either_end(resnet: nn.Module) -> None:
    assert layers.stages(resnet, 64) == ("act1", "layer1", "layer2", "layer3", "layer4")
    found = layers.find(resnet, (0, 1, -1, "-2"), 64)
    assert [each.name for each in found] == ["act1", "layer1", "layer4", "layer3"]


def test_a_layer_named_twice_counts_once(resnet: nn.Module) -> None:
    found = layers.find(resnet, ("layer3", -2, "layer3"), 64)
    assert [each.name for each in found] == ["layer3"]


def test_stages_of_a_plain_module_are_its_grids(toy: nn.Module) -> None:
    assert layers.stages(toy, 32) == ("first", "late")
    assert [each.grid for each in layers.find(toy, (0, -1), 32)] == [(32, 32), (16, 16)]


def test_a_name_of_digits_is_a_name_first() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.append(nn.Linear(4, 3))
    assert layers.find(model, ("1",), 32)[0].name == "1"


@pytest.mark.parametrize(
    ("name", "last", "grid", "kind"),
    [("test_vit", "blocks.4", (4, 4), "tokens"), ("swin_tiny_patch4_window7_224", "layers.0", (16, 16), "map_last")],
)
def test_token_grids_are_folded(name: str, last: str, grid: tuple[int, int], kind: str) -> None:
    options = {"embed_dim": 24, "depths": (1, 1), "num_heads": (2, 2)} if "swin" in name else {}
    model = timm.create_model(name, img_size=64, num_classes=4, **options)
    (found,) = layers.find(model, ("last",), 64)
    assert (found.grid, found.kind) == (grid, kind)
    assert found.name.startswith(last.partition(".")[0])
    values = torch.arange(2 * 5 * grid[0] * grid[1]).reshape(2, 5, *grid).float()
    if kind == "tokens":
        told = torch.cat([torch.full((2, found.prefix, 5), -1.0), values.flatten(2).transpose(1, 2)], 1)
        assert found.prefix == model.num_prefix_tokens
    else:
        told = values.permute(0, 2, 3, 1)
    assert torch.equal(found.maps(told), values)


def test_a_missing_layer_names_the_ten_nearest(resnet: nn.Module) -> None:
    with pytest.raises(InputError) as error:
        layers.find(resnet, ("layer9",), 64)
    text = str(error.value)
    assert text.startswith("'layer' must be a module of ResNet; got 'layer9' (the nearest: layer")
    assert text.count(",") == 9
    assert "\n" not in text


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("fc", "layer 'fc' has no grid of cells: its output is 1 x 4"),
        (
            "layer1.0.bn1",
            "layer 'layer1.0.bn1' is used twice in a pass or overwritten after it; name the block it is in",
        ),
        (
            5,
            "layer 5 is not among the network's 5 stages (0: act1, 1: layer1, 2: layer2, 3: layer3, 4: layer4)",
        ),
        (
            -6,
            "layer -6 is not among the network's 5 stages (0: act1, 1: layer1, 2: layer2, 3: layer3, 4: layer4)",
        ),
    ],
)
def test_a_layer_that_cannot_be_guided_is_told(layer: str | int, message: str, resnet: nn.Module) -> None:
    with pytest.raises(InputError) as error:
        layers.find(resnet, (layer,), 64)
    assert str(error.value) == message


def test_finding_leaves_the_network_as_it_was(resnet: nn.Module) -> None:
    resnet.train()
    before = {name: value.clone() for name, value in resnet.state_dict().items()}
    layers.find(resnet, ("last", 1, "layer3"), 64)
    assert all(module.training for module in resnet.modules())
    assert all(torch.equal(value, before[name]) for name, value in resnet.state_dict().items())
    assert not any(module._forward_hooks for module in resnet.modules())


def test_registered_networks_have_layers() -> None:
    model = models.build("songnet_bn", 6, size=64)
    assert layers.find(model, ("last",), 64)[0].grid == (16, 16)
    assert layers.find(model, (-1,), 64)[0].grid == (4, 4)
