"""Losses of guided training: how far a network's attention is from the map of a face."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from xfer.registry import Registry


@dataclass(frozen=True)
class Seen:
    """What one forward of a batch leaves for a loss.

    Attributes
    ----------
    model : nn.Module
    images : Tensor (face, 3, size, size)
        What the logits were made from; asks for its gradient where the loss needs it.
    labels : Tensor (face,)
    logits : Tensor (face, class)
    activations : tuple of Tensor (face, channel, y, x)
        Of each layer, in the network's precision.
    draw : callable
        ``(height, width) -> (face, height, width)``, float32: each face's map from 0 to 1. It is 1 everywhere for a
        face that takes no part, whose term is set to NaN afterwards.
    gradients : callable
        ``() -> tuple of Tensor (face, channel, y, x)``: what the logit of each face's own label has as its gradient at
        each layer; it can be differentiated itself.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor
    logits: Tensor
    activations: tuple[Tensor, ...]
    draw: Callable[[int, int], Tensor]
    gradients: Callable[[], tuple[Tensor, ...]]


@dataclass(frozen=True)
class GuideLoss:
    """A loss and what it declares.

    Attributes
    ----------
    name : str
    function : callable
        ``(seen) -> Tensor (face,)``, 0 for attention that is exactly the map.
    reference : str
    title : str
        What it asks for, in words.
    twice : bool
        Whether it differentiates the logits, so that a training step differentiates twice.
    of_images : bool
        Whether it reads the images' gradient, and no layer.
    """

    name: str
    function: Callable[[Seen], Tensor]
    reference: str
    title: str
    twice: bool = False
    of_images: bool = False


LOSSES: Registry[GuideLoss] = Registry("loss", "xfer.guidance.losses", GuideLoss)


def gradients(logits: Tensor, labels: Tensor, sources: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The gradients of each face's logit of its own label (face,) at tensors it depends on, differentiable."""
    return torch.autograd.grad(logits.gather(1, labels[:, None]).sum(), tuple(sources), create_graph=True)


def wide(values: Tensor) -> torch.dtype:
    """The precision in which a term is computed: at least float32."""
    return torch.promote_types(values.dtype, torch.float32)


def sound(sizes: Tensor, terms: Tensor | float) -> Tensor:
    """Terms where the attention has a size: NaN where that is 0, and infinite, which ends a training, where it is none.

    >>> sound(torch.tensor([2.0, 0.0, torch.nan, torch.inf]), 0.5).tolist()
    [0.5, nan, inf, inf]
    """
    lacking = torch.where(sizes == 0, torch.nan, torch.inf)
    return torch.where((sizes > 0) & sizes.isfinite(), terms, lacking.to(sizes.dtype))


def unlike(drawn: Tensor, maps: Tensor) -> Tensor:
    """One minus the cosine of drawn and wanted maps (face, y, x): (face,); where there is none, as `sound` has it.

    >>> unlike(torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]]), torch.ones(2, 1, 2)).tolist()
    [0.2928932309150696, nan]
    """
    largest = drawn.detach().abs().amax((1, 2), keepdim=True)
    there = sound(largest, 1.0).isfinite()
    scaled = torch.where(there, drawn / torch.where(there, largest, 1.0), 1.0)
    cosines = functional.cosine_similarity(scaled.flatten(1), maps.to(drawn.dtype).flatten(1), dim=1)
    return sound(largest[:, 0, 0], 1 - cosines)


def over_layers(term: Callable[[Tensor, Tensor], Tensor], seen: Seen) -> Tensor:
    """The mean over layers of ``term(activations, maps of their grid)``: (face,)."""
    return torch.stack([term(a, seen.draw(*a.shape[-2:])) for a in seen.activations]).mean(0)
