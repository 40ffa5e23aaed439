"""How coalitions of players are drawn, how likely each was, and what rows of one design say to a method of another.

A coalition is a row: True for each player that is seen. Every row of a bank carries the design it was drawn from, so
that any method can use it, with the weight of its own design's chance over the bank's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb, log

import numpy as np
import torch
from torch import Tensor

from xfer.errors import unknown

__all__ = ["DESIGNS", "Bank", "Design", "every_coalition", "generator", "kernel_sizes", "paired"]


def generator(*numbers: int) -> torch.Generator:
    """A generator on the CPU from numbers such as the seed, the face and the purpose, so that batches change nothing.

    >>> bool(torch.rand(1, generator=generator(0, 3)) == torch.rand(1, generator=generator(0, 3)))
    True
    """
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def kernel_sizes(players: int) -> Tensor:
    """The chance (player - 1,) of coalitions of 1 to ``players - 1`` under the Shapley kernel, in float64.

    >>> kernel_sizes(4)
    tensor([0.3636, 0.2727, 0.3636], dtype=torch.float64)
    """
    sizes = torch.arange(1, players, dtype=torch.float64)
    chances = 1 / (sizes * (players - sizes))
    return chances / chances.sum()


def paired(rows: Tensor) -> Tensor:
    """Each row (row, player) followed by its complement."""
    return torch.stack([rows, ~rows], 1).flatten(0, 1)


def every_coalition(players: int) -> Tensor:
    """All coalitions (2 ** player, player): row i holds player p where bit p of i is set.

    >>> every_coalition(2).int().tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    return (torch.arange(2**players)[:, None] >> torch.arange(players)[None]) & 1 == 1


def coin_rows(players: int, rows: int, chance: torch.Generator) -> Tensor:
    """Every player in or out by a fair coin: bool (row, player)."""
    return torch.rand(rows, players, generator=chance) < 0.5


def kernel_rows(players: int, rows: int, chance: torch.Generator) -> Tensor:
    """Coalitions whose sizes follow the Shapley kernel, each followed by its complement: bool (row, player)."""
    pairs = -(-rows // 2)
    if players < 2:
        return torch.zeros(rows, players, dtype=torch.bool)
    sizes = torch.multinomial(kernel_sizes(players), pairs, replacement=True, generator=chance) + 1
    order = torch.rand(pairs, players, generator=chance).argsort(1).argsort(1)
    return paired(order < sizes[:, None])[:rows]


def _coin_chance(players: int) -> Tensor:
    return torch.full((players + 1,), -players * log(2), dtype=torch.float64)


def _kernel_chance(players: int) -> Tensor:
    chances = torch.full((players + 1,), -torch.inf, dtype=torch.float64)
    for size, chance in enumerate(kernel_sizes(players).tolist(), start=1):
        chances[size] = log(chance) - log(comb(players, size))
    return chances


@dataclass(frozen=True)
class Design:
    """A way to draw coalitions.

    Attributes
    ----------
    name : str
    fixed : int
        Rows that are not drawn: 1 for all players on, 2 for all on and all off.
    draw : callable
        ``(players, rows, generator) -> bool (row, player)``.
    log_chance : callable
        ``(players) -> float64 (size,)``: the log chance of one coalition by its size, 0 to all players.
    """

    name: str
    fixed: int
    draw: Callable[[int, int, torch.Generator], Tensor]
    log_chance: Callable[[int], Tensor]

    def rows(self, players: int, samples: int, chance: torch.Generator) -> Tensor:
        """The fixed rows and those drawn, `samples` together: bool (row, player)."""
        fixed = torch.tensor([True, False])[: self.fixed, None].expand(-1, players)
        return torch.cat([fixed, self.draw(players, max(samples - self.fixed, 0), chance)])[:samples]


DESIGNS: Mapping[str, Design] = {
    "coin": Design("coin", 1, coin_rows, _coin_chance),
    "kernel": Design("kernel", 2, kernel_rows, _kernel_chance),
}
"""LIME's (all on, then a fair coin a player) and KernelSHAP's (all on, all off, then pairs by the Shapley kernel)."""


@dataclass(frozen=True)
class Bank:
    """Coalitions of some faces, all designs one after the other, with what the network said to each.

    Attributes
    ----------
    rows : bool tensor (face, row, player)
        False beyond a face's own players.
    players : tuple of int (face,)
    designs : tuple of str
        The designs in the order of their rows.
    samples : int
        Rows of each design.
    values : float64 tensor (face, row, target)
    """

    rows: Tensor
    players: tuple[int, ...]
    designs: tuple[str, ...]
    samples: int
    values: Tensor

    @staticmethod
    def draw(players: Sequence[int], designs: Sequence[str], samples: int, seed: int, start: int) -> Tensor:
        """The rows (face, row, player) of some faces, face i drawn with the seed, ``start + i`` and the design.

        Raises
        ------
        InputError
            If there is no such design.
        """
        rows = torch.zeros(len(players), samples * len(designs), max(players), dtype=torch.bool)
        for face, count in enumerate(players):
            for position, name in enumerate(designs):
                if name not in DESIGNS:
                    raise unknown("design", name, DESIGNS)
                chance = generator(seed, start + face, list(DESIGNS).index(name))
                rows[face, position * samples : (position + 1) * samples, :count] = DESIGNS[name].rows(
                    count, samples, chance
                )
        return rows

    @property
    def fixed(self) -> Tensor:
        """Which rows were not drawn: bool (row,)."""
        within = torch.arange(self.samples)
        return torch.cat([within < DESIGNS[name].fixed for name in self.designs]).to(self.rows.device)

    def weights(self, design: str) -> Tensor:
        """What each row weighs for a method of a design: float64 (face, row).

        Rows drawn weigh the design's chance of them over the whole bank's (the balance heuristic of multiple importance
        sampling, Veach and Guibas 1995, doi:10.1145/218380.218498), scaled to add up to the design's own
        number of rows; 1 where the bank has no other design. The design's fixed rows weigh 1, those of others 0, and so
        do rows that it never draws.
        """
        sizes = self.rows.sum(2)
        chances = torch.stack([self._log_chance(name, sizes) for name in self.designs])
        wanted = self._log_chance(design, sizes)
        weights = (wanted - chances.logsumexp(0) + log(len(self.designs))).exp()
        fixed, own = self.fixed, self.designs.index(design)
        weights = weights.masked_fill(fixed | wanted.isneginf(), 0.0)
        drawn, total = self.samples - DESIGNS[design].fixed, weights.sum(1, keepdim=True)
        weights = weights * (drawn / total.masked_fill(total == 0, 1.0))
        anchors = slice(own * self.samples, own * self.samples + DESIGNS[design].fixed)
        weights[:, anchors] = 1.0
        return weights

    def effective(self, design: str) -> Tensor:
        """The effective number (face,) of drawn rows for a design, (sum w)^2 / sum w^2."""
        weights = self.weights(design)[:, ~self.fixed]
        return weights.sum(1).square() / weights.square().sum(1)

    def _log_chance(self, design: str, sizes: Tensor) -> Tensor:
        tables = [DESIGNS[design].log_chance(count).to(sizes.device) for count in self.players]
        return torch.stack([table[size] for table, size in zip(tables, sizes, strict=True)])
