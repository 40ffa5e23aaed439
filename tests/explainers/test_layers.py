"""Token grids and layouts, against the networks that have them."""

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from xfer.errors import InputError
from xfer.explainers import attribute, trace
from xfer.explainers.layers import Address, Layout, layout
from xfer.models import build
from xfer.models.layers import heatmap_layer

ANY = Address("blocks.9", nn.Identity())


@given(
    rows=st.integers(2, 24),
    columns=st.integers(2, 24),
    patch=st.sampled_from([8, 14, 16]),
    prefix=st.integers(0, 8),
)
def test_a_token_grid_has_the_images_proportions(rows: int, columns: int, patch: int, prefix: int) -> None:
    known = Address("blocks.9", nn.Identity(), prefix=prefix)
    found = layout((2, prefix + rows * columns, 32), known, (rows * patch, columns * patch))
    assert found == Layout("tokens", (rows, columns), prefix)


@pytest.mark.parametrize(
    ("tokens", "size", "grid", "prefix"),
    [
        (197, (224, 224), (14, 14), 1),
        (198, (224, 224), (14, 14), 2),
        (201, (224, 224), (14, 14), 5),
        (261, (224, 224), (16, 16), 5),
        (49, (224, 224), (7, 7), 0),
        (1 + 14 * 12, (224, 192), (14, 12), 1),
    ],
)
def test_prefix_tokens_are_found(tokens: int, size: tuple[int, int], grid: tuple[int, int], prefix: int) -> None:
    assert layout((8, tokens, 384), ANY, size) == Layout("tokens", grid, prefix)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((8, 2048, 7, 7), (224, 224), Layout("map", (7, 7))),
        ((8, 7, 7, 768), (224, 224), Layout("map_last", (7, 7))),
        ((8, 7, 7, 8), (224, 224), Layout("map_last", (7, 7))),
        ((8, 8, 7, 7), (224, 224), Layout("map", (7, 7))),
        ((8, 7, 7, 7), (224, 224), Layout("map", (7, 7))),
        ((8, 64, 9, 7), (275, 224), Layout("map", (9, 7))),
        ((8, 9, 7, 64), (275, 224), Layout("map_last", (9, 7))),
    ],
)
def test_channels_are_told_from_cells(shape: tuple[int, ...], size: tuple[int, int], expected: Layout) -> None:
    assert layout(shape, ANY, size) == expected


def test_a_known_grid_is_believed_only_where_it_fits() -> None:
    known = Address("x", nn.Identity(), grid=(12, 3), prefix=0)
    assert layout((2, 12, 3, 64), known, (224, 224)) == Layout("map_last", (12, 3))
    assert layout((2, 36, 64), known, (224, 224)) == Layout("tokens", (12, 3))
    assert layout((2, 49, 64), known, (224, 224)) == Layout("tokens", (7, 7))


def test_a_known_kind_is_believed() -> None:
    assert layout((2, 7, 7, 8), Address("x", nn.Identity(), (14, 14), 0, "map"), (224, 224)).grid == (7, 8)
    assert layout((2, 8, 7, 7), Address("x", nn.Identity(), (14, 14), 0, "map_last"), (224, 224)).grid == (
        8,
        7,
    )


@pytest.mark.parametrize(("name", "size"), [("songnet", 64), ("timm:vit_tiny_patch16_224", 112)])
def test_the_heatmap_layer_is_found(name: str, size: int) -> None:
    model = build(name, 3, size=size)
    found = heatmap_layer(model, size)
    images = torch.rand(2, 3, size, size)
    seen = trace(model, images, "grad_cam", layers=("auto",))
    assert list(seen.maps) == [found.name]
    assert seen.maps[found.name]["grad_cam"].shape == (2, 3, *found.grid)
    by_name = attribute(model, images, "grad_cam", layer=found.name)["grad_cam"]
    assert torch.equal(seen.maps[found.name]["grad_cam"], by_name)
    with pytest.raises(InputError, match=f"square images only; these are 64 x {size // 2} px: name a module$"):
        attribute(model, torch.rand(1, 3, 64, size // 2))


def test_the_three_layouts_are_the_same_maps() -> None:
    maps = torch.randn(2, 5, 3, 4)
    tokens = torch.cat([torch.randn(2, 1, 5), maps.flatten(2).transpose(1, 2)], 1)
    assert torch.equal(Layout("map", (3, 4)).maps(maps), maps)
    assert torch.equal(Layout("map_last", (3, 4)).maps(maps.permute(0, 2, 3, 1)), maps)
    assert torch.equal(Layout("tokens", (3, 4), 1).maps(tokens), maps)


@pytest.mark.parametrize(
    ("name", "layer", "size", "grid"),
    [
        ("vit_tiny_patch16_224", "blocks.10", (64, 64), (4, 4)),
        ("vit_tiny_patch16_224", "blocks.11.norm1", (64, 96), (4, 6)),
        ("deit_tiny_distilled_patch16_224", "blocks.10", (64, 64), (4, 4)),
        ("swin_tiny_patch4_window7_224", "layers.2", (64, 64), (4, 4)),
        ("convnext_atto", "stages.2", (64, 64), (4, 4)),
    ],
)
def test_networks_of_timm(name: str, layer: str, size: tuple[int, int], grid: tuple[int, int]) -> None:
    """Maps of every family, checked against a plain backward pass through the whole network."""
    torch.manual_seed(0)
    options = {} if name.startswith("convnext") else {"img_size": size}
    model = timm.create_model(name, num_classes=3, **options).double()
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    maps = attribute(model, images, "hires_cam", layer=layer)["hires_cam"]
    assert maps.shape == (2, 3, *grid)

    kept = []
    model.eval().get_submodule(layer).register_forward_hook(lambda module, inputs, output: kept.append(output))
    logits = model(images)
    kept[0].retain_grad()
    logits[1, 2].backward()
    product = (kept[0] * kept[0].grad)[1].detach()
    if product.ndim == 2:
        cells = product.sum(1)[-grid[0] * grid[1] :].view(grid)
    else:
        cells = product.sum(0 if name.startswith("convnext") else -1)
    torch.testing.assert_close(maps[1, 2], cells, rtol=1e-9, atol=1e-13)
