"""The labelled form of heatmaps: its schema, and its zarr store (format 1)."""

import shutil
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numcodecs import Zstd
from numpy.typing import NDArray

from xfer import labels
from xfer.errors import InputError
from xfer.heatmaps.images import admit, check_store, decoding, shown

FORMAT = 1
NAME = "heatmaps"
_ENCODED = ("_FillValue", "coordinates")


def label(maps: NDArray[Any], keys: dict[str, list[str]]) -> xr.DataArray:
    """Maps (cell, y, x) and, per name of `labels.KEY`, one string a cell, as a checked DataArray."""
    coords = {name: ("cell", np.asarray(keys[name], dtype=str)) for name in labels.KEY}
    return check(xr.DataArray(maps, dims=("cell", "y", "x"), coords=coords, name=NAME, attrs={"format": FORMAT}))


def check(heatmaps: xr.DataArray, support: NDArray[np.bool_] | None = None) -> xr.DataArray:
    """Refuse what is not a stack of heatmaps; the stack itself otherwise.

    Parameters
    ----------
    heatmaps : DataArray (cell, y, x)
        Floats, with every name of `labels.KEY` as a string coordinate of ``cell`` and none on ``y`` and ``x``.
    support : bool array (y, x), optional
        Pixels a face can cover: a map may be NaN outside only. Where it is not given NaN may be anywhere.

    Raises
    ------
    InputError
        If dimensions, types, labels or values are not as said, or two cells have one key.
    """
    if heatmaps.dims != ("cell", "y", "x") or 0 in heatmaps.shape:
        raise InputError(f"heatmaps have dimensions (cell, y, x), none empty; got {dict(heatmaps.sizes)}")
    if heatmaps.dtype.kind != "f":
        raise InputError(f"heatmaps are floats; got {heatmaps.dtype}")
    if {"y", "x", "cell"} & set(heatmaps.coords):
        raise InputError("heatmaps have no coordinates on cell, y and x themselves; drop them with drop_vars")
    for name in labels.KEY:
        if name not in heatmaps.coords or heatmaps.coords[name].dims != ("cell",):
            raise InputError(f"heatmaps need the coordinate {name!r} on 'cell'; the key is {', '.join(labels.KEY)}")
        if not all(isinstance(value, str) for value in heatmaps.coords[name].values.tolist()):
            raise InputError(f"the coordinate {name!r} holds strings; got {heatmaps.coords[name].dtype}")
    _check_labels(heatmaps)
    values = heatmaps.values
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise InputError(f"{infinite} of {values.size} heatmap values are infinite")
    if support is not None:
        if support.shape != values.shape[1:]:
            raise InputError(f"the support is {support.shape}, the heatmaps are {values.shape[1:]}")
        holes = int(np.isnan(values[:, support]).sum())
        if holes:
            raise InputError(f"{holes} heatmap values are NaN on pixels that a face can cover")
    return heatmaps


def _check_labels(heatmaps: xr.DataArray) -> None:
    for name in ("expression", "target"):
        for value in dict.fromkeys(heatmaps.coords[name].values.tolist()):
            canonical = labels.expression(value)
            if canonical != value:
                raise InputError(f"the coordinate {name!r} holds {value!r}; its one spelling is {canonical!r}")
    seen: set[tuple[str, ...]] = set()
    for key in cell_keys(heatmaps):
        if key in seen:
            raise InputError(
                f"two heatmaps have the key {' '.join(f'{n}={v}' for n, v in zip(labels.KEY, key, strict=True))}"
            )
        seen.add(key)


def cell_keys(heatmaps: xr.DataArray) -> list[tuple[str, ...]]:
    """The key of every cell, in order."""
    return list(zip(*(heatmaps.coords[name].values.tolist() for name in labels.KEY), strict=True))


def is_store(path: Path) -> bool:
    """Whether a path is a zarr group, as `save` writes it (a single map's store is an array)."""
    return (path / ".zgroup").is_file()


def save(heatmaps: xr.DataArray, path: str | Path) -> None:
    """Write a zarr store (zarr_format 2), one chunk a map; built aside, then moved in.

    Labels are stored as data: no file or folder is named after one.

    Raises
    ------
    InputError
        If the heatmaps fail `check`, or `path` is something that `save` did not write.
    """
    path = Path(path)
    if path.exists() and not is_store(path):
        raise InputError(f"{shown(path)}: is there already and is no store of heatmaps; choose another name")
    strings = {name: ("cell", heatmaps.coords[name].values.astype(str)) for name in labels.KEY}
    stored = check(heatmaps).assign_coords(strings).to_dataset(name=NAME).assign_attrs(format=FORMAT)
    checked: dict[str, Any] = {"compressors": [Zstd(level=3, checksum=True)]}
    encoding = {NAME: {**checked, "chunks": (1, *heatmaps.shape[1:])}, **dict.fromkeys(labels.KEY, checked)}
    aside, old = (path.with_name(f".{path.name}.{token_hex(8)}.{role}") for role in ("new", "old"))
    try:
        stored.to_zarr(aside, mode="w", zarr_format=2, consolidated=True, encoding=encoding, write_empty_chunks=True)
        if path.exists():
            path.rename(old)
        aside.rename(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(old, ignore_errors=True)


def open_lazily(path: str | Path) -> xr.DataArray:
    """The heatmaps of a store, labels read and checked, maps read when asked for.

    Raises
    ------
    InputError
        If there is no store, it is damaged, or its format is not 1.
    """
    path = Path(path)
    if not is_store(path):
        raise InputError(f"{shown(path)}: is no store of heatmaps (a zarr folder that xfer wrote)")
    with decoding(path, "a store of heatmaps"):
        check_store(path)
        _check_chunks(path)
        stored = xr.open_zarr(path, chunks=None, decode_cf=False, consolidated=False)
        if stored.attrs.get("format") != FORMAT:
            raise InputError(f"{shown(path)}: has format {stored.attrs.get('format')}; this xfer reads format {FORMAT}")
        heatmaps = stored[NAME].reset_coords(drop=True)
        heatmaps.attrs = {name: heatmaps.attrs[name] for name in heatmaps.attrs if name not in _ENCODED}
        coords = {name: ("cell", stored[name].values.astype(str)) for name in labels.KEY}
        admit(path, heatmaps.shape[1:], heatmaps.dtype)
    return heatmaps.assign_coords(coords)


def _check_chunks(path: Path) -> None:
    """Refuse a store that lacks chunks, which zarr would read as NaN without a word."""
    for name in (NAME, *labels.KEY):
        array = zarr.open_array(path / name, mode="r")
        if array.nchunks_initialized != array.nchunks:
            absent = array.nchunks - array.nchunks_initialized
            raise InputError(f"{shown(path)}: {absent} of {array.nchunks} chunks of {name!r} are missing")


def open_heatmaps(path: str | Path) -> xr.DataArray:
    """Read back what `save` wrote: a checked DataArray (cell, y, x). Raises as `open_lazily` and `check`."""
    heatmaps = open_lazily(path)
    with decoding(Path(path), "a store of heatmaps"):
        loaded = heatmaps.load()
    try:
        return check(loaded)
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from None
