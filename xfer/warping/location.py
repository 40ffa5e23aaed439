"""Which triangle holds which pixel: of the frame once, of every face in a batch at once."""

import functools
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from xfer.geometry import CanonicalFrame, doubled_areas
from xfer.geometry.layout import FIRST_CORNER, INNER_LIPS

_EDGE = 1e-8
"""px by which a triangle reaches over its edges, against rounding; also the least doubled area to count."""

_THIN = 0.1
"""Doubled area in px squared below which a triangle takes only the pixels that no other one holds."""


@dataclass(frozen=True)
class Lookup:
    """Everything about a frame that does not depend on the face, on one device.

    Attributes
    ----------
    vertices : Tensor of int (height * width, 3)
        The points around each pixel of the frame.
    weights : Tensor (height * width, 3)
        Its barycentric weights; 0 where no triangle holds the pixel.
    triangle : Tensor of int (height, width)
        The triangle of each pixel.
    covered : Tensor of bool (height, width)
        Whether there is one.
    support_pixels : Tensor of float64 (T,)
        Pixels of `support` in each triangle.
    vanishing : Tensor of bool (T,)
        Triangles between the inner lips, which a closed mouth has not.
    """

    vertices: Tensor
    weights: Tensor
    triangle: Tensor
    covered: Tensor
    support_pixels: Tensor
    vanishing: Tensor


@dataclass(frozen=True)
class _ByDigest:
    digest: str
    frame: CanonicalFrame = field(compare=False)


def lookup(frame: CanonicalFrame, device: torch.device, dtype: torch.dtype) -> Lookup:
    """The frame's triangles and weights per pixel, computed once per frame, device and dtype."""
    return _lookup(_ByDigest(frame.digest, frame), device, dtype)


@functools.lru_cache(maxsize=16)
def _lookup(key: _ByDigest, device: torch.device, dtype: torch.dtype) -> Lookup:
    frame = key.frame
    points = torch.tensor(frame.points, dtype=torch.float64)
    triangle = locate(points[None], frame.triangles, frame.height, frame.width)[0]
    covered = triangle >= 0
    triangle = triangle.clamp(min=0)
    vertices = torch.tensor(frame.triangles)[triangle.ravel()]
    y, x = torch.meshgrid(torch.arange(frame.height), torch.arange(frame.width), indexing="ij")
    pixels = torch.stack([x, y], dim=-1).reshape(-1, 2).double()
    weights = _barycentric(pixels, points[vertices]) * covered.reshape(-1, 1)
    counts = torch.bincount(triangle[covered & torch.tensor(frame.support)], minlength=len(frame.triangles))
    vanishing = torch.tensor(np.isin(frame.triangles, INNER_LIPS).all(axis=1))
    return Lookup(
        vertices=vertices.to(device),
        weights=weights.to(device, dtype),
        triangle=triangle.to(device),
        covered=covered.to(device),
        support_pixels=counts.double().to(device),
        vanishing=vanishing.to(device),
    )


def _barycentric(pixels: Tensor, corners: Tensor) -> Tensor:
    """Weights (m, 3) of the corners (m, 3, 2) of a triangle that make up each pixel (m, 2)."""
    a, b, c = corners.unbind(dim=1)
    total = _cross(b - a, c - a)
    beta, gamma = _cross(pixels - a, c - a) / total, _cross(b - a, pixels - a) / total
    return torch.stack([1 - beta - gamma, beta, gamma], dim=-1)


def _cross(u: Tensor, v: Tensor) -> Tensor:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def face_first(triangles: np.ndarray) -> np.ndarray:
    """Order triangles (T, 3) so that those beside the face, at a corner of the canvas, come last."""
    beside = (triangles >= FIRST_CORNER).any(axis=1)
    return triangles[np.argsort(beside, kind="stable")]


@torch.no_grad()
def locate(points: Tensor, triangles: np.ndarray, height: int, width: int) -> Tensor:
    """The triangle that holds each pixel centre of each face.

    Every row of pixels crosses a triangle in one span, whose ends are where the row meets two of its edges.
    Spans of all faces, triangles and rows are found together and unrolled to pixels. Triangles that share an
    edge compute its crossings alike, so that no pixel falls between them.

    Parameters
    ----------
    points : Tensor of float64 (n, P, 2)
        In px.
    triangles : ndarray of int (T, 3)
        Clockwise on the screen where they are not turned over; those that are hold no pixel.
    height, width : int

    Returns
    -------
    Tensor of int (n, height, width)
        The first triangle that holds the pixel where faces fold over themselves; -1 outside the mesh.
    """
    n, count = len(points), len(triangles)
    start, end = _spans(points, triangles, height)
    area = doubled_areas(points, triangles)
    first = (start - _EDGE).ceil().clamp(0, width).long()
    last = (end + _EDGE).floor().clamp(-1, width - 1).long()
    length = (last - first + 1).clamp(min=0) * (area > _EDGE)[..., None]
    rank = torch.arange(count, device=points.device) + count * (area < _THIN)
    face = torch.arange(n, device=points.device)
    row = torch.arange(height, device=points.device)
    begin = (face[:, None, None] * height + row) * width + first
    length = length.ravel()
    before = length.cumsum(0) - length
    step = torch.repeat_interleave(begin.ravel() - before, length)
    pixel = step + torch.arange(len(step), device=points.device)
    holder = torch.repeat_interleave(rank[..., None].expand(-1, -1, height).ravel(), length)
    best = torch.full((n * height * width,), 2 * count, device=points.device)
    best.scatter_reduce_(0, pixel, holder, "amin")
    ids = torch.arange(count, device=points.device)
    named = torch.cat([ids, ids, ids.new_full((1,), -1)])
    return named[best].view(n, height, width)


def _spans(points: Tensor, triangles: np.ndarray, height: int) -> tuple[Tensor, Tensor]:
    """Where each row of pixels enters and leaves each triangle: two (n, T, height), empty as inf to -inf."""
    ends = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]], axis=-1).reshape(-1, 2)
    edges, of_triangle = np.unique(ends, axis=0, return_inverse=True)
    a, b = (points[:, torch.as_tensor(edges[:, k], device=points.device), :, None] for k in (0, 1))
    rows = torch.arange(height, dtype=points.dtype, device=points.device)
    along = (rows - a[:, :, 1]) / (b[:, :, 1] - a[:, :, 1])
    met = (along >= 0) & (along <= 1)
    x = a[:, :, 0] + along * (b[:, :, 0] - a[:, :, 0])
    left, right = torch.where(met, x, torch.inf), torch.where(met, x, -torch.inf)
    first, second, third = torch.as_tensor(of_triangle.reshape(-1, 3).T, device=points.device)
    start = torch.minimum(torch.minimum(left[:, first], left[:, second]), left[:, third])
    end = torch.maximum(torch.maximum(right[:, first], right[:, second]), right[:, third])
    return start, end
