"""Similarity alignment and mean shapes of landmark arrays (..., n, 2)."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from array_api_compat import array_namespace


def inter_ocular(points: Any) -> Any:
    """Distance of the outer eye corners 36 and 45, in px: (..., 68 or 89, 2) -> (...)."""
    xp = array_namespace(points)
    return xp.linalg.vector_norm(points[..., 36, :] - points[..., 45, :], axis=-1)


def similarity(source: Any, target: Any) -> Any:
    """The rotation, scale and shift that bring `source` nearest to `target` in least squares.

    Parameters
    ----------
    source, target : array (..., n, 2)
        NumPy or torch; leading dimensions broadcast.

    Returns
    -------
    array (..., 2, 3)
        ``[[a, -b, tx], [b, a, ty]]``, never a reflection; NaN where all source points coincide.

    Notes
    -----
    Umeyama (1991), doi:10.1109/34.88573; in the plane the solution needs no singular value decomposition.

    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> turned = np.array([[3.0, 4.0], [3.0, 6.0], [1.0, 6.0], [1.0, 4.0]])
    >>> similarity(square, turned).tolist()
    [[0.0, -2.0, 3.0], [2.0, 0.0, 4.0]]
    """
    xp = array_namespace(source, target)
    from_centre, to_centre = xp.mean(source, axis=-2), xp.mean(target, axis=-2)
    s, t = source - from_centre[..., None, :], target - to_centre[..., None, :]
    spread = xp.sum(s * s, axis=(-2, -1))
    spread = xp.where(spread > 0, spread, xp.full_like(spread, math.nan))
    a = xp.sum(s * t, axis=(-2, -1)) / spread
    b = xp.sum(s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0], axis=-1) / spread
    flat = xp.concat([entry[..., None] for entry in (a, -b, b, a)], axis=-1)
    linear = xp.reshape(flat, (*a.shape, 2, 2))
    shift = to_centre - xp.sum(linear * from_centre[..., None, :], axis=-1)
    return xp.concat([linear, shift[..., None]], axis=-1)


def apply(matrix: Any, points: Any) -> Any:
    """Move points (..., n, 2) by affine matrices (..., 2, 3)."""
    xp = array_namespace(matrix, points)
    moved = xp.sum(matrix[..., None, :, :2] * points[..., :, None, :], axis=-1)
    return moved + matrix[..., None, :, 2]


def mean_shape(points: np.ndarray) -> np.ndarray:
    """Generalized Procrustes mean of shapes (faces, n, 2): (n, 2), centred, of root-mean-square radius 1.

    Gower (1975), doi:10.1007/BF02291478. It is turned like the first shape.
    """
    mean = _unit(points[0])
    for _ in range(100):
        previous, mean = mean, _unit(apply(similarity(points, mean), points).mean(axis=0))
        if np.abs(mean - previous).max() < 1e-12:
            break
    return mean


def _unit(points: np.ndarray) -> np.ndarray:
    centred = points - points.mean(axis=0)
    return centred / np.sqrt((centred**2).sum(axis=-1).mean())


def upright(points: np.ndarray, pairs: Iterable[int]) -> np.ndarray:
    """Centre a shape (n, 2) and turn it so that mirrored points lie level; it must not be upside down."""
    z = (points - points.mean(axis=0)) @ [1, 1j]
    turn = np.sqrt(-np.conj((z * z[list(pairs)]).sum()))
    z = z * turn / abs(turn)
    return np.stack([z.real, z.imag], axis=-1)


def reflection_pairs(points: np.ndarray) -> np.ndarray:
    """Pair each point of an upright, nearly symmetric shape (n, 2) with the nearest one of its reflection.

    Raises
    ------
    ValueError
        If the nearest points do not pair up.
    """
    reflected = points * [-1, 1] + [2 * points[:, 0].mean(), 0]
    pairs = np.linalg.norm(reflected[:, None] - points, axis=-1).argmin(axis=1)
    if (pairs[pairs] != np.arange(len(points))).any():
        raise ValueError("the shape is not symmetric enough to pair its points")
    return pairs
