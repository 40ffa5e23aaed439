"""Values of maps at fractional positions, by the extent that a map covers and not by its resolution."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

MODES = ("bilinear", "nearest", "truncate")
"""`truncate` takes the pixel numbered by the whole part of a coordinate, as the published study does."""


def normalise(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Positions (..., 2) in px as -1 to 1 from edge to edge of an extent (height, width).

    The centre of the first pixel is (0, 0), so the extent begins half a pixel before it.
    """
    height, width = size
    return (2 * points + 1) / torch.tensor([width, height], dtype=points.dtype, device=points.device) - 1


def sample(maps: Tensor, grid: Tensor, size: tuple[int, int], mode: str) -> tuple[Tensor, Tensor]:
    """Values of maps at normalised positions.

    Parameters
    ----------
    maps : Tensor (n, c, h, w)
        Of any resolution; they cover the extent.
    grid : Tensor (n, y, x, 2)
    size : (height, width)
        Of the extent, in px, whose whole numbers `truncate` takes.
    mode : str
        One of `MODES`.

    Returns
    -------
    values : Tensor (n, c, y, x)
        Beyond the extent, those at its edge. Within half a cell of the edge a map is constant outwards.
    inside : Tensor of bool (n, y, x)
        Which positions lie on the extent.
    """
    if mode == "truncate":
        grid = _truncated(grid, size, (maps.shape[2], maps.shape[3]))
    inside = (grid[..., 0].abs() <= 1) & (grid[..., 1].abs() <= 1)
    how = "bilinear" if mode == "bilinear" else "nearest"
    return grid_sample(maps, grid, mode=how, padding_mode="border", align_corners=False), inside


def _truncated(grid: Tensor, size: tuple[int, int], cells: tuple[int, int]) -> Tensor:
    full = torch.tensor(size[::-1], dtype=grid.dtype, device=grid.device)
    coarse = torch.tensor(cells[::-1], dtype=grid.dtype, device=grid.device)
    rounding = 4 * torch.finfo(grid.dtype).eps * coarse
    cell = torch.trunc(((grid + 1) * full - 1) / 2 * coarse / full + rounding)
    return (2 * cell + 1) / coarse - 1
