"""What an engine is given and what it gives back; how workers tell of their progress."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from xfer.progress import Stage

Work = TypeVar("Work")
Result = TypeVar("Result")
Compute = Callable[[Work, Stage], Result]
Results = Generator[tuple[Work, Result | Exception], None, None]
Follow = Callable[[Work, Result | Exception], Iterable[Work]]
"""Told of a unit that has ended, and of its result, gives the units that may begin now."""

BEAT = 0.5
"""Seconds between two looks at workers and at what they told."""
AHEAD = 2
"""Units handed to workers for each that there is room for; the others wait here, and memory is flat."""


def _nothing(unit: Any) -> list[Path]:
    return []


@dataclass(frozen=True)
class Needs:
    """What units of work need where they are done.

    Attributes
    ----------
    threads : int
        The cores that a unit keeps busy.
    device : {"cpu", "cuda:i"}
    workers : int or None
        Units side by side; by default as many as there is room for.
    files : tuple of path or URL
        Those that units read.
    shared : str
        The field of a unit (a dataclass) that is large and the same for many, "" for none: it travels once.
    own_process : bool
        False for units that let other threads of their process work meanwhile: on this machine they need no other one.
    home : Path or None
        The study's folder, where units find and leave files.
    reads : callable
        ``unit -> paths`` of what it finds there; a name that begins with a dot is a scratch file's.
    """

    threads: int = 1
    device: str = "cpu"
    workers: int | None = None
    files: tuple[Path | str, ...] = ()
    shared: str = ""
    own_process: bool = True
    home: Path | None = None
    reads: Callable[[Any], list[Path]] = _nothing

    def limited(self, workers: int | None) -> "Needs":
        """The same with at most so many workers; None for no limit of theirs.

        >>> Needs(workers=3).limited(2).workers, Needs(workers=3).limited(None).workers
        (2, 3)
        """
        return replace(self, workers=min(filter(None, (workers, self.workers)), default=None))


class Engine(Protocol):
    """Where units of work are done. Their results follow from the units alone, so no number depends on the engine."""

    def check(self) -> None:
        """Refuse, before anything is done, what cannot work.

        Raises
        ------
        InputError
        """

    def kept(self) -> AbstractContextManager[object]:
        """What the first run inside the block starts, later ones use; it ends with the block."""

    def run(
        self,
        units: Sequence[Work],
        compute: Compute[Work, Result],
        needs: Needs,
        progress: Stage,
        follow: Follow[Work, Result] | None = None,
    ) -> Results[Work, Result]:
        """Every unit with what `compute` made of it, or the exception it ended with, as they finish.

        Units begin in their order, and after them those that follow, in the order in which they come.
        Leaving the loop early, by an exception or an interruption, ends the workers at once; threads end their unit.

        Parameters
        ----------
        units : sequence
            Picklable where other processes do them.
        compute : callable
            ``(unit, progress) -> result``, a function of a module.
        needs : Needs
        progress : callable
            Told of every stage and step.
        follow : callable, optional
            ``(unit, result) -> units``, asked once of every unit that has ended; None where all units are known.

        Raises
        ------
        InputError
            If the units cannot be done there.
        OSError
            What a unit raised: the disk is everybody's.
        """


Event = tuple[str, str, int]
"""A stage that begins, as key, name and number of steps; or a step of it, as key, "" and 0."""


Log = tuple[str, bytes]
"""A log that goes on: its name in the study, and what is in it so far."""


def reporter(send: Callable[[Event], None]) -> Stage:
    """The progress of a worker: stages and steps as events."""

    def stage(name: str, steps: int) -> Callable[[], None]:
        key = uuid4().hex
        send((key, name, steps))
        return lambda: send((key, "", 0))

    return stage


class Relay:
    """Hands the events of workers to the progress of a run."""

    def __init__(self, progress: Stage) -> None:
        self._progress = progress
        self._ticks: dict[str, Callable[[], None]] = {}

    def __call__(self, event: Event) -> None:
        """Take an event; a step of a stage whose begin was lost is no step."""
        key, stage, steps = event
        if stage:
            self._ticks[key] = self._progress(stage, steps)
        elif key in self._ticks:
            self._ticks[key]()
