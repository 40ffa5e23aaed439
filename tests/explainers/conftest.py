"""Small networks whose maps can be derived by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.explainers import subjects
from tests.explainers.subjects import Subject, subject_of
from xfer.explainers import EXPLAINERS, LAYER, Explainer


@pytest.fixture
def subject(explainer: Explainer) -> Subject:
    """What the explainer of the contract suite explains."""
    return subject_of(explainer)


@pytest.fixture
def small() -> nn.Module:
    """The small CNN with random weights and running statistics, in training mode, float64."""
    return subjects.small()


@pytest.fixture
def images() -> torch.Tensor:
    """Four images of 12 x 10 px."""
    return subjects.noise(12, 10)


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
    """`explainer` runs over the registry, `cam` over the family that reads a layer."""
    if "explainer" in metafunc.fixturenames:
        metafunc.parametrize("explainer", EXPLAINERS.values(), ids=lambda e: e.name)
    if "cam" in metafunc.fixturenames:
        metafunc.parametrize("cam", [e for e in EXPLAINERS.values() if e.family == LAYER], ids=lambda e: e.name)
