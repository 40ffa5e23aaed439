"""Folders of map and mask files as labelled arrays."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from secrets import token_hex

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from xfer import labels
from xfer.errors import InputError
from xfer.heatmaps.images import decoding, read_map, read_stored, shown
from xfer.heatmaps.patterns import fields, match
from xfer.heatmaps.store import cell_keys, is_store, label, open_lazily

STORE = "heatmaps.zarr"


def index_maps(source: str | Path, pattern: str) -> pd.DataFrame:
    """What there is to read: ``path`` and key, one row a cell.

    Parameters
    ----------
    source : path
        A folder of map files, a ``.zarr`` store that `save` wrote, or a study folder that holds one. In a store
        the labels are stored, and `pattern` is not looked at.
    pattern : str
        See `match`.

    Raises
    ------
    InputError
        As `match` and `open_heatmaps`.
    """
    source = Path(source)
    store = source if source.suffix == ".zarr" else source / STORE
    if source.suffix != ".zarr" and not is_store(store):
        return match(pattern, source)
    if not store.exists():
        raise InputError(f"{shown(store)}: no such folder")
    index = pd.DataFrame(cell_keys(open_lazily(store)), columns=list(labels.KEY))
    index.insert(0, "path", [store] * len(index))
    index = index.sort_values(list(labels.KEY), kind="stable", ignore_index=True)
    index.attrs["skipped"] = []
    return index


def missing_cells(index: pd.DataFrame) -> pd.DataFrame:
    """The keys that a full grid would have and `index` lacks.

    The grid crosses the values that are there of every part of the key that varies. A layer belongs to its model
    and a target that is always the expression to its expression, so neither is crossed.
    """
    own_target = bool((index["target"] == index["expression"]).all())
    crossed = [name for name in labels.KEY if name not in ("model", "layer") and not (own_target and name == "target")]
    models = sorted(set(zip(index["model"], index["layer"], strict=True)))
    grid = [
        {"model": model, "layer": layer, **dict(zip(crossed, values, strict=True))}
        for model, layer in models
        for values in product(*(sorted(set(index[name])) for name in crossed))
    ]
    whole = pd.DataFrame(grid)
    if own_target:
        whole["target"] = whole["expression"]
    present = set(index[list(labels.KEY)].itertuples(index=False, name=None))
    absent = [key for key in whole[list(labels.KEY)].itertuples(index=False, name=None) if key not in present]
    return pd.DataFrame(absent, columns=list(labels.KEY))


def require_complete(index: pd.DataFrame, allow_missing: bool = False) -> list[str]:
    """The missing cells in words, such as ``AlexNet/CV1/fear``.

    Raises
    ------
    InputError
        If there are any and `allow_missing` is false.
    """
    missing = missing_cells(index)
    varying = [name for name in labels.KEY if len(set(index[name])) > 1 and name != "target"] or ["expression"]
    names = ["/".join(row) for row in missing[varying].itertuples(index=False, name=None)]
    if names and not allow_missing:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise InputError(
            f"{shown(index['path'].iloc[0].parent)}: {len(names)} of {len(names) + len(index)} cells are missing: "
            f"{', '.join(names[:5])}{more}; add their files, or use the rest with --allow-missing"
        )
    return names


def iter_maps(index: pd.DataFrame) -> Iterator[tuple[Mapping[str, str], NDArray[np.floating]]]:
    """Every cell's key and map (y, x), read one at a time.

    Raises
    ------
    InputError
        If a file cannot be read, or is not of the size of the first; the message names both.
    """
    stores: dict[Path, tuple[xr.DataArray, dict[tuple[str, ...], int]]] = {}
    first: tuple[Path, tuple[int, ...]] | None = None
    for path, *values in index[["path", *labels.KEY]].itertuples(index=False, name=None):
        if is_store(path):
            if path not in stores:
                stack = open_lazily(path)
                stores[path] = stack, {key: i for i, key in enumerate(cell_keys(stack))}
            stack, positions = stores[path]
            with decoding(path, "a store of heatmaps"):
                heatmap = stack.isel(cell=positions[tuple(values)]).values
            if np.isinf(heatmap).any():
                raise InputError(f"{shown(path)}: the map {'/'.join(values)} has infinite values")
        else:
            heatmap = read_map(path)
        first = first or (path, heatmap.shape)
        same_size(first, (path, heatmap.shape))
        yield dict(zip(labels.KEY, values, strict=True)), heatmap


def same_size(first: tuple[Path, tuple[int, ...]], other: tuple[Path, tuple[int, ...]]) -> None:
    """Raise `InputError` where two files' maps differ in size; the message names both."""
    if first[1] != other[1]:
        (a, b), (c, d) = first[1], other[1]
        raise InputError(
            f"{shown(other[0])} is {c} x {d} (rows x columns), {shown(first[0])} is {a} x {b}; "
            "all maps must share one canvas"
        )


def read_heatmaps(
    source: str | Path | pd.DataFrame, pattern: str | None = None, progress: Callable[[], None] | None = None
) -> xr.DataArray:
    """Heatmaps (cell, y, x) with their key, sorted by it, values as stored.

    Parameters
    ----------
    source : path or DataFrame
        What `index_maps` takes, or what it returned.
    pattern : str, optional
        See `match`; a store needs none.
    progress : callable, optional
        Called after every map.

    Returns
    -------
    DataArray (cell, y, x)
        float32, or float64 where a file holds values that need it.

    Raises
    ------
    InputError
        As `index_maps` and `iter_maps`.
    """
    if not isinstance(source, pd.DataFrame):
        if pattern is None and not is_store(Path(source)) and not is_store(Path(source) / STORE):
            raise InputError(f"{shown(source)}: is no store of heatmaps; say with --pattern how its files are named")
        source = index_maps(source, pattern or "")
    maps = []
    for _, heatmap in iter_maps(source):
        maps.append(heatmap)
        if progress is not None:
            progress()
    return label(np.stack(maps), {name: source[name].tolist() for name in labels.KEY})


def read_masks(folder: str | Path, pattern: str = "{expression}_gt.png") -> xr.DataArray:
    """Mask files as (expression, y, x) in [0, 1], in the order of `labels.EXPRESSIONS`.

    8- and 16-bit integers are divided by their largest value (0/255 becomes 0/1) unless nothing is above 1; wider
    integers by 255 unless nothing is above 1. Floats must lie in [0, 1] already.

    Returns
    -------
    DataArray (expression, y, x)
        float32; the name is the folder's; attributes ``frame`` = ``file`` and ``digest`` (sha256 of the values).

    Raises
    ------
    InputError
        As `match` and `read_map`; if sizes differ, or a mask is empty, full or leaves [0, 1].
    """
    folder = Path(folder)
    if set(fields(pattern)) != {"expression"}:
        raise InputError(f"pattern {pattern!r}: the name of a mask file tells the {{expression}} and nothing else")
    index = match(pattern, folder)
    found = dict(zip(index["expression"], index["path"], strict=True))
    names = sorted(found, key=labels.EXPRESSIONS.index)
    masks = [_read_mask(found[name], name) for name in names]
    for name, mask in zip(names, masks, strict=True):
        same_size((found[names[0]], masks[0].shape), (found[name], mask.shape))
    stack = np.stack(masks)
    digest = hashlib.sha256("\n".join([*names, str(stack.shape)]).encode() + stack.tobytes()).hexdigest()
    attrs = {"frame": "file", "digest": digest}
    title = shown(folder.resolve().name)
    return xr.DataArray(stack, dims=("expression", "y", "x"), coords={"expression": names}, name=title, attrs=attrs)


def _read_mask(path: Path, expression: str) -> NDArray[np.float32]:
    stored = read_stored(path)
    top = 1
    if stored.dtype.kind in "iu" and stored.max() > 1:
        top = np.iinfo(stored.dtype).max if stored.dtype.itemsize <= 2 and stored.dtype.kind == "u" else 255
    mask = (stored / top).astype(np.float32)
    if mask.min() < 0 or mask.max() > 1:
        raise InputError(
            f"{shown(path)}: mask values must lie in [0, 1], or 0 to {top}; got {stored.min()} to {stored.max()}"
        )
    inside = int((mask >= 0.5).sum())
    if inside in (0, mask.size):
        what = "is empty: no pixel reaches one half" if inside == 0 else "is full: every pixel reaches one half"
        raise InputError(f"{shown(path)}: the mask of {expression!r} {what}")
    return mask


def write_masks(masks: xr.DataArray, folder: str | Path) -> list[Path]:
    """Masks (expression, y, x) in [0, 1] as 8-bit grey ``{expression}_gt.png``; the paths.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    folder = Path(folder)
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, mask in zip(masks.coords["expression"].values, masks.values, strict=True):
            path = folder / f"{labels.expression(str(name))}_gt.png"
            aside = path.with_name(f".{path.name}.{token_hex(8)}.tmp")
            try:
                Image.fromarray(np.rint(np.clip(mask, 0, 1) * 255).astype(np.uint8)).save(aside, format="png")
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
            paths.append(path)
    except OSError as error:
        raise InputError(f"{shown(folder)}: cannot be written ({error.strerror or error})") from error
    return paths
