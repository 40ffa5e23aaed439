"""Images on their way into a network: tensors as they are, photographs a batch at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xfer.errors import InputError
from xfer.explainers.baselines import check_scale

__all__ = ["Photographs", "check_images"]


class Photographs:
    """A list of RGB photographs that is read as tensors, one slice at a time.

    Parameters
    ----------
    arrays : sequence of array (y, x, 3)
        uint8, or floats in [0, 1]; all of one size.
    mean, std : float or sequence of 3 floats
        What the network's preprocessing subtracts and divides by, in [0, 1].

    Raises
    ------
    InputError
        If one is no RGB photograph, or of another size than the first; if `mean` or `std` cannot be.

    Examples
    --------
    >>> Photographs([np.full((4, 4, 3), 255, np.uint8)], mean=0.5, std=0.5)[0:1].unique().tolist()
    [1.0]
    """

    def __init__(
        self,
        arrays: Sequence[np.ndarray],
        *,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
    ) -> None:
        for position, array in enumerate(arrays):
            _check_photograph(position, np.asarray(array), np.asarray(arrays[0]).shape)
        check_scale(mean, std, channels=3)
        self._arrays = arrays
        self._mean = torch.tensor(mean).expand(3)[:, None, None]
        self._std = torch.tensor(std).expand(3)[:, None, None]

    @property
    def shape(self) -> tuple[int, ...]:
        """(face, 3, y, x)."""
        return (len(self), 3, *np.asarray(self._arrays[0]).shape[:2]) if len(self) else (0, 3, 0, 0)

    def __len__(self) -> int:
        return len(self._arrays)

    def __getitem__(self, faces: slice) -> Tensor:
        batch = torch.from_numpy(np.stack([np.asarray(array) for array in self._arrays[faces]])).permute(0, 3, 1, 2)
        scaled = batch.float() / 255 if batch.dtype == torch.uint8 else batch.float()
        return (scaled - self._mean) / self._std


def _check_photograph(position: int, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.ndim != 3 or array.shape[2] != 3 or not (array.dtype == np.uint8 or array.dtype.kind == "f"):
        raise InputError(
            f"image {position} must be RGB (y, x, 3), uint8 or floats in [0, 1]; "
            f"got {array.dtype} of shape {array.shape}"
        )
    if array.shape != shape:
        raise InputError(
            f"image {position} is {array.shape[0]} x {array.shape[1]} px, image 0 {shape[0]} x {shape[1]}: "
            "bring them to one size"
        )
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise InputError(f"image {position} has values outside [0, 1]")


def check_images(images: Any) -> None:
    """Refuse what is no stack of images, before anything is computed.

    Raises
    ------
    InputError
    """
    if isinstance(images, Photographs):
        shape = images.shape
    elif isinstance(images, Tensor):
        shape = tuple(images.shape)
        if images.ndim != 4 or not images.is_floating_point():
            raise InputError(
                f"'images' must be a floating tensor (face, channel, y, x); got {images.dtype} of shape {shape}"
            )
        finite = images.isfinite().flatten(1).all(1)
        if not finite.all():
            raise InputError(f"image {int((~finite).nonzero()[0])} has values that are not finite")
    else:
        raise InputError(f"'images' must be a tensor (face, channel, y, x); got {type(images).__name__}")
    if not shape[0]:
        raise InputError("'images' is empty")
