"""Maps of single faces: those of parts merge to the bytes of all at once, with one part in memory."""

import io
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xfer.study import face_maps
from xfer.study.face_maps import FaceMaps

FACTS = {"model": "net", "fold": "0", "layer": "3"}


def written(place: Path, parts: list[list[int]], side: int) -> tuple[list[Path], Path, list[str]]:
    """Files of parts, one of all their faces, and the names of all; names grow in length, and part by part."""
    count = max((i for part in parts for i in part), default=0) + 3
    ids = [f"face {10 ** (i // 7)}.{i}" for i in range(count)]
    pixels: Any = SimpleNamespace(ids=ids, rows=lambda index: index, classes=("fear", "happiness"))
    maps = np.random.default_rng(0).random((count, 2, side, side), np.float32)

    def write(name: str, some: list[int]) -> Path:
        index = np.array(some, int)
        kept = FaceMaps(index, index % 2, ("grad_cam", "lime"), maps[index])
        face_maps.write(place / name, kept, pixels, FACTS)
        return place / name

    files = [write(f"part {i}.npz", part) for i, part in enumerate(parts)]
    return files, write("whole.npz", sorted(i for part in parts for i in part)), ids


@pytest.mark.parametrize("parts", [[[0, 3, 8], [1, 2], [9, 5]], [[4], []], [[], [2, 0]], [[], []]])
def test_parts_merge_to_the_bytes_of_all_at_once(parts: list[list[int]], tmp_path: Path) -> None:
    files, whole, ids = written(tmp_path, parts, 5)
    face_maps.merge(tmp_path / "merged.npz", files, ids)
    assert (tmp_path / "merged.npz").read_bytes() == whole.read_bytes()
    assert len(list(tmp_path.iterdir())) == len(parts) + 2, "nothing else is left"


def test_memory_does_not_grow_with_the_number_of_parts(tmp_path: Path) -> None:
    files, whole, ids = written(tmp_path, [list(range(i, 160, 16)) for i in range(16)], 128)
    one = files[0].stat().st_size
    tracemalloc.start()
    try:
        face_maps.merge(tmp_path / "merged.npz", files, ids)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * one < whole.stat().st_size / 5
    assert (tmp_path / "merged.npz").read_bytes() == whole.read_bytes()


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, content: Any) -> int:
            raise OSError(28, "No space left on device")

    files, _, ids = written(tmp_path, [[0], [1]], 4)
    monkeypatch.setattr(face_maps, "TemporaryFile", lambda dir: Full())
    with pytest.raises(OSError, match="No space left on device; what is finished is kept"):
        face_maps.merge(tmp_path / "merged.npz", files, ids)
    assert not (tmp_path / "merged.npz").exists()
