import os
import re
import sys
from pathlib import Path

import pytest

from xfer import datasets
from xfer.datasets.listing import NO_SUBJECTS
from xfer.errors import InputError


@pytest.fixture
def folder(tmp_path, picture) -> Path:
    for name in "abcdef":
        picture(tmp_path / "data" / f"{name}.jpg")
    picture(tmp_path / "secret.jpg")
    (tmp_path / "data" / "sub").mkdir()
    return tmp_path / "data"


def opened(folder: Path, text: str, **options: bool) -> datasets.Dataset:
    (folder / "faces.csv").write_text(text, encoding="utf-8", errors="surrogateescape")
    return datasets.open(f"csv:{folder / 'faces.csv'}", **options)


def failure(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        opened(folder, text)
    return str(caught.value)


def test_columns_are_read_and_extra_ones_kept(folder):
    dataset = opened(
        folder,
        "file,expression,subject,split,time,age,note\n"
        'a.jpg,Happy,ann,Train,0.5,31,"two\nlines"\n'
        "sub/../b.jpg,fear,,val,,,=1+1\n",
    )
    a, b = dataset.samples
    assert (a.id, a.expression, a.subject, a.split, a.time) == ("a.jpg", "happiness", "ann", "train", 0.5)
    assert a.extra == {"age": "31", "note": "two\nlines"}
    assert (b.id, b.expression, b.subject, b.split, b.time) == ("b.jpg", "fear", "b.jpg", "validation", None)
    assert b.extra == {"age": "", "note": "=1+1"}
    assert dataset.notes == ("faces without a subject, each a subject of its own: 1",)
    assert dataset.name == "csv:data/faces.csv"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_spreadsheets_write(folder, delimiter):
    text = "\ufefffile,expression\r\na.jpg,fear\r\nb.jpg,anger\r\n".replace(",", delimiter)
    dataset = opened(folder, text)
    assert [s.expression for s in dataset.samples] == ["fear", "anger"]
    assert dataset.notes == (NO_SUBJECTS,)


def test_rows_that_cannot_be_used_are_listed_and_the_rest_goes_on(folder):
    dataset = opened(
        folder,
        "file,expression,subject,split,time\n"
        "a.jpg,fear\n"
        "b.jpg,hapy\n"
        "c.jpg,=cmd()|' /C calc'!A0\n"
        "missing.jpg,fear\n"
        ",fear\n"
        "a.jpg,anger\n"
        "d.jpg,fear,ann,fold3\n"
        "e.jpg,fear,ann,train,soon\n"
        "f.jpg,\n"
        "../secret.jpg,fear\n"
        "../data/../secret.jpg,fear\n",
    )
    outside = "lies outside the data folder (read with --allow-outside)"
    assert [s.id for s in dataset.samples] == ["a.jpg"]
    assert dataset.dropped == (
        ("b.jpg", "label 'hapy' is not an expression (did you mean 'happy'?)"),
        ("c.jpg", "label \"=cmd()|' /C calc'!A0\" is not an expression"),
        ("missing.jpg", "no such file"),
        ("line 6", "names no file"),
        ("a.jpg", "is listed a second time, with expression 'anger' after 'fear'"),
        ("d.jpg", "split 'fold3' is none of train, test, validation"),
        ("e.jpg", "time 'soon' is not a number of seconds"),
        ("../secret.jpg", outside),
        ("../secret.jpg", outside),
        ("f.jpg", "without an expression"),
    )


def test_paths_stay_in_the_folder(folder):
    (folder / "link.jpg").symlink_to("../secret.jpg")
    (folder / "way").symlink_to("..")
    absolute = folder.parent / "secret.jpg"
    files = ("a.jpg", "link.jpg", "way/secret.jpg", absolute, "..", folder / "b.jpg")
    text = "file,expression\n" + "".join(f"{file},fear\n" for file in files)
    dataset = opened(folder, text)
    assert [s.id for s in dataset.samples] == ["a.jpg", "b.jpg"]
    assert {d.reason for d in dataset.dropped} == {"lies outside the data folder (read with --allow-outside)"}
    assert [s.id for s in opened(folder, text, allow_outside=True).samples] == [
        "a.jpg", "link.jpg", "way/secret.jpg", "../secret.jpg", "b.jpg",
    ]  # fmt: skip


def test_nothing_left(folder):
    assert failure(folder, "file,expression\nx.jpg,fear\ny.jpg,fear\na.jpg,grumpy\n") == (
        "csv:data/faces.csv: no face is left: x.jpg, y.jpg left out: no such file; "
        "a.jpg left out: label 'grumpy' is not an expression"
    )


def test_tables_that_are_none(folder):
    file = folder / "faces.csv"
    assert failure(folder, "path,emotion\na.jpg,fear\n") == f"{file}: has no column 'file'; there is path, emotion"
    assert (
        failure(folder, "file,emotion\na.jpg,fear\n") == f"{file}: has no column 'expression'; there is file, emotion"
    )
    assert failure(folder, "") == f"{file}: has no column 'file'; there is nothing"
    assert failure(folder, "file,expression,file\na.jpg,fear,b\n") == f"{file}: has two columns 'file'"
    assert failure(folder, "file,expression\na.jpg,fear,x\n") == f"{file}: line 2 has more cells than the header"
    assert failure(folder, 'file,expression\n"a.jpg"x,fear\n').startswith(f"{file}: near line 2, is not csv (")
    assert failure(folder, "file,expression\n" + "a" * 200_000).startswith(
        f"{file}: near line 2, is not csv (field larger"
    )
    assert failure(folder, "file,expression\na\0.jpg,fear\n").startswith(
        "csv:data/faces.csv: no face is left: a\\x00.jpg"
    )


def test_no_file(tmp_path):
    with pytest.raises(
        InputError, match=re.escape(f"{tmp_path}: is a folder; expected a csv file with the columns file")
    ):
        datasets.open(f"csv:{tmp_path}")
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}/x.csv: no such file or folder; expected a csv file")):
        datasets.open(f"csv:{tmp_path}/x.csv")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps file names that are not UTF-8")
def test_a_table_in_another_encoding_still_finds_its_files(folder):
    name = os.fsdecode(b"caf\xe9.jpg")
    (folder / name).write_bytes((folder / "a.jpg").read_bytes())
    dataset = opened(folder, f"file,expression\n{name},fear\n{name}x,gr\udce9\n")
    assert [s.id for s in dataset.samples] == ["caf\\xe9.jpg"]
    assert dataset.samples[0].load().shape == (20, 20, 3)
    assert dataset.dropped == (("caf\\xe9.jpgx", "no such file"),)


def test_real_tables(shared):
    lfw = datasets.open(f"csv:{shared / 'data' / 'lfw_expressions' / 'labels.csv'}", min_faces=30)
    assert lfw.counts() == {"anger": 134, "happiness": 354, "sadness": 70, "surprise": 188, "neutral": 339}
    assert lfw.summary()[2:] == [
        "10 faces left out: fear, fewer than 30 faces",
        "6 faces left out: disgust, fewer than 30 faces",
    ]
    assert sum(bool(s.extra["second_annotator_expression"]) for s in lfw.samples) > 20
    london = datasets.open(f"csv:{shared / 'data' / 'london' / 'labels.csv'}")
    assert len({s.subject for s in london.samples}) == 70
    assert london.samples[0].load().shape == (640, 640, 3)


def test_pictures_in_a_store_are_listed_by_a_table_that_stands_there_too(folder):
    assert failure(folder, "file,expression\na.jpg,fear\ns3://bucket/faces/b.jpg,anger\n") == (
        f"{folder / 'faces.csv'}: names s3://bucket/faces/b.jpg, which is in a store; put the table into its pictures' "
        "folder there and give its URL, as in csv:s3://bucket/faces/faces.csv"
    )
