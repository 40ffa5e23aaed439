"""Regions x codebooks -> Action Unit maps -> expression masks.

A mask source is named ``CODEBOOK`` (with the regions and the merge rule its file names), ``REGIONS/CODEBOOK`` or
``REGIONS/CODEBOOK/MERGE``, or is the path of a codebook file of your own.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from array_api_compat import array_namespace

from xfer import geometry, tables
from xfer.errors import InputError
from xfer.masks import regions as region_files
from xfer.masks.catalogue import Source, names, show, source, sources
from xfer.masks.codebooks import Codebook
from xfer.masks.merges import MERGES
from xfer.masks.regions import Regions
from xfer.rasteriser import SHARP

__all__ = [
    "MERGES", "Codebook", "Regions", "Source", "action_units", "check", "expression_masks", "load", "names", "show",
    "source", "sources",
]  # fmt: skip

REGION = 0.5
"""A mask read as a set of pixels is ``mask >= REGION``."""

SYMMETRIC = 0.999
"""The IoU with its mirror image that a symmetric region reaches on a symmetric frame, but for rounding."""


def action_units(regions: str | Regions, points: Any, *, height: int, width: int, frame: str = "xfer") -> Any:
    """The maps of all Action Units that a region source places.

    Parameters
    ----------
    regions : str or Regions
        A region source.
    points : array (..., point, 2)
        Landmarks (x, y) in px of the canvas, numpy or torch: 68, or the 89 or 468 that the source draws on.
    height, width : int
        The canvas in px.
    frame : str
        The canonical frame that lends 68 points its forehead and corners.

    Returns
    -------
    array (..., au, y, x)
        float32 in [0, 1], in the order of ``regions.action_units``.
    """
    found = region_files.load(regions) if isinstance(regions, str) else regions
    fitted = _fit(points, found.drawing.points, found.name, frame)
    maps = list(region_files.draw_units(found, found.action_units, fitted, height=height, width=width).values())
    return array_namespace(*maps).stack(maps, axis=-3)


def expression_masks(
    points: Any,
    masks: str | Source,
    *,
    height: int,
    width: int,
    frame: str = "xfer",
    expressions: Sequence[str] | None = None,
    sharp: int = SHARP,
) -> Any:
    """The masks of a source on any faces.

    Parameters
    ----------
    points : array (..., point, 2)
        Landmarks (x, y) in px of the canvas, numpy or torch: 68, or the 89 or 468 that the source draws on.
    masks : str or Source
        A mask source; pass a `Source` where many batches are drawn.
    height, width : int
        The canvas in px.
    frame : str
        The canonical frame that lends 68 points its forehead and corners.
    expressions : sequence of str, optional
        Which of ``source.expressions`` to draw; all by default.
    sharp : int
        As in `xfer.rasteriser.draw`.

    Returns
    -------
    array (..., expression, y, x)
        float32 in [0, 1], in the order of `expressions`.
    """
    entry = source(masks) if isinstance(masks, str) else masks
    points = _fit(points, entry.drawing.points, entry.name, frame)
    asked = [entry.codebook.expressions[name] for name in expressions or entry.expressions]
    canvas = {"height": height, "width": width, "sharp": sharp}
    if entry.regions is None:
        drawn = [entry.drawing.draw(one.shapes, points, **canvas) for one in asked]
    else:
        drawn = _merged(entry, entry.regions, [one.weights for one in asked], points, canvas)
    return array_namespace(drawn[0]).stack(drawn, axis=-3) if len(drawn) > 1 else drawn[0][..., None, :, :]


def _merged(
    entry: Source, regions: Regions, weights: Sequence[Mapping[str, float]], points: Any, canvas: dict[str, int]
) -> list[Any]:
    if len(weights) == 1 and _union(entry.merge, weights[0], canvas):
        shapes = dict.fromkeys(shape for code in weights[0] for shape in regions.action_units[code].shapes)
        return [entry.drawing.draw(tuple(shapes), points, **canvas)]
    codes = dict.fromkeys(code for w in weights for code in w)
    maps = region_files.draw_units(regions, codes, points, **canvas)
    return [MERGES[entry.merge]([maps[code] for code in w], tuple(w.values())) for w in weights]


def _union(merge: str, weights: Mapping[str, float], canvas: dict[str, int]) -> bool:
    """Whether to unite all shapes is to merge the Action Units' maps."""
    undivided = max(canvas["height"], canvas["width"]) >= canvas["sharp"]
    return merge == "max" and set(weights.values()) == {1.0} and undivided


def _fit(points: Any, wanted: int, name: str, frame: str) -> Any:
    got = points.shape[-2]
    if got == wanted:
        return points
    if wanted == 68 and got == 89:
        return points[..., :68, :]
    if wanted == 89 and got == 68:
        return geometry.extend(points, geometry.load_frame(frame))
    raise InputError(f"{name!r} is drawn on {wanted} points; got {got}")


def load(name: str | Path, frame: str | Path = "xfer", *, partial: bool = False) -> xr.DataArray:
    """The masks of a source on a canonical frame.

    Parameters
    ----------
    name : str or Path
        A mask source: see `names`, or a codebook file.
    frame : str or Path
        A frame's name or a csv of 68 points: see `xfer.geometry.load_frame`.
    partial : bool
        As in `source`; the attribute ``left_out`` then names the Action Units that were left out.

    Returns
    -------
    DataArray (expression, y, x)
        float32 in [0, 1], named as the source, with the attributes ``frame`` and ``digest`` (SHA-256 of the masks).
        An expression without Action Units (neutral) has no mask.

    Raises
    ------
    InputError
        As `source` and `load_frame`; if the frame lacks the points the source is drawn on; if a mask is empty or
        covers the whole canvas.

    >>> load("belharbi2024").sizes
    Frozen({'expression': 6, 'y': 275, 'x': 224})
    """
    entry, canvas = source(name, partial=partial), geometry.load_frame(frame)
    masks = expression_masks(_canonical(entry, canvas), entry, height=canvas.height, width=canvas.width)
    _refuse_empty_or_full(masks, entry, canvas.name)
    left_out = {"left_out": " ".join(entry.left_out)} if entry.left_out else {}
    return xr.DataArray(
        masks,
        dims=("expression", "y", "x"),
        coords={"expression": list(entry.expressions)},
        name=entry.name,
        attrs={"frame": canvas.name, "digest": hashlib.sha256(masks.tobytes()).hexdigest(), **left_out},
    )


def _refuse_empty_or_full(masks: np.ndarray, entry: Source, frame: str) -> None:
    for expression, mask in zip(entry.expressions, masks, strict=True):
        if not mask.any() or (mask >= REGION).all():
            extent = "covers the whole canvas" if mask.any() else "is empty"
            raise InputError(f"masks {entry.name!r}: the mask of {expression} {extent} on frame {frame!r}")


def _canonical(entry: Source, canvas: geometry.CanonicalFrame) -> np.ndarray:
    if entry.drawing.points != geometry.MESH_POINTS:
        return canvas.points
    if canvas.mesh is None:
        sets = {name: region_files.load(name).drawing.points for name in region_files.names()}
        flat = ", ".join(name for name, points in sets.items() if points != geometry.MESH_POINTS)
        raise InputError(
            f"masks {entry.name!r} are drawn on the face mesh, which frame {canvas.name!r} does not have; "
            f"regions on landmarks: {flat}"
        )
    return canvas.mesh


def check(path: str | Path) -> list[str]:
    """Check a region or codebook file of your own.

    Returns
    -------
    list of str
        What the file holds, then what looks odd on the frame ``xfer``: a map that is empty, never reaches `REGION`,
        fills the canvas, or is lopsided.

    Raises
    ------
    InputError
        One line for the first slip.
    """
    if any(key.upper().startswith("AU") for key in tables.read(Path(path))):
        found, canvas = region_files.read(path), geometry.load_frame()
        points = canvas.mesh if found.drawing.points == geometry.MESH_POINTS else canvas.points
        maps = action_units(found, points, height=canvas.height, width=canvas.width)
        head = f"{path}: regions {found.name!r}: {len(found.action_units)} Action Units, no slip"
        return [head, *_remarks(path, found.action_units, maps)]
    drawn, entry = load(path), source(path)
    by = f"regions {entry.regions.name!r}" if entry.regions else "its own shapes"
    head = f"{path}: codebook {entry.name!r}: {len(entry.expressions)} masks by {by}, no slip"
    return [head, *_remarks(path, entry.expressions, drawn.values)]


def _remarks(path: str | Path, labels: Iterable[str], maps: np.ndarray) -> Iterator[str]:
    for label, map_ in zip(labels, maps, strict=True):
        region = map_ >= REGION
        mirrored = region[:, ::-1]
        overlap = (region & mirrored).sum() / max((region | mirrored).sum(), 1)
        if not region.any():
            yield f"{path}: the map of {label} has no region: it never reaches {REGION}, at most {map_.max():.3g}"
        elif region.all():
            yield f"{path}: the map of {label} covers the whole canvas"
        elif overlap < SYMMETRIC:
            yield f"{path}: the map of {label} is lopsided: it overlaps its mirror image with IoU {overlap:.3f}"
