"""What a study of networks will do, settled whole before anything runs: its configuration and its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from xfer import clustering, geometry, mask_sources, scoring
from xfer.datasets import Dataset
from xfer.errors import InputError, unknown
from xfer.geometry import CanonicalFrame
from xfer.mask_sources import MaskSources
from xfer.metrics.thresholds import rule
from xfer.models import starting
from xfer.study import black_boxes, faces, folder, guiding, network, provenance, results
from xfer.study.hiding import hiding_settings
from xfer.study.network import Network, choose
from xfer.study.places import config_of, writing
from xfer.study.protocols import PROTOCOLS
from xfer.training import presets
from xfer.training.ranks import ONE, Ranks

TRAINING = (
    "labels", "tables", "config", "geometry", "masks", "rasteriser", "datasets", "landmarkers", "landmarking", "models",
    "explainers/tap", "explainers/layers", "guidance", "training", "study/dealing", "study/faces", "study/gathering",
    "study/landmark_shards",
)  # fmt: skip
"""The rooms and files that weights come from."""
EXPLAINING = (
    "warping", "heatmaps", "explainers", "onnx_files", "study/unit", "study/ready", "study/parts", "study/black_boxes",
    "study/explaining", "study/selecting", "study/face_maps", "study/accumulation", "study/sums", "study/shards",
)  # fmt: skip
"""Those that heatmaps come from besides."""
RANDOMISING = ("study/randomised",)
"""And those of networks with randomised weights."""


@dataclass(frozen=True)
class Plan:
    """A study before it runs."""

    home: Path
    config: dict[str, Any]
    landmarker: str
    dataset: Dataset
    networks: tuple[Network, ...]
    sources: MaskSources
    frame: CanonicalFrame
    device: str
    notes: tuple[str, ...] = ()
    ranks: Ranks = ONE

    def versions(self, rooms: tuple[str, ...]) -> dict[str, str]:
        """What touches a unit's numbers besides the configuration: the device's type, sources and libraries."""
        kind, more = self.device.partition(":")[0], provenance.EXPLAINERS if rooms == EXPLAINING else ()
        return {"device": kind, "source": provenance.source_digest(rooms), **provenance.library_versions(*more)}


def settle(
    models: str = "all",
    *,
    data: str = "synthetic",
    expressions: Sequence[str] | None = None,
    min_faces: int | None = None,
    explainers: str | Sequence[str] | None = None,
    perturbation: Mapping[str, Any] | None = None,
    masks: str | Path | Sequence[str | Path] = "ekman",
    support: str | None = None,
    preset: str = "quick",
    pretrained: str = "auto",
    weights: Mapping[str, Path] | Sequence[str] = (),
    folds: int | None = None,
    seed: int = 0,
    device: str = "auto",
    metrics: Sequence[str] | str = "all",
    threshold: str | float = "otsu",
    linkage: str = "average",
    draws: int | None = None,
    randomised: int | None = None,
    landmarker: str = "mediapipe",
    per_face: bool = False,
    drawn: int | None = None,
    per_class: int | None = None,
    training: Mapping[str, Any] | None = None,
    onnx: Mapping[str, Mapping[str, Any]] | None = None,
    guide: str | None = None,
    guide_weight: float | None = None,
    guide_schedule: str | None = None,
    guide_warm_up: float | None = None,
    guide_layers: str | Sequence[str | int] | None = None,
    guide_loss: str | None = None,
    guide_masks: str | Path | None = None,
    output_stride: int | None = None,
    ranks: Ranks = ONE,
    out: str | Path | None = None,
    fresh: bool = False,
) -> Plan:
    """Refuse everything that can be refused; nothing is written.

    Parameters
    ----------
    models : str
        ``all``, a tag, or names with commas between them; ``timm:NAME`` too, and ``onnx:PATH``, which is not trained.
    data : str
        As `xfer.datasets.open` takes.
    expressions : sequence of str, optional
        Those to tell apart; all that have enough faces by default.
    min_faces : int, optional
        Expressions with fewer faces are left out, and named; 30 by default, for drawn faces 1.
    explainers : str or sequence of str, optional
        ``all`` or names of `xfer.explainers.EXPLAINERS`; the first that every network takes leads the report. GradCAM
        by default, with networks in ONNX occlusion; see `black_boxes.methods`.
    perturbation : mapping, optional
        Settings of the methods that hide parts of a face, see `xfer.explainers.perturbation.Perturbation`: ``samples``,
        ``segments``, ``baseline`` ...
    masks : name, folder or several
        Mask sources, ``human:DIR`` for a folder of people's maps; the first leads the report.
    support : {"frame", "canvas"}, optional
        Pixels that count.
    preset : {"quick", "standard", "paper", "belharbi2024"}
    pretrained : {"auto", "yes", "no"}
        Whether networks start from ImageNet weights where the published study's did.
    weights : mapping or sequence of ``NAME=FILE``
        Starting weights of single networks, safetensors.
    folds : int, optional
        Cross-validation folds that share no subject; 1 is a single split. The preset's by default.
    seed : int
    device : {"auto", "cpu", "cuda", "cuda:i"}
    metrics, threshold
        See `xfer.scoring.score`.
    linkage : {"average", "complete", "single", "weighted"}
        How the dendrograms join clusters.
    draws : int, optional
        Random maps of a null, bootstrap draws and permutations behind every interval and p-value, 0 for none of them;
        the preset's by default.
    randomised : int, optional
        How many times each network is explained with randomised weights, on up to `study.randomised.FACES` of the
        test faces an expression: a null model (Adebayo et al. 2018, doi:10.48550/arXiv.1810.03292), which has a p-value
        from 19 times on. 0 for not at all; the preset's by default. Without `draws` there are no nulls.
    landmarker : str
        As `xfer.landmarkers.open` takes; faces that come with landmarks keep those.
    per_face : bool
        Keep the maps of single faces too.
    drawn : int, optional
        Faces of ``synthetic``; the preset's by default.
    per_class : int, optional
        The most faces of a heatmap, 0 for all; the preset's by default.
    training : mapping, optional
        Settings of training in place of the preset's, see `xfer.training.Settings`.
    onnx : mapping of str to mapping, optional
        Per network in ONNX, by its name in the study (``onnx:`` and the file's name without its ending), or for all
        under "": ``size``, ``mean``, ``std``, ``classes`` ... of `xfer.models.onnx.OnnxNetwork`.
    guide : {"none", "au", "template", "shuffled", "random"}, optional
        Which maps networks are trained to look at, see `xfer.guidance.CONTROLS`; the preset's by default.
    guide_weight, guide_schedule, guide_warm_up, guide_layers, guide_loss, guide_masks, output_stride
        See `xfer.study.guiding.settle`; the preset's by default.
    ranks : Ranks
        How many processes train a network together; their number is part of the configuration where it is not 1.
    out : path or URL, optional
        The study folder; ``reports/<data>-<preset>-<digest>`` by default, of what is asked for. What networks start
        from is settled once: where the folder has a study, as that one has it.
    fresh : bool
        Take no notice of a study that is there.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        For anything a user can mend.
    """
    if preset not in PROTOCOLS:
        raise unknown("--preset", preset, PROTOCOLS)
    if linkage not in clustering.METHODS:
        raise unknown("linkage", linkage, clustering.METHODS)
    names, replaced = choose(models, preset)
    paths = black_boxes.paths(names)
    trained = [name for name in names if not name.startswith(black_boxes.PREFIX)]
    if not trained and guide not in (None, "none"):
        raise InputError(
            f"--guide {guide}: a network in ONNX is not trained, so nothing can guide it; leave --guide out"
        )
    methods, notes = black_boxes.methods(explainers, paths, trained)
    hiding = hiding_settings(perturbation or {})
    metric_names = scoring.metric_names(metrics)
    rule(scoring.read_threshold(threshold))
    sources = mask_sources.load(masks, frame="xfer", support=support)
    frame = geometry.load_frame("xfer")
    if sources.support.shape != (frame.height, frame.width):
        raise InputError(f"--masks are {sources.support.shape}, the frame is {(frame.height, frame.width)}")
    protocol = PROTOCOLS[preset]
    where = device_name(device)
    ranks.require(where)
    changes = {**(training or {}), "processes": ranks.processes}
    settings = {name: presets.preset(preset, name, seed=seed, **changes) for name in trained}
    network.require_sizes(settings)
    network.require_whole_batches(settings, ranks, where)
    count = protocol.faces if drawn is None else drawn
    dataset = faces.open_faces(
        data, expressions=expressions, min_faces=min_faces, faces=count, size=protocol.pixels, seed=seed
    )
    boxes = black_boxes.settle(paths, onnx or {}, dataset.expressions)
    boxed = {name: network.boxed(name, box, preset, seed) for name, box in boxes.items()}
    names = [black_boxes.name(name) for name in names]
    guided = guiding.settle(
        preset,
        guide,
        weight=guide_weight,
        schedule=guide_schedule,
        warm_up=guide_warm_up,
        layers=guide_layers,
        loss=guide_loss,
        masks=guide_masks,
        output_stride=output_stride,
        seed=seed,
    )
    guided = guided if trained else None
    guides = guiding.require(guided, settings, dataset.expressions, strict=output_stride is not None)
    files = weights if isinstance(weights, Mapping) else starting.pairs(weights)
    config = {
        "format": folder.FORMAT,
        "kind": "models",
        "source": folder.slug(dataset.name),
        "preset": preset,
        "seed": seed,
        "folds": protocol.folds if folds is None else folds,
        "selection": protocol.selection,
        "per_class": protocol.per_class if per_class is None else per_class,
        "blocks": protocol.blocks,
        "device": where.partition(":")[0],
        "models": names,
        "in_place_of": replaced,
        "explainers": methods,
        **({"perturbation": hiding} if hiding else {}),
        "per_face": per_face,
        "data": {"landmarker": _named(landmarker), "crop": faces.default_crop(data), **faces.facts(dataset)},
        **results.described(sources),
        "metrics": metric_names,
        "threshold": str(threshold),
        "linkage": linkage,
        "draws": results.check_draws(protocol.draws if draws is None else draws),
        "randomised": _times(protocol.randomised if randomised is None else randomised),
        "guide": guiding.described(guided),
        "pretrained": pretrained,
        "weights": {name: network.file_digest(name, path, settings) for name, path in files.items()},
        "networks": {name: (boxed.get(name) or settings[name]).config() for name in names},
    }
    home = writing(out) if out else _default_folder(config)
    known = {} if fresh else (config_of(home) or {}).get("networks", {})
    starts = network.starts(settings, len(dataset.expressions), pretrained, files, known)
    settled = tuple(
        boxed.get(name)
        or replace(
            network.begun(name, settings[name], starts[name], len(dataset.expressions), preset), guide=guides[name]
        )
        for name in names
    )
    config["networks"] = {each.name: each.config() for each in settled}
    return Plan(home, config, landmarker, dataset, settled, sources, frame, where, notes, ranks)


def _times(randomised: int) -> int:
    if randomised < 0:
        raise InputError(f"--randomised {randomised}: say how many times weights are drawn, or 0 for not at all")
    return randomised


def _default_folder(config: Mapping[str, Any]) -> Path:
    """``reports/<data>-<preset>-<digest8>`` under the working directory."""
    return Path("reports") / f"{config['source']}-{config['preset']}-{results.config_digest(config)[:8]}"


def _named(landmarker: str) -> str:
    """A landmarker without the place of its file."""
    kind, colon, path = landmarker.partition(":")
    return f"{kind}:{Path(path).name}" if colon else kind


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
