"""Players: the parts of an image that are seen or hidden together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xfer.errors import InputError

__all__ = ["Players"]


@dataclass(frozen=True)
class Players:
    """The parts of every face of a batch.

    Attributes
    ----------
    parts : int tensor (face, y, x) or floating tensor (face, player, y, x)
        Each pixel's player, counted from 0; or soft parts in [0, 1] that add up to 1 at every pixel.
    counts : tuple of int (face,)
        How many players each face has.
    names : tuple of str
        The players', where they are the same on every face; else empty.

    Examples
    --------
    >>> halves = Players(torch.tensor([[[0, 1]]]), (2,))
    >>> halves.seen(0, torch.tensor([[True, False]])).tolist()
    [[[True, False]]]
    >>> halves.paint(torch.tensor([[[3.0], [4.0]]])).tolist()
    [[[[3.0, 4.0]]]]
    """

    parts: Tensor
    counts: tuple[int, ...]
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, parts: Tensor, names: Sequence[str] = ()) -> "Players":
        """Players from labels (face, y, x) or soft parts (face, player, y, x).

        Labels are renumbered where some between 0 and a face's largest are not used and there are no names.

        Raises
        ------
        InputError
            If soft parts leave [0, 1] or do not add up to 1, or a label has no name.
        """
        if parts.ndim == 4:
            total = parts.sum(1)
            if parts.min() < 0 or not torch.allclose(total, torch.ones_like(total), atol=1e-4):
                raise InputError("soft parts must be at least 0 and add up to 1 at every pixel")
            return cls(parts, (parts.shape[1],) * len(parts), tuple(names))
        if names:
            if parts.min() < 0 or parts.max() >= len(names):
                raise InputError(f"'segments' must be labels 0 to {len(names) - 1}, one for each name")
            return cls(parts.long(), (len(names),) * len(parts), tuple(names))
        own = [face.unique(return_inverse=True) for face in parts]
        return cls(torch.stack([labels for _, labels in own]), tuple(len(found) for found, _ in own))

    @property
    def most(self) -> int:
        """The largest number of players of a face."""
        return max(self.counts)

    def seen(self, face: int, rows: Tensor) -> Tensor:
        """How much of each pixel of a face is seen by coalitions (row, player): (row, y, x), bool for labels."""
        parts = self.parts[face]
        if self.parts.ndim == 3:
            return rows.index_select(1, parts.ravel()).unflatten(1, tuple(parts.shape))
        return (rows[:, : len(parts)].to(parts.dtype) @ parts.flatten(1)).unflatten(1, tuple(parts.shape[1:]))

    def paint(self, coefficients: Tensor) -> Tensor:
        """Coefficients (face, player, target) laid on their players: (face, target, y, x)."""
        if self.parts.ndim == 3:
            index = self.parts.flatten(1)[:, None].expand(-1, coefficients.shape[2], -1)
            return coefficients.mT.gather(2, index).unflatten(2, tuple(self.parts.shape[1:]))
        wide = coefficients[:, : self.parts.shape[1]].mT
        return (wide @ self.parts.to(wide.dtype).flatten(2)).unflatten(2, tuple(self.parts.shape[2:]))
