"""Twins: networks trained from the same weights on the same faces in the same order, guided or not, and compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from xfer import models
from xfer.errors import InputError, unknown
from xfer.guidance import CONTROLS, Guide, Maps, layers
from xfer.progress import Stage, silent
from xfer.scoring import read_threshold
from xfer.study import arms as kinds
from xfer.study import black_boxes, folder, gathering, model_card, networks, plan, provenance, twin_assembly, twin_cards
from xfer.study.arms import Arm, Arms
from xfer.study.assembly import Finished
from xfer.study.claiming import claim
from xfer.study.computing import work
from xfer.study.engine import Engine
from xfer.study.engine import settle as settle_engine
from xfer.study.gathering import Gathered
from xfer.study.independence import require_judge, require_no_circle, require_other_people
from xfer.study.looking import JUDGED, Truth, coarse
from xfer.study.places import writing
from xfer.study.plan import Plan
from xfer.study.recognition import SHOWN
from xfer.study.results import config_digest
from xfer.study.stages import now, record, recorded
from xfer.study.twin import Twin
from xfer.study.twin_study import TwinStudy
from xfer.training import Settings
from xfer.training.crew import by_the_first
from xfer.training.ranks import Ranks
from xfer.training.settings import usable_precision

LOOKING = ("metrics", "nulls/trivial", "study/looking", "study/twin", "study/twins")
"""The rooms and files that the table of every face comes from besides."""

EXPLAINED = {"quick": 25}
"""Test faces an expression that a preset explains."""


@dataclass(frozen=True)
class TwinPlan:
    """A twin study before it runs.

    Attributes
    ----------
    plan : Plan
        Of the one network; its guide is that of ``au``.
    arms : Arms
    seeds : tuple of int
    truth : Truth
    """

    plan: Plan
    arms: Arms
    seeds: tuple[int, ...]
    truth: Truth

    @property
    def guide(self) -> Guide:
        """Whose layer and maps every arm is looked at with."""
        return _guide(self.plan)


@by_the_first
def guide_network(
    model: str,
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
) -> TwinStudy:
    """Train twins of a network, guided by Action Units and by controls, and write what the Action Units did.

    Parameters
    ----------
    model : str
        One network: NAME or ``timm:NAME``.
    out : path or URL, optional
        The study folder; ``reports/<data>-<preset>-guide-<digest>`` by default.
    fresh, workers, engine, devices, nodes, strategy, faces, progress
        As for `xfer.study.networks.compare_networks`.
    **options
        Those of `settle`.

    Returns
    -------
    TwinStudy

    Raises
    ------
    InputError
        For anything that a user can mend; what is finished is kept.
    TrainingError
        If no twin finished.
    """
    if faces not in SHOWN:
        raise unknown("--faces", faces, SHOWN)
    began = now()
    ranks = Ranks(devices, nodes, strategy)
    where = settle_engine(engine, ranks, workers)
    chosen = settle(model, ranks=ranks, out=out, fresh=fresh, **options)
    home, whole = chosen.plan.home, chosen.plan
    with claim(home, whole.config, fresh=fresh, nodes=nodes, progress=progress), where.kept():
        record(home, "options", now() - began)
        gathered = gathering.gather(home, whole, progress, where)
        require_other_people(gathered.dataset, gathered.folds)
        units = describe(chosen, gathered)
        worked = work(home, whole, gathered, units, where, progress, kind=Twin)
        failed = [(unit, result) for unit, result in worked if isinstance(result, str)]
        lost = {unit.digest for unit, _ in failed}
        done = [each["digest"] for each in units if each["digest"] not in lost]
        twin_assembly.write(home, whole, chosen.truth, gathered, Finished(done, [], failed), progress)
        study = TwinStudy(home)
        with recorded(home, "report"):
            for card in twin_cards.of_study(study):
                model_card.write(home, card)
            step = progress("report", 1)
            study.report(faces=faces)
            step()
    return study


def settle(
    model: str,
    *,
    controls: Sequence[str] | None = None,
    ablate: str | None = None,
    seeds: int = 8,
    seed: int = 0,
    explainer: str = "occlusion",
    masks: str | Path | Sequence[str | Path] = "ekman",
    guide_weight: float | None = None,
    guide_schedule: str | None = None,
    guide_warm_up: float | None = None,
    guide_layers: str | Sequence[str | int] | None = None,
    guide_loss: str | None = None,
    guide_masks: str | Path | None = None,
    output_stride: int | None = None,
    threshold: str | float = "area",
    explained: int | None = None,
    draws: int | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    **options: Any,
) -> TwinPlan:
    """Refuse everything that can be refused, circles among it; nothing is written.

    Parameters
    ----------
    model : str
    controls : sequence of str, optional
        Of `xfer.guidance.CONTROLS`; all by default. ``au`` and ``none`` are needed.
    ablate : {"layer", "weight", "codebook", "data"}, optional
        Compare variants of ``au`` with ``none`` in place of controls, see `xfer.study.arms.ablation`.
    seeds : int
        Trainings of every arm, from `seed` on. Of one seed all arms have the weights they begin with, the order of
        the faces and their changes in common.
    seed : int
        Also of drawn faces and of who is tested, the same for every training.
    explainer : {"occlusion", "integrated_gradients"}
        Whose maps are judged; never the guided layer.
    masks
        What they are judged by; must share nothing with `guide_masks`.
    guide_weight, guide_schedule, guide_warm_up, guide_layers, guide_loss, guide_masks, output_stride
        Of the guide, see `xfer.guidance.Guide`.
    threshold : str or float
        Of IoU: by default as many pixels as the mask has, so that maps of every contrast can be compared.
    explained : int, optional
        The most test faces of an expression that are explained, the same for all twins; 0 for all. `EXPLAINED` with
        the preset ``quick``, else all. Accuracies are of all test faces.
    draws : int, optional
        Behind every interval.
    **options
        Of `xfer.study.plan.settle`: data, expressions, min_faces, preset, drawn, pretrained, device ...

    Returns
    -------
    TwinPlan

    Raises
    ------
    InputError
        For anything a user can mend.
    """
    if seeds < 1:
        raise InputError(f"--seeds {seeds}: train every twin at least once")
    if ablate is not None and controls is not None:
        raise InputError("--ablate varies one setting of au; leave --controls out")
    if model.startswith(black_boxes.PREFIX):
        raise InputError(f"{model}: a network in ONNX is not trained, so nothing can guide it; name another")
    require_judge(explainer)
    whole = plan.settle(
        model,
        explainers=explainer,
        masks=masks,
        guide="au",
        guide_weight=guide_weight,
        guide_schedule=guide_schedule,
        guide_warm_up=guide_warm_up,
        guide_layers=guide_layers,
        guide_loss=guide_loss,
        guide_masks=guide_masks,
        output_stride=output_stride,
        metrics=list(JUDGED),
        threshold=threshold,
        per_class=EXPLAINED.get(options.get("preset", "quick"), 0) if explained is None else explained,
        draws=draws,
        randomised=0,
        folds=1,
        seed=seed,
        out=out,
        fresh=fresh,
        **options,
    )
    if len(whole.networks) > 1:
        raise InputError(f"xfer guide takes one network at a time; got {', '.join(n.name for n in whole.networks)}")
    network = whole.networks[0]
    size, base = network.settings.size, _guide(whole)
    built = models.build(network.name, len(whole.dataset.expressions), size=size, output_stride=base.output_stride)
    chosen = _arms(base, controls, ablate, built, size)
    guides = [arm.guide for arm in chosen.arms if arm.guide.control != "none"]
    require_no_circle(guides, whole.sources.masks, masks, explainer)
    for each in guides:
        Maps(each, whole.dataset.expressions)
    own = {
        "kind": folder.TWIN_KIND,
        "selection": "shown",
        "blocks": 1,
        "seeds": seeds,
        "ablate": ablate or "",
        **chosen.config(),
    }
    config = {**whole.config, **own, "modules": _modules(chosen, base, built, size)}
    home = writing(out) if out else _default_folder(config)
    settled = replace(whole, config=config, home=home)
    return TwinPlan(settled, chosen, tuple(range(seed, seed + seeds)), truth_of(settled))


def _guide(whole: Plan) -> Guide:
    """The one network's, of the control ``au``."""
    guide = whole.networks[0].guide
    assert guide is not None
    return guide


def _arms(base: Guide, controls: Sequence[str] | None, ablate: str | None, model: nn.Module, size: int) -> Arms:
    if ablate is None:
        return kinds.controls(list(CONTROLS) if controls is None else controls, base)
    return kinds.ablation(ablate, base, layers.stages(model, size) if ablate == "layer" else ())


def _modules(chosen: Arms, base: Guide, model: nn.Module, size: int) -> dict[str, str]:
    """The module that each layer is which a guide of the study names."""
    asked = dict.fromkeys(layer for guide in (base, *(arm.guide for arm in chosen.arms)) for layer in guide.layers)
    return {str(each): layers.find(model, (each,), size, base.output_stride)[0].name for each in asked}


def _default_folder(config: dict[str, Any]) -> Path:
    """``reports/<data>-<preset>-guide-<digest8>`` under the working directory."""
    return Path("reports") / f"{config['source']}-{config['preset']}-guide-{config_digest(config)[:8]}"


def describe(chosen: TwinPlan, gathered: Gathered) -> list[dict[str, Any]]:
    """The units, seed by seed, but for where their pictures and files are."""
    whole, (fold,) = chosen.plan, gathered.folds
    sources = whole.versions(plan.TRAINING), whole.versions(plan.EXPLAINING)
    truth = chosen.truth
    settings = whole.networks[0].settings
    looking = {
        "source": provenance.source_digest(LOOKING),
        "truth": provenance.digest_bytes([truth.masks.tobytes(), truth.support.tobytes()]),
        "threshold": str(truth.threshold),
        "guide": whole.config["guide"],
        "methods": methods(settings, whole.device),
    }
    units = []
    for seed in chosen.seeds:
        network = whole.networks[0]
        network = replace(network, settings=network.settings.change(seed=seed))
        for arm in chosen.arms.arms:
            guided = replace(network, guide=arm.guide.change(seed=seed))
            part = replace(fold, train=kinds.some_subjects(gathered.dataset, fold.train, arm.share, seed))
            unit = networks.described(whole, gathered, guided, part, *sources)
            unit["digest"] = config_digest(
                {"unit": unit["digest"], "arm": arm.name, **looking, "first": chosen.seeds[0]}
            )
            own = {
                "arm": arm.name,
                "looked_at": _looked_at(chosen, arm),
                "truth": truth,
                "floors": seed == chosen.seeds[0],
            }
            units.append({**unit, **own, "methods": looking["methods"], "drawn_by": chosen.seeds[0]})
    return units


def _looked_at(chosen: TwinPlan, arm: Arm) -> Guide:
    """Whose layer and maps an arm is looked at with: the study's, or where layers are varied its own layer."""
    if chosen.plan.config["ablate"] != "layer" or arm.guide.control == "none":
        return chosen.guide
    return chosen.guide.change(layers=arm.guide.layers)


def methods(settings: Settings, device: str) -> dict[str, dict[str, Any]]:
    """Occlusion in 50 forwards a face, in the precision of training: windows of a quarter of the picture's side, an
    eighth apart; gradients at 16 points of the way.

    >>> methods(Settings(size=64), "cpu")["perturbation"]
    {'window': 16, 'stride': 8, 'autocast': False}
    """
    fast = usable_precision(settings.precision, torch.device(device))[0] == "bf16"
    window = {"window": settings.size // 4, "stride": settings.size // 8, "autocast": fast}
    return {"perturbation": window, "gradient": {"steps": 16}}


def truth_of(whole: Plan) -> Truth:
    """The leading source's masks of the study's expressions."""
    source = whole.sources.masks[0]
    known = [e for e in whole.dataset.expressions if e in source.coords["expression"].values]
    if len(known) < 2:
        raise InputError(
            f"--masks {source.name}: two expressions of the data need a mask; got {', '.join(known) or 'none'}"
        )
    return Truth(
        tuple(known),
        coarse(source.sel(expression=known).values),
        coarse(whole.sources.support.astype(np.float32)) >= 0.5,
        read_threshold(whole.config["threshold"]),
    )
