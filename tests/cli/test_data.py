"""``xfer data``, ``landmarks`` and ``assets`` as a user meets them."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xfer import landmarking
from xfer.datasets import DATASETS

Run = Callable[..., tuple[int, str, str]]
Check = Callable[..., None]


@pytest.fixture
def drawn(run: Run) -> Path:
    """Twelve drawn faces of 64 px, as files."""
    assert run("data", "render", "synthetic", "--faces", "12", "--size", "64", "--seed", "3", "--out", "drawn")[0] == 0
    return Path("drawn")


def test_every_reader_is_listed(run: Run) -> None:
    code, out, _ = run("data", "list")
    assert code == 0
    assert all(name in out for name in DATASETS)


def test_render_writes_pictures_labels_and_landmarks(drawn: Path, run: Run) -> None:
    labels = pd.read_csv(drawn / "labels.csv")
    points = pd.read_csv(drawn / "landmarks.csv")
    assert list(labels.columns[:3]) == ["file", "expression", "subject"]
    assert {"AU1", "AU12", "AU43"} <= set(labels.columns)
    assert labels["file"].tolist() == points["file"].tolist() == sorted(p.name for p in drawn.glob("*.png"))
    with Image.open(drawn / labels["file"][0]) as image:
        assert (image.mode, image.size) == ("RGB", (64, 64))
    out = run("data", "render", "synthetic", "--faces", "12", "--size", "64", "--seed", "3", "--out", "again")[1]
    assert "this tests the software, not FACS" in out
    for path in drawn.iterdir():
        assert path.read_bytes() == (Path("again") / path.name).read_bytes()


def test_rendered_landmarks_are_read_back_as_points(drawn: Path, run: Run) -> None:
    line = ("landmarks", drawn, "--landmarker", f"points:{drawn / 'landmarks.csv'}", "--out", "points.parquet")
    code, out, err = run(*line)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "12 pictures: 12 with landmarks, 0 without"
    table = landmarking.read(Path("points.parquet"))
    told = pd.read_csv(drawn / "landmarks.csv").drop(columns="file").to_numpy()
    np.testing.assert_allclose(landmarking.points(table).reshape(12, -1), told, atol=2e-3)


def test_landmarks_list_what_has_none_and_go_on(drawn: Path, run: Run) -> None:
    (drawn / "zz.jpg").write_text("not a picture")
    (drawn / "zy.png").write_bytes(b"")
    code, out, _ = run("landmarks", drawn, "--landmarker", f"points:{drawn / 'landmarks.csv'}", "--out", "p.parquet")
    assert code == 0
    assert out.splitlines()[0] == "14 pictures: 12 with landmarks, 2 without"
    assert "zz.jpg" in out


def test_assets_are_listed_and_verified(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XFER_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    code, out, _ = run("assets", "list")
    assert code == 0
    assert "face_landmarker" in out
    assert run("assets", "verify")[0] == 1
    (tmp_path / "face_landmarker.task").write_bytes(b"wrong")
    code, _, err = run("assets", "verify")
    assert code == 1
    assert "face_landmarker" in err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("data", "render", "lfw", "--out", "x"), ("only 'synthetic' can be rendered",)),
        (("data", "render", "synthetic", "--faces", "0", "--out", "x"), ("at least 1",)),
        (("data", "render", "synthetic", "--cue", "moth", "--out", "x"), ("did you mean 'mouth'?",)),
        (("landmarks", "nowhere", "--out", "x.parquet"), ("nowhere",)),
        (("landmarks", ".", "--out", "x.parquet"), ("no picture found",)),
        (("landmarks", ".", "--out", "nowhere/x.parquet"), ("nowhere/x.parquet",)),
        (("assets", "get", "face_landmaker"), ("did you mean 'face_landmarker'?",)),
        (("data", "check", "folder:nowhere"), ("nowhere",)),
        (("data", "check", "foldr:."), ("did you mean 'folder'?",)),
        (("data", "check", "csv"), ("csv:PATH",)),
    ],
)
def test_bad_input_gets_one_line(run: Run, refused: Check, words: tuple[str, ...], parts: tuple[str, ...]) -> None:
    refused(run(*words), *parts)
    assert not list(Path().iterdir())


def test_an_unknown_landmarker_is_answered_with_the_nearest(drawn: Path, run: Run, refused: Check) -> None:
    refused(run("landmarks", drawn, "--landmarker", "mediapip", "--out", "x.parquet"), "did you mean 'mediapipe'?")


def test_render_overwrites_nothing(drawn: Path, run: Run, refused: Check) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in drawn.iterdir()}
    refused(run("data", "render", "synthetic", "--out", drawn), "drawn: is there already; give a new folder with --out")
    assert before == {p.name: p.stat().st_mtime_ns for p in drawn.iterdir()}


def test_a_signal_says_what_to_do_and_the_same_line_finishes(tmp_path: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "xfer",
        "data",
        "render",
        "synthetic",
        "--faces",
        "400",
        "--size",
        "224",
        "--out",
        "d",
    ]
    listening = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a background job is deaf to it
    with subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True, **listening) as program:
        while not list(tmp_path.glob(".d.part/*.png")):
            time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        err = program.communicate()[1]
    assert program.returncode == 130
    assert err == "xfer: interrupted; what is finished is kept, the same line continues\n"
    assert not (tmp_path / "d").exists()
    line[line.index("400")] = "8"
    assert subprocess.run(line, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d"]
    assert len(list((tmp_path / "d").iterdir())) == 8 + 2


def test_landmarks_are_parquet(drawn: Path, run: Run, refused: Check) -> None:
    refused(run("landmarks", drawn, "--out", "x.csv"), "x.csv: landmarks are written as parquet")


def test_the_page_is_refused_a_place_before_any_work(drawn: Path, run: Run, refused: Check) -> None:
    result = run("data", "check", f"csv:{drawn / 'labels.csv'}", "--out", "nowhere/x.html")
    refused(result, "nowhere/x.html: give a file in a folder that exists")
