"""The class activation map of the face's own label against the AU map."""

import torch
from torch import Tensor

from xfer.guidance.losses import LOSSES, Seen, over_layers, unlike, wide


@LOSSES.register(
    "cam",
    title="the class activation map of the true class points where the map does",
    reference="Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74; aligned as in Belharbi et al. 2024, "
    "doi:10.48550/arXiv.2402.00281",
    twice=True,
)
def cam(seen: Seen) -> Tensor:
    """``1 - cos(CAM, map)``, averaged over layers, in [0, 2] (face,).

    The CAM is Grad-CAM's before its ReLU: signed, so that evidence against the class counts too, and behind global
    pooling and one linear layer the CAM of Zhou et al. 2016. Its weights are differentiated as well. NaN where it is 0
    everywhere, as in a network whose last layer starts at 0.
    """
    gradients = iter(seen.gradients())

    def term(activations: Tensor, maps: Tensor) -> Tensor:
        dtype = wide(activations)
        weights = next(gradients).mean((-2, -1), dtype=dtype)
        drawn = torch.einsum("nkyx,nk->nyx", activations.to(dtype), weights)
        return unlike(drawn, maps)

    return over_layers(term, seen)
