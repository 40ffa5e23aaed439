"""A network of a study before it runs: which it is, how it is trained, what it starts from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xfer import models as registered
from xfer.errors import InputError
from xfer.guidance import Guide
from xfer.models import starting
from xfer.models.starting import Start
from xfer.study import provenance
from xfer.study.black_boxes import BlackBox
from xfer.training import Settings, presets
from xfer.training.ranks import Ranks


@dataclass(frozen=True)
class Network:
    """A network of the study: how it is trained and what guides it, or a black box asked, and what it starts from."""

    name: str
    settings: Settings
    start: Start
    weights_digest: str
    black_box: BlackBox | None = None
    guide: Guide | None = None

    def config(self) -> dict[str, Any]:
        """Its table in ``study.toml``; no path."""
        source = Path(self.start.source).name if self.start.kind == "file" else self.start.source
        told = {"start_kind": self.start.kind, "start_source": source}
        stride = {"output_stride": self.guide.output_stride if self.guide else 0}
        own = self.black_box.config() if self.black_box else {**self.settings.config(), **stride}
        return {**own, **told, "weights_digest": self.weights_digest}


def choose(networks: str, preset: str) -> tuple[list[str], dict[str, str]]:
    """The networks asked for, and for each variant that the preset trains in place of one of ``all`` that one's name.

    >>> choose("songnet", "quick")
    (['songnet'], {})
    """
    asked = {n.strip() for n in networks.split(",")}
    names: list[str] = []
    replaced: dict[str, str] = {}
    for name in registered.choose(networks):
        trained = name if name in asked else presets.variant(preset, name)
        if trained != name:
            replaced[trained] = name
        if trained not in names:
            names.append(trained)
    return names, replaced


def file_digest(name: str, path: Path, networks: Collection[str]) -> str:
    """The digest of a file of starting weights, given for one of the networks."""
    if name not in networks:
        raise InputError(f"--weights {name}={path}: the run has no network {name!r}, but {', '.join(networks)}")
    if not Path(path).is_file():
        raise InputError(f"--weights {name}={path}: there is no such file")
    return provenance.digest_bytes([Path(path).read_bytes()])


def require_sizes(settings: Mapping[str, Settings]) -> None:
    """Refuse faces that are too small for a network."""
    for name, chosen in settings.items():
        if chosen.size < (least := registered.spec(name).min_input):
            raise InputError(f"model {name!r} needs faces of at least {least} px; this preset's are {chosen.size} px")


def require_whole_batches(settings: Mapping[str, Settings], ranks: Ranks, device: str) -> None:
    """Refuse networks that need to see a whole batch where several processors train them."""
    if ranks.processes > 1 and device == "cpu":
        for name, chosen in settings.items():
            with torch.device("meta"):
                model = registered.build(name, 2, size=chosen.size)
            ranks.require_whole_batches(model, name, device)


def starts(
    settings: Mapping[str, Settings],
    classes: int,
    pretrained: str,
    files: Mapping[str, Path],
    known: Mapping[str, Mapping[str, Any]],
) -> dict[str, Start]:
    """What each network starts from; one that began from scratch for want of weights does not change its mind."""
    held = [name for name in settings if known.get(name, {}).get("start_kind") == "scratch" and pretrained == "auto"]
    sizes = {name: chosen.size for name, chosen in settings.items() if name not in held or name in files}
    found = starting.settle(sizes, classes, pretrained=pretrained, weights=files)
    reason = "no ImageNet weights when the study began"
    old = {name: Start("scratch", "", reason if registered.spec(name).pretrained else "") for name in held}
    return {name: found.get(name) or old[name] for name in settings}


def boxed(name: str, box: BlackBox, preset: str, seed: int) -> Network:
    """A black box; its settings say how faces go in, nothing of them is training's but the seed and the threads."""
    asked = Settings(box.facts.size, mean=box.facts.mean, std=box.facts.std, seed=seed)
    return Network(name, asked.change(threads=presets.preset(preset, name).threads), box.start, box.digest, box)


def begun(name: str, settings: Settings, start: Start, classes: int, preset: str) -> Network:
    """A network that is trained, from what it starts from."""
    if start.kind == "scratch":
        return Network(name, settings, start, "")
    declared = registered.spec(name)
    if start.kind == "imagenet" and preset != "paper":
        settings = settings.change(mean=declared.mean, std=declared.std)
    model = registered.build(name, classes, size=settings.size, seed=settings.seed)
    digest = starting.begin(model, name, start, size=settings.size, seed=settings.seed)
    return Network(name, settings, start, digest)
