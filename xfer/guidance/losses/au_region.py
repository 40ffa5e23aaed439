"""The share of a layer's energy that lies outside the Action Units' regions."""

import torch
from torch import Tensor

from xfer.guidance.losses import LOSSES, Seen, over_layers, sound, wide


@LOSSES.register(
    "au_region",
    title="a layer's energy lies inside the regions",
    reference="the energy loss of Rao et al. 2023, doi:10.48550/arXiv.2303.11932, on activations",
)
def au_region(seen: Seen) -> Tensor:
    """``1 - sum(energy * map) / sum(energy)``, energy the squares summed over channels, averaged over layers (face,).

    In [0, 1]; NaN where a layer is silent.
    """
    return over_layers(_term, seen)


def _term(activations: Tensor, maps: Tensor) -> Tensor:
    energy = activations.to(wide(activations)).square().sum(1)
    inside, total = (energy * maps).sum((-2, -1)), energy.sum((-2, -1))
    return sound(total.detach(), 1 - inside / torch.where(total > 0, total, 1.0))
