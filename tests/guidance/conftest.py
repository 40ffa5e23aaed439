"""Faces and networks small enough to guide by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xfer import geometry

SIZE = 32
CLASSES = ("anger", "fear", "happiness", "neutral")

Faces = Callable[..., Tensor]


class Toy(nn.Module):
    """Two convolutions, the second of stride 2 and with an in-place ReLU, global pooling, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3, padding=1)
        self.norm = nn.BatchNorm2d(5)
        self.second = nn.Conv2d(5, 4, 3, stride=2, padding=1)
        self.late = nn.Tanh()
        self.head = nn.Linear(4, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        early = nn.functional.relu(self.norm(self.first(images)), inplace=True)
        return self.head(self.late(self.second(early)).mean((2, 3)))


@pytest.fixture
def toy() -> Toy:
    torch.manual_seed(1)
    return Toy()


@pytest.fixture(scope="session")
def face() -> Tensor:
    """The mean face's 68 points on a square of side 1."""
    frame = geometry.load_frame()
    margin = np.array([(frame.height - frame.width) / 2, 0])
    return torch.from_numpy((frame.points[:68] + margin) / frame.height).float()


@pytest.fixture(scope="session")
def faces(face: Tensor) -> Faces:
    """Landmarks (n, 68, 2) of n faces, each moved a little, on images of a size."""

    def make(n: int, size: int = SIZE) -> Tensor:
        moved = torch.randn(n, 1, 2, generator=torch.Generator().manual_seed(0)) * 0.02
        return (face + moved) * size

    return make


@pytest.fixture
def images() -> Tensor:
    return torch.rand(5, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def labels() -> Tensor:
    """Three classes with Action Units, neutral, one more."""
    return torch.tensor([0, 1, 2, 3, 1])
