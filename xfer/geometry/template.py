"""How a frame's template is measured from the landmarks of frontal faces."""

from collections.abc import Iterable

import numpy as np

from xfer.geometry.alignment import apply, mean_shape, reflection_pairs, similarity, upright
from xfer.geometry.frame import mirror
from xfer.geometry.layout import HEIGHT, IBUG_FROM_MESH, MESH_POINTS, WIDTH

FOREHEAD_ARC = (127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356)
"""Mesh points on the upper arc of MediaPipe's face oval, from the viewer's left temple to the right one."""

SIDE_MARGIN = 16.0
"""Canvas left free beside the outline, in px, about as in the published study."""

GRID = 64
"""Template coordinates are multiples of 1/64 px, so that mirroring them is exact in floating point."""


def measure(meshes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A frame's points (89, 2) and mesh (468, 2), in px, from the meshes (faces, at least 468, 2) of frontal faces.

    The Procrustes mean is made symmetric and fills the canvas: `SIDE_MARGIN` px beside the jaw, centred in height.
    """
    mean, ibug = mean_shape(meshes[:, :MESH_POINTS]), list(IBUG_FROM_MESH)
    level = apply(similarity(mean[ibug], upright(mean[ibug], mirror(68))), mean)
    mesh = symmetrise(level, reflection_pairs(level))
    face = np.concatenate([mesh[ibug], forehead_arch(mesh)])
    place = fit_to_canvas(face)
    right, bottom = WIDTH - 1, HEIGHT - 1
    corners = [[0, 0], [0, bottom], [right, 0], [right, bottom]]
    return np.concatenate([_snap(apply(place, face)), corners]), _snap(apply(place, mesh))


def symmetrise(points: np.ndarray, pairs: Iterable[int] | None = None) -> np.ndarray:
    """The nearest shape that is symmetric about x = 0: a shape (n, 2), made upright, averaged with its mirror image.

    `pairs` is the mirror permutation; by default that of the number of points.
    """
    pairs = list(mirror(len(points)) if pairs is None else pairs)
    level = upright(points, pairs)
    return (level + level[pairs] * [-1, 1]) / 2


def forehead_arch(mesh: np.ndarray) -> np.ndarray:
    """17 points at equal steps along the upper arc of the face oval of a mesh (468, 2), left to right."""
    arc = mesh[list(FOREHEAD_ARC)]
    length = np.concatenate([[0.0], np.linalg.norm(np.diff(arc, axis=0), axis=1).cumsum()])
    steps = np.linspace(0, length[-1], 19)[1:-1]
    return np.stack([np.interp(steps, length, axis) for axis in arc.T], axis=-1)


def fit_to_canvas(points: np.ndarray) -> np.ndarray:
    """The scale and shift (2, 3) that leave `SIDE_MARGIN` px on both sides of a shape and centre it in height."""
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (WIDTH - 1 - 2 * SIDE_MARGIN) / (high[0] - low[0])
    shift = (np.array([WIDTH, HEIGHT]) - 1 - scale * (low + high)) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def _snap(points: np.ndarray) -> np.ndarray:
    return np.round(points * GRID) / GRID
