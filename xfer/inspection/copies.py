"""The same photograph twice, also where one of the two was recompressed, resized, cropped, turned or mirrored.

Every face is reduced to 32 x 32 grey cells in the pose of the canonical frame, so that neither the size nor the crop
of its picture enters. Pairs are proposed by their correlation, and kept if they are alike in every part after the one
was laid on the other as well as shift and scale allow.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn.functional import avg_pool2d, grid_sample

from xfer import geometry
from xfer.geometry import CanonicalFrame
from xfer.warping.sampling import normalise, sample

SIDE = 32
"""Cells of a fingerprint along either side."""

SAME = 0.88
"""The least similarity of two prints that are called the same photograph; `near_copies` tells what it costs."""

_BOX = (11.5, 40.0, 200.0)
"""Left, top and side of the square of the frame that a print shows, px: from above the brows to the chin."""

_COARSE, _PROPOSED, _LIKELY = 16, 0.85, 0.75
"""Cells per side of the first comparison, what it asks for, and what 32 cells ask for before the laying on."""

_BLOCK, _BATCH, _STEPS = 4096, 2048, 12

Print = NDArray[np.uint8]


class Copy(NamedTuple):
    """Two prints of the same photograph, by their places; `similarity` is 1 where the pixels are equal."""

    first: int
    second: int
    similarity: float
    mirrored: bool


def fingerprint(image: NDArray[np.uint8], points: NDArray[np.floating] | None, frame: CanonicalFrame) -> Print:
    """A face as 32 x 32 grey cells, upright in the frame's pose; of the whole picture where there are no points.

    Parameters
    ----------
    image : array (y, x, 3)
        RGB.
    points : array (68, 2) or None
        Landmarks in px of the picture.
    frame : CanonicalFrame

    Returns
    -------
    array (32, 32)
        uint8.
    """
    grey = Image.fromarray(image).convert("L")
    if points is None:
        return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))
    left, top, side = _BOX
    fine = np.arange(2 * SIDE) + 0.5
    x, y = np.meshgrid(left + fine * side / (2 * SIDE), top + fine * side / (2 * SIDE))
    at = geometry.apply(geometry.similarity(frame.points[:68], points.astype(float)), np.stack([x, y], axis=-1))
    factor = max(1, int(np.hypot(*(at[0, 1] - at[0, 0]))))
    small = np.array(grey.reduce(factor), np.float32)
    grid = normalise(torch.tensor((at + 0.5) / factor - 0.5), small.shape).float()
    values, _ = sample(torch.tensor(small)[None, None], grid[None], small.shape, "bilinear")
    return avg_pool2d(values, 2)[0, 0].round().to(torch.uint8).numpy()


def near_copies(prints: NDArray[np.uint8]) -> list[Copy]:
    """All pairs that show the same photograph, the most similar first.

    Parameters
    ----------
    prints : array (n, 32, 32)
        As `fingerprint` makes them.

    Notes
    -----
    On Labeled Faces in the Wild (1,101 everyday photographs, none twice) no pair is called the same, of 605,550, with
    or without a mirror; the most alike of different people reach 0.56. Of copies made of 367 of them were found: all
    recompressed (JPEG quality 30), cropped by 2 or 8 %, turned by 8 degrees or brightened; 99.7 % cropped at two sides,
    99.2 % mirrored, 98.9 % reduced to 40 % (faces of 23 px between the eyes).
    Studio portraits are the hard case: of the London set's 9,660 pairs of different people none is called the same
    (the most alike reach 0.75), and neither are 65 of its 70 pairs of one person, neutral and smiling; the other five
    hardly smile. All copies made of them were found.
    """
    coarse = [_detail(part.reshape(-1, _COARSE, 2, _COARSE, 2).mean((2, 4))) for part in _parts(prints)]
    units = np.concatenate(coarse) if coarse else np.empty((0, _COARSE**2), np.float32)
    found: dict[tuple[int, int], Copy] = {}
    for mirrored in (False, True):
        for first, second in _proposals(units, mirrored):
            for start in range(0, len(first), _BATCH):
                i, j = first[start : start + _BATCH], second[start : start + _BATCH]
                for copy in _confirmed(prints, i, j, mirrored):
                    known = found.get((copy.first, copy.second))
                    if known is None or known.similarity < copy.similarity:
                        found[copy.first, copy.second] = copy
    return sorted(found.values(), key=lambda c: (-c.similarity, c.first, c.second))


def _parts(prints: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    return (prints[start : start + _BLOCK] for start in range(0, len(prints), _BLOCK))


def _detail(cells: NDArray[np.floating]) -> NDArray[np.float32]:
    """Prints (n, y, x) without their broad light and dark, as vectors of mean 0 and length 1; 0 if they are blank."""
    flat = _fine(cells).reshape(len(cells), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length > 1e-3 * np.sqrt(flat.shape[1]), flat / np.maximum(length, 1e-9), 0).astype(np.float32)


def _fine(cells: NDArray[np.floating]) -> NDArray[np.float32]:
    cells = cells.astype(np.float32)
    return cells - gaussian_filter(cells, (0, 2, 2))


def _proposals(units: NDArray[np.float32], mirrored: bool) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Places (i < j) of prints that look alike in outline, block by block, so that memory does not grow with n^2."""
    for top in range(0, len(units), _BLOCK):
        rows = units[top : top + _BLOCK]
        if mirrored:
            rows = rows.reshape(-1, _COARSE, _COARSE)[:, :, ::-1].reshape(rows.shape)
        for left in range(top, len(units), _BLOCK):
            i, j = np.nonzero(rows @ units[left : left + _BLOCK].T >= _PROPOSED)
            i, j = i + top, j + left
            yield i[i < j], j[i < j]


def _confirmed(
    prints: NDArray[np.uint8], first: NDArray[np.intp], second: NDArray[np.intp], mirrored: bool
) -> Iterator[Copy]:
    fixed, moving = prints[first].astype(np.float32), prints[second].astype(np.float32)
    if mirrored:
        fixed = np.ascontiguousarray(fixed[:, :, ::-1])
    likely = np.flatnonzero((_detail(fixed) * _detail(moving)).sum(axis=1) >= _LIKELY)
    if not likely.size:
        return
    for at, value in zip(likely, similarity(fixed[likely], moving[likely]), strict=True):
        if value >= SAME:
            yield Copy(int(first[at]), int(second[at]), float(value), mirrored)


@torch.no_grad()
def similarity(fixed: NDArray[np.floating], moving: NDArray[np.floating]) -> NDArray[np.float32]:
    """How alike prints are where they differ most, after each moving print was laid on its fixed one.

    It is the least correlation of fine detail over nine quarters that overlap by half: a copy is one everywhere,
    while another expression on the same face changes some part of it.

    Shift and scale along x and y are found by Gauss-Newton steps on the difference of the prints, each brought to
    mean 0 and variance 1 where they overlap (Lucas and Kanade 1981).

    Parameters
    ----------
    fixed, moving : arrays (n, 32, 32)

    Returns
    -------
    array (n,)
        In [-1, 1].
    """
    still, stack = torch.tensor(fixed).float(), torch.tensor(moving).float()[:, None]
    slopes = [torch.gradient(stack, dim=axis)[0] * (SIDE / 2) for axis in (3, 2)]
    stack = torch.cat([stack, *slopes], dim=1)
    along = (2 * torch.arange(SIDE) + 1) / SIDE - 1
    y, x = torch.meshgrid(along, along, indexing="ij")
    move = torch.zeros(len(still), 4)
    for _ in range(_STEPS):
        shown, inside = _moved(stack, move, x, y)
        a, _ = _standard(still, inside)
        b, spread = _standard(shown[:, 0], inside)
        slope_x, slope_y = shown[:, 1] / spread, shown[:, 2] / spread
        jacobian = torch.stack([slope_x * x, slope_x, slope_y * y, slope_y], dim=1) * inside[:, None]
        jacobian, rest = jacobian.flatten(2), ((a - b) * inside).flatten(1)
        normal = jacobian @ jacobian.mT
        ridge = normal.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None] * 1e-3 + 1e-9
        step = torch.linalg.solve(normal + ridge * torch.eye(4), (jacobian @ rest[..., None])[..., 0])
        move = (move + step).clamp(-0.3, 0.3)
    shown, inside = _moved(stack[:, :1], move, x, y)
    a, b = (torch.tensor(_fine(part.numpy())) for part in (still, shown[:, 0]))
    return _least_correlation(a, b, inside).numpy()


def _least_correlation(a: torch.Tensor, b: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """The correlation of prints (n, y, x) in that of nine quarters where it is lowest; -1 where they hardly meet."""
    parts = torch.stack([inside, a * inside, b * inside, a * a * inside, b * b * inside, a * b * inside], dim=1)
    count, *sums = avg_pool2d(parts.double(), SIDE // 2, stride=SIDE // 4).unbind(dim=1)
    mean_a, mean_b, square_a, square_b, product = (part / count.clamp(min=1e-9) for part in sums)
    spread = ((square_a - mean_a**2).clamp(min=0) * (square_b - mean_b**2).clamp(min=0)).sqrt()
    value = torch.where(spread > 1e-3, (product - mean_a * mean_b) / spread.clamp(min=1e-9), 0)
    least = torch.where(count >= 0.5, value, 1).amin(dim=(1, 2))
    return torch.where((count >= 0.5).any(dim=2).any(dim=1), least, -1)


def _moved(
    maps: torch.Tensor, move: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps (n, c, y, x) at moved positions, and which of these lie on them (n, y, x), as 0 and 1."""
    scale_x, shift_x, scale_y, shift_y = move[..., None, None].unbind(dim=1)
    grid = torch.stack([x * (1 + scale_x) + shift_x, y * (1 + scale_y) + shift_y], dim=-1)
    inside = (grid.abs() <= 1).all(dim=-1).to(maps.dtype)
    return grid_sample(maps, grid, padding_mode="border", align_corners=False), inside


def _standard(values: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values (n, y, x) with mean 0 and variance 1 where `inside`, and their standard deviation (n, 1, 1)."""
    count = inside.sum((1, 2), keepdim=True).clamp(min=1)
    centred = values - (values * inside).sum((1, 2), keepdim=True) / count
    spread = ((centred**2 * inside).sum((1, 2), keepdim=True) / count).sqrt().clamp(min=1e-6)
    return centred / spread, spread


def identical(digests: Sequence[bytes]) -> list[tuple[int, int]]:
    """Places of equal digests: every later one with the first of its kind; an empty digest equals none."""
    seen: dict[bytes, int] = {}
    return [(first, i) for i, d in enumerate(digests) if d and (first := seen.setdefault(d, i)) != i]
