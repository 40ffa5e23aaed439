"""Landmarks in shards: the table of one pass, whatever works on them; what a killed run found is not sought again."""

import pickle
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xfer import datasets, landmarkers, landmarking
from xfer.datasets import Dataset, FaceSample
from xfer.datasets.faces import Columns
from xfer.datasets.objects import Part, StoredFile, Whole
from xfer.errors import InputError
from xfer.landmarkers import Landmarking, Open
from xfer.progress import silent
from xfer.study import faces, landmark_shards
from xfer.study.engine import Local, Needs
from xfer.study.engine.ray_worker import Asked, trouble
from xfer.study.folder import PARTIALS
from xfer.study.landmark_shards import Shard

POINTS = np.random.default_rng(3).uniform(4, 26, (68, 2))
COUNT = 11
LOCAL = Local()


class Scripted(Open):
    """The same points everywhere, moved by the shade of the picture; nothing on black, an interruption at white."""

    def __init__(self, log: list[str], digest: str) -> None:
        self._log, self.digest = log, digest

    def __call__(self, image: np.ndarray, file: Path | None = None) -> Landmarking:
        assert file is not None
        shade = int(image[0, 0, 0])
        if shade == 255:
            raise KeyboardInterrupt
        self._log.append(file.name)
        return Landmarking(POINTS + shade / 100) if shade else Landmarking(None, "no face found", n_faces=0)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the scripted landmarker was asked; shards of 4 faces."""
    log: list[str] = []
    monkeypatch.setattr(landmarkers, "open", lambda name: Scripted(log, "" if name == "points" else "d"))
    monkeypatch.setattr(landmark_shards, "FACES", 4)
    return log


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Grey pictures, of which one shows nobody."""
    (tmp_path / "set").mkdir()
    samples = [FaceSample(f"{i}.png", tmp_path / "set" / f"{i}.png", "fear") for i in range(COUNT)]
    for i, sample in enumerate(samples):
        paint(sample, 10 * i)
    return Dataset("set", tuple(samples))


def paint(sample: FaceSample, shade: int) -> None:
    """A picture of one shade."""
    assert isinstance(sample.source, Path)
    Image.fromarray(np.full((30, 40, 3), shade, np.uint8)).save(sample.source)


@pytest.fixture
def find(tmp_path: Path, log: list[str]) -> Callable[..., pd.DataFrame]:
    """Landmarks of a data set, in a folder of its own, where an engine is given by that."""

    def run(data: Dataset, place: str = "study", engine: Local | None = LOCAL, name: str = "any") -> pd.DataFrame:
        (tmp_path / place).mkdir(exist_ok=True)
        return faces.landmarks(data, tmp_path / place, name, engine=engine)

    return run


def test_the_table_is_that_of_one_pass_and_no_partial_stays(
    data: Dataset, find: Callable[..., pd.DataFrame], log: list[str], tmp_path: Path
) -> None:
    found = find(data)
    assert Counter(log) == Counter(sample.id for sample in data.samples)
    pd.testing.assert_frame_equal(found, find(data, "plain", engine=None))
    assert found.attrs == {"format": landmarking.FORMAT}
    assert found["reason"].tolist() == ["no face found", *[""] * (COUNT - 1)]
    assert list((tmp_path / "study" / PARTIALS).iterdir()) == []
    log.clear()
    pd.testing.assert_frame_equal(find(data), found)
    assert log == []


def test_a_killed_run_goes_on_where_it_was(data: Dataset, find: Callable[..., pd.DataFrame], log: list[str]) -> None:
    plain = find(data, "plain", engine=None)
    paint(data.samples[9], 255)
    with pytest.raises(KeyboardInterrupt):
        find(data)
    known = set(log[COUNT:])
    assert {f"{i}.png" for i in range(4)} <= known
    paint(data.samples[9], 90)
    paint(data.samples[1], 33)
    log.clear()
    found = find(data)
    assert set(log) == {f"{i}.png" for i in range(COUNT)} - {f"{i}.png" for i in range(4, 8)}, "its shard has changed"
    changed = found["file"] == "1.png"
    pd.testing.assert_frame_equal(found[~changed], plain[~changed])
    np.testing.assert_allclose(landmarking.points(found)[1], POINTS + 0.33, rtol=1e-6)


def test_answers_that_must_not_be_used_again_are_not(
    data: Dataset, find: Callable[..., pd.DataFrame], log: list[str], tmp_path: Path
) -> None:
    paint(data.samples[9], 255)
    with pytest.raises(KeyboardInterrupt):
        find(data, name="points")
    paint(data.samples[9], 90)
    log.clear()
    assert len(find(data, name="points")) == len(set(log)) == COUNT
    assert list((tmp_path / "study" / PARTIALS).iterdir()) == []


def test_an_object_of_another_version_is_another_picture() -> None:
    stamps = {
        landmark_shards._stamp(FaceSample("a.jpg", Whole(StoredFile("s3://bucket/a.jpg", 9, version))))
        for version in ("v1", "v2")
    }
    assert len(stamps) == 2


def test_that_workers_see_the_first_picture_is_tried_in_stores_too(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"")
    url = "s3://box/faces/1.png"
    there = Whole(StoredFile(url, 1, "a")), Part(StoredFile("s3://box/faces.tar", 9, "a"), 0, 1), tmp_path / "1.png"
    for source, file in zip(there, (url, "s3://box/faces.tar", tmp_path / "1.png"), strict=True):
        shard = Shard([FaceSample("1", source, "fear")], "mediapipe", "", tmp_path, None)
        needs = landmark_shards._needs([shard], tmp_path)
        assert (needs.files, needs.home) == ((file,), tmp_path)


def test_a_shard_takes_its_own_faces_along_and_no_others(tmp_path: Path) -> None:
    columns = Columns()
    for i in range(2000):
        columns.append(FaceSample(f"{i}.png", tmp_path / f"{i}.png", "fear", extra={"what": "x" * 100}))
    faces = columns.sealed()
    (shard, *_) = landmark_shards._shards(faces, "any", "d", tmp_path, None)
    sent = pickle.dumps(shard)
    assert len(sent) < 500 * len(shard.faces)
    assert pickle.loads(sent).faces == tuple(faces[: landmark_shards.FACES])


def test_an_earlier_row_goes_to_the_shard_of_its_face(
    data: Dataset, find: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    done = find(data).iloc[::-1].iloc[1:]
    known = [shard.known for shard in landmark_shards._shards(data.samples, "any", "d", tmp_path, done)]
    assert [list(rows["file"]) for rows in known if rows is not None] == [
        ["0.png", "1.png", "2.png", "3.png"], ["4.png", "5.png", "6.png", "7.png"], ["8.png", "9.png"],
    ]  # fmt: skip


def test_a_landmarker_that_a_process_keeps_is_not_one_of_another_digest(
    data: Dataset, log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of a cluster outlives a study, and with it the file of landmarks that it has read."""
    digests = iter(["d", "e"])
    monkeypatch.setattr(landmarkers, "open", lambda name: Scripted(log, next(digests)))
    monkeypatch.setattr(landmark_shards, "_FREE", {})
    for digest in ("d", "d", "e"):
        shard = landmark_shards.Shard(data.samples[:1], "any", digest, tmp_path / "shard.parquet", None)
        landmark_shards.compute(shard, silent)
        assert landmarking.read(shard.path)["digest"].tolist() == [digest]


def test_few_faces_and_drawn_ones_need_no_shards(data: Dataset, log: list[str]) -> None:
    assert landmark_shards.divisible(data.samples)
    assert not landmark_shards.divisible(data.samples[:4])
    drawn = datasets.open("synthetic", faces=12, size=24)
    assert not landmark_shards.divisible([replace(sample, landmarks=None) for sample in drawn.samples])


def test_a_node_that_cannot_see_the_pictures_is_told_which(data: Dataset, log: list[str], tmp_path: Path) -> None:
    """Pictures in a store are seen from everywhere; those in files of a folder are as the first one."""
    archives = [tmp_path / "faces-0.tar", tmp_path / "faces-1.tar"]
    for path in archives:
        path.write_bytes(b"face")
    inside = [Part(StoredFile.of(archives[i // 4]), 0, 4) for i in range(8)]
    sources = [*(face.source for face in data.samples[:3]), *inside, Whole(StoredFile("s3://box/a.png", 4, "v"))]
    faces = [FaceSample(f"{i}", source) for i, source in enumerate(sources)]
    asked: list[Needs] = []

    class Asking(Local):
        def run(self, units: Any, compute: Any, needs: Needs, *rest: Any) -> Any:
            asked.append(needs)
            return super().run([], compute, needs, *rest)

    with pytest.raises(InputError):
        landmark_shards.landmark(faces, "any", Asking(), tmp_path, None, silent)
    (needs,) = asked
    assert needs.files == (data.samples[0].source, *archives, "s3://box/a.png")
    node = Asked({}, needs.files[:-1], str(tmp_path))
    assert trouble(node) == ""
    archives[1].unlink()
    assert trouble(node) == f"cannot see {archives[1]}; put data and --out where all nodes see them, or in a store"


def test_what_no_shard_can_do_ends_the_run(
    data: Dataset, find: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, write: Callable[[Path], object]) -> None:
        raise InputError(f"{path}: cannot be written")

    monkeypatch.setattr(landmark_shards, "write_whole", full)
    with pytest.raises(InputError, match=r"partials.landmarks-[0-9a-f]{24}\.parquet: cannot be written"):
        find(data)
