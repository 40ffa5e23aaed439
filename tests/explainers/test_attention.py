"""Rollout and gradient-weighted attention against matrices made by hand from the network's own weights."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import nn

from xfer.errors import InputError
from xfer.explainers import attribute, trace

METHODS = "attention_rollout,gradient_attention_rollout"
TINY: dict[str, Any] = {"img_size": 16, "embed_dim": 12, "depth": 3, "num_heads": 3, "num_classes": 4}
VIT, DEIT = "vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"


def network(name: str = VIT, **options: Any) -> nn.Module:
    """A tiny transformer in float64, weights large enough for attention to matter."""
    torch.manual_seed(0)
    model = timm.create_model(name, **{**TINY, "patch_size": 4, **options}).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    return model


@pytest.fixture
def faces() -> torch.Tensor:
    return torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def by_hand(model: nn.Module, face: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Attention (head, token, token) of every block, part of a graph, and the logits (class,)."""
    kept: list[torch.Tensor] = []

    def attend(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        tokens, width = inputs[0][0], inputs[0].shape[-1]
        size = width // module.num_heads
        query, key, value = (
            (tokens @ module.qkv.weight.T + module.qkv.bias)
            .view(len(tokens), 3, module.num_heads, size)
            .permute(1, 2, 0, 3)
        )
        kept.append(torch.softmax(query @ key.mT / size**0.5, -1))
        mixed = (kept[-1] @ value).transpose(0, 1).reshape(1, len(tokens), width)
        return mixed @ module.proj.weight.T + module.proj.bias

    handles = [block.attn.register_forward_hook(attend) for block in model.eval().blocks]
    logits = model(face[None])[0]
    for handle in handles:
        handle.remove()
    return kept, logits


@pytest.mark.parametrize(
    ("name", "options", "rows"),
    [
        (VIT, {}, [0]),
        (VIT, {"reg_tokens": 3}, [0]),
        (VIT, {"class_token": False, "global_pool": "avg", "fc_norm": False}, range(16)),
        (VIT, {"global_pool": "avg"}, range(1, 17)),
        (DEIT, {}, [0, 1]),
    ],
)
def test_both_equal_their_definition(name: str, options: dict, rows: Any, faces: torch.Tensor) -> None:
    model = network(name, **options)
    maps = attribute(model, faces, METHODS)
    attentions, logits = by_hand(model, faces[1])
    tokens = attentions[0].shape[-1]
    rollout = torch.eye(tokens, dtype=torch.float64)
    for weights in attentions:
        mixed = weights.detach().mean(0) + torch.eye(tokens)
        rollout = mixed / mixed.sum(-1, keepdim=True) @ rollout
    expected = rollout[list(rows)].mean(0)[-16:].view(4, 4)
    for target in range(4):
        torch.testing.assert_close(maps["attention_rollout"][1, target], expected, rtol=1e-9, atol=1e-14)
        gradients = torch.autograd.grad(logits[target], attentions, retain_graph=True)
        relevance = torch.eye(tokens, dtype=torch.float64)
        for weights, gradient in zip(attentions, gradients, strict=True):
            relevance = relevance + (weights * gradient).detach().clamp_min(0).mean(0) @ relevance
        told = relevance[list(rows)].mean(0)[-16:].view(4, 4)
        torch.testing.assert_close(maps["gradient_attention_rollout"][1, target], told, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ["beit_base_patch16_224", "eva02_tiny_patch14_224"])
def test_relatives(name: str) -> None:
    """Rollout of BEiT and EVA: rows of attention sum to 1, so do those of their product."""
    model = network(name, img_size=28, patch_size=7, num_heads=2, embed_dim=16)
    seen = attribute(model, torch.randn(2, 3, 28, 28, dtype=torch.float64), METHODS)
    assert seen["attention_rollout"].shape == (2, 4, 4, 4)
    assert ((total := seen["attention_rollout"].sum((2, 3))) > 0.1).all()
    assert (total <= 1).all()
    assert (seen["gradient_attention_rollout"].std((2, 3)) > 0).all()


def test_pictures_that_are_not_square() -> None:
    model = network(img_size=(16, 24))
    assert attribute(model, torch.randn(2, 3, 16, 24).double(), METHODS)["attention_rollout"].shape == (2, 4, 4, 6)


def test_attention_is_fused_again_afterwards(faces: torch.Tensor, snapshot: Callable) -> None:
    model = network()
    model.blocks[1].attn.fused_attn = False
    seen: list[list[bool]] = []
    model.norm.register_forward_pre_hook(lambda *_: seen.append([block.attn.fused_attn for block in model.blocks]))
    before = snapshot(model)
    attribute(model, faces, METHODS)
    fused = [block.attn.fused_attn for block in model.blocks]
    assert [False] * 3 in seen
    assert fused == [True, False, True]
    assert snapshot(model) == before

    def fail(*_: object) -> None:
        if not model.blocks[0].attn.fused_attn:
            raise KeyboardInterrupt

    model.blocks[2].register_forward_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        attribute(model, faces, METHODS)
    assert [block.attn.fused_attn for block in model.blocks] == fused


def test_a_wrapped_network_and_half_precision(faces: torch.Tensor) -> None:
    model = network()
    expected = attribute(model, faces, METHODS)
    wrapped = attribute(nn.Sequential(nn.Identity(), model), faces, METHODS)
    half = attribute(model.bfloat16(), faces, METHODS)
    for name, maps in expected.items():
        assert torch.equal(wrapped[name], maps)
        assert half[name].dtype == torch.float32
        assert (half[name] - maps).abs().max() < 0.1 * maps.abs().max()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: network(global_pool="map"), "its pooling 'map' does not say how much it reads of each token"),
        (lambda: network(global_pool="max"), "its pooling 'max' does not say how much it reads of each token"),
        (
            lambda: network(depth=1, block_fn=timm.models.vision_transformer.ParallelThingsBlock),
            "the blocks' attention is of a kind whose weights cannot be read",
        ),
        (
            lambda: timm.create_model("swin_tiny_patch4_window7_224", img_size=56, embed_dim=12, depths=(1, 1)),
            "it reads attention between all tokens, from timm's ViT, DeiT, BEiT and EVA",
        ),
    ],
)
def test_where_it_does_not_apply(make: Callable[[], nn.Module], reason: str) -> None:
    model = make()
    with pytest.raises(InputError, match=f"^attention_rollout does not apply to {type(model).__name__}: {reason}$"):
        attribute(model, torch.rand(1, 3, 16, 16), "attention_rollout")


def test_beside_methods_that_read_a_layer(faces: torch.Tensor) -> None:
    model = network()
    seen = trace(model, faces, "grad_cam,attention_rollout", layers=("blocks.1",))
    assert list(seen.maps) == ["blocks.1", "image"]
