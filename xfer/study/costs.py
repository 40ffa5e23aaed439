"""What a study costs, stage by stage: planned before it runs, and afterwards against what it took."""

import html
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xfer import scoring
from xfer.errors import InputError
from xfer.study import stages, unit_log
from xfer.study.folder import COSTS, write_whole
from xfer.study.places import config_of, named, reading
from xfer.study.results import config_digest

COLUMNS = (
    "stage", "network", "units", "unit_s", "total_s", "processor_s", "memory_mb", "disk_mb", "forwards",
)  # fmt: skip
COMPARED = ("stage", "network", "planned_s", "actual_s", "ratio", "planned_processor_s", "actual_processor_s")
TRAINING, HEATMAPS, RANDOMISED = "training", "heatmaps", "randomised"
PARTS = (TRAINING, HEATMAPS, RANDOMISED)
"""What is done with a network."""

_TOTAL = "total"
_ALONE = 0.8
"""Where a fold of one network, or a twin, takes this share of the time of all, there is nothing to do beside it."""
_SHOWN = {
    "units": "units", "unit_s": "a unit, s", "total_s": "s", "processor_s": "processor, s", "memory_mb": "memory, MB",
    "disk_mb": "disk, MB", "forwards": "forwards",
}  # fmt: skip


def makespan(seconds: Sequence[float], workers: int, parts: Mapping[int, Sequence[float]] | None = None) -> float:
    """How long units take that are begun in their order, each as soon as one of so many workers is free.

    The parts of a unit, by its place, wait behind all others from its end on.

    >>> makespan([3, 2, 2], 2), makespan([2, 2, 3], 2), makespan([3, 1], 2, {1: [1, 1, 1]})
    (4.0, 5.0, 4.0)
    """
    waiting: deque[tuple[float, Sequence[float]]] = deque(
        (each, (parts or {}).get(place, ())) for place, each in enumerate(seconds)
    )
    busy: list[tuple[float, int, Sequence[float]]] = []
    now = 0.0
    for turn in count():
        if waiting and len(busy) < max(1, workers):
            each, released = waiting.popleft()
            heappush(busy, (now + each, turn, released))
        elif busy:
            now, _, released = heappop(busy)
            waiting.extend((each, ()) for each in released)
        else:
            break
    return now


@dataclass(frozen=True, eq=False)
class Costs:
    """What a study will cost.

    Attributes
    ----------
    stages : DataFrame
        `COLUMNS`, a row a stage and, with the name of a network, a part of the stage ``networks``: how many units,
        seconds a unit, ``total_s`` on the wall (of a network one fold after another, of ``networks`` side by side),
        ``processor_s`` that processors work, the most memory and what stays on disk (MB; of ``pictures`` while the
        study runs only), and faces that go through a network.
    faces, folds, workers : int
        Workers are networks worked on side by side.
    device : str
    notes : tuple of str
        What the numbers leave out or take for granted.
    """

    stages: pd.DataFrame
    faces: int
    folds: int
    workers: int
    device: str
    notes: tuple[str, ...] = ()

    @property
    def _whole(self) -> pd.DataFrame:
        return self.stages[self.stages["network"] == ""]

    @property
    def total(self) -> float:
        """Seconds on the wall."""
        return float(self._whole["total_s"].sum())

    @property
    def processor(self) -> float:
        """Seconds that processors work."""
        return float(self._whole["processor_s"].sum())

    @property
    def gpu_hours(self) -> float:
        """Hours that networks keep graphics processors; 0 on the CPU."""
        parts = self.stages[self.stages["network"] != ""]
        return float(parts["total_s"].sum()) / 3600 if self.device.startswith("cuda") else 0.0

    @property
    def memory_mb(self) -> float:
        """The most memory at once."""
        return float(self._whole["memory_mb"].max())

    @property
    def disk_mb(self) -> float:
        """What stays on disk."""
        return float(self.stages.loc[self.stages["stage"] != "pictures", "disk_mb"].sum())

    @property
    def forwards(self) -> float:
        """Faces that go through a network, once each."""
        return float(self.stages["forwards"].sum())

    @property
    def bottleneck(self) -> str:
        """The stage, and of the networks the part of one, that most of the time goes to, and what would shorten it."""
        longest = self._whole.iloc[int(np.argmax(self._whole["total_s"]))]
        share = longest["total_s"] / self.total if self.total else 0.0
        if longest["stage"] != "networks":
            return f"{longest['stage']}, {share:.0%} of the time"
        parts = self.stages[self.stages["network"] != ""]
        worst = parts.iloc[int(np.argmax(parts["total_s"]))]
        named = f"networks, {share:.0%} of the time, most of all {worst['stage']} ({_span(worst['total_s'])})"
        alone = longest["unit_s"] > _ALONE * longest["total_s"]
        return f"{named}; {'more workers do not help' if alone else 'more workers help'}"

    def __str__(self) -> str:
        """A table, and what it comes to."""
        return "\n".join([self._shown().to_string(), *self.summary()])

    def _shown(self) -> pd.DataFrame:
        """The table in words; parts of a stage are moved in."""
        table = self.stages
        names = [f"  {s}" if network else str(s) for s, network in zip(table["stage"], table["network"], strict=True)]
        shown = table[list(_SHOWN)].map(_number).set_axis(list(_SHOWN.values()), axis=1)
        return shown.set_axis(pd.Index(names), axis=0)

    def summary(self) -> list[str]:
        """The sums, the bottleneck and the notes, a line each."""
        networks = self.stages[self.stages["network"] != ""]["total_s"].sum()
        side = f"{self.workers} side by side" if self.workers > 1 else "one after another"
        disk = self.stages.loc[self.stages["stage"] == "pictures", "disk_mb"].sum()
        gpu = f"{self.gpu_hours:.2g} GPU-hours, " if self.device.startswith("cuda") else ""
        return [
            f"{self.faces} faces, {self.folds} fold{'s' * (self.folds != 1)}, networks {side} "
            f"({_span(networks)} of work) on {self.device}",
            f"{_span(self.total)} on the wall, {_span(self.processor)} of processors, {gpu}"
            f"{self.memory_mb / 1e3:.1f} GB of memory, {self.disk_mb:.0f} MB on disk and {disk:.0f} MB more "
            f"while it runs, {_count(self.forwards)} forwards",
            f"bottleneck: {self.bottleneck}",
            *self.notes,
        ]

    def _repr_html_(self) -> str:
        table: str = self._shown().to_html()
        return table + "".join(f"<p>{html.escape(line)}</p>" for line in self.summary())


def _number(value: float) -> str:
    if not np.isfinite(value) or value == 0:
        return ""
    return _count(value) if value >= 10_000 else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _count(value: float) -> str:
    """A large number in words.

    >>> _count(1234), _count(36_000_000)
    ('1,234', '36 M')
    """
    for size, word in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if word == 'k' else size):.3g} {word}"
    return f"{value:,.0f}"


def _span(seconds: float) -> str:
    """A span of time in one unit.

    >>> _span(5.2), _span(200), _span(9000), _span(400_000)
    ('5.2 s', '3.33 min', '2.5 h', '4.63 d')
    """
    for size, word in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.3g} {word}"
    return f"{seconds:.2g} s"


def write(home: Path, costs: Costs, config: Mapping[str, Any]) -> Path:
    """Keep a plan in the folder that its study, of this configuration, will have, or has: ``costs.csv``; the path."""
    home.mkdir(parents=True, exist_ok=True)
    write_whole(home / COSTS, partial(scoring.write_csv, costs.stages.assign(config=config_digest(config))))
    return home / COSTS


def read(home: Path) -> pd.DataFrame | None:
    """The stages of the plan that a folder keeps; None without one, or where it is another study's.

    Raises
    ------
    InputError
        If it is damaged.
    """
    path = home / COSTS
    if not path.is_file():
        return None
    try:
        table = scoring.read_csv(path)
        numbers = {name: pd.to_numeric(table[name], errors="coerce") for name in COLUMNS[2:]}
        config = config_of(home)
        if config is not None and set(table["config"]) != {config_digest(config)}:
            return None
        return table.assign(**numbers)[list(COLUMNS)]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{named(path)}: is damaged ({' '.join(str(error).split())}); plan again, or remove it"
        ) from None


def planned_seconds(home: Path) -> dict[str, float]:
    """What training and explaining each network was planned to take; empty without a plan."""
    try:
        table = read(home)
    except InputError:
        return {}
    if table is None:
        return {}
    parts = table[(table["network"] != "") & ~table["stage"].str.endswith(f": {RANDOMISED}")]
    return {str(name): float(value) for name, value in parts.groupby("network")["total_s"].sum().items()}


def against(home: str | Path) -> pd.DataFrame:
    """Planned against actual: `COMPARED`, a row a stage and a network's part, and their sum at the end.

    ``ratio`` is planned over actual seconds on the wall; what was not planned, or not recorded, is NaN. Where
    several runs worked on a study their seconds are added.

    Raises
    ------
    InputError
        If nothing is recorded of the study.
    """
    home = reading(home)
    took = actual(home)
    if not len(took):
        raise InputError(
            f"{named(home)}: tells of no stage of a study; run 'xfer compare', or give the folder that it wrote"
        )
    planned = read(home)
    if planned is None:
        planned = pd.DataFrame(columns=list(COLUMNS))
    planned = planned[["stage", "network", "total_s", "processor_s"]].set_axis(
        ["stage", "network", "planned_s", "planned_processor_s"], axis=1
    )
    table = planned.merge(took, "outer", ["stage", "network"], sort=False)
    order = [*planned["stage"], *took["stage"]]
    table = table.sort_values("stage", key=lambda names: names.map(order.index), kind="stable")
    numbers = ["planned_s", "planned_processor_s", "actual_s", "actual_processor_s"]
    table[numbers] = table[numbers].astype(float)
    whole = table.loc[table["network"] == "", numbers].sum(min_count=1)
    table = pd.concat([table, pd.DataFrame([{"stage": _TOTAL, "network": "", **whole}])], ignore_index=True)
    return table.assign(ratio=table["planned_s"] / table["actual_s"])[list(COMPARED)]


def actual(home: Path) -> pd.DataFrame:
    """What the stages of a study and the parts of its networks took: stage, network, actual_s, actual_processor_s."""
    rows: list[tuple[str, str, float, float]] = []
    for stage, seconds, work in stages.read(home).itertuples(index=False):
        rows.append((stage, "", seconds, work))
        if stage == "networks":
            rows += [(part_name(*key), key[0], took, np.nan) for key, took in _of_networks(home).items()]
    return pd.DataFrame(rows, columns=["stage", "network", "actual_s", "actual_processor_s"])


def part_name(network: str, part: str) -> str:
    """The stage of one of `PARTS` of a network."""
    return f"{network}: {part}"


def _of_networks(home: Path) -> dict[tuple[str, str], float]:
    took: dict[tuple[str, str], float] = {}
    for unit in unit_log.read(home):
        parts: Iterable[tuple[str, str]] = ((TRAINING, "train_seconds"), (HEATMAPS, "explain_seconds"))
        if "randomised" in unit:
            parts = ((RANDOMISED, "explain_seconds"),)
        for part, name in parts:
            key = unit["model"], part
            took[key] = took.get(key, 0.0) + unit[name]
    return took
