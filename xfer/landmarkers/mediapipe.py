"""MediaPipe's Face Landmarker: 478 mesh points and their 68-point subset, head pose, blendshapes.

Pictures stay on the machine. The package itself, from 0.10.35 at the latest, sends figures about its use to Google
when it is opened and a network is there; it offers no switch. It keeps to ``https_proxy``: with
``https_proxy=http://127.0.0.1:9`` nothing leaves.
"""

import hashlib
import zipfile
from importlib.metadata import version
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer import assets
from xfer.errors import InputError
from xfer.geometry import IBUG_FROM_MESH
from xfer.landmarkers import LANDMARKERS, NO_FACE, Landmarking, Open, Pose, doubt, foremost

ASSET = "face_landmarker"

MAX_FACES = 10
"""More faces in a picture are not counted."""

MARGIN = 0.25
"""What is added on each side, as a share of the longer side, when a picture shows no face at first: the detector
looks for heads with some room around them."""

_DETECTOR = "face_detector.tflite"
_RULES = f"68 of 478, {MAX_FACES} faces, margin {MARGIN}, foremost"


class MediaPipe(Open):
    """An opened Face Landmarker; MediaPipe's threads and memory are freed by `close`."""

    def __init__(self) -> None:
        """Load the networks; raises `InputError` as `open_mediapipe`."""
        vision, base = _import()
        path = assets.find(ASSET)
        content = path.read_bytes()
        options = vision.FaceLandmarkerOptions(
            base_options=base(model_asset_buffer=content),
            num_faces=MAX_FACES,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        with zipfile.ZipFile(path) as bundle:
            detector = vision.FaceDetectorOptions(base_options=base(model_asset_buffer=bundle.read(_DETECTOR)))
        self._landmarker = vision.FaceLandmarker.create_from_options(options)
        self._detector = vision.FaceDetector.create_from_options(detector)
        told = f"mediapipe {version('mediapipe')} {assets.ASSETS[ASSET].sha256} {_RULES}"
        self.digest = hashlib.sha256(told.encode()).hexdigest()

    def __call__(self, image: NDArray[np.uint8], file: PurePath | None = None) -> Landmarking:
        """Landmarks of an RGB picture (y, x, 3), at first as it is, then with a margin."""
        return self._look(image, 0) or self._look(image, round(MARGIN * max(image.shape))) or _nothing()

    def close(self) -> None:
        """Free the networks."""
        self._landmarker.close()
        self._detector.close()

    def _look(self, image: NDArray[np.uint8], margin: int) -> Landmarking | None:
        import mediapipe

        if margin:
            image = np.pad(image, ((margin, margin), (margin, margin), (0, 0)))
        height, width = image.shape[:2]
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        result = self._landmarker.detect(picture)
        if not result.face_landmarks:
            return None
        meshes = np.array([[(p.x, p.y, p.z) for p in face] for face in result.face_landmarks])
        meshes = meshes * [width, height, width] - [0.5, 0.5, 0]
        boxes = np.concatenate([meshes[..., :2].min(axis=1), meshes[..., :2].max(axis=1)], axis=1)
        chosen = foremost(boxes, height, width)
        confidence = self._confidence(picture, boxes[chosen])
        mesh = meshes[chosen] - [margin, margin, 0]
        points = mesh[list(IBUG_FROM_MESH), :2]
        reason = doubt(points, height - 2 * margin, width - 2 * margin)
        return Landmarking(
            points=None if reason else points,
            reason=reason,
            mesh=mesh,
            pose=pose(np.asarray(result.facial_transformation_matrixes[chosen])),
            confidence=confidence,
            blendshapes={c.category_name: c.score for c in result.face_blendshapes[chosen] if c.index},
            n_faces=len(meshes),
        )

    def _confidence(self, picture: Any, box: NDArray[np.floating]) -> float:
        """The score of the detection whose centre lies nearest to that of the mesh, within the face; else NaN."""
        found = [(d.bounding_box, d.categories[0].score) for d in self._detector.detect(picture).detections]
        if not found:
            return float("nan")
        centres = np.array([[b.origin_x + b.width / 2, b.origin_y + b.height / 2] for b, _ in found])
        away = np.abs(centres - (box[:2] + box[2:]) / 2).max(axis=1)
        nearest = int(away.argmin())
        return float(found[nearest][1]) if away[nearest] < (box[2:] - box[:2]).max() / 2 else float("nan")


def pose(matrix: NDArray[np.floating]) -> Pose:
    """The pose in a facial transformation matrix (4, 4): x right, y up, z towards the camera.

    >>> pose(np.eye(4))
    Pose(yaw=0.0, pitch=0.0, roll=0.0)
    """
    turn = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    x, y, z = turn[:, 2]
    angles = np.degrees([np.arctan2(x, z), np.arcsin(np.clip(y, -1, 1)), -np.arctan2(turn[1, 0], turn[1, 1])])
    return Pose(*(float(angle) + 0.0 for angle in angles))


@LANDMARKERS.register(
    "mediapipe",
    file="none",
    takes="",
    reference="Kartynnik et al. (2019), arXiv:1907.06724; Grishchenko et al. (2022), arXiv:2206.05117",
    licence="Apache-2.0, Google (package and networks)",
    note="The package reports its use (no pictures) to Google; https_proxy=http://127.0.0.1:9 keeps it from that",
)
def open_mediapipe(file: str = "") -> MediaPipe:
    """Open MediaPipe's Face Landmarker.

    Raises
    ------
    InputError
        If the package is not installed, or the asset is absent or wrong.
    """
    return MediaPipe()


def _import() -> tuple[Any, Any]:
    try:
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise InputError(
            "landmarker 'mediapipe' needs the package mediapipe: run 'pip install mediapipe', "
            "or give landmarks with --landmarker points:FILE"
        ) from error
    return vision, BaseOptions


def _nothing() -> Landmarking:
    return Landmarking(None, NO_FACE, n_faces=0)
