"""The images' own gradient against the AU map, from fine to coarse."""

import torch
from torch import Tensor
from torch.nn import functional

from xfer.guidance.losses import LOSSES, Seen, gradients, sound, wide

LEVELS = 5
"""Of the pyramid, each half the side of the one before."""

FLOOR = 1e-5
"""Added to a standard deviation."""


@LOSSES.register(
    "harmonize",
    title="the true logit's gradient at the pixels is high where the map is",
    reference="Fel et al. 2022, doi:10.48550/arXiv.2211.04533",
    twice=True,
    of_images=True,
)
def harmonize(seen: Seen) -> Tensor:
    """Mean squared difference of gradient and map over a pyramid of five levels (face,).

    Both are standardised and their negative parts cut off; the map is then given the gradient's maximum. Unlike in the
    authors' code a gradient's scale does not matter, however small it is. NaN where the gradient is 0 everywhere.
    """
    (gradient,) = gradients(seen.logits, seen.labels, [seen.images])
    saliency = gradient.to(wide(gradient)).mean(1, keepdim=True)
    largest = saliency.detach().abs().amax((1, 2, 3), keepdim=True)
    saliency = standardised(saliency / torch.where(largest > 0, largest, 1.0))
    maps = standardised(seen.draw(*seen.images.shape[-2:])[:, None].to(saliency.dtype))
    top = maps.amax((1, 2, 3), keepdim=True)
    maps = maps * saliency.detach().amax((1, 2, 3), keepdim=True) / torch.where(top > 0, top, 1.0)
    return sound(largest[:, 0, 0, 0], difference(saliency, maps))


def standardised(maps: Tensor) -> Tensor:
    """Maps (face, 1, y, x) with mean 0 and variance 1, negative parts cut off."""
    variance, mean = torch.var_mean(maps, (1, 2, 3), correction=0, keepdim=True)
    return functional.relu((maps - mean) / ((variance + FLOOR**2).sqrt() + FLOOR))


def difference(ones: Tensor, others: Tensor) -> Tensor:
    """The mean over the levels of the mean squared difference of maps (face, 1, y, x): (face,)."""
    gap, found = ones - others, []
    kernel = gap.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    for level in range(LEVELS):
        if level:
            gap = functional.conv2d(gap, torch.outer(kernel, kernel)[None, None], stride=2, padding=2)
        found.append(gap.square().mean((1, 2, 3)))
    return torch.stack(found).mean(0)
