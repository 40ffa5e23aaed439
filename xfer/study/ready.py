"""The network of a unit, ready to be explained: trained, drawn at random, or taken as it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from xfer import models, training
from xfer.models import layers, starting
from xfer.progress import Stage
from xfer.study import randomised
from xfer.study.black_boxes import BlackBox
from xfer.study.folder import CHECKPOINTS
from xfer.training import Fitted, GuidedLoss, Loss
from xfer.training.guided import guide_facts

if TYPE_CHECKING:
    from xfer.study.unit import Unit


@dataclass(frozen=True)
class Ready:
    """A network that is to be explained, and what the shard says of it.

    Attributes
    ----------
    model : nn.Module
    layer : Layer or None
        Where its maps are read; None for a black box.
    facts : mapping
    remarks : tuple of str
    """

    model: nn.Module
    layer: layers.Layer | None
    facts: Mapping[str, Any]
    remarks: tuple[str, ...]


def prepared(unit: "Unit", progress: Stage) -> Ready:
    """Train, or find trained; a network with randomised weights is drawn, a black box opened.

    Raises
    ------
    InputError, TrainingError
        What ends this unit and no other.
    """
    if unit.randomised is not None:
        return _randomised(unit, unit.randomised)
    if unit.black_box is not None:
        return _asked(unit, unit.black_box)
    settings, classes = unit.settings, unit.pixels.classes
    model = models.build(
        unit.network, len(classes), size=settings.size, seed=settings.seed, output_stride=unit.output_stride
    )
    starting.begin(model, unit.network, unit.start, size=settings.size, seed=settings.seed)
    layer = layers.heatmap_layer(model, settings.size)
    fitted = training.fit(
        model,
        unit.pixels,
        unit.train,
        unit.validation,
        settings,
        loss=_loss(unit, model),
        name=unit.name,
        folder=unit.home / CHECKPOINTS,
        device=unit.device,
        **vars(unit.ranks),
        key=unit.trained,
        facts={"guide": guide_facts(unit.guide)} if unit.guide else {},
        progress=progress,
    )
    return Ready(model, layer, _facts(unit, model, layer, fitted), fitted.remarks)


def _loss(unit: "Unit", model: nn.Module) -> Loss:
    if unit.guide is None or unit.control == "none":
        return training.cross_entropy
    return GuidedLoss(model, unit.guide, unit.pixels.classes, unit.settings.size)


def _randomised(unit: "Unit", seed: int) -> Ready:
    """A network with randomised weights."""
    model = randomised.network(
        unit.network, unit.pixels, unit.train, unit.settings, seed, unit.device, unit.output_stride
    )
    layer = layers.heatmap_layer(model, unit.settings.size)
    return Ready(model, layer, {**_key(unit, seed), "coarse": layer.reason, "randomised": True}, ())


def _asked(unit: "Unit", box: BlackBox) -> Ready:
    """A network that is taken as it is."""
    model = box.open(unit.pixels.classes, unit.settings.threads)
    facts = {
        **_key(unit, unit.settings.seed),
        "coarse": "",
        "parameters": model.network.parameter_count,
        "size": unit.settings.size,
        "precision": "32",
        "weights_digest": box.digest,
        "lacking": box.lacking(unit.pixels.classes),
    }
    return Ready(model, None, facts, tuple(box.remarks(unit.pixels.classes)))


def _key(unit: "Unit", seed: int) -> dict[str, Any]:
    """The part of the key that a shard has once."""
    return {"model": unit.network, "guide": unit.control, "fold": unit.fold, "seed": str(seed)}


def _facts(unit: "Unit", model: nn.Module, layer: layers.Layer, fitted: Fitted) -> dict[str, Any]:
    """What the shard says of the network besides its maps; nothing that two runs could differ in."""
    return {
        **_key(unit, unit.settings.seed),
        "coarse": layer.reason,
        "parameters": models.parameter_count(model),
        "size": unit.settings.size,
        "epochs": unit.settings.epochs,
        "epoch": fitted.epoch,
        "batch": fitted.batch,
        "precision": fitted.precision,
        "validation_accuracy": fitted.accuracy,
        "n_train": len(unit.pixels.labelled(unit.train)),
        "n_validation": len(unit.pixels.labelled(unit.validation)),
        "weights_digest": fitted.digest,
        "checkpoint": unit.name,
    }
