"""Gradients averaged over a path or over noisy copies of the image."""

import numpy as np
import torch
from torch import Tensor

from xfer.explainers.catalogue import EXPLAINERS
from xfer.explainers.designs import generator
from xfer.explainers.input_gradients import GRADIENT, InputPass

__all__ = ["path"]

COPIES = 201
"""The purpose in the seed of the noise of copies."""


def path(points: int) -> tuple[Tensor, Tensor]:
    """Positions and weights (point,) of Gauss and Legendre's rule on [0, 1], in float64.

    >>> positions, weights = path(3)
    >>> round(float((weights * positions**5).sum() * 6), 12)
    1.0
    """
    positions, weights = np.polynomial.legendre.leggauss(points)
    return torch.from_numpy((positions + 1) / 2), torch.from_numpy(weights / 2)


@EXPLAINERS.register(
    "integrated_gradients",
    family=GRADIENT,
    formula="sum_c (x_c - b_c) int_0^1 dy/dx_c(b + t (x - b)) dt",
    signed=True,
    reference="Sundararajan et al. 2017, doi:10.48550/arXiv.1703.01365",
)
def integrated_gradients(shared: InputPass) -> Tensor:
    """Gradients along the straight line from the baseline, times the way (face, target, y, x).

    They add up to the logit's difference between image and baseline.
    """
    positions, weights = path(shared.settings.steps)
    way = shared.images - shared.baseline

    def points(some: range) -> tuple[Tensor, None]:
        return shared.baseline + positions[some.start : some.stop].to(way)[:, None, None, None, None] * way, None

    return (shared.mean_gradients(len(positions), points, weights) * way[:, None]).sum(2)


@EXPLAINERS.register(
    "smooth_grad",
    family=GRADIENT,
    formula="sum_c mean_n dy/dx_c(x + noise_n)",
    signed=True,
    reference="Smilkov et al. 2017, doi:10.48550/arXiv.1706.03825",
)
def smooth_grad(shared: InputPass) -> Tensor:
    """The gradient averaged over noisy copies, summed over colours (face, target, y, x)."""
    copies = shared.settings.samples
    return shared.mean_gradients(copies, lambda some: (_noisy(shared, some), None), _even(copies)).sum(2)


@EXPLAINERS.register(
    "gradient_shap",
    family=GRADIENT,
    formula="sum_c mean_n (x_c + noise_n - b_c) dy/dx_c(b + u_n (x + noise_n - b)), u_n uniform in [0, 1]",
    signed=True,
    reference="Lundberg and Lee 2017, doi:10.48550/arXiv.1705.07874; Erion et al. 2021, doi:10.1038/s42256-021-00343-w",
)
def gradient_shap(shared: InputPass) -> Tensor:
    """Gradients at random points between the baseline and noisy copies, times the way (face, target, y, x)."""
    copies = shared.settings.samples

    def points(some: range) -> tuple[Tensor, Tensor]:
        way = _noisy(shared, some) - shared.baseline
        return shared.baseline + _places(shared, some)[:, :, None, None, None] * way, way

    return shared.mean_gradients(copies, points, _even(copies)).sum(2)


def _even(copies: int) -> Tensor:
    return torch.full((copies,), 1 / copies, dtype=torch.float64)


def _noisy(shared: InputPass, some: range) -> Tensor:
    """The images with noise (copy, face, channel, y, x)."""
    images, start, seed = shared.images, shared.look.start, shared.settings.seed
    size = tuple(images.shape[1:])
    drawn = [
        torch.stack(
            [
                torch.randn(size, dtype=images.dtype, generator=generator(seed, start + face, copy, COPIES))
                for face in range(len(images))
            ]
        )
        for copy in some
    ]
    flat = images.flatten(1)
    spread = shared.settings.noise * (flat.amax(1) - flat.amin(1))
    return images + torch.stack(drawn).to(images.device) * spread[:, None, None, None]


def _places(shared: InputPass, some: range) -> Tensor:
    """Where on the way the copies lie (copy, face), in [0, 1]."""
    seed, start, faces = shared.settings.seed, shared.look.start, len(shared.images)
    drawn = [
        [
            float(torch.rand((), dtype=torch.float64, generator=generator(seed, start + face, copy, COPIES + 1)))
            for face in range(faces)
        ]
        for copy in some
    ]
    return torch.tensor(drawn, dtype=shared.images.dtype, device=shared.images.device)
