"""68 points by a network of your own in ONNX, on the picture or on the face that a detector finds in it."""

import hashlib
import math
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xfer import assets
from xfer.errors import InputError
from xfer.landmarkers import LANDMARKERS, NO_FACE, Landmarking, Open, doubt, foremost
from xfer.onnx_files import open_network

FACE_API_MEAN = (122.782 / 255, 117.001 / 255, 104.298 / 255)
"""What face-api.js subtracts from RGB in [0, 1]."""

MIN_SCORE = 0.7
MAX_OVERLAP = 0.3

Box = NDArray[np.floating]


class Onnx(Open):
    """A network (n, 3, side, side) -> 136 numbers: x, y of 68 points in units of a square crop.

    Parameters
    ----------
    path : Path
        The landmark network.
    detector : Path, optional
        A detector of the UltraLight kind: input (1, 3, height, width), (RGB - 127) / 128, outputs ``scores``
        (1, n, 2) and ``boxes`` (1, n, 4) as shares of the picture. Without it the whole picture is the face.
    mean, std : sequence of 3 floats
        RGB in [0, 1] minus `mean`, divided by `std`, goes in.
    """

    def __init__(
        self,
        path: Path,
        detector: Path | None = None,
        mean: tuple[float, ...] = FACE_API_MEAN,
        std: tuple[float, ...] = (1.0, 1.0, 1.0),
    ) -> None:
        """Load the networks; raises `InputError` as `open_onnx`."""
        self._net = open_network(path).session
        self._side = _input_side(self._net, path)
        self._detector = None if detector is None else open_network(detector).session
        self._mean, self._std = np.array(mean), np.array(std)
        files = [assets.sha256(p) for p in (path, detector) if p is not None]
        told = f"onnx {files} {mean} {std} {MIN_SCORE} {MAX_OVERLAP}"
        self.digest = hashlib.sha256(told.encode()).hexdigest()

    def __call__(self, image: NDArray[np.uint8], file: PurePath | None = None) -> Landmarking:
        """Landmarks of an RGB picture (y, x, 3)."""
        height, width = image.shape[:2]
        if self._detector is None:
            box, confidence, n_faces = np.array([-0.5, -0.5, width - 0.5, height - 0.5]), math.nan, 1
        else:
            boxes, scores = detect(self._detector, image)
            if not len(boxes):
                return Landmarking(None, NO_FACE, n_faces=0)
            chosen = foremost(boxes, height, width)
            box, confidence, n_faces = boxes[chosen], float(scores[chosen]), len(boxes)
        points = self._points(image, box)
        reason = doubt(points, height, width)
        return Landmarking(None if reason else points, reason, confidence=confidence, n_faces=n_faces)

    def _points(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.floating]:
        """The points (68, 2) found in the square about a box, in px of the picture."""
        centre, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
        corner = centre - side / 2
        crop = square(image, corner, side, self._side)
        values = ((crop / 255 - self._mean) / self._std).transpose(2, 0, 1)[None].astype(np.float32)
        (out,) = self._net.run(None, {self._net.get_inputs()[0].name: values})
        return np.asarray(out, float).reshape(-1, 2) * side + corner


def square(image: NDArray[np.uint8], corner: Box, side: float, size: int) -> NDArray[np.uint8]:
    """The square of a picture from `corner` (px, pixel centres at integers), resized to (size, size, 3).

    What lies outside the picture is black.
    """
    scale = side / size
    left, top = corner + 0.5
    whole = Image.fromarray(image)
    if scale > 1:
        whole = whole.reduce(max(1, int(scale)))
    fx, fy = whole.width / image.shape[1], whole.height / image.shape[0]
    inverse = (scale * fx, 0, left * fx, 0, scale * fy, top * fy)
    return np.asarray(whole.transform((size, size), Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR))


def detect(session: Any, image: NDArray[np.uint8]) -> tuple[Box, NDArray[np.floating]]:
    """Faces as boxes (n, 4) of left, top, right, bottom in px, and their scores (n,), best first."""
    source = session.get_inputs()[0]
    height, width = source.shape[2:]
    resized = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR), np.float32)
    values = ((resized - 127) / 128).transpose(2, 0, 1)[None]
    scores, boxes = session.run(["scores", "boxes"], {source.name: values})
    score, box = scores[0, :, 1], boxes[0] * np.tile(image.shape[1::-1], 2) - 0.5
    kept = distinct(box[score >= MIN_SCORE], score[score >= MIN_SCORE])
    return box[score >= MIN_SCORE][kept].astype(float), score[score >= MIN_SCORE][kept].astype(float)


def distinct(boxes: Box, scores: NDArray[np.floating]) -> list[int]:
    """Greedy non-maximum suppression: the indices kept, best first.

    >>> distinct(np.array([[0.0, 0, 10, 10], [1, 0, 10, 10], [20, 20, 30, 30]]), np.array([0.8, 0.9, 0.7]))
    [1, 2]
    """
    order, kept = list(np.argsort(-scores, kind="stable")), []
    while order:
        best = order.pop(0)
        kept.append(int(best))
        order = [i for i in order if _overlap(boxes[best], boxes[i]) <= MAX_OVERLAP]
    return kept


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    common = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common))


def _input_side(session: Any, path: Path) -> int:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape, result = inputs[0].shape, outputs[0].shape
    fits = len(inputs) == len(outputs) == 1 and len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3]
    if not fits or not isinstance(shape[2], int) or math.prod(n for n in result[1:] if isinstance(n, int)) != 136:
        raise InputError(f"{path}: takes {shape} and gives {result}; needed is (n, 3, side, side) -> (n, 136)")
    return shape[2]


@LANDMARKERS.register(
    "onnx",
    file="required",
    takes="a network (n, 3, side, side) -> (n, 136) in ONNX, or FILE,detector=FILE",
    reference="face-api.js's kind of network: https://github.com/justadudewhohacks/face-api.js",
    licence="that of the network",
    note="Takes the whole picture for one face unless it is given a detector",
)
def open_onnx(file: str, detector: str | Path | None = None, **options: Any) -> Onnx:
    """Open a landmark network, ``FILE`` or ``FILE,detector=FILE``; the options are those of `Onnx`.

    Raises
    ------
    InputError
        As `xfer.onnx_files.open_network`, or if a network has other inputs and outputs.
    """
    network, _, named = file.partition(",detector=")
    found = detector or named
    return Onnx(Path(network), Path(found) if found else None, **options)
