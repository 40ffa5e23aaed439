"""Draws of the population mean map, given the maps of units: what it may look like without the noise of the mean map.

A bootstrap takes the noisy mean map for the population, so its draws are noisier and rougher than the truth, and scores
that depend on where a map crosses a threshold come out too low with intervals too narrow. Here the signal's share of
the power is estimated band by band of spatial frequency from products of *different* units, and a draw is the mean map
with every band shrunk by that share plus bootstrap noise shrunk by its root (a Wiener filter and its posterior): signal
and draws then have the same power at every frequency. What the score is about, the map's inner products with the mask
and the mask's blurred versions, is not shrunk.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.floating[Any]]

_RATIO = 1.6
_BLURS = (1 / 15, 1 / 7.5)


@dataclass(frozen=True, eq=False)
class Population:
    """The mean map and the units' deviations from it after filtering.

    Attributes
    ----------
    mean : float32 array (pixel,)
        Mean of the draws.
    deviations : float32 array (unit, pixel)
        A draw is ``mean + weights @ deviations / units`` with bootstrap weights.
    effective : float
        Effective number of independent coefficients of the signal: how well its power is known.
    """

    mean: NDArray[np.float32]
    deviations: NDArray[np.float32]
    effective: float

    def draws(self, weights: Floats) -> NDArray[np.float32]:
        """Population mean maps (draw, pixel), one a row of weights (draw, unit)."""
        return self.mean + (weights / len(self.deviations)).astype(np.float32) @ self.deviations

    @property
    def df(self) -> float:
        """Degrees of freedom of an interval: harmonic sum of those of the units and of the signal's power."""
        return 1.0 / (1.0 / (len(self.deviations) - 1) + 1.0 / max(self.effective, 3.0))


def population(maps: Floats, mask: Floats, support: NDArray[np.bool_] | None = None) -> Population:
    """Prepare draws of the population mean map.

    Parameters
    ----------
    maps : array (unit, y, x)
        Finite inside the support; at least 2 units.
    mask : array (y, x)
    support : bool array (y, x), optional

    Returns
    -------
    Population
        Over the pixels of the support, row by row.

    References
    ----------
    Wiener 1949, doi:10.7551/mitpress/2946.001.0001; own construction, its coverage is measured in
    tests/benchmarks/coverage.py
    """
    inside = np.ones(maps.shape[1:], dtype=bool) if support is None else support
    pixels = maps[:, inside].astype(np.float32)
    kept = _kept_directions(mask, inside)
    gains, effective = _gains(_canvas(pixels - (pixels @ kept.T) @ kept, inside))
    mean = pixels.mean(axis=0)
    return Population(
        _filtered(mean[None], kept, gains, inside)[0],
        _filtered(pixels - mean, kept, np.sqrt(gains), inside),
        effective,
    )


def bands(height: int, width: int) -> NDArray[np.int64]:
    """Band (y, x) of every coefficient of a cosine transform: 0 the mean, then steps of 1.6 in radial frequency."""
    rows, columns = np.mgrid[:height, :width]
    radius = np.hypot(rows, columns * height / width)
    count = max(2, round(np.log(radius.max()) / np.log(_RATIO)) + 1)
    edges = np.r_[1e-9, np.geomspace(1.01, radius.max() * (1 + 1e-9), count)]
    return np.digitize(radius, edges)


def _gains(maps: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Signal's share of the mean map's power (y, x), one number a band, and the effective number of coefficients."""
    n = len(maps)
    coefficients = dctn(maps, axes=(1, 2), norm="ortho")
    total = coefficients.sum(axis=0, dtype=np.float64)
    squares = np.einsum("byx,byx->yx", coefficients, coefficients, dtype=np.float64)
    signal = (total**2 - squares) / (n * (n - 1))
    band = bands(*maps.shape[1:])
    size = np.maximum(np.bincount(band.ravel()), 1)
    power = np.maximum(np.bincount(band.ravel(), signal.ravel()), 0.0) / size
    observed = np.bincount(band.ravel(), (total**2).ravel()) / size / n**2
    gain = np.divide(power, observed, out=np.zeros_like(power), where=observed > 0)
    gain, spread = np.clip(gain, 0.0, 1.0), power[band]
    spread[band == 0] = 0.0
    effective = spread.sum() ** 2 / (spread**2).sum() if spread.any() else 0.0
    return gain[band].astype(np.float32), float(effective)


def _kept_directions(mask: Floats, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Orthonormal directions (k, pixel) that are not shrunk: the constant map, the mask, the mask blurred."""
    image = np.where(inside, mask, 0.0).astype(np.float64)
    blurred = [gaussian_filter(image, share * image.shape[0]) for share in _BLURS]
    columns = np.stack([np.ones(inside.sum()), *(layer[inside] for layer in (image, *blurred))])
    columns /= np.linalg.norm(columns, axis=1, keepdims=True)
    _, values, right = np.linalg.svd(columns, full_matrices=False)
    return right[values > 1e-6 * values[0]].astype(np.float32)


def _filtered(
    pixels: NDArray[np.float32], kept: NDArray[np.float32], gains: NDArray[np.float32], inside: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Maps (n, pixel) with every coefficient times its gain, but along the kept directions as they were."""
    along = pixels @ kept.T
    waves = dctn(_canvas(pixels - along @ kept, inside), axes=(1, 2), norm="ortho", overwrite_x=True)
    waves *= gains
    rest = idctn(waves, axes=(1, 2), norm="ortho", overwrite_x=True)[:, inside]
    return rest + (along - rest @ kept.T) @ kept


def _canvas(pixels: Floats, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    canvas = np.zeros((len(pixels), *inside.shape), dtype=np.float32)
    canvas[:, inside] = pixels
    return canvas
