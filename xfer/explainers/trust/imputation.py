"""Noisy linear imputation: removed pixels become the weighted mean of their neighbours, with a little noise."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, eye_array
from scipy.sparse.linalg import spsolve

__all__ = ["imputed"]

NEIGHBOURS = {
    **dict.fromkeys(((0, 1), (0, -1), (1, 0), (-1, 0)), 1 / 6),
    **dict.fromkeys(((1, 1), (1, -1), (-1, 1), (-1, -1)), 1 / 12),
}
"""What a neighbour weighs, by its offset."""


def imputed(
    image: NDArray[np.floating], removed: NDArray[np.bool_], noise: float = 0.01, rng: np.random.Generator | None = None
) -> NDArray[np.floating]:
    """An image whose removed pixels tell as little as can be of where they were.

    Every removed pixel equals the mean of its eight neighbours, removed ones too: a linear system.

    Parameters
    ----------
    image : array (channel, y, x)
    removed : bool array (y, x)
        At least one pixel must stay.
    noise : float
        Standard deviation of what is added to imputed pixels, in the image's units.
    rng : Generator, optional
        Of the noise; needed unless `noise` is 0.

    Returns
    -------
    array (channel, y, x)

    References
    ----------
    Rong et al. 2022, A consistent and efficient evaluation strategy for attribution methods,
    doi:10.48550/arXiv.2202.00449.

    Examples
    --------
    >>> image = np.array([[[0.0, 9.0, 2.0]]])
    >>> imputed(image, np.array([[False, True, False]]), noise=0)
    array([[[0., 1., 2.]]])
    """
    flat, gone = image.reshape(len(image), -1), removed.ravel()
    if not gone.any():
        return image.copy()
    means = _means(removed.shape)[gone]
    system = eye_array(int(gone.sum()), format="csc") - csc_matrix(means[:, gone])
    filled = np.asarray(spsolve(csc_matrix(system), means[:, ~gone] @ flat[:, ~gone].T)).reshape(-1, len(image))
    if noise:
        if rng is None:
            raise ValueError("noise needs a generator")
        filled = filled + noise * rng.standard_normal(filled.shape)
    made = flat.copy()
    made[:, gone] = filled.T
    return made.reshape(image.shape)


@cache
def _means(shape: tuple[int, int]) -> csc_matrix:
    """The matrix (pixel, pixel) that takes every pixel to the mean of its neighbours within the image."""
    rows, columns = np.indices(shape)
    pixels, entries, weights = [], [], []
    for (down, right), weight in NEIGHBOURS.items():
        y, x = rows + down, columns + right
        inside = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
        pixels.append((rows * shape[1] + columns)[inside])
        entries.append((y * shape[1] + x)[inside])
        weights.append(np.full(int(inside.sum()), weight))
    size = rows.size
    matrix = csc_matrix((np.concatenate(weights), (np.concatenate(pixels), np.concatenate(entries))), (size, size))
    scale = 1 / np.asarray(matrix.sum(1)).ravel()
    return csc_matrix(matrix.multiply(scale[:, None])).tocsr()
