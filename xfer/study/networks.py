"""A study of networks: faces, training, heatmaps, scores and report, each finished piece kept and never made twice."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from xfer.errors import InputError, TrainingError
from xfer.models import starting
from xfer.study import assembly, engine, folder, gathering, plan, shards
from xfer.study.dealing import Fold
from xfer.study.gathering import Gathered
from xfer.study.plan import Network, Plan
from xfer.study.recognition import MEAN_FACE, SHARDS, UNITS
from xfer.study.results import Stage, config_digest, silent
from xfer.study.study import Study
from xfer.study.unit import Done, Unit, compute


def compare_networks(
    networks: str = "all",
    *,
    data: str = "synthetic",
    expressions: Sequence[str] | None = None,
    min_faces: int | None = None,
    explainers: str | Sequence[str] = "grad_cam",
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
    landmarker: str = "mediapipe",
    per_face: bool = False,
    out: str | Path | None = None,
    fresh: bool = False,
    workers: int | None = None,
    faces: str = "mean",
    progress: Stage = silent,
    until: str = "report",
    **overrides: Any,
) -> Study:
    """Train networks on faces, explain them, and compare their heatmaps with masks.

    Parameters
    ----------
    networks : str
        ``all``, a tag, or names with commas between them; ``timm:NAME`` too.
    data : str
        As `xfer.datasets.open` takes.
    expressions : sequence of str, optional
        Those to tell apart; all that have enough faces by default.
    min_faces : int, optional
        Expressions with fewer faces are left out, and named; 30 by default, for drawn faces 1.
    explainers : str or sequence of str
        ``all`` or names of `xfer.explainers.EXPLAINERS`; the first leads the report.
    masks : name, folder or several
        Mask sources; the first leads the report.
    support : {"frame", "canvas"}, optional
        Pixels that count.
    preset : {"quick", "standard", "paper"}
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
    landmarker : str
        As `xfer.landmarkers.open` takes; faces that come with landmarks keep those.
    per_face : bool
        Keep the maps of single faces too.
    out : path, optional
        The study folder; ``reports/<data>-<preset>-<digest>`` by default.
    fresh : bool
        Set a study that is in `out` aside instead of resuming it.
    workers : int, optional
        Networks worked on side by side; by default as many as cores allow. The numbers do not depend on it.
    faces : {"mean", "none", "all"}
        Whose pictures the report shows.
    progress : callable, optional
        Told of every stage and step.
    until : {"training", "report"}
        Where to stop; the same call without it goes on from there.
    **overrides
        Settings of training in place of the preset's (`xfer.training.Settings`), ``faces_drawn`` and ``per_class``.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        For anything that a user can mend; what is finished is kept.
    TrainingError
        If no network finished.
    """
    chosen = plan.settle(
        networks=networks,
        data=data,
        expressions=expressions,
        min_faces=min_faces,
        chosen_explainers=explainers,
        masks=masks,
        support=support,
        preset_name=preset,
        pretrained=pretrained,
        weight_files=weights if isinstance(weights, Mapping) else starting.pairs(weights),
        folds=folds,
        seed=seed,
        device=device,
        metrics=metrics,
        threshold=threshold,
        linkage=linkage,
        landmarker=landmarker,
        per_face=per_face,
        overrides=overrides,
    )
    home = Path(out) if out else chosen.default_folder
    with folder.claim(home, chosen.config, fresh=fresh):
        gathered = gathering.gather(home, chosen, progress)
        units = [_describe(chosen, gathered, network, fold) for fold in gathered.folds for network in chosen.networks]
        failed = _work(home, chosen, gathered, units, workers, progress, until)
        if until == "training":
            return Study(home)
        lost = {unit.digest for unit, _ in failed}
        done = [each["digest"] for each in units if each["digest"] not in lost]
        assembly.write(home, chosen, gathered, done, failed, progress)
        study = Study(home)
        step = progress("report", 1)
        study.report(faces=faces)
        step()
    return study


def _work(
    home: Path,
    chosen: Plan,
    gathered: Gathered,
    described: Sequence[dict[str, Any]],
    workers: int | None,
    progress: Stage,
    until: str,
) -> list[tuple[Unit, str]]:
    """Compute the units that are not finished; those that failed, with the reason."""
    pending = [each for each in described if until == "training" or not _has_shard(home, each["digest"])]
    sizes = {each["settings"].size for each in pending}
    if gathering.needs_baselines(home, gathered, chosen):
        sizes.add(min(network.settings.size for network in chosen.networks))
    if not (home / MEAN_FACE).is_file():
        sizes.add(max(network.settings.size for network in chosen.networks))
    failed = []
    with gathered.pictures(sizes, home, progress) as pixels:
        gathering.baselines(home, gathered, chosen, pixels, progress)
        gathering.portrait(home, gathered, chosen.frame, pixels, progress)
        units = [Unit(**each, pixels=pixels[each["settings"].size], home=home, until=until) for each in pending]
        for unit, result in engine.run(units, compute, _side_by_side(units, chosen.device, workers), progress):
            if isinstance(result, Done):
                _log(home, unit, result)
            else:
                failed.append((unit, _reason(result)))
    return failed


def _describe(chosen: Plan, gathered: Gathered, network: Network, fold: Fold) -> dict[str, Any]:
    """A unit but for where its pictures and files are; its digests cover everything the numbers follow from."""
    config = chosen.config
    trained = config_digest(
        {
            "network": network.name,
            **network.config(),
            "faces": gathered.digest,
            "fold": gathered.fold_digest(fold),
            "classes": gathered.dataset.expressions,
            "threads": network.settings.threads or torch.get_num_threads(),
            **chosen.versions,
        }
    )
    explained = {name: config[name] for name in ("explainers", "selection", "per_class", "blocks", "per_face")}
    frame = {"frame": chosen.frame.digest, "support": config["support_digest"]}
    return {
        "network": network.name,
        "fold": fold.name,
        "trained": trained,
        "digest": config_digest({"trained": trained, **explained, **frame}),
        "settings": network.settings,
        "start": network.start,
        "device": chosen.device,
        "train": fold.train,
        "validation": fold.validation,
        "test": fold.test,
        "blocks": gathered.blocks(fold, config["blocks"]),
        "explainers": tuple(config["explainers"]),
        "selection": config["selection"],
        "per_class": config["per_class"],
        "frame": chosen.frame.name,
        "per_face": config["per_face"],
    }


def _has_shard(home: Path, digest: str) -> bool:
    """Whether a unit is finished; a damaged shard is thrown away."""
    path = home / SHARDS / f"{digest}.npz"
    if not path.is_file():
        return False
    try:
        shards.read(path)
    except InputError:
        path.unlink()
        return False
    return True


def _side_by_side(units: Sequence[Unit], device: str, workers: int | None) -> int:
    if device != "cpu" or not units:
        return 1
    return workers or min(engine.workers_for(unit.settings.threads) for unit in units)


def _log(home: Path, unit: Unit, done: Done) -> None:
    line = {"unit": unit.digest, "model": unit.network, "fold": unit.fold, "until": unit.until, **vars(done)}
    with (home / UNITS).open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")


def _reason(error: Exception) -> str:
    """One line of why a unit failed; what no user can mend says what kind of error it was."""
    text = " ".join(str(error).split()) or "no reason given"
    return text if isinstance(error, InputError | TrainingError) else f"{type(error).__name__}: {text}"
