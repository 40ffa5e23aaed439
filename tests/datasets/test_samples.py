import pickle
import re
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from xfer import datasets
from xfer.datasets import Dataset, Dropped, FaceSample
from xfer.errors import InputError


def shade(value: int) -> np.ndarray:
    return np.full((20, 20, 3), value, np.uint8)


def faces(expressions: dict[str | None, int]) -> Dataset:
    names = [e for e, n in expressions.items() for _ in range(n)]
    samples = [FaceSample(f"{i:03d}", partial(shade, i), e, subject=f"s{i}") for i, e in enumerate(names)]
    return Dataset("drawn", samples)


def test_expressions_are_canonical_whatever_the_order():
    dataset = faces({"neutral": 1, "surprise": 2, "anger": 3})
    assert dataset.expressions == ("anger", "surprise", "neutral")
    assert dataset.select(["neutral", "angry"]).counts() == {"anger": 3, "neutral": 1}


def test_selection_names_what_it_drops():
    dataset = faces({"neutral": 5, "fear": 2, "anger": 4, None: 1, "disgust": 1}).select(
        ["neutral", "afraid", "anger"], min_faces=3
    )
    assert dataset.counts() == {"anger": 4, "neutral": 5}
    assert dataset.summary() == [
        "drawn: 9 faces of 9 subjects",
        "anger 4, neutral 5",
        "005, 006 left out: fear, fewer than 3 faces",
        "011 left out: without an expression",
        "012 left out: disgust, not asked for",
    ]
    assert Dropped("005", "fear, fewer than 3 faces") in dataset.dropped


def test_unlabelled_faces_stay_on_request():
    dataset = faces({None: 2, "fear": 1}).select(unlabelled=True)
    assert [s.expression for s in dataset.samples] == [None, None, "fear"]
    assert dataset.counts() == {"fear": 1}


def test_selection_that_cannot_be():
    dataset = faces({"neutral": 5, "fear": 2})
    with pytest.raises(InputError, match=re.escape("drawn: no face shows anger, contempt; there is fear 2, neutral 5")):
        dataset.select(["contempt", "anger", "fear"])
    with pytest.raises(InputError, match=r"'expression' must be one of .*; got 'angr' \(did you mean 'anger'\?\)"):
        dataset.select(["angr"])
    told = (
        "drawn: no face is left: 000, 001, 002, 003, 004 left out: neutral, fewer than 9 faces; 005, 006 left out: fear"
    )
    with pytest.raises(InputError, match=re.escape(told)):
        dataset.select(min_faces=9)


def test_one_expression_is_remarked():
    assert "only one expression: there is nothing to tell apart" in faces({"fear": 3}).summary()


def test_people_in_two_splits_are_remarked():
    samples = [
        FaceSample(str(i), partial(shade, i), "fear", subject="ann", split=s) for i, s in enumerate(("train", "test"))
    ]
    dataset = Dataset("x", samples)
    assert dataset.shared_subjects() == {"ann": ("test", "train")}
    assert "subjects in more than one split: 1, such as ann" in dataset.summary()


@pytest.mark.parametrize("workers", [None, 1, 2, 5])
def test_pictures_come_in_order(workers):
    stream = faces({"fear": 60}).faces(workers)
    for i, (sample, image) in enumerate(stream):
        assert sample.id == f"{i:03d}"
        np.testing.assert_array_equal(image, shade(i))
    assert i == 59


@pytest.mark.parametrize("workers", [1, 3])
def test_a_bad_picture_is_told_and_the_stream_goes_on(tmp_path, picture, workers):
    paths = [picture(tmp_path / f"{i}.png") for i in range(9)]
    paths[4].write_bytes(b"")
    stream = Dataset("x", [FaceSample(p.name, p) for p in paths]).faces(workers)
    found = [image if isinstance(image, str) else "" for _, image in stream]
    assert found == ["", "", "", "", "is an empty file", "", "", "", ""]


def slow(started: list[int], i: int) -> np.ndarray:
    started.append(i)
    time.sleep(0.002)
    return shade(i)


def test_reader_is_never_far_ahead_and_stops_with_its_stream():
    started: list[int] = []
    dataset = Dataset("x", [FaceSample(str(i), partial(slow, started, i)) for i in range(200)])
    stream = dataset.faces(workers=2)
    for _ in range(5):
        next(stream)
    time.sleep(0.1)
    assert len(started) <= 5 + 8
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]
    assert len(started) <= 5 + 8


def test_defects_are_not_taken_for_bad_pictures():
    dataset = Dataset("x", [FaceSample("a", partial(slow, None, 1))])  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        list(dataset.faces(2))


def test_samples_travel_to_other_processes(tmp_path, picture):
    sample = FaceSample("a", picture(tmp_path / "a.png", 5), "fear", landmarks=np.ones((68, 2)), extra={"sex": "F"})
    twin = pickle.loads(pickle.dumps(sample))
    assert twin == sample
    assert twin.extra == {"sex": "F"}
    np.testing.assert_array_equal(twin.load(), shade(5))


def test_open_explains_itself(tmp_path):
    with pytest.raises(InputError, match=r"'data set' must be one of .*; got 'raf_bd' \(did you mean 'raf_db'\?\)"):
        datasets.open("raf_bd:x")
    with pytest.raises(InputError, match=re.escape(f"data '{tmp_path}': say what it is, as in folder:{tmp_path}")):
        datasets.open(str(tmp_path))
    with pytest.raises(InputError, match=re.escape("data 'kdef': write kdef:PATH with a folder with AF01/AF01ANS.JPG")):
        datasets.open("kdef")


def test_path_objects_are_read_as_files(tmp_path: Path):
    with pytest.raises(datasets.ImageError, match="no such file"):
        FaceSample("a", tmp_path / "a.png").load()
