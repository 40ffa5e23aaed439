"""Small networks whose maps can be derived by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from xfer.explainers import EXPLAINERS


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


@pytest.fixture
def small() -> nn.Module:
    """The small CNN with random weights and running statistics, in training mode, float64."""
    torch.manual_seed(3)
    model = Small().double()
    model.norm.running_mean.normal_()
    model.norm.running_var.uniform_(0.5, 2.0)
    return model


@pytest.fixture
def images() -> torch.Tensor:
    """Four images of 12 x 10 px."""
    return torch.randn(4, 3, 12, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def snapshot() -> Callable[[nn.Module], list[object]]:
    """Everything about a network that explaining must not change."""

    def take(model: nn.Module) -> list[object]:
        state: list[object] = [
            (name, tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
            for name, tensor in model.state_dict().items()
        ]
        state += [(name, p.requires_grad, p.grad) for name, p in model.named_parameters()]
        for name, module in model.named_modules():
            state += [(name, module.training, len(module._forward_hooks), len(module._backward_hooks))]
        return state

    return take


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`explainer` runs over the registry."""
    if "explainer" in metafunc.fixturenames:
        metafunc.parametrize("explainer", EXPLAINERS.values(), ids=lambda e: e.name)
