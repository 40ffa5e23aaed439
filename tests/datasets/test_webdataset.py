"""Tar shards: what a member means, what is refused, and pictures read where they stand."""

import gzip
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from xfer import datasets
from xfer.datasets import patterns, webdataset
from xfer.errors import InputError


def failure(data: object) -> str:
    with pytest.raises(InputError) as caught:
        datasets.open(f"webdataset:{data}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_labels_stand_in_cls_and_in_json(tmp_path, tar, png):
    points = [[float(i), float(2 * i)] for i in range(68)]
    record = {"emotion": "afraid", "subject": 7, "split": "val", "time": 0.5, "age": 31, "landmarks": points}
    tar(
        tmp_path / "faces.tar",
        ("./deep/a.png", png(1)), ("deep/a.cls", "angry\n"), ("deep/a.txt", "a caption"),
        ("b.json", json.dumps(record)), ("b.PNG", png(2)),
        ("c.png", png(3)), ("c.json", json.dumps({"expression": "fear", "subject": None})), ("c.cls", "happy"),
    )  # fmt: skip
    a, b, c = datasets.open(f"webdataset:{tmp_path / 'faces.tar'}").samples
    assert (a.id, a.expression, a.subject, a.split, a.time, a.landmarks) == (
        "deep/a.png", "anger", "deep/a.png", "", None, None,
    )  # fmt: skip
    assert (b.id, b.expression, b.subject, b.split, b.time) == ("b.PNG", "fear", "7", "validation", 0.5)
    assert b.extra == {"age": "31"}
    np.testing.assert_array_equal(b.landmarks, points)
    assert (c.id, c.expression) == ("c.png", "happiness")  # a .cls goes before a .json, whatever their order
    assert [s.load()[0, 0, 0] for s in (a, b, c)] == [1, 2, 3]
    assert a.source.content() == png(1)


def test_numbers_are_names_where_the_names_are_told(tmp_path, tar, png):
    file = tar(tmp_path / "f.tar", ("a.cls", "1"), ("a.png", png(1)), ("b.png", png(1)), ("b.cls", "fear"))
    assert ("a.png", "label '1' is not an expression") in datasets.open(f"webdataset:{file}").dropped
    (tmp_path / "classnames.txt").write_text("anger\nsadness\n")
    assert datasets.open(f"webdataset:{file}").counts() == {"fear": 1, "sadness": 1}


def test_shards_by_braces_wild_cards_and_folder(tmp_path, tar, png, monkeypatch):
    for i in (8, 9, 10):
        tar(tmp_path / f"f-{i:02d}.tar", (f"{i}.png", png(i)), (f"{i}.cls", "fear"))
    tar(tmp_path / "._f-08.tar", ("x.png", png(1)), ("x.cls", "fear"))
    monkeypatch.chdir(tmp_path)
    for data in (f"{tmp_path}/f-{{08..10}}.tar", f"{tmp_path}/f-*.tar", tmp_path, f"file://{tmp_path}", "f-*.tar", "."):
        assert [s.id for s in datasets.open(f"webdataset:{data}").samples] == ["8.png", "9.png", "10.png"], data
    assert [s.id for s in datasets.open("webdataset:f-{09,08}.tar").samples] == ["8.png", "9.png"]
    assert failure("f-{08..11}.tar") == f"f-11.tar: no such file; expected {webdataset.LAYOUT}"
    assert failure("g-*.tar") == f"g-*.tar: no such file; expected {webdataset.LAYOUT}"
    assert failure("f-{0..999999999}.tar") == "{0..999999999}: stands for 1000000000 shards; at most 100000"
    assert failure("{0..999}-{0..999}.tar") == "{0..999}-{0..999}.tar: stands for 1000000 shards; at most 100000"


def test_the_names_of_shards_tell_splits_where_they_tell_several(tmp_path, tar, png):
    for name in ("train-0", "train-1", "val-0"):
        tar(tmp_path / f"{name}.tar", (f"{name}.png", png(1)), (f"{name}.cls", "fear"))
    assert [s.split for s in datasets.open(f"webdataset:{tmp_path}").samples] == ["train", "train", "validation"]
    assert {s.split for s in datasets.open(f"webdataset:{tmp_path}/train-*.tar").samples} == {""}


def test_members_that_cannot_be_used_are_named(tmp_path, tar, png, monkeypatch):
    monkeypatch.setattr("xfer.datasets.stored.MAX_BYTES", 20_000)
    link, hard, fifo = (tarfile.TarInfo(name) for name in ("link.png", "hard.png", "fifo.png"))
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard.type, hard.linkname = tarfile.LNKTYPE, "a.png"
    fifo.type = tarfile.FIFOTYPE
    file = tar(
        tmp_path / "f.tar",
        ("a.png", png(1)), ("a.cls", "fear"), ("a.jpg", png(2)), (link, ""), (hard, ""), (fifo, ""),
        ("/abs.png", png(1)), ("../up.png", png(1)), (".hidden.png", png(1)), ("__MACOSX/._a.png", png(1)),
        ("big.png", b"x" * 20_001), ("list.json", "[1]"), ("bad.json", "{"), ("deep.json", "[" * 5000),
        ("long.cls", "x" * 70_000), ("n\n.cls", "fear"), ("text.png", "no picture"), ("text.cls", "fear"),
    )  # fmt: skip
    dataset = datasets.open(f"webdataset:{file}")
    assert [s.id for s in dataset.samples] == ["a.png", "text.png"]
    lost = "has a label and no picture"
    assert sorted(dataset.dropped) == sorted(
        [
            ("a.jpg", "is a second picture beside a.png"),
            ("link.png", "is a link, which is not followed"),
            ("hard.png", "is a link, which is not followed"),
            ("fifo.png", "is not a regular file"),
            ("/abs.png", "is named as if it lay outside the shard"),
            ("../up.png", "is named as if it lay outside the shard"),
            ("big.png", "is larger than 0 MB"),
            ("list.json", "holds no record in JSON"), ("list.json", lost),
            ("bad.json", "holds no record in JSON"), ("bad.json", lost),
            ("deep.json", "holds no record in JSON"), ("deep.json", lost),
            ("long.cls", "tells of a face in more than 64 kB"), ("long.cls", lost),
            ("n\\n.cls", lost),
        ]
    )  # fmt: skip
    assert [picture for _, picture in dataset.faces() if isinstance(picture, str)] == [
        "is not a picture of a format that is read"
    ]


def test_the_same_name_in_two_shards_is_told(tmp_path, tar, png):
    for i, label in enumerate(("fear", "anger")):
        tar(tmp_path / f"{i}.tar", ("a.png", png(i)), ("a.cls", label))
    dataset = datasets.open(f"webdataset:{tmp_path}")
    assert dataset.dropped == (("a.png", "is listed a second time, with expression 'anger' after 'fear'"),)


def test_shards_that_are_none(tmp_path, tar, png):
    file = tmp_path / "f.tar"
    file.touch()
    assert failure(file) == f"{file}: is an empty file"
    tar(file)
    assert failure(file) == "webdataset:f.tar: no face is left: f.tar left out: holds no picture"
    file.write_bytes(b"no tar at all" * 100)
    assert failure(file).startswith(f"{file}: is a damaged tar, after 0 members (")
    sound = tar(file, ("a.png", png(1)), ("a.cls", "fear"), ("b.png", png(2)), ("b.cls", "fear")).read_bytes()
    (tmp_path / "f.tar.gz").write_bytes(gzip.compress(sound))
    told = failure(tmp_path / "f.tar.gz")
    assert told == f"{tmp_path}/f.tar.gz: is compressed (gzip); unpack it to a plain .tar, once"


@pytest.mark.parametrize(("cut", "read"), [(300, 0), (550, 0), (600, 1), (1024, 1), (1500, 1), (2100, 2), (2600, 2)])
def test_a_shard_that_ends_early_is_not_passed_over(tmp_path, tar, png, cut, read):
    file = tar(tmp_path / "f.tar", ("a.png", png(1)), ("a.cls", "fear"), ("b.png", png(2)), ("b.cls", "fear"))
    file.write_bytes(file.read_bytes()[:cut])
    if cut == 1024:  # a sound first member, then nothing: as some writers leave it
        assert failure(file).startswith("webdataset:f.tar: no face is left: a.png left out: without an expression")
    else:
        assert failure(file).startswith(f"{file}: is a damaged tar, after {read} members (")


def test_a_damaged_header_in_the_middle_is_told(tmp_path, tar, png):
    file = tar(tmp_path / "f.tar", ("a.png", png(1)), ("a.cls", "fear"), ("b.png", png(2)), ("b.cls", "fear"))
    content = bytearray(file.read_bytes())
    content[1024:1040] = b"\xff" * 16
    file.write_bytes(content)
    assert failure(file) == f"{file}: is a damaged tar, after 1 members (no header at byte 1024)"


def test_a_header_that_asks_for_gigabytes_gets_none(tmp_path, tar, png):
    file = tmp_path / "f.tar"
    hostile = tarfile.TarInfo("././@LongLink")
    hostile.type, hostile.size = tarfile.GNUTYPE_LONGNAME, 2**33 - 1
    file.write_bytes(hostile.tobuf() + b"x" * 4096)
    assert failure(file) == f"{file}: is a damaged tar, after 0 members (a header of 8589934592 bytes)"


def test_a_shard_that_changes_or_goes_during_the_run_is_named(tmp_path, tar, png):
    file = tar(tmp_path / "f.tar", ("a.png", png(1)), ("a.cls", "fear"))
    dataset = datasets.open(f"webdataset:{file}")
    tar(file, ("a.png", png(200)), ("a.cls", "fear"), ("b.cls", "fear"))
    with pytest.raises(InputError, match=r"f\.tar: has changed since the data were listed \(digest mismatch\)"):
        list(dataset.faces())
    file.unlink()
    with pytest.raises(InputError, match=r"f\.tar: no such file"):
        list(dataset.faces())


def test_nothing_is_unpacked_and_no_member_is_kept(tmp_path, tar, png, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tar(tmp_path / "f.tar", *((f"{i:03d}.png", png(i)) for i in range(50)), ("000.cls", "fear"))
    with webdataset.StoredFile.of(file).open() as stream:
        assert [len(shard.members) for shard, _ in webdataset._members(webdataset.StoredFile.of(file), stream)] == [
            0
        ] * 51
    datasets.open("webdataset:f.tar").samples[0].load()
    assert [path.name for path in Path.cwd().iterdir()] == ["f.tar"]


def test_braces_without_a_span_are_words():
    assert patterns.expanded("{a,b}{1..2}") == ["a1", "a2", "b1", "b2"]
    with pytest.raises(InputError, match=r"^\{9\.\.8\}: counts down"):
        patterns.expanded("{9..8}.tar")
