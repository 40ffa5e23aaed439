"""The table of landmarks: a row for every picture whatever it is, order, resuming, saving, reading back."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xfer import landmarkers, landmarking
from xfer.datasets import Dataset, FaceSample
from xfer.errors import InputError
from xfer.landmarkers import Landmarking, Open, Pose

POINTS = np.random.default_rng(3).uniform(2, 28, (68, 2))


class Scripted(Open):
    """Finds the same points everywhere, moved by the shade of the first pixel; fails on red."""

    digest = "d1"

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def __call__(self, image: np.ndarray, file: Path | None = None) -> Landmarking:
        self._log.append(file.name if file else "drawn")
        if image[0, 0, 0] == 255:
            raise RuntimeError("out of order\nsecond line")
        if image[0, 0, 0] == 7:
            raise KeyboardInterrupt
        return Landmarking(
            POINTS + image[0, 0, 0] / 100, pose=Pose(1, 2, 3), confidence=0.5, n_faces=1 + (file is None)
        )

    def close(self) -> None:
        self._log.append("closed")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the scripted landmarker was asked, instead of any other."""
    log: list[str] = []
    monkeypatch.setattr(landmarkers, "open", lambda name, **options: Scripted(log))
    return log


def write(path: Path, shade: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((30, 40, 3), shade, np.uint8)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sound pictures and the usual wrecks."""
    root = tmp_path / "faces"
    for i, name in enumerate(("b/2.png", "a/1.png", "c.png")):
        write(root / name, 10 * i)
    (root / "empty.jpg").touch()
    (root / "letter.jpg").write_text("Dear all")
    (root / "labels.csv").write_text("file\n")
    (root / "whole.png").write_bytes((root / "c.png").read_bytes()[:60])
    write(tmp_path / "outside.png", 1)
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    (root / "loop").symlink_to(root)
    return root


def test_every_picture_has_a_row(folder: Path, log: list[str]) -> None:
    table = landmarking.landmark_folder(folder, "scripted")
    assert tuple(table.columns) == landmarking.COLUMNS
    assert list(table["file"]) == [
        "c.png", "empty.jpg", "letter.jpg", "link.png", "loop", "whole.png", "a/1.png", "b/2.png",
    ]  # fmt: skip
    reasons = table.set_index("file")["reason"]
    assert list(reasons[reasons == ""].index) == ["c.png", "a/1.png", "b/2.png"]
    assert reasons["empty.jpg"] == "is an empty file"
    assert reasons["letter.jpg"] == "is not a picture of a format that is read"
    assert reasons["link.png"] == "lies outside the data folder (read with --allow-outside)"
    assert reasons["loop"] == "is a link to a folder, which is not followed"
    assert "truncated" in reasons["whole.png"]
    np.testing.assert_array_equal(
        landmarking.points(table)[[0, 6, 7]], np.float32([POINTS + shade / 100 for shade in (20, 10, 0)])
    )
    assert np.isnan(landmarking.points(table)[1:6]).all()
    sound = table[table["reason"] == ""]
    assert (sound[["width", "height", "yaw", "pitch", "roll", "confidence"]] == [40, 30, 1, 2, 3, 0.5]).all(axis=None)
    assert set(table["landmarker"]) == {"scripted"}
    assert log.count("closed") >= 1
    assert log[-1] == "closed"


def test_the_summary_counts_and_names(folder: Path, log: list[str]) -> None:
    lines = landmarking.summary(landmarking.landmark_folder(folder, "scripted"))
    assert lines[0] == "8 pictures: 3 with landmarks, 5 without"
    assert "is an empty file: 1 (empty.jpg)" in lines
    assert len(lines) == 6


def test_the_order_is_that_of_the_faces_whatever_the_threads(folder: Path, log: list[str]) -> None:
    tables = [landmarking.landmark_folder(folder, "scripted", workers=n) for n in (1, 5)]
    pd.testing.assert_frame_equal(*tables)


def test_names_that_are_no_utf8_are_shown(tmp_path: Path, log: list[str]) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux keeps such names")
    root = write(tmp_path / "faces" / "x.png", 3).parent
    (root / "x.png").rename(root / os.fsdecode(b"caf\xe9.png"))
    table = landmarking.landmark_folder(root, "scripted")
    table.to_parquet(tmp_path / "t.parquet")
    assert list(landmarking.read(tmp_path / "t.parquet")["file"]) == ["caf\\xe9.png"]
    assert (table["reason"] == "").all()


def test_an_earlier_table_is_continued(folder: Path, tmp_path: Path, log: list[str]) -> None:
    first = landmarking.landmark_folder(folder, "scripted")
    first.to_parquet(tmp_path / "t.parquet")
    write(folder / "c.png", 50)
    write(folder / "new.png", 60)
    log.clear()
    second = landmarking.landmark_folder(folder, "scripted", done=landmarking.read(tmp_path / "t.parquet"))
    assert sorted(set(log) - {"closed"}) == ["c.png", "new.png"]
    pd.testing.assert_frame_equal(second, landmarking.landmark_folder(folder, "scripted"))


def test_another_landmarker_does_not_continue(folder: Path, log: list[str]) -> None:
    table = landmarking.landmark_folder(folder, "scripted").assign(digest="d0")
    log.clear()
    landmarking.landmark_folder(folder, "scripted", done=table)
    assert {"c.png", "1.png", "2.png"} <= set(log)


def test_a_failure_of_the_landmarker_is_a_reason_and_tried_again(tmp_path: Path, log: list[str]) -> None:
    root = write(tmp_path / "faces" / "red.png", 255).parent
    table = landmarking.landmark_folder(root, "scripted")
    assert list(table["reason"]) == ["the landmarker failed (out of order)"]
    log.clear()
    landmarking.landmark_folder(root, "scripted", done=table)
    assert "red.png" in log


def test_drawn_faces_have_no_file_and_are_not_reused(log: list[str]) -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    dataset = Dataset("drawn", tuple(FaceSample(f"{i}", lambda: image) for i in range(3)))
    table = landmarking.landmark(dataset, "scripted")
    assert list(table["file"]) == ["0", "1", "2"]
    assert set(table["sha256"]) == set(table["digest"]) == {""}
    assert landmarking.summary(table)[1] == (
        "3 pictures show several people: the largest and most central face was taken"
    )
    log.clear()
    landmarking.landmark(dataset, "scripted", done=table)
    assert log.count("drawn") == 3


def test_progress_tells_every_picture(folder: Path, log: list[str]) -> None:
    told: list[object] = []

    def stage(what: str, steps: int) -> object:
        told.append((what, steps))
        return lambda: told.append(1)

    landmarking.landmark_folder(folder, "scripted", progress=stage)
    assert told == [("landmarks", 8), *[1] * 8]


def test_what_is_finished_is_saved(folder: Path, log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarking, "SAVE_EVERY", 3)
    saved: list[pd.DataFrame] = []
    table = landmarking.landmark_folder(folder, "scripted", save=saved.append)
    assert [len(part) for part in saved] == [3, 6, 8]
    pd.testing.assert_frame_equal(saved[-1], table)
    write(folder / "b" / "2.png", 7)
    saved.clear()
    with pytest.raises(KeyboardInterrupt):
        landmarking.landmark_folder(folder, "scripted", save=saved.append, workers=1)
    assert len(saved[-1]) == 7
    pd.testing.assert_frame_equal(saved[-1], table.iloc[:7])
    assert log[-1] == "closed"


def test_saving_stays_a_share_of_the_work(tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarking, "SAVE_EVERY", 1)
    picture, saved = write(tmp_path / "a.png", 50), []
    dataset = Dataset("many", [FaceSample(f"{i:02d}", picture) for i in range(32)])
    landmarking.landmark(dataset, "scripted", save=lambda table: saved.append(len(table)))
    assert saved == [*range(1, 21), 22, 24, 26, 28, 30, 32]


def test_an_interruption_keeps_what_an_earlier_run_found(
    folder: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = landmarking.landmark_folder(folder, "scripted")
    monkeypatch.setattr(landmarking, "SAVE_EVERY", 2)
    saved: list[pd.DataFrame] = []

    def stop_at_third(what: str, steps: int) -> Callable[[], None]:
        reached = []

        def advance() -> None:
            reached.append(1)
            if len(reached) == 3:
                raise KeyboardInterrupt

        return advance

    with pytest.raises(KeyboardInterrupt):
        landmarking.landmark_folder(folder, "scripted", done=whole, save=saved.append, progress=stop_at_third)
    assert len(saved) == 2
    for part in saved:
        pd.testing.assert_frame_equal(part, whole)


def test_a_folder_without_pictures_is_refused(tmp_path: Path, log: list[str]) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r": no picture found; expected files such as \*\.jpg and \*\.png$"):
        landmarking.landmark_folder(tmp_path, "scripted")
    with pytest.raises(InputError, match=r"nowhere: no such file or folder; expected a folder of pictures$"):
        landmarking.landmark_folder(tmp_path / "nowhere", "scripted")


@pytest.fixture
def broken(tmp_path: Path, folder: Path, log: list[str]) -> tuple[Path, pd.DataFrame]:
    return tmp_path / "t.parquet", landmarking.landmark_folder(folder, "scripted")


def test_a_table_of_another_kind_is_refused(broken: tuple[Path, pd.DataFrame]) -> None:
    path, table = broken
    with pytest.raises(
        InputError, match=r"t\.parquet: no such file; 'xfer landmarks DIR --out .*t\.parquet' writes it$"
    ):
        landmarking.read(path)
    path.write_text("hello")
    with pytest.raises(InputError, match=r"t\.parquet: not a parquet file \(.+\)$"):
        landmarking.read(path)
    table.drop(columns="x3").to_parquet(path)
    with pytest.raises(InputError, match=r"not a table that 'xfer landmarks' wrote \(no column x3\); delete it"):
        landmarking.read(path)
    table.attrs["format"] = 2
    table.to_parquet(path)
    with pytest.raises(InputError, match=r"not a table that 'xfer landmarks' wrote \(format 2 instead of 1\)"):
        landmarking.read(path)


def test_the_table_serves_as_points(
    folder: Path, tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = landmarking.landmark_folder(folder, "scripted")
    path = tmp_path / "elsewhere.parquet"
    table.to_parquet(path)
    monkeypatch.undo()
    again = landmarking.landmark_folder(folder, f"points:{path}")
    np.testing.assert_array_equal(landmarking.points(again), landmarking.points(table))
    assert list(again["reason"]) == list(table["reason"])
    assert set(again["landmarker"]) == {"points"}
