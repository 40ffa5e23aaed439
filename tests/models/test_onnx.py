"""Networks in ONNX: their numbers by hand, their facts, and what is refused."""

import csv
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image
from torch import Tensor

import xfer
from xfer import landmarkers
from xfer.errors import InputError
from xfer.explainers import EXPLAINERS, Explainer
from xfer.explainers.families import FAMILIES, Family, Look
from xfer.landmarkers.onnx import FACE_API_MEAN, square
from xfer.models import choose, spec
from xfer.models.facts import Facts
from xfer.models.onnx import LUMA, SMALLEST, OnnxNetwork

OnnxFile = Callable[..., Path]
TABLE = torch.arange(12.0).reshape(3, 4) / 10
NAMES = ["angry", "Happy", "sad", "neutral"]


@pytest.fixture
def faces() -> Tensor:
    return torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def means(faces: Tensor) -> Tensor:
    return faces.mean((2, 3)) @ TABLE


def refused(path: Path, message: str, **options: Any) -> None:
    with pytest.raises(InputError) as caught:
        OnnxNetwork(path, **options)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize("batch", ["face", 1, 2, 5, 7])
def test_any_number_of_faces_goes_in(onnx_file: OnnxFile, faces: Tensor, batch: object) -> None:
    network = OnnxNetwork(onnx_file((batch, 3, 8, 8)))
    torch.testing.assert_close(network(faces), means(faces))


def test_channels_can_be_last(onnx_file: OnnxFile, faces: Tensor) -> None:
    torch.testing.assert_close(OnnxNetwork(onnx_file(("face", 8, 8, 3)))(faces), means(faces))


def test_colours_can_be_in_the_other_order(onnx_file: OnnxFile, faces: Tensor) -> None:
    torch.testing.assert_close(OnnxNetwork(onnx_file(), colour="BGR")(faces), means(faces.flip(1)))


def test_a_grey_network_gets_the_luma(onnx_file: OnnxFile, faces: Tensor) -> None:
    grey = torch.einsum("nchw,c->n", faces, torch.tensor(LUMA)) / 64
    table = np.arange(1, 5, dtype=np.float32)[None]
    found = OnnxNetwork(onnx_file(("face", 1, 8, 8), table))(faces)
    torch.testing.assert_close(found, grey[:, None] * torch.from_numpy(table))


@pytest.mark.parametrize("tail", [["Softmax"], ["Softmax", "Identity"], ["Softmax", "Flatten"]])
def test_probabilities_become_their_logarithms(onnx_file: OnnxFile, faces: Tensor, tail: list[str]) -> None:
    found = OnnxNetwork(onnx_file(tail=tail))(faces)
    torch.testing.assert_close(found, means(faces).log_softmax(1))


def test_a_probability_of_0_has_a_finite_logit(onnx_file: OnnxFile, faces: Tensor) -> None:
    table = np.array([[0, 1e4]] * 3, np.float32)
    found = OnnxNetwork(onnx_file(weights=table, tail=["Softmax"]))(faces)
    torch.testing.assert_close(found, torch.tensor([[float(np.log(SMALLEST)), 0.0]] * 5))


def test_probabilities_can_be_stated(onnx_file: OnnxFile, faces: Tensor) -> None:
    path = onnx_file(tail=["Softmax", "Relu"])
    torch.testing.assert_close(OnnxNetwork(path)(faces), means(faces).softmax(1))
    torch.testing.assert_close(OnnxNetwork(path, outputs="probabilities")(faces), means(faces).log_softmax(1))
    refused(
        onnx_file(),
        "a face's outputs do not add up to 1: they are no probabilities",
        outputs="probabilities",
    )


def test_defaults_are_plain(onnx_file: OnnxFile) -> None:
    network = OnnxNetwork(onnx_file())
    assert network.facts == Facts(8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (), "")
    assert network.gradients is False
    assert not list(network.parameters())


def test_facts_are_given(onnx_file: OnnxFile) -> None:
    network = OnnxNetwork(onnx_file(), mean=0.5, std=[0.1, 0.2, 0.3], classes=NAMES)
    assert network.facts == Facts(8, (0.5,) * 3, (0.1, 0.2, 0.3), ("anger", "happiness", "sadness", "neutral"))


def test_facts_are_read_from_metadata_unless_given(onnx_file: OnnxFile) -> None:
    told = Facts(8, (0.1, 0.2, 0.3), (2.0,) * 3, ("anger", "fear", "sadness", "pain"), "features.11").told(opset=17)
    path = onnx_file(change=lambda model: helper.set_model_props(model, told))
    found = OnnxNetwork(path, any_labels=True, mean=0.0).facts
    assert found == Facts(8, (0.0,) * 3, (2.0,) * 3, ("anger", "fear", "sadness", "pain"), "features.11")
    with pytest.raises(InputError, match=r"got 'pain'"):
        OnnxNetwork(path)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("[", "JSONDecodeError: "),
        ("[1]", "TypeError: "),
        ('{"format": 1}', "KeyError: 'classes')"),
        ('{"format": 1, "classes": [1], "size": 8, "mean": 0, "std": 1, "layer": ""}', "'classes' are not names)"),
        ('{"format": 1, "classes": [], "size": 8, "mean": [0, 0], "std": 1, "layer": ""}', "got 2)"),
        ('{"format": 1, "classes": [], "size": 8, "mean": 0, "std": NaN, "layer": ""}', "must be finite"),
        ('{"format": 1, "classes": [], "size": 0, "mean": 0, "std": 1, "layer": ""}', "at least 1 px"),
        ('{"format": 1, "classes": [], "size": 1e999, "mean": 0, "std": 1, "layer": ""}', "OverflowError"),
    ],
)
def test_damaged_metadata_are_told(onnx_file: OnnxFile, told: str, why: str) -> None:
    path = onnx_file(change=lambda model: helper.set_model_props(model, {"xfer": told}))
    with pytest.raises(InputError) as caught:
        OnnxNetwork(path)
    assert str(caught.value).startswith(f"{path}: its metadata 'xfer' are damaged (")
    assert why in str(caught.value)


def test_metadata_of_a_later_format(onnx_file: OnnxFile) -> None:
    told = Facts(8).told()["xfer"].replace('"format": 1', '"format": 2')
    path = onnx_file(change=lambda model: helper.set_model_props(model, {"xfer": told}))
    refused(path, "its metadata have format 2; this xfer reads format 1")


def test_any_size(onnx_file: OnnxFile, faces: Tensor) -> None:
    path = onnx_file(("face", 3, "y", "x"))
    refused(path, "takes faces of any size; say which it was trained with, 'size' in px")
    network = OnnxNetwork(path, size=20)
    assert network.facts.size == 20
    torch.testing.assert_close(network(faces), means(faces))


def test_another_size(onnx_file: OnnxFile) -> None:
    refused(onnx_file(), "takes faces of 8 px, not of 9 px", size=9)
    with pytest.raises(InputError, match=r"takes faces \(face, 3, 8, 8\); got \(2, 3, 9, 9\)$"):
        OnnxNetwork(onnx_file())(torch.zeros(2, 3, 9, 9))


def two_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, [1]))


def two_outputs(*names: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        for name in names:
            model.graph.node.append(helper.make_node("Identity", ["v0"], [name]))
            model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["face", 4]))

    return change


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"change": two_inputs},
            "takes faces ['face', 3, 8, 8], age [1]; needed is one input (face, 3, size, size) or (face, size, "
            "size, 3)",
        ),
        ({"shape": ("face", 5, 8, 8)}, "takes 5 channels; needed are 3, or 1 for grey"),
        ({"shape": ("face", 3, 8, 6)}, "takes faces of 8 x 6 px; needed are square ones"),
        (
            {"kind": TensorProto.UINT8},
            "takes tensor(uint8); needed is float32, tensor(float): export it with that input",
        ),
        (
            {"kind": TensorProto.FLOAT16},
            "takes tensor(float16); needed is float32, tensor(float): export it with that input",
        ),
        (
            {"change": two_outputs("more")},
            "gives v0 ['face', 4], more ['face', 4]; needed is one output (face, class), or one of the name 'logits'",
        ),
        ({"weights": np.ones((3, 1), np.float32)}, "gives (1, 1) for 1 faces; needed is (face, class)"),
        (
            {"weights": -np.ones((3, 4), np.float32), "tail": ["Log"]},
            "gives logits that are not finite for face 0",
        ),
    ],
)
def test_networks_of_another_kind(onnx_file: OnnxFile, options: dict[str, Any], message: str) -> None:
    refused(onnx_file(**options), message)


def test_the_output_named_logits_is_taken(onnx_file: OnnxFile, faces: Tensor) -> None:
    network = OnnxNetwork(onnx_file(change=two_outputs("embedding", "logits")))
    torch.testing.assert_close(network(faces), means(faces))


def test_a_face_that_gives_no_number_is_named(onnx_file: OnnxFile, faces: Tensor) -> None:
    path = onnx_file(weights=np.ones((3, 4), np.float32), tail=["Log"])
    faces[3] = -1.0
    with pytest.raises(InputError, match=r"net\.onnx: gives logits that are not finite for face 3$"):
        OnnxNetwork(path)(faces)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "NCWH"}, "'layout' must be one of NCHW, NHWC; got 'NCWH' (did you mean 'NCHW'?)"),
        ({"colour": "RBG"}, "'colour' must be one of RGB, BGR, grey; got 'RBG'"),
        ({"outputs": "logit"}, "'outputs' must be one of logits, probabilities; got 'logit' (did you mean 'logits'?)"),
        ({"classes": ["anger", "fear"]}, "'classes' has 2 names; the network has 4 classes"),
        ({"classes": ["angry", "anger", "sad", "fear"]}, "labels 'angry' and 'anger' are the same expression, 'anger'"),
        ({"classes": ["hapiness", "anger", "sad", "fear"]}, "got 'hapiness' (did you mean 'happiness'?)"),
        ({"std": 0.0}, "'mean' and 'std' must be finite and 'std' above 0; got (0.0, 0.0, 0.0) and (0.0, 0.0, 0.0)"),
        ({"mean": [1.0, 2.0]}, "give one number, or one for each of red, green and blue; got 2"),
        ({"colour": "grey"}, "takes 3 channels, which are not grey"),
    ],
)
def test_arguments_that_do_not_fit(onnx_file: OnnxFile, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        OnnxNetwork(onnx_file(), **options)


def test_methods_that_ask_for_gradients_refuse_it(onnx_file: OnnxFile, faces: Tensor) -> None:
    network = OnnxNetwork(onnx_file())
    with pytest.raises(InputError) as caught:
        xfer.explain(network, faces, "grad_cam,hires_cam")
    assert str(caught.value) == ("grad_cam does not apply to OnnxNetwork: it gives logits but no gradients")


def test_methods_that_only_ask_for_logits_take_it(
    onnx_file: OnnxFile, faces: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flat(look: Look, explainers: Any) -> dict[str, Tensor]:
        seen = look.model(look.images).gather(1, look.classes)
        return {each.name: seen[..., None, None].expand(-1, -1, 2, 2) for each in explainers}

    assert "flat" not in {**FAMILIES, **EXPLAINERS}
    monkeypatch.setitem(FAMILIES._entries, "flat", Family("flat", flat, gradients=False))
    monkeypatch.setitem(EXPLAINERS._entries, "flat", Explainer("flat", flat, "flat", "", True, ""))
    network = OnnxNetwork(onnx_file())
    maps = xfer.explain(network, faces, "flat")
    np.testing.assert_allclose(maps.sel(explainer="flat")[..., 0, 0], means(faces), rtol=1e-5)
    with pytest.raises(InputError, match=r"^grad_cam does not apply to OnnxNetwork: it gives logits but no gradients"):
        xfer.explain(network, faces, "flat,grad_cam")


def test_all_and_families_leave_out_what_needs_layers_or_gradients(onnx_file: OnnxFile, faces: Tensor) -> None:
    network = OnnxNetwork(onnx_file())
    settings = {"perturbation": {"samples": 12, "segments": "grid", "pieces": 4, "cells": 2}}
    hiding = {e.name for e in EXPLAINERS.values() if e.family == "perturbation"} - {"score_cam", "ablation_cam"}
    for asked in ("all", "perturbation"):
        maps = xfer.explain(network, faces, asked, settings=settings)
        assert set(maps.explainer.values) == hiding
        assert "score_cam does not apply to OnnxNetwork: it has no layers that can be read" in maps.left_out
    with pytest.raises(InputError, match=r"^ablation_cam does not apply to OnnxNetwork: it has no layers that can be"):
        xfer.explain(network, faces, "ablation_cam,lime")


def test_it_is_neither_built_nor_trained() -> None:
    with pytest.raises(InputError) as caught:
        spec("onnx:net.onnx")
    assert str(caught.value) == (
        "model 'onnx:net.onnx': a network in ONNX is neither built nor trained; 'xfer compare' evaluates and explains "
        "it as it is, and xfer.models.onnx.OnnxNetwork opens it"
    )
    assert choose("songnet,onnx:net.onnx") == ["songnet", "onnx:net.onnx"]


def test_its_digest_is_that_of_the_file_and_it_knows_how_many_numbers_it_holds(onnx_file: OnnxFile) -> None:
    path = onnx_file(weights=np.ones((3, 5), np.float32))
    network = OnnxNetwork(path)
    assert network.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert network.parameter_count == 15


def test_a_third_party_s_network_recognises_expressions(shared: Path) -> None:
    """face-api.js's classifier on faces that a detector finds in photographs; labels are crowd work."""
    network = OnnxNetwork(
        shared / "models" / "faceapi_expression.onnx",
        mean=FACE_API_MEAN,
        classes=["neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise"],
    )
    folder = shared / "data" / "lfw_expressions"
    with (folder / "labels.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if row["expression"] in ("happiness", "surprise")][::27]
    models = shared / "models"
    name = f"onnx:{models / 'faceapi_landmark68.onnx'},detector={models / 'ultralight_face_detector_rfb320.onnx'}"
    crops, labels = [], []
    with landmarkers.open(name) as finder:
        for row in rows:
            image = np.asarray(Image.open(folder / row["file"]).convert("RGB"))
            points = finder(image).points
            if points is not None:
                low, high = points.min(0), points.max(0)
                side = float((high - low).max()) * 1.2
                crops.append(square(image, (low + high) / 2 - side / 2, side, network.facts.size))
                labels.append(network.facts.classes.index(row["expression"]))
    pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2) / 255
    logits = network(pixels - torch.tensor(FACE_API_MEAN)[:, None, None])
    assert len(labels) >= 15
    assert (logits.argmax(1) == torch.tensor(labels)).float().mean() >= 0.6
