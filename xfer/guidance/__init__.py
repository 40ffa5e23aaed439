"""Guided training: a network's attention is pulled to the Action Units of the expression, from the label alone."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from xfer.errors import InputError
from xfer.explainers.state import hooked
from xfer.guidance import layers
from xfer.guidance.controls import CONTROLS
from xfer.guidance.losses import LOSSES, Seen
from xfer.guidance.maps import Maps
from xfer.guidance.settings import Guide
from xfer.models.layers import Layer

__all__ = ["CONTROLS", "LOSSES", "Guidance", "Guide", "Maps"]


class Guidance:
    """What a guide asks of a network's attention, batch by batch.

    Parameters
    ----------
    model : nn.Module
        As `xfer.models.build` made it; read to find the layers, and restored.
    guide : Guide
    classes : sequence of str
        The data's labels, in the order of the logits.
    size : int
        Side of the faces, px.

    Attributes
    ----------
    layers : tuple of Layer
        None where the loss reads the images' gradient, or the control is ``none``.

    Raises
    ------
    InputError
        As `xfer.guidance.layers.find` and `Maps`.
    """

    def __init__(self, model: nn.Module, guide: Guide, classes: Sequence[str], size: int) -> None:
        self.guide, self.size = guide, size
        self._loss, self._maps, self.layers = LOSSES[guide.loss], None, ()
        if guide.control == "none":
            return
        self._maps = Maps(guide, classes)
        if not self._loss.of_images:
            self.layers = layers.find(model, guide.layers, size, guide.output_stride)

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        """One forward of a batch.

        Parameters
        ----------
        model : nn.Module
            On the images' device, in either mode, as it is.
        images : Tensor (face, 3, size, size)
        labels : Tensor (face,)
        landmarks : Tensor (face, 68, 2)
            (x, y) in px of the images; NaN where unknown.

        Returns
        -------
        logits : Tensor (face, class)
        terms : Tensor (face,)
            At least float32; NaN for a face that takes no part.

        Raises
        ------
        InputError
            If the images have another size, or the landmarks lie outside them.
        """
        if self._maps is None:
            logits = model(images)
            return logits, logits.new_full((len(logits),), torch.nan, dtype=torch.float32)
        if images.shape[-2:] != (self.size, self.size):
            side = " x ".join(map(str, images.shape[-2:]))
            raise InputError(f"the guide is made for images of {self.size} px; got {side}")
        with self._differentiable():
            return self._seen(model, images, labels, landmarks)

    def _seen(self, model: nn.Module, images: Tensor, labels: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        outputs: dict[str, Tensor] = {}
        watched = [(model.get_submodule(each.name), partial(_keep, outputs, each)) for each in self.layers]
        if self._loss.of_images:
            images = images.detach().clone().requires_grad_()
        with hooked(watched):
            logits = model(images)
        part = torch.ones(len(images), dtype=torch.bool, device=images.device)

        def draw(height: int, width: int) -> Tensor:
            maps = self._maps.maps(landmarks, labels, self.size, height, width)
            there = maps.isfinite().all(2).all(1)
            part.logical_and_(there)
            return torch.where(there[:, None, None], maps, 1.0)

        activations = tuple(outputs[each.name] for each in self.layers)
        with torch.autocast(images.device.type, enabled=False):
            terms = self._loss.function(Seen(model, images, labels, logits, activations, draw))
        return logits, torch.where(part, terms, torch.nan)

    @contextmanager
    def _differentiable(self) -> Iterator[None]:
        """Where the loss differentiates the logits, they are differentiable, and twice."""
        with ExitStack() as stack:
            if self._loss.twice:
                stack.enter_context(torch.inference_mode(False))
                stack.enter_context(torch.enable_grad())
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            yield


def _keep(outputs: dict[str, Tensor], layer: Layer, module: nn.Module, inputs: Any, output: Tensor) -> None:
    outputs[layer.name] = layer.maps(output)
