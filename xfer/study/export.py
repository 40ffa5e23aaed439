"""Networks out, by name or as modules: who they are, before `xfer.exporting` writes them."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from xfer import __version__
from xfer.errors import InputError
from xfer.explainers.state import check_finite, place, still
from xfer.exporting import Exported, write
from xfer.models.facts import Facts, named, triple
from xfer.study.loading import layer_name, load_model


def export(
    model: str | nn.Module,
    file: str | Path,
    *,
    with_heatmap: bool = False,
    size: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    classes: Sequence[str] | None = None,
    any_labels: bool = False,
    layer: str | None = None,
) -> Exported:
    """Write a network as ONNX: faces (face, 3, size, size) in, logits (face, class) out, any number of faces.

    Parameters
    ----------
    model : str or nn.Module
        As `load_model` takes it, or a module in float32, which is left as it was.
    file : path
        An old file of this name is replaced, in one step at the very end.
    with_heatmap : bool
        A second output ``heatmap`` (face, class, gy, gx): GradCAM of every class, signed, on the layer's grid
        (Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74).
    size, mean, std, classes, any_labels
        See `Facts` and `load_model`; a module needs `size`.
    layer : str, optional
        Where the heatmap is read; found by default.

    Raises
    ------
    InputError
        If the network or its parts are not there, it cannot be traced, or the file would give other numbers.

    Examples
    --------
    >>> export("reports/faces-quick-1a2b3c4d#songnet", "songnet.onnx", with_heatmap=True)  # doctest: +SKIP
    """
    target = Path(file)
    if target.is_dir() or not os.access(target.absolute().parent, os.W_OK):
        raise InputError(f"{file}: give a file in a folder that exists and can be written")
    options = {"size": size, "mean": mean, "std": std, "classes": classes, "any_labels": any_labels, "layer": layer}
    if isinstance(model, str):
        if model.startswith("onnx:"):
            raise InputError(f"{model}: is in ONNX already")
        module, facts = load_model(model, **options)  # type: ignore[arg-type]
        name = model
    else:
        name, module = type(model).__name__, model
        facts = _described(module, **options)  # type: ignore[arg-type]
    if with_heatmap and not facts.layer:
        raise InputError(f"{name}: has no layer with a grid of cells to read a heatmap from")
    return write(name, module, facts, target, with_heatmap=with_heatmap, xfer=__version__)


def _described(
    module: nn.Module,
    *,
    size: int | None,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    classes: Sequence[str] | None,
    any_labels: bool,
    layer: str | None,
) -> Facts:
    """The facts of a module, as far as they are told; the names are counted where the network runs."""
    name = type(module).__name__
    if size is None:
        raise InputError(f"{name}: say for faces of which 'size' in px it is")
    device, dtype = place(module)
    if device.type != "cpu" or dtype != torch.float32:
        raise InputError(f"{name}: is {dtype} on {device}; export a copy in float32 on the CPU: model.cpu().float()")
    check_finite(module)
    with still(module), torch.no_grad():
        count = module(torch.zeros(2, 3, size, size)).shape[-1]
    names = named(classes, count, any_labels=any_labels) if classes else ()
    facts = Facts(size, triple(mean or 0.0), triple(1.0 if std is None else std), names)
    return replace(facts, layer=layer_name(module, size, layer))
