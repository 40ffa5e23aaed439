"""Faces by column: the same samples come out as went in, whatever is in them, and little of them stays in memory."""

import pickle
import tempfile
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xfer.datasets import Dataset, FaceSample, columns
from xfer.datasets.faces import Columns, Faces
from xfer.datasets.objects import Part, StoredFile, Whole
from xfer.datasets.parquet import Cell
from xfer.errors import InputError

SHARD = StoredFile("s3://bucket/faces-0.tar", 10_000, "v1")
POINTS = np.random.default_rng(0).uniform(0, 48, (68, 2))
SAMPLES = (
    FaceSample("a.jpg", Path("faces/a.jpg"), "fear", "ann", "train", 0.5, POINTS.astype(np.float32), {"age": "31"}),
    FaceSample("b", Part(SHARD, 512, 77), None, "caf\udce9", landmarks=POINTS),
    FaceSample("c", Part(SHARD, 2**40, 1), "awed", "b", "test", extra={"a": "caf\udce9", "b": ""}),
    FaceSample("d", Cell(SHARD, "image", 3, 17, 5000), "neutral", "d", "validation", 0.0),
    FaceSample("e\n", Whole(StoredFile("s3://bucket/x/e.png", 9, "etag")), "anger", "x"),
    FaceSample("f", partial(np.zeros, (2, 2, 3), np.uint8), "contempt", "x"),
)


def sealed(samples: tuple[FaceSample, ...]) -> Faces:
    entered = Columns()
    for sample in samples:
        entered.append(sample)
    return entered.sealed()


@pytest.mark.parametrize("most", [0, 2**20])
def test_what_goes_in_comes_out(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "IN_MEMORY", most)
    faces = sealed(SAMPLES)
    assert faces == SAMPLES
    assert [face.source for face in faces] == [sample.source for sample in SAMPLES]
    assert [face.extra for face in faces] == [sample.extra for sample in SAMPLES]
    np.testing.assert_array_equal(faces[0].landmarks, POINTS.astype(np.float32))
    np.testing.assert_array_equal(faces[1].landmarks, POINTS)
    assert faces[2].landmarks is None
    assert faces.landmarked().tolist() == [True, True, False, False, False, False]
    assert pickle.loads(pickle.dumps(faces[:5])) == SAMPLES[:5]


@pytest.mark.parametrize("name", ["id", "expression", "subject", "split", "time", "source"])
def test_a_column_is_that_of_the_samples(name: str) -> None:
    some = Dataset("some", sealed(SAMPLES)).take([4, 1, 0])
    assert some.column(name) == [getattr(SAMPLES[i], name) for i in (4, 1, 0)]
    assert some.column(name) == Dataset("plain", [SAMPLES[i] for i in (4, 1, 0)]).column(name)


def test_a_face_without_a_subject_is_its_own() -> None:
    faces = sealed((FaceSample("a", Path("a")), FaceSample("b", Path("b"), subject="ann")))
    assert (faces[0].subject, faces.column("subject"), faces.alone()) == ("a", ["a", "ann"], 1)


def test_fields_told_anew_go_with_their_faces() -> None:
    data = Dataset("some", sealed(SAMPLES))
    plain = Dataset("plain", SAMPLES)
    news = [f"{i}" for i in range(6)]
    for whole in (data, plain):
        some = whole.changed(split=news, sha256=news[::-1]).take([5, 2]).changed(split=["x", "y"])
        assert [(face.id, face.split, face.sha256) for face in some.samples] == [("f", "x", "0"), ("c", "y", "3")]
        assert some.column("split") == ["x", "y"]
        assert some.samples[-1].sha256 == "3"
    assert [face.split for face in data.samples] == [sample.split for sample in SAMPLES]


def test_places_from_the_end_go_with_what_is_told_anew() -> None:
    for whole in (Dataset("some", sealed(SAMPLES)), Dataset("plain", SAMPLES)):
        some = whole.changed(split=list("abcdef")).take([-1, 0])
        assert [(face.id, face.split) for face in some.samples] == [("f", "f"), ("a.jpg", "a")]


def test_texts_are_not_what_is_no_text() -> None:
    assert columns.Texts.of(["1", "2"]) != [1, 2]


def test_nothing_is_no_face() -> None:
    nothing = sealed(())
    assert (len(nothing), list(nothing), nothing.column("id"), nothing.landmarked().tolist()) == (0, [], [], [])


def test_places_outside_are_refused() -> None:
    with pytest.raises(IndexError):
        sealed(SAMPLES)[6]


@given(st.lists(st.text(st.characters(), max_size=9)), st.integers(0, 3))
def test_texts_are_kept_whatever_they_hold(texts: list[str], start: int) -> None:
    kept = columns.Texts.of(texts)
    assert list(kept) == texts
    assert kept[start:] == texts[start:]
    assert pickle.loads(pickle.dumps(kept)) == tuple(texts)


def test_little_of_a_face_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "IN_MEMORY", 2**12)
    faces, points = 20_000, POINTS.astype(np.float32)
    tracemalloc.start()
    entered = Columns()
    for i in range(faces):
        entered.append(FaceSample(f"{i:07d}.jpg", Part(SHARD, i, i), "fear", landmarks=points, extra={"age": "31"}))
    kept = entered.sealed()
    del entered
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(kept) == faces
    assert held / faces < 40


def fill(records: columns.Records) -> None:
    records.append(b"a" * 2**5)
    records.sealed()


@pytest.mark.parametrize("act", ["write", "flush"])
def test_no_room_is_one_line(act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "IN_MEMORY", 2**4)
    records = columns.Records()

    def full(*content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records._content._file, act, full)
    with pytest.raises(InputError) as refusal:
        fill(records)
    assert str(refusal.value) == (
        f"{tempfile.gettempdir()}: cannot hold what is told of the faces (No space left on device); "
        "let TMPDIR name a folder with more room"
    )
