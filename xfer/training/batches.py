"""Batches of faces: in what order, changed how, and what a loss makes of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from xfer import geometry
from xfer.training.pixels import Pixels
from xfer.training.settings import Settings


@dataclass(frozen=True)
class Batch:
    """Some faces as a network and a loss see them.

    Attributes
    ----------
    images : Tensor (face, 3, size, size)
        float32, normalised as the settings say.
    labels : Tensor (face,)
        Positions in the classes.
    landmarks : Tensor (face, 68, 2)
        (x, y) in px of `images`, moved with them; NaN where unknown.
    index : Tensor (face,)
        Positions in the data set.
    class_weights : Tensor (class,)
    label_smoothing : float
        Both 1 and 0 in validation.
    """

    images: Tensor
    labels: Tensor
    landmarks: Tensor
    index: Tensor
    class_weights: Tensor
    label_smoothing: float

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        names = ("images", "labels", "landmarks", "index", "class_weights")
        moved: dict[str, Any] = {name: getattr(self, name).to(device) for name in names}
        return replace(self, **moved)


Loss: TypeAlias = Callable[[nn.Module, Batch], Tensor]


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """The plain loss: one forward, then `classification`."""
    return classification(model(batch.images), batch)


def classification(logits: Tensor, batch: Batch) -> Tensor:
    """Cross entropy in nats of logits (face, class), with the batch's class weights and label smoothing."""
    weights = batch.class_weights.to(logits.dtype)
    return functional.cross_entropy(logits, batch.labels, weights, label_smoothing=batch.label_smoothing)


def inputs(pixels: Pixels, indices: ArrayLike, settings: Settings) -> Tensor:
    """Faces as a network takes them: float32 (face, 3, size, size)."""
    return _normalised(pixels.images(indices).float() / 255, settings)


def _normalised(images: Tensor, settings: Settings) -> Tensor:
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (settings.mean, settings.std))
    images = (images - mean) / std
    return images.contiguous(memory_format=torch.channels_last) if settings.channels_last else images


class Batches:
    """The batches of one epoch after another, or of validation.

    The order of the faces and every change to them follow from the seed and the epoch alone, so that an epoch can be
    trained again after a kill.

    Parameters
    ----------
    pixels : Pixels
    indices : array (face,)
        Positions in the data set; no other face is ever read.
    settings : Settings
    batch : int
        Faces in a batch.
    epoch : callable, optional
        Tells the epoch, from 0; None for validation: in order, unchanged, unweighted.
    """

    def __init__(
        self,
        pixels: Pixels,
        indices: NDArray[np.intp],
        settings: Settings,
        batch: int,
        epoch: Callable[[], int] | None = None,
    ) -> None:
        self._pixels, self._settings, self._batch, self._epoch = pixels, settings, batch, epoch
        self._indices = indices
        self._labels = pixels.labels[pixels.rows(indices)]
        weighted = settings.class_weights and epoch is not None
        self._weights = balanced(self._labels, len(pixels.classes)) if weighted else torch.ones(len(pixels.classes))
        self._smoothing = 0.0 if epoch is None else settings.label_smoothing

    def __len__(self) -> int:
        """Batches in an epoch; a last one of a single face is left out, BatchNorm cannot train on it."""
        full, rest = divmod(len(self._indices), self._batch)
        return full + (rest > (0 if self._epoch is None else 1))

    def __iter__(self) -> Iterator[Batch]:
        order = np.arange(len(self._indices))
        generator = None
        if self._epoch is not None:
            generator = torch.Generator().manual_seed(self._settings.seed * 1_000_003 + self._epoch())
            order = torch.randperm(len(order), generator=generator).numpy()
        for start in range(0, len(self) * self._batch, self._batch):
            yield self._make(order[start : start + self._batch], generator)

    def _make(self, chosen: NDArray[np.intp], generator: torch.Generator | None) -> Batch:
        indices = self._indices[chosen]
        images = self._pixels.images(indices).float() / 255
        landmarks = torch.from_numpy(self._pixels.landmarks[self._pixels.rows(indices)])
        if generator is not None and self._settings.augmented:
            images, landmarks = augment(images, landmarks, self._settings, generator)
        return Batch(
            images=_normalised(images, self._settings),
            labels=torch.from_numpy(self._labels[chosen]),
            landmarks=landmarks,
            index=torch.from_numpy(indices),
            class_weights=self._weights,
            label_smoothing=self._smoothing,
        )


def balanced(labels: NDArray[np.int64], classes: int) -> Tensor:
    """Class weights (faces / classes / faces of the class); every class must occur.

    >>> balanced(np.array([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    counts = np.bincount(labels, minlength=classes)
    return torch.from_numpy(len(labels) / classes / counts).float()


def augment(images: Tensor, landmarks: Tensor, settings: Settings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror, turn, move faces and change their contrast at random; the landmarks go with them.

    Parameters
    ----------
    images : Tensor (face, 3, size, size)
        In [0, 1]. Pixels from beyond the border repeat it.
    landmarks : Tensor (face, 68, 2)
        (x, y), px; points keep their iBUG names in a mirrored face.
    settings : Settings
    generator : torch.Generator
        The same numbers are drawn whatever the settings.

    Returns
    -------
    images, landmarks : Tensor
    """
    n, size = len(images), images.shape[-1]
    mirrored = (torch.rand(n, generator=generator) < 0.5) & settings.flip
    angle = torch.deg2rad(_between(n, settings.rotation, generator))
    shift = torch.stack([_between(n, settings.shift, generator) for _ in "xy"], dim=1)
    contrast = 1 + _between(n, settings.contrast, generator)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).reshape(n, 2, 2)
    turn = turn * torch.where(mirrored, -1.0, 1.0)[:, None, None] ** torch.tensor([[1.0, 0.0]])
    if settings.flip and not (settings.rotation or settings.shift):
        moved = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    else:
        back = turn.mT
        theta = torch.cat([back, -back @ (2 * shift[..., None])], dim=2)
        grid = functional.affine_grid(theta, list(images.shape), False)
        moved = functional.grid_sample(images, grid, "bilinear", "border", False)
    if settings.contrast:
        grey = moved.mean(dim=(1, 2, 3), keepdim=True)
        moved = (grey + contrast[:, None, None, None] * (moved - grey)).clamp(0, 1)
    named = torch.where(mirrored[:, None, None], landmarks[:, geometry.mirror(68).tolist()], landmarks)
    centre = (size - 1) / 2
    return moved, (named - centre) @ turn.mT + centre + shift[:, None] * size


def _between(n: int, largest: float, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(n, generator=generator) - 1) * largest
