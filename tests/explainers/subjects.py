"""What the contract suite explains: for each family of explainers, or single explainer, a network with its faces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from xfer.explainers import LAYER, Explainer


class Small(nn.Module):
    """A CNN with an in-place ReLU after each layer of interest, batch normalisation, dropout and three classes."""

    def __init__(self, inplace: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 5, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=inplace)
        self.drop = nn.Dropout(0.5)
        self.third = nn.Conv2d(5, 4, 3, padding=1)
        self.head = nn.Linear(4 * 6 * 5, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(face, 3, 12, 10) to (face, 3)."""
        early = nn.functional.relu(self.norm(self.first(images)))
        middle = nn.functional.relu(self.second(early), inplace=self.relu.inplace)
        late = torch.tanh(self.third(self.drop(middle)))
        return self.head(late.flatten(1)) * late.mean((1, 2, 3))[:, None].exp()


@dataclass(frozen=True)
class Subject:
    """A network of three classes in training mode, float64, and four faces.

    Attributes
    ----------
    model : nn.Module
    images : tensor (4, channel, y, x)
    layer : str
        Where it is explained.
    early, late : str
        Modules that run before and after that.
    dropout : str
        A module without weights.
    negative : str
        A layer with negative outputs.
    grid : tuple of int or None
        The maps' rows and columns, None where a family chooses.
    settings : mapping
        Of families, quick ones.
    """

    model: nn.Module
    images: torch.Tensor
    layer: str
    early: str
    late: str
    dropout: str
    negative: str
    grid: tuple[int, int] | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def small() -> nn.Module:
    """The small CNN with random weights and running statistics, in training mode, float64."""
    torch.manual_seed(3)
    model = Small().double()
    model.norm.running_mean.normal_()
    model.norm.running_var.uniform_(0.5, 2.0)
    return model


def noise(rows: int, columns: int) -> torch.Tensor:
    """Four images."""
    return torch.randn(4, 3, rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def of_a_cnn() -> Subject:
    return Subject(small(), noise(12, 10), "second", "first", "third", "drop", "third", (6, 5))


def of_a_linear_head() -> Subject:
    torch.manual_seed(3)
    tail = [nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)]
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Tanh(), *tail).double()
    return Subject(model, noise(12, 10), "1", "0", "5", "2", "1", (10, 8))


def of_a_transformer() -> Subject:
    torch.manual_seed(3)
    sizes = {"img_size": (12, 10), "patch_size": 2, "embed_dim": 12, "depth": 3, "num_heads": 3}
    model = VisionTransformer(num_classes=3, proj_drop_rate=0.5, attn_drop_rate=0.5, **sizes).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    dropout, layer = "blocks.1.attn.attn_drop", "blocks.1"
    return Subject(model, noise(12, 10), layer, "blocks.0.norm1", "fc_norm", dropout, layer, (6, 5))


class Ruled(nn.Module):
    """A residual CNN of ReLUs and max pools, one ReLU used twice, for methods with a rule for every layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6 * 6 * 5, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(face, 3, 12, 10) to (face, 3)."""
        early = self.relu(self.norm(self.first(images)))
        late = self.pool(self.relu(self.second(early) + early))
        return self.head(self.drop(nn.functional.relu(late - 0.1)).flatten(1))


def ruled() -> nn.Module:
    """That CNN with random weights and running statistics, in training mode, float64."""
    torch.manual_seed(3)
    model = Ruled().double()
    model.norm.running_mean.normal_()
    model.norm.running_var.uniform_(0.5, 2.0)
    return model


def of_rules() -> Subject:
    settings = {"gradient": {"steps": 3, "samples": 3}}
    return Subject(ruled(), noise(12, 10), "pool", "first", "head", "drop", "second", (12, 10), settings)


def of_masked_forwards() -> Subject:
    settings = {"samples": 24, "segments": "grid", "pieces": 6, "cells": 3}
    return replace(of_a_cnn(), grid=None, settings={"perturbation": settings})


SUBJECTS: dict[str, Callable[[], Subject]] = {
    LAYER: of_a_cnn,
    "cam": of_a_linear_head,
    "attention": of_a_transformer,
    "gradient": of_rules,
    "perturbation": of_masked_forwards,
}


def subject_of(explainer: Explainer) -> Subject:
    """By the explainer's name, else by its family's, else the small CNN with no promise of a grid."""
    default = Subject(small(), noise(12, 10), "second", "first", "third", "drop", "third")
    make = SUBJECTS.get(explainer.name) or SUBJECTS.get(explainer.family)
    return make() if make else default
