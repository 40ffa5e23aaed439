"""Methods that do not apply: refused by name, left out of "all" with the reason."""

import re
from collections.abc import Iterator

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from xfer.errors import InputError
from xfer.explainers import EXPLAINERS, attribute, trace
from xfer.explainers.catalogue import by_name

POOLED = "more than average pooling and a linear layer follows the layer ({})"
ATTENTION = "it reads attention between all tokens, from timm's ViT, DeiT, BEiT and EVA"


def refused(message: str) -> object:
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def test_cam_needs_a_linear_head(small: nn.Module, images: torch.Tensor) -> None:
    with refused(f"cam does not apply to layer 'third': {POOLED.format('Exp, Mul, Tanh')}"):
        attribute(small, images, "cam,grad_cam", layer="third")
    flat = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 2))
    with refused("cam does not apply to layer '0': the linear layer behind the layer tells cells apart"):
        attribute(flat, torch.rand(2, 3, 8, 8), "cam", layer="0")


def test_attention_needs_a_transformer(small: nn.Module, images: torch.Tensor) -> None:
    calls = []
    small.register_forward_pre_hook(lambda *_: calls.append(1))
    with refused(f"attention_rollout does not apply to Small: {ATTENTION}"):
        attribute(small, images, "grad_cam,attention_rollout", layer="second")
    with refused(
        f"no explainer asked for applies: attention_rollout does not apply to Small: {ATTENTION}; "
        f"gradient_attention_rollout does not apply to Small: {ATTENTION}"
    ):
        attribute(small, images, "attention", layer="second")
    assert not calls


def test_one_class_has_no_other_to_compare() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 1))
    with refused("finer_cam does not apply to layer '0': the network has one class, and none to compare it with"):
        attribute(model, torch.rand(2, 3, 8, 8), "finer_cam", layer="0")


def test_fused_attention_that_cannot_be_differentiated_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens wherever attention is not replaced by plain steps."""
    monkeypatch.setattr("xfer.explainers.tail.scaled_dot_product_attention", None)
    model = VisionTransformer(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=2, num_classes=3)
    seen = trace(model, torch.rand(2, 3, 32, 32), "layer", layers=("blocks.0",))
    assert re.search("differentiated twice: .* is not implemented$", seen.left_out["shapley_cam"])


def test_all_says_what_it_leaves_out(small: nn.Module, images: torch.Tensor) -> None:
    seen = trace(small, images, "layer,attention", layers=("second",))
    assert set(seen.left_out) == {"cam", "attention_rollout", "gradient_attention_rollout"}
    assert seen.left_out["attention_rollout"] == f"attention_rollout does not apply to Small: {ATTENTION}"
    assert seen.maps["second"].keys() == {e.name for e in EXPLAINERS.values() if e.family == "layer"} - {"cam"}


def test_leniently_even_those_asked_for_by_name(small: nn.Module, images: torch.Tensor) -> None:
    seen = trace(small, images, "attention_rollout,cam,grad_cam", layers=("second",), lenient=True)
    assert list(seen.maps["second"]) == ["grad_cam"]
    assert list(seen.left_out) == ["attention_rollout", "cam"]
    nothing = trace(small, images, "attention_rollout", layers=("second",), lenient=True)
    assert nothing.maps == {}
    assert torch.equal(nothing.logits, seen.logits)


def test_names_may_come_from_a_generator(small: nn.Module, images: torch.Tensor) -> None:
    def names() -> Iterator[str]:
        yield from ("grad_cam", "layer_cam")

    assert list(attribute(small, images, names(), layer="second")) == ["grad_cam", "layer_cam"]
    assert by_name(names()) == {"grad_cam", "layer_cam"}
    assert by_name("all") == by_name("attention") == frozenset()
