"""Black boxes: networks that a study gets whole, in ONNX; it trains nothing of them, it only asks what they answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xfer import explainers as explaining
from xfer.errors import InputError, unknown
from xfer.models.facts import Facts
from xfer.models.onnx import OnnxNetwork
from xfer.models.starting import Start

PREFIX = "onnx:"

LEAD, SUBSTITUTE = "grad_cam", "occlusion"
"""The explainer that leads where none is asked for, or all are; and where some network gives no gradients."""

LEAST = float(torch.finfo(torch.float32).min)
"""The logit of an expression that a network has no class for: its probability is 0."""


@dataclass(frozen=True)
class BlackBox:
    """A file and what is made of it.

    Attributes
    ----------
    path : Path
    digest : str
        Of the file, see `xfer.onnx_files.Opened`.
    facts : Facts
        Classes are named.
    options : mapping
        ``layout``, ``colour`` and ``outputs`` of `OnnxNetwork` where they are given.
    """

    path: Path
    digest: str
    facts: Facts
    options: Mapping[str, Any]

    @property
    def start(self) -> Start:
        """What the study says it began as."""
        return Start("onnx", f"{self.path.name} (sha256 {self.digest[:12]})")

    def config(self) -> dict[str, Any]:
        """What ``study.toml`` keeps of it besides its start; no path."""
        told = {"size": self.facts.size, "mean": list(self.facts.mean), "std": list(self.facts.std)}
        return {**told, "classes": list(self.facts.classes), **self.options}

    def lacking(self, expressions: Iterable[str]) -> list[str]:
        """The expressions that it has no class for."""
        return [each for each in expressions if each not in self.facts.classes]

    def unused(self, expressions: Iterable[str]) -> list[str]:
        """Its classes that are none of some expressions."""
        wanted = set(expressions)
        return [each for each in self.facts.classes if each not in wanted]

    def remarks(self, expressions: Iterable[str]) -> list[str]:
        """What a reader must know of its classes."""
        lacking, unused = self.lacking(expressions), self.unused(expressions)
        found = [f"no part in its answers: {', '.join(unused)}, which no face shows"] if unused else []
        return found + ([f"no class of {', '.join(lacking)}, whose faces it cannot recognise"] if lacking else [])

    def open(self, expressions: Sequence[str], threads: int = 0) -> "Answering":
        """The network, with a logit for each of the expressions.

        Raises
        ------
        InputError
            If the file is no longer the one that was settled, or cannot be run.
        """
        facts = self.facts
        network = OnnxNetwork(
            self.path, size=facts.size, mean=facts.mean, std=facts.std, classes=facts.classes, any_labels=True,
            threads=threads, **self.options,
        )  # fmt: skip
        if network.digest != self.digest:
            raise InputError(f"{self.path}: has changed since the study began; give another --out")
        return Answering(network, expressions)


class Answering(nn.Module):
    """A network whose logits stand for some expressions, in their order.

    The network's other classes take no part; an expression that it has no class for has the logit `LEAST`.

    Parameters
    ----------
    network : OnnxNetwork
        Its classes are named.
    expressions : sequence of str
    """

    gradients = False

    def __init__(self, network: OnnxNetwork, expressions: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        known = {each: column for column, each in enumerate(network.facts.classes)}
        self._there = [i for i, each in enumerate(expressions) if each in known]
        self._columns = [known[expressions[i]] for i in self._there]
        self._count = len(expressions)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (face, expression) of faces (face, 3, y, x)."""
        found = self.network(images)
        logits = found.new_full((len(found), self._count), LEAST)
        logits[:, self._there] = found[:, self._columns]
        return logits


def name(model: str) -> str:
    """What a network is called in a study: one in ONNX as its file without folder and ending.

    >>> name("onnx:nets/theirs.onnx"), name("songnet")
    ('onnx:theirs', 'songnet')
    """
    return PREFIX + Path(model.removeprefix(PREFIX)).stem if model.startswith(PREFIX) else model


def paths(models: Iterable[str]) -> dict[str, Path]:
    """The files of the networks in ONNX among some, by the network's name in the study.

    Raises
    ------
    InputError
        If two have the same name.
    """
    found: dict[str, Path] = {}
    for model in models:
        if not model.startswith(PREFIX):
            continue
        path = Path(model.removeprefix(PREFIX))
        if name(model) in found:
            raise InputError(f"--models: {found[name(model)]} and {path} are both called {name(model)}; rename one")
        found[name(model)] = path
    return found


def settle(
    files: Mapping[str, Path], options: Mapping[str, Mapping[str, Any]], expressions: Sequence[str]
) -> dict[str, BlackBox]:
    """The networks in ONNX, by their name in the study, each opened once.

    Parameters
    ----------
    files : mapping of str to Path
        By name.
    options : mapping of str to mapping
        Per name, or for all under "", arguments of `OnnxNetwork`.
    expressions : sequence of str
        Those of the data.

    Raises
    ------
    InputError
        If a file cannot be run, its classes have no names or fewer than two of the expressions, or options are for a
        network that there is not.
    """
    if options and not files:
        raise InputError("--size, --mean, --std, --labels and --any-labels are for networks in ONNX; there is none")
    for which in options:
        if which and which not in files:
            raise unknown("network in ONNX", which, files)
    common = options.get("", {})
    return {own: _opened(own, path, {**common, **options.get(own, {})}, expressions) for own, path in files.items()}


def _opened(called: str, path: Path, options: Mapping[str, Any], expressions: Sequence[str]) -> BlackBox:
    network = OnnxNetwork(path, **options)
    facts = network.facts
    if not facts.classes:
        raise InputError(f"{called}: the file does not tell what its classes are; name them in their order, --labels")
    if len(shared := [each for each in expressions if each in facts.classes]) < 2:
        raise InputError(
            f"{called}: has classes for {', '.join(shared) or 'none'} of {', '.join(expressions)}; two are needed: "
            f"its classes are {', '.join(facts.classes)}"
        )
    kept = {key: value for key, value in options.items() if key in ("layout", "colour", "outputs") and value}
    return BlackBox(path.absolute(), network.digest, replace(facts, layer=""), kept)


def methods(
    explainers: str | Sequence[str] | None, boxes: Iterable[str], others: Iterable[str]
) -> tuple[list[str], tuple[str, ...]]:
    """The explainers of a study, the leading one first, and what must be said of the choice.

    A network in ONNX gives no gradients. The leading explainer is the first that applies to every network.

    Parameters
    ----------
    explainers : str or sequence of str, optional
        As asked for.
    boxes, others : iterable of str
        The networks in ONNX and those that are trained.

    Raises
    ------
    InputError
        If no explainer applies to the networks in ONNX.

    Examples
    --------
    >>> methods(None, [], ["songnet"])
    (['grad_cam'], ())
    >>> methods("grad_cam,lime", ["onnx:theirs"], ["songnet"])[0]
    ['lime', 'grad_cam']
    """
    who, mixed = ", ".join(boxes), any(True for _ in others)
    if not who:
        return _named(explainers, LEAD), ()
    if explainers is None:
        return [SUBSTITUTE], (f"{SUBSTITUTE} explains in place of {LEAD}: {who} gives no gradients",)
    asked = _named(explainers, SUBSTITUTE)
    gone = _misfits(asked)
    applying = [each for each in asked if each not in gone]
    if not applying:
        known = [each for each in explaining.EXPLAINERS if each not in _misfits(explaining.EXPLAINERS)]
        raise InputError(f"--explainers: {who} gives no gradients, which {', '.join(asked)} asks for; add {_or(known)}")
    if not mixed:
        return applying, ((f"{', '.join(gone)}: left out, {who} gives no gradients",) if gone else ())
    if asked[0] not in gone:
        return asked, ()
    ordered = [applying[0], *(each for each in asked if each != applying[0])]
    return ordered, (f"{applying[0]} leads the report, since {asked[0]} does not apply to {who}",)


def _named(explainers: str | Sequence[str] | None, lead: str) -> list[str]:
    """Names of explainers in the order asked for; of all of them one leads."""
    chosen = [each.name for each in explaining.choose(LEAD if explainers is None else explainers)]
    return sorted(chosen, key=lambda each: explainers == "all" and each != lead)


class _Silent(nn.Module):
    """What all networks in ONNX have in common."""

    gradients = False


def _misfits(asked: Iterable[str]) -> dict[str, str]:
    """Which explainers no network in ONNX takes, and why."""
    return explaining.misfits(_Silent(), torch.zeros(1, 3, 1, 1), asked)


def _or(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]])
