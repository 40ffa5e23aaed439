import pickle
from pathlib import Path

import numpy as np
import pytest

from xfer import datasets
from xfer.errors import InputError

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
NAMES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
POINTS = np.stack([np.arange(68.0), 100 - np.arange(68.0)], axis=-1)


def row(name: str, code: object) -> str:
    return f"{name},1,2,30,40,{';'.join(f'{v:.2f}' for v in POINTS.ravel())},{code},0.25,-0.5\n"


@pytest.fixture
def tables(tmp_path, picture) -> Path:
    for i in range(12):
        picture(tmp_path / "Manually_Annotated_Images" / str(i % 3) / f"{i}.jpg")
    lists = tmp_path / "Manually_Annotated_file_lists"
    lists.mkdir()
    (lists / "training.csv").write_text(HEADER + "".join(row(f"{i % 3}/{i}.jpg", i) for i in range(11)))
    (lists / "validation.csv").write_text(row("2/11.jpg", 6))
    return tmp_path


def test_tables(tables):
    dataset = datasets.open(f"affectnet:{tables}")
    assert [s.expression for s in dataset.samples] == [*NAMES, "anger"]
    assert [s.split for s in dataset.samples] == ["train"] * 8 + ["validation"]
    assert dataset.dropped == (
        ("2/8.jpg", "annotated as none of the expressions"),
        ("0/9.jpg", "annotated as uncertain"),
        ("1/10.jpg", "annotated as not a face"),
    )
    first = dataset.samples[0]
    np.testing.assert_array_equal(first.landmarks, POINTS)
    assert first.extra == {
        "face_x": "1", "face_y": "2", "face_width": "30", "face_height": "40", "valence": "0.25", "arousal": "-0.5",
    }  # fmt: skip


def test_rows_that_cannot_be_used(tables, picture):
    picture(tables.parent / "secret.jpg")
    lists = tables / "Manually_Annotated_file_lists"
    (lists / "validation.csv").unlink()
    lines = [row("0/0.jpg", 1), row("0/x.jpg", 1), row("1/1.jpg", 11), row("../../secret.jpg", 1)]
    (lists / "training.csv").write_text(HEADER + "".join(lines) + "2/2.jpg,1,2,3,4,no;points,3,,\n")
    dataset = datasets.open(f"affectnet:{tables}")
    assert [s.expression for s in dataset.samples] == ["happiness", "surprise"]
    assert dataset.samples[1].landmarks is None
    assert dataset.dropped == (
        ("0/x.jpg", "no such file"),
        ("1/1.jpg", "label '11' is none of its expressions"),
        ("../../secret.jpg", "lies outside the data folder (read with --allow-outside)"),
    )


def annotate(root: Path, part: str, name: str, **values: object) -> None:
    folder = root / part / "annotations"
    folder.mkdir(exist_ok=True)
    for kind, value in values.items():
        np.save(folder / f"{name}_{kind}.npy", np.asarray(value))


@pytest.mark.parametrize("stored", [str, int, lambda code: [code]])
def test_annotations_as_numbers_or_text(tmp_path, picture, stored):
    for code in range(8):
        picture(tmp_path / "train_set" / "images" / f"{code}.jpg")
        annotate(tmp_path, "train_set", str(code), exp=stored(code), val="-0.1234567", aro=0.5, lnd=POINTS.ravel())
    picture(tmp_path / "val_set" / "images" / "9.jpg")
    annotate(tmp_path, "val_set", "9", exp=stored(7))
    dataset = datasets.open(f"affectnet:{tmp_path}")
    assert [s.expression for s in dataset.samples] == [*NAMES, "contempt"]
    assert [s.id for s in dataset.samples][::8] == ["train_set/0.jpg", "val_set/9.jpg"]
    assert [s.split for s in dataset.samples][::8] == ["train", "validation"]
    assert dataset.samples[0].extra == {"valence": "-0.123457", "arousal": "0.5"}
    np.testing.assert_array_equal(dataset.samples[0].landmarks, POINTS)
    assert dataset.samples[8].extra == {}


class Tripwire:
    def __reduce__(self):
        return (pytest.fail, ("an annotation was unpickled",))


def test_annotations_that_cannot_be_read_are_listed_and_never_unpickled(tmp_path, picture):
    images = tmp_path / "train_set" / "images"
    for name in ("good", "none", "pickled", "object", "short", "large", "many", "word"):
        picture(images / f"{name}.jpg")
    annotations = tmp_path / "train_set" / "annotations"
    annotate(tmp_path, "train_set", "good", exp=3, lnd=np.zeros(10))
    annotate(tmp_path, "train_set", "many", exp=[1, 2])
    annotate(tmp_path, "train_set", "word", exp="fear")
    annotate(tmp_path, "train_set", "large", exp=np.zeros(100_000))
    (annotations / "pickled_exp.npy").write_bytes(pickle.dumps(Tripwire()))
    np.save(annotations / "object_exp.npy", np.array([Tripwire()], dtype=object), allow_pickle=True)
    (annotations / "short_exp.npy").write_bytes((annotations / "good_exp.npy").read_bytes()[:40])
    dataset = datasets.open(f"affectnet:{tmp_path}")
    assert [(s.id, s.expression, s.landmarks) for s in dataset.samples] == [("train_set/good.jpg", "surprise", None)]
    assert {d.reason for d in dataset.dropped} == {"has no readable annotation"}
    assert len(dataset.dropped) == 7


def test_neither_layout(tmp_path):
    with pytest.raises(InputError, match=r"has neither training.csv nor train_set/images; expected a folder with"):
        datasets.open(f"affectnet:{tmp_path}")
