"""LIME, with the published recipe as the default."""

import torch
from torch import Tensor

from xfer.explainers.catalogue import EXPLAINERS
from xfer.explainers.perturbation import FAMILY, Scene
from xfer.explainers.surrogates import cosine_kernel, ridge

__all__ = ["lime_coefficients"]


def lime_coefficients(scene: Scene) -> Tensor:
    """LIME's coefficients (face, player, target), float64."""
    bank, made = scene.bank("coin"), scene.settings
    players = torch.tensor(bank.players, device=bank.rows.device)[:, None]
    kernel = cosine_kernel(bank.rows.sum(2), players, made.kernel_width)
    return ridge(bank.rows, bank.values, kernel * bank.weights("coin"), made.alpha)[0]


@EXPLAINERS.register(
    "lime",
    family=FAMILY,
    formula="c of argmin sum_i k_i (f(z_i) - b - z_i c)^2 + |c|^2, z_i fair coins, k_i = exp(-cosine_i^2 / (2 .25^2))",
    signed=True,
    reference="Ribeiro et al. 2016, doi:10.1145/2939672.2939778; recipe of Gaya-Morey et al. 2024, "
    "doi:10.1007/s11042-024-20090-5",
)
def lime(scene: Scene) -> Tensor:
    """Each segment's coefficient in a weighted ridge regression (face, target, y, x)."""
    return scene.players.paint(lime_coefficients(scene))
