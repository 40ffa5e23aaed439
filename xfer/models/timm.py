"""``timm:NAME``: any network that timm has."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import nn

from xfer.errors import InputError
from xfer.models import ModelSpec, Triple

MIN_INPUT = 32


def resolve(name: str) -> ModelSpec:
    """What ``timm:NAME`` declares, by timm's own table.

    Parameters
    ----------
    name : str
        ``timm:NAME`` or ``timm:NAME.TAG`` with the tag of its weights.

    Raises
    ------
    InputError
        If timm has no such network or no such weights.

    Examples
    --------
    >>> resolve("timm:vit_small_patch16_224").input_size
    224
    """
    short = name.removeprefix("timm:")
    architecture, dot, tag = short.partition(".")
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), n=1)
        hint = f" (did you mean 'timm:{near[0]}'?)" if near else ""
        raise InputError(f"model {name!r}: timm {timm.__version__} has no such network{hint}")
    if dot and tag not in _tags(architecture):
        known = ", ".join(_tags(architecture)) or "none"
        raise InputError(f"model {name!r}: timm {timm.__version__} has no weights {tag!r} for it, but {known}")
    declared = get_pretrained_cfg(short)
    if declared is None:
        raise InputError(f"model {name!r}: timm {timm.__version__} does not say for which input it is made")
    return ModelSpec(
        name=name,
        function=partial(_build, short),
        input_size=declared.input_size[-1],
        min_input=MIN_INPUT,
        reference=f"timm {short}, doi:10.5281/zenodo.4414861",
        tags=("timm",),
        pretrained=bool(declared.has_weights),
        weights=short if declared.has_weights else "",
        mean=_triple(declared.mean),
        std=_triple(declared.std),
        strided=True,
    )


def options(name: str, size: int) -> dict[str, Any]:
    """What timm must be told to build a network for faces of `size` px: ``img_size``, where its tokens are counted."""
    declared = get_pretrained_cfg(name)
    return {"img_size": size} if declared is not None and declared.fixed_input_size else {}


def _triple(values: Sequence[float]) -> Triple:
    red, green, blue = values
    return red, green, blue


def _tags(architecture: str) -> list[str]:
    names = timm.list_pretrained(f"{architecture}.*")
    return [n.partition(".")[2] for n in names]


def _build(name: str, classes: int, size: int, output_stride: int = 0) -> nn.Module:
    """The network, after one grey face of the size has gone through it."""
    stride: dict[str, Any] = {"output_stride": output_stride} if output_stride else {}
    try:
        model = timm.create_model(name, num_classes=classes, **options(name, size), **stride).eval()
        with torch.no_grad():
            model(torch.zeros(1, 3, size, size))
        return model.train()
    except (AssertionError, NotImplementedError, RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        if stride and _builds(name, classes, size):
            raise InputError(f"model 'timm:{name}' cannot have an output stride of {output_stride}: {why}") from error
        raise InputError(f"model 'timm:{name}' cannot be built for faces of {size} px: {why}") from error


def _builds(name: str, classes: int, size: int) -> bool:
    try:
        _build(name, classes, size)
    except InputError:
        return False
    return True
