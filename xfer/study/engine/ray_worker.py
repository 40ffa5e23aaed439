"""A Ray worker: whether it may compute, and one unit of work with its progress told."""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from platform import python_version
from queue import SimpleQueue
from typing import Any, NamedTuple

from xfer.errors import InputError
from xfer.progress import Stage
from xfer.study import provenance
from xfer.study.background import beside
from xfer.study.engine.work import BEAT, Compute, Event, Result, Work, reporter


@dataclass(frozen=True)
class Asked:
    """What a worker must have in common with this process.

    Attributes
    ----------
    versions : mapping
        Of everything that a unit's digest covers.
    files : tuple of Path
        What it must see.
    place : str
        The working directory, which relative paths begin at.
    """

    versions: Mapping[str, str]
    files: tuple[Path, ...]
    place: str


class RefusedError(InputError):
    """A worker that must not compute."""


class Answer(NamedTuple):
    """What a unit came to, and the seconds that processors worked on it."""

    result: Any
    processor_seconds: float


_BESIDES = ("onnxruntime", "mediapipe", "POT")
"""What black boxes, landmarks and null models follow from."""


@cache
def versions() -> dict[str, str]:
    """What the numbers of a unit follow from, as this process has it."""
    libraries = provenance.library_versions(*provenance.EXPLAINERS, *_BESIDES)
    return {"Python": python_version(), "xfer's source": provenance.source_digest()[:12], **libraries}


def trouble(asked: Asked) -> str:
    """Why this process must not work on the units; "" where it may."""
    own = versions()
    wrong = [
        f"{name} {own.get(name, 'missing')} there, {value} here"
        for name, value in asked.versions.items()
        if own.get(name) != value
    ]
    if wrong:
        return f"has {', '.join(wrong)}; install the same there"
    with suppress(OSError):
        os.chdir(asked.place)
    lost = [str(path) for path in asked.files if not (Path(asked.place) / path).is_file()]
    return f"cannot see {lost[0]}; put data and --out where all nodes see them" if lost else ""


def work(compute: Compute[Work, Result], unit: Any, shared: tuple[str, Any] | None, asked: Asked, board: Any) -> Answer:
    """A task: one unit."""
    if why := trouble(asked):
        return Answer(RefusedError(f"--engine ray: node {socket.gethostname()} {why}"), 0.0)
    import ray

    began = time.process_time()
    if shared is not None:
        name, reference = shared
        unit = replace(unit, **{name: ray.get(reference)})
    if given := ray.get_gpu_ids():
        unit = replace(unit, device=f"cuda:{place_of(given[0], os.environ.get('CUDA_VISIBLE_DEVICES', ''))}")
    result: Any
    with _reported(board) as report:
        try:
            result = compute(unit, report)
        except Exception as error:  # whatever it is, the other units go on
            result = error
    return Answer(result, time.process_time() - began)


def place_of(gpu: int | str, visible: str) -> int:
    """Where a GPU of Ray's stands among those that torch sees.

    A process that does several units sees all GPUs of its node: which ones it sees is fixed by the first look at them,
    and the next unit may be given another.

    >>> place_of(1, ""), place_of("5", "3,5")
    (1, 1)
    """
    return visible.split(",").index(str(gpu)) if visible else int(gpu)


@contextmanager
def _reported(board: Any) -> Iterator[Stage]:
    """The progress of a worker: what happened is sent once a beat."""
    events: SimpleQueue[Event] = SimpleQueue()

    def send(over: threading.Event) -> None:
        last = False
        while not last:
            last = over.wait(BEAT)
            if found := [events.get() for _ in range(events.qsize())]:
                with suppress(Exception):  # nobody listens any more
                    board.put_nowait_batch(found)

    with beside(send):
        yield reporter(events.put)
