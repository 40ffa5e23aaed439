"""The shared pass: one forward of a network, one short backward a class, for any number of methods.

Everything before the layer runs without a graph. The layer's output becomes a leaf; what follows is differentiated
back to it and no further, so no parameter is asked for a gradient and no activation before the layer is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.layers import Address, Layout, layout
from xfer.explainers.state import hooked
from xfer.explainers.tap import Tap

__all__ = ["SharedPass"]

REFUSALS = (
    "too small",
    "Kernel size can't be greater",
    "shapes cannot be multiplied",
    "doesn't match model",
    "to have",
)
"""What torch and timm say when images have a size or number of channels that a network cannot take."""

CPU_CELLS = 1 << 20
GPU_CELLS = 1 << 27
"""Gradients (face, target, channel, y, x) held at once."""


class SharedPass:
    """One forward of a batch, cut at some layers.

    The network is left to `xfer.explainers.state.still`; hooks are gone once the object is made.

    Parameters
    ----------
    model : nn.Module
    images : tensor (face, channel, y, x)
        On the network's device.
    layers : sequence of Address

    Attributes
    ----------
    names : tuple of str
        The layers'.
    logits : tensor (face, class)

    Raises
    ------
    InputError
        If a layer does not run exactly once, has no spatial features, or the network cannot take such images or
        does not return logits.
    """

    def __init__(self, model: nn.Module, images: Tensor, layers: Sequence[Address]) -> None:
        self.names = tuple(each.name for each in layers)
        self._size = (images.shape[-2], images.shape[-1])
        self._outputs: dict[str, Tensor] = {}
        self._layouts: dict[str, Layout] = {}
        cuts = [(each.module, self._cut(each)) for each in layers]
        with torch.no_grad(), hooked(cuts), refusals(self._size):
            logits = model(images)
        for each in layers:
            if each.name not in self._outputs:
                raise InputError(f"layer {each.name!r} does not run in evaluation mode: take another layer")
        self.logits = _logits(logits, len(images))
        if not self.logits.requires_grad:
            raise _independent(layers[0].name)

    def _cut(self, where: Address) -> Callable[..., Any]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
            if where.name in self._outputs:
                raise InputError(
                    f"layer {where.name!r} runs several times in one forward (a shared module): take one that runs once"
                )
            first = output[0] if isinstance(output, tuple) and output else output
            if not isinstance(first, Tensor):
                raise InputError(
                    f"layer {where.name!r} returns {type(output).__name__}, not a tensor: take another layer"
                )
            self._layouts[where.name] = layout(tuple(first.shape), where, self._size)
            torch.set_grad_enabled(True)
            kept = first.clone()
            if not kept.requires_grad:
                kept.requires_grad_(True)
            self._outputs[where.name] = kept
            passed = kept.clone()
            return (passed, *output[1:]) if isinstance(output, tuple) else passed

        return hook

    def taps(self, classes: Tensor) -> dict[str, Tap]:
        """What the pass left at every layer, with the gradients of some classes' logits.

        Sums over cells are made in at least float32, whatever the pass was made in.

        Parameters
        ----------
        classes : int tensor (face, target)

        Raises
        ------
        InputError
            If no logit depends on a layer.
        """
        names, outputs = list(self._outputs), list(self._outputs.values())
        gradients: dict[str, list[Tensor]] = {name: [] for name in names}
        for column in classes.T:
            chosen = torch.zeros_like(self.logits).scatter_(1, column[:, None], 1.0)
            found = torch.autograd.grad(self.logits, outputs, chosen, retain_graph=True, allow_unused=True)
            for name, gradient in zip(names, found, strict=True):
                if gradient is None:
                    raise _independent(name)
                gradients[name].append(self._maps(name, gradient))
        return {
            name: Tap(self._maps(name, output.detach())[:, None], torch.stack(gradients[name], 1))
            for name, output in zip(names, outputs, strict=True)
        }

    def room(self) -> int:
        """How many classes are best taken at once: few enough for a CPU's caches, or for a share of a GPU's memory."""
        cells = CPU_CELLS if self.logits.device.type == "cpu" else GPU_CELLS
        return max(1, cells // max(output.numel() for output in self._outputs.values()))

    def _maps(self, name: str, output: Tensor) -> Tensor:
        return self._layouts[name].maps(output.to(torch.promote_types(output.dtype, torch.float32)))


@contextmanager
def refusals(size: tuple[int, int]) -> Iterator[None]:
    """Turn what networks raise on images that they cannot take, height and width in px, into an error that says so."""
    try:
        yield
    except (RuntimeError, AssertionError) as refusal:
        if not any(words in str(refusal) for words in REFUSALS):
            raise
        said = str(refusal).splitlines()[0]
        raise InputError(f"the network cannot take images of {size[0]} x {size[1]} px: {said}") from refusal


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """Logits (face, class) of a batch, without gradients.

    Raises
    ------
    InputError
        If the network cannot take such images or does not return logits.
    """
    with torch.no_grad(), refusals((images.shape[-2], images.shape[-1])):
        return _logits(model(images), len(images))


def _logits(output: Any, faces: int) -> Tensor:
    if isinstance(output, Tensor) and output.ndim == 2 and len(output) == faces and output.is_floating_point():
        return output
    got = f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
    raise InputError(f"the network must return logits (face, class) for {faces} faces; it returned {got}")


def _independent(name: str) -> InputError:
    return InputError(f"no logit depends on layer {name!r}: take a layer between the image and the logits")
