"""The published term: one minus the cosine between a layer's mean over channels and the AU map."""

from torch import Tensor
from torch.nn import functional

from xfer.guidance.losses import LOSSES, Seen, over_layers, wide


@LOSSES.register(
    "au_cosine",
    title="a layer's mean over channels points where the map does",
    reference="Belharbi et al. 2024, doi:10.48550/arXiv.2402.00281",
)
def au_cosine(seen: Seen) -> Tensor:
    """``1 - cos(mean over channels, map)``, averaged over layers, in [0, 2] (face,)."""
    return over_layers(_term, seen)


def _term(activations: Tensor, maps: Tensor) -> Tensor:
    attention = activations.mean(1, dtype=wide(activations))
    return 1 - functional.cosine_similarity(attention.flatten(1), maps.to(attention.dtype).flatten(1), dim=1)
