"""The table of landmarks: written in pieces as in one, and where its points are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from xfer import landmarking
from xfer.datasets import columns
from xfer.landmarking import table as tables
from xfer.landmarking.table import Row, Rows


def rows(count: int) -> list[Row]:
    rng = np.random.default_rng(0)
    return [
        Row(f"{i}.jpg", f"{i:064x}", 48, 50 + i, rng.random((68, 2), np.float32), (0.5, 1.0, np.nan, 0.25 * i), i % 3,
            "mediapipe", "d" * (i % 2), "" if i else "no face")
        for i in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("most", [0, 2**20])
def test_rows_come_out_as_they_went_in(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "IN_MEMORY", most)
    some = rows(5)
    entered = Rows(some[:3])
    first = entered.table()
    for row in some[3:]:
        entered.append(row)
    found = entered.table()
    assert tuple(found.columns) == landmarking.COLUMNS
    pd.testing.assert_frame_equal(found.iloc[:3], first)
    for name in ("file", "sha256", "width", "height", "n_faces", "landmarker", "digest", "reason"):
        assert found[name].tolist() == [getattr(row, name) for row in some]
    np.testing.assert_array_equal(landmarking.points(found), [row.points for row in some])
    np.testing.assert_array_equal(found[list(landmarking.MEASURES)], [row.measures for row in some])
    assert {str(found[name].dtype) for name in (*landmarking.POINTS, *landmarking.MEASURES)} == {"float32"}
    assert Rows().table().empty


def test_a_file_in_pieces_is_read_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_GROUP", 2)
    whole = Rows(rows(5)).table()
    landmarking.write(whole, tmp_path / "pieces.parquet")
    whole.to_parquet(tmp_path / "whole.parquet")
    pieces = landmarking.read(tmp_path / "pieces.parquet")
    pd.testing.assert_frame_equal(pieces, landmarking.read(tmp_path / "whole.parquet"))
    pd.testing.assert_frame_equal(pieces, whole)
    assert pieces.attrs == whole.attrs
    landmarking.write(whole.iloc[:0], tmp_path / "none.parquet")
    assert landmarking.read(tmp_path / "none.parquet").empty


def test_a_file_keeps_coordinates_plainly_and_what_recurs_once(tmp_path: Path) -> None:
    """A dictionary of coordinates, each of which is there once, makes the file larger."""
    whole = Rows(rows(2000)).table()
    landmarking.write(whole, tmp_path / "plain.parquet")
    whole.to_parquet(tmp_path / "default.parquet")
    plain, default = ((tmp_path / f"{name}.parquet").stat().st_size for name in ("plain", "default"))
    assert plain < 0.85 * default
    part = pq.ParquetFile(tmp_path / "plain.parquet").metadata.row_group(0)
    kept = {part.column(i).path_in_schema: part.column(i).encodings for i in range(part.num_columns)}
    assert not any("DICTIONARY" in each for each in kept["x0"])
    assert any("DICTIONARY" in each for each in kept["landmarker"])


def test_points_are_not_copied_and_found_in_any_order() -> None:
    whole = Rows(rows(5)).table()
    assert np.shares_memory(landmarking.points(whole), landmarking.points(whole))
    mixed = whole[list(whole.columns[::-1])]
    np.testing.assert_array_equal(landmarking.points(mixed), landmarking.points(whole))


def test_a_face_with_one_point_missing_is_not_complete() -> None:
    points = np.stack([row.points for row in rows(4)])
    points[1, 5, 1], points[2, 0, 0] = np.nan, np.inf
    assert landmarking.complete(points).tolist() == np.isfinite(points).all(axis=(1, 2)).tolist()
