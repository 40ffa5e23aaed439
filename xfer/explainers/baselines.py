"""What stands where a face is hidden: black, a blurred copy, noise, a colour, or an image such as the mean face."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from xfer.errors import InputError, unknown
from xfer.explainers.designs import generator

__all__ = ["BASELINES", "baseline_images", "check_baseline", "check_scale"]

BASELINES = ("black", "blur", "noise")
"""Baselines by name; a colour or an image may be given instead."""

BLUR = 10 / 224
"""The blur's standard deviation as a share of the shorter side (Fong and Vedaldi 2017, doi:10.1109/ICCV.2017.371)."""

NOISE = 101
"""The purpose in the noise's seed."""


def check_baseline(baseline: Any) -> None:
    """Refuse what is no baseline, before any work.

    Raises
    ------
    InputError
    """
    if isinstance(baseline, str):
        if baseline not in BASELINES:
            raise unknown("baseline", baseline, BASELINES)
        return
    shape = np.shape(baseline)
    if len(shape) not in (1, 3, 4) or 0 in shape:
        raise InputError(
            f"'baseline' must be one of {', '.join(BASELINES)}, a colour (channel,) in [0, 1] or an image "
            f"(channel, y, x) as the network gets it; got an array of shape {shape}"
        )
    if not torch.as_tensor(baseline).isfinite().all():
        raise InputError("'baseline' has values that are not finite")


def check_scale(mean: Any, std: Any, channels: int = 0) -> None:
    """Refuse what no preprocessing subtracts and divides by; of so many channels, where that is known.

    Raises
    ------
    InputError
    """
    for each in (mean, std):
        if np.ndim(each) > 1 or np.size(each) not in (1, channels or np.size(each)):
            raise InputError(f"'mean' and 'std' must be one number, or one a channel; got {each!r}")
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and np.min(std) > 0):
        raise InputError(f"'mean' and 'std' must be finite and 'std' above 0; got {mean!r} and {std!r}")


def baseline_images(
    baseline: Any,
    images: Tensor,
    *,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    seed: int = 0,
    start: int = 0,
) -> Tensor:
    """What is put in place of hidden pixels, one image a face.

    Parameters
    ----------
    baseline : str, sequence of float or array
        ``"black"``; ``"blur"``; ``"noise"``, uniform in [0, 1]; a colour (channel,) in [0, 1]; or an image
        (channel, y, x), or one a face, as the network gets it.
    images : tensor (face, channel, y, x)
        As the network gets them.
    mean, std : float or sequence of float
        What preprocessing subtracted and divided by, in [0, 1].
    seed, start : int
        For the noise: face i is drawn with the seed and ``start + i``, whatever batch it comes in.

    Returns
    -------
    tensor (face, channel, y, x)
        Expanded where all faces share it.

    Raises
    ------
    InputError
        If it does not fit the images.

    Examples
    --------
    >>> baseline_images((1.0, 0.5, 0.0), torch.zeros(2, 3, 4, 4), mean=0.5, std=0.5)[1, :, 0, 0].tolist()
    [1.0, 0.0, -1.0]
    """
    channels, size = images.shape[1], images.shape[-2:]
    middle, spread = (torch.as_tensor(each, dtype=torch.float64).reshape(-1, 1, 1) for each in (mean, std))
    if isinstance(baseline, str) and baseline == "blur":
        sigma = BLUR * min(size)
        return gaussian_blur(images, [2 * min(int(3 * sigma) + 1, (min(size) - 1) // 2) + 1] * 2, [sigma] * 2)
    if isinstance(baseline, str) and baseline == "noise":
        drawn = [
            torch.rand(channels, *size, dtype=torch.float64, generator=generator(seed, start + face, NOISE))
            for face in range(len(images))
        ]
        return ((torch.stack(drawn) - middle) / spread).to(images)
    if isinstance(baseline, str) or np.ndim(baseline) == 1:
        colour = torch.as_tensor(0.0 if isinstance(baseline, str) else baseline, dtype=torch.float64)
        return _fitting(((colour.reshape(-1, 1, 1) - middle) / spread).to(images), images)
    given = torch.as_tensor(baseline)
    return _fitting((given[start : start + len(images)] if given.ndim == 4 else given).to(images), images)


def _fitting(given: Tensor, images: Tensor) -> Tensor:
    try:
        return given.expand_as(images)
    except RuntimeError:
        raise InputError(
            f"'baseline' of shape {tuple(given.shape)} does not fit images {tuple(images.shape)}"
        ) from None
