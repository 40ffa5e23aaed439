"""Layer, grid and prefix tokens of every kind of network: tiny random ones of timm."""

from typing import Any

import pytest
import timm
import torch
from torch import nn

from xfer.explainers import trace
from xfer.models.layers import heatmap_layer

CAM = "grad_cam,hires_cam,layer_attention"

TRANSFORMER: dict[str, Any] = {"img_size": 112, "embed_dim": 24, "depth": 3, "num_heads": 2}
SWIN: dict[str, Any] = {"img_size": 224, "embed_dim": 12, "depths": (1, 1, 2, 1), "num_heads": (1, 1, 2, 2)}
VIT, DEIT = "vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"

MAXXVIT: dict[str, Any] = {"depths": (1, 1, 1, 1), "embed_dim": (32, 32, 64, 64), "stem_width": 8}

NETWORKS: list[tuple[str, dict[str, Any], int, tuple[int, int], str, int]] = [
    (VIT, TRANSFORMER, 112, (7, 7), "tokens", 1),
    (VIT, {**TRANSFORMER, "reg_tokens": 4}, 112, (7, 7), "tokens", 5),
    (VIT, {**TRANSFORMER, "global_pool": "avg"}, 112, (7, 7), "tokens", 1),
    (VIT, {**TRANSFORMER, "global_pool": "avg", "class_token": False}, 112, (7, 7), "tokens", 0),
    (DEIT, TRANSFORMER, 112, (7, 7), "tokens", 2),
    ("beit_base_patch16_224", TRANSFORMER, 112, (7, 7), "tokens", 1),
    ("eva02_tiny_patch14_224", {**TRANSFORMER, "img_size": 98}, 98, (7, 7), "tokens", 1),
    ("xcit_nano_12_p16_224", {"depth": 1, "embed_dim": 16, "num_heads": 2}, 112, (7, 7), "tokens", 1),
    (
        "levit_128s",
        {"embed_dim": (16, 24, 32), "key_dim": 8, "num_heads": (2, 2, 2), "depth": (1, 1, 1)},
        224,
        (7, 7),
        "tokens",
        0,
    ),
    ("swin_tiny_patch4_window7_224", SWIN, 224, (7, 7), "map_last", 0),
    ("convnext_atto", {"dims": (8, 8, 16, 16), "depths": (1, 1, 1, 1)}, 224, (7, 7), "map", 0),
    ("resnet10t", {"channels": (8, 8, 16, 16)}, 224, (7, 7), "map", 0),
    ("coatnet_nano_rw_224", MAXXVIT, 224, (7, 7), "map", 0),
    ("maxvit_pico_rw_256", MAXXVIT, 256, (8, 8), "map", 0),
    ("mobilevit_xxs", {}, 224, (7, 7), "map", 0),
    ("edgenext_xx_small", {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}, 224, (7, 7), "map", 0),
    ("pvt_v2_b0", {"depths": (1, 1, 1, 1)}, 224, (7, 7), "map", 0),
]


def network(name: str, options: dict[str, Any], size: int) -> nn.Module:
    """A tiny one, its scales and head not the zeros and ones that training starts from, its statistics measured."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3, **options)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1.0
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1 or len(parameter) == 3:
                parameter.add_(0.3 * torch.randn_like(parameter))
        model(torch.randn(2, 3, size, size))
    return model


@pytest.mark.parametrize(("name", "options", "size", "grid", "kind", "prefix"), NETWORKS)
def test_the_layer_is_found_and_its_maps_tell_places_apart(
    name: str, options: dict[str, Any], size: int, grid: tuple[int, int], kind: str, prefix: int
) -> None:
    model = network(name, options, size)
    layer = heatmap_layer(model, size)
    assert (layer.grid, layer.kind, layer.prefix) == (grid, kind, prefix), layer
    images = torch.randn(2, 3, size, size)
    seen = trace(model, images, CAM, layers=(layer,))
    by_name = trace(model, images, CAM, layers=(layer.name,))
    for method, maps in seen.maps[layer.name].items():
        assert maps.shape == (2, 3, *grid)
        assert maps.isfinite().all()
        assert (maps.std((2, 3)) > 1e-3 * maps.abs().amax((2, 3))).all(), method
        assert torch.equal(by_name.maps[layer.name][method], maps)


@pytest.mark.parametrize("name", ["coatnet_nano_rw_224", "maxvit_pico_rw_256"])
def test_attention_with_a_bias_may_follow_the_layer(name: str) -> None:
    """Blocks of the last stage add their positions' bias to attention as a mask."""
    model = network(name, {**MAXXVIT, "img_size": 64}, 64)
    maps = trace(model, torch.randn(1, 3, 64, 64), "grad_cam", layers=("stages.2",)).maps["stages.2"]["grad_cam"]
    assert (maps.std((2, 3)) > 1e-3 * maps.abs().amax((2, 3))).all()
