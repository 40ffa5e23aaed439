"""Pictures, landmarks beside them, and landmarkers opened once."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xfer import landmarkers
from xfer.landmarkers import Finder


@pytest.fixture(scope="session")
def face(shared: Path) -> np.ndarray:
    """A studio photograph of one smiling person, 640 x 640."""
    return np.asarray(Image.open(shared / "data" / "london" / "images" / "happiness" / "001.jpg").convert("RGB"))


@pytest.fixture(scope="session")
def mediapipe(shared: Path) -> Iterator[Finder]:
    """MediaPipe's Face Landmarker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFER_ASSETS", str(shared / "models"))
        finder = landmarkers.open("mediapipe")
    with finder:
        yield finder


@pytest.fixture(scope="session")
def networks(shared: Path) -> str:
    """The name of an ONNX landmarker with its detector."""
    models = shared / "models"
    return f"onnx:{models / 'faceapi_landmark68.onnx'},detector={models / 'ultralight_face_detector_rfb320.onnx'}"
