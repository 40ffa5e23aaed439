"""Smooth surrogates: maps of the same histogram and spectrum as the observed one, with random phases."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import ndtri
from scipy.stats import rankdata

from xfer.nulls.spec import NULLS

Float = NDArray[np.float32]

ITERATIONS = 4
"""Rounds of adjustment; what they leave of the error in the spectrum is measured in the benchmark of nulls."""

TORI, LEVELS = 4, 4096

WIDENED = 1.25
"""Surrogates take the spectrum and histogram that one map happens to have for those of its kind, and so stray less from
their mean than maps of that kind do. As they are they call .08 to .10 of the maps that know nothing better than chance
at .05; with their scores spread by this factor no more than .05 (the benchmark of nulls, validity)."""


@NULLS.register(
    "surrogate",
    kind="draws",
    primary=True,
    widened=WIDENED,
    reference="Schreiber & Schmitz 1996, doi:10.1103/PhysRevLett.77.635",
    words="random smooth maps with the histogram and the spectrum of the map itself",
)
def surrogate(
    heatmap: NDArray[Any],
    support: NDArray[np.bool_],
    draws: int,
    rng: np.random.Generator,
    *,
    iterations: int = ITERATIONS,
) -> Iterator[Float]:
    """Iterated amplitude-adjusted phase randomisation in two dimensions.

    The map is continued by its mirror images to a torus of twice its size, which has no seams. A Gaussian field with
    the amplitudes of the torus' normal scores and random phases is given, in turns, the values of the torus in the
    order of its own pixels and the amplitudes of the torus with its own phases. Each torus is cut into its four
    quadrants: four draws that do not overlap.

    The random phases are added to those of the map, so that maps of one shape that are given generators of one seed
    keep their cross-spectra: their draws are as alike as they are (Prichard & Theiler 1994,
    doi:10.1103/PhysRevLett.73.951).

    Parameters
    ----------
    heatmap : array (y, x)
        Finite everywhere.
    support : bool array (y, x)
        Not used: the caller restores the histogram inside it.
    draws : int
    rng : Generator
    iterations : int
        Rounds of adjustment.

    Yields
    ------
    float32 array (k, y, x)
        At least `draws` fields in all.
    """
    height, width = heatmap.shape
    target = Target.of(mirrored(heatmap))
    y, x = (length // 2 for length in target.shape)
    for _ in range(-(-draws // (4 * TORI))):
        fields = random_tori(target, TORI, rng, iterations)
        quadrants = fields.reshape(TORI, 2, y, 2, x).swapaxes(2, 3)[..., :height, :width]
        yield quadrants.reshape(-1, height, width)


@dataclass(frozen=True, eq=False)
class Target:
    """What surrogates of a torus (2y, 2x) have in common with it.

    Attributes
    ----------
    shape : tuple of int
    amplitudes : float32 array (2y, x + 1)
        Of its spectrum.
    normal : complex64 array (2y, x + 1)
        The spectrum of its normal scores.
    totals : float64 array (n + 1,)
        Running sums of its values from low to high.
    """

    shape: tuple[int, int]
    amplitudes: Float
    normal: NDArray[np.complex64]
    totals: NDArray[np.float64]

    @classmethod
    def of(cls, torus: Float) -> "Target":
        """Measure a torus."""
        scores = ndtri((rankdata(torus).reshape(torus.shape) - 0.5) / torus.size).astype(np.float32)
        totals = np.concatenate([[0.0], np.cumsum(np.sort(torus, axis=None), dtype=float)])
        return cls((torus.shape[0], torus.shape[1]), np.abs(fft.rfft2(torus)), fft.rfft2(scores), totals)


def mirrored(heatmap: NDArray[Any]) -> Float:
    """The map and its mirror images on a torus, minus their mean; (2y', 2x') with y' and x' next to y and x.

    The map is first continued by its last rows and columns to a length that is quick to transform.
    """
    fast = [fft.next_fast_len(length, real=True) for length in heatmap.shape]
    spare = [(0, new - old) for new, old in zip(fast, heatmap.shape, strict=True)]
    plain = np.pad(np.asarray(heatmap, dtype=np.float32), spare, mode="edge")
    whole = np.pad(plain, [(0, length) for length in plain.shape], mode="symmetric")
    return whole - whole.mean(dtype=float).astype(np.float32)


def random_tori(target: Target, count: int, rng: np.random.Generator, iterations: int) -> Float:
    """Random fields (count, 2y, 2x) with the amplitudes of a target, after some rounds of adjustment."""
    fields = fft.irfft2(target.normal * _phases(count, target.shape, rng), s=target.shape, overwrite_x=True)
    for _ in range(iterations):
        spectrum = fft.rfft2(_adjust(fields, target.totals), overwrite_x=True)
        spectrum *= target.amplitudes / np.maximum(np.abs(spectrum), np.float32(1e-20))
        fields = fft.irfft2(spectrum, s=target.shape, overwrite_x=True)
    return fields


def _phases(count: int, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.complex64]:
    """Unit factors (count, 2y, x + 1) of the spectrum of a real field."""
    height, half = shape[0] // 2, shape[1] // 2
    turn = rng.random((count, shape[0], half + 1), dtype=np.float32)
    ends = [0, half]
    turn[:, height + 1 :, ends] = -turn[:, height - 1 : 0 : -1, ends]
    for row in (0, height):
        turn[:, row, ends] = np.rint(turn[:, row, ends]) / 2
    turn *= np.float32(2 * np.pi)
    return np.cos(turn) + np.complex64(1j) * np.sin(turn)


def _adjust(fields: Float, totals: NDArray[np.float64]) -> Float:
    """The values behind `totals` (running sums, from low to high) in the order of the pixels of each field.

    Pixels are ordered by `LEVELS` equal steps of the field; those of one step share the mean of their values.
    """
    low = fields.min(axis=(1, 2), keepdims=True)
    step = (LEVELS - 1) / (fields.max(axis=(1, 2), keepdims=True) - low)
    levels = ((fields - low) * step).astype(np.uint16)
    for field, level in zip(fields, levels, strict=True):
        counts = np.bincount(level.ravel(), minlength=LEVELS)
        ends = np.cumsum(counts)
        values = (totals[ends] - totals[ends - counts]) / np.maximum(counts, 1)
        np.take(values.astype(np.float32), level, out=field, mode="clip")
    return fields
