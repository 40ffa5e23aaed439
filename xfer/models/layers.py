"""Where a network's heatmap is read: the deepest layer that still tells places apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.models import build, spec

CELLS = 7
"""Cells a side that a heatmap's layer has if any layer has them."""
SCORED = 4
"""Cells a side below which a heatmap is not scored."""
TRANSPARENT = (nn.Sequential, nn.Identity, nn.Dropout, nn.Dropout2d)
"""Modules that hand on another module's output, whose name says more."""


@dataclass(frozen=True)
class Layer:
    """A module whose output is a grid of cells.

    Attributes
    ----------
    name : str
        As in ``model.get_submodule(name)``.
    grid : tuple of 2 int
        Cells (gy, gx) at the size it was measured at.
    kind : {"map", "map_last", "tokens"}
        The output's dimensions: (n, channel, gy, gx), (n, gy, gx, channel) or (n, prefix + gy * gx, channel).
    prefix : int
        Tokens before those of the grid, which belong to no place (class, distillation, registers).
    """

    name: str
    grid: tuple[int, int]
    kind: str
    prefix: int = 0

    @property
    def reason(self) -> str:
        """Why a heatmap from this grid is not scored; "" if it is.

        >>> Layer("layer4.2", (2, 2), "map").reason
        "layer 'layer4.2' has 2 x 2 cells, fewer than 4 x 4"
        """
        if min(self.grid) >= SCORED:
            return ""
        return f"layer {self.name!r} has {self.grid[0]} x {self.grid[1]} cells, fewer than {SCORED} x {SCORED}"

    def maps(self, values: Tensor) -> Tensor:
        """The layer's output, or a gradient of its shape, as (n, channel, gy, gx); tokens of no place left out."""
        if self.kind == "tokens":
            return values[:, self.prefix :].unflatten(1, self.grid).movedim(-1, 1)
        return values.movedim(-1, 1) if self.kind == "map_last" else values


@dataclass(frozen=True)
class _Visit:
    name: str
    output: Tensor
    version: int
    node: Any


def heatmap_layer(model: nn.Module, size: int, *, cells: int = CELLS) -> Layer:
    """The deepest module with at least 7 x 7 cells that everything from the picture to the logits passes through.

    Modules are tried from the last to finish to the first. One counts if its output is a grid of cells, if no way
    leads round it from the picture to the logits (so a branch of a block does not, the block does), and if a logit's
    gradient at the grid is not zero: behind the last attention of a transformer with a class token it is, so there
    the block before is taken. Where no module has 7 x 7 cells, 6 x 6 are tried, and so on.

    Parameters
    ----------
    model : nn.Module
        Takes (n, 3, size, size), gives logits (n, class). Restored whatever happens.
    size : int
        Side of the faces in px.
    cells : int
        Cells a side to ask for first.

    Returns
    -------
    Layer

    Raises
    ------
    InputError
        If no module qualifies.

    Examples
    --------
    >>> heatmap_layer(build("songnet", 6, size=64), 64)
    Layer(name='features.11', grid=(8, 8), kind='map', prefix=0)
    """
    with _watched(model) as visits:
        face, logits = _forward(model, size)
        speaking = [v for v in _once(visits) if not isinstance(model.get_submodule(v.name), TRANSPARENT)]
        found = [(v, layer) for v in reversed(speaking) if (layer := _read(model, v)) is not None]
        for least in range(cells, 1, -1):
            for visit, layer in found:
                if min(layer.grid) >= least and _whole(visit, face, logits) and _reached(visit, layer, logits):
                    return layer
    raise InputError(
        f"at {size} px the network has no layer with a grid of cells that all of the picture passes through"
    )


def grids(model: nn.Module, size: int) -> list[Layer]:
    """Every module whose output is a grid of cells for faces of `size` px, as they finish.

    >>> [layer.grid for layer in grids(build("songnet", 6, size=64), 64)][::4]
    [(64, 64), (32, 32), (8, 8)]
    """
    with _watched(model) as visits:
        _forward(model, size)
        speaking = [v for v in _once(visits) if not isinstance(model.get_submodule(v.name), TRANSPARENT)]
        return [layer for v in speaking if (layer := _read(model, v)) is not None]


def layer_at(model: nn.Module, name: str, size: int) -> Layer:
    """A module by its name, with its grid for faces of `size` px; arguments otherwise as for `heatmap_layer`.

    Raises
    ------
    InputError
        If there is no such module, its output is no grid of cells, or no logit depends on it.
    """
    with _watched(model) as visits:
        _, logits = _forward(model, size)
        last = {v.name: v for v in visits}
        if name not in last:
            near = get_close_matches(name, last, n=1)
            raise InputError(f"layer {name!r} is not in the network{f' (did you mean {near[0]!r}?)' if near else ''}")
        if name not in {v.name for v in _once(visits)}:
            raise InputError(f"layer {name!r} is used twice in a pass or overwritten after it; name the block it is in")
        layer = _read(model, last[name])
        if layer is None:
            raise InputError(f"layer {name!r} has no grid of cells: its output is {_shape(last[name].output)}")
        if not _reached(last[name], layer, logits):
            raise InputError(f"layer {name!r} does not change the logits through its cells: the gradient there is 0")
    return layer


def published_layer(name: str, classes: int = 6) -> Layer:
    """The heatmap's layer of a network of `build` at the published study's size.

    >>> published_layer("songnet").grid
    (14, 14)
    """
    size = spec(name).input_size
    return heatmap_layer(build(name, classes, size=size), size)


@contextmanager
def _watched(model: nn.Module) -> Iterator[list[_Visit]]:
    """In evaluation mode, with gradients, every module's output as it finishes; undone at the end."""
    modes = [(module, module.training) for module in model.modules()]
    visits: list[_Visit] = []
    hooks = []
    try:
        for name, module in model.named_modules():
            if name:
                hooks.append(module.register_forward_hook(partial(_note, visits, name)))
        model.eval()
        with torch.inference_mode(False), torch.enable_grad():
            yield visits
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training


def _note(visits: list[_Visit], name: str, module: nn.Module, inputs: Any, output: Any) -> None:
    if isinstance(output, Tensor) and output.grad_fn is not None:
        visits.append(_Visit(name, output, output._version, output.grad_fn))


def _forward(model: nn.Module, size: int) -> tuple[Tensor, Tensor]:
    """A grey face with noise that asks for its gradient, and its logits."""
    like = next(model.parameters())
    face = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    face = face.to(like.device, like.dtype).requires_grad_()
    return face, model(face)


def _once(visits: list[_Visit]) -> list[_Visit]:
    """Those of modules that ran once and whose output nobody wrote into afterwards: it is what the next one saw."""
    times = Counter(v.name for v in visits)
    return [v for v in visits if times[v.name] == 1 and v.output._version == v.version]


def _read(model: nn.Module, visit: _Visit) -> Layer | None:
    """The grid of an output, None if it has none."""
    shape = visit.output.shape
    if shape[0] != 1:
        return None
    if visit.output.ndim == 4:
        last = getattr(model, "output_fmt", "NCHW") == "NHWC"
        square = {"map": shape[2] == shape[3], "map_last": shape[1] == shape[2]}
        for kind in ("map_last", "map") if last else ("map", "map_last"):
            if square[kind]:
                return Layer(visit.name, (shape[2], shape[2]) if kind == "map" else (shape[1], shape[1]), kind)
    if visit.output.ndim == 3:
        for prefix in dict.fromkeys((int(getattr(model, "num_prefix_tokens", 0)), 0)):
            side = round(max(shape[1] - prefix, 0) ** 0.5)
            if side and side**2 == shape[1] - prefix:
                return Layer(visit.name, (side, side), "tokens", prefix)
    return None


def _whole(visit: _Visit, face: Tensor, logits: Tensor) -> bool:
    """Whether every way from the logits to the face in the graph of gradients passes the module's output."""
    seen, open_ends = {visit.node}, [logits.grad_fn]
    while open_ends:
        node = open_ends.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if getattr(node, "variable", None) is face:
            return False
        open_ends.extend(follower for follower, _ in node.next_functions)
    return True


def _reached(visit: _Visit, layer: Layer, logits: Tensor) -> bool:
    """Whether the first logit's gradient at the cells is not zero."""
    (gradient,) = torch.autograd.grad(logits[0, 0], visit.output, retain_graph=True, allow_unused=True)
    return gradient is not None and bool(layer.maps(gradient).any())


def _shape(values: Tensor) -> str:
    return " x ".join(map(str, values.shape))
