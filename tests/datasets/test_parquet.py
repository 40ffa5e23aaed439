"""Pictures in a column of Parquet: which column, which names, which row, and a row group at a time."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xfer import datasets
from xfer.datasets import parquet
from xfer.errors import InputError


def failure(data: object) -> str:
    with pytest.raises(InputError) as caught:
        datasets.open(f"parquet:{data}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_as_hugging_face_writes_it(tmp_path, table, png):
    features = {"image": {"_type": "Image"}, "label": {"names": ["angry", "fear"], "_type": "ClassLabel"}}
    pictures = [{"bytes": png(i), "path": "same.png"} for i in range(5)]
    told = {"huggingface": json.dumps({"info": {"features": features}})}
    file = table(tmp_path / "train.parquet", told, image=pictures, label=[0, 1, 0, 1, None])
    dataset = datasets.open(f"parquet:{file}")
    assert [(s.id, s.expression) for s in dataset.samples] == [
        ("train.parquet/000000", "anger"), ("train.parquet/000001", "fear"),
        ("train.parquet/000002", "anger"), ("train.parquet/000003", "fear"),
    ]  # fmt: skip
    assert dataset.dropped == (("train.parquet/000004", "without an expression"),)
    assert [picture[0, 0, 0] for _, picture in dataset.faces(3)] == [0, 1, 2, 3]
    assert dataset.samples[3].source.content() == png(3)


def test_every_column_that_means_something(tmp_path, table, png):
    points = [list(np.arange(136.0)), None, [1.0, 2.0], [float("nan")] * 136]
    file = table(
        tmp_path / "f.parquet", id=["a", "b", "c", None], picture=[png(i) for i in range(4)],
        expression=["fear", "anger", "fear", "anger"], subject=["s1", None, "s2", "s2"],
        split=["train", "val", None, "third"], time=[0.5, None, 1.0, 2.0], age=[31, 40, None, 7],
        gender=["f", "m", "f", "m"], landmarks=points, vector=[[1.0]] * 4,
    )  # fmt: skip
    a, b, c = datasets.open(f"parquet:{file}").samples
    assert (a.id, a.expression, a.subject, a.split, a.time) == ("a", "fear", "s1", "train", 0.5)
    assert a.extra == {"age": "31", "gender": "f"}
    np.testing.assert_array_equal(a.landmarks, np.arange(136.0).reshape(68, 2))
    assert (b.subject, b.split, b.time, b.landmarks) == ("b", "validation", None, None)
    assert (c.landmarks, c.extra) == (None, {"gender": "f"})
    dropped = datasets.open(f"parquet:{file}").dropped
    assert dropped == (("f.parquet/000003", "split 'third' is none of train, test, validation"),)
    columns = {f"{axis}{i}": [float(i)] * 2 for i in range(68) for axis in "xy"}
    file = table(tmp_path / "g.parquet", image=[png(1)] * 2, label=["fear", "anger"], **columns)
    face = datasets.open(f"parquet:{file}").samples[0]
    np.testing.assert_array_equal(face.landmarks, np.repeat(np.arange(68.0)[:, None], 2, axis=1))
    assert face.extra == {}


def test_the_names_of_files_tell_splits_where_they_tell_several(tmp_path, table, png):
    names = ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001", "test-00000-of-00001")
    for i, name in enumerate(names):
        table(tmp_path / f"{name}.parquet", image=[png(i), png(i)], label=["fear", "anger"], split=[None, "test"])
    dataset = datasets.open(f"parquet:{tmp_path}")
    assert [s.split for s in dataset.samples] == ["test", "test"] + ["train", "test"] * 2 + ["validation", "test"]
    assert {s.split for s in datasets.open(f"parquet:{tmp_path}/train-*.parquet").samples} == {"", "test"}


def test_which_column_holds_pictures(tmp_path, table, png):
    file = tmp_path / "f.parquet"
    table(file, label=["fear"], name=["a.png"], box=[[1, 2]])
    assert failure(file) == (
        f"{file}: has no column of pictures (bytes, or a struct with bytes); there is "
        "label (string), name (string), box (list<element: int64>)"
    )
    table(file, label=["fear"], left=[png(1)], right=[png(2)])
    assert failure(file) == f"{file}: has several columns of bytes, left, right; call one 'image'"
    table(file, image=[png(1)] * 3)
    faces = datasets.open(f"parquet:{file}", unlabelled=True)
    assert [picture[0, 0, 0] for _, picture in faces.faces()] == [1, 1, 1]
    table(file, label=["fear"], left=[png(1)], image=[png(2)])
    assert datasets.open(f"parquet:{file}").samples[0].load()[0, 0, 0] == 2


def test_files_that_are_none(tmp_path, table, png, monkeypatch):
    file = tmp_path / "f.parquet"
    file.write_bytes(b"no parquet")
    assert failure(file).startswith(f"{file}: is not a parquet file (")
    pq.write_table(pa.table({"image": pa.array([], pa.binary()), "label": pa.array([], pa.string())}), file)
    assert failure(file) == "parquet:f.parquet: no face is left: f.parquet left out: holds no row"
    table(file, image=[png(1)] * 3, label=["fear"] * 3)
    monkeypatch.setattr(parquet, "MAX_GROUP", 100)
    assert ": row group 0 holds 0.0 GB of pictures, more than 0.0 GB at a time; write smaller" in failure(file)


def test_pictures_that_are_none_are_told(tmp_path, table, png):
    pictures = [{"bytes": png(1), "path": None}, {"bytes": None, "path": "gone.png"}, None, {"bytes": b"x", "path": ""}]
    file = table(tmp_path / "f.parquet", image=pictures, label=["fear"] * 4)
    found = [picture for _, picture in datasets.open(f"parquet:{file}").faces()]
    assert found[0][0, 0, 0] == 1
    assert found[1:] == ["is an empty file", "is an empty file", "is not a picture of a format that is read"]


def test_a_row_group_is_read_once_and_few_are_kept(tmp_path, table, png):
    file = table(tmp_path / "f.parquet", group=30, image=[png(i) for i in range(90)], label=["fear"] * 90)
    dataset = datasets.open(f"parquet:{file}")
    parquet._pictures.cache_clear()
    assert [picture[0, 0, 0] for _, picture in dataset.faces(4)] == list(range(90))
    told = parquet._pictures.cache_info()
    assert (told.misses, told.currsize) == (3, 2)


def test_a_file_that_changes_during_the_run_is_named(tmp_path, table, png):
    file = table(tmp_path / "f.parquet", image=[png(1)] * 3, label=["fear"] * 3)
    dataset = datasets.open(f"parquet:{file}")
    table(file, image=[png(2)] * 4, label=["fear"] * 4)
    with pytest.raises(InputError, match=r"f\.parquet: has changed since the data were listed \(digest mismatch\)"):
        list(dataset.faces())


def test_a_file_damaged_inside_is_named(tmp_path, table, png):
    file = table(tmp_path / "f.parquet", image=[png(1)] * 3, label=["fear"] * 3)
    content = bytearray(file.read_bytes())
    content[4:60] = b"\xff" * 56
    file.write_bytes(content)
    dataset = datasets.open(f"parquet:{file}")
    with pytest.raises(InputError, match=r"f\.parquet: cannot be read \("):
        list(dataset.faces())
