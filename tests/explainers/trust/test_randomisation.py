"""The cascade of random weights."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.explainers import subjects
from xfer.errors import InputError
from xfer.explainers.trust import randomisation


def test_the_cascade_goes_from_the_logits_down(snapshot: Callable) -> None:
    model, images = subjects.ruled(), subjects.noise(12, 10)
    before = snapshot(model)
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    table = randomisation(model, images, "input_x_gradient,saliency")
    assert torch.equal(torch.rand(2), expected)
    assert snapshot(model) == before
    assert table.drop_duplicates("step").layer.tolist() == ["head", "second", "norm", "first"]
    assert table.randomised.max() == 1.0
    assert len(table) == 2 * 4 * 4
    last = table[table.step == 4].groupby("explainer").spearman_absolute.mean()
    assert (last < 0.6).all()


def test_what_does_not_depend_on_weights_stays() -> None:
    """Image times gradient of a network whose only weights scale the logits keeps its order."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor([2.0, 2.0]))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.scale * torch.stack([images.mean((1, 2, 3)), -images.mean((1, 2, 3))], 1)

    table = randomisation(Scaled(), torch.rand(3, 1, 4, 4), "input_x_gradient")
    assert table.spearman.tolist() == pytest.approx([1.0] * 3)


def test_steps_and_seed() -> None:
    model, images = subjects.ruled(), subjects.noise(12, 10)
    first, again, other = (randomisation(model, images, "saliency", steps=2, seed=seed) for seed in (1, 1, 2))
    assert first.drop_duplicates("step").step.tolist() == [1, 4]
    assert first.equals(again)
    assert not first.equals(other)


def test_a_network_without_weights_is_refused() -> None:
    with pytest.raises(InputError, match="Flatten has no layer with weights to make random"):
        randomisation(nn.Flatten(), torch.rand(1, 3, 4, 4))
