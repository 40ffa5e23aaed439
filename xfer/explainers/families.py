"""Families of explainers: those that are computed together, from the same passes through the network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from xfer.explainers.catalogue import Explainer
from xfer.explainers.layers import Described
from xfer.progress import Stage, silent
from xfer.registry import Registry

__all__ = ["FAMILIES", "LAYER", "Family", "Look"]

LAYER = "layer"
"""The family that reads a layer's output and gradients from the shared pass."""


@dataclass(frozen=True)
class Look:
    """A batch of images in front of a network that is still.

    Attributes
    ----------
    model : nn.Module
        In evaluation mode, parameters frozen.
    images : tensor (face, channel, y, x)
        On the network's device, in its floating type.
    logits : tensor (face, class)
    classes : int tensor (face, target)
        The classes to explain.
    start : int
        The position of the first face among all that are explained, for what is given per face or drawn by a seed.
    batch_size : int
        The most images in one forward.
    settings : mapping
        Of the family's own, checked by the family.
    layer : str or object
        The first layer that was asked for, as for `xfer.explainers.attribute`.
    effective : dict
        Left here by a family: per explainer how many rows of its own design those that it used are worth (face,).
    progress : callable
        Told of what takes long.
    """

    model: nn.Module
    images: Tensor
    logits: Tensor
    classes: Tensor
    start: int
    batch_size: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    layer: str | Described = "auto"
    effective: dict[str, Tensor] = field(default_factory=dict)
    progress: Stage = silent


@dataclass(frozen=True)
class Family:
    """How the explainers of a family are computed.

    Attributes
    ----------
    name : str
    function : callable
        ``(Look, explainers) -> {explainer's name: maps (face, target, y, x)}``, raw and signed, over the whole image at
        any resolution.
    gradients : bool
        Whether the network must be differentiable.
    check : callable, optional
        ``(settings, faces) -> None`` refuses settings that do not fit, before any work.
    misfits : callable, optional
        ``(Look, explainers) -> {explainer's name: reason}``: those that do not apply, where that cannot be told without
        images; asked once, with the first batch.
    """

    name: str
    function: Callable[[Look, Sequence[Explainer]], Mapping[str, Tensor]]
    gradients: bool
    check: Callable[[Mapping[str, Any], int], None] | None = None
    misfits: Callable[[Look, Sequence[Explainer]], Mapping[str, str]] | None = None


FAMILIES: Registry[Family] = Registry("family of explainers", "xfer.explainers", Family)
"""Every family but `LAYER`, whose passes `xfer.explainers.shared_pass` makes."""
