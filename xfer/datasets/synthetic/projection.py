"""A face's points in the picture: identity, Action Units, pose, then orthographic projection."""

import numpy as np

from xfer.datasets.synthetic.action_units import displacements, intensities
from xfer.datasets.synthetic.anatomy import OUTLINE, Array, neutral
from xfer.datasets.synthetic.face import Face
from xfer.datasets.synthetic.identity import shape

_CENTRE = np.array([0.0, 0.28, 0.55])
"""What the pose turns about and the picture is framed on, in IOD."""
_GAP = 0.012
"""The least opening of lids, in IOD."""
_OUTLINE_DEPTH = np.array([0.80, 0.80, 0.80, 0.76, 0.66, 0.54, 0.42, 0.30, 0.22])
_DEPTH = np.concatenate([_OUTLINE_DEPTH, _OUTLINE_DEPTH[-2::-1]])
"""Half the depth of the head's horizontal section at each jaw point, in IOD."""
_SKULL = np.array([[-0.855, -0.22, 0.05], [-0.80, -0.55, 0.0], [-0.62, -0.88, 0.0], [-0.33, -1.07, 0.0],
                   [0.0, -1.13, 0.0]])  # fmt: skip
_UPPER = np.concatenate([_SKULL, _SKULL[-2::-1] * [-1, 1, 1]])
_UPPER_DEPTH = np.array([0.85, 0.85, 0.75, 0.55, 0.4, 0.55, 0.75, 0.85, 0.85])


def head(face: Face) -> Array:
    """Points after identity and Action Units, before the pose, (point, xyz) in IOD."""
    points = shape(face.identity) + (intensities(face.action_units) @ displacements()).reshape(-1, 3)
    _keep_lids_apart(points)
    _keep_lips_apart(points)
    return points


def _keep_lids_apart(points: Array) -> None:
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        gap = points[lower, 1] - points[upper, 1]
        if gap < _GAP:
            points[upper, 1] = points[lower, 1] - _GAP


def _keep_lips_apart(points: Array) -> None:
    """Inner lips meet, never cross; each lip keeps some red."""
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        if points[lower, 1] < points[upper, 1]:
            points[[upper, lower], 1] = points[[upper, lower], 1].mean()
    for outer, inner in ((49, 61), (50, 61), (51, 62), (52, 63), (53, 63)):
        points[outer, 1] = min(points[outer, 1], points[inner, 1] - 0.022 * (1 if outer in (50, 51, 52) else 0.4))
    for outer, inner in ((55, 65), (56, 65), (57, 66), (58, 67), (59, 67)):
        points[outer, 1] = max(points[outer, 1], points[inner, 1] + 0.022 * (1 if outer in (56, 57, 58) else 0.4))


def turn(points: Array, face: Face) -> Array:
    """Yaw and pitch, then orthographic projection, without roll: (..., xyz) -> (..., 2) in IOD about the centre."""
    yaw, pitch = np.radians(face.yaw), -np.radians(face.pitch)
    x, y, z = np.moveaxis(points - _CENTRE, -1, 0)
    across = x * np.cos(yaw) + z * np.sin(yaw)
    depth = z * np.cos(yaw) - x * np.sin(yaw)
    return np.stack([across, y * np.cos(pitch) + depth * np.sin(pitch)], axis=-1)


def upright(face: Face, solid: Array) -> tuple[Array, Array]:
    """All points of a `head`, and the outline of the skull, turned but not rolled.

    Returns
    -------
    points : (point, 2) array
        In IOD about the face's centre; the jaw lies on the silhouette.
    skull : (9, 2) array
        The silhouette above the jaw, from left to right.
    """
    width = shape(face.identity)[0, 0] / neutral()[0, 0]
    return _turned(face, solid), _silhouette(_UPPER * [width, 1, 1], _UPPER_DEPTH, face)


def _turned(face: Face, solid: Array) -> Array:
    points = turn(solid, face)
    jaw = list(OUTLINE)
    points[jaw] = _silhouette(solid[jaw], _DEPTH, face)
    return points


def _silhouette(section: Array, depth: Array, face: Face) -> Array:
    """Where the outline is seen when each point is the widest of an elliptic horizontal section."""
    yaw = np.radians(face.yaw)
    flat = turn(section * [0, 1, 1], face)
    half = np.abs(section[:, 0])
    reach = np.sqrt((half * np.cos(yaw)) ** 2 + (np.minimum(depth, half + 0.15) * np.sin(yaw)) ** 2)
    middle = np.clip(1 - half / 0.3, 0, 1)
    flat[:, 0] += np.sign(section[:, 0]) * np.where(half > 1e-9, reach * (1 - middle) + half * np.cos(yaw) * middle, 0)
    return flat


def frame(face: Face, size: int) -> tuple[Array, Array]:
    """The similarity from upright points to pixels: ``upright @ matrix.T + origin``."""
    roll, scale = np.radians(face.roll), face.scale * size
    matrix = scale * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return matrix, (size - 1) / 2 + size * np.asarray(face.shift)


def landmarks(face: Face, size: int) -> Array:
    """The 68 iBUG points of the drawn face.

    Parameters
    ----------
    face : Face
        The face.
    size : int
        Side of the picture in px.

    Returns
    -------
    (68, 2) float64 array
        x, y in px; the centre of the first pixel is (0, 0). The curves of the drawing pass through them.
    """
    matrix, origin = frame(face, size)
    return _turned(face, head(face))[:68] @ matrix.T + origin
