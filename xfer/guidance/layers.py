"""Which layers a guide speaks to."""

from collections.abc import Sequence

from torch import nn

from xfer.errors import InputError
from xfer.explainers.layers import addresses
from xfer.models.layers import Layer, grids, heatmap_layer, layer_at

LAST = "last"
CELLS = 14
"""Cells a side that ``last`` has if any layer has them."""


def find(model: nn.Module, layers: Sequence[str | int], size: int, output_stride: int = 0) -> tuple[Layer, ...]:
    """Layers by name, index or ``last``, each once.

    Parameters
    ----------
    model : nn.Module
        Restored whatever happens.
    layers : sequence of str or int
        A module's dotted name; an index of `stages`, from the end where negative; or ``last``: the deepest layer of
        at least 14 x 14 cells that everything passes through, in a network with `output_stride` the deepest of all.
    size : int
        Side of the faces, px.
    output_stride : int
        As the network was built with.

    Raises
    ------
    InputError
        If there is no such layer (the ten nearest are named), or it has no grid of cells.
    """
    found = [_one(model, layer, size, output_stride) for layer in layers]
    return tuple({each.name: each for each in found}.values())


def _one(model: nn.Module, layer: str | int, size: int, output_stride: int) -> Layer:
    if layer == LAST:
        return heatmap_layer(model, size, cells=size // output_stride if output_stride else CELLS)
    names = dict(model.named_modules())
    if isinstance(layer, int) or (layer not in names and layer.lstrip("-").isdigit()):
        return _by_index(model, int(layer), size)
    (address,) = addresses(model, [layer], (size, size))
    return layer_at(model, address.name, size)


def _by_index(model: nn.Module, index: int, size: int) -> Layer:
    names = stages(model, size)
    if not -len(names) <= index < len(names):
        told = ", ".join(f"{i}: {name}" for i, name in enumerate(names))
        raise InputError(f"layer {index} is not among the network's {len(names)} stages ({told})")
    return layer_at(model, names[index], size)


def stages(model: nn.Module, size: int) -> tuple[str, ...]:
    """The names of a network's stages, first to last: as timm tells them, else the deepest layer of each grid.

    >>> from xfer import models
    >>> stages(models.build("songnet", 6, size=64), 64)
    ('features.1', 'features.4', 'features.7', 'features.11', 'features.12')
    """
    told = [str(entry["module"]) for entry in getattr(model, "feature_info", ())]
    if told:
        return tuple(told)
    deepest = {layer.grid: layer.name for layer in grids(model, size) if min(layer.grid) > 1}
    return tuple(deepest.values())
