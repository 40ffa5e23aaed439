"""Shapley values of an image's parts: exact where every coalition fits into the samples, else KernelSHAP."""

import torch
from torch import Tensor

from xfer.explainers.catalogue import EXPLAINERS
from xfer.explainers.designs import every_coalition
from xfer.explainers.perturbation import FAMILY, Scene
from xfer.explainers.surrogates import shapley, shapley_regression

__all__ = ["shapley_coefficients"]


def shapley_coefficients(scene: Scene) -> Tensor:
    """Shapley values (face, player, target), float64: they add up to what all players make of the baseline.

    A face with so few players that all their coalitions are no more than the samples gets the exact values.
    """
    counts, most = scene.players.counts, scene.settings.samples
    if all(2**count <= most for count in counts):
        return _exact(scene)
    bank = scene.bank("kernel")
    first = bank.samples * bank.designs.index("kernel")
    found = shapley_regression(
        bank.rows,
        bank.values,
        bank.weights("kernel"),
        bank.values[:, first],
        bank.values[:, first + 1],
        torch.tensor(counts, device=bank.rows.device),
    )
    few = [face for face, count in enumerate(counts) if 2**count <= most]
    if few:
        found[few] = _exact(scene)[few]
    return found


def _exact(scene: Scene) -> Tensor:
    counts = scene.players.counts
    rows, used = [], []
    for count in counts:
        all_of_them = every_coalition(count) if 2**count <= scene.settings.samples else every_coalition(0)
        rows.append(torch.nn.functional.pad(all_of_them, (0, scene.players.most - all_of_them.shape[1])))
        used.append(len(all_of_them))
    bank = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(scene.look.images.device)
    values = scene.coalitions(bank, used)
    found = values.new_zeros(len(counts), scene.players.most, values.shape[2])
    for face, (count, number) in enumerate(zip(counts, used, strict=True)):
        if number == 2**count:
            found[face, :count] = shapley(values[face, :number].mT).mT
    return found


@EXPLAINERS.register(
    "kernel_shap",
    family=FAMILY,
    formula="phi of argmin sum_i (f(z_i) - f(0) - z_i phi)^2, sum phi = f(1) - f(0), z_i by the Shapley kernel",
    signed=True,
    reference="Lundberg and Lee 2017, doi:10.48550/arXiv.1705.07874",
)
def kernel_shap(scene: Scene) -> Tensor:
    """Each segment's Shapley value (face, target, y, x)."""
    return scene.players.paint(shapley_coefficients(scene))
