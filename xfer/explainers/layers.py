"""Which module is explained, and how its output becomes maps (face, channel, y, x)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any, Protocol

from torch import Tensor, nn

from xfer.errors import InputError

__all__ = ["Address", "Described", "Layout", "addresses", "layout"]

MOST_PREFIX = 16
"""The most tokens before the grid (class, distillation, registers) that are looked for."""


class Described(Protocol):
    """A layer as `xfer.models.layers` describes it."""

    @property
    def name(self) -> str:
        """The module's dotted name."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns at the size it was measured at."""

    @property
    def kind(self) -> str:
        """As in `Layout`."""

    @property
    def prefix(self) -> int:
        """Tokens before the grid."""


@dataclass(frozen=True)
class Address:
    """A module of a network and what is known of its output.

    Attributes
    ----------
    name : str
        The module's dotted name.
    module : nn.Module
    grid : (int, int) or None
        Rows and columns where they are known; taken as a hint, since they change with the image's size.
    prefix : int or None
        Tokens before the grid where known.
    kind : str or None
        As in `Layout` where known.
    """

    name: str
    module: nn.Module
    grid: tuple[int, int] | None = None
    prefix: int | None = None
    kind: str | None = None


@dataclass(frozen=True)
class Layout:
    """How a layer's output is laid out.

    Attributes
    ----------
    kind : {"map", "map_last", "tokens"}
        (face, channel, y, x), (face, y, x, channel) as in Swin, or (face, token, channel).
    grid : (int, int)
        Rows and columns.
    prefix : int
        Tokens before the grid.
    """

    kind: str
    grid: tuple[int, int]
    prefix: int = 0

    def maps(self, output: Tensor) -> Tensor:
        """The output, or a gradient with respect to it, as (face, channel, y, x)."""
        if self.kind == "tokens":
            return output[:, self.prefix :].transpose(1, 2).unflatten(2, self.grid)
        return output if self.kind == "map" else output.permute(0, 3, 1, 2)


def addresses(model: nn.Module, layers: Sequence["str | Described"], size: tuple[int, int]) -> list[Address]:
    """Find layers by name or description, each once.

    Parameters
    ----------
    model : nn.Module
    layers : sequence of str or object
        A module's dotted name; ``"auto"`` for the heatmap layer of `xfer.models.layers`; or an object
        with the fields ``name``, ``grid``, ``kind`` and ``prefix``.
    size : (int, int)
        Height and width of the images, px.

    Raises
    ------
    InputError
        If there is no such module: the ten nearest names. If no layer is given.
    """
    found = {each.name: each for each in (_address(model, layer, size) for layer in layers)}
    if not found:
        raise InputError("'layers' is empty: name a module, or give 'auto'")
    return list(found.values())


def _address(model: nn.Module, layer: "str | Described", size: tuple[int, int]) -> Address:
    known: Any = _heatmap_layer(model, size) if layer == "auto" else layer
    if not isinstance(known, str) and not hasattr(known, "grid"):
        raise InputError(f"'layer' must be a module's dotted name, 'auto' or a description; got {type(known).__name__}")
    name = known if isinstance(known, str) else known.name
    try:
        module = model.get_submodule(name) if name else None
    except AttributeError:
        module = None
    if module is None:
        from xfer.models.layers import absent

        raise absent(name, (each for each, _ in model.named_modules()), model)
    if isinstance(known, str):
        return Address(name, module, prefix=getattr(model, "num_prefix_tokens", None))
    return Address(name, module, known.grid, known.prefix, known.kind)


def _heatmap_layer(model: nn.Module, size: tuple[int, int]) -> Described:
    from xfer.models.layers import heatmap_layer

    if size[0] != size[1]:
        raise InputError(f"'layer' is found for square images only; these are {size[0]} x {size[1]} px: name a module")
    return heatmap_layer(model, size[0])


def layout(shape: tuple[int, ...], where: Address, size: tuple[int, int]) -> Layout:
    """How an output of some shape is laid out over images of some size.

    Of (face, a, b, c) the pair (b, c) or (a, b) is the grid whose proportions are the image's; tokens are a grid
    of exactly those proportions after the fewest possible prefix tokens.

    Parameters
    ----------
    shape : tuple of int
        The output's shape.
    where : Address
    size : (int, int)
        Height and width of the images, px.

    Raises
    ------
    InputError
        If there is no grid in it, or one of a single cell.

    Examples
    --------
    >>> layout((8, 197, 768), Address("blocks.9", nn.Identity()), (224, 224))
    Layout(kind='tokens', grid=(14, 14), prefix=1)
    >>> layout((8, 7, 7, 768), Address("layers.3", nn.Identity()), (224, 224))
    Layout(kind='map_last', grid=(7, 7), prefix=0)
    """
    found = None
    if len(shape) == 4:
        found = _grid_of_maps(shape, where, size)
    if len(shape) == 3:
        found = _grid_of_tokens(shape[1], where, size)
    if found is None:
        raise InputError(
            f"layer {where.name!r} has no spatial features: its output has the shape {tuple(shape)}; "
            "take an earlier layer"
        )
    if found.grid[0] * found.grid[1] < 2:
        raise InputError(
            f"layer {where.name!r} has one cell for images of {size[0]} x {size[1]} px, which are smaller than its "
            "stride: take larger images or an earlier layer"
        )
    return found


def _grid_of_maps(shape: tuple[int, ...], where: Address, size: tuple[int, int]) -> Layout:
    first, last = (shape[2], shape[3]), (shape[1], shape[2])
    if where.kind:
        return Layout(where.kind, last if where.kind == "map_last" else first)
    if where.grid in (first, last):
        return Layout("map" if where.grid == first else "map_last", where.grid)
    if _distortion(last, size) < _distortion(first, size):
        return Layout("map_last", last)
    return Layout("map", first)


def _grid_of_tokens(tokens: int, where: Address, size: tuple[int, int]) -> Layout | None:
    prefixes = range(MOST_PREFIX + 1) if where.prefix is None else (where.prefix,)
    for prefix in prefixes:
        cells = tokens - prefix
        if where.grid and where.grid[0] * where.grid[1] == cells:
            return Layout("tokens", where.grid, prefix)
        rows = isqrt(max(cells, 0) * size[0] // size[1])
        if rows and cells > 1 and cells % rows == 0 and rows * size[1] == cells // rows * size[0]:
            return Layout("tokens", (rows, cells // rows), prefix)
    return None


def _distortion(grid: tuple[int, int], size: tuple[int, int]) -> float:
    """How far a grid's columns are from those the image's proportions ask for."""
    return abs(grid[0] / size[0] * size[1] - grid[1])
