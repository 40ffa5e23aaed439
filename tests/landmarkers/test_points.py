"""Landmarks from files: what is read, and every way in which such files are wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xfer import assets, landmarkers
from xfer.errors import InputError
from xfer.landmarkers.points import COLUMNS, read_csv, read_pts, read_table

POINTS = np.random.default_rng(7).uniform(5, 75, (68, 2)).round(3)
IMAGE = np.zeros((80, 100, 3), np.uint8)


def pts(points: np.ndarray = POINTS, announced: int = 68) -> str:
    lines = "\n".join(f"{x:.3f} {y:.3f}" for x, y in points + 1)
    return f"version: 1\nn_points: {announced}\n{{\n{lines}\n}}\n"


def csv(points: np.ndarray = POINTS) -> str:
    return "point,x,y\n" + "".join(f"{i},{x},{y}\n" for i, (x, y) in enumerate(points, start=1))


def row(file: str, points: np.ndarray = POINTS, **facts: object) -> dict[str, object]:
    return {"file": file, **dict(zip(COLUMNS, points.ravel().tolist(), strict=True)), **facts}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a" / "face.png"
    path.parent.mkdir()
    Image.fromarray(IMAGE).save(path)
    return path


def beside(picture: Path) -> landmarkers.Landmarking:
    with landmarkers.open("points") as finder:
        return finder(IMAGE, picture)


def from_table(table: pd.DataFrame, path: Path, picture: Path | None) -> landmarkers.Landmarking:
    table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)
    with landmarkers.open(f"points:{path}") as finder:
        return finder(IMAGE, picture)


def test_ibug_counts_from_one(picture: Path) -> None:
    picture.with_suffix(".pts").write_text(pts())
    np.testing.assert_allclose(read_pts(picture.with_suffix(".pts")), POINTS, atol=1e-9)
    np.testing.assert_allclose(beside(picture).points, POINTS, atol=1e-9)


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_csv_beside_the_picture(picture: Path, start: str) -> None:
    picture.with_suffix(".csv").write_text(start + csv(), encoding="utf-8")
    assert (read_csv(picture.with_suffix(".csv")) == POINTS).all()
    assert (beside(picture).points == POINTS).all()


def test_the_annotated_photographs_are_all_read(shared: Path) -> None:
    files = sorted((shared / "data" / "helen_landmarks").glob("*.pts"))
    assert len(files) == 330
    for file in files:
        with Image.open(file.with_suffix(".jpg")) as image:
            assert landmarkers.doubt(read_pts(file), image.height, image.width) == ""


WRONG = {
    "no pts": (".pts", "hello", "its .pts file: not a .pts file, which reads 'version: 1', 'n_points: 68', '{', po"),
    "no end": (".pts", pts().replace("}", ""), "its .pts file: not a .pts file, which reads"),
    "few": (".pts", pts(POINTS[:5], 5), "its .pts file: announces 5 points and holds 5; 68 are needed"),
    "one less": (".pts", pts(POINTS[:67]), "its .pts file: announces 68 points and holds 67; 68 are needed"),
    "word": (".pts", pts().replace("{\n", "{\nx"), "its .pts file: point 1 must be two numbers; got 'x"),
    "nan": (".pts", pts(np.vstack([POINTS[:67], [[5, np.nan]]])), "its .pts file: point 68 must be two finite numbers"),
    "no header": (".csv", "x,y\n1,2\n", "its .csv file: the first line must be 'point,x,y'"),
    "empty": (".csv", "", "its .csv file: the first line must be 'point,x,y'"),
    "twice": (".csv", csv().replace("\n68,", "\n67,"), "its .csv file: each of the points 1 to 68 is needed once"),
    "huge": (".csv", csv() + "\n" * 200_000, "its .csv file: larger than 100 kB; 68 points take less than 4 kB"),
    "all off": (".pts", pts(POINTS + 100), "68 of 68 points lie outside the picture of 100 x 80 px; they are for"),
    "one off": (".pts", pts(np.vstack([[[-200, 5]], POINTS[1:]])), "a point lies 200 px outside the picture of 100 x"),
}  # fmt: skip


@pytest.mark.parametrize(("suffix", "text", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_the_reason(picture: Path, suffix: str, text: str, reason: str) -> None:
    picture.with_suffix(suffix).write_text(text)
    found = beside(picture)
    assert found.points is None
    assert found.reason.startswith(reason)
    assert "\n" not in found.reason


def test_a_binary_file_is_the_reason(picture: Path) -> None:
    picture.with_suffix(".pts").write_bytes(b"\xff\xfe\x00")
    assert beside(picture).reason == "its .pts file: is not text"


def test_no_file_is_the_reason(picture: Path) -> None:
    assert beside(picture).reason == "no landmarks beside it (*.pts or *.csv)"


def test_a_point_just_outside_is_kept(picture: Path) -> None:
    near = POINTS.copy()
    near[0] = [-3, 40]
    picture.with_suffix(".pts").write_text(pts(near))
    np.testing.assert_allclose(beside(picture).points, near, atol=1e-9)


@pytest.mark.parametrize("name", ["landmarks.csv", "landmarks.parquet"])
def test_a_table_names_pictures_from_its_folder(picture: Path, tmp_path: Path, name: str) -> None:
    table = pd.DataFrame([row("other.png", POINTS + 1), row("a/face.png"), row("face.png", POINTS + 2)])
    assert (from_table(table, tmp_path / name, picture).points == POINTS).all()


def test_another_spelling_of_the_columns(picture: Path, tmp_path: Path) -> None:
    table = pd.DataFrame([row("a/face.png")]).rename(columns=lambda c: c.replace("x", "x_").replace("y", " y_"))
    assert (from_table(table, tmp_path / "t.csv", picture).points == POINTS).all()


def test_a_table_elsewhere_knows_pictures_by_their_bytes(picture: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    table = pd.DataFrame([row("face.png", POINTS + 1, sha256=""), row("x.png", sha256=assets.sha256(picture))])
    assert (from_table(table, tmp_path / "b" / "t.parquet", picture).points == POINTS).all()
    nothing = from_table(table.drop(columns="sha256"), tmp_path / "b" / "t.csv", picture)
    assert nothing.reason == "not in the table of landmarks"


def test_a_table_for_another_size_is_the_reason(picture: Path, tmp_path: Path) -> None:
    table = pd.DataFrame([row("a/face.png", width=200, height=160)])
    found = from_table(table, tmp_path / "t.csv", picture)
    told = "landmarks are for another size, 200 x 160 px; the picture has 100 x 80"
    assert (found.points, found.reason) == (None, told)
    assert from_table(table.assign(width=100, height=80), tmp_path / "t.csv", picture).reason == ""


def test_a_reason_in_the_table_stays_one(picture: Path, tmp_path: Path) -> None:
    table = pd.DataFrame([row("a/face.png", POINTS * np.nan, reason="no face"), row("b.png", reason="")])
    for name in ("t.csv", "t.parquet"):
        assert from_table(table, tmp_path / name, picture).reason == "no face"


def test_a_picture_without_a_file_has_no_landmarks(tmp_path: Path) -> None:
    assert from_table(pd.DataFrame([row("a.png")]), tmp_path / "t.csv", None).reason == "not in the table of landmarks"
    with landmarkers.open("points") as finder:
        assert finder(IMAGE).reason == "the picture has no file beside which landmarks could lie"


def test_the_digest_is_that_of_the_table(tmp_path: Path) -> None:
    pd.DataFrame([row("a.png")]).to_csv(tmp_path / "t.csv")
    with landmarkers.open(f"points:{tmp_path / 't.csv'}") as finder, landmarkers.open("points") as loose:
        assert finder.digest == assets.sha256(tmp_path / "t.csv")
        assert loose.digest == ""


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (pd.DataFrame({"file": ["a"]}), "no column x0, y0, x1, y1; needed are file, x0, y0, ... x67, y67"),
        (pd.DataFrame([row("a") | {"x3": "=1+1"}]), "column x3 must hold numbers"),
        (pd.DataFrame([row("a"), row("a")]), "a occurs twice; a picture has one row"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, table: pd.DataFrame, fault: str) -> None:
    for path in (tmp_path / "t.csv", tmp_path / "t.parquet"):
        table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)
        with pytest.raises(InputError) as caught:
            read_table(path)
        assert str(caught.value) == f"{path}: {fault}"


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\x00\n\n,,")
    with pytest.raises(InputError, match=r": cannot be read as a table \(.+\)$"):
        read_table(tmp_path / name)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"points\.txt: a table of landmarks is a \.csv or \.parquet file$"):
        read_table(tmp_path / "points.txt")
