"""A study of networks: faces, training, heatmaps, scores and report, each finished piece kept and never made twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xfer import landmarking
from xfer.errors import InputError, unknown
from xfer.progress import Stage, silent
from xfer.study import assembly, computing, gathering, guiding, model_card, parts, plan, randomised, stages
from xfer.study.assembly import Finished
from xfer.study.claiming import claim
from xfer.study.dealing import Fold
from xfer.study.engine import Engine, settle
from xfer.study.folder import CHECKPOINTS
from xfer.study.gathering import Gathered
from xfer.study.network import Network
from xfer.study.plan import Plan
from xfer.study.recognition import SHOWN
from xfer.study.results import config_digest
from xfer.study.study import Study
from xfer.study.unit import Done
from xfer.training.crew import by_the_first
from xfer.training.ranks import Ranks
from xfer.training.settings import usable_precision


@by_the_first
def compare_networks(
    models: str = "all",
    *,
    out: str | Path | None = None,
    fresh: bool = False,
    workers: int | None = None,
    engine: str | Engine = "local",
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    faces: str = "mean",
    progress: Stage = silent,
    **options: Any,
) -> Study:
    """Train networks on faces, explain them, and compare their heatmaps with masks.

    Parameters
    ----------
    models : str
        ``all``, a tag, or names with commas between them; ``timm:NAME`` too, and ``onnx:PATH``, which is not trained.
    out : path or URL, optional
        The study folder; ``reports/<data>-<preset>-<digest>`` by default.
    fresh : bool
        Set a study that is in `out` aside instead of resuming it.
    workers : int, optional
        Networks, their parts, and shards of landmarks worked on side by side at most; by default as many as cores
        allow. The numbers do not depend on it.
    engine : {"local", "ray"} or Engine
        Where: on this machine, or on a Ray cluster, see `xfer.study.engine.Ray`. The numbers do not depend on it.
    devices, nodes, strategy
        How many processes train a network together, see `xfer.training.ranks.Ranks`; all else is done by the first.
        Under torchrun and srun the others end when it is done (`SystemExit`).
    faces : {"mean", "none", "all"}
        Whose pictures the report shows.
    progress : callable, optional
        Told of every stage and step.
    **options
        Those of `xfer.study.plan.settle`: data, expressions, explainers, masks, preset, folds, seed ...

    Returns
    -------
    Study

    Raises
    ------
    InputError
        For anything that a user can mend; what is finished is kept.
    TrainingError
        If no network finished.

    Examples
    --------
    >>> study = compare_networks("songnet,resnet50", preset="quick", seed=1)  # doctest: +SKIP
    >>> study.table("iou")  # doctest: +SKIP
    """
    if faces not in SHOWN:
        raise unknown("--faces", faces, SHOWN)
    began = stages.now()
    ranks = Ranks(devices, nodes, strategy)
    where = settle(engine, ranks, workers)
    chosen = plan.settle(models, ranks=ranks, out=out, fresh=fresh, **options)
    home = chosen.home
    with claim(home, chosen.config, fresh=fresh, nodes=nodes, progress=progress), where.kept():
        stages.record(home, "options", stages.now() - began)
        gathered = gathering.gather(home, chosen, progress, where)
        units = describe(chosen, gathered)
        others = rivals(chosen, gathered, units)
        worked = computing.work(home, chosen, gathered, [*units, *others], where, progress)
        failed = [(unit, result) for unit, result in worked if isinstance(result, str)]
        lost = {unit.digest for unit, _ in failed}
        done = [each["digest"] for each in units if each["digest"] not in lost]
        drawn = [each["digest"] for each in others if each["digest"] not in lost]
        assembly.write(home, chosen, gathered, Finished(done, drawn, failed), progress, where)
        study = Study(home)
        with stages.recorded(home, "report"):
            for card in model_card.of_study(study):
                model_card.write(home, card)
            step = progress("report", 1)
            study.report(faces=faces)
            step()
    return study


@dataclass(frozen=True)
class Trained:
    """A network that `train` trained on one fold.

    Attributes
    ----------
    model, fold : str
    weights : Path
        Its safetensors; the log of the epochs lies beside it as csv.
    accuracy : float
        On test faces whose subjects took no part in training, in [0, 1].
    linear : float
        The linear classifier's on the same faces.
    failed : str
        Why there is none; "" where there is.
    """

    model: str
    fold: str
    weights: Path
    accuracy: float
    linear: float
    failed: str


@by_the_first
def train(
    models: str,
    *,
    out: str | Path | None = None,
    fresh: bool = False,
    workers: int | None = None,
    engine: str | Engine = "local",
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    progress: Stage = silent,
    **options: Any,
) -> list[Trained]:
    """Train networks as `compare_networks` would and stop there; that goes on in the same folder.

    Parameters and errors are those of `compare_networks`.
    """
    ranks = Ranks(devices, nodes, strategy)
    where = settle(engine, ranks, workers)
    chosen = plan.settle(models, ranks=ranks, out=out, fresh=fresh, **options)
    if whole := [network.name for network in chosen.networks if network.black_box]:
        raise InputError(f"{', '.join(whole)}: a network in ONNX is not trained; 'xfer compare' takes it as it is")
    home = chosen.home
    with claim(home, chosen.config, fresh=fresh, nodes=nodes, progress=progress), where.kept():
        gathered = gathering.gather(home, chosen, progress, where)
        units = describe(chosen, gathered)
        worked = computing.work(home, chosen, gathered, units, where, progress, until="training")
        linear = gathering.linear_accuracies(home)
        for unit, result in worked:
            if isinstance(result, Done):
                card = model_card.of_unit(chosen.config, unit, result.accuracy, linear.get(unit.fold, nan))
                model_card.write(home, card)
    return [
        Trained(
            unit.network,
            unit.fold,
            home / CHECKPOINTS / f"{unit.name}.safetensors",
            result.accuracy if isinstance(result, Done) else nan,
            linear.get(unit.fold, nan),
            result if isinstance(result, str) else "",
        )
        for unit, result in worked
    ]


def describe(chosen: Plan, gathered: Gathered) -> list[dict[str, Any]]:
    """The units, fold by fold, but for where their pictures and files are."""
    sources = chosen.versions(plan.TRAINING), chosen.versions(plan.EXPLAINING)
    return [
        described(chosen, gathered, network, fold, *sources) for fold in gathered.folds for network in chosen.networks
    ]


def described(
    chosen: Plan,
    gathered: Gathered,
    network: Network,
    fold: Fold,
    training: Mapping[str, str],
    explaining: Mapping[str, str],
) -> dict[str, Any]:
    """One unit; its digests cover everything the numbers follow from."""
    config, box = chosen.config, network.black_box
    settings = network.settings.change(threads=network.settings.threads or torch.get_num_threads())
    precision, _ = usable_precision(settings.precision, torch.device(chosen.device))
    trained = config_digest(
        {
            "network": network.name,
            **settings.config(),
            "precision": precision,
            "start": [network.start.kind, network.weights_digest],
            "faces": gathered.digest,
            "fold": gathered.fold_digest(fold),
            "classes": gathered.dataset.expressions,
            **({"black_box": box.config(), "onnxruntime": version("onnxruntime")} if box else {}),
            "guide": guiding.described(network.guide),
            **training,
        }
    )
    selection = {name: config[name] for name in ("selection", "per_class", "per_face")}
    hiding = config.get("perturbation", {})
    explained = {"explainers": config["explainers"], "blocks": config["blocks"], "perturbation": hiding}
    if len(fold.test) > parts.FACES:
        explained["part"] = parts.FACES
    return {
        "network": network.name,
        "fold": fold.name,
        "trained": trained,
        "digest": config_digest(
            {"trained": trained, "frame": chosen.frame.digest, **explaining, **explained, **selection}
        ),
        "settings": settings,
        "start": network.start,
        "device": "cpu" if box else chosen.device,
        "train": fold.train,
        "validation": fold.validation,
        "test": fold.test,
        "blocks": gathered.blocks(fold, config["blocks"]),
        "explainers": tuple(config["explainers"]),
        "methods": {"perturbation": hiding} if hiding else {},
        "black_box": box,
        "frame": chosen.frame.name,
        "guide": network.guide,
        **selection,
    }


def rivals(chosen: Plan, gathered: Gathered, units: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The units with randomised weights beside those that are trained; none where no null is drawn.

    They are explained by the leading explainer for the expression a face shows, whatever the others are selected by.
    """
    config = chosen.config
    if not config["draws"]:
        return []
    usable = landmarking.complete(gathered.points)
    some = {fold.name: randomised.faces(gathered.dataset, fold.test, usable, config["seed"]) for fold in gathered.folds}
    source = chosen.versions(plan.RANDOMISING)
    found = []
    for draw in range(1, config["randomised"] + 1):
        seed = randomised.seed_of(config["seed"], draw)
        for unit in (each for each in units if each["black_box"] is None):
            few = some[unit["fold"]]
            changes = {
                "digest": config_digest({"explained": unit["digest"], "randomised": seed, **source}),
                "randomised": seed,
                "test": unit["test"][few],
                "blocks": np.zeros(len(few), np.intp),
                "explainers": unit["explainers"][:1],
                "selection": "shown",
                "per_class": 0,
                "per_face": False,
            }
            found.append({**unit, **changes})
    return found
