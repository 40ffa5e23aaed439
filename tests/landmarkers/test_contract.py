"""One suite for every registered landmarker. Not tested here: how good its points are."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xfer import landmarkers
from xfer.datasets.images import header
from xfer.errors import InputError
from xfer.landmarkers import LANDMARKERS, Finder, Landmarker
from xfer.landmarkers.points import read_pts

every_landmarker = pytest.mark.parametrize("landmarker", LANDMARKERS.values(), ids=lambda s: s.name)


@pytest.fixture
def picture(shared: Path) -> Path:
    return shared / "data" / "helen_landmarks" / "296814969_3.jpg"


@pytest.fixture
def finder(landmarker: Landmarker, request: pytest.FixtureRequest) -> Iterator[Finder]:
    if landmarker.name == "mediapipe":
        yield request.getfixturevalue("mediapipe")
        return
    word = request.getfixturevalue("networks") if landmarker.name == "onnx" else landmarker.name
    with landmarkers.open(word) as opened:
        yield opened


def test_the_landmarkers_of_the_design_are_there() -> None:
    assert set(LANDMARKERS) >= {"mediapipe", "points", "onnx"}


@every_landmarker
def test_it_declares_itself_completely(landmarker: Landmarker) -> None:
    assert landmarker.file in {"none", "optional", "required"}
    assert (landmarker.takes != "") == (landmarker.file != "none")
    assert landmarker.reference
    assert landmarker.licence
    assert landmarker.note


@every_landmarker
def test_its_name_is_written_as_it_declares(landmarker: Landmarker) -> None:
    if landmarker.file == "required":
        with pytest.raises(InputError, match=f"write {landmarker.name}:FILE with "):
            landmarkers.open(landmarker.name)
    elif landmarker.file == "none":
        with pytest.raises(InputError, match=f"'{landmarker.name}' takes no file"):
            landmarkers.open(f"{landmarker.name}:something")


@every_landmarker
def test_a_missing_file_is_one_clear_line(landmarker: Landmarker) -> None:
    if landmarker.file == "none":
        pytest.skip("takes no file")
    with pytest.raises(InputError, match=r"^nowhere\.csv: no such file; give ") as caught:
        landmarkers.open(f"{landmarker.name}:nowhere.csv")
    assert "\n" not in str(caught.value)


@every_landmarker
def test_a_face_has_68_points_in_ibug_order(finder: Finder, picture: Path) -> None:
    image = np.asarray(Image.open(picture).convert("RGB"))
    before = image.copy()
    found = finder(image, picture)
    assert found.reason == ""
    assert found.points is not None
    assert found.points.shape == (68, 2)
    assert np.isfinite(found.points).all()
    (left_eye, right_eye), nose, mouth = found.points[[36, 45]], found.points[30], found.points[48:].mean(axis=0)
    chin = found.points[8]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < mouth[1] < chin[1]
    assert found.points[19, 1] < left_eye[1]
    assert found.n_faces >= 1
    assert np.isnan(found.confidence) or 0 < found.confidence <= 1
    assert (image == before).all()
    assert (finder(image, picture).points == found.points).all()


@every_landmarker
def test_points_or_a_reason(finder: Finder, tmp_path: Path) -> None:
    blank = np.full((120, 100, 3), 128, np.uint8)
    for file in (None, tmp_path / "blank.png"):
        found = finder(blank, file)
        assert (found.points is None) == (found.reason != "")


@every_landmarker
def test_its_digest_is_its_own(finder: Finder) -> None:
    assert len(finder.digest) in (0, 64)
    assert set(finder.digest) <= set("0123456789abcdef")


def test_an_unknown_landmarker_is_corrected() -> None:
    with pytest.raises(InputError) as caught:
        landmarkers.open("mediapip")
    assert str(caught.value) == (
        "'landmarker' must be one of mediapipe, onnx, points; got 'mediapip' (did you mean 'mediapipe'?)"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p[:5], "5 points, not 68"),
        (lambda p: np.where(np.arange(136).reshape(68, 2) == 9, np.nan, p), "a point is not a finite number"),
        (
            lambda p: p + 90,
            "68 of 68 points lie outside the picture of 100 x 80 px; they are for another size",
        ),
        (lambda p: p * 0 + 7, "the outer eye corners coincide"),
        (lambda p: p, ""),
        (lambda p: p - np.array([20, 0]), ""),
    ],
)
def test_doubtful_points_are_told(change: object, reason: str) -> None:
    points = np.stack([np.linspace(10, 60, 68), np.linspace(20, 70, 68)], axis=-1)
    assert landmarkers.doubt(change(points), height=80, width=100) == reason


@pytest.mark.parametrize(
    ("scale", "where"),
    [(0.4, "upper left"), (0.6, "upper left"), (1.0, ""), (1.5, "lower right"), (2.0, "lower right")],
)
def test_landmarks_of_pictures_of_another_size_are_told(scale: float, where: str, shared: Path) -> None:
    places = sorted((shared / "data" / "helen_landmarks").glob("*.pts"))[:60]
    points = np.stack([read_pts(place) for place in places]) * scale
    told = [header(place.with_suffix(".jpg")) for place in places]
    sizes = np.array([[each.width, each.height] for each in told], float)
    said = landmarkers.misfit(points, sizes)
    assert bool(said) == bool(where)
    assert where in said
    assert landmarkers.misfit(points[:7], sizes[:7]) == ""


@pytest.mark.parametrize("place", [(0.2, 0.5), (0.5, 0.2), (0.3, 0.36), (0.8, 0.3), (0.2, 0.8), (0.5, 0.9)])
def test_faces_that_all_stand_to_one_side_are_no_other_pictures(place: tuple[float, float]) -> None:
    points = np.random.default_rng(0).uniform(-9, 9, (40, 68, 2)) + np.array(place) * 100
    sizes = np.full((40, 2), 100.0)
    assert landmarkers.misfit(points, sizes) == ""
    assert landmarkers.misfit(np.where(np.arange(40)[:, None, None] < 33, np.nan, points * 0.3), sizes) == ""


def test_the_foremost_face_is_large_and_central() -> None:
    large, small, aside = [20, 20, 60, 60], [45, 45, 55, 55], [0, 0, 39, 40]
    assert landmarkers.foremost(np.array([small, large, aside], float), 101, 101) == 1
    assert landmarkers.foremost(np.array([aside, large], float), 101, 101) == 1
    assert landmarkers.foremost(np.array([[0, 0, 90, 90], small], float), 101, 101) == 0
