"""``xfer explainers units`` as a user meets it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xfer import models
from xfer.scoring import read_csv
from xfer.training import write_weights

Run = Callable[..., tuple[int, str, str]]
Check = Callable[..., None]

LABELS = "anger,disgust,fear,happiness,sadness,surprise"


@pytest.fixture
def song(tmp_path: Path) -> str:
    write_weights(tmp_path / "song.safetensors", models.build("songnet", 6, size=48).state_dict())
    return "songnet=song.safetensors"


def test_units_of_drawn_faces(run: Run, song: str, tmp_path: Path) -> None:
    words = ("--size", "48", "--labels", LABELS, "--faces", "6", "--samples", "40", "--out", "units")
    code, out, err = run("explainers", "units", song, *words)
    assert code == 0, err
    assert "attribution against the true intervention: rank correlation" in out
    assert out.splitlines()[-1] == "units: units.csv, units_mean.csv, units.png"
    assert "faces and masks share an author: this tests the software, not FACS" in err
    table, means = (read_csv(tmp_path / "units" / name) for name in ("units.csv", "units_mean.csv"))
    assert list(means["class"].unique()) == LABELS.split(",")
    assert (table["class"] == table["expression"]).all()
    assert table["face"].nunique() == 6
    shown = table[table["intervention"] != ""]
    assert np.isfinite(shown["causal"].astype(float)).all()
    assert set(table[table["intervention"] == ""]["causal_reason"]) <= {
        "no Action Unit", "the face shows none of its Action Units",
    }  # fmt: skip
    assert (tmp_path / "units" / "units.png").read_bytes().startswith(b"\x89PNG")


def test_bad_input_gets_one_line(run: Run, refused: Check, song: str) -> None:
    words = ("explainers", "units", song, "--out", "units", "--size", "48")
    refused(run(*words), "nobody tells the names of its classes; give --labels in the order of its logits")
    words = (*words, "--labels", LABELS)
    refused(
        run(*words, "--target", "hapiness"), "'target' must be one of true, predicted, all, anger, ", "'happiness'?"
    )
    refused(run(*words, "--regions", "xfr"), "'regions' must be one of ", "did you mean 'xfer'?")
    refused(run(*words, "--codebook", "ekman"), "codebook 'ekman' draws shapes, not Action Units; take one of ")
    refused(run(*words, "--output", "odds", "--faces", "6"), "'output' must be one of probability, logit; got 'odds'")
    refused(run(*words, "--data", "folder:nowhere"), "nowhere")
    refused(run("explainers", "units", "songnet", "--out", "units"), "model 'songnet' has no weights of its own")


def test_help_is_printed(run: Run) -> None:
    for words in (("explainers", "units"), ("export",)):
        code, out, _ = run(*words, "--help")
        assert code == 0
        assert "STUDY_DIR#NAME" in out
