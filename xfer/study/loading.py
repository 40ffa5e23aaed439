"""A network with its weights, by the name that the command line has for it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from torch import nn

from xfer import models
from xfer.errors import InputError
from xfer.explainers.state import check_finite
from xfer.models.facts import Facts, named, triple
from xfer.models.layers import heatmap_layer, layer_at
from xfer.models.onnx import OnnxNetwork
from xfer.models.weights import expected_shapes
from xfer.study import places
from xfer.study.folder import CHECKPOINTS, CONFIG, TWIN_KIND, command, slug
from xfer.study.unit import checkpoint_name
from xfer.training import Settings, load_into, read_weights

FORMS = "NAME=FILE.safetensors, timm:NAME=FILE.safetensors, STUDY_DIR#NAME, STUDY_DIR#NAME/FOLD or onnx:PATH"


def load_model(
    model: str,
    *,
    size: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    classes: Sequence[str] | None = None,
    any_labels: bool = False,
    layer: str | None = None,
    **onnx: Any,
) -> tuple[nn.Module, Facts]:
    """A network that has learnt something, and how it takes faces.

    Parameters
    ----------
    model : str
        ``NAME=FILE.safetensors`` or ``timm:NAME=FILE.safetensors`` with weights of one's own;
        ``STUDY_DIR#NAME`` or ``STUDY_DIR#NAME/FOLD`` from a study; ``onnx:PATH``.
    size, mean, std, classes
        See `Facts`. What is not given is read from the file, or else the architecture's size, mean 0 and std 1, and no
        names. A study knows its own.
    any_labels : bool
        Keep names of classes that are no expressions as they are.
    layer : str, optional
        Where heatmaps are read; the one that `xfer.models.layers.heatmap_layer` finds by default, if it finds one.
    **onnx
        ``layout``, ``colour`` and ``outputs`` of `OnnxNetwork`.

    Returns
    -------
    model : nn.Module
        On the CPU, in evaluation mode.
    facts : Facts

    Raises
    ------
    InputError
        If nothing is found there, it does not fit, or its weights are not finite.
    """
    given = {"size": size, "mean": mean, "std": std, "classes": classes}
    name, equals, file = model.partition("=")
    if model.startswith("onnx:"):
        if layer is not None:
            raise InputError(f"{model}: a network in ONNX has no layers to read heatmaps from; leave 'layer' out")
        opened = OnnxNetwork(model.removeprefix("onnx:"), any_labels=any_labels, **given, **onnx)  # type: ignore[arg-type]
        return opened.eval(), opened.facts
    if any(value is not None for value in onnx.values()):
        raise InputError(f"{model}: {', '.join(onnx)} are for onnx:PATH")
    if equals and (name in models.MODELS or name.startswith("timm:")):
        network, facts = _of_file(name, Path(file), given, any_labels)
    elif "#" in model:
        if told := [word for word, value in given.items() if value is not None]:
            raise InputError(f"{model}: a study knows its networks' {', '.join(told)}; leave that out")
        network, facts = _of_study(*model.rpartition("#")[::2])
    else:
        models.spec(name)  # a name that is not there is told first
        raise InputError(f"model {model!r} has no weights of its own; write {FORMS}")
    check_finite(network)
    return network.eval(), replace(facts, layer=layer_name(network, facts.size, layer))


def layer_name(model: nn.Module, size: int, layer: str | None = None) -> str:
    """Where heatmaps are read: at `layer`, or where `heatmap_layer` finds; "" where it finds none.

    Raises
    ------
    InputError
        If `layer` is not there or cannot be read.
    """
    if layer is not None:
        return layer_at(model, layer, size).name
    try:
        return heatmap_layer(model, size).name
    except InputError:
        return ""


def _of_file(name: str, file: Path, given: dict[str, Any], any_labels: bool) -> tuple[nn.Module, Facts]:
    """Weights of one's own, or a checkpoint."""
    state, told = read_weights(file)
    own = {k: given[k] if given[k] is not None else _settings(told, file).get(k) for k in ("size", "mean", "std")}
    size = int(own["size"] or models.spec(name).input_size)
    count = _classes(name, size, {key: tuple(tensor.shape) for key, tensor in state.items()})
    network = models.build(name, count, size=size, output_stride=_stride(told.get("guide")))
    load_into(network, state, f"{name}={file}")
    names = given["classes"] if given["classes"] is not None else told.get("classes", ())
    facts = Facts(size, triple(own["mean"] or 0.0), triple(own["std"] or 1.0))
    return network, replace(facts, classes=named(names, count, any_labels=any_labels)) if names else facts


def _stride(told: Any) -> int:
    """The output stride that a checkpoint or a study tells of; 0, the network's own, where it tells of none."""
    return int(told.get("output_stride", 0)) if isinstance(told, Mapping) else 0


def _settings(told: dict[str, Any], file: Path) -> dict[str, Any]:
    """Those that training left in a file; {} in files from elsewhere."""
    settings = told.get("settings", {})
    try:
        return Settings.from_config(settings).config() if settings else {}
    except (InputError, TypeError) as error:
        raise InputError(f"{file}: its settings of training are damaged ({error})") from None


def _classes(name: str, size: int, found: dict[str, tuple[int, ...]]) -> int:
    """How many classes weights are for: the rows of the tensor that grows with the number of classes."""
    two, three = (expected_shapes(name, classes, size) for classes in (2, 3))
    counts = [found[key][0] for key in two if two[key] != three[key] and found.get(key)]
    return counts[0] if counts else 2


def _of_study(folder: str, network: str) -> tuple[nn.Module, Facts]:
    """A checkpoint of a study, with the settings that the study has."""
    name, _, fold = network.partition("/")
    weights = f"{CHECKPOINTS}/{slug(name)}-"
    home = places.reading(
        folder, lambda each: each == CONFIG or (each.startswith(weights) and each.endswith(".safetensors"))
    )
    config = places.config_of(home)
    if config is None:
        raise InputError(f"{folder}: is not a study folder (no {CONFIG}); write {FORMS}")
    trained = config.get("networks", {})
    if name not in trained:
        known = ", ".join(trained) or "none: its heatmaps came from files"
        raise InputError(f"{folder}#{network}: the study's networks are {known}; got {name!r}")
    if trained[name].get("start_kind") == "onnx":
        raise InputError(f"{folder}#{network}: is a network in ONNX, of which the study keeps no copy; write onnx:PATH")
    path = _checkpoint(home, name, fold, config)
    settings = Settings.from_config({k: v for k, v in trained[name].items() if k in {f.name for f in fields(Settings)}})
    classes = tuple(config["data"]["expressions"])
    built = models.build(name, len(classes), size=settings.size, output_stride=_stride(trained[name]))
    load_into(built, read_weights(path)[0], places.named(path))
    return built, Facts(settings.size, settings.mean, settings.std, classes)


def _checkpoint(home: Path, name: str, fold: str, config: Mapping[str, Any]) -> Path:
    """The weights of a network on a fold, or of one of twins such as ``au-s0``; or the only ones."""
    if twins := config["kind"] == TWIN_KIND:
        pattern = re.compile(rf"{re.escape(slug(name))}-(.+-s\d+)-f0\.safetensors")
    else:
        control = config.get("guide", {}).get("control", "none")
        prefix = checkpoint_name(name, "0", control).removesuffix("0")
        pattern = re.compile(re.escape(prefix) + r"(\w+)\.safetensors")
    where = f"{places.named(home)}#{name}"
    files = sorted((home / CHECKPOINTS).glob("*.safetensors"))
    folds = {found[1]: path for path in files if (found := pattern.fullmatch(path.name))}
    if not folds:
        raise InputError(f"{where}: is not trained yet; run the study's {command(config)!r} line again")
    chosen = fold or next(iter(folds))
    if chosen not in folds or (not fold and len(folds) > 1):
        what = "twins" if twins else "folds"
        raise InputError(f"{where}: its {what} are {', '.join(folds)}; write {where}/{next(iter(folds))}")
    return folds[chosen]
