"""What is resampled, a block at a time: units of an engine, each kept as a file until a study's tables are all there.

Whoever is resampled draws with a seed of its own, so neither blocks nor engine touch a number.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xfer.progress import Stage
from xfer.study import provenance
from xfer.study.engine import Engine, Needs
from xfer.study.folder import PARTIALS, sweep, write_whole

MEMBERS = 2
"""Heatmaps, or pairs of networks, of a block."""

Rows = list[dict[str, Any]]
"""Text, numbers and arrays by name."""

_ROOMS = ("metrics", "nulls", "statistics", "study/intervals", "study/contrasts", "study/units", "study/resampling")


class Resampled(Protocol):
    """Some things that are resampled one by one; picklable."""

    def told(self) -> Iterable[bytes]:
        """All that the rows follow from."""

    def rows(self, member: int) -> Rows:
        """What is found of one of them, whatever is asked of others."""


@dataclass(frozen=True, eq=False)
class Block:
    """Some of what is resampled, for an engine.

    Attributes
    ----------
    resampled : Resampled
    members : tuple of int
    path : Path
        Where their rows go.
    """

    resampled: Resampled
    members: tuple[int, ...]
    path: Path


def compute(block: Block, progress: Stage) -> None:
    """Write the rows of a block; one that is there is left as it is."""
    if block.path.is_file():
        return
    tick, found = progress("resampling", len(block.members)), []
    for member in block.members:
        found.append(block.resampled.rows(member))
        tick()
    write_whole(block.path, partial(_write, found))


def resample(resampled: Resampled, count: int, home: Path, engine: Engine, tick: Callable[[], None]) -> list[Rows]:
    """The rows of so many members in their order, by way of files that `clear` removes.

    Parameters
    ----------
    resampled : Resampled
    count : int
    home : Path
        The study folder; blocks that an ended run left there are not computed again.
    engine : Engine
    tick : callable
        Called once a member.
    """
    told = [*resampled.told(), provenance.source_digest(_ROOMS).encode(), *map(str.encode, _libraries())]
    name = f"resampled-{provenance.digest_bytes(told)[:24]}"
    (home / PARTIALS).mkdir(exist_ok=True)
    blocks = [
        Block(resampled, tuple(range(start, min(start + MEMBERS, count))), home / PARTIALS / f"{name}.{start}.npz")
        for start in range(0, count, MEMBERS)
    ]
    missing = [block for block in blocks if not block.path.is_file()]
    for _ in range(count - sum(len(block.members) for block in missing)):
        tick()
    needs = Needs(shared="resampled", own_process=False, home=home)
    with closing(engine.run(missing, compute, needs, lambda stage, steps: tick)) as results:
        for _, result in results:
            if isinstance(result, Exception):
                raise result
    return [rows for block in blocks for rows in _read(block.path)]


def clear(home: Path) -> None:
    """Remove the blocks."""
    sweep(home, "resampled-*.npz")


def _libraries() -> list[str]:
    return [f"{name} {version}" for name, version in provenance.unit_facts().items() if name != "source"]


def _write(found: Sequence[Rows], path: Path) -> None:
    """Numbers and text as JSON, which keeps every bit of them; arrays as they are."""
    arrays: dict[str, NDArray[Any]] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays[name := f"array{len(arrays)}"] = value
            return {"array": name}
        return value.item() if isinstance(value, np.generic) else value

    told = [[{name: plain(value) for name, value in row.items()} for row in rows] for rows in found]
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, rows=np.array(json.dumps(told)), **arrays)


def _read(path: Path) -> list[Rows]:
    with np.load(path, allow_pickle=False) as held:
        told: list[Rows] = json.loads(str(held["rows"]))
        return [
            [{k: held[v["array"]] if isinstance(v, dict) else v for k, v in row.items()} for row in rows]
            for rows in told
        ]
