"""What each network starts from: its seed, ImageNet weights or a file; settled once, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import timm
import torch
from huggingface_hub import constants, try_to_load_from_cache
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from xfer.errors import InputError, unknown
from xfer.models import ModelSpec, heads, initialise, spec
from xfer.models import weights as files
from xfer.models.timm import options

Fetch = Callable[[ModelSpec, int], Mapping[str, Tensor]]

CHOICES = ("auto", "yes", "no")
TIMEOUT = 3.0
"""Seconds that the one check of a server may take."""
CACHED = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Start:
    """What a network starts from.

    Attributes
    ----------
    kind : {"scratch", "imagenet", "file", "onnx"}
        "onnx" is a network that was trained elsewhere and is not trained here.
    source : str
        The name of the ImageNet weights, or the file as it was given; "" from scratch.
    reason : str
        Why it starts from scratch though the study started it from ImageNet; "" otherwise.
    """

    kind: str
    source: str = ""
    reason: str = ""

    def __str__(self) -> str:
        if self.kind == "scratch":
            return f"from scratch ({self.reason})" if self.reason else "from scratch"
        if self.kind == "onnx":
            return f"trained elsewhere: {self.source}"
        return f"from {'ImageNet weights ' if self.kind == 'imagenet' else ''}{self.source}"


def pairs(options: Iterable[str]) -> dict[str, Path]:
    """``NAME=FILE`` of ``--weights`` as a table.

    >>> pairs(["songnet=song.safetensors"])
    {'songnet': PosixPath('song.safetensors')}

    Raises
    ------
    InputError
        If one has no ``=``, or a name comes twice.
    """
    found: dict[str, Path] = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not (name and equals and path):
            raise InputError(f"--weights {option}: write NAME=FILE.safetensors")
        if name in found:
            raise InputError(f"--weights {option}: {name!r} has weights already, {found[name]}")
        found[name] = Path(path)
    return found


def settle(
    sizes: Mapping[str, int],
    classes: int,
    *,
    pretrained: str = "auto",
    weights: Mapping[str, Path] | None = None,
    ask: Callable[[str], bool] | None = None,
    fetch: Fetch | None = None,
) -> dict[str, Start]:
    """What each network starts from, with every file looked at and every server asked once.

    Parameters
    ----------
    sizes : mapping of str to int
        The networks and the side of their faces in px.
    classes : int
    pretrained : {"auto", "yes", "no"}
        ``auto``: the networks that the study started from ImageNet do so where the weights are in the cache or their
        server answers, the others and the rest from scratch. ``yes``: they do or it is an error.
    weights : mapping of str to Path, optional
        Files of ``--weights``; they go before `pretrained`.
    ask : callable, optional
        Whether a server answers; `answers` by default.
    fetch : callable, optional
        Gets ImageNet weights into the cache; `obtain` by default.

    Raises
    ------
    InputError
        If a file does not fit its network or names none of them, or ImageNet weights asked for cannot be had.
    """
    if pretrained not in CHOICES:
        raise unknown("--pretrained", pretrained, CHOICES)
    given = weights or {}
    for name, path in given.items():
        if name not in sizes:
            raise InputError(f"--weights {name}={path}: the run has no network {name!r}, but {', '.join(sizes)}")
        files.check(path, name, files.expected_shapes(name, classes, sizes[name]))
    ask, fetch = ask or answers, fetch or obtain
    told: dict[str, bool] = {}
    starts = {}
    for name in sizes:
        declared = spec(name)
        if name in given:
            starts[name] = Start("file", str(given[name]))
        elif pretrained == "no" or not declared.pretrained:
            starts[name] = Start("scratch", "", "--pretrained no" if declared.pretrained else "")
        else:
            starts[name] = _imagenet(declared, sizes[name], pretrained == "yes", _server(declared, ask, told), fetch)
    return starts


def begin(model: nn.Module, name: str, start: Start, *, size: int, seed: int) -> str:
    """Give a network of `build` its starting weights, in place; the digest of all its tensors.

    Raises
    ------
    InputError
        If the file does not fit, or ImageNet weights cannot be loaded.
    """
    if start.kind == "file":
        files.read(model, Path(start.source), name)
    elif start.kind == "imagenet":
        initialise(model, seed)
        load_imagenet(model, spec(name), size=size)
    return files.digest(model)


def load_imagenet(model: nn.Module, declared: ModelSpec, *, size: int, file: Path | None = None) -> None:
    """Copy ImageNet weights into all of a network but the layers that give its logits.

    Parameters
    ----------
    model : nn.Module
    declared : ModelSpec
        With ``weights``.
    size : int
        Side of the faces in px: the positions of a transformer are interpolated to it.
    file : Path, optional
        The weights' file, instead of the server's.

    Raises
    ------
    InputError
        If they cannot be had or do not cover the network.
    """
    found = obtain(declared, size, file)
    own = _body(model)
    lacking = [k for k, v in own.items() if k not in found or found[k].shape != v.shape]
    if lacking:
        raise InputError(
            f"model {declared.name!r}: ImageNet weights {declared.weights!r} do not cover {len(lacking)} of its "
            f"tensors ({lacking[0]!r}, ...)"
        )
    model.load_state_dict({k: found[k] for k in own}, strict=False)


def obtain(declared: ModelSpec, size: int, file: Path | None = None) -> dict[str, Tensor]:
    """ImageNet weights by timm, from its cache, their server or a file; arguments as for `load_imagenet`."""
    overlay = {"file": str(file)} if file else None
    more = options(declared.weights, size)
    try:
        with torch.random.fork_rng(devices=[]):
            source = timm.create_model(
                declared.weights, pretrained=True, num_classes=1, pretrained_cfg_overlay=overlay, **more
            )
    except Exception as error:  # servers, caches and archives fail in ways that no list of types covers
        why = " ".join(str(error).split("\n", 1)[0].split()) or type(error).__name__
        message = f"model {declared.name!r}: ImageNet weights {declared.weights!r} were not loaded: {why}"
        raise InputError(message) from error
    return source.state_dict()


def answers(url: str) -> bool:
    """Whether the server of a URL answers within a few seconds, with whatever."""
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        with urlopen(Request(url, method="HEAD"), timeout=TIMEOUT):
            return True
    except HTTPError:
        return True
    except (OSError, ValueError):
        return False


def _imagenet(declared: ModelSpec, size: int, required: bool, why: str, fetch: Fetch) -> Start:
    if not why:
        try:
            fetch(declared, size)
        except InputError as error:
            why = str(error).partition(": ")[2]
    if not why:
        return Start("imagenet", declared.weights)
    if not required:
        return Start("scratch", "", why)
    raise InputError(f"--pretrained yes: {why}; write --pretrained auto, or --weights {declared.name}=FILE.safetensors")


def _server(declared: ModelSpec, ask: Callable[[str], bool], told: dict[str, bool]) -> str:
    """Why ImageNet weights cannot be had, by the cache and one question to each server; "" if they can."""
    cached, url = _origin(declared.weights)
    parts = urlsplit(url)
    if not cached and parts.netloc not in told:
        told[parts.netloc] = ask(f"{parts.scheme}://{parts.netloc}")
    if cached or told[parts.netloc]:
        return ""
    return f"ImageNet weights {declared.weights!r} are not in the cache and {parts.hostname} does not answer"


def _origin(weights: str) -> tuple[bool, str]:
    """Whether ImageNet weights are in the cache, and the server they come from otherwise."""
    declared = get_pretrained_cfg(weights)
    if declared is not None and declared.hf_hub_id:
        cached = any(isinstance(try_to_load_from_cache(declared.hf_hub_id, name), str) for name in CACHED)
        return cached, constants.ENDPOINT
    url = str(declared.url) if declared is not None else ""
    return (Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name).is_file(), url


def _body(model: nn.Module) -> dict[str, Tensor]:
    last = {id(p) for layer in heads(model) for p in layer.parameters()}
    return {k: v for k, v in model.state_dict(keep_vars=True).items() if id(v) not in last}
