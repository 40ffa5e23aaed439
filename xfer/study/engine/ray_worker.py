"""A Ray worker: whether it may compute, and one unit of work with its progress told."""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from platform import python_version
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from xfer.errors import InputError
from xfer.progress import Stage
from xfer.study import provenance
from xfer.study.background import beside
from xfer.study.engine.work import BEAT, Compute, Event, Log, Result, Work, reporter

if TYPE_CHECKING:
    from xfer.study.engine.freight import Bag, Found, Load


@dataclass(frozen=True)
class Asked:
    """What a worker must have in common with this process.

    Attributes
    ----------
    versions : mapping
        Of everything that a unit's digest covers.
    files : tuple of path or URL
        What it must see.
    place : str
        The working directory, which relative paths begin at.
    run : str
        The run whose files it keeps for others of its machine; "" where it sees the study's folder.
    """

    versions: Mapping[str, str]
    files: tuple[Path | str, ...]
    place: str
    run: str = ""


class Mouth(NamedTuple):
    """What a worker tells through: a queue that all runs of a connection have in common, and the run it is for."""

    queue: Any
    run: str

    def tell(self, events: Sequence[Event | Log]) -> None:
        """Send what happened."""
        self.queue.put_nowait_batch([(self.run, event) for event in events])


class RefusedError(InputError):
    """A worker that must not compute."""


class Answer(NamedTuple):
    """What a unit came to, the seconds that processors worked on it, and the files that come back with it."""

    result: Any
    processor_seconds: float
    files: "list[Found]"


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
    lost = [path for path in asked.files if isinstance(path, Path) and not (Path(asked.place) / path).is_file()]
    if lost:
        return f"cannot see {lost[0]}; put data and --out where all nodes see them, or in a store"
    return _out_of_reach([url for url in asked.files if isinstance(url, str)]) or _without_room(asked.run)


def _out_of_reach(urls: list[str]) -> str:
    if not urls:
        return ""
    from xfer.datasets.objects import StoredFile

    try:
        for url in urls:
            StoredFile.of(url)
    except InputError as error:
        return f"cannot reach the store: {error}"
    return ""


def _without_room(run: str) -> str:
    if not run:
        return ""
    from xfer.study.engine.freight import depot

    try:
        depot(run)
    except InputError as error:
        return f"cannot keep files: {error}"
    return ""


def work(
    compute: Compute[Work, Result],
    unit: Any,
    shared: tuple[str, Any] | None,
    asked: Asked,
    mouth: Mouth,
    load: "Load | None" = None,
) -> Answer:
    """A task: one unit."""
    if why := trouble(asked):
        return Answer(RefusedError(f"--engine ray: node {socket.gethostname()} {why}"), 0.0, [])
    began = time.process_time()
    result: Any
    files: list[Found] = []
    try:
        with _opened(load) as bag, _reported(mouth, bag) as report:
            try:
                result = compute(_whole(unit, shared, bag), report)
            except Exception as error:
                result = bag.told(error) if bag else error
            files = bag.brought() if bag else []
    except Exception as error:  # whatever it is, the other units go on
        result = error
    if load is not None and isinstance(result, Exception):
        result = _of_this_machine(result)
    return Answer(result, time.process_time() - began, files)


def _of_this_machine(error: Exception) -> Exception:
    """An error that names this machine, where it may be one of its disk."""
    if not isinstance(error, OSError):
        return error
    if error.errno is None:
        return OSError(f"{error}, on node {socket.gethostname()}")
    return OSError(error.errno, f"{error.strerror}, on node {socket.gethostname()}", error.filename)


def _opened(load: "Load | None") -> AbstractContextManager["Bag | None"]:
    if load is None:
        return nullcontext()
    from xfer.study.engine.freight import opened

    return opened(load)


def _whole(unit: Any, shared: tuple[str, Any] | None, bag: "Bag | None") -> Any:
    """A unit with what travelled beside it, where it is here, on the GPU that it was given."""
    import ray

    unit = bag.moved(unit) if bag else unit
    if shared is not None:
        name, reference = shared
        with bag.pictures() if bag else nullcontext():
            unit = replace(unit, **{name: ray.get(reference)})
    if given := ray.get_gpu_ids():
        unit = replace(unit, device=f"cuda:{place_of(given[0], os.environ.get('CUDA_VISIBLE_DEVICES', ''))}")
    return unit


def place_of(gpu: int | str, visible: str) -> int:
    """Where a GPU of Ray's stands among those that torch sees.

    A process that does several units sees all GPUs of its node: which ones it sees is fixed by the first look at them,
    and the next unit may be given another.

    >>> place_of(1, ""), place_of("5", "3,5")
    (1, 1)
    """
    return visible.split(",").index(str(gpu)) if visible else int(gpu)


@contextmanager
def _reported(mouth: Mouth, bag: "Bag | None") -> Iterator[Stage]:
    """The progress of a worker: what happened, and logs that nobody else sees, are sent once a beat."""
    events: SimpleQueue[Event] = SimpleQueue()

    def send(over: threading.Event) -> None:
        last = False
        while not last:
            last = over.wait(BEAT)
            found: list[Event | Log] = [events.get() for _ in range(events.qsize())]
            with suppress(OSError):  # just being written
                found += bag.logs() if bag else []
            if found:
                with suppress(Exception):  # nobody listens any more
                    mouth.tell(found)

    with beside(send):
        yield reporter(events.put)
