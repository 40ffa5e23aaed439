"""The published term: one minus the cosine between a layer's mean over channels and the AU map."""

from torch import Tensor

from xfer.guidance.losses import LOSSES, Seen, over_layers, unlike, wide


@LOSSES.register(
    "au_cosine",
    title="a layer's mean over channels points where the map does",
    reference="Belharbi et al. 2024, doi:10.48550/arXiv.2402.00281",
)
def au_cosine(seen: Seen) -> Tensor:
    """``1 - cos(mean over channels, map)``, averaged over layers, in [0, 2] (face,); NaN where a layer is silent."""
    return over_layers(lambda activations, maps: unlike(activations.mean(1, dtype=wide(activations)), maps), seen)
