import os
import re
import sys
from pathlib import Path

import pytest

from xfer import datasets
from xfer.datasets import Dropped
from xfer.datasets.listing import NO_SUBJECTS
from xfer.errors import InputError


def test_sub_folders_are_expressions_by_any_alias(tmp_path, picture):
    for name in ("angry/a.jpg", "Happy/b.PNG", "SURPRISE/deep/c.jpg", "images/sad/d.jpg", "happily surprised/e.jpg"):
        picture(tmp_path / name)
    dataset = datasets.open(f"folder:{tmp_path}")
    assert {s.id: s.expression for s in dataset.samples} == {
        "angry/a.jpg": "anger",
        "Happy/b.PNG": "happiness",
        "SURPRISE/deep/c.jpg": "surprise",
        "images/sad/d.jpg": "sadness",
        "happily surprised/e.jpg": "happily_surprised",
    }
    assert dataset.name == f"folder:{tmp_path.name}"
    assert dataset.notes == (NO_SUBJECTS,)
    assert [s.subject for s in dataset.samples] == [s.id for s in dataset.samples]


def test_splits_come_from_folders_too(tmp_path, picture):
    for name in ("train/angry/a.jpg", "val/angry/b.jpg", "angry/test/c.jpg", "angry/d.jpg"):
        picture(tmp_path / name)
    dataset = datasets.open(f"folder:{tmp_path}")
    assert {Path(s.id).stem: s.split for s in dataset.samples} == {
        "a": "train",
        "b": "validation",
        "c": "test",
        "d": "",
    }


def test_nothing_is_lost(tmp_path, picture):
    names = (
        "angry/a.jpg",
        "angr/b.jpg",
        "misc/c.jpg",
        "misc/d.jpg",
        "top.jpg",
        "angry/sad/e.jpg",
        "train/test/sad/f.jpg",
    )
    for name in names:
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "angry" / ".hidden.jpg").write_text("x")
    dataset = datasets.open(f"folder:{tmp_path}")
    assert dict(dataset.dropped) == {
        "angr/b.jpg": "folder 'angr' is not an expression (did you mean 'angry'?)",
        "misc/c.jpg": "folder 'misc' is not an expression",
        "misc/d.jpg": "folder 'misc' is not an expression",
        "top.jpg": "without an expression",
        "angry/sad/e.jpg": "lies in folders of anger and sadness",
        "train/test/sad/f.jpg": "lies in folders of test and train",
        "notes.txt": "is not named as a picture (.txt)",
    }
    losses = dataset.summary()[4:]
    assert losses[0] == "misc/c.jpg, misc/d.jpg left out: folder 'misc' is not an expression"
    assert "angr/b.jpg left out: folder 'angr' is not an expression (did you mean 'angry'?)" in losses


def test_pictures_on_the_top_are_unlabelled(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    assert [s.expression for s in datasets.open(f"folder:{tmp_path}", unlabelled=True).samples] == [None]
    with pytest.raises(
        InputError, match=rf"folder:{tmp_path.name}: no face is left: a.jpg left out: without an expression"
    ):
        datasets.open(f"folder:{tmp_path}")


def test_links_do_not_lead_out(tmp_path, picture):
    secret = picture(tmp_path / "elsewhere" / "angry" / "s.jpg")
    root = tmp_path / "data"
    picture(root / "angry" / "a.jpg")
    (root / "angry" / "in.jpg").symlink_to("a.jpg")
    (root / "angry" / "out.jpg").symlink_to(secret)
    (root / "angry" / "up.jpg").symlink_to("../../elsewhere/angry/s.jpg")
    (root / "sad").symlink_to(secret.parent)
    (root / "loop").symlink_to(".")
    dataset = datasets.open(f"folder:{root}")
    assert [s.id for s in dataset.samples] == ["angry/a.jpg", "angry/in.jpg"]
    outside = "lies outside the data folder (read with --allow-outside)"
    folder_link = "is a link to a folder, which is not followed"
    assert set(dataset.dropped) == {
        Dropped("angry/out.jpg", outside),
        Dropped("angry/up.jpg", outside),
        Dropped("sad", folder_link),
        Dropped("loop", folder_link),
    }
    assert len(datasets.open(f"folder:{root}", allow_outside=True)) == 4


def test_a_data_folder_may_be_a_link_itself(tmp_path, picture):
    picture(tmp_path / "real" / "angry" / "a.jpg")
    (tmp_path / "link").symlink_to("real")
    assert len(datasets.open(f"folder:{tmp_path / 'link'}")) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps file names that are not UTF-8")
def test_names_that_are_not_utf8(tmp_path, picture):
    data = picture(tmp_path / "angry" / "a.png", 33).read_bytes()
    Path(os.fsdecode(os.fsencode(tmp_path / "angry") + b"/caf\xe9.png")).write_bytes(data)
    Path(os.fsdecode(os.fsencode(tmp_path / "angry") + b"/caf\xe8.png")).touch()
    stream = datasets.open(f"folder:{tmp_path}").faces()
    assert [(s.id, i if isinstance(i, str) else int(i[0, 0, 0])) for s, i in stream] == [
        ("angry/a.png", 33),
        ("angry/caf\\xe8.png", "is an empty file"),
        ("angry/caf\\xe9.png", 33),
    ]


def test_the_order_is_that_of_names(tmp_path, picture):
    for name in ("sad/2.jpg", "angry/10.jpg", "sad/1.jpg", "angry/9.jpg"):
        picture(tmp_path / name)
    ids = [s.id for s in datasets.open(f"folder:{tmp_path}").samples]
    assert ids == ["angry/10.jpg", "angry/9.jpg", "sad/1.jpg", "sad/2.jpg"]


def test_no_folder(tmp_path):
    (tmp_path / "file").touch()
    layout = "; expected a folder with sub-folders such as angry/*.jpg, or train/angry/*.jpg and test/angry/*.jpg"
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}/x: no such file or folder{layout}")):
        datasets.open(f"folder:{tmp_path}/x")
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}/file: is not a folder{layout}")):
        datasets.open(f"folder:{tmp_path}/file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"folder:empty: no face is left: nothing was found"):
        datasets.open(f"folder:{tmp_path}/empty")


def test_real_pictures(shared):
    dataset = datasets.open(f"folder:{shared / 'data' / 'london'}")
    assert dataset.counts() == {"happiness": 70, "neutral": 70}
