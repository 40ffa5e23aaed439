"""Folders, names and csv files of frames."""

import numpy as np
import pytest

from xfer import geometry
from xfer.errors import InputError

FRAME = geometry.load_frame("xfer")


def test_data_folder_inside_a_wheel_and_beside_a_checkout(tmp_path):
    package = tmp_path / "xfer"
    package.mkdir()
    assert geometry.data_folder(package) == tmp_path / "masks"
    (package / "_masks").mkdir()
    assert geometry.data_folder(package) == package / "_masks"
    assert (geometry.data_folder() / "frames" / "xfer.toml").is_file()


def test_unknown_frame_and_unknown_number_of_points():
    with pytest.raises(InputError) as error:
        geometry.load_frame("xfr")
    assert str(error.value) == "'frame' must be one of xfer, FILE.csv; got 'xfr' (did you mean 'xfer'?)"
    with pytest.raises(InputError) as error:
        geometry.mirror(67)
    assert str(error.value).startswith("'number of points' must be one of 68, 89, 468; got '67'")


def rows(change: dict[int, str] | None = None) -> list[str]:
    """A csv of the template, with some lines (by point) replaced; "" leaves one out."""
    lines = {i + 1: f"{i + 1},{x},{y}" for i, (x, y) in enumerate(FRAME.points[:68])}
    return ["point,x,y", *filter(None, (lines | (change or {})).values())]


def test_a_csv_gives_the_published_kind_of_frame(tmp_path):
    file = tmp_path / "mean.csv"
    header, *lines = rows()
    file.write_text("\n".join([header, *reversed(lines)]))
    frame = geometry.load_frame(str(file))
    assert np.array_equal(frame.points[:68], FRAME.points[:68])
    assert np.array_equal(frame.points[68:85], np.column_stack([FRAME.points[:17, 0], np.zeros(17)]))
    assert frame.points[85:].tolist() == [[0, 0], [0, 275], [224, 0], [224, 275]]
    assert (frame.name, frame.mesh, bool(frame.support.all())) == ("mean", None, True)
    assert frame.digest != FRAME.digest


@pytest.mark.parametrize("change", [{1: "1,0,0", 17: "17,0,100"}, {40: "40,60,80", 41: "41,60,80"}])
def test_points_that_coincide_leave_a_triangulation_without_flat_triangles(tmp_path, change):
    file = tmp_path / "mean.csv"
    file.write_text("\n".join(rows(change)))
    frame = geometry.load_frame(file)
    areas = geometry.doubled_areas(frame.points, frame.triangles)
    assert areas.min() > 1e-9
    assert areas.sum() / 2 == pytest.approx(224 * 275, rel=1e-12)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["point,x", "1,2"], "no column y; a points file has the columns point, x, y"),
        (["a;b;c"], "no column point, x, y; a points file has the columns point, x, y"),
        (rows({3: "", 68: ""}), "no point 3, 68; each of 1 to 68 is needed once"),
        (rows({3: "2,5,5"}), "twice: point 2; each of 1 to 68 is needed once"),
        (rows({2: "2,five,5"}), "line 3: point, x and y must be numbers; got '2,five,5'"),
        (rows({2: "2,nan,5"}), "line 3: point, x and y must be numbers; got '2,nan,5'"),
        (rows({2: "2,inf,5"}), "line 3: point, x and y must be numbers; got '2,inf,5'"),
        (rows({2: "2,,5"}), "line 3: point, x and y must be numbers; got '2,,5'"),
        (rows({2: "69,5,5"}), "line 3: point must be a whole number from 1 to 68; got '69'"),
        (rows({2: "1.5,5,5"}), "line 3: point must be a whole number from 1 to 68; got '1.5'"),
        (rows({2: "2,224,5"}), "line 3: (224, 5) is not on the canvas of 224 columns and 275 rows"),
        (rows({2: "2,5,-1"}), "line 3: (5, -1) is not on the canvas of 224 columns and 275 rows"),
        (["point,x,y", "1,2,3,4"], "rows have more cells than the header"),
    ],
)
def test_a_bad_csv_is_one_clear_line(tmp_path, lines, message):
    file = tmp_path / "mean.csv"
    file.write_text("\n".join(lines))
    with pytest.raises(InputError) as error:
        geometry.load_frame(file)
    assert str(error.value) == f"{file}: {message}"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00\x01\x80"])
def test_an_unreadable_csv_is_one_clear_line(tmp_path, content):
    file = tmp_path / "mean.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError) as error:
        geometry.load_frame(file)
    assert str(error.value).startswith(f"{file}: cannot be read as a csv of points (")
    assert "\n" not in str(error.value)


def test_the_published_frame(published):
    frame = geometry.load_frame(published / "canonical_points_68.csv")
    assert frame.points[[0, 8, 67]].tolist() == [[16, 90], [115, 269], [101, 200]]
    areas = geometry.doubled_areas(frame.points, frame.triangles) / 2
    assert areas.min() > 1
    assert areas.sum() == 224 * 275
