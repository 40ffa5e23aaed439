"""Networks of many families of timm are guided unchanged."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tests.guidance.conftest import CLASSES
from xfer import models
from xfer.guidance import Guidance, Guide

SIZE = 64

FAMILIES: dict[str, dict[str, Any]] = {
    "test_resnet": {},
    "test_efficientnet": {},
    "test_byobnet": {},
    "test_convnext": {},
    "test_nfnet": {},
    "test_mambaout": {},
    "mobilenetv3_small_050": {},
    "densenet121": {"growth_rate": 4, "block_config": (1, 1, 1, 1)},
    "resnetv2_50": {"layers": (1, 1, 1, 1), "channels": (16, 32, 48, 64)},
    "ghostnet_050": {},
    "test_vit": {"img_size": SIZE},
    "deit_tiny_distilled_patch16_224": {"img_size": SIZE, "depth": 2, "embed_dim": 24},
    "swin_tiny_patch4_window7_224": {"img_size": SIZE, "embed_dim": 24, "depths": (1, 1), "num_heads": (2, 2)},
    "mobilevit_xxs": {},
    "regnetx_002": {},
    "pvt_v2_b0": {"depths": (1, 1, 1, 1), "embed_dims": (8, 16, 16, 16), "num_heads": (1, 1, 2, 2)},
}


@pytest.fixture
def batch(faces: Callable[..., Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    images = torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return images, torch.tensor([0, 2, 3]), faces(3, SIZE)


def train(name: str, guide: Guide, batch: tuple[Tensor, Tensor, Tensor]) -> list[float]:
    """Two steps; the term before each."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=len(CLASSES), **FAMILIES[name])
    return steps(model, guide, Guidance(model, guide, CLASSES, SIZE), batch)


def steps(model: nn.Module, guide: Guide, guidance: Guidance, batch: tuple[Tensor, Tensor, Tensor]) -> list[float]:
    names = [name for name, _ in model.named_modules()]
    optimiser, found = torch.optim.SGD(model.parameters(), 0.01), []
    for _ in range(2):
        before = [p.detach().clone() for p in model.parameters()]
        logits, terms = guidance(model, *batch)
        term = terms[terms.isfinite()].mean()
        optimiser.zero_grad()
        (cross_entropy(logits, batch[1]) + guide.weight * term).backward()
        optimiser.step()
        found.append(float(term.detach()))
        assert any(not torch.equal(p, was) for p, was in zip(model.parameters(), before, strict=True))
    assert [name for name, _ in model.named_modules()] == names
    assert not any(module._forward_hooks for module in model.modules())
    assert all(p.isfinite().all() for p in model.parameters())
    return found


def test_there_are_ten_families_of_both_kinds() -> None:
    modules = {timm.model_entrypoint(name).__module__ for name in FAMILIES}
    assert len(modules) >= 10


@pytest.mark.parametrize("name", FAMILIES)
def test_two_steps_of_au_cosine(name: str, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    assert all(0 < term < 2 for term in train(name, Guide(), batch))


@pytest.mark.parametrize("loss", ["au_region", "cam", "harmonize"])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "swin_tiny_patch4_window7_224"])
def test_two_steps_of_the_other_losses(name: str, loss: str, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    assert all(term > 0 for term in train(name, Guide(loss=loss, weight=1.0), batch))


@pytest.mark.parametrize("name", ["timm:test_resnet", "timm:test_efficientnet"])
def test_two_steps_at_an_output_stride_of_8(name: str, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """``last`` is the deepest layer then, which has 8 x 8 cells at 64 px in place of 2 x 2."""
    plain, strided = (models.build(name, len(CLASSES), size=SIZE, seed=1, output_stride=stride) for stride in (0, 8))
    (deepest,) = Guidance(plain, Guide(layers=(-1,)), CLASSES, SIZE).layers
    guide = Guide(output_stride=8)
    guidance = Guidance(strided, guide, CLASSES, SIZE)
    (layer,) = guidance.layers
    assert (deepest.grid, layer.grid) == ((2, 2), (8, 8))
    assert all(0 < term < 2 for term in steps(strided, guide, guidance, batch))
