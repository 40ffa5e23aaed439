"""What is resampled: the blocks or folds of a cell, at half resolution."""

import numpy as np

from xfer.study.units import BLOCKS, Units


def units(**rows: np.ndarray) -> Units:
    names = {("n", e): tuple(f"b{i}" for i in range(len(r))) for e, r in rows.items()}
    found = {("n", e): r.astype(np.float32) for e, r in rows.items()}
    return Units(BLOCKS, np.array([[True, True, False]]), found, names, dict.fromkeys(found, 1))


def test_maps_stand_on_the_half_canvas() -> None:
    maps = units(fear=np.array([[1.0, 2.0]])).maps(("n", "fear"))
    assert maps.tolist() == [[[1.0, 2.0, 0.0]]]


def test_a_unit_without_a_face_moves_nothing(rng: np.random.Generator) -> None:
    """Aligned with more units than it has, a cell keeps its mean, and each unit the influence it had on it."""
    rows = rng.random((4, 2))
    found = units(fear=rows)
    aligned = found.aligned(("n", "fear"), ["b0", "b1", "x", "b2", "b3", "y"])
    mean = rows.mean(axis=0)
    np.testing.assert_allclose(aligned.mean(axis=0), mean, rtol=1e-6)
    np.testing.assert_allclose(aligned[[2, 5]], np.broadcast_to(mean, (2, 2)), rtol=1e-6)
    np.testing.assert_allclose((aligned[0] - mean) / 6, (rows[0] - mean) / 4, rtol=1e-5)
