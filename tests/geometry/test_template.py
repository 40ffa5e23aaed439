"""The template, measured again where the photographs are."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xfer import geometry

FRAME = geometry.load_frame("xfer")


@pytest.fixture(scope="module")
def landmarks(shared: Path):
    """A function from an image file to MediaPipe's points in px, (478, 2)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision
    base = BaseOptions(model_asset_path=str(shared / "models" / "face_landmarker.task"))
    with vision.FaceLandmarker.create_from_options(vision.FaceLandmarkerOptions(base_options=base)) as detector:

        def detect(file: Path) -> np.ndarray:
            pixels = np.asarray(Image.open(file).convert("RGB"))
            height, width = pixels.shape[:2]
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
            (face,) = detector.detect(image).face_landmarks
            return np.array([(p.x * width - 0.5, p.y * height - 0.5) for p in face])

        yield detect


def test_the_template_is_what_the_photographs_give(shared, landmarks):
    photographs = sorted((shared / "data" / "london" / "images").glob("*/*.jpg"))
    assert len(photographs) == 140
    points, mesh = geometry.measure(np.stack([landmarks(file) for file in photographs]))
    np.testing.assert_allclose(points, FRAME.points, rtol=0, atol=0.05)
    np.testing.assert_allclose(mesh, FRAME.mesh, rtol=0, atol=0.05)


def annotation(file: Path) -> np.ndarray:
    text = file.read_text().split("{")[1].split("}")[0]
    return np.array(text.split(), float).reshape(68, 2) - 1


def test_the_68_mesh_points_lie_where_people_put_them(shared, landmarks):
    """Median distance on annotated photographs, as a share of the inter-ocular distance.

    The jaw is looser: people mark the visible contour, whose 17 points slide along it.
    """
    photographs = sorted((shared / "data" / "helen_landmarks").glob("*.jpg"))[::6]
    truth = np.stack([annotation(file.with_suffix(".pts")) for file in photographs])
    found = np.stack([landmarks(file)[list(geometry.IBUG_FROM_MESH)] for file in photographs])
    error = np.linalg.norm(found - truth, axis=-1) / geometry.inter_ocular(truth)[:, None]
    typical = np.median(error, axis=0)
    assert np.median(error) < 0.04
    assert typical[:17].max() < 0.14
    assert typical[17:].max() < 0.07


def test_faces_looking_ahead_have_no_flipped_triangle(shared, landmarks):
    photographs = sorted((shared / "data" / "london" / "images").glob("*/*.jpg"))[::5]
    faces = np.stack([landmarks(file)[list(geometry.IBUG_FROM_MESH)] for file in photographs])
    assert not geometry.flipped(geometry.extend(faces, FRAME), FRAME).any()
