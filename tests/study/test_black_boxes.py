"""Networks in ONNX in a study: what they are asked, what they cannot give, and that nothing of them is trained."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import xfer
from xfer.errors import InputError
from xfer.models.onnx import OnnxNetwork
from xfer.study import Study, black_boxes, computing, parts, shards
from xfer.study.black_boxes import LEAST, Answering
from xfer.study.loading import load_model

SIZE = 32
CLASSES = ["happy", "contempt", "angry", "fear", "sad", "surprise"]
"""Disgust is lacking, contempt shows no drawn face."""
NAME = "onnx:theirs"
OPTIONS: dict[str, Any] = {
    "drawn": 72, "pretrained": "no", "metrics": "iou,pearson", "workers": 1, "explainers": "grad_cam,occlusion",
    "training": {"epochs": 1, "size": 64, "precision": "32"}, "randomised": 1,
    "perturbation": {"window": 16, "stride": 16},
    "onnx": {NAME: {"classes": CLASSES, "mean": 0.5, "std": 0.25}},
}  # fmt: skip


def write(path: Path, seed: int = 0, classes: int = len(CLASSES)) -> Path:
    """A convolution of patches and a linear layer, with random weights."""
    rng = np.random.default_rng(seed)
    kernels = rng.normal(size=(6, 3, 8, 8)).astype(np.float32) / 10
    last = rng.normal(size=(6 * 16, classes)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["faces", "kernels"], ["a"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "last"], ["logits"]),
    ]
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["face", 3, SIZE, SIZE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["face", classes])
    held = [numpy_helper.from_array(kernels, "kernels"), numpy_helper.from_array(last, "last")]
    graph = helper.make_graph(nodes, "net", [faces], [logits], held)
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder around a file and a study of it beside a network that is trained."""
    place = tmp_path_factory.mktemp("black_boxes")
    write(place / "theirs.onnx")
    compare(place)
    return place


def compare(place: Path, models: str = "songnet,onnx:{}", **options: Any) -> Study:
    return xfer.compare(models.format(place / "theirs.onnx"), out=place / "study", **{**OPTIONS, **options})


@pytest.fixture
def study(place: Path) -> Study:
    return Study(place / "study")


@pytest.fixture
def copy(place: Path, tmp_path: Path) -> Path:
    shutil.copytree(place / "study", tmp_path / "study")
    shutil.copy(place / "theirs.onnx", tmp_path)
    return tmp_path


def test_what_is_told_of_it(study: Study, place: Path) -> None:
    row = study.networks.set_index("model").loc[NAME]
    digest = hashlib.sha256((place / "theirs.onnx").read_bytes()).hexdigest()
    assert row["start"] == f"trained elsewhere: theirs.onnx (sha256 {digest[:12]})"
    assert row["weights_digest"] == digest
    assert (row["layer"], row["grid"], row["size"], row["parameters"]) == ("image", "", SIZE, 6 * 3 * 64 + 96 * 6)
    assert row["remarks"] == (
        "no part in its answers: contempt, which no face shows; no class of disgust, whose faces it cannot recognise"
    )
    assert row[["epochs", "epoch", "batch", "n_train", "n_validation", "validation_accuracy"]].isna().all()
    assert row["failed"] == row["checkpoint"] == ""
    assert study.config["models"] == ["songnet", NAME]
    assert study.config["networks"][NAME]["classes"] == [
        "happiness",
        "contempt",
        "anger",
        "fear",
        "sadness",
        "surprise",
    ]
    assert "epochs" not in study.config["networks"][NAME]
    for name in ("study.toml", "provenance.json", "networks.csv", "dropped.csv"):
        assert str(place) not in (study.folder / name).read_text()


def test_it_answers_among_the_expressions_of_the_faces(study: Study, place: Path) -> None:
    """Softmax over the classes that it shares with the data; the test faces are the other network's."""
    mine, others = (study.predictions[study.predictions["model"] == name] for name in (NAME, "songnet"))
    assert mine["face"].tolist() == others["face"].tolist()
    assert (mine["p_disgust"] == 0).all()
    chances = mine[[f"p_{e}" for e in ("anger", "fear", "happiness", "sadness", "surprise")]]
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    network = OnnxNetwork(place / "theirs.onnx")
    answering = Answering(OnnxNetwork(place / "theirs.onnx", classes=CLASSES), ["disgust", "fear", "happiness"])
    faces = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    known = network(faces)
    expected = torch.stack([torch.full((4,), LEAST), known[:, 3], known[:, 0]], 1)
    torch.testing.assert_close(answering(faces), expected, rtol=0, atol=0)
    assert answering(faces).softmax(1)[:, 0].tolist() == [0.0] * 4


def test_the_leading_explainer_is_the_first_that_applies_to_every_network(study: Study) -> None:
    assert study.config["explainers"] == ["occlusion", "grad_cam"]
    assert set(study.leading.coords["explainer"].values) == {"occlusion"}
    assert set(study.leading.coords["model"].values) == {"songnet", NAME}
    notes = study.dropped.loc[study.dropped["kind"] == "note", "reason"].tolist()
    assert f"occlusion leads the report, since grad_cam does not apply to {NAME}" in notes
    assert f"{NAME}: taken as it is, so not explained with randomised weights" in notes
    assert study.randomised is not None
    assert set(study.randomised.coords["model"].values) == {"songnet"}


def test_heatmaps_that_cannot_be_score_nan_with_the_reason(study: Study) -> None:
    own = study.scores[study.scores["mask_expression"] == study.scores["expression"]]
    mine = own[(own["model"] == NAME) & (own["outcome"] == "all")]
    gone = mine[mine["explainer"] == "grad_cam"]
    assert set(gone["expression"]) == {"anger", "disgust", "fear", "happiness", "sadness", "surprise"}
    assert set(gone["reason"]) == {f"grad_cam does not apply to {NAME}: it gives logits but no gradients"}
    lacking = mine[(mine["explainer"] == "occlusion") & (mine["expression"] == "disgust")]
    assert set(lacking["reason"]) == {f"{NAME} has no class of its expression"}
    for rows in (gone, lacking):
        assert set(rows["metric"]) == set(own["metric"])
        assert rows["value"].isna().all()
        assert (rows["n"] == 0).all()
    there = mine[(mine["explainer"] == "occlusion") & (mine["expression"] != "disgust")]
    assert (there["n"] > 0).all()
    assert len(there) == 5 * len(set(own["metric"]))
    dropped = study.dropped.set_index("kind")
    assert dropped.loc[["explainer"], ["name", "reason", "n"]].to_numpy().tolist() == [
        ["grad_cam", f"does not apply to {NAME}: it gives logits but no gradients", 1]
    ]
    faces = study.predictions.query("model == @NAME and expression == 'disgust'")
    assert ["has no class of its expression: predicted, in no heatmap", len(faces)] in dropped.loc[
        ["face"], ["reason", "n"]
    ].to_numpy().tolist()


def test_a_network_that_lacks_a_heatmap_has_no_mean(study: Study) -> None:
    table = study.network_scores.set_index("model")
    assert table.loc[[NAME], "corrected"].isna().all()
    assert set(table.loc[[NAME], "reason"]) == {"no heatmap of disgust"}


def test_the_page_says_so(study: Study) -> None:
    page = re.sub(r"\s+", " ", (study.folder / "report.html").read_text())
    for said in (
        f"One network was trained and {NAME}, trained elsewhere, was taken as it is with the preset",
        f"What {NAME} learnt from is not known here",
        f"grad_cam does not apply to {NAME}: it gives logits but no gradients",
        "happiness, contempt, anger, fear, sadness, surprise",
    ):
        assert said in page


@pytest.mark.usefixtures("no_page")
def test_what_is_lost_is_made_again_byte_for_byte(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lost,) = (p for p in (copy / "study" / "shards").iterdir() if shards.read_facts(p)["model"] == NAME)
    before, made = lost.read_bytes(), []
    compute = computing.compute
    monkeypatch.setattr(computing, "compute", lambda unit, tell: (made.append(unit.network), compute(unit, tell))[1])
    lost.unlink()
    compare(copy)
    assert made == [NAME]
    assert lost.read_bytes() == before


def test_another_file_in_the_folder_of_a_study_is_told(copy: Path) -> None:
    write(copy / "theirs.onnx", seed=1)
    with pytest.raises(InputError, match=rf"belongs to another study .*networks\.{NAME}\.weights_digest"):
        compare(copy)


def test_a_file_that_changes_under_way_ends_its_unit(tmp_path: Path) -> None:
    path = write(tmp_path / "theirs.onnx")
    (box,) = black_boxes.settle({NAME: path}, OPTIONS["onnx"], ["anger", "fear"]).values()
    write(path, seed=1)
    with pytest.raises(InputError, match="has changed since the study began"):
        box.open(["anger", "fear"])


def test_a_study_keeps_no_copy_of_it(place: Path) -> None:
    with pytest.raises(
        InputError, match=r"#onnx:theirs: is a network in ONNX, of which the study keeps no copy; write"
    ):
        load_model(f"{place / 'study'}#{NAME}")


def test_it_is_not_trained(tmp_path: Path) -> None:
    path = write(tmp_path / "theirs.onnx")
    with pytest.raises(InputError) as told:
        xfer.train(f"onnx:{path}", out=tmp_path / "study", **{**OPTIONS, "explainers": None})
    assert str(told.value) == f"{NAME}: a network in ONNX is not trained; 'xfer compare' takes it as it is"
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("asked", "trained", "found"),
    [
        (None, ["songnet"], ["occlusion"]),
        (None, [], ["occlusion"]),
        ("lime,grad_cam", ["songnet"], ["lime", "grad_cam"]),
        ("score_cam,grad_cam,rise", ["songnet"], ["rise", "score_cam", "grad_cam"]),
        ("score_cam,grad_cam,rise", [], ["rise"]),
    ],
)
def test_which_explainers_are_taken(asked: str | None, trained: list[str], found: list[str]) -> None:
    chosen, notes = black_boxes.methods(asked, [NAME], trained)
    assert chosen == found
    assert bool(notes) == (chosen[0] != "lime")


def test_all_explainers_begin_with_one_for_every_network() -> None:
    mixed, _ = black_boxes.methods("all", [NAME], ["songnet"])
    alone, (note,) = black_boxes.methods("all", [NAME], [])
    assert mixed[0] == alone[0] == "occlusion"
    assert set(alone) < set(mixed)
    assert {"grad_cam", "score_cam", "saliency", "attention_rollout"} <= set(note.partition(":")[0].split(", "))
    assert black_boxes.methods("all", [], ["songnet"])[0][0] == "grad_cam"


@pytest.mark.parametrize(
    ("models", "options", "words"),
    [
        ("onnx:{}", {"explainers": "grad_cam"}, f"{NAME} gives no gradients, which grad_cam asks for; add "),
        ("onnx:{}", {"onnx": {}}, f"{NAME}: the file does not tell what its classes are; name them in their order, "),
        ("onnx:{}", {"onnx": {"": {"classes": ["a", "b"]}}}, "'expression' must be one of anger"),
        ("onnx:{}", {"onnx": {"onnx:her": {}}}, f"'network in ONNX' must be one of {NAME}; got 'onnx:her'"),
        ("onnx:{},onnx:other/theirs.onnx", {}, f"are both called {NAME}; rename one"),
        ("onnx:no.onnx", {"onnx": {}}, "no.onnx: no such file; give a network in ONNX"),
        ("songnet", {}, "--size, --mean, --std, --labels and --any-labels are for networks in ONNX; there is none"),
        ("onnx:{}", {"perturbation": {"sample": 3}}, "did you mean 'samples'"),
        ("onnx:{}", {"perturbation": {"seed": 3}}, "'seed' of the methods that hide parts of a face is the study's"),
        (
            "onnx:{}", {"expressions": ["disgust", "fear"]},
            f"{NAME}: has classes for fear of disgust, fear; two are needed: its classes are happiness, contempt, ",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_before_any_work(
    tmp_path: Path, models: str, options: dict[str, Any], words: str
) -> None:
    write(tmp_path / "theirs.onnx")
    with pytest.raises(InputError) as told:
        compare(tmp_path, models, **options)
    assert words in str(told.value)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "study").exists()


@pytest.mark.usefixtures("no_page")
def test_it_is_explained_in_parts_like_any_other(study: Study, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FACES", 6)
    shutil.rmtree(copy / "study")
    found = compare(copy, "onnx:{}", draws=0)
    lines = [json.loads(line) for line in (copy / "study" / "units.jsonl").read_text().splitlines()]
    assert [line["until"] for line in lines] == ["part"] * (len(lines) - 1) + ["heatmaps"]
    assert len(lines) > 2
    alone = study.heatmaps.isel(cell=study.heatmaps.model.values == NAME)
    np.testing.assert_allclose(found.heatmaps.values, alone.values, rtol=1e-5, atol=1e-9)
