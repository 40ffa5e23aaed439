"""The shared pass: one forward of a network, one short backward a class, for any number of methods.

Everything before the layer runs without a graph. The layer's output becomes a leaf; what follows is differentiated
back to it and no further, so no parameter is asked for a gradient and no activation before the layer is kept.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.catalogue import CURVATURE, GRADIENTS, RIVALS
from xfer.explainers.derivatives import Derivatives
from xfer.explainers.layers import Address, Layout, layout
from xfer.explainers.state import hooked
from xfer.explainers.tap import Tap

__all__ = ["SharedPass", "logits_of", "nearest_classes"]

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
"""Gradients (face, target, channel, y, x) worked on at once."""

HELD_CELLS = 1 << 25
"""Gradients held at once where a method compares classes; 128 MiB of float32."""


class SharedPass:
    """One forward of a batch, cut at some layers.

    The network is left to `xfer.explainers.state.still`; hooks are gone once the object is made.

    Parameters
    ----------
    model : nn.Module
    images : tensor (face, channel, y, x)
        On the network's device.
    layers : sequence of Address
    needs : set of str
        Of `xfer.explainers.catalogue.NEEDS`.

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

    def __init__(
        self, model: nn.Module, images: Tensor, layers: Sequence[Address], needs: Set[str] = frozenset({GRADIENTS})
    ) -> None:
        self.names = tuple(each.name for each in layers)
        self._needs = needs
        self._size = (images.shape[-2], images.shape[-1])
        self._outputs: dict[str, Tensor] = {}
        self._layouts: dict[str, Layout] = {}
        cuts = [(each.module, self._cut(each)) for each in layers]
        with torch.no_grad(), hooked(cuts), refusals(self._size), Derivatives():
            logits = model(images.clone())  # networks may write into their images
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

    def taps(self, classes: Tensor, eigen: bool = False) -> Iterator[dict[str, Tap]]:
        """What the pass left at every layer, with the gradients of some classes' logits, a few classes at a time.

        Few enough for a CPU's caches, or for a share of a GPU's memory. Sums over cells are made in at least float32,
        whatever the pass was made in.

        Parameters
        ----------
        classes : int tensor (face, target)
        eigen : bool
            As `Tap.eigen`.

        Raises
        ------
        InputError
            If no logit depends on a layer.
        """
        if GRADIENTS not in self._needs:
            yield {name: Tap(self.output(name), self.output(name)[:, :0], eigen) for name in self.names}
            return
        for some in classes.split(self._room(HELD_CELLS if RIVALS in self._needs else 0), dim=1):
            held = Held(self, some, [self.column(classes) for classes in some.T])
            for start in range(0, some.shape[1], self._room()):
                yield {name: held.tap(name, slice(start, start + self._room()), eigen) for name in self.names}

    def column(self, classes: Tensor) -> "Column":
        """What differentiating the logit of a class a face (face,) gives at every layer."""
        bend = CURVATURE in self._needs
        found = torch.autograd.grad(
            self.logits,
            list(self._outputs.values()),
            torch.zeros_like(self.logits).scatter_(1, classes[:, None], 1.0),
            retain_graph=True,
            create_graph=bend,
            allow_unused=True,
        )
        column = Column()
        for (name, output), gradient in zip(self._outputs.items(), found, strict=True):
            if gradient is None:
                raise _independent(name)
            column.gradients[name] = self._maps(name, gradient.detach())
            if bend:
                column.bent[name] = self._bent(name, gradient, output)
        return column

    def _bent(self, name: str, gradient: Tensor, output: Tensor) -> Tensor | RuntimeError:
        """The Hessian of the logits times the layer's output, or why there is none."""
        if not gradient.requires_grad:
            return self._maps(name, torch.zeros_like(output))
        try:
            (bent,) = torch.autograd.grad(gradient, output, output.detach(), retain_graph=True)
        except RuntimeError as error:
            return error
        return self._maps(name, bent)

    def operations(self, name: str) -> tuple[str, ...]:
        """The names of torch's operations between a layer and the logits, each once, in alphabetic order."""
        output = self._outputs[name]
        seen, ends, names = {output.grad_fn}, [self.logits.grad_fn], set()
        while ends:
            node = ends.pop()
            if node is not None and node not in seen and getattr(node, "variable", None) is not output:
                seen.add(node)
                names.add(node.name().rstrip("0123456789").removesuffix("Backward"))
                ends.extend(follower for follower, _ in node.next_functions)
        return tuple(sorted(names))

    def output(self, name: str) -> Tensor:
        """A layer's output (face, 1, channel, y, x)."""
        return self._maps(name, self._outputs[name].detach())[:, None]

    def _room(self, least: int = 0) -> int:
        """How many classes are taken at once."""
        cells = CPU_CELLS if self.logits.device.type == "cpu" else GPU_CELLS
        return max(1, max(cells, least) // max(output.numel() for output in self._outputs.values()))

    def _maps(self, name: str, output: Tensor) -> Tensor:
        return self._layouts[name].maps(output.to(torch.promote_types(output.dtype, torch.float32)))


@dataclass(frozen=True)
class Column:
    """Per layer the gradient of one class's logit (face, channel, y, x), and the Hessian times the layer's output."""

    gradients: dict[str, Tensor] = field(default_factory=dict)
    bent: dict[str, Tensor | RuntimeError] = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """Gradients of some classes that are held together, since a method compares classes."""

    shared: SharedPass
    classes: Tensor
    columns: Sequence[Column]

    def tap(self, name: str, part: slice, eigen: bool) -> Tap:
        """The tap of some of the classes."""
        gradients = torch.stack([column.gradients[name] for column in self.columns[part]], 1)
        return Tap(self.shared.output(name), gradients, eigen, _Behind(self, name, part))

    @cached_property
    def means(self) -> dict[str, Tensor]:
        """Per layer the gradients averaged over the grid (face, class held, channel)."""
        return {
            name: torch.stack([column.gradients[name].mean((-2, -1)) for column in self.columns], 1)
            for name in self.shared.names
        }


@dataclass(frozen=True)
class _Behind:
    """As `xfer.explainers.tap.Behind`."""

    held: Held
    name: str
    part: slice

    @property
    def logits(self) -> Tensor:
        return self.held.shared.logits.detach()

    def curvature(self) -> Tensor:
        bent = [column.bent[self.name] for column in self.held.columns[self.part]]
        for each in bent:
            if isinstance(each, RuntimeError):
                raise each
        return torch.stack([each for each in bent if isinstance(each, Tensor)], 1)

    def rival_means(self) -> Tensor:
        nearest = nearest_classes(self.logits, self.held.classes[:, self.part])
        there = self.held.classes[:, None] == nearest[..., None]
        if there.any(-1).all():
            means = self.held.means[self.name]
            return means.gather(1, there.int().argmax(-1)[..., None].expand(-1, -1, means.shape[-1]))
        missing = [self.held.shared.column(classes).gradients[self.name].mean((-2, -1)) for classes in nearest.T]
        return torch.stack(missing, 1)

    def operations(self) -> tuple[str, ...]:
        return self.held.shared.operations(self.name)


def nearest_classes(logits: Tensor, classes: Tensor) -> Tensor:
    """The other class whose logit is nearest to each target's (face, target).

    >>> nearest_classes(torch.tensor([[3.0, 1.0, 2.5]]), torch.tensor([[0, 1]])).tolist()
    [[2, 2]]
    """
    distance = (logits[:, None] - logits.gather(1, classes)[..., None]).abs()
    return distance.scatter(2, classes[..., None], torch.inf).argmin(-1)


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
    """Logits (face, class) of a batch, without gradients; the images stay as they are, whatever the network does.

    Raises
    ------
    InputError
        If the network cannot take such images or does not return logits.
    """
    with torch.no_grad(), refusals((images.shape[-2], images.shape[-1])):
        shared = 0 in images.stride()  # torch itself refuses to write into one image that stands for many
        return _logits(model(images if shared else images.clone()), len(images))


def _logits(output: Any, faces: int) -> Tensor:
    if isinstance(output, Tensor) and output.ndim == 2 and len(output) == faces and output.is_floating_point():
        return output
    got = f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
    raise InputError(f"the network must return logits (face, class) for {faces} faces; it returned {got}")


def _independent(name: str) -> InputError:
    return InputError(f"no logit depends on layer {name!r}: take a layer between the image and the logits")
