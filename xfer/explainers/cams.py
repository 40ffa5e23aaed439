"""Class activation maps: raw, before the last ReLU and any scaling to [0, 1].

Every method reads a `Tap`. Sums over cells and channels keep their sign wherever the definition allows it; what
comes after (ReLU, scaling) is the analyst's choice and cannot be undone once faces are averaged.
"""

import torch
from torch import Tensor

from xfer.explainers.catalogue import CURVATURE, EXPLAINERS, GRADIENTS, RIVALS
from xfer.explainers.tap import Tap

__all__: list[str] = []

PLUS_PLUS_FLOOR = 1e-6
"""What the library grad-cam adds to the denominator of Grad-CAM++; it damps gradients below about 1e-3."""

X_GRAD_FLOOR = 1e-7
"""What the library grad-cam adds to a channel's sum in XGrad-CAM."""


@EXPLAINERS.register(
    "grad_cam",
    family="layer",
    formula="sum_k mean_yx(G_k) A_k",
    signed=True,
    reference="Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74",
)
def grad_cam(tap: Tap) -> Tensor:
    """Channels weighted by their mean gradient (face, target, y, x)."""
    return tap.weighted(tap.gradient_means)


@EXPLAINERS.register(
    "grad_cam_plus_plus",
    family="layer",
    formula="sum_k w_k A_k, w_k = sum_yx relu(G_k) G_k^2 / (2 G_k^2 + sum_yx(A_k) G_k^3 + 1e-6)",
    signed=True,
    reference="Chattopadhay et al. 2018, doi:10.1109/WACV.2018.00097",
)
def grad_cam_plus_plus(tap: Tap) -> Tensor:
    """Channels weighted by their positive gradients, each cell by how alone it stands (face, target, y, x)."""
    positive = tap.gradients.clamp_min(0)
    square = positive.square()
    scaled = torch.addcmul(square.new_tensor(2.0), positive, tap.activation_sums[..., None, None])
    weights = (positive * square).div_(scaled.mul_(square).add_(PLUS_PLUS_FLOOR))
    return tap.weighted(weights.sum((-2, -1)))


@EXPLAINERS.register(
    "hires_cam",
    family="layer",
    formula="sum_k G_k A_k",
    signed=True,
    reference="Draelos and Carin 2020, doi:10.48550/arXiv.2011.08891",
)
def hires_cam(tap: Tap) -> Tensor:
    """Gradient times activation, summed over channels (face, target, y, x)."""
    return tap.summed(tap.product)


@EXPLAINERS.register(
    "xgrad_cam",
    family="layer",
    formula="sum_k w_k A_k, w_k = sum_yx(G_k A_k) / (sum_yx(A_k) + 1e-7)",
    signed=True,
    reference="Fu et al. 2020, doi:10.48550/arXiv.2008.02312",
)
def xgrad_cam(tap: Tap) -> Tensor:
    """Channels weighted by their gradient, averaged with the activations as weights (face, target, y, x)."""
    return tap.weighted(tap.product.sum((-2, -1)) / (tap.activation_sums + X_GRAD_FLOOR))


@EXPLAINERS.register(
    "layer_cam",
    family="layer",
    formula="sum_k relu(G_k) A_k",
    signed=True,
    reference="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
)
def layer_cam(tap: Tap) -> Tensor:
    """Activations weighted cell by cell by the positive gradients (face, target, y, x).

    Never negative behind a ReLU; behind a layer with negative outputs it keeps their sign.
    """
    return tap.summed(tap.gradients.clamp_min(0) * tap.activations)


@EXPLAINERS.register(
    "element_wise_grad_cam",
    family="layer",
    formula="sum_k relu(G_k A_k)",
    signed=False,
    reference="Gildenblat et al., the library grad-cam (GradCAMElementWise), https://github.com/jacobgil/pytorch-grad-cam",
)
def element_wise_grad_cam(tap: Tap) -> Tensor:
    """The positive part of gradient times activation, summed over channels (face, target, y, x)."""
    return tap.summed(tap.product.clamp_min(0))


def _single_class(tap: Tap) -> str:
    return "" if tap.classes > 1 else "the network has one class, and none to compare it with"


@EXPLAINERS.register(
    "finer_cam",
    family="layer",
    formula="sum_k mean_yx(G_k - G'_k) A_k, G' of the class with the nearest logit",
    signed=True,
    reference="Zhang et al. 2025, doi:10.48550/arXiv.2501.11309",
    needs=(GRADIENTS, RIVALS),
    misfit=_single_class,
)
def finer_cam(tap: Tap) -> Tensor:
    """What tells a class from the one most like it (face, target, y, x): the difference of their maps by Grad-CAM."""
    return tap.weighted(tap.gradient_means - tap.rival_means)


def _not_twice(tap: Tap) -> str:
    try:
        tap.curvature  # noqa: B018
    except RuntimeError as error:
        if "not implemented" not in str(error) and "not have been used" not in str(error):
            raise
        return f"the network cannot be differentiated twice: {str(error).partition('. ')[0]}"
    return ""


@EXPLAINERS.register(
    "shapley_cam",
    family="layer",
    formula="sum_k mean_yx(G_k - (H A)_k / 2) A_k, H the Hessian of the class's logit",
    signed=True,
    reference="Cai 2025, doi:10.48550/arXiv.2501.06261",
    needs=(GRADIENTS, CURVATURE),
    misfit=_not_twice,
)
def shapley_cam(tap: Tap) -> Tensor:
    """Grad-CAM with a second-order term (face, target, y, x); where the logits are linear in the layer, Grad-CAM."""
    return tap.weighted((tap.gradients - tap.curvature / 2).mean((-2, -1)))


@EXPLAINERS.register(
    "layer_attention",
    family="layer",
    formula="mean_k A_k",
    signed=True,
    reference="Belharbi et al. 2024, doi:10.48550/arXiv.2402.00281",
    needs=(),
)
def layer_attention(tap: Tap) -> Tensor:
    """The mean over channels (face, 1, y, x), the same for every class."""
    return tap.activations.mean(2)
