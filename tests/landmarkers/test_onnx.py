"""The crop, the suppression of boxes, and a third party's networks on annotated photographs."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.ndimage import map_coordinates

from xfer import landmarkers
from xfer.errors import InputError
from xfer.geometry import inter_ocular
from xfer.landmarkers.onnx import MAX_OVERLAP, distinct, square
from xfer.landmarkers.points import read_pts


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x + y, 2 * x, 255 - y], axis=-1).astype(np.uint8)


def test_the_crop_is_the_picture_at_the_pixels_that_it_covers() -> None:
    """Pixel (0, 0) of the crop covers the square's first cell, centre to centre."""
    image, corner, side, size = smooth(90, 100), np.array([10.3, 20.7]), 40.0, 32
    at = corner[:, None] + (np.arange(size) + 0.5) * side / size
    expected = np.stack(
        [
            map_coordinates(image[..., c].astype(float), np.meshgrid(at[1], at[0], indexing="ij"), order=1)
            for c in range(3)
        ],
        axis=-1,
    )
    assert np.abs(square(image, corner, side, size) - expected).max() <= 1


@given(shift=st.integers(-30, 60), size=st.sampled_from([8, 20]))
def test_a_crop_at_full_scale_is_a_slice_with_black_around(shift: int, size: int) -> None:
    image = smooth(50, 60) | 1
    padded = np.pad(image, ((40, 80), (40, 80), (0, 0)))
    expected = padded[40 + shift : 40 + shift + size, 40 + shift : 40 + shift + size]
    assert (square(image, np.array([shift - 0.5, shift - 0.5]), size, size) == expected).all()


def test_a_large_face_is_averaged_not_sampled() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (square(stripes, np.array([-0.5, -0.5]), 256, 32) == 100).all()


@given(
    arrays(float, (6, 2), elements=st.floats(0, 50)),
    arrays(float, 6, elements=st.floats(0, 1), unique=True),
)
def test_suppression_follows_its_definition(corners: np.ndarray, scores: np.ndarray) -> None:
    """Kept are exactly the boxes that no better kept box overlaps."""
    boxes = np.concatenate([corners, corners + 20], axis=1)

    def overlap(a: np.ndarray, b: np.ndarray) -> float:
        common = np.prod([max(0, min(a[2 + i], b[2 + i]) - max(a[i], b[i])) for i in (0, 1)])
        return common / (800 - common)

    kept = distinct(boxes, scores)
    assert list(scores[kept]) == sorted(scores[kept], reverse=True)
    for i in range(6):
        rivals = [j for j in kept if scores[j] > scores[i] and overlap(boxes[i], boxes[j]) > MAX_OVERLAP]
        assert (i in kept) == (not rivals)


def test_the_networks_find_annotated_faces(shared: Path, networks: str) -> None:
    off = []
    with landmarkers.open(networks) as finder:
        for path in sorted((shared / "data" / "helen_landmarks").glob("*.jpg"))[:12]:
            truth = read_pts(path.with_suffix(".pts"))
            found = finder(np.asarray(Image.open(path).convert("RGB")))
            assert found.confidence >= 0.7
            off.append(np.linalg.norm(found.points - truth, axis=1).mean() / inter_ocular(truth))
    assert np.median(off) < 0.08


def test_without_a_detector_the_whole_picture_is_the_face(shared: Path, networks: str) -> None:
    path = sorted((shared / "data" / "helen_landmarks").glob("*.jpg"))[0]
    truth = read_pts(path.with_suffix(".pts"))
    low, high = truth.min(axis=0).astype(int), truth.max(axis=0).astype(int)
    crop = np.asarray(Image.open(path).convert("RGB"))[low[1] : high[1], low[0] : high[0]]
    with landmarkers.open(networks.partition(",")[0]) as finder:
        found = finder(crop)
    assert np.isnan(found.confidence)
    assert np.median(np.linalg.norm(found.points + low - truth, axis=1)) < 0.1 * inter_ocular(truth)


def test_no_face_is_told(networks: str) -> None:
    with landmarkers.open(networks) as finder:
        found = finder(np.full((200, 300, 3), 90, np.uint8))
    assert (found.reason, found.points, found.n_faces) == ("no face", None, 0)


def test_the_digest_follows_files_and_numbers(networks: str) -> None:
    file = networks.partition(",")[0]
    digests = []
    for name, options in ((networks, {}), (file, {}), (file, {}), (file, {"mean": (0.5, 0.5, 0.5)})):
        with landmarkers.open(name, **options) as finder:
            digests.append(finder.digest)
    assert digests[1] == digests[2]
    assert len(set(digests)) == 3


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "n.onnx").write_text("hello")
    with pytest.raises(InputError, match=r"n\.onnx: cannot be read as ONNX \(.+\)$"):
        landmarkers.open(f"onnx:{tmp_path / 'n.onnx'}")


def test_a_network_of_another_kind_is_refused(shared: Path, networks: str) -> None:
    file = shared / "models" / "faceapi_expression.onnx"
    with pytest.raises(InputError) as caught:
        landmarkers.open(f"onnx:{file}")
    assert str(caught.value) == (
        f"{file}: takes ['batch', 3, 112, 112] and gives ['batch', 7]; needed is (n, 3, side, side) -> (n, 136)"
    )
