"""Photographs explained one by one: what is written, kept, left out and refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import xfer
from xfer import models
from xfer.errors import InputError
from xfer.models.weights import write
from xfer.study.photographs import Explanation, explain_photographs, photographs, read

CLASSES = ["anger", "fear", "happiness"]


@pytest.fixture
def weights(tmp_path: Path) -> str:
    path = tmp_path / "net.safetensors"
    write(models.build("songnet", 3, size=48, seed=1), path)
    return f"songnet={path}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "faces"
    (made / "more").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name, shape in (("a.png", (60, 50, 3)), ("more/b.png", (48, 48, 3))):
        Image.fromarray(generator.integers(0, 255, shape, np.uint8)).save(made / name)
    (made / "notes.txt").write_text("no picture")
    return made


def run(weights: str, *files: Path, out: Path, **options: object) -> pd.DataFrame:
    given = {"crop": "whole", "size": 48, "classes": CLASSES, "explainers": "grad_cam,occlusion", **options}
    return explain_photographs(weights, files, out=out, **given)


def test_maps_are_those_of_explain(weights: str, folder: Path, tmp_path: Path) -> None:
    table = run(weights, folder, out=tmp_path / "out", targets="all")
    assert [Path(name).name for name in table["file"]] == ["a.png", "b.png"]
    assert table["left_out"].tolist() == ["", ""]
    network = models.build("songnet", 3, size=48, seed=1).eval()
    for row in table.itertuples():
        made = Explanation.open(tmp_path / "out" / row.map)
        image = torch.from_numpy(made.face).permute(2, 0, 1)[None].float() / 255
        expected = xfer.explain(network, image, "grad_cam,occlusion", classes=CLASSES)
        np.testing.assert_allclose(made.maps.values, expected.isel(face=0).values, rtol=1e-5, atol=1e-7)
        assert made.maps.coords["target"].values.tolist() == CLASSES
        with torch.no_grad():
            chances = network(image).softmax(1)[0]
        assert row.predicted == CLASSES[int(chances.argmax())]
        assert row.probability == pytest.approx(float(chances.max()), rel=1e-5)


def test_what_is_there_is_kept_and_what_is_damaged_is_made_again(weights: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(weights, folder, out=out)
    kept, damaged = (out / name for name in first["map"])
    before = kept.stat().st_mtime_ns
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert run(weights, folder, out=out).equals(first)
    assert kept.stat().st_mtime_ns == before
    assert Explanation.open(damaged).predicted in CLASSES
    other = run(weights, folder, out=out, targets=[["fear"]])
    assert not set(other["map"]) & set(first["map"])


def test_what_was_explained_is_read_by_name_without_what_was_left_out(
    weights: str, folder: Path, tmp_path: Path
) -> None:
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:200])
    table = run(weights, folder, out=tmp_path / "out")
    shown = read(tmp_path / "out")
    assert [Path(name).name for name in shown] == ["a.png", "b.png"]
    for row in table[table["left_out"] == ""].itertuples():
        assert shown[row.file].predicted == row.predicted
        np.testing.assert_array_equal(shown[row.file].maps, Explanation.open(tmp_path / "out" / row.map).maps)


def test_methods_that_do_not_apply_are_named(weights: str, folder: Path, tmp_path: Path) -> None:
    table = run(weights, folder, out=tmp_path / "out", explainers="attention,grad_cam")
    assert "attention_rollout does not apply to " in table.attrs["methods_left_out"]
    assert run(weights, folder, out=tmp_path / "out").attrs["methods_left_out"] == ""


def test_a_damaged_picture_in_a_folder_is_left_out(weights: str, folder: Path, tmp_path: Path) -> None:
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes()[:200])
    table = run(weights, folder, out=tmp_path / "out").set_index("file")
    reasons = {Path(name).name: reason for name, reason in table["left_out"].items()}
    assert reasons["a.png"] == reasons["b.png"] == ""
    assert "truncated" in reasons["c.png"]
    assert table["map"].loc[[n for n in table.index if n.endswith("c.png")]].item() == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"crop": "head"}, "'crop' must be one of whole, face; got 'head'"),
        ({"explainers": "grad_camm"}, "did you mean 'grad_cam'?"),
        (
            {"targets": [["angr"]]},
            "'targets' must be one of anger, fear, happiness; got 'angr' (did you mean 'anger'?)",
        ),
        ({"targets": 7}, "'targets' asks for class 7; the network has 3 classes, 0 to 2"),
        ({"perturbation": {"sample": 3}}, "did you mean 'samples'?"),
        ({"batch_size": 0}, "'batch_size' must be at least 1; got 0"),
    ],
)
def test_bad_input_writes_nothing(weights: str, folder: Path, tmp_path: Path, options: dict, said: str) -> None:
    with pytest.raises(InputError) as error:
        run(weights, folder, out=tmp_path / "out", **options)
    assert said in str(error.value)
    assert not list((tmp_path / "out").rglob("*.npz"))


def test_files_that_are_no_pictures(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"notes\.txt: is not a picture of a format that is read"):
        photographs([folder / "a.png", folder / "notes.txt"])
    with pytest.raises(InputError, match=r"gone\.png: no such file"):
        photographs([folder / "gone.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no picture found; expected files such as \*\.jpg and \*\.png"):
        photographs([tmp_path / "empty"])
    with pytest.raises(InputError, match="no photograph is given; name files, or folders of them"):
        photographs([])
