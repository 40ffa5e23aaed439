"""What one pass through a network leaves at a layer."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Tap"]


@dataclass(frozen=True)
class Tap:
    """A layer's output and the gradients of some logits with respect to it.

    What several methods need is computed once and kept.

    Attributes
    ----------
    activations : tensor (face, 1, channel, y, x)
    gradients : tensor (face, target, channel, y, x)
    """

    activations: Tensor
    gradients: Tensor

    @cached_property
    def product(self) -> Tensor:
        """Gradient times activation (face, target, channel, y, x)."""
        return self.gradients * self.activations

    @cached_property
    def activation_sums(self) -> Tensor:
        """The activations summed over the grid (face, 1, channel)."""
        return self.activations.sum((-2, -1))

    def weighted(self, weights: Tensor) -> Tensor:
        """Maps (face, target, y, x): the activations summed over channels with weights (face, target, channel)."""
        cells = self.activations[:, 0].flatten(-2)
        return torch.bmm(weights, cells).unflatten(-1, self.activations.shape[-2:])
