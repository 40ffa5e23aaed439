"""Batches of maps between photographs and the canonical frame."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from xfer import geometry
from xfer.errors import InputError, unknown
from xfer.geometry import CanonicalFrame, doubled_areas
from xfer.warping.location import Lookup, face_first, locate, lookup
from xfer.warping.placement import frame_points
from xfer.warping.sampling import MODES, normalise, sample

FLIPPED_TOLERANCE = 0.02
"""The share of `support` that turned-over triangles may take on a face that is kept."""

_CHUNK_PIXELS = {"cpu": 1 << 18, "cuda": 1 << 22}
"""Pixels computed together: working memory does not grow with the batch, and on a CPU stays in the cache."""


@dataclass(frozen=True)
class Warped:
    """Maps on the canonical frame, and what is missing from them.

    Attributes
    ----------
    values : Tensor (n, c, height, width)
        NaN outside the photograph, in turned-over triangles, and everywhere on a face that is left out.
    flipped : Tensor of bool (n, T)
        The turned-over triangles of each face, as `geometry.flipped` defines them.
    flipped_share : Tensor of float64 (n,)
        The part of `support` that they take, in [0, 1].
    kept : Tensor of bool (n,)
        False for a face that is left out: too much is turned over, a landmark is not a finite number, or the
        outer eye corners coincide.
    missing : Tensor of int (height, width)
        At each pixel, how many of the faces kept have no value.
    """

    values: Tensor
    flipped: Tensor
    flipped_share: Tensor
    kept: Tensor
    missing: Tensor


def to_frame(
    images: Tensor,
    points: Tensor,
    frame: CanonicalFrame,
    mode: str = "bilinear",
    *,
    size: tuple[int, int] | None = None,
    tolerance: float = FLIPPED_TOLERANCE,
) -> Warped:
    """Warp photographs, or maps on photographs, to the canonical frame.

    Each triangle of the frame takes what lies in the same triangle of the face, by the affine transform
    between the two. Gradients flow to `images` and, with ``mode="bilinear"``, to `points`.

    Parameters
    ----------
    images : Tensor of floating point (n, c, h, w)
        Photographs, or maps of any resolution over their extent: the 7 x 7 map of a network's last layer
        needs no upsampling first.
    points : Tensor (n, 68, 2)
        iBUG landmarks in px of the photographs, the centre of the first pixel at (0, 0).
    frame : CanonicalFrame
    mode : {"bilinear", "nearest", "truncate"}
        The published study truncates coordinates to whole pixels.
    size : (height, width), optional
        Of the photographs in px, where `images` have another resolution.
    tolerance : float
        The largest `flipped_share` of a face that is kept; 1 keeps every face, as the published study did
        (which triangulated each face afresh, so that nothing turned over).

    Returns
    -------
    Warped
        dtype and device are those of `images`.

    Raises
    ------
    InputError
        If shapes do not fit together, `images` cannot hold NaN, or there is no such mode.

    Notes
    -----
    A triangle turns over where the camera sees its skin edge-on or not at all: mostly a temple (0-68-36 and
    16-45-84, 0.8 % of `support` each) and the side of the nose on a turned head. Its pixels would show a
    neighbour's skin mirrored, so they are NaN, and `missing` counts them. To leave out every such face would
    lose a quarter of everyday photographs, some that look straight ahead among them. `FLIPPED_TOLERANCE`
    admits both temples; beyond it come heads turned so far that the hidden cheek is smeared over the frame.
    Share of faces with any triangle turned over, and of those left out at tolerances of 1, 2 and 5 %:

    - London studio portraits (140): 0, 0, 0, 0 %
    - Labeled Faces in the Wild (1,101): 23.6, 10.1, 2.5, 1.5 %
    - Helen (330): 23.9, 14.2, 4.5, 2.7 %
    - Helen by its annotation, whose jaw follows the visible outline: 51.8, 20.0, 4.8, 0.3 %

    The first three by MediaPipe's landmarks.

    Triangles between the inner lips turn over by fractions of a pixel when a mouth closes; they are sampled
    along the line where the lips meet. Those that reach a corner of the canvas lie beside the face: turned
    over they are NaN and count for nothing.

    Examples
    --------
    >>> frame = geometry.load_frame("xfer")
    >>> face = torch.tensor(frame.points[None, :68], dtype=torch.float32)
    >>> warped = to_frame(torch.rand(1, 3, 7, 7), face, frame, size=(275, 224))
    >>> warped.values.shape, int(warped.missing.sum())
    (torch.Size([1, 3, 275, 224]), 0)
    """
    _check(images, points, mode, "images")
    size = _checked_size(size or (images.shape[2], images.shape[3]))
    table = lookup(frame, images.device, _working(images.dtype))
    placed = frame_points(points.to(_working(points.dtype)), frame, size)
    sound = placed.isfinite().flatten(1).all(dim=1) & (geometry.inter_ocular(placed) > 0)
    flipped = geometry.flipped(placed, frame)
    support = table.support_pixels.sum().clamp(min=1)
    share = flipped.double() @ table.support_pixels / support
    kept = sound & (share <= tolerance)
    placed = torch.where(kept[:, None, None], placed, 0)
    turned = (doubled_areas(placed, frame.triangles) < 0) & ~table.vanishing
    shown = kept[:, None] & ~turned
    canvas = (frame.height, frame.width)
    missing = kept.sum().repeat(canvas)
    values = images.new_empty(*images.shape[:2], *canvas)
    for part in _chunks(values):
        grid = _positions(table, normalise(placed[part], size))
        warped, inside = sample(images[part].to(grid.dtype), grid, size, mode)
        inside &= table.covered & _by_pixel(shown[part], table.triangle)
        missing -= inside.sum(dim=0)
        values[part] = warped.masked_fill_(~inside[:, None], torch.nan)
    return Warped(values, flipped, share, kept, missing)


def _positions(table: Lookup, points: Tensor) -> Tensor:
    """Where the frame's pixels lie on faces (n, 89, 2): (n, height, width, 2)."""
    flat = points.to(table.weights.dtype).permute(1, 0, 2).flatten(1)
    at = embedding_bag(table.vertices, flat, per_sample_weights=table.weights, mode="sum")
    return at.view(*table.triangle.shape, len(points), 2).permute(2, 0, 1, 3).contiguous()


def _by_pixel(facts: Tensor, triangle: Tensor) -> Tensor:
    """Facts of triangles (n, T) at the pixels of each triangle (height, width): (n, height, width)."""
    flat = triangle.ravel()
    # one face after the other is several times faster than indexing the second axis
    return torch.stack([fact.index_select(0, flat) for fact in facts]).view(-1, *triangle.shape)


def from_frame(
    maps: Tensor,
    points: Tensor,
    size: tuple[int, int],
    frame: CanonicalFrame,
    mode: str = "bilinear",
) -> Tensor:
    """Warp maps from the canonical frame onto photographs: the inverse of `to_frame`.

    Parameters
    ----------
    maps : Tensor of floating point (n, c, H, W)
        Of any resolution over the frame's canvas.
    points : Tensor (n, 68, 2)
        iBUG landmarks in px of the photographs.
    size : (height, width)
        Of the photographs, in px.
    frame : CanonicalFrame
    mode : {"bilinear", "nearest", "truncate"}

    Returns
    -------
    Tensor (n, c, height, width)
        NaN outside the mesh, and where `maps` is NaN in any of the pixels that a value is made of. Where a
        turned head folds the mesh over itself, a pixel belongs to a triangle that is not turned over, of the
        face rather than beside it. A face with a landmark that is not a finite number is all NaN.

    Raises
    ------
    InputError
        As `to_frame`.

    Examples
    --------
    >>> frame = geometry.load_frame("xfer")
    >>> face = torch.tensor(frame.points[None, :68] / 2, dtype=torch.float32)
    >>> from_frame(torch.ones(1, 1, 275, 224), face, (100, 120), frame).nansum()
    tensor(11200.)
    """
    _check(maps, points, mode, "maps")
    size = _checked_size(size)
    placed = frame_points(points.double(), frame, size)
    finite = placed.isfinite().flatten(1).all(dim=1)
    placed = torch.where(finite[:, None, None], placed, 0)
    triangles = face_first(frame.triangles)
    canvas = (frame.height, frame.width)
    target = normalise(torch.tensor(frame.points, device=points.device), canvas)
    work = _working(maps.dtype)
    values = maps.new_empty(*maps.shape[:2], *size)
    for part in _chunks(values):
        holder = locate(placed[part], triangles, *size)
        inside = (holder >= 0) & finite[part, None, None]
        affine = _affine(placed[part], target, torch.as_tensor(triangles, device=points.device))
        grid = _mapped(affine, holder.clamp(min=0)).to(work)
        back, _ = sample(maps[part].to(work), grid, canvas, mode)
        values[part] = back.masked_fill_(~inside[:, None], torch.nan)
    return values


def _affine(source: Tensor, target: Tensor, triangles: Tensor) -> Tensor:
    """The affine transforms (n, T, 2, 3) of triangles of faces (n, P, 2) to those of `target` (P, 2)."""
    a, b, c = source[:, triangles].unbind(dim=2)
    u, v = b - a, c - a
    area = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    area = torch.where(area > 0, area, 1)[..., None, None]
    across = torch.stack([v[..., 1], -v[..., 0], -u[..., 1], u[..., 0]], dim=-1).unflatten(-1, (2, 2))
    corners = target[triangles]
    edges = torch.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], dim=-1)
    linear = edges @ (across / area)
    shift = corners[:, 0, :, None] - linear @ a[..., None]
    return torch.cat([linear, shift], dim=-1)


def _mapped(affine: Tensor, holder: Tensor) -> Tensor:
    """Every pixel moved by the transform (n, T, 2, 3) of the triangle holding it: (n, height, width, 2)."""
    n, height, width = holder.shape
    first = torch.arange(n, device=holder.device)[:, None, None] * affine.shape[1]
    rows = affine.flatten(0, 1).flatten(1).index_select(0, (first + holder).ravel())
    by_x, by_y, shift = rows.view(n, height, width, 2, 3).unbind(dim=-1)
    x = torch.arange(width, dtype=affine.dtype, device=affine.device)[:, None]
    y = torch.arange(height, dtype=affine.dtype, device=affine.device)[:, None, None]
    return torch.addcmul(torch.addcmul(shift, by_x, x), by_y, y)


def _chunks(values: Tensor) -> Iterator[slice]:
    budget = _CHUNK_PIXELS.get(values.device.type, _CHUNK_PIXELS["cpu"])
    step = max(1, budget // values.shape[2:].numel())
    return (slice(start, start + step) for start in range(0, len(values), step))


def _working(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _check(maps: Tensor, points: Tensor, mode: str, name: str) -> None:
    if mode not in MODES:
        raise unknown("mode", mode, MODES)
    if maps.ndim != 4 or 0 in maps.shape[1:]:
        raise InputError(f"'{name}' must be (n, c, h, w) without an empty map; got {tuple(maps.shape)}")
    if not maps.is_floating_point():
        raise InputError(f"'{name}' must be floating point, for NaN where nothing is known; got {maps.dtype}")
    if points.shape != (len(maps), 68, 2):
        raise InputError(f"'points' must be ({len(maps)}, 68, 2), one face to a map; got {tuple(points.shape)}")
    if not points.is_floating_point():
        raise InputError(f"'points' must be floating point; got {points.dtype}")


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    if len(size) != 2 or min(size) < 1:
        raise InputError(f"'size' must be (height, width) in px, at least 1 each; got {tuple(size)}")
    return size
