"""Pictures, landmarks beside them, and landmarkers opened once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def face(shared: Path) -> np.ndarray:
    """A studio photograph of one smiling person, 640 x 640."""
    return np.asarray(Image.open(shared / "data" / "london" / "images" / "happiness" / "001.jpg").convert("RGB"))


@pytest.fixture(scope="session")
def networks(shared: Path) -> str:
    """The name of an ONNX landmarker with its detector."""
    models = shared / "models"
    return f"onnx:{models / 'faceapi_landmark68.onnx'},detector={models / 'ultralight_face_detector_rfb320.onnx'}"
