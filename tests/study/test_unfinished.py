"""What is said of a study folder that lacks a file."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from xfer.errors import InputError
from xfer.study import Study, folder
from xfer.study.unfinished import unfinished
from xfer.training.fitting import LOG

CONFIG = """format = 1
kind = "models"
folds = 1
masks = ["ekman"]
metrics = ["iou"]
threshold = "otsu"
linkage = "average"
[data]
expressions = ["anger", "fear"]
[networks.songnet]
epochs = 3
[networks.vgg16]
epochs = 3
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A study whose first network is in its second epoch."""
    (tmp_path / "study.toml").write_text(CONFIG)
    (tmp_path / "checkpoints").mkdir()
    log = pd.DataFrame(1.0, index=range(2), columns=list(LOG)).assign(epoch=[1, 2])
    log.to_csv(tmp_path / "checkpoints" / "songnet-f0.csv", index=False)
    return tmp_path


def test_what_is_there_and_that_nobody_goes_on(home: Path) -> None:
    with pytest.raises(InputError) as caught:
        _ = Study(home).heatmaps
    assert str(caught.value) == (
        f"{home}: is unfinished (heatmaps.zarr is missing; of 2 networks and folds 1 training: songnet (epoch 2 of 3); "
        "1 waiting: vgg16); nobody works on it now; run its 'xfer compare' line again, it goes on from there"
    )


def test_who_works_on_it(home: Path) -> None:
    with folder.claim(home, Study(home).config):
        assert unfinished(home, "masks.npz").endswith(f"; process {os.getpid()} works on it now, wait for it")
    assert "nobody works on it now" in unfinished(home, "masks.npz")


def test_a_killed_run_holds_nothing(home: Path) -> None:
    (home / ".lock").touch()
    (home / ".lock-holder").write_text("process 4194304")
    assert folder.writer(home) == ""
    assert "nobody works on it now" in unfinished(home, "masks.npz")


def test_a_file_that_was_there_is_gone(home: Path) -> None:
    (home / "provenance.json").write_text("{}")
    assert unfinished(home, "scores.parquet") == (
        f"{home}: was finished, but scores.parquet is gone; run its 'xfer compare' line again to make it anew, or copy "
        "the whole folder"
    )


def test_moved_as_a_whole_it_is_the_same_study(home: Path, tmp_path: Path) -> None:
    place = tmp_path.with_name("elsewhere")
    shutil.move(home, place)
    with pytest.raises(InputError, match=r"is not a study folder: there is none; if it was moved, give its new place$"):
        Study(home)
    assert Study(place).name == "elsewhere"


def test_another_version_is_named_with_what_helps(home: Path) -> None:
    (home / "study.toml").write_text(CONFIG.replace("format = 1", "format = 2"))
    with pytest.raises(InputError, match=r"study\.toml: format 2; this xfer reads format 1: use the version of xfer"):
        Study(home)
