"""From MODEL and data to Action Unit attributions: which faces, which classes, what is left out and why."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xfer.datasets.synthetic import synthetic, write
from xfer.errors import InputError
from xfer.explainers.action_units import TURNED
from xfer.study.action_units import Units, network_units
from xfer.study.interventions import NOT_DRAWN, OTHER_CLASS

CLASSES = ["anger", "disgust", "fear", "happiness"]
NETWORK = {"size": 32, "classes": CLASSES}


@pytest.fixture
def model(onnx_file: Callable[..., Path]) -> str:
    return f"onnx:{onnx_file(('face', 3, 32, 32))}"


@pytest.fixture
def files(tmp_path: Path) -> str:
    """Drawn faces as files; of the third no landmarks are known, the fourth's turn over."""
    write(synthetic(faces=18, size=64, seed=2), tmp_path / "faces")
    points = pd.read_csv(tmp_path / "faces" / "landmarks.csv")
    points.iloc[2, 1:] = np.nan
    cheek = [f"x{i}" for i in range(36)]
    points.loc[3, cheek] = 2 * points.loc[3, "x30"] - points.loc[3, cheek].astype(float)
    points.to_csv(tmp_path / "faces" / "landmarks.csv", index=False)
    return str(tmp_path / "faces")


def found(model: str, data: str, home: Path, **options: object) -> Units:
    options = {"samples": 16, "network": NETWORK, "landmarker": f"points:{data}/landmarks.csv", **options}
    return network_units(model, f"csv:{data}/labels.csv", home=home, **options)  # type: ignore[arg-type]


def test_faces_that_cannot_be_attributed_are_named(model: str, files: str, tmp_path: Path) -> None:
    units = found(model, files, tmp_path / "home", faces=12, crop="whole")
    strange = [f"{i:06d}.png" for i in (4, 5, 10, 11, 16, 17)]
    for name in strange:
        assert re.fullmatch(r"s\w+ is none of the network's classes", units.left_out[name])
    assert units.left_out["000002.png"].startswith("no landmarks: ")
    assert units.left_out["000003.png"] == TURNED
    assert set(units.left_out) == {*strange, "000002.png", "000003.png"}
    assert units.table["face"].nunique() == 10
    assert set(units.table["causal_reason"]) == {NOT_DRAWN}
    assert not len(units.correlations)
    assert np.isnan(units.pooled)


def test_faces_are_taken_evenly_and_targets_chosen(model: str, files: str, tmp_path: Path) -> None:
    few = found(model, files, tmp_path / "home", faces=4, crop="whole", target="fear", seed=3)
    assert set(few.table["class"]) == {"fear"}
    assert set(few.means["expression"]) <= set(CLASSES)
    every = network_units(model, home=tmp_path, faces=8, target="all", samples=16, network=NETWORK)
    assert set(every.left_out.values()) <= {TURNED}
    faces = every.table.drop_duplicates("face")
    assert len(faces) + len(every.left_out) == 8
    assert set(faces["expression"]) == set(CLASSES)
    assert faces["expression"].value_counts().max() == 2
    assert not faces.duplicated(["expression", "subject"]).any()
    assert len(every.table) == len(faces) * 4 * every.table["player"].nunique()
    other = every.table[every.table["class"] != every.table["expression"]]
    assert set(other["causal_reason"]) == {OTHER_CLASS}
    guessed = network_units(model, home=tmp_path, faces=4, target="predicted", samples=16, network=NETWORK)
    assert (guessed.table["class"] == guessed.table["predicted"]).all()


def test_the_same_seed_gives_the_same_numbers(model: str, tmp_path: Path) -> None:
    first, second = (
        network_units(model, home=tmp_path, faces=4, samples=16, network=NETWORK, batch_size=size) for size in (5, 32)
    )
    np.testing.assert_allclose(first.table["phi"], second.table["phi"], atol=1e-6)
    np.testing.assert_allclose(first.table["causal"], second.table["causal"], atol=1e-6)


def test_faces_of_other_expressions_only_are_refused(model: str, files: str, tmp_path: Path) -> None:
    classes = ["contempt", "neutral", "awed", "hatred"]
    with pytest.raises(InputError, match="no face shows any of contempt, neutral, awed, hatred"):
        found(model, files, tmp_path / "home", network={"size": 32, "classes": classes})
    classes = ["anger", "x", "y", "z"]
    with pytest.raises(InputError, match="drawn faces show fewer than two of its classes; give --data"):
        network_units(model, home=tmp_path, network={"size": 32, "classes": classes, "any_labels": True})
