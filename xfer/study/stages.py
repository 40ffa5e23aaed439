"""What the stages of a study took: a line each in ``stages.jsonl``, exempt from determinism."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer.progress import Stage, silent

STAGES = "stages.jsonl"
COLUMNS = ("stage", "seconds", "processor_seconds")

Seconds = NDArray[np.float64]
"""Those of a clock on the wall, and those that processors worked: (2,)."""

_Result = TypeVar("_Result")
_INSIDE: ContextVar[list[Seconds] | None] = ContextVar("stages inside the one that runs", default=None)


_elsewhere = 0.0


def now() -> Seconds:
    """The clock on the wall, and the work of this process, of those that it started and that ended, and elsewhere."""
    children = os.times()
    work = time.process_time() + children.children_user + children.children_system
    return np.array([time.perf_counter(), work + _elsewhere])


def worked_elsewhere(seconds: float) -> None:
    """Take processor seconds into account that another process tells of: one of a cluster, which no clock here sees."""
    global _elsewhere
    _elsewhere += seconds


def record(home: Path, stage: str, took: Seconds) -> None:
    """Write down what a stage of the study in a folder took."""
    seconds, work = np.maximum(took, 0).round(4).tolist()
    line = {"stage": stage, "seconds": seconds, "processor_seconds": work}
    with (home / STAGES).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


@contextmanager
def recorded(home: Path, stage: str) -> Iterator[None]:
    """Write down what a block took, less the stages inside it; one that fails leaves no line."""
    start = now()
    inside: list[Seconds] = []
    token = _INSIDE.set(inside)
    try:
        yield
    finally:
        _INSIDE.reset(token)
    took = now() - start
    if (outside := _INSIDE.get()) is not None:
        outside.append(took)
    record(home, stage, took - sum(inside, np.zeros(2)))


def taken(function: Callable[..., _Result], *arguments: Any) -> tuple[_Result, Seconds]:
    """What a function returns, and what that took."""
    began = now()
    return function(*arguments), now() - began


def timed(stage: str) -> Callable[[Callable[..., _Result]], Callable[..., _Result]]:
    """A function whose first argument is the study folder, as a stage."""

    def decorate(function: Callable[..., _Result]) -> Callable[..., _Result]:
        @wraps(function)
        def run(home: Path, *arguments: Any, **options: Any) -> _Result:
            with recorded(home, stage):
                return function(home, *arguments, **options)

        return run

    return decorate


def read(home: Path) -> pd.DataFrame:
    """What each stage of a study took, summed over the runs that worked on it: `COLUMNS`, in the order of the runs."""
    rows = []
    path = home / STAGES
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
            rows.append((str(row["stage"]), float(row["seconds"]), float(row["processor_seconds"])))
        except (ValueError, KeyError, TypeError):  # the last line of a run that was killed
            continue
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.groupby("stage", sort=False, as_index=False).sum()


def peak_mb() -> float:
    """The most memory that this process has had, in MB; NaN where the system does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


class Watch:
    """A `Stage` that remembers when stages began and when their steps were done.

    Attributes
    ----------
    begun : dict of str to array (2,)
    done : dict of str to list of array (2,)
    """

    def __init__(self, progress: Stage = silent) -> None:
        self.begun: dict[str, Seconds] = {}
        self.done: dict[str, list[Seconds]] = {}
        self._progress = progress

    def __call__(self, stage: str, steps: int) -> Callable[[], None]:
        """Begin a stage; what is called after every step."""
        tick, done = self._progress(stage, steps), self.done.setdefault(stage, [])
        self.begun[stage] = now()

        def step() -> None:
            done.append(now())
            tick()

        return step
