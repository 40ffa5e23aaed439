"""Veils: how much of each pixel every row of a design leaves to be seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from xfer.errors import InputError
from xfer.explainers.designs import generator
from xfer.explainers.players import Players

__all__ = ["Channels", "Coalitions", "Grids", "Veils", "Windows"]

GRIDS = 102
"""The purpose in the seed of RISE's grids."""


class Veils(Protocol):
    """Rows of veils for a batch of faces, made when asked for, a slice at a time."""

    @property
    def counts(self) -> Sequence[int]:
        """Rows of each face."""

    def seen(self, face: int, rows: slice) -> Tensor:
        """(row, y, x): bool, or floating in [0, 1], of which 1 is seen."""


@dataclass(frozen=True)
class Coalitions:
    """Players that are seen or hidden together.

    Attributes
    ----------
    players : Players
    rows : bool tensor (face, row, player)
    counts : tuple of int (face,)
    """

    players: Players
    rows: Tensor
    counts: tuple[int, ...]

    def seen(self, face: int, rows: slice) -> Tensor:
        """What some coalitions see of a face: (row, y, x)."""
        return self.players.seen(face, self.rows[face, rows])


@dataclass(frozen=True)
class Windows:
    """One window hidden a row, but in the first, which sees everything.

    Attributes
    ----------
    corners : int tensor (row, 2, 2)
        First and last-plus-one row and column of the window: ((top, left), (bottom, right)).
    size : (int, int)
        The image's.
    counts : tuple of int (face,)
    """

    corners: Tensor
    size: tuple[int, int]
    counts: tuple[int, ...]

    @classmethod
    def slide(
        cls, size: tuple[int, int], window: int, stride: int, faces: int, device: torch.device | str
    ) -> "Windows":
        """Windows from the top left corner on, the last of a line cut off by the border.

        Raises
        ------
        InputError
            If the stride leaves pixels between windows.

        >>> Windows.slide((4, 4), 2, 2, faces=1, device="cpu").counts
        (5,)
        """
        if stride > window:
            raise InputError(
                f"'stride' must be at most 'window', {window} px, so that every pixel is covered; got {stride}"
            )
        places = [[i * stride for i in range(max(0, -(-(length - window) // stride)) + 1)] for length in size]
        corners = [((0, 0), (0, 0))]
        corners += [
            ((y, x), (min(y + window, size[0]), min(x + window, size[1]))) for y in places[0] for x in places[1]
        ]
        return cls(torch.tensor(corners, device=device), size, (len(corners),) * faces)

    def seen(self, face: int, rows: slice) -> Tensor:
        """Everything but the windows: bool (row, y, x)."""
        inside = []
        for axis, length in enumerate(self.size):
            place = torch.arange(length, device=self.corners.device)
            first, last = self.corners[rows, 0, axis], self.corners[rows, 1, axis]
            inside.append((place >= first[:, None]) & (place < last[:, None]))
        return ~(inside[0][:, :, None] & inside[1][:, None])


@dataclass(frozen=True)
class Grids:
    """RISE's masks: small random grids, enlarged and shifted.

    Attributes
    ----------
    cells : tensor (face, row, cell, cell)
        0 or 1.
    shifts : tensor (face, row, 2)
        In [0, 1) of a cell, down and right.
    size : (int, int)
        The image's.
    """

    cells: Tensor
    shifts: Tensor
    size: tuple[int, int]

    @classmethod
    def draw(cls, like: Tensor, rows: int, cells: int, keep: float, seed: int, start: int) -> "Grids":
        """Grids for faces `like` (face, channel, y, x), those of face i drawn with the seed and ``start + i``."""
        grids, shifts = [], []
        for face in range(len(like)):
            chance = generator(seed, start + face, GRIDS)
            grids.append(torch.rand(rows, cells, cells, generator=chance) < keep)
            shifts.append(torch.rand(rows, 2, generator=chance, dtype=torch.float64))
        return cls(torch.stack(grids).to(like), torch.stack(shifts).to(like), (like.shape[-2], like.shape[-1]))

    @property
    def counts(self) -> Sequence[int]:
        """Rows of each face."""
        return (self.cells.shape[1],) * len(self.cells)

    def seen(self, face: int, rows: slice) -> Tensor:
        """The grids at the image's size (row, y, x), in [0, 1]: bilinear, which is a product of two matrices."""
        cells, shifts = self.cells[face, rows], self.shifts[face, rows]
        down, right = (self._hats(shifts[:, axis], length) for axis, length in enumerate(self.size))
        return (down @ cells @ right.mT).clamp(0, 1)

    def _hats(self, shifts: Tensor, length: int) -> Tensor:
        """How much each line of pixels takes from each cell (row, pixel, cell), the grid being a cell larger."""
        cells = self.cells.shape[-1]
        pixel = -(-length // cells)
        place = torch.arange(length, device=shifts.device, dtype=shifts.dtype)
        # whole pixels of shift, as the source draws them
        at = (place + (shifts * pixel).floor()[:, None] + 0.5) * (cells / ((cells + 1) * pixel)) - 0.5
        index = torch.arange(cells, device=shifts.device, dtype=shifts.dtype)
        return (1 - (at.clamp(0, cells - 1)[..., None] - index).abs()).clamp_min(0)


@dataclass(frozen=True)
class Channels:
    """Score-CAM's masks: the channels of a layer, enlarged and scaled to [0, 1], a flat channel hiding everything.

    Attributes
    ----------
    activations : tensor (face, channel, y, x)
    size : (int, int)
        The image's.
    """

    activations: Tensor
    size: tuple[int, int]

    @property
    def counts(self) -> Sequence[int]:
        """Channels of each face."""
        return (self.activations.shape[1],) * len(self.activations)

    def seen(self, face: int, rows: slice) -> Tensor:
        """Some channels at the image's size (row, y, x), in [0, 1]."""
        large = interpolate(self.activations[face, None, rows], self.size, mode="bilinear", align_corners=False)[0]
        low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
        return (large - low) / (high - low + FLAT)


FLAT = 1e-8
"""What the library grad-cam adds to a channel's range."""
