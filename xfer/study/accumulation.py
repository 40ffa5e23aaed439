"""Maps of faces in the frame, added up as they come."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xfer.heatmaps.normalisations import LEAST
from xfer.study.sums import (
    MAX_BLOCKS,
    STREAMED,
    Sums,
    cell_order,
    cell_table,
    half_pixels,
    pooled,
    row_table,
    smallest,
)  # fmt: skip


class _Open:
    """The faces of one block, expression and outcome so far: all explainers, both normalisations."""

    def __init__(self, shape: Sequence[int], device: torch.device) -> None:
        self.sums = torch.zeros((2, *shape), dtype=torch.float64, device=device)
        self.missing = torch.zeros((2, *shape), dtype=torch.int32, device=device)
        self.n = np.zeros((2, shape[0]), np.int64)


class _Total(_Open):
    """The same over all blocks, with the squares."""

    def __init__(self, shape: Sequence[int], device: torch.device) -> None:
        super().__init__(shape, device)
        self.squares = torch.zeros_like(self.sums)
        self.undefined = np.zeros((2, shape[0]), np.int64)


class _Row:
    """What is kept of a block: the support's pixels at half resolution, of explainers and normalisations with faces."""

    def __init__(self, sums: NDArray[np.float32], missing: NDArray[np.unsignedinteger], n: NDArray[np.int64]) -> None:
        self.sums, self.missing, self.n = sums, missing, n


class Accumulator:
    """Takes maps in the frame, face by face, and keeps sums of float64.

    Memory grows with explainers, expressions and blocks, not with faces. What comes out does not depend on how many
    faces are given at once.

    Parameters
    ----------
    explainers : sequence of str
    support : bool array (y, x)
        What is kept of the blocks.
    blocks : int
        At most `MAX_BLOCKS`.
    device : torch.device
        Of the maps.
    """

    def __init__(
        self, explainers: Sequence[str], support: NDArray[np.bool_], blocks: int, device: torch.device | str = "cpu"
    ) -> None:
        if not 1 <= blocks <= MAX_BLOCKS:
            raise ValueError(f"'blocks' must be from 1 to {MAX_BLOCKS}; got {blocks}")
        self._explainers, self._blocks = tuple(explainers), blocks
        self._support, self._device = np.asarray(support, bool), torch.device(device)
        self._shape = (len(self._explainers), *self._support.shape)
        self._inside = torch.from_numpy(self._support.copy()).to(self._device)
        self._half = torch.from_numpy(half_pixels(self._support)[0]).to(self._device)
        self._buffer = torch.empty((2, *self._shape), dtype=torch.float64, device=self._device)
        self._block = -1
        self._open: dict[tuple[str, str], _Open] = {}
        self._totals: dict[tuple[str, str], _Total] = {}
        self._rows: dict[tuple[int, str, str], _Row] = {}

    def add(self, maps: Tensor, expressions: Sequence[str], outcomes: Sequence[str], blocks: Sequence[int]) -> None:
        """Add some faces.

        Parameters
        ----------
        maps : Tensor (face, explainer, y, x)
            Raw, NaN where a face has no value (the same pixels for all explainers).
        expressions, outcomes : sequence of str
        blocks : sequence of int
            Never less than that of a face before.

        Raises
        ------
        ValueError
            If a block comes back after another.
        """
        for face, expression, outcome, block in zip(maps, expressions, outcomes, blocks, strict=True):
            if not self._block <= block < self._blocks:
                raise ValueError(
                    f"faces come block by block, from 0 to {self._blocks - 1}: {block} after {self._block}"
                )
            if block > self._block:
                self._close()
                self._block = int(block)
            self._add(face, (expression, outcome))

    def _add(self, face: Tensor, group: tuple[str, str]) -> None:
        unseen = torch.isnan(face[0])
        relevance = self._normalised(face, int((~unseen).sum()))
        counted = np.stack([np.ones(len(relevance), bool), relevance > 0])
        if group not in self._totals:
            self._totals[group] = _Total(self._shape, self._device)
        if group not in self._open:
            self._open[group] = _Open(self._shape, self._device)
        row, total = self._open[group], self._totals[group]
        row.sums += self._buffer
        row.n += counted
        total.squares.addcmul_(self._buffer, self._buffer)
        total.undefined += ~counted
        if counted.all():
            row.missing += unseen
        else:
            row.missing[torch.from_numpy(counted).to(self._device)] += unseen.int()

    def _normalised(self, face: Tensor, seen: int) -> NDArray[np.float64]:
        """Put a face's maps, 0 for NaN, into the buffer: raw, and `positive_l1` in float64 where it is defined.

        Returns the sum of the positive part (explainer,); 0 where it covers too few of the pixels seen.
        """
        raw, shares = self._buffer
        raw.copy_(face).nan_to_num_(nan=0.0)
        torch.clamp(raw, min=0, out=shares)
        enough = (shares > 0).sum((-2, -1), keepdim=True) >= LEAST * seen
        shares.mul_(enough)
        relevance = shares.sum((-2, -1), keepdim=True)
        shares.div_(torch.where(relevance > 0, relevance, 1.0))
        found: NDArray[np.float64] = relevance.flatten().cpu().numpy()
        return found

    def _close(self) -> None:
        """Hand the open block's sums to the totals, and keep them at half resolution."""
        for group, row in self._open.items():
            total = self._totals[group]
            total.sums += row.sums
            total.missing += row.missing
            total.n += row.n
            sums, missing = (self._pooled(each) for each in (row.sums, row.missing))
            self._rows[self._block, *group] = _Row(sums.astype(np.float32), smallest(missing), row.n)
        self._open.clear()

    def _pooled(self, values: Tensor) -> NDArray[Any]:
        found: NDArray[Any] = pooled(values, self._inside).flatten(-2).index_select(-1, self._half).cpu().numpy()
        return found

    def finish(self, facts: Mapping[str, Any]) -> Sums:
        """The sums; nothing can be added afterwards.

        Parameters
        ----------
        facts : mapping
            As in `Sums`.
        """
        self._close()
        places = self._places()
        counts = np.empty((len(places), *self._shape[1:]), np.int32)
        sums, squares = np.empty(counts.shape), np.empty(counts.shape)
        cells = []
        for i, (cell, (group, at)) in enumerate(places.items()):
            total = self._totals[group]
            sums[i], squares[i] = total.sums[at].cpu().numpy(), total.squares[at].cpu().numpy()
            counts[i] = total.n[at] - total.missing[at].cpu().numpy()
            cells.append((*cell, total.n[at], total.undefined[at]))
        rows = [
            (block, number, self._rows[block, *group], at)
            for number, (group, at) in enumerate(places.values())
            for block in range(self._blocks)
            if (block, *group) in self._rows and self._rows[block, *group].n[at]
        ]
        return Sums(
            facts=dict(facts),
            cells=cell_table(cells),
            sums=sums,
            squares=squares,
            counts=counts,
            support=self._support,
            blocks=self._blocks,
            rows=row_table([(block, number, row.n[at]) for block, number, row, at in rows]),
            block_sums=self._stacked([row.sums[at] for *_, row, at in rows], np.float32),
            block_missing=smallest(self._stacked([row.missing[at] for *_, row, at in rows], np.uint32)),
        )

    def _places(self) -> dict[tuple[str, ...], tuple[tuple[str, str], tuple[int, int]]]:
        """Every cell in its order, with the group and the place (normalisation, explainer) that hold it."""
        found = {
            (explainer, *group, normalisation): (group, (i, k))
            for group in self._totals
            for k, explainer in enumerate(self._explainers)
            for i, normalisation in enumerate(STREAMED)
        }
        return {cell: found[cell] for cell in sorted(found, key=cell_order)}

    def _stacked(self, rows: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
        return np.stack(rows).astype(dtype) if rows else np.empty((0, len(self._half)), dtype)
