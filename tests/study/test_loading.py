"""A network by its name on the command line: weights in files, checkpoints of studies, ONNX."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from torch import nn

from xfer import models
from xfer.errors import InputError
from xfer.models.facts import Facts
from xfer.models.weights import digest
from xfer.study.loading import FORMS, load_model
from xfer.training import Settings, write_weights

OnnxFile = Callable[..., Path]
CLASSES = ("anger", "fear", "happiness")
SETTINGS = Settings(size=48, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))


@pytest.fixture
def network() -> nn.Module:
    return models.build("songnet", 3, size=48, seed=5)


@pytest.fixture
def weights(network: nn.Module, tmp_path: Path) -> Path:
    """Weights from elsewhere, of which nothing is told."""
    write_weights(tmp_path / "song.safetensors", network.state_dict())
    return tmp_path / "song.safetensors"


@pytest.fixture
def study(network: nn.Module, tmp_path: Path) -> Path:
    """What a study that was trained on two folds leaves of SongNet."""
    home = tmp_path / "study"
    (home / "checkpoints").mkdir(parents=True)
    told = {"start_kind": "scratch", "start_source": "", "weights_digest": ""}
    config = {
        "format": 1,
        "kind": "models",
        "data": {"expressions": dict.fromkeys(CLASSES, 9)},
        "networks": {"songnet": {**SETTINGS.config(), **told}, "songnet_bn": {**SETTINGS.config(), **told}},
    }
    (home / "study.toml").write_text(tomli_w.dumps(config))
    for fold, model in (("0", network), ("1", models.build("songnet", 3, size=48, seed=6))):
        facts = {"settings": SETTINGS.config(), "classes": list(CLASSES)}
        write_weights(home / "checkpoints" / f"songnet-f{fold}.safetensors", model.state_dict(), facts)
    (home / "checkpoints" / "songnet-f0.best.safetensors").write_bytes(b"left by a kill")
    return home


def refused(message: str, *words: Any, **options: Any) -> None:
    with pytest.raises(InputError) as caught:
        load_model(*words, **options)
    assert str(caught.value) == message


def test_weights_from_elsewhere(network: nn.Module, weights: Path) -> None:
    """Their classes are counted; the architecture's size is not theirs, so it is given."""
    found, facts = load_model(f"songnet={weights}", size=48)
    assert digest(found) == digest(network)
    assert not found.training
    assert facts == Facts(48, layer=facts.layer)
    assert found.get_submodule(facts.layer) is not None


def test_what_is_given_goes_with_them(weights: Path) -> None:
    _, facts = load_model(f"songnet={weights}", size=48, mean=0.5, std=0.2, classes=["happy", "sad", "fear"])
    assert facts == Facts(48, (0.5,) * 3, (0.2,) * 3, ("happiness", "sadness", "fear"), facts.layer)
    assert load_model(f"songnet={weights}", size=48, layer="features.0")[1].layer == "features.0"


def test_a_checkpoint_tells_all_but_its_name(study: Path) -> None:
    _, facts = load_model(f"songnet={study / 'checkpoints' / 'songnet-f0.safetensors'}")
    assert facts == Facts(48, SETTINGS.mean, SETTINGS.std, CLASSES, facts.layer)


def test_a_network_of_timm(tmp_path: Path) -> None:
    model = models.build("timm:test_resnet", 4, size=64)
    write_weights(tmp_path / "a=b#c.safetensors", model.state_dict())
    found, facts = load_model(f"timm:test_resnet={tmp_path / 'a=b#c.safetensors'}", size=64)
    assert digest(found) == digest(model)
    assert facts.size == 64


@pytest.mark.parametrize(("fold", "seed"), [("0", 5), ("1", 6)])
def test_a_fold_of_a_study(study: Path, fold: str, seed: int) -> None:
    found, facts = load_model(f"{study}#songnet/{fold}")
    assert digest(found) == digest(models.build("songnet", 3, size=48, seed=seed))
    assert facts == Facts(48, SETTINGS.mean, SETTINGS.std, CLASSES, facts.layer)


def test_the_only_fold_needs_no_name(study: Path, network: nn.Module) -> None:
    (study / "checkpoints" / "songnet-f1.safetensors").unlink()
    assert digest(load_model(f"{study}#songnet")[0]) == digest(network)


def test_networks_in_onnx(onnx_file: OnnxFile) -> None:
    path = onnx_file()
    found, facts = load_model(f"onnx:{path}", mean=0.5, colour="BGR")
    assert not found.gradients
    assert facts == Facts(8, (0.5,) * 3)
    refused(
        f"onnx:{path}: a network in ONNX has no layers to read heatmaps from; leave 'layer' out",
        f"onnx:{path}",
        layer="x",
    )


def test_studies_that_do_not_fit(study: Path, tmp_path: Path) -> None:
    here = f"{study}#songnet"
    refused(f"{here}: its folds are 0, 1; write {here}/0", here)
    refused(f"{here}: its folds are 0, 1; write {here}/0", f"{here}/7")
    refused(f"{here}: its folds are 0, 1; write {here}/0", f"{here}/../../song")
    refused(f"{study}#songnet_bn: is not trained yet; run the study's 'xfer compare' line again", f"{study}#songnet_bn")
    refused(f"{study}#song: the study's networks are songnet, songnet_bn; got 'song'", f"{study}#song")
    refused(f"{here}/0: a study knows its networks' size, mean; leave that out", f"{here}/0", size=48, mean=0.0)
    refused(f"{tmp_path}: is not a study folder (no study.toml); write {FORMS}", f"{tmp_path}#songnet")
    (study / "study.toml").write_text('format = 1\nkind = "heatmaps"\n')
    refused(f"{here}: the study's networks are none: its heatmaps came from files; got 'songnet'", here)


def test_names_without_weights() -> None:
    refused(f"model 'songnet' has no weights of its own; write {FORMS}", "songnet")
    with pytest.raises(InputError, match=re.escape("got 'songnt' (did you mean 'songnet'?)")):
        load_model("songnt")
    with pytest.raises(InputError, match=re.escape("got 'songnt' (did you mean 'songnet'?)")):
        load_model("songnt=file")


def test_files_that_do_not_fit(weights: Path, tmp_path: Path) -> None:
    refused(f"{tmp_path / 'no'}: no such file", f"songnet={tmp_path / 'no'}")
    with pytest.raises(InputError, match=r"weights of another network: .*classifier\.0\.weight is \(3, 288\), not"):
        load_model(f"songnet={weights}")
    with pytest.raises(InputError, match=r"^vgg16=.*: weights of another network: .* is missing; "):
        load_model(f"vgg16={weights}", size=64)
    refused(
        "'classes' has 2 names; the network has 3 classes", f"songnet={weights}", size=48, classes=["fear", "anger"]
    )
    refused("songnet=x: colour are for onnx:PATH", "songnet=x", colour="BGR")


def test_weights_that_are_not_finite(network: nn.Module, tmp_path: Path) -> None:
    with torch.no_grad():
        next(network.parameters()).view(-1)[:2] = torch.nan
    write_weights(tmp_path / "bad.safetensors", network.state_dict())
    refused(
        "Plain: 2 of 4800 values of 'features.0.weight' are not finite: its training diverged or the file is damaged",
        f"songnet={tmp_path / 'bad.safetensors'}",
        size=48,
    )


def test_damaged_settings(network: nn.Module, tmp_path: Path) -> None:
    write_weights(tmp_path / "bad.safetensors", network.state_dict(), {"settings": {"size": "big"}})
    with pytest.raises(InputError, match=r"bad\.safetensors: its settings of training are damaged \(.+\)$"):
        load_model(f"songnet={tmp_path / 'bad.safetensors'}")
