"""Maps with names: what `attribution` computes as one labelled array."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.attribution import Attribution, trace
from xfer.explainers.catalogue import choose
from xfer.explainers.images import Photographs
from xfer.explainers.layers import Described
from xfer.explainers.targets import read_targets
from xfer.labels import IMAGE
from xfer.progress import Stage, followed, silent

__all__ = ["explain"]


@followed()
def explain(
    model: nn.Module,
    images: Tensor | Sequence[np.ndarray],
    explainers: str | Iterable[str] = "all",
    targets: Any = "all",
    *,
    layer: str | Described | Sequence[str | Described] = "auto",
    classes: Sequence[str] | None = None,
    size: str | tuple[int, int] | None = None,
    batch_size: int = 32,
    smoothing: str | Iterable[str] = "",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    progress: Stage = silent,
) -> xr.DataArray:
    """Raw signed maps of any classifier, every method and class from as few passes as they allow.

    Parameters
    ----------
    model : nn.Module
        Images in, logits (face, class) out; left as it was.
    images : tensor (face, channel, y, x) or sequence of array (y, x, 3)
        A tensor is taken as the network expects it. Arrays are RGB, uint8 or floats in [0, 1].
    explainers : str or iterable of str
        ``"all"``, or names from `EXPLAINERS`.
    targets : str, int, or array-like of int or str
        ``"all"``, ``"predicted"``, one class for all, (face,) one a face, (face, target), or (1, target) the
        same ones for every face; names where `classes` is given.
    layer : str, object, or sequence of them
        A module's dotted name, or ``"auto"``: the deepest layer with a useful grid. Several are read from one forward.
    classes : sequence of str, optional
        The classes' names, in the order of the logits.
    size : None, "image" or (int, int)
        None: maps at the resolution that they have in common, the layer's grid say, and the image's where they have
        none. Otherwise bilinear resampling to the image's, or to some, height and width.
    batch_size : int
        The most images in one forward.
    smoothing, settings
        As for `attribute`.
    mean, std : float or sequence of 3 floats
        What the network's preprocessing subtracts and divides by, in [0, 1]; for arrays only.
    progress : callable, optional
        Told of every stage and step; where there is none a notebook shows them by itself. False shows nothing.

    Returns
    -------
    DataArray (explainer, face, target, y, x)
        With the coordinates `explainer`, `predicted` (face), and `target` where the classes are the same for
        every face, else `target_class` (face, target). The attribute `layer` names the layer; "" where none was read.
        For a sequence of layers (explainer, layer, face, target, y, x): maps of no layer stand at each, and those of a
        method that does not apply at a layer are NaN there. The attribute `left_out` says which explainers of
        ``"all"`` do not apply, and why; where LIME and KernelSHAP share rows, `effective` says how many of its own
        these are worth to each.

    Raises
    ------
    InputError
        As `attribute`; or if `classes` or `size` do not fit.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> maps = explain(net, torch.rand(5, 3, 12, 12), "grad_cam", layer="1", classes=["anger", "fear"], size="image")
    >>> maps.sel(explainer="grad_cam", target="fear").sizes
    Frozen({'face': 5, 'y': 12, 'x': 12})
    """
    stack = images if isinstance(images, Tensor) else Photographs(images, mean=mean, std=std)
    if isinstance(images, Tensor) and (mean != 0.0 or std != 1.0):
        raise InputError("'mean' and 'std' are for arrays; a tensor is taken as the network expects it")
    out = _size(size, (stack.shape[-2], stack.shape[-1]))
    wanted = read_targets(targets, len(stack), classes)
    several = not isinstance(layer, str) and isinstance(layer, Sequence)
    layers: Any = layer if several else (layer,)
    names = explainers if isinstance(explainers, str) else list(explainers)
    options: dict[str, Any] = {
        "batch_size": batch_size, "smoothing": smoothing, "settings": settings, "progress": progress,
    }  # fmt: skip
    count = None if classes is None else len(classes)
    seen = trace(model, stack, names, wanted, layers=layers, classes=count, **options)
    order = [each.name for each in choose(names) if any(each.name in by for by in seen.maps.values())]
    maps = _labelled(seen, order, classes, out, (stack.shape[-2], stack.shape[-1]))
    if several:
        return maps
    name = str(maps.layer.values[0])
    return maps.isel(layer=0, drop=True).assign_attrs(layer="" if name == IMAGE else name)


def _size(size: Any, image: tuple[int, int]) -> tuple[int, int] | None:
    if size is None or size == "image":
        return image if size else None
    if not isinstance(size, tuple | list) or len(size) != 2 or min(size) < 1:
        raise InputError(f"'size' must be None, 'image' or a height and width; got {size!r}")
    return int(size[0]), int(size[1])


def _labelled(
    seen: Attribution,
    order: Sequence[str],
    classes: Sequence[str] | None,
    size: tuple[int, int] | None,
    image: tuple[int, int],
) -> xr.DataArray:
    image_maps = seen.maps.get(IMAGE, {})
    layers = [name for name in seen.maps if name != IMAGE] or [IMAGE]
    shapes = {(each.shape[-2], each.shape[-1]) for by in seen.maps.values() for each in by.values()}
    shape = size or (image if len(shapes) > 1 else shapes.pop())
    nothing = torch.full((*seen.targets.shape, *shape), torch.nan)
    values = [
        _resampled(image_maps.get(name, seen.maps[layer].get(name, nothing)), shape).cpu()
        for name in order
        for layer in layers
    ]
    names = np.arange(seen.logits.shape[1]) if classes is None else np.asarray(classes)
    targets = seen.targets.cpu().numpy()
    labels: dict[str, Any] = {
        "explainer": list(order),
        "layer": layers,
        "predicted": ("face", names[seen.logits.argmax(1).cpu().numpy()]),
    }
    if (targets == targets[0]).all():
        labels["target"] = names[targets[0]]
    else:
        labels["target_class"] = (("face", "target"), names[targets])
    return xr.DataArray(
        torch.stack(values).unflatten(0, (len(order), len(layers))).numpy(),
        dims=("explainer", "layer", "face", "target", "y", "x"),
        coords=labels,
        name="raw",
        attrs={"left_out": "; ".join(seen.left_out.values()), **_worth(seen)},
    )


def _worth(seen: Attribution) -> dict[str, str]:
    """In words how many rows those that methods shared are worth to each."""
    told = [f"{name} {rows.min():.0f} to {rows.max():.0f} rows a face" for name, rows in seen.effective.items()]
    return {"effective": "; ".join(told)} if told else {}


def _resampled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(maps.shape[-2:]) == size:
        return maps
    return nn.functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
