"""Smoothing of the maps that read a layer: over augmented copies of a face, or over channels."""

from collections.abc import Iterable

import torch
from torch import Tensor

from xfer.errors import InputError, unknown

__all__ = ["AUGMENTATION", "COPIES", "EIGEN", "augmented", "averaged", "faces_at_once", "read_smoothing"]

AUGMENTATION, EIGEN = KINDS = ("augmentation", "eigen")
"""The mean over copies of the face, or the first principal component in place of the sum over channels."""

FACTORS = (1.0, 0.9, 1.1)
"""What copies are multiplied by, plain and mirrored; those of the library grad-cam."""

COPIES = 2 * len(FACTORS)
"""Of each face, itself included."""


def read_smoothing(smoothing: str | Iterable[str]) -> frozenset[str]:
    """Kinds by name, several with commas between them.

    Raises
    ------
    InputError
        If there is no such kind.

    Examples
    --------
    >>> sorted(read_smoothing("eigen, augmentation"))
    ['augmentation', 'eigen']
    """
    names = [name.strip() for name in smoothing.split(",")] if isinstance(smoothing, str) else list(smoothing)
    for name in filter(None, names):
        if name not in KINDS:
            raise unknown("smoothing", name, KINDS)
    return frozenset(filter(None, names))


def faces_at_once(smoothing: frozenset[str], batch_size: int) -> int:
    """How many faces go through a network together, so that their copies are at most a batch.

    Raises
    ------
    InputError
        If a batch does not hold the copies of one face.
    """
    if batch_size < 1:
        raise InputError(f"'batch_size' must be at least 1; got {batch_size}")
    if AUGMENTATION not in smoothing:
        return batch_size
    if batch_size < COPIES:
        raise InputError(
            f"'batch_size' must be at least {COPIES} for smoothing over {COPIES} copies of a face; got {batch_size}"
        )
    return batch_size // COPIES


def augmented(images: Tensor) -> Tensor:
    """The copies (face * copy, channel, y, x) of some images, a face's together and itself first."""
    copies = [turned * factor for turned in (images, images.flip(-1)) for factor in FACTORS]
    return torch.stack(copies, 1).flatten(0, 1)


def averaged(maps: Tensor) -> Tensor:
    """The mean (face, target, y, x) over the copies' maps (face * copy, target, y, x), mirrored ones turned back."""
    plain, mirrored = maps.unflatten(0, (-1, 2, len(FACTORS))).unbind(1)
    return (plain + mirrored.flip(-1)).mean(1) / 2
