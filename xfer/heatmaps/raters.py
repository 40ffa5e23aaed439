"""Maps collected from people: one a rater and expression, made to count alike, and the masks they make together."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xfer import labels
from xfer.errors import InputError
from xfer.heatmaps.files import same_size
from xfer.heatmaps.images import read_map, shown
from xfer.heatmaps.normalisations import LEAST, positive_l1
from xfer.heatmaps.patterns import match_raters

Floats = NDArray[np.floating[Any]]

NO_MAP = "no map"


def read_raters(folder: str | Path, pattern: str | None = None) -> xr.DataArray:
    """People's maps as stored.

    Parameters
    ----------
    folder : path
    pattern : str, optional
        See `xfer.heatmaps.patterns.match_raters`.

    Returns
    -------
    DataArray (rater, expression, y, x)
        NaN where a rater has no map of an expression; expressions in the order of `labels.EXPRESSIONS`, raters without
        their names. The name is ``human:`` and the folder's; the attribute ``skipped`` counts map files that fit no
        pattern.

    Raises
    ------
    InputError
        As `match_raters` and `read_map`, or if sizes differ.
    """
    index = match_raters(folder, pattern)
    raters = list(dict.fromkeys(index["rater"]))
    expressions = sorted(set(index["expression"]), key=labels.EXPRESSIONS.index)
    read = [read_map(path) for path in index["path"]]
    for path, found in zip(index["path"], read, strict=True):
        same_size((index["path"].iloc[0], read[0].shape), (path, found.shape))
    maps = np.full((len(raters), len(expressions), *read[0].shape), np.nan, np.result_type(*read))
    for rater, expression, found in zip(index["rater"], index["expression"], read, strict=True):
        maps[raters.index(rater), expressions.index(expression)] = found
    name = f"human:{shown(Path(folder).resolve().name)}"
    attrs = {"skipped": len(index.attrs["skipped"])}
    return xr.DataArray(maps, {"expression": expressions}, ("rater", "expression", "y", "x"), name, attrs)


def shares(maps: xr.DataArray, support: NDArray[np.bool_]) -> xr.DataArray:
    """Every map as the share of a rater's marks that each pixel has, so that raters count alike.

    As faces are in a heatmap (`positive_l1`): whoever paints boldly or widely, or saves 0 to 255 where others save 0 to
    1, has one unit to spend like everybody else. Marks outside the support do not count.

    Parameters
    ----------
    maps : DataArray (rater, expression, y, x)
        See `read_raters`.
    support : bool array (y, x)

    Returns
    -------
    DataArray (rater, expression, y, x)
        float32, summing to 1 over the support, NaN outside it and where a map is of no use; the coordinate ``reason``
        (rater, expression) says why, "" elsewhere. Raters in the order of a digest of their maps, which tells nothing
        of their names.
    """
    found = np.full(maps.shape, np.nan, np.float32)
    reasons = np.full(maps.shape[:2], "", dtype="U64")
    for place in np.ndindex(*maps.shape[:2]):
        one = np.asarray(maps.values[place], dtype=np.float64)
        reasons[place] = _unusable(one[support])
        if not reasons[place]:
            found[place] = positive_l1(np.where(support, one / one[support].max(), np.nan))
    order = sorted(range(len(found)), key=lambda i: (hashlib.sha256(found[i].tobytes()).digest(), *reasons[i]))
    coords = {"expression": maps.coords["expression"], "reason": (("rater", "expression"), reasons[order])}
    return xr.DataArray(found[order], coords, maps.dims, maps.name, maps.attrs)


def _unusable(values: Floats) -> str:
    if np.isnan(values).all():
        return NO_MAP
    if (values < 0).any():
        return "negative values"
    if not (values > 0).any():
        return "nothing marked"
    if np.ptp(values) == 0:
        return "constant map"
    return "" if (values > 0).mean() >= LEAST else f"marks on less than {LEAST:.0%} of the pixels"


def agreed(people: xr.DataArray, support: NDArray[np.bool_]) -> xr.DataArray:
    """The masks that raters make together: `consensus` of the mean over raters of their `shares`.

    Parameters
    ----------
    people : DataArray (rater, expression, y, x)
        See `shares`.
    support : bool array (y, x)

    Returns
    -------
    DataArray (expression, y, x)
        float32 in [0, 1], 0 outside the support; expressions of which no rater has a map of use are left out.
        Attributes: ``digest`` (sha256 of the raters' shares) and ``left_out``, what did not count, in words.

    Raises
    ------
    InputError
        If no map is of use.
    """
    usable = people.coords["reason"].values == ""
    if not usable.any():
        raise InputError(f"{people.name}: no map is of use: {_counted(people)}")
    kept = np.flatnonzero(usable.any(axis=0))
    masks = np.zeros((len(kept), *support.shape), np.float32)
    for mask, at in zip(masks, kept, strict=True):
        mask[support] = consensus(people.values[usable[:, at], at][:, support].mean(axis=0, dtype=np.float64))
    names = people.coords["expression"].values[kept]
    facts = "\n".join([*map(str, people.coords["expression"].values), str(people.shape)]).encode()
    attrs = {"digest": hashlib.sha256(facts + people.values.tobytes()).hexdigest(), "left_out": _left_out(people)}
    return xr.DataArray(masks, {"expression": names}, ("expression", "y", "x"), people.name, attrs)


def consensus(mean: Floats) -> Floats:
    """Mean shares as masks: the smallest region that holds half of all marks has at least one half, the rest less.

    A mask is read as a region at one half. Mean shares divided by twice the share at that region's edge have it there,
    whatever the number of raters and however high their common peak; for one round Gaussian spot that is the mean over
    its maximum. What lies above 1 is 1.

    Parameters
    ----------
    mean : array (..., pixel)

    Returns
    -------
    array (..., pixel) in [0, 1]
        NaN for means that are 0 throughout.

    Examples
    --------
    >>> consensus(np.array([0.4, 0.3, 0.2, 0.1])).round(3).tolist()
    [0.667, 0.5, 0.333, 0.167]
    """
    falling = -np.sort(-np.asarray(mean), axis=-1)
    held = np.cumsum(falling, axis=-1, dtype=np.float64)
    edge = (held < held[..., -1:] / 2).sum(axis=-1, keepdims=True)
    level = np.take_along_axis(falling, edge, axis=-1)
    with np.errstate(invalid="ignore"):
        made: Floats = np.minimum(mean / (2 * level), 1)
    return made


def _counted(people: xr.DataArray) -> str:
    reasons = Counter(str(reason) for reason in people.coords["reason"].values.ravel() if reason)
    return ", ".join(f"{reason} ({n})" for reason, n in reasons.most_common())


def _left_out(people: xr.DataArray) -> str:
    """What did not count, in words; "" where everything did."""
    reasons = people.coords["reason"].values
    said = [f"{(reasons != '').sum()} of {reasons.size} maps are missing or of no use: {_counted(people)}"]
    lost = people.coords["expression"].values[(reasons != "").all(axis=0)]
    said += [f"no mask of {', '.join(map(str, lost))}"] if len(lost) else []
    other = people.attrs.get("skipped", 0)
    said = said if (reasons != "").any() else []
    return "; ".join([*said, *([f"{other} map files have another name"] if other else [])])
