"""The heatmap's layer: deepest, whole, reached by a gradient; the network is left as it was."""

import pytest
import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.models import build
from xfer.models.layers import Layer, grids, heatmap_layer, layer_at, published_layer


class Tokens(nn.Module):
    """A tiny transformer in two blocks with two tokens that belong to no place; the first of them gives the logits."""

    num_prefix_tokens = 2

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(*(Block() for _ in range(2)))
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        cells = self.patches(images).flatten(2).transpose(1, 2)
        tokens = self.blocks(torch.cat([cells.mean(1, keepdim=True).repeat(1, 2, 1), cells], 1))
        return self.head(self.norm(tokens)[:, 0])


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.norm1(tokens)
        return tokens + self.attention(x, x, x)[0]


def modes(model: nn.Module) -> list[bool]:
    return [m.training for m in model.modules()]


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())


def test_the_last_module_with_seven_cells_is_found(toy: type[nn.Module]) -> None:
    assert heatmap_layer(toy(), 28) == Layer("side", (7, 7), "map")
    assert heatmap_layer(toy(), 26) == Layer("side", (7, 7), "map")


def test_where_the_last_has_fewer_cells_an_earlier_one_is_taken(toy: type[nn.Module]) -> None:
    assert heatmap_layer(toy(), 16) == Layer("first", (8, 8), "map")


def test_where_none_has_seven_cells_the_finest_grid_is_taken(toy: type[nn.Module]) -> None:
    found = heatmap_layer(toy(), 6)
    assert found == Layer("first", (3, 3), "map")
    assert found.reason == "layer 'first' has 3 x 3 cells, fewer than 4 x 4"
    assert heatmap_layer(toy(), 8).reason == ""


def test_a_branch_that_a_shortcut_goes_round_is_not_the_layer(toy: type[nn.Module]) -> None:
    assert heatmap_layer(toy(branch=True), 28) == Layer("second", (7, 7), "map")


def test_too_few_pixels_for_any_grid_is_an_error(toy: type[nn.Module]) -> None:
    with pytest.raises(InputError) as error:
        heatmap_layer(toy(), 2)
    assert str(error.value) == (
        "at 2 px the network has no layer with a grid of cells that all of the picture passes through"
    )


def test_behind_the_last_attention_of_a_class_token_nothing_is_read() -> None:
    model = Tokens()
    assert heatmap_layer(model, 28) == Layer("blocks.0", (7, 7), "tokens", 2)
    with pytest.raises(InputError) as error:
        layer_at(model, "blocks.1", 28)
    assert str(error.value) == (
        "layer 'blocks.1' does not change the logits through its cells: the gradient there is 0"
    )


def test_maps_of_each_kind_have_channels_first_and_cells_in_reading_order() -> None:
    maps = torch.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    tokens = torch.cat([torch.full((2, 1, 3), -1.0), maps.flatten(2).transpose(1, 2)], 1)
    assert Layer("a", (2, 2), "map").maps(maps).equal(maps)
    assert Layer("a", (2, 2), "map_last").maps(maps.permute(0, 2, 3, 1)).equal(maps)
    assert Layer("a", (2, 2), "tokens", 1).maps(tokens).equal(maps)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_the_layer_does_not_hang_on_gradients_being_on(toy: type[nn.Module], off: type[torch.no_grad]) -> None:
    model = toy().requires_grad_(False)
    with off():
        assert heatmap_layer(model, 28).name == "side"
        assert not torch.is_grad_enabled()
    assert not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("find", [heatmap_layer, lambda model, size: layer_at(model, "features.7", size)])
def test_the_network_is_left_as_it_was(find: object) -> None:
    model = build("songnet_bn", 3, size=64)
    model.features[1].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    expected = modes(model)
    find(model, 64)  # type: ignore[operator]
    assert modes(model) == expected
    assert len(set(expected)) == 2
    assert hooks(model) == 0
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(v.equal(before[k]) for k, v in model.state_dict().items())


def test_the_network_is_left_as_it_was_after_an_exception() -> None:
    model = build("songnet_bn", 3, size=64)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        heatmap_layer(model, 100)
    assert all(modes(model))
    assert hooks(model) == 0


def test_the_global_generator_is_left_as_it_was(toy: type[nn.Module]) -> None:
    model = toy()
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    heatmap_layer(model, 28)
    assert torch.rand(3).equal(expected)


def test_a_layer_by_name_tells_its_grid(toy: type[nn.Module]) -> None:
    found = layer_at(toy(), "second", 12)
    assert found == Layer("second", (3, 3), "map")
    assert found.reason


def test_a_stage_by_name_is_its_last_block() -> None:
    model = build("timm:resnet18", 3)
    assert layer_at(model, "layer4", 64) == Layer("layer4", (2, 2), "map")
    assert heatmap_layer(model, 224) == Layer("layer4.1", (7, 7), "map")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("secnd", "layer 'secnd' is not in the network (did you mean 'second'?)"),
        ("zzz", "layer 'zzz' is not in the network"),
        ("head", "layer 'head' has no grid of cells: its output is 1 x 3"),
    ],
)
def test_a_wrong_layer_is_told(toy: type[nn.Module], name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        layer_at(toy(), name, 28)
    assert str(error.value) == message


class Reused(nn.Module):
    """One ReLU used twice, and one that writes into the output of the convolution before it."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.convolution(images))
        return self.head(self.relu(self.again(x).relu_()).mean((2, 3)))


@pytest.mark.parametrize("name", ["relu", "again"])
def test_outputs_that_are_not_what_the_next_layer_saw_are_refused(name: str) -> None:
    model = Reused()
    assert heatmap_layer(model, 8).name == "convolution"
    with pytest.raises(InputError) as error:
        layer_at(model, name, 8)
    assert str(error.value) == (
        f"layer {name!r} is used twice in a pass or overwritten after it; name the block it is in"
    )


def test_the_published_size_decides_the_published_layer() -> None:
    assert published_layer("mobilenetv3") == Layer("blocks.6.0", (7, 7), "map")
    assert layer_at(build("mobilenetv3", 6, size=64), "blocks.6.0", 64).reason == (
        "layer 'blocks.6.0' has 2 x 2 cells, fewer than 4 x 4"
    )


def test_more_cells_than_seven_can_be_asked_for(toy: type[nn.Module]) -> None:
    model = toy()
    for cells, grid in ((7, 8), (9, 16), (30, 16), (8, 8)):
        assert heatmap_layer(model, 32, cells=cells).grid == ((grid, grid) if cells < 30 else (16, 16))


def test_every_grid_is_listed_as_it_is_made(toy: type[nn.Module]) -> None:
    assert grids(toy(), 64) == [
        Layer("first", (32, 32), "map"), Layer("second", (16, 16), "map"), Layer("side", (16, 16), "map"),
        Layer("pool", (1, 1), "map"),
    ]  # fmt: skip
