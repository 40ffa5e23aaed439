"""A network under examination: still while looked at, afterwards as it was."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from xfer.errors import InputError

__all__ = ["check_finite", "check_gradients", "hooked", "place", "still"]


@contextmanager
def still(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and frozen parameters inside the block; every module and parameter as it was afterwards.

    Modes are set module by module, not by ``model.eval()``: an overridden ``train`` may change weights.
    """
    modes = [(module, module.training) for module in model.modules()]
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for module, _ in modes:
            module.training = False
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter in trainable:
            parameter.requires_grad_(True)


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Callable[..., Any]]]) -> Iterator[None]:
    """Forward hooks on some modules that are gone after the block."""
    handles: list[Any] = []
    try:
        for module, hook in hooks:
            handles.append(module.register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


def place(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """The device and floating type of a network's input: those of its first floating parameter or buffer.

    >>> place(nn.Conv2d(3, 4, 3).double())
    (device(type='cpu'), torch.float64)
    """
    for _, tensor in _floating(model):
        return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.get_default_dtype()


def check_finite(model: nn.Module) -> None:
    """Refuse weights that are not finite.

    A sum per tensor, read from the device once; only where it is not finite are the values looked at one by one,
    since a sum can overflow.

    Raises
    ------
    InputError
        With the name of the first such parameter or buffer and how many of its values are not finite.
    """
    named = list(_floating(model))
    if not named:
        return
    home = named[0][1].device
    sums = torch.stack([tensor.sum(dtype=_wide(tensor)).to(home, torch.float32) for _, tensor in named])
    for suspect in (~sums.isfinite()).nonzero().flatten().tolist():
        name, tensor = named[suspect]
        bad = int((~tensor.isfinite()).sum())
        if bad:
            raise InputError(
                f"{type(model).__name__}: {bad} of {tensor.numel()} values of {name!r} are not finite: "
                "its training diverged or the file is damaged"
            )


def check_gradients(model: nn.Module, methods: Sequence[str]) -> None:
    """Refuse methods that ask for gradients where a network says, by an attribute ``gradients = False``, it has none.

    Raises
    ------
    InputError
        With the methods' names.
    """
    if methods and not getattr(model, "gradients", True):
        raise InputError(
            f"{', '.join(methods)}: {type(model).__name__} gives logits but no gradients; take a method that only asks "
            "for logits"
        )


def _floating(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if tensor.is_floating_point():
            yield name, tensor.detach()


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
