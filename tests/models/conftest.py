"""Networks small enough to follow by hand."""

import pytest
from torch import Tensor, nn


class Toy(nn.Module):
    """Three convolutions of stride 2 and a dense layer, with the last convolution on a side branch if asked."""

    def __init__(self, *, branch: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, 2, 1)
        self.second = nn.Conv2d(4, 4, 3, 2, 1)
        self.side = nn.Conv2d(4, 4, 3, 1, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, 3)
        self.branch = branch

    def get_classifier(self) -> nn.Module:
        return self.head

    def forward(self, images: Tensor) -> Tensor:
        x = self.second(self.first(images).relu()).relu()
        x = x + self.side(x).relu() if self.branch else self.side(x)
        return self.head(self.pool(x).flatten(1))


@pytest.fixture
def toy() -> type[Toy]:
    return Toy
