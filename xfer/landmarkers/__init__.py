"""Landmarkers: a picture in, 68 points out, or the reason why there are none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from xfer.errors import InputError
from xfer.registry import Registry

NO_FACE = "no face"
OTHER_SIZE = "for another size"
"""In every reason that says so."""

ENOUGH = 8
"""Pictures from which on `misfit` tells."""
ASIDE = 0.15
"""How far both to the side of and above, or below, the middle of pictures the middle of most faces lies that are of
other pictures, in widths and heights. Not one of the 330 photographs of Helen has its face so far in a corner."""


class Pose(NamedTuple):
    """How a head is turned, in degrees, as the viewer sees it.

    Attributes
    ----------
    yaw : float
        Positive where the face looks to the viewer's right.
    pitch : float
        Positive where it looks up.
    roll : float
        Positive where it is turned clockwise: the angle of the line from the viewer's left eye to the right one,
        y pointing down.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True)
class Landmarking:
    """What a landmarker says about one picture.

    Attributes
    ----------
    points : array (68, 2) or None
        (x, y) in px in iBUG's order; the centre of the first pixel is (0, 0). None where there is a reason.
    reason : str
        Why there are no points; "" where there are.
    mesh : array (478, 3) or None
        MediaPipe's mesh in px; z in the unit of x, growing away from the camera.
    pose : Pose or None
    confidence : float
        Of the face's detection, in [0, 1]; NaN where the landmarker tells none.
    blendshapes : mapping
        ARKit's names to activations in [0, 1]; empty where the landmarker tells none.
    n_faces : int
        Faces in the picture that the landmarker saw; the largest and most central one was taken.
    """

    points: NDArray[np.floating] | None
    reason: str = ""
    mesh: NDArray[np.floating] | None = None
    pose: Pose | None = None
    confidence: float = math.nan
    blendshapes: Mapping[str, float] = field(default_factory=dict)
    n_faces: int = 1


class Finder(Protocol):
    """An opened landmarker; one thread uses it at a time."""

    @property
    def sized(self) -> bool:
        """Whether it compares the size of a picture with the size that its landmarks are told to be for."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides its answers beside the picture; "" if that cannot be told beforehand."""

    def __call__(self, image: NDArray[np.uint8], file: PurePath | None = None) -> Landmarking:
        """Landmarks of an RGB picture (y, x, 3); `file` is where it came from, if from a file.

        A path is of a file here; a pure path is a mere name, below the data.
        """

    def close(self) -> None:
        """Free what it holds."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close."""


class Open:
    """What every finder shares: it closes at the end of ``with``."""

    sized = False

    def close(self) -> None:
        """Free what it holds."""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close."""
        self.close()


@dataclass(frozen=True)
class Landmarker:
    """A landmarker and what it declares.

    Attributes
    ----------
    name : str
        As in ``--landmarker NAME`` or ``NAME:FILE``.
    function : callable
        ``(file: str, **options) -> Finder``; `file` is what follows the colon, "" if nothing does.
    file : {"none", "optional", "required"}
        Whether ``NAME:FILE`` is written.
    takes : str
        What FILE is, in a few words; "" where there is none.
    reference : str
        The source, with its DOI.
    licence : str
        Terms of what it runs.
    note : str
        What a user should know before choosing it.
    """

    name: str
    function: Callable[..., Finder]
    file: str
    takes: str
    reference: str
    licence: str
    note: str = ""


LANDMARKERS: Registry[Landmarker] = Registry("landmarker", "xfer.landmarkers", Landmarker)


def open(landmarker: str, **options: Any) -> Finder:
    """Open a landmarker.

    Parameters
    ----------
    landmarker : str
        ``NAME`` or ``NAME:FILE`` with a name of `LANDMARKERS`: ``"mediapipe"``, ``"points"``,
        ``"points:landmarks.parquet"``, ``"onnx:landmarks.onnx"``.
    **options
        The landmarker's own.

    Raises
    ------
    InputError
        If the name is unknown, the file is missing or wrong, or what the landmarker needs is not installed.
    """
    name, colon, file = landmarker.partition(":")
    spec = LANDMARKERS[name]
    if spec.file == "required" and not file:
        raise InputError(f"landmarker {landmarker!r}: write {name}:FILE with {spec.takes}")
    if spec.file == "none" and colon:
        raise InputError(f"landmarker {landmarker!r}: {name!r} takes no file")
    return spec.function(file, **options)


def doubt(points: NDArray[np.floating], height: int, width: int) -> str:
    """Why points (68, 2) cannot be a face of a picture of that size; "" if they can.

    >>> doubt(np.full((68, 2), 5.0), 20, 20)
    'the outer eye corners coincide'
    """
    if points.shape != (68, 2):
        return f"{len(points)} points, not 68"
    if not np.isfinite(points).all():
        return "a point is not a finite number"
    outside = int(((points < -0.5) | (points > np.array([width, height]) - 0.5)).any(axis=1).sum())
    if outside > len(points) // 2:
        return f"{outside} of 68 points lie outside the picture of {width} x {height} px; they are {OTHER_SIZE}"
    if np.hypot(*(points[36] - points[45])) < 1:
        return "the outer eye corners coincide"
    return ""


def misfit(points: NDArray[np.floating], sizes: NDArray[np.floating]) -> str:
    """What shows that the landmarks of many pictures are of smaller or of larger pictures; "" if nothing does.

    One small face may lie anywhere, but most faces of a data set do not lie in the same corner. Landmarks of pictures
    of less than .6 times the size do, or of more than 1.5 times; what is nearer may pass.

    Parameters
    ----------
    points : array (picture, 68, 2)
        (x, y) in px; pictures with NaN do not count.
    sizes : array (picture, 2)
        Widths and heights, px.

    >>> faces = np.random.default_rng(0).uniform(30, 70, (20, 68, 2))
    >>> misfit(faces, np.full((20, 2), 100.0)), misfit(faces, np.full((20, 2), 200.0))
    ('', 'lie in the upper left of their pictures: they are for smaller ones')
    """
    middles = (points.min(axis=1) + points.max(axis=1) + 1) / 2 / sizes
    known = middles[np.isfinite(middles).all(axis=1)]
    if len(known) < ENOUGH:
        return ""
    away = np.median(known, axis=0) - 0.5
    if (away < -ASIDE).all():
        return "lie in the upper left of their pictures: they are for smaller ones"
    if (away > ASIDE).all():
        return "lie in the lower right of their pictures: they are for larger ones"
    return ""


def foremost(boxes: NDArray[np.floating], height: int, width: int) -> int:
    """The index of the face that is meant, of boxes (n, 4) of left, top, right, bottom in px.

    It has the greatest root of its area less the distance of its centre from the picture's.

    >>> foremost(np.array([[0.0, 0, 30, 30], [35, 35, 65, 65]]), 100, 100)
    1
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    away = (boxes[:, 2:] + boxes[:, :2] - [width - 1, height - 1]) / 2
    return int(np.argmax(np.sqrt(np.abs(sides.prod(axis=1))) - np.hypot(*away.T)))
