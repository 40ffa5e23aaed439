"""Guided training: a network's attention is pulled to the Action Units of the expression, from the label alone."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from xfer.errors import InputError
from xfer.explainers.state import hooked
from xfer.guidance import layers
from xfer.guidance.controls import CONTROLS
from xfer.guidance.losses import LOSSES, Seen, gradients
from xfer.guidance.maps import ABSENT, Maps
from xfer.guidance.settings import Guide
from xfer.models.layers import Layer

__all__ = ["ABSENT", "CONTROLS", "LOSSES", "Guidance", "Guide", "Maps"]

_NO_MAP, _SILENT = (1 + list(ABSENT).index(name) for name in ("no_map", "silent"))


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
        Empty where the loss reads the images' gradient, or the control is ``none``.
    absent : Tensor (face,)
        Which reason of `ABSENT` kept each face of the last batch out, from 1; 0 for those that took part.

    Raises
    ------
    InputError
        As `xfer.guidance.layers.find` and `Maps`.
    """

    def __init__(self, model: nn.Module, guide: Guide, classes: Sequence[str], size: int) -> None:
        self.guide, self.size = guide, size
        self._loss = LOSSES[guide.loss]
        self._maps = None if guide.control == "none" else Maps(guide, classes)
        self.layers: tuple[Layer, ...] = ()
        self.absent = torch.zeros(0, dtype=torch.long)
        if self._maps and not self._loss.of_images:
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
        if not self._loss.twice:
            return self._seen(self._maps, model, images, labels, landmarks)
        learning = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            images = images.detach().clone().requires_grad_(self._loss.of_images)
            logits, terms = self._seen(self._maps, model, images, labels.clone(), landmarks)
        return (logits, terms) if learning else (logits.detach(), terms.detach())

    def _seen(
        self, maps: Maps, model: nn.Module, images: Tensor, labels: Tensor, landmarks: Tensor
    ) -> tuple[Tensor, Tensor]:
        outputs: dict[str, Tensor] = {}
        with hooked((model.get_submodule(each.name), partial(_keep, outputs, each.name)) for each in self.layers):
            logits = model(images)
        absent = maps.absent(landmarks, labels, self.size)

        def draw(height: int, width: int) -> Tensor:
            drawn = maps.maps(landmarks, labels, self.size, height, width)
            there = drawn[:, 0, 0].isfinite()
            absent.masked_fill_(~there & (absent == 0), _NO_MAP)
            return torch.where(there[:, None, None], drawn, 1.0)

        def at_layers() -> tuple[Tensor, ...]:
            found = gradients(logits, labels, [outputs[each.name] for each in self.layers])
            return tuple(each.maps(one) for each, one in zip(self.layers, found, strict=True))

        activations = tuple(each.maps(outputs[each.name]) for each in self.layers)
        with torch.autocast(images.device.type, enabled=False):
            terms = self._loss.function(Seen(model, images, labels, logits, activations, draw, at_layers))
        self.absent = absent.masked_fill(terms.isnan() & (absent == 0), _SILENT)
        return logits, torch.where(absent == 0, terms, torch.nan)


def _keep(outputs: dict[str, Tensor], name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
    outputs[name] = output
