"""Shards on disk: what is written is read, byte for byte the same again; damage is one clear line."""

import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from xfer.errors import InputError
from xfer.study import shards
from xfer.study.accumulation import Accumulator
from xfer.study.sums import Sums

FACTS = {"model": "net", "guide": "none", "seed": "0", "fold": "1", "layer": "conv", "remarks": ["wärmer"]}
AGAIN = "delete it and run the study's 'xfer compare' line again"
TABLES = {
    "predictions": pd.DataFrame({"id": ["a", "bü"], "p_fear": np.array([0.25, 1], np.float32), "used": [True, False]}),
    "left_out": pd.DataFrame({"id": [], "reason": []}, dtype=str),
}


def some(seed: int = 0, faces: int = 12) -> Sums:
    accumulator = Accumulator(["grad_cam", "hires_cam"], np.eye(6, 5, dtype=bool), 4)
    maps = torch.randn(faces, 2, 6, 5, generator=torch.Generator().manual_seed(seed))
    maps[::3, :, 0] = torch.nan
    names = [("fear", "anger")[i % 2] for i in range(faces)]
    accumulator.add(maps, names, ["correct"] * faces, [i * 4 // faces for i in range(faces)])
    return accumulator.finish(FACTS)


@pytest.mark.parametrize("faces", [12, 0])
def test_what_is_written_is_read(tmp_path: Path, faces: int) -> None:
    sums = some(faces=faces)
    shards.write(tmp_path / "a.npz", sums, TABLES)
    found = shards.read(tmp_path / "a.npz")
    assert found.facts == FACTS
    assert found.blocks == 4
    pd.testing.assert_frame_equal(found.cells, sums.cells)
    pd.testing.assert_frame_equal(found.rows, sums.rows)
    for name in ("sums", "squares", "counts", "support", "block_sums", "block_missing"):
        mine, its = getattr(found, name), getattr(sums, name)
        assert (mine.dtype, mine.shape) == (its.dtype, its.shape)
        assert mine.tobytes() == its.tobytes()


def test_tables_travel_with_the_sums(tmp_path: Path) -> None:
    shards.write(tmp_path / "a.npz", some(), TABLES)
    found = shards.read_tables(tmp_path / "a.npz")
    assert list(found) == list(TABLES)
    pd.testing.assert_frame_equal(found["predictions"], TABLES["predictions"])
    assert list(found["left_out"]) == ["id", "reason"]
    assert found["left_out"].empty


def test_the_same_values_make_the_same_bytes_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards.write(tmp_path / "a.npz", some(), TABLES)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: time.struct_time((2033, 5, 18, 3, 33, 20, 2, 138, 0)))
    shards.write(tmp_path / "b.npz", some(), TABLES)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_numpy_reads_it_without_pickles(tmp_path: Path) -> None:
    shards.write(tmp_path / "a.npz", some())
    with np.load(tmp_path / "a.npz", allow_pickle=False) as stored:
        assert int(stored["format"]) == 1
        assert all(stored[name].dtype.kind in "biufU" for name in stored.files)


ROWS = len(some().rows)


def rewritten(path: Path, **changes: np.ndarray) -> None:
    with np.load(path) as stored:
        np.savez(path, **{**{name: stored[name] for name in stored.files}, **changes})


def test_damage_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    shards.write(path, some())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as caught:
        shards.read(path)
    assert str(caught.value) == f"{path}: is damaged (File is not a zip file); {AGAIN}"
    middle = whole.index(b"sums.npy") + 150
    path.write_bytes(whole[:middle] + bytes(b ^ 255 for b in whole[middle : middle + 40]) + whole[middle + 40 :])
    with pytest.raises(
        InputError, match=r"a\.npz: is damaged \(.+\); delete it and run the study's 'xfer compare' line"
    ):
        shards.read(path)
    path.unlink()
    with pytest.raises(InputError) as caught:
        shards.read(path)
    assert str(caught.value) == f"{path}: is missing; run the study's 'xfer compare' line again"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"counts": np.zeros((1, 6, 5), np.int32)}, "counts is (1, 6, 5), not (8, 6, 5)"),
        ({"rows.block": np.full(ROWS, 4)}, "a block outside 0 to 3"),
        ({"rows.cell": np.full(ROWS, 8)}, "a row of a cell that is not there"),
        ({"cells.outcome": np.full(8, "right")}, "a cell with an unknown outcome or normalisation"),
        ({"sums": np.full((8, 8, 6, 5), 255, np.uint8)}, "sums that are not finite"),
        ({"counts": np.array([None])}, "counts holds values of type object"),
        ({"facts": np.array("{")}, "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ],
)
def test_parts_that_do_not_belong_together(tmp_path: Path, changes: dict[str, np.ndarray], reason: str) -> None:
    path = tmp_path / "a.npz"
    shards.write(path, some())
    rewritten(path, **changes)
    with pytest.raises(InputError) as caught:
        shards.read(path)
    assert str(caught.value) == f"{path}: is damaged ({reason}); {AGAIN}"


def test_other_formats_and_absurd_sizes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    shards.write(path, some())
    monkeypatch.setattr(shards, "MAX_BYTES", 100)
    with pytest.raises(InputError, match=f"a.npz: holds 0 GB, more than a shard can; {AGAIN}"):
        shards.read(path)
    monkeypatch.undo()
    rewritten(path, format=np.array(2))
    with pytest.raises(InputError) as caught:
        shards.read(path)
    assert str(caught.value) == f"{path}: format 2; this xfer reads format 1"


def test_a_header_that_asks_for_more_than_the_file_holds_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    shards.write(path, some())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = members["counts.npy"]
    members["counts.npy"] = header.replace(b"(8, 6, 5), }         ", b"(800000000, 6, 5), } ")
    assert members["counts.npy"] != header
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match="counts is shorter than its header tells"):
        shards.read(path)
