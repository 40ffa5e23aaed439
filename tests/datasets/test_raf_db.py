import re

import pytest

from xfer import datasets
from xfer.datasets.raf_db import COMPOUND
from xfer.errors import InputError

NAMES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


def basic(root, picture, codes):
    lines = []
    for i, code in enumerate(codes, start=1):
        name = f"train_{i:05d}" if i % 2 else f"test_{i:04d}"
        picture(root / "Image" / "aligned" / f"{name}_aligned.jpg")
        picture(root / "Image" / "original" / f"{name}.jpg", side=30)
        lines.append(f"{name}.jpg {code}\n")
    (root / "EmoLabel").mkdir()
    (root / "EmoLabel" / "list_patition_label.txt").write_text("".join(lines))


def test_basic_codes_split_and_aligned_pictures(tmp_path, picture):
    basic(tmp_path, picture, range(1, 8))
    dataset = datasets.open(f"raf_db:{tmp_path}")
    assert [s.expression for s in dataset.samples] == list(NAMES)
    assert [s.split for s in dataset.samples] == ["train", "test"] * 3 + ["train"]
    assert dataset.samples[0].id == "train_00001.jpg"
    assert dataset.samples[0].load().shape == (20, 20, 3)


def test_originals_where_nothing_is_aligned(tmp_path, picture):
    basic(tmp_path, picture, range(1, 4))
    for file in (tmp_path / "Image" / "aligned").iterdir():
        file.unlink()
    (tmp_path / "Image" / "original" / "test_0002.jpg").unlink()
    dataset = datasets.open(f"raf_db:{tmp_path}")
    assert [s.load().shape for s in dataset.samples] == [(30, 30, 3)] * 2
    assert dataset.dropped == (("test_0002.jpg", "no such file"),)


def test_lines_that_say_nothing(tmp_path, picture):
    basic(tmp_path, picture, [1, "x", 0])
    listed = tmp_path / "EmoLabel" / "list_patition_label.txt"
    listed.write_text(listed.read_text() + "\nalone\n../../../secret.jpg 4\n")
    dataset = datasets.open(f"raf_db:{tmp_path}")
    assert len(dataset) == 1
    assert dataset.dropped == (
        ("test_0002.jpg", "label 'x' is none of its expressions"),
        ("train_00003.jpg", "label '0' is none of its expressions"),
        ("alone", "no such file"),
        ("../../../secret.jpg", "lies outside the data folder (read with --allow-outside)"),
    )


def test_compound_codes(tmp_path, picture):
    basic(tmp_path, picture, range(1, 12))
    dataset = datasets.open(f"raf_db_compound:{tmp_path}")
    assert [s.expression for s in dataset.samples] == list(COMPOUND.values())
    assert [dataset.samples[i].expression for i in (0, 6, 10)] == [
        "happily_surprised", "fearfully_angry", "disgustedly_surprised",
    ]  # fmt: skip


def test_one_set_taken_for_the_other(tmp_path, picture):
    basic(tmp_path, picture, range(1, 12))
    listed = tmp_path / "EmoLabel" / "list_patition_label.txt"
    told = f"{listed}: has labels above 7; is it the compound set, raf_db_compound:DIR?"
    with pytest.raises(InputError, match=re.escape(told)):
        datasets.open(f"raf_db:{tmp_path}")
    listed.write_text("train_00001.jpg 5\n")
    notes = datasets.open(f"raf_db_compound:{tmp_path}").notes
    assert "no label above 7: if this is the basic set, open it as raf_db:DIR" in notes


def test_the_copy_in_numbered_folders(tmp_path, picture):
    for i in range(1, 8):
        picture(tmp_path / "train" / str(i) / f"train_{i:05d}_aligned.jpg")
    picture(tmp_path / "test" / "4" / "test_0001_aligned.jpg")
    picture(tmp_path / "test" / "9" / "test_0002_aligned.jpg")
    dataset = datasets.open(f"raf_db:{tmp_path}")
    assert [s.expression for s in dataset.samples] == ["happiness", *NAMES]
    assert [s.split for s in dataset.samples] == ["test"] + ["train"] * 7
    assert dataset.dropped == (("test/9/test_0002_aligned.jpg", "label '9' is none of its expressions"),)
