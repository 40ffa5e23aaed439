"""What one pass through a network leaves at a layer."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from torch import Tensor

from xfer.explainers.principal import principal

__all__ = ["Behind", "Tap"]


class Behind(Protocol):
    """What follows the layer, for what only some methods ask."""

    @property
    def logits(self) -> Tensor:
        """(face, class)."""

    def curvature(self) -> Tensor:
        """The Hessian of each target's logit times the layer's output (face, target, channel, y, x)."""

    def rival_means(self) -> Tensor:
        """Mean gradients (face, target, channel) of the class whose logit is nearest to each target's."""

    def operations(self) -> tuple[str, ...]:
        """The names of torch's operations between the layer and the logits, each once."""


@dataclass(frozen=True)
class Tap:
    """A layer's output and the gradients of some logits with respect to it.

    What several methods need is computed once and kept; what few need, when the first of them asks.

    Attributes
    ----------
    activations : tensor (face, 1, channel, y, x)
    gradients : tensor (face, target, channel, y, x)
        Of no target where no method needs them.
    eigen : bool
        Whether sums over channels give way to their first principal component.
    behind : Behind or None
        The pass itself.
    """

    activations: Tensor
    gradients: Tensor
    eigen: bool = False
    behind: Behind | None = None

    @cached_property
    def product(self) -> Tensor:
        """Gradient times activation (face, target, channel, y, x)."""
        return self.gradients * self.activations

    @cached_property
    def activation_sums(self) -> Tensor:
        """The activations summed over the grid (face, 1, channel)."""
        return self.activations.sum((-2, -1))

    @cached_property
    def gradient_means(self) -> Tensor:
        """The gradients averaged over the grid (face, target, channel)."""
        return self.gradients.mean((-2, -1))

    @cached_property
    def curvature(self) -> Tensor:
        """As `Behind.curvature`.

        Raises
        ------
        RuntimeError
            If the network cannot be differentiated twice, as torch says it.
        """
        return self._pass.curvature()

    @cached_property
    def rival_means(self) -> Tensor:
        """As `Behind.rival_means`."""
        return self._pass.rival_means()

    @property
    def classes(self) -> int:
        """How many the network has."""
        return self._pass.logits.shape[1]

    @property
    def operations(self) -> tuple[str, ...]:
        """As `Behind.operations`."""
        return self._pass.operations()

    @property
    def _pass(self) -> Behind:
        if self.behind is None:
            raise ValueError("this tap has no pass behind it")
        return self.behind

    def weighted(self, weights: Tensor) -> Tensor:
        """Maps (face, target, y, x): the activations summed over channels with weights (face, target, channel)."""
        if self.eigen:
            return principal(weights[..., None, None] * self.activations)
        cells = self.activations[:, 0].flatten(-2)
        return (weights @ cells).unflatten(-1, self.activations.shape[-2:])

    def summed(self, terms: Tensor) -> Tensor:
        """Maps (face, target, y, x) of terms (face, target, channel, y, x)."""
        return principal(terms) if self.eigen else terms.sum(2)
