"""What few coalitions say about a face's players: sums that add up over rounds, and unbiased estimates from them.

The expected normal equations of LIME and KernelSHAP are known by the number of players alone. With them an estimate is
linear in what the network said.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from xfer.explainers.perturbation import Perturbation
from xfer.explainers.surrogates import coin_moments, cosine_kernel, kernel_moments

__all__ = ["ESTIMATES", "LEAST", "Estimate", "Evidence"]

LEAST = 8
"""The fewest coalitions of a face: two halves of two pairs."""


@dataclass(frozen=True)
class Evidence:
    """Sums over pairs of a coalition and its complement, for a batch of faces.

    With k a row's weight, z its players less what is expected of them, f what the network said:

    Attributes
    ----------
    pairs : int
    products : float64 tensor (face, player, target)
        Sum of k z f.
    players : float64 tensor (face, player, 1)
        Sum of k z.
    crossed : float64 tensor (face, player, target)
        Sum over pairs of the pair's k z times its mean f.
    said : float64 tensor (face, target)
        Sum over pairs of the mean f.
    """

    pairs: int
    products: Tensor
    players: Tensor
    crossed: Tensor
    said: Tensor

    @classmethod
    def of(cls, centred: Tensor, values: Tensor, weights: Tensor) -> "Evidence":
        """From rows less their expectation (face, row, player), values (face, row, target), weights (face, row).

        Rows come in pairs, a coalition and its complement.
        """
        weighted = centred * weights[..., None]
        by_pair, said = weighted.unflatten(1, (-1, 2)).sum(2), values.unflatten(1, (-1, 2)).mean(2)
        return cls(
            by_pair.shape[1],
            weighted.mT @ values,
            weighted.sum(1)[..., None],
            by_pair.mT @ said,
            said.sum(1),
        )

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(
            self.pairs + other.pairs,
            self.products + other.products,
            self.players + other.players,
            self.crossed + other.crossed,
            self.said + other.said,
        )

    @property
    def mean(self) -> Tensor:
        """What the network said on average (face, 1, target)."""
        return self.said[:, None] / self.pairs

    @property
    def covariance(self) -> Tensor:
        """The mean over rows of k z (f - mean f), (face, player, target), unbiased: each pair's mean is the others'."""
        others = (self.said[:, None] * self.players - self.crossed) / (self.pairs - 1)
        return (self.products - others) / (2 * self.pairs)


@dataclass(frozen=True)
class Estimate:
    """How a method reads evidence.

    Attributes
    ----------
    design : str
        Of `xfer.explainers.designs.DESIGNS`.
    weights : callable
        ``(sizes (face, row), players (face, 1), settings) -> (face, row)``.
    centre : callable
        ``(players, settings) -> float``: what is expected of a player.
    solve : callable
        ``(evidence, players (face,), gains, settings) -> coefficients (face, player, target)``; `gains` is what the
        network says to the whole (face, target), and to nothing.
    """

    design: str
    weights: Callable[[Tensor, Tensor, Perturbation], Tensor]
    centre: Callable[[int, Perturbation], float]
    solve: Callable[[Evidence, tuple[int, ...], tuple[Tensor, Tensor], Perturbation], Tensor]


def _lime_weights(sizes: Tensor, players: Tensor, settings: Perturbation) -> Tensor:
    return cosine_kernel(sizes, players, settings.kernel_width)


def _lime_centre(players: int, settings: Perturbation) -> float:
    kernel, first, _ = coin_moments(players, settings.kernel_width)
    drawn = settings.samples - 1
    return (1 + drawn * first) / (1 + drawn * kernel)


def _lime(evidence: Evidence, players: tuple[int, ...], gains: tuple[Tensor, Tensor], settings: Perturbation) -> Tensor:
    """The ridge regression of the full recipe, its normal equations expected over all coalitions."""
    drawn, covariance = settings.samples - 1, evidence.covariance
    found = torch.zeros_like(covariance)
    for count, faces in _alike(players):
        kernel, first, both = coin_moments(count, settings.kernel_width)
        centre, total = _lime_centre(count, settings), 1 + drawn * kernel
        off = 1 + drawn * both - total * centre**2
        own = drawn * (first - both) + settings.alpha
        right = (1 - centre) * (gains[0][faces, None] - evidence.mean[faces]) + drawn * covariance[faces, :count]
        # (own I + off J) c = right
        found[faces, :count] = (right - right.sum(1, keepdim=True) * (off / (own + count * off))) / own
    return found


def _shapley(
    evidence: Evidence, players: tuple[int, ...], gains: tuple[Tensor, Tensor], settings: Perturbation
) -> Tensor:
    """Covert and Lee's unbiased KernelSHAP, whose equations come down to differences from the mean."""
    covariance = evidence.covariance
    found = torch.zeros_like(covariance)
    for count, faces in _alike(players):
        own = covariance[faces, :count]
        each = (gains[0][faces, None] - gains[1][faces, None]) / count
        found[faces, :count] = each + (own - own.mean(1, keepdim=True)) / (0.5 - kernel_moments(count))
    return found


def _alike(players: tuple[int, ...]) -> Iterator[tuple[int, list[int]]]:
    """Numbers of players, and the faces that have so many."""
    for count in sorted(set(players)):
        yield count, [face for face, own in enumerate(players) if own == count]


ESTIMATES: Mapping[str, Estimate] = {
    "lime": Estimate("coin", _lime_weights, _lime_centre, _lime),
    "kernel_shap": Estimate("kernel", lambda sizes, _, __: torch.ones_like(sizes).double(), lambda *_: 0.5, _shapley),
}
