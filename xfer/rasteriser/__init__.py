"""Shapes to soft maps: ellipses, JAA-Net diamonds and polygons drawn on any face, at any resolution.

Every map is float32 in [0, 1]; several shapes are united by their pixel-wise maximum. An edge is a linear
ramp of ``softness`` units centred on the outline, never narrower than one pixel of the canvas.
"""

from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat as compat
import numpy as np

from xfer.errors import unknown
from xfer.rasteriser import coverage, outline
from xfer.rasteriser.faces import Faces, Placed
from xfer.rasteriser.shapes import Shape, read_shapes

__all__ = ["AXES", "UNITS", "Shape", "draw", "read_shapes", "rescale"]

UNITS = ("inter_ocular", "inner_canthi")
"""What 1.0 means: the distance of the outer or of the inner corners of the eyes."""

AXES = ("image", "face")
"""What ellipses and offsets are laid along: the sides of the image, or the line of the eyes."""

SHARP = 224
"""A canvas whose longer side is below this, px, is drawn larger and averaged, so that thin shapes keep their weight.
On one that is not, the host draws face by face, each in its own window."""

CHUNK = 64
"""Faces whose polygons are drawn at once on the host; bounds the memory."""


def rescale(points: Any, scale: float) -> Any:
    """Landmarks of the same face on a canvas ``scale`` times the size: ``(p + 0.5) * scale - 0.5``.

    The centre of the first pixel is (0, 0) on both canvases, so ``rescale(points, 28 / 224)`` places a face
    of a 224 px photograph on a layer of 28 x 28.

    >>> rescale(np.array([[111.5, 3.5]]), 28 / 224).tolist()
    [[13.5, 0.0]]
    """
    return (points + 0.5) * scale - 0.5


def draw(
    shapes: Sequence[Shape],
    points: Any,
    *,
    height: int,
    width: int,
    softness: float = 0.0,
    unit: str = "inter_ocular",
    axes: str = "image",
    sharp: int = SHARP,
) -> Any:
    """The union of some shapes on every face.

    Parameters
    ----------
    shapes : sequence of Shape
        From `read_shapes`.
    points : array (..., point, 2)
        Landmarks (x, y) in px of the canvas to draw on (see `rescale`), numpy or torch; 68, 89, 468 or 478.
    height, width : int
        The canvas, px.
    softness : float
        Width of the edge ramp in units; at least one pixel is used.
    unit : {"inter_ocular", "inner_canthi"}
        What 1.0 means in sizes, offsets and softness.
    axes : {"image", "face"}
        What ellipses and offsets are laid along.
    sharp : int
        A canvas whose longer side is below this, px, is drawn larger and averaged.

    Returns
    -------
    array (..., height, width)
        float32 in [0, 1], of the kind and on the device of ``points``; no gradient flows to the landmarks.
        A face with a landmark that is not finite, or with eye corners in one place, is NaN everywhere. A
        shape without area draws nothing.

    Raises
    ------
    InputError
        For an unknown unit or axes, another number of landmarks, or a shape that uses one they lack.

    Examples
    --------
    >>> corner = read_shapes([{"kind": "ellipse", "center": 48, "radius": [0.2, 0.1]}], points=68, where="demo")
    >>> face = np.zeros((68, 2))
    >>> face[45, 0], face[48] = 100.0, (50.0, 50.0)
    >>> draw(corner, face, height=224, width=224)[50, [20, 30, 50, 69, 71]].tolist()
    [0.0, 0.5, 1.0, 1.0, 0.0]
    """
    if unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    if axes not in AXES:
        raise unknown("axes", axes, AXES)
    host, zeros = _canvas(points)
    factor = -(-sharp // max(height, width))
    faces = Faces(rescale(host, factor), unit, axes)
    maps = zeros((len(faces.points), height * factor, width * factor))
    one_by_one = isinstance(maps, np.ndarray) and max(maps.shape[1:]) >= SHARP
    for shape in shapes:
        (_paint if one_by_one else _paint_together)(faces.placed(shape, softness), maps)
    if factor > 1:
        maps = maps.reshape(-1, height, factor, width, factor).mean((2, 4))
    if not faces.valid.all():
        maps[np.flatnonzero(~faces.valid)] = np.nan
    maps = maps.reshape((*host.shape[:-2], height, width))
    return compat.array_namespace(points).asarray(maps)


def _canvas(points: Any) -> tuple[np.ndarray, Callable[[tuple[int, ...]], Any]]:
    """Landmarks as float64 on the host, and what makes empty maps: numpy there, torch on any other device."""
    if not compat.is_torch_array(points):
        return np.asarray(points, np.float64), lambda shape: np.zeros(shape, np.float32)
    xp, device = compat.array_namespace(points), points.device
    host = points.detach().cpu().double().numpy()
    if device.type == "cpu":
        return host, lambda shape: np.zeros(shape, np.float32)
    return host, lambda shape: xp.zeros(shape, dtype=xp.float32, device=device)


def _windows(placed: Placed, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel, and the one after the last, of each face's window: integer arrays (face, 2) of x and y."""
    first = np.clip(np.ceil(placed.low), 0, (width, height)).astype(int)
    return first, np.clip(np.floor(placed.high) + 1, first, (width, height)).astype(int)


def _paint(placed: Placed, maps: np.ndarray) -> None:
    """Unite a shape with the maps (face, y, x) on the host, face by face, each in its own window."""
    first, after = _windows(placed, *maps.shape[1:])
    drawn = np.flatnonzero(placed.solid & (after > first).all(1))
    if placed.cover is coverage.polygon:
        for chunk in range(0, len(drawn), CHUNK):
            _paint_polygons(placed, drawn[chunk : chunk + CHUNK], first, after, maps)
        return
    for i in drawn:
        (left, top), (right, bottom) = first[i], after[i]
        x = (np.arange(left, right) - placed.origin[i, 0]).astype(np.float32)
        y = (np.arange(top, bottom) - placed.origin[i, 1]).astype(np.float32)[:, None]
        window = maps[i, top:bottom, left:right]
        np.maximum(window, placed.cover(np, x, y, *placed.numbers[i].tolist()), out=window)


def _paint_polygons(placed: Placed, chosen: np.ndarray, first: np.ndarray, after: np.ndarray, maps: np.ndarray) -> None:
    width, height = (after - first)[chosen].max(0)
    corners = placed.numbers[chosen, 1:].reshape(len(chosen), -1, 2)
    corners = corners + (placed.origin[chosen] - first[chosen])[:, None]
    drawn = outline.polygons(corners, placed.numbers[chosen, 0], height, width)
    for i, value in zip(chosen, drawn, strict=True):
        (left, top), (right, bottom) = first[i], after[i]
        window = maps[i, top:bottom, left:right]
        np.maximum(window, value[: bottom - top, : right - left], out=window)


def _paint_together(placed: Placed, maps: Any) -> None:
    """Unite a shape with the maps (face, y, x) on their device, all faces in one window."""
    first, after = _windows(placed, *maps.shape[1:])
    if not placed.solid.any():
        return
    (left, top), (right, bottom) = first[placed.solid].min(0), after[placed.solid].max(0)
    xp = compat.array_namespace(maps)
    table = np.concatenate([placed.solid[:, None], placed.origin, placed.numbers], axis=1)
    solid, x0, y0, *numbers = xp.asarray(table.T.astype(np.float32), device=maps.device)[..., None, None]
    x = xp.arange(left, right, device=maps.device, dtype=xp.float32)[None, None, :] - x0
    y = xp.arange(top, bottom, device=maps.device, dtype=xp.float32)[None, :, None] - y0
    window = maps[:, top:bottom, left:right]
    with np.errstate(divide="ignore", invalid="ignore"):  # faces that are not solid
        value = placed.cover(xp, x, y, *numbers)
    maps[:, top:bottom, left:right] = xp.maximum(window, xp.where(solid > 0, value, xp.zeros_like(value)))
