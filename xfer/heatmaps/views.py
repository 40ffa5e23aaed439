"""Labelled views of heatmaps: pick cells, spread keys into dimensions, average folds."""

from itertools import product

import numpy as np
import xarray as xr

from xfer import labels
from xfer.errors import InputError, unknown
from xfer.heatmaps.store import check


def select(heatmaps: xr.DataArray, **key: str) -> xr.DataArray:
    """The cells (cell, y, x) whose key says so, such as ``select(maps, model="vgg16", expression="fear")``.

    Raises
    ------
    InputError
        If a name is no part of the key, or no cell has that value.
    """
    chosen = np.ones(heatmaps.sizes["cell"], dtype=bool)
    for name, value in key.items():
        if name not in labels.KEY:
            raise unknown("key", name, labels.KEY)
        wanted = labels.expression(value) if name in ("expression", "target") else value
        here = heatmaps.coords[name].values == wanted
        if not here.any():
            raise unknown(name, value, sorted(set(heatmaps.coords[name].values.tolist())))
        chosen &= here
    if not chosen.any():
        raise InputError(f"no heatmap has {', '.join(f'{name} {value}' for name, value in key.items())} together")
    return heatmaps.isel(cell=np.flatnonzero(chosen))


def dense(heatmaps: xr.DataArray, *dims: str, allow_missing: bool = False) -> xr.DataArray:
    """Heatmaps spread over named dimensions, such as ``dense(maps, "model", "expression")``.

    Parameters
    ----------
    heatmaps : DataArray (cell, y, x)
    dims : str
        Names of `labels.KEY`. Their values become coordinates, sorted; expressions in the order of
        `labels.EXPRESSIONS`. The rest of the key becomes a scalar coordinate where it is constant.
    allow_missing : bool
        Fill combinations that no cell has with NaN instead of refusing.

    Returns
    -------
    DataArray (*dims, y, x)

    Raises
    ------
    InputError
        If two cells fall together (the message names the keys that tell them apart) or one is missing.
    """
    for name in dims:
        if name not in labels.KEY:
            raise unknown("key", name, labels.KEY)
    coords = {name: _ordered(name, heatmaps.coords[name].values.tolist()) for name in dims}
    keys = list(zip(*(heatmaps.coords[name].values.tolist() for name in dims), strict=True))
    rest = {name: set(heatmaps.coords[name].values.tolist()) for name in labels.KEY if name not in dims}
    _refuse_shared(heatmaps, keys, dims)
    missing = sorted(set(product(*coords.values())) - set(keys))
    if missing and not allow_missing:
        raise InputError(
            f"{len(missing)} heatmaps are missing in {' x '.join(dims)}, the first is {'/'.join(missing[0])}"
        )
    filled = np.full((*map(len, coords.values()), *heatmaps.shape[1:]), np.nan, dtype=heatmaps.dtype)
    for key, values in zip(keys, heatmaps.values, strict=True):
        filled[tuple(coords[name].index(label) for name, label in zip(dims, key, strict=True))] = values
    constant = {name: values.pop() for name, values in rest.items() if len(values) == 1}
    return xr.DataArray(filled, dims=(*dims, "y", "x"), coords={**coords, **constant}, name=heatmaps.name)


def _refuse_shared(heatmaps: xr.DataArray, keys: list[tuple[str, ...]], dims: tuple[str, ...]) -> None:
    """Two cells in one place: say by what they differ."""
    places: dict[tuple[str, ...], int] = {}
    for i, key in enumerate(keys):
        other = places.setdefault(key, i)
        if other != i:
            pair = heatmaps.isel(cell=[other, i])
            varying = ", ".join(name for name in labels.KEY if len(set(pair.coords[name].values.tolist())) > 1)
            raise InputError(
                f"several heatmaps share one {' x '.join(dims)}: they differ in {varying}; select or pool them first"
            )


def _ordered(name: str, values: list[str]) -> list[str]:
    if name in ("expression", "target"):
        return sorted(set(values), key=labels.EXPRESSIONS.index)
    return sorted(set(values))


def pool_folds(heatmaps: xr.DataArray) -> xr.DataArray:
    """The plain mean over folds (in float64) of cells that differ in nothing else, with fold ``all``.

    A pixel that is NaN in one fold is NaN in the mean.

    Raises
    ------
    InputError
        If maps of single folds stand beside one of all folds.
    """
    folds = heatmaps.coords["fold"].values
    others = [name for name in labels.KEY if name != "fold"]
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, key in enumerate(zip(*(heatmaps.coords[name].values.tolist() for name in others), strict=True)):
        groups.setdefault(key, []).append(i)
    for key, members in groups.items():
        if len(members) > 1 and "all" in folds[members]:
            raise InputError(f"{'/'.join(key)}: fold 'all' stands beside single folds; keep one or the other")
    pooled = np.stack([heatmaps.values[members].mean(axis=0, dtype=np.float64) for members in groups.values()])
    first = heatmaps.isel(cell=[members[0] for members in groups.values()])
    averaged = first.copy(data=pooled.astype(heatmaps.dtype))
    return check(averaged.assign_coords(fold=("cell", np.full(len(groups), "all"))))
