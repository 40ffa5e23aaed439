"""MediaPipe's points, pose and counting, on photographs that are turned, mirrored, cropped and put together."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from xfer import landmarkers
from xfer.errors import InputError
from xfer.geometry import IBUG_FROM_MESH, inter_ocular, mirror
from xfer.landmarkers import Finder, Landmarking
from xfer.landmarkers.mediapipe import pose

angles = st.floats(-80, 80)


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    """A picture turned clockwise about its centre."""
    return np.asarray(Image.fromarray(image).rotate(-degrees, Image.Resampling.BILINEAR))


@pytest.fixture(scope="module")
def found(mediapipe: Finder, face: np.ndarray) -> Landmarking:
    return mediapipe(face)


@given(yaw=angles, pitch=angles, roll=angles, scale=st.floats(0.5, 2))
def test_the_pose_of_a_known_rotation(yaw: float, pitch: float, roll: float, scale: float) -> None:
    """Looking right is a turn about y, looking up one about -x, clockwise one about -z, in the head's own axes."""
    matrix = np.eye(4)
    matrix[:3, :3] = scale * Rotation.from_euler("YXZ", [yaw, -pitch, -roll], degrees=True).as_matrix()
    np.testing.assert_allclose(pose(matrix), (yaw, pitch, roll), atol=1e-6)


def test_the_mesh_comes_with_all_that_is_promised(found: Landmarking) -> None:
    assert found.mesh is not None
    assert found.mesh.shape == (478, 3)
    assert (found.points == found.mesh[list(IBUG_FROM_MESH), :2]).all()
    assert len(found.blendshapes) == 51
    assert found.blendshapes["mouthSmileLeft"] > 0.5
    assert "_neutral" not in found.blendshapes
    assert 0.5 < found.confidence <= 1
    assert found.n_faces == 1


@pytest.mark.parametrize("degrees", [-20, 15])
def test_a_turned_picture_turns_the_roll(
    mediapipe: Finder, face: np.ndarray, found: Landmarking, degrees: float
) -> None:
    now = mediapipe(turned(face, degrees))
    assert now.pose.roll - found.pose.roll == pytest.approx(degrees, abs=1.5)
    assert now.pose.yaw == pytest.approx(found.pose.yaw, abs=4)
    right, left = now.points[45], now.points[36]
    assert now.pose.roll == pytest.approx(np.degrees(np.arctan2(*(right - left)[::-1])), abs=4)


def test_a_mirrored_picture_mirrors_everything(mediapipe: Finder, face: np.ndarray, found: Landmarking) -> None:
    now = mediapipe(np.ascontiguousarray(face[:, ::-1]))
    assert now.pose.yaw == pytest.approx(-found.pose.yaw, abs=2)
    assert now.pose.roll == pytest.approx(-found.pose.roll, abs=1.5)
    assert now.pose.pitch == pytest.approx(found.pose.pitch, abs=2)
    expected = found.points[mirror(68)] * [-1, 1] + [face.shape[1] - 1, 0]
    off = np.linalg.norm(now.points - expected, axis=1) / inter_ocular(found.points)
    assert np.median(off) < 0.02


def test_points_keep_to_the_pixels_when_the_picture_is_enlarged(
    mediapipe: Finder, face: np.ndarray, found: Landmarking
) -> None:
    """Twice the size moves the pixel centre x to 2 x + 1/2."""
    now = mediapipe(face.repeat(2, axis=0).repeat(2, axis=1))
    off = (now.points - (2 * found.points + 0.5)).mean(axis=0) / inter_ocular(now.points)
    assert np.abs(off).max() < 0.01


def test_annotated_photographs_agree(mediapipe: Finder, shared: Path) -> None:
    from xfer.landmarkers.points import read_pts

    off = []
    for path in sorted((shared / "data" / "helen_landmarks").glob("*.jpg"))[:12]:
        truth = read_pts(path.with_suffix(".pts"))
        now = mediapipe(np.asarray(Image.open(path).convert("RGB")))
        off.append(np.linalg.norm(now.points - truth, axis=1).mean() / inter_ocular(truth))
    assert np.median(off) < 0.05


def test_twenty_photographs_have_landmarks(mediapipe: Finder, shared: Path) -> None:
    """The benchmark counts all of them."""
    files = sorted((shared / "data" / "lfw_expressions" / "images").glob("*/*.jpg"))[::55][:20]
    assert len(files) == 20
    assert [mediapipe(np.asarray(Image.open(path).convert("RGB"))).reason for path in files] == [""] * 20


def test_no_face_is_told(mediapipe: Finder) -> None:
    found = mediapipe(np.full((200, 300, 3), 90, np.uint8))
    assert (found.reason, found.points, found.pose, found.n_faces) == ("no face", None, None, 0)


def test_a_tight_crop_is_found_with_a_margin(mediapipe: Finder, face: np.ndarray, found: Landmarking) -> None:
    low, high = found.points.min(axis=0), found.points.max(axis=0)
    centre, half = (low + high) / 2, (high - low).max() / 2
    left, top = np.round(centre - half).astype(int)
    crop = np.ascontiguousarray(face[top : top + int(2 * half), left : left + int(2 * half)])
    small = np.asarray(Image.fromarray(crop).resize((64, 64)))
    bare, now = mediapipe._look(small, 0), mediapipe._look(small, 16)
    expected = (found.points - [left, top] + 0.5) * 64 / len(crop) - 0.5
    for answer in (bare, now):
        if answer is not None:
            off = np.linalg.norm(answer.points - expected, axis=1) / inter_ocular(expected)
            assert np.median(off) < 0.06
    assert now is not None
    assert mediapipe(small).points is not None


def test_the_margin_is_tried_when_the_bare_picture_shows_nothing(
    mediapipe: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    margins = []
    monkeypatch.setattr(mediapipe, "_look", lambda image, margin: margins.append(margin))
    assert mediapipe(np.zeros((80, 100, 3), np.uint8)).reason == "no face"
    assert margins == [0, 25]


def test_of_two_people_the_larger_one_is_taken(mediapipe: Finder, face: np.ndarray) -> None:
    half = np.asarray(Image.fromarray(face).resize((320, 320)))
    beside = np.full((640, 960, 3), 255, np.uint8)
    beside[:, :640] = face
    beside[160:480, 640:] = half
    found = mediapipe(beside)
    assert found.n_faces == 2
    assert found.points[:, 0].max() < 640
    other = mediapipe(np.ascontiguousarray(beside[:, ::-1]))
    assert other.points[:, 0].min() > 320


def test_its_absence_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe.tasks.python", None)
    with pytest.raises(InputError) as caught:
        landmarkers.open("mediapipe")
    assert str(caught.value) == (
        "landmarker 'mediapipe' needs the package mediapipe: run 'pip install mediapipe', "
        "or give landmarks with --landmarker points:FILE"
    )


def test_its_asset_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("xfer.assets.user_cache_path", lambda *args, **kwargs: tmp_path)
    monkeypatch.delenv("XFER_ASSETS", raising=False)
    with pytest.raises(InputError, match="run 'xfer assets get face_landmarker'"):
        landmarkers.open("mediapipe")
