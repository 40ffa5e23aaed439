"""A network with randomised weights, on some faces of those that the trained one is explained on: a rival of its maps.

What such a network's heatmaps score against a mask they score without having learnt anything: by the architecture, the
layer, the method and the pictures alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from xfer import models
from xfer.datasets import Dataset
from xfer.training import Pixels, Settings, inputs

FACES = 64
"""Faces an expression that a randomised network is explained on, drawn from the test faces: half of those of `quick`.
Single maps of such networks differ more than those of trained ones: the mean of 32 faces correlates with that of 120 by
.4 to .9, of 64 by .65 to .98 (four networks, GradCAM, 48 to 64 px), and noise lowers a rival's score."""
CALIBRATED = 64
"""Training faces that the statistics of normalisation are taken from."""

_BATCH = 16
_NORMALISED = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


def seed_of(seed: int, draw: int) -> int:
    """The seed of a draw of weights, counted from 1: unlike that of any study's starting weights.

    >>> seed_of(0, 1) == seed_of(0, 1) != seed_of(1, 1)
    True
    """
    return int(np.random.SeedSequence([seed, draw, FACES]).generate_state(1)[0])


def faces(dataset: Dataset, test: ArrayLike, usable: NDArray[np.bool_], seed: int) -> NDArray[np.intp]:
    """Of some faces at most `FACES` an expression, those for every network.

    Parameters
    ----------
    dataset : Dataset
    test : sequence of int
        Positions in the data set.
    usable : bool array (face of the data set,)
        Faces with landmarks.
    seed : int

    Returns
    -------
    int array (face,)
        Places in `test`, ascending.
    """
    positions = np.asarray(test, np.intp)
    shown = np.array([expression or "" for expression in dataset.take(positions).column("expression")])
    chosen: list[int] = []
    for number, expression in enumerate(dataset.expressions):
        pool = np.flatnonzero((shown == expression) & usable[positions])
        chosen += np.random.default_rng([seed, number]).permutation(pool)[:FACES].tolist()
    return np.sort(np.array(chosen, np.intp))


def network(
    name: str,
    pixels: Pixels,
    train: ArrayLike,
    settings: Settings,
    seed: int,
    device: str,
    output_stride: int = 0,
) -> nn.Module:
    """A network as `models.build` draws it, with every branch at work and its normalisation fitted to faces.

    In evaluation mode a fresh network does not normalise: the statistics it holds are those of no picture, and what
    comes out of a deep one is next to nothing, or infinite. They are taken from `CALIBRATED` training faces, as
    training would take them. Residual branches that start at zero, to learn faster, are drawn too: else a residual
    network would be its first layers only.

    Parameters
    ----------
    name : str
    pixels : Pixels
    train : sequence of int
        Positions of the fold's training faces.
    settings : Settings
        Those the network of this name is trained with: the faces' size and scale, threads.
    seed : int
        Of the weights.
    device : str
    output_stride : int
        As `models.build` takes it.

    Returns
    -------
    nn.Module
        On the CPU.

    References
    ----------
    Adebayo et al. 2018, doi:10.48550/arXiv.1810.03292 (all layers at once)
    """
    model = models.build(name, len(pixels.classes), size=settings.size, seed=seed, output_stride=output_stride)
    _wake(model, seed)
    known = pixels.labelled(train)
    some = np.sort(np.random.default_rng(seed).permutation(known)[:CALIBRATED])
    batches = [some[i : i + _BATCH] for i in range(0, len(some), _BATCH)]
    with _measuring(model, settings.threads, device), torch.no_grad():
        for batch in batches:
            if len(batch) > 1:
                model(inputs(pixels, batch, settings).to(device))
    return model


def _wake(model: nn.Module, seed: int) -> None:
    """Give scales of normalisation that are 0 throughout 1, and such convolutions random weights."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, torch.Tensor) or weight.any():
            continue
        if isinstance(module, _NORMALISED):
            nn.init.ones_(weight)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


@contextmanager
def _measuring(model: nn.Module, threads: int, device: str) -> Iterator[None]:
    """Batch normalisation takes the plain mean of the batches' statistics, all else is in evaluation mode."""
    before, norms = torch.get_num_threads(), []
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
            norms.append((module, module.momentum))
            module.reset_running_stats()
            module.train()
            module.momentum = None
    try:
        torch.set_num_threads(threads or before)
        model.to(device)
        yield
    finally:
        model.cpu().eval()
        for module, momentum in norms:
            module.momentum = momentum
        torch.set_num_threads(before)
