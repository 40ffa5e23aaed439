"""Batches of faces: in what order, changed how, and what a loss makes of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from xfer.training.augmentation import augment
from xfer.training.pixels import Pixels
from xfer.training.ranks import ALONE, Place
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
    progress : float
        The share of the training's batches that came before, in [0, 1).
    place : Place
        Whose part of a batch it is, where several processes train together.
    share : float
        What a mean over these faces is multiplied by so that the mean over the processes is that over the faces of all
        of them, a face counting by its class weight: 1 in one process. 0 where a part is empty and a face of another
        one stands in, as every process has to take every step.
    """

    images: Tensor
    labels: Tensor
    landmarks: Tensor
    index: Tensor
    class_weights: Tensor
    label_smoothing: float
    progress: float = 0.0
    place: Place = ALONE
    share: float = 1.0

    @property
    def faces(self) -> int:
        """How many are of this part."""
        return len(self.labels) if self.share else 0

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        names = ("images", "labels", "landmarks", "index", "class_weights")
        moved: dict[str, Any] = {name: getattr(self, name).to(device) for name in names}
        return replace(self, **moved)


Loss: TypeAlias = Callable[[nn.Module, Batch], Tensor]
"""Of a batch, to be minimised. Where several processes train together, that is the mean of what it gives in each; see
`Batch.share`, which `classification` has in it."""


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """The plain loss: one forward, then `classification`."""
    return classification(model(batch.images), batch)


def classification(logits: Tensor, batch: Batch) -> Tensor:
    """Cross entropy in nats of logits (face, class), with the batch's class weights, label smoothing and share."""
    weights = batch.class_weights.to(logits.dtype)
    loss = functional.cross_entropy(logits, batch.labels, weights, label_smoothing=batch.label_smoothing)
    return loss * batch.share


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
    trained again after a kill, and several processes, each with its part of every batch, train as one does.

    Parameters
    ----------
    pixels : Pixels
    indices : array (face,)
        Positions in the data set; no other face is ever read.
    settings : Settings
    batch : int
        Faces in a batch, of all processes together.
    epoch : callable, optional
        Tells the epoch, from 0; None for validation: in order, unchanged, unweighted.
    place : Place
        Whose part of the batches.
    """

    def __init__(
        self,
        pixels: Pixels,
        indices: NDArray[np.intp],
        settings: Settings,
        batch: int,
        epoch: Callable[[], int] | None = None,
        place: Place = ALONE,
    ) -> None:
        self._pixels, self._settings, self._batch, self._epoch = pixels, settings, batch, epoch
        self._place = place
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
        order, epoch = np.arange(len(self._indices)), 0
        generator = None
        if self._epoch is not None:
            epoch = self._epoch()
            generator = torch.Generator().manual_seed(self._settings.seed * 1_000_003 + epoch)
            order = torch.randperm(len(order), generator=generator).numpy()
        for number in range(len(self)):
            start = number * self._batch
            done = (epoch + number / len(self)) / self._settings.epochs
            yield self._make(order[start : start + self._batch], done, generator)

    def _make(self, whole: NDArray[np.intp], done: float, generator: torch.Generator | None) -> Batch:
        places = self._place.part(len(whole))
        counts = self._weights.double()[self._labels[whole]]
        share = self._place.ranks.processes * float(counts[places].sum() / counts.sum())
        if not len(places):
            places = np.zeros(1, np.intp)
        chosen = whole[places]
        indices = self._indices[chosen]
        images = self._pixels.images(indices).float() / 255
        landmarks = torch.from_numpy(self._pixels.landmarks[self._pixels.rows(indices)])
        if generator is not None and self._settings.augmented:
            images, landmarks = augment(images, landmarks, self._settings, generator, places=places, among=len(whole))
        return Batch(
            images=_normalised(images, self._settings),
            labels=torch.from_numpy(self._labels[chosen]),
            landmarks=landmarks,
            index=torch.from_numpy(indices),
            class_weights=self._weights,
            label_smoothing=self._smoothing,
            progress=done,
            place=self._place,
            share=share,
        )


def balanced(labels: NDArray[np.int64], classes: int) -> Tensor:
    """Class weights (faces / classes / faces of the class); every class must occur.

    >>> balanced(np.array([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    counts = np.bincount(labels, minlength=classes)
    return torch.from_numpy(len(labels) / classes / counts).float()
