"""Weights in files: read strictly, written safely, told apart by a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.models import spec

Shapes = Mapping[str, tuple[int, ...]]

PICKLES = (b"PK\x03\x04", b"\x80")
"""How torch.save's archives and bare pickles begin."""
NAMED = 2


def digest(state: nn.Module | Mapping[str, Tensor]) -> str:
    """SHA-256 over the tensors in order of their names, with their kinds and shapes.

    >>> digest({"a": torch.zeros(2)}) == digest({"a": torch.zeros(2)}) != digest({"a": torch.zeros(1, 2)})
    True
    """
    tensors = state.state_dict() if isinstance(state, nn.Module) else state
    total = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        total.update(json.dumps([name, str(values.dtype), list(values.shape)]).encode())
        total.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def write(model: nn.Module, path: Path) -> None:
    """A network's weights as safetensors, written aside and moved in; shared tensors once for each name."""
    state = {name: values.detach().cpu().clone().contiguous() for name, values in model.state_dict().items()}
    aside = path.with_name(f"{path.name}.part")
    save_file(state, aside)
    aside.replace(path)


def read(model: nn.Module, path: Path, name: str) -> None:
    """Load a safetensors file into a network, in place; the network is untouched if the file does not fit.

    Parameters
    ----------
    model : nn.Module
    path : Path
    name : str
        The network's name, for messages.

    Raises
    ------
    InputError
        If the file is missing, a pickle, cut off, for another network, or holds numbers that are not finite.
    """
    check(path, name, _shapes(model.state_dict()))
    with safe_open(path, "pt", device="cpu") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    for key, values in state.items():
        if values.is_floating_point() and not values.isfinite().all():
            raise InputError(f"{_flag(name, path)}: tensor {key!r} holds numbers that are not finite")
    model.load_state_dict(state, strict=True)


def check(path: Path, name: str, expected: Shapes) -> None:
    """Raise what `read` would about the file's kind, names and shapes, from its header alone."""
    found = _header(path, name)
    missing = [f"{k!r}" for k in expected if k not in found]
    foreign = [f"{k!r}" for k in found if k not in expected]
    other = [
        f"{k!r} {_size(found[k])} instead of {_size(expected[k])}"
        for k in expected
        if k in found and found[k] != expected[k]
    ]
    kinds = (("missing", missing), ("unknown", foreign), ("of another shape", other))
    differences = [f"{len(keys)} {kind} ({_some(keys)})" for kind, keys in kinds if keys]
    if differences:
        raise InputError(f"{_flag(name, path)}: the weights are for another network: tensors {', '.join(differences)}")


def expected_shapes(name: str, classes: int, size: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a network's tensors, without its memory.

    >>> expected_shapes("songnet", 6, 224)["classifier.0.weight"]
    (6, 6272)
    """
    with torch.device("meta"):
        return _shapes(spec(name).function(classes, size).state_dict())


def _header(path: Path, name: str) -> dict[str, tuple[int, ...]]:
    where = _flag(name, path)
    if not path.is_file():
        raise InputError(f"{where}: there is no such file")
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(PICKLES):
        raise InputError(
            f"{where}: this is a pickle, which can run any code when opened; save the weights with "
            "safetensors.torch.save_file"
        )
    try:
        with safe_open(path, "pt", device="cpu") as opened:
            return {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{where}: cut off or no safetensors file ({error})") from error


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(values.shape) for name, values in state.items()}


def _flag(name: str, path: Path) -> str:
    return f"--weights {name}={path}"


def _some(items: list[str]) -> str:
    return ", ".join(items[:NAMED]) + (", ..." if len(items) > NAMED else "")


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "scalar"
