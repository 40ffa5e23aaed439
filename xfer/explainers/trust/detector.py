"""What is wrong with a set of maps: methods that are one, maps of nothing, signs turned round, layers unheard."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.attribution import trace
from xfer.explainers.layers import Described, addresses
from xfer.explainers.trust.maps import Maps, gathered, plain, rank_correlation, ranked
from xfer.statistics.estimates import mean_interval

__all__ = ["detect", "silent_layers"]

Array = NDArray[np.float64]
Finding = tuple[str, str, str, float, str]

COLUMNS = ["finding", "explainer", "other", "share", "detail"]


def detect(maps: Maps, *, tolerance: float = 1e-5, seed: int = 0) -> pd.DataFrame:
    """Label methods that are the same on this network, maps that say nothing, and methods against all others.

    Parameters
    ----------
    maps : mapping of str to array (face, y, x)
        Raw and signed, of one class a face.
    tolerance : float
        How far, relative to its largest value, a map may be from another that is the same.
    seed : int
        Of the bootstrap over faces.

    Returns
    -------
    DataFrame
        finding, explainer, other, share (of faces on which it holds), detail; empty where nothing was found. Findings:

        ``zero``, ``constant``
            maps without anything in them;
        ``not finite``
            maps with a value that is no number;
        ``same``
            two methods with equal maps on all faces, as Grad-CAM and HiResCAM before global average and a linear layer;
        ``proportional``
            the same up to a positive factor a face: scaled maps are equal;
        ``opposite``
            the same up to a negative factor: one of the two has its sign turned round;
        ``against the rest``
            the rank correlation with the mean rank of all other methods is below 0, its whole interval too.

    Raises
    ------
    InputError
        If the maps are not of the same faces.

    Examples
    --------
    >>> first = np.random.default_rng(0).random((3, 4, 4))
    >>> detect({"a": first, "b": 2 * first})[["finding", "explainer", "other", "share"]].to_numpy().tolist()
    [['proportional', 'a', 'b', 1.0]]
    """
    found = plain(maps)
    rows = [row for name, each in found.items() for row in _empty(name, each)]
    rows += [row for first, second in combinations(found, 2) for row in _same(first, second, found, tolerance)]
    rows += _against(found, seed)
    return pd.DataFrame(rows, columns=COLUMNS)


def silent_layers(model: nn.Module, images: Tensor, layers: Sequence[str | Described]) -> pd.DataFrame:
    """Layers of which no gradient of any logit tells, or that cannot be read.

    Parameters
    ----------
    model : nn.Module
        Left as it was.
    images : tensor (face, channel, y, x)
    layers : sequence of str or object
        As for `xfer.explainers.attribute`.

    Returns
    -------
    DataFrame
        layer, reason; of the layers that are silent only.

    Raises
    ------
    InputError
        If a layer is not there.
    """
    rows = []
    for each in addresses(model, layers, (images.shape[-2], images.shape[-1])):
        try:
            trace(model, images, "grad_cam", layers=(each.name,))
        except InputError as error:
            rows.append((each.name, str(error)))
    return pd.DataFrame(rows, columns=["layer", "reason"])


def _empty(name: str, maps: Array) -> Iterator[Finding]:
    finite, zero = np.asarray(np.isfinite(maps).all((1, 2))), ~np.asarray(maps.any((1, 2)))
    constant = finite & ~zero & (np.ptp(maps, axis=(1, 2)) == 0)
    for finding, holds in (("zero", zero), ("constant", constant), ("not finite", ~finite)):
        if holds.any():
            yield finding, name, "", float(holds.mean()), f"{int(holds.sum())} of {len(holds)} maps"


def _same(first: str, second: str, maps: dict[str, Array], tolerance: float) -> Iterator[Finding]:
    a, b = maps[first], maps[second]
    if a.shape != b.shape:
        return
    told = np.isfinite(a).all((1, 2)) & np.isfinite(b).all((1, 2)) & a.any((1, 2)) & b.any((1, 2))
    a, b = a[told], b[told]
    if not len(a):
        return
    factors = (a * b).sum((1, 2)) / (a * a).sum((1, 2))
    largest = tolerance * np.abs(b).max((1, 2))
    scaled = np.abs(factors[:, None, None] * a - b).max((1, 2)) <= largest
    equal = np.abs(a - b).max((1, 2)) <= largest
    detail = f"factors {factors.min():.3g} to {factors.max():.3g}"
    if equal.all():
        yield "same", first, second, 1.0, ""
    elif scaled.all() and (factors > 0).all():
        yield "proportional", first, second, 1.0, detail
    elif (turned := scaled & (factors < 0)).any():
        yield "opposite", first, second, float(turned.mean()), detail


def _against(maps: dict[str, Array], seed: int) -> list[Finding]:
    """Methods whose maps are ordered against the mean order of the others; with three or more methods."""
    told = {name: each for name, each in maps.items() if np.isfinite(each).all() and np.ptp(each, axis=(1, 2)).any()}
    if len(told) < 3:
        return []
    ranks = {name: ranked(each) for name, each in gathered(told).items()}
    total = sum(ranks.values())
    rows: list[Finding] = []
    for name, own in ranks.items():
        correlations = rank_correlation(own, total - own)
        mean = mean_interval(correlations, seed=seed)
        if mean.value < 0 and (mean.ci_high < 0 or (mean.n >= 3 and np.nanmax(correlations) < 0)):
            interval = f" [{mean.ci_low:.2f}, {mean.ci_high:.2f}]" if np.isfinite(mean.ci_low) else ""
            share = float((correlations < 0).mean())
            rows.append(("against the rest", name, "", share, f"mean rank correlation {mean.value:.2f}{interval}"))
    return rows
