"""Many tests at once: adjusted p-values, with the number of tests they stand for."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from xfer.errors import unknown

Floats = NDArray[np.floating[Any]]

METHODS = ("holm", "benjamini_hochberg")
"""Holm 1979 (jstor:4615733) for a few planned comparisons, Benjamini and Hochberg 1995
(doi:10.1111/j.2517-6161.1995.tb02031.x) for grids."""


@dataclass(frozen=True, eq=False)
class Adjusted:
    """Adjusted p-values.

    Attributes
    ----------
    p : array, as given
        NaN where the p-value was.
    m : int
        Tests counted: the p-values that are not NaN.
    method : str
    """

    p: NDArray[np.float64] = field(repr=False)
    m: int
    method: str


def adjust(p: Floats, method: str = "benjamini_hochberg") -> Adjusted:
    """Adjust p-values of one family for their number.

    Parameters
    ----------
    p : array of any shape
        Tests that could not be made are NaN; they count for nothing.
    method : {"holm", "benjamini_hochberg"}

    Raises
    ------
    InputError
        If the method is neither.

    Examples
    --------
    >>> found = adjust(np.array([0.01, np.nan, 0.04]), "holm")
    >>> found.p.tolist(), found.m
    ([0.02, nan, 0.04], 2)
    """
    from statsmodels.stats.multitest import multipletests

    if method not in METHODS:
        raise unknown("method", method, METHODS)
    given = np.asarray(p, dtype=np.float64)
    made = np.isfinite(given)
    adjusted = np.full(given.shape, np.nan)
    if made.any():
        adjusted[made] = (
            multipletests(given[made], method="holm")[1] if method == "holm" else false_discovery_control(given[made])
        )
    return Adjusted(adjusted, int(made.sum()), method)
