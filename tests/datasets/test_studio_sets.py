"""KDEF and JAFFE, whose file names say everything."""

import pytest

from xfer import datasets
from xfer.errors import InputError


def test_kdef_names(tmp_path, picture):
    for code in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
        picture(tmp_path / "AF01" / f"AF01{code}S.JPG")
    picture(tmp_path / "BM35" / "BM35SUS.jpg")
    picture(tmp_path / "BF01" / "BF01ANS.JPG")
    dataset = datasets.open(f"kdef:{tmp_path}")
    assert [s.expression for s in dataset.samples[:7]] == [
        "fear", "anger", "disgust", "happiness", "neutral", "sadness", "surprise",
    ]  # fmt: skip
    assert [(s.subject, s.extra["session"], s.extra["sex"]) for s in dataset.samples[6:]] == [
        ("F01", "A", "F"), ("F01", "B", "F"), ("M35", "B", "M"),
    ]  # fmt: skip


def test_kdef_angles(tmp_path, picture):
    for angle in ("FL", "HL", "S", "HR", "FR"):
        picture(tmp_path / f"AF01AN{angle}.JPG")
    picture(tmp_path / "FAFFL.JPG")
    dataset = datasets.open(f"kdef:{tmp_path}")
    assert [s.id for s in dataset.samples] == ["AF01ANS.JPG"]
    assert dict(dataset.dropped) == {
        "AF01ANFL.JPG": "full left profile, angles read: S",
        "AF01ANHL.JPG": "half left profile, angles read: S",
        "AF01ANHR.JPG": "half right profile, angles read: S",
        "AF01ANFR.JPG": "full right profile, angles read: S",
        "FAFFL.JPG": "is not named as AF01ANS",
    }
    wider = datasets.open(f"kdef:{tmp_path}", angles=("HL", "S", "HR"))
    assert [s.extra["angle"] for s in wider.samples] == ["HL", "HR", "S"]
    with pytest.raises(InputError, match=r"'angle' must be one of FL, HL, S, HR, FR; got 'HS'"):
        datasets.open(f"kdef:{tmp_path}", angles=("HS",))


def test_jaffe_names(tmp_path, picture):
    for i, code in enumerate(("AN", "DI", "FE", "HA", "NE", "SA", "SU")):
        picture(tmp_path / f"KA.{code}1.{39 + i}.tiff")
    picture(tmp_path / "YM.HA3.54.tiff")
    (tmp_path / "README_FIRST.txt").write_text("x")
    picture(tmp_path / "KA.XX1.1.tiff")
    dataset = datasets.open(f"jaffe:{tmp_path}")
    assert [s.expression for s in dataset.samples[:7]] == [
        "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise",
    ]  # fmt: skip
    assert dataset.samples[7].subject == "YM"
    assert dataset.samples[7].extra == {"take": "3", "number": "54"}
    assert dataset.dropped == (
        ("KA.XX1.1.tiff", "is not named as KA.AN1.39"),
        ("README_FIRST.txt", "is not named as a picture (.txt)"),
    )
