"""What a study of networks will do, settled whole before anything runs: its configuration and its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xfer import clustering, explainers, geometry, mask_sources, models, scoring
from xfer.datasets import Dataset
from xfer.errors import InputError, unknown
from xfer.geometry import CanonicalFrame
from xfer.mask_sources import MaskSources
from xfer.metrics.thresholds import rule
from xfer.models import starting
from xfer.models.starting import Start
from xfer.study import faces, folder, provenance, results
from xfer.training import Settings, preset, variant


@dataclass(frozen=True)
class Protocol:
    """What a preset says besides how each network is trained.

    Attributes
    ----------
    faces, pixels : int
        Drawn faces, and their side in px, for the data set ``synthetic``.
    folds : int
        1 for a single split.
    selection : {"true", "predicted"}
        Faces of a heatmap by their label, or as the published study by what the network predicts.
    per_class : int
        The most faces of a heatmap; 0 for all.
    blocks : int
        The most blocks of subjects whose sums are kept apart.
    """

    faces: int
    pixels: int
    folds: int = 1
    selection: str = "true"
    per_class: int = 0
    blocks: int = 100


PROTOCOLS: Mapping[str, Protocol] = {
    "quick": Protocol(faces=4200, pixels=96, blocks=30),
    "standard": Protocol(faces=20_000, pixels=224, folds=5),
    "paper": Protocol(faces=4200, pixels=224, folds=5, selection="predicted", per_class=100),
}


ROOMS = (
    "labels", "registry", "geometry", "datasets", "landmarkers", "landmarking", "models", "warping", "heatmaps",
    "explainers", "training", "study",
)  # fmt: skip
"""The rooms that a unit's numbers come from."""


@dataclass(frozen=True)
class Network:
    """A network of the study: how it is trained and what it starts from."""

    name: str
    settings: Settings
    start: Start
    weights_digest: str

    def config(self) -> dict[str, Any]:
        """Its table in ``study.toml``; no path."""
        source = Path(self.start.source).name if self.start.kind == "file" else self.start.source
        told = {"start_kind": self.start.kind, "start_source": source, "start_reason": self.start.reason}
        return {**self.settings.config(), **told, "weights_digest": self.weights_digest}


@dataclass(frozen=True)
class Plan:
    """A study before it runs."""

    config: dict[str, Any]
    dataset: Dataset
    networks: tuple[Network, ...]
    sources: MaskSources
    frame: CanonicalFrame
    device: str

    @property
    def versions(self) -> dict[str, str]:
        """What touches a unit's numbers besides the configuration: the device's type, sources and libraries."""
        kind = self.device.partition(":")[0]
        return {"device": kind, "source": provenance.source_digest(ROOMS), **provenance.library_versions()}

    @property
    def default_folder(self) -> Path:
        """``reports/<data>-<preset>-<digest8>`` under the working directory."""
        return (
            Path("reports")
            / f"{self.config['source']}-{self.config['preset']}-{results.config_digest(self.config)[:8]}"
        )


def settle(
    *,
    networks: str,
    data: str,
    expressions: Sequence[str] | None,
    min_faces: int | None,
    chosen_explainers: str | Sequence[str],
    masks: str | Path | Sequence[str | Path],
    support: str | None,
    preset_name: str,
    pretrained: str,
    weight_files: Mapping[str, Path],
    folds: int | None,
    seed: int,
    device: str,
    metrics: Sequence[str] | str,
    threshold: str | float,
    linkage: str,
    landmarker: str,
    per_face: bool,
    overrides: Mapping[str, Any],
) -> Plan:
    """Everything that can be refused is refused here; nothing is written.

    Raises
    ------
    InputError
        For anything a user can mend.
    """
    if preset_name not in PROTOCOLS:
        raise unknown("--preset", preset_name, PROTOCOLS)
    if linkage not in clustering.METHODS:
        raise unknown("linkage", linkage, clustering.METHODS)
    names, replaced = choose(networks, preset_name)
    methods = [e.name for e in explainers.choose(chosen_explainers)]
    metric_names = scoring.metric_names(metrics)
    rule(scoring.read_threshold(threshold))
    sources = mask_sources.load(masks, support=support)
    frame = geometry.load_frame("xfer")
    if sources.support.shape != (frame.height, frame.width):
        raise InputError(f"--masks are {sources.support.shape}, the frame is {(frame.height, frame.width)}")
    protocol = PROTOCOLS[preset_name]
    dataset = faces.open_faces(
        data,
        expressions=expressions,
        min_faces=min_faces,
        faces=overrides.get("faces_drawn", protocol.faces),
        size=protocol.pixels,
        seed=seed,
    )
    own = {k: v for k, v in overrides.items() if k not in ("faces_drawn", "per_class")}
    where = device_name(device)
    settings = {name: preset(preset_name, name, seed=seed, **own) for name in names}
    settled = _networks(settings, len(dataset.expressions), preset_name, pretrained, weight_files)
    config = {
        "format": folder.FORMAT,
        "kind": "models",
        "source": folder.slug(dataset.name),
        "preset": preset_name,
        "seed": seed,
        "folds": protocol.folds if folds is None else folds,
        "selection": protocol.selection,
        "per_class": overrides.get("per_class", protocol.per_class),
        "blocks": protocol.blocks,
        "device": where.partition(":")[0],
        "models": names,
        "in_place_of": replaced,
        "explainers": methods,
        "per_face": per_face,
        "data": {"landmarker": landmarker, "crop": faces.default_crop(data), **faces.facts(dataset)},
        **results.described(sources),
        "metrics": metric_names,
        "threshold": str(threshold),
        "linkage": linkage,
        "networks": {network.name: network.config() for network in settled},
    }
    return Plan(config, dataset, settled, sources, frame, where)


def choose(networks: str, preset_name: str) -> tuple[list[str], dict[str, str]]:
    """The networks asked for, and for each variant that the preset trains in place of one of ``all`` that one's name.

    >>> choose("songnet", "quick")
    (['songnet'], {})
    """
    asked = {n.strip() for n in networks.split(",")}
    names: list[str] = []
    replaced: dict[str, str] = {}
    for name in models.choose(networks):
        trained = name if name in asked else variant(preset_name, name)
        if trained != name:
            replaced[trained] = name
        if trained not in names:
            names.append(trained)
    return names, replaced


def device_name(device: str) -> str:
    """``cpu`` or ``cuda:i`` for ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.

    Raises
    ------
    InputError
        If there is no such device.
    """
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and (kind != "cuda" or not number.isdigit())):
        raise unknown("--device", device, ("auto", "cpu", "cuda", "cuda:0"))
    if kind == "cpu" or (kind == "auto" and not torch.cuda.is_available()):
        return "cpu"
    there = torch.cuda.device_count()
    if int(number or 0) >= there:
        raise InputError(f"--device {device}: there are {there} CUDA devices; give --device auto or cpu")
    return f"cuda:{number or 0}"


def _networks(
    settings: Mapping[str, Settings], classes: int, preset_name: str, pretrained: str, files: Mapping[str, Path]
) -> tuple[Network, ...]:
    for name, chosen in settings.items():
        if chosen.size < models.spec(name).min_input:
            raise InputError(
                f"model {name!r} needs faces of at least {models.spec(name).min_input} px; "
                f"--preset {preset_name} gives {chosen.size} px"
            )
    starts = starting.settle(
        {name: chosen.size for name, chosen in settings.items()}, classes, pretrained=pretrained, weights=files
    )
    return tuple(_network(name, settings[name], starts[name], classes, preset_name) for name in settings)


def _network(name: str, settings: Settings, start: Start, classes: int, preset_name: str) -> Network:
    if start.kind == "scratch":
        return Network(name, settings, start, "")
    declared = models.spec(name)
    if start.kind == "imagenet" and preset_name != "paper":
        settings = settings.change(mean=declared.mean, std=declared.std)
    model = models.build(name, classes, size=settings.size, seed=settings.seed)
    digest = starting.begin(model, name, start, size=settings.size, seed=settings.seed)
    return Network(name, settings, start, digest)
