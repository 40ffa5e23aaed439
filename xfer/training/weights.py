"""Weights on disk: safetensors, whole files or none."""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from xfer.errors import InputError

FORMAT = 1
_FACTS = "xfer"


def write_weights(path: Path, state: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> str:
    """Write a state dict with facts about it; the same state and facts make the same bytes.

    Returns
    -------
    str
        The file's digest.
    """
    whole = {name: _own(tensor) for name, tensor in state.items()}
    # one entry only: safetensors writes several in an order of the process's own
    told = {_FACTS: json.dumps({"format": FORMAT, **(facts or {})}, sort_keys=True)}
    put(path, lambda aside: save_file(whole, aside, metadata=told))
    return digest(path)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A state dict and the facts `write_weights` wrote with it; no facts in files from elsewhere.

    Raises
    ------
    InputError
        If the file is missing, truncated, or no safetensors (a pickle is never opened).
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            facts = (file.metadata() or {}).get(_FACTS, "{}")
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(facts)  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}); pickles are not read") from None


def is_whole(path: Path) -> bool:
    """Whether a file of weights is there and not cut short; they are not read."""
    try:
        with safe_open(path, framework="pt"):
            return True
    except (SafetensorError, OSError):
        return False


def load_into(model: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Put weights into a network in place.

    Raises
    ------
    InputError
        If they belong to another architecture; the first names and shapes that differ are told.
    """
    own = model.state_dict()
    slips = [f"{name} is missing" for name in own if name not in state]
    slips += [f"{name} is not of this network" for name in state if name not in own]
    slips += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if slips:
        more = f" and {len(slips) - 3} more" if len(slips) > 3 else ""
        raise InputError(f"{where}: weights of another network: {'; '.join(slips[:3])}{more}")
    model.load_state_dict(dict(state))


def digest(path: Path) -> str:
    """The sha256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        whole = sha256()
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()


def put(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside `path`, then rename it: the old file or the new one, never half."""
    aside = path.with_name(f".{path.name}.{token_hex(8)}.tmp")
    try:
        write(aside)
        aside.replace(path)
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written ({error}); what is finished is kept") from error
    finally:
        aside.unlink(missing_ok=True)


def _own(tensor: Tensor) -> Tensor:
    """A tensor of its own in row-major order on the CPU, whatever it shares."""
    return tensor.detach().to("cpu", copy=True).contiguous(memory_format=torch.contiguous_format)
