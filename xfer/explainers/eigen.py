"""Maps from principal components of a layer's cells."""

import torch
from torch import Tensor

from xfer.explainers.catalogue import EXPLAINERS
from xfer.explainers.principal import centred, first_component, principal
from xfer.explainers.tap import Tap

__all__: list[str] = []

MOST_CELLS = 1024
"""The most cells whose pairs kernel PCA takes."""


@EXPLAINERS.register(
    "eigen_cam",
    family="layer",
    formula="sum_k v_k (A_k - mean_yx(A_k)), v the first principal direction of the cells, rising with sum_k A_k",
    signed=True,
    reference="Muhammad and Yeasin 2020, doi:10.1109/IJCNN48605.2020.9206626",
    needs=(),
)
def eigen_cam(tap: Tap) -> Tensor:
    """The first principal component of the activations (face, 1, y, x), the same for every class."""
    return principal(tap.activations)


@EXPLAINERS.register(
    "eigen_grad_cam",
    family="layer",
    formula="sum_k v_k (P_k - mean_yx(P_k)), P = G A, v the first principal direction of its cells, rising with "
    "sum_k P_k",
    signed=True,
    reference="Gildenblat et al., the library grad-cam (EigenGradCAM), https://github.com/jacobgil/pytorch-grad-cam",
)
def eigen_grad_cam(tap: Tap) -> Tensor:
    """The first principal component of gradient times activation (face, target, y, x)."""
    return principal(tap.product)


def _too_many_cells(tap: Tap) -> str:
    rows, columns = tap.activations.shape[-2:]
    if rows * columns <= MOST_CELLS:
        return ""
    return f"kernel PCA compares all pairs of at most {MOST_CELLS:,} cells; the layer has {rows} x {columns}"


@EXPLAINERS.register(
    "kpca_cam",
    family="layer",
    formula="the first kernel principal component of the cells less their mean, kernel tanh(<a, b> / channels + 1), "
    "rising with sum_k A_k",
    signed=True,
    reference="Karmani et al. 2024, doi:10.48550/arXiv.2410.00267",
    needs=(),
    misfit=_too_many_cells,
)
def kpca_cam(tap: Tap) -> Tensor:
    """The first component of the activations with a sigmoid kernel (face, 1, y, x), the same for every class."""
    cells = centred(tap.activations)
    kernel = torch.tanh(cells @ cells.mT / cells.shape[-1] + 1)
    return first_component(kernel, cells).unflatten(-1, tap.activations.shape[-2:]).to(tap.activations.dtype)
