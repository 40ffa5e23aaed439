"""A network from one of its layers on: what comes before is remembered, not computed again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.layers import Address, Layout, layout
from xfer.explainers.shared_pass import logits_of
from xfer.explainers.state import hooked

__all__ = ["Remainder", "activations"]

CLOSE = 1e-3
"""How far, relative to the largest logit, the tail may be from the whole network before the whole is run instead."""


def activations(model: nn.Module, images: Tensor, where: Address) -> tuple[Tensor, Layout, Tensor]:
    """A layer's output, how it is laid out, and the logits (face, class), of one forward without gradients.

    Raises
    ------
    InputError
        If the layer does not run exactly once, or has no spatial features.
    """
    seen: list[Any] = []
    with hooked([(where.module, lambda module, inputs, output: seen.append(output))]):
        logits = logits_of(model, images)
    if len(seen) != 1:
        how = "runs several times in one forward" if seen else "does not run in evaluation mode"
        raise InputError(f"layer {where.name!r} {how}: take another layer")
    output = seen[0][0] if isinstance(seen[0], tuple) and seen[0] else seen[0]
    if not isinstance(output, Tensor):
        raise InputError(f"layer {where.name!r} returns {type(output).__name__}, not a tensor: take another layer")
    return output, layout(tuple(output.shape), where, (images.shape[-2], images.shape[-1])), logits


class Remainder:
    """The part of a network that follows a layer, for one face.

    Modules that are done before the layer hand back what they gave for the face; functions between them run again.
    Where that does not give the network's own logits, the whole network is run.

    Parameters
    ----------
    model : nn.Module
        Still, see `xfer.explainers.state`.
    image : tensor (1, channel, y, x)
    where : Address
        The layer.

    Attributes
    ----------
    output : tensor (1, ...)
        The layer's.
    layout : Layout
    short : bool
        Whether only the tail is run.

    Raises
    ------
    InputError
        As `activations`.
    """

    def __init__(self, model: nn.Module, image: Tensor, where: Address) -> None:
        self._model, self._image, self._layer = model, image, where.module
        self._rest: tuple[Any, ...] | None = None
        self._memory: dict[nn.Module, list[Tensor]] = {}
        recorded: dict[nn.Module, list[Any]] = {module: [] for module in _before(model, where.name)}
        done: list[bool] = []
        hooks = [(module, self._recorder(outputs, done)) for module, outputs in recorded.items()]
        with hooked([*hooks, (where.module, self._end(done))]):
            self.output, self.layout, logits = activations(model, image, where)
        self._memory = {
            module: outputs
            for module, outputs in recorded.items()
            if outputs and all(isinstance(each, Tensor) and len(each) == 1 for each in outputs)
        }
        self.short = self._agrees(logits)
        if not self.short:
            self._memory = {}

    def logits(self, outputs: Tensor) -> Tensor:
        """What the network makes (n, class) of other outputs (n, ...) of the layer; it may overwrite them."""
        with self._replaced(outputs):
            images = self._image.expand(len(outputs), -1, -1, -1)
            return logits_of(self._model, images if self._memory else images.contiguous())

    def _agrees(self, logits: Tensor) -> bool:
        try:
            again = self.logits(self.output.repeat_interleave(2, 0))
        except RuntimeError:
            return False
        return bool((again - logits).abs().max() <= CLOSE * logits.abs().max())

    def _recorder(self, outputs: list[Any], done: list[bool]) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not done:
                outputs.append(output)

        return hook

    def _end(self, done: list[bool]) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            done.append(True)
            self._rest = output[1:] if isinstance(output, tuple) else None

        return hook

    @contextmanager
    def _replaced(self, outputs: Tensor) -> Iterator[None]:
        """The layer gives these outputs; what came before gives what is remembered."""
        rest = self._rest
        shadowed = {module: module.__dict__.get("forward") for module in (*self._memory, self._layer)}
        try:
            for module, memory in self._memory.items():
                module.__dict__["forward"] = _replay(module.forward, memory, len(outputs))
            self._layer.__dict__["forward"] = lambda *_, **__: outputs if rest is None else (outputs, *rest)
            yield
        finally:
            for module, own in shadowed.items():
                if own is None:
                    module.__dict__.pop("forward", None)
                else:
                    module.__dict__["forward"] = own


def _replay(forward: Callable[..., Any], memory: list[Tensor], faces: int) -> Callable[..., Any]:
    """A forward that hands back what is remembered, call by call, and then computes again."""
    left = iter(memory)

    def replayed(*inputs: Any, **options: Any) -> Any:
        kept = next(left, None)
        return forward(*inputs, **options) if kept is None else kept.expand(faces, *kept.shape[1:])

    return replayed


def _before(model: nn.Module, layer: str) -> Iterator[nn.Module]:
    """The outermost modules that do not hold the layer; those that run after it are never asked for."""
    parts = layer.split(".")
    path = [".".join(parts[:depth]) for depth in range(len(parts))]
    holders = {id(model.get_submodule(name)) for name in path} | {id(model.get_submodule(layer))}
    for name in path:
        for child in model.get_submodule(name).children():
            yield from _called(child, holders)


def _called(module: nn.Module, holders: set[int]) -> Iterator[nn.Module]:
    if id(module) in holders:
        return
    if isinstance(module, nn.ModuleList | nn.ModuleDict):
        for child in module.children():
            yield from _called(child, holders)
    else:
        yield module
