"""Landmarks of pictures of another size are refused, in whatever way they were given."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xfer import datasets, landmarking
from xfer.datasets import Dataset, FaceSample
from xfer.errors import InputError
from xfer.landmarkers.points import COLUMNS
from xfer.study import faces

SIZE = 64


@pytest.fixture(scope="module")
def drawn() -> Dataset:
    return datasets.open("synthetic", faces=12, size=SIZE, seed=2)


@pytest.fixture
def folder(drawn: Dataset, tmp_path: Path) -> Dataset:
    """The same faces as files, without landmarks."""
    samples = []
    for sample in drawn.samples:
        path = tmp_path / f"{sample.id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sample.load()).save(path)
        samples.append(FaceSample(path.name, path, sample.expression, sample.subject))
    return Dataset("csv:mine.csv", samples)


@pytest.fixture
def points(drawn: Dataset, folder: Dataset, tmp_path: Path) -> Callable[..., str]:
    """Writes a table of the faces' landmarks, enlarged by a factor; the word that opens it."""

    def write(scale: float, **size: int) -> str:
        rows = [
            {"file": own.id, **dict(zip(COLUMNS, (np.asarray(one.landmarks) * scale).ravel(), strict=True)), **size}
            for one, own in zip(drawn.samples, folder.samples, strict=True)
        ]
        pd.DataFrame(rows).to_csv(tmp_path / "points.csv", index=False)
        return f"points:{tmp_path / 'points.csv'}"

    return write


@pytest.mark.parametrize(
    ("scale", "size", "told"),
    [
        (
            0.5,
            {},
            "csv:mine.csv: the landmarks of most of 12 faces, as of {first}, lie in the upper left of their pictures: "
            "they are for smaller ones; give those of these pictures, or, if they are, a table of them with the "
            "columns width and height",
        ),
        (2.0, {}, "csv:mine.csv: none of its 12 faces has landmarks; {first}: "),
        (1.4, {}, " of 12 faces have landmarks for another size; "),
        (
            1.0,
            {"width": SIZE * 2, "height": SIZE * 2},
            "csv:mine.csv: none of its 12 faces has landmarks; {first}: landmarks are for another size, "
            "128 x 128 px; the picture has 64 x 64",
        ),
        (1 / SIZE, {}, "csv:mine.csv: none of its 12 faces has landmarks; {first}: the outer eye corners coincide"),
    ],
)
def test_a_table_for_other_pictures_is_refused(
    folder: Dataset, points: Callable[..., str], tmp_path: Path, scale: float, size: dict[str, int], told: str
) -> None:
    with pytest.raises(InputError) as error:
        faces.landmarks(folder, tmp_path, points(scale, **size))
    assert told.format(first=folder.samples[0].id) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("scale", "size"), [(1.0, {}), (1.0, {"width": SIZE, "height": SIZE})])
def test_a_table_for_these_pictures_is_taken(
    folder: Dataset, points: Callable[..., str], tmp_path: Path, scale: float, size: dict[str, int]
) -> None:
    table = faces.landmarks(folder, tmp_path, points(scale, **size))
    assert (table["reason"] == "").all()


def test_faces_that_do_stand_in_a_corner_are_taken_where_the_size_is_told(
    folder: Dataset, points: Callable[..., str], tmp_path: Path
) -> None:
    """Pictures twice as large, of which the faces fill the upper left quarter."""
    for sample in folder.samples:
        large = np.zeros((2 * SIZE, 2 * SIZE, 3), np.uint8)
        large[:SIZE, :SIZE] = sample.load()
        Image.fromarray(large).save(Path(str(sample.source)))
    with pytest.raises(InputError, match="upper left"):
        faces.landmarks(folder, tmp_path, points(1.0))
    table = faces.landmarks(folder, tmp_path, points(1.0, width=2 * SIZE, height=2 * SIZE))
    assert np.isfinite(landmarking.points(table)).all()


def test_landmarks_that_are_published_with_smaller_pictures_are_refused(drawn: Dataset, tmp_path: Path) -> None:
    assert (faces.landmarks(drawn, tmp_path)["reason"] == "").all()
    halves = [
        FaceSample(s.id, s.source, s.expression, s.subject, landmarks=np.asarray(s.landmarks) / 2)
        for s in drawn.samples
    ]
    with pytest.raises(InputError, match=r"^halves: the landmarks of most of 12 faces, as of .* for smaller ones"):
        faces.landmarks(Dataset("halves", halves), tmp_path)
