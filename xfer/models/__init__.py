"""Networks: a size and a number of classes in, a torch module out, with what the published study did to each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import cast

import torch
from torch import nn

from xfer.errors import InputError, unknown
from xfer.registry import Registry

__all__ = [
    "MODELS",
    "ModelSpec",
    "build",
    "choose",
    "heads",
    "initialise",
    "operations",
    "parameter_count",
    "spec",
    "tags",
]

HEAD_STD = 0.01
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class ModelSpec:
    """A network and what it declares.

    Attributes
    ----------
    name : str
        As in ``--models NAME``.
    function : callable
        ``(classes, size) -> nn.Module``, or ``(classes, size, output_stride)`` where `strided`, for RGB faces
        (n, 3, size, size); returns logits (n, classes). The module has ``get_classifier()``, its last layer.
    input_size : int
        Side of the faces in the published study, in px.
    min_input : int
        The smallest side it takes, in px.
    reference : str
        The source, with its DOI where it has one.
    tags : tuple of str
        Groups for ``--models TAG``: ``published`` (the study's twelve), ``bn`` (a variant with BatchNorm), ``small``
        (under six million parameters).
    pretrained : bool
        Whether the study started it from ImageNet weights.
    weights : str
        timm's name of the ImageNet weights that fit; "" where there are none.
    mean, std : tuple of 3 float
        ``(face / 255 - mean) / std`` per channel, as `weights` expect it; the study itself divided by 255 only.
    strided : bool
        Whether it can be built with another output stride.
    """

    name: str
    function: Callable[..., nn.Module]
    input_size: int
    min_input: int
    reference: str
    tags: tuple[str, ...] = ()
    pretrained: bool = False
    weights: str = ""
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    strided: bool = False


MODELS: Registry[ModelSpec] = Registry("model", "xfer.models", ModelSpec)


def spec(name: str) -> ModelSpec:
    """What a network declares: an entry of `MODELS`, or ``timm:NAME``.

    Raises
    ------
    InputError
        If there is no such network, or it is ``onnx:PATH``, which comes whole and is never built.
    """
    if name.startswith("onnx:"):
        raise InputError(
            f"model {name!r}: a network in ONNX is neither built nor trained; 'xfer compare' evaluates and explains it "
            "as it is, and xfer.models.onnx.OnnxNetwork opens it"
        )
    if name.startswith("timm:"):
        from xfer.models.timm import resolve

        return resolve(name)
    return MODELS[name]


def build(name: str, classes: int, *, size: int | None = None, seed: int = 0, output_stride: int = 0) -> nn.Module:
    """A network from scratch, on the CPU.

    Parameters
    ----------
    name : str
        A name of `MODELS` or ``timm:NAME``.
    classes : int
        Number of logits.
    size : int, optional
        Side of the faces in px; the study's by default. Networks that flatten have their first dense layer made for
        it.
    seed : int
        All that is drawn at random follows from it; the global generator is left as it was.
    output_stride : {0, 8, 16, 32}
        px of the image per cell of the deepest layer; 0 for the network's own. Later strides become dilations, as timm
        has it, so that the weights stay the same.

    Returns
    -------
    nn.Module
        ``(n, 3, size, size) -> (n, classes)``, in training mode, see `initialise`.

    Raises
    ------
    InputError
        If there is no such network, the size is too small for it, or it has no choice of output strides.

    Examples
    --------
    >>> network = build("songnet", 6, size=64)
    >>> network(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 6])
    """
    chosen = spec(name)
    side = chosen.input_size if size is None else size
    if side < chosen.min_input:
        raise InputError(f"model {name!r} needs faces of at least {chosen.min_input} px; got {side} px")
    options = {"output_stride": output_stride} if output_stride else {}
    if options and not chosen.strided:
        strided = ", ".join(n for n, one in MODELS.items() if one.strided)
        raise InputError(
            f"model {name!r} has one output stride, its own; a choice have {strided} and some of timm:NAME"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = chosen.function(classes, side, **options)
    if not any(p.is_meta for p in model.parameters()):
        initialise(model, seed)
    return model


def initialise(model: nn.Module, seed: int) -> None:
    """Draw a network's starting weights, in place.

    The last layer is drawn with a standard deviation of 0.01, or 0.1 / sqrt(inputs) where that is less, and a bias of
    0, so that the first predictions are nearly even (AlexNet's 4,096 inputs start at 2.3 nats otherwise). The plain
    networks (AlexNet, VGG, SilNet, WeiNet, SongNet and their BatchNorm variants) are drawn anew as a whole after
    Kaiming (He et al. 2015, doi:10.1109/ICCV.2015.123; normal, fan in); the others keep the recipe they were built
    with, which follows `build`'s seed.

    Parameters
    ----------
    model : nn.Module
        On the CPU, with ``get_classifier()``.
    seed : int
    """
    from xfer.models.plain import Plain

    generator = torch.Generator().manual_seed(seed)
    last = heads(model)
    if isinstance(model, Plain):
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.reset_parameters()
            elif isinstance(module, nn.Conv2d | nn.Linear) and module not in last:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    for module in last:
        std = min(HEAD_STD, 0.1 * module.weight[0].numel() ** -0.5)
        nn.init.normal_(module.weight, std=std, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def heads(model: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """The layers that give the logits: one, or two in a distilled transformer."""
    get = cast(Callable[[], nn.Module | tuple[nn.Module, ...]], model.get_classifier)
    found = get()
    layers = found if isinstance(found, tuple) else (found,)
    return [m for layer in layers for m in layer.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def tags() -> list[str]:
    """The groups of networks, in order of the alphabet.

    >>> "published" in tags()
    True
    """
    return sorted({tag for entry in MODELS.values() for tag in entry.tags})


def choose(models: str) -> list[str]:
    """The networks that ``--models`` names, each once, in the order given.

    Parameters
    ----------
    models : str
        Names, tags, ``timm:NAME`` and ``onnx:PATH`` with commas between them; ``all`` is every network that is not a
        variant (tag ``bn``).

    Raises
    ------
    InputError
        If a name is unknown or none is given.

    Examples
    --------
    >>> choose("songnet,bn")[:3]
    ['songnet', 'alexnet_bn', 'silnet_bn']
    """
    names = [n.strip() for n in models.split(",") if n.strip()]
    if not names:
        raise InputError("--models names no network; write all, a tag or names with commas between them")
    return list(dict.fromkeys(found for name in names for found in _members(name)))


def _members(name: str) -> Iterator[str]:
    if name == "all":
        yield from (n for n, entry in MODELS.items() if "bn" not in entry.tags)
    elif name.startswith("onnx:"):
        yield name
    elif name in MODELS or name.startswith("timm:"):
        yield spec(name).name
    elif name in tags():
        yield from (n for n, entry in MODELS.items() if name in entry.tags)
    else:
        raise unknown("model", name, [*MODELS, "all", *tags(), "timm:NAME", "onnx:PATH"])


def parameter_count(model: nn.Module) -> int:
    """Parameters as the study's framework counts them: the running means and variances of normalisation with them.

    >>> parameter_count(nn.BatchNorm2d(3))
    12
    """
    running = (b for n, b in model.named_buffers() if n.endswith(("running_mean", "running_var")))
    return sum(t.numel() for t in (*model.parameters(), *running))


@cache
def operations(name: str, classes: int, size: int) -> int:
    """Multiplications and additions of one forward pass of one face; no weight is drawn for it.

    >>> operations("songnet", 6, 48)
    146058624
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = build(name, classes, size=size).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, size, size))
    return int(counter.get_total_flops())
