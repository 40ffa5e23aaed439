"""The other processes of a training: found or started, called, and ended with the first.

The first process does whatever is not training; the others wait until it calls them. Where torchrun or Slurm's srun
started them all, they are the processes with the same command line; on one machine they are started when they are first
called, speak with the first over the loopback interface alone, and find it by a file. What they are sent is code: they
trust one another, and belong into a trusted network.
"""

import os
import pickle
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import cloudpickle
import torch
from loky.backend.context import get_context
from loky.backend.utils import kill_process_tree

from xfer.errors import InputError, TrainingError
from xfer.training import meeting
from xfer.training.meeting import distributed
from xfer.training.ranks import ALONE, Place, Ranks

P = ParamSpec("P")
Result = TypeVar("Result")

_BEAT = 0.1
"""Seconds between two looks at what a process waits for."""
_CAUSE = 2.0
"""Seconds in which a process that fails says so, before the others notice that it is gone."""
_FAREWELL = 10.0
"""Seconds that the first process waits for the others to have heard that it is over."""
_OVER = "over"


@dataclass
class Crew:
    """The processes that train together, as the first of them has them.

    Attributes
    ----------
    ranks : Ranks
    store : Store
        What all of them read and write.
    path : Path or None
        Of the store's file where the others are started here.
    """

    ranks: Ranks
    store: Any
    path: Path | None
    _calls: int = 0
    _broken: bool = False
    _others: list[Any] = field(default_factory=list)

    def call(self, kind: str, work: Callable[..., Result], own: tuple[Any, ...], sent: tuple[Any, ...]) -> Result:
        """What ``work(place, *own)`` returns here, while the others do ``work(place, *sent)``.

        An error that every process has, a `TrainingError`, leaves them in their places. Any other ends the others, and
        is the one of the process that had it first.

        Parameters
        ----------
        kind : {"cpu", "cuda"}
        work : callable
        own, sent : tuple
        """
        call, self._calls, first = self._calls, self._calls + 1, False
        place, payload = Place(self.ranks), [cloudpickle.dumps((work, sent))]
        try:
            self._muster(call, kind)
            with meeting.group(self.store, call, kind, place, here=self.path is not None):
                distributed.broadcast_object_list(payload, device=torch.device("cpu"))
                try:
                    return work(place, *own)
                except Exception:  # before the group ends, by which the others fail too
                    first = _is_first(self.store, call)
                    raise
        except TrainingError:
            raise
        except Exception as error:
            cause = error if first and not _of_connection(error) else self._cause(call, error)
            self._broken = self.path is None
            self.dismiss()
            if self.path is None:
                told = " ".join(str(cause).split())
                raise ConnectionError(f"{self.ranks}: the processes ended ({told}); what is finished is kept") from None
            raise cause from None
        except BaseException:
            self.dismiss()
            raise

    def _muster(self, call: int, kind: str) -> None:
        """Call the others, and wait until they are there."""
        if self.path is not None and not self._others:
            context = get_context("loky")
            for rank in range(1, self.ranks.processes):
                arguments = (self.ranks, rank, str(self.path), call, os.getpid())
                other = context.Process(target=_started, args=arguments, daemon=True)
                other.start()
                self._others.append(other)
        self.store.set(f"call {call}", kind)
        ready = [f"ready {call} {rank}" for rank in range(1, self.ranks.processes)]
        end = time.monotonic() + meeting.PATIENCE.total_seconds()
        while not self.store.check(ready):
            if time.monotonic() > end or self._lost():
                there = 1 + sum(self.store.check([each]) for each in ready)
                raise TimeoutError(f"{there} of {self.ranks.processes} processes came")
            time.sleep(_BEAT)

    def _lost(self) -> bool:
        return not all(other.is_alive() for other in self._others)

    def _cause(self, call: int, error: Exception) -> Exception:
        """What another process failed with first; else that one is lost; else the error itself."""
        if not isinstance(error, RuntimeError | TimeoutError):
            return error
        end = time.monotonic() + _CAUSE
        while time.monotonic() < end and not self._lost():
            if self.store.check([f"error {call}"]):
                break
            time.sleep(_BEAT)
        if self.store.check([f"error {call}"]):
            found: Exception = pickle.loads(self.store.get(f"error {call}"))
            return found
        if self._lost() or _of_connection(error):
            return TrainingError("a process that trained with this one was killed, most likely for its memory")
        return error

    def dismiss(self) -> None:
        """End the others that were started here; a further call starts new ones."""
        for other in self._others:
            kill_process_tree(other)
        self._others = []

    def end(self, code: int) -> None:
        """Let the others go, who end with an exit code; those that lost this one end by themselves."""
        if self.path is None and not self._broken:
            left = [f"bye {rank}" for rank in range(1, self.ranks.processes)]
            end = time.monotonic() + _FAREWELL
            self.store.set(f"call {self._calls}", f"{_OVER} {code}")
            while not self.store.check(left) and time.monotonic() < end:
                time.sleep(_BEAT)
        self.dismiss()


_crew: Crew | None = None
"""The one that this process leads."""


@contextmanager
def led(ranks: Ranks) -> Iterator[None]:
    """A block of the first process, in which `together` calls the others.

    Under torchrun and srun the others never come into it: they train what they are called for and end with it.

    Raises
    ------
    InputError
        If other processes, or another number of them, were started than asked for.
    SystemExit
        In the others, at the end.
    """
    global _crew
    if _crew is not None and _crew.ranks != ranks and ranks.processes > 1:
        raise InputError(f"{ranks}: this process leads those of {_crew.ranks} already")
    if _crew is not None or ranks.processes == 1:
        yield
        return
    with ExitStack() as stack:
        found = meeting.found(ranks)
        if found is None:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="xfer-", ignore_cleanup_errors=True))
            path = Path(place) / "store"
            crew = Crew(ranks, distributed.FileStore(str(path), -1), path)
        else:
            here, store = found
            if here.rank:
                raise SystemExit(_serve(store, here, 0))
            crew = Crew(ranks, store, None)
        code = 1
        _crew = crew
        try:
            yield
            code = 0
        finally:
            _crew = None
            crew.end(code)


def strangers() -> str:
    """Who started processes beside this one that do not train with it: ``torchrun``, ``srun``, or "" for nobody."""
    return meeting.launcher() if _crew is None else ""


def by_the_first(work: Callable[P, Result]) -> Callable[P, Result]:
    """Let a function with the options ``devices``, ``nodes`` and ``strategy`` run in the first process alone."""

    @wraps(work)
    def run(*args: P.args, **options: P.kwargs) -> Result:
        asked: dict[str, Any] = {name: options[name] for name in ("devices", "nodes", "strategy") if name in options}
        with led(Ranks(**asked)):
            return work(*args, **options)

    return run


def together(
    ranks: Ranks, kind: str, work: Callable[..., Result], own: tuple[Any, ...], sent: tuple[Any, ...]
) -> Result:
    """`Crew.call` of the crew that is led, or of one for this call; in one process ``work(ALONE, *own)``.

    Raises
    ------
    InputError
        If this process has a group of its own.
    """
    if ranks.processes == 1:
        return work(ALONE, *own)
    if distributed.is_initialized():
        raise InputError(f"{ranks}: this process is in a process group already; leave it first")
    if _crew is None and meeting.launcher():
        raise InputError(
            f"{ranks}: with {meeting.launcher()}, call xfer.train, compare or guide, which share their trainings"
        )
    with led(ranks):
        assert _crew is not None
        return _crew.call(kind, work, own, sent)


def _started(ranks: Ranks, rank: int, path: str, call: int, parent: int) -> None:
    """What a process does that the first one started: an interruption is the first one's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    sys.exit(_serve(distributed.FileStore(path, -1), Place(ranks, rank, rank), call, here=True))


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_BEAT)
    os._exit(1)


def _serve(store: Any, place: Place, call: int, *, here: bool = False) -> int:
    """Do what the first process calls for, until it is over; the exit code.

    An error that this process alone has ends it, by which the others notice.
    """
    while True:
        try:
            kind = _called(store, call)
        except RuntimeError:  # the first process is gone
            return 1
        if kind.startswith(_OVER):
            store.set(f"bye {place.rank}", "")
            return int(kind.split()[1])
        try:
            store.set(f"ready {call} {place.rank}", "")
            with meeting.group(store, call, kind, place, here=here):
                told: list[Any] = [None]
                distributed.broadcast_object_list(told, device=torch.device("cpu"))
                work, sent = pickle.loads(told[0])
                work(place, *sent)
        except TrainingError:
            pass
        except BaseException as error:
            with suppress(Exception):
                if _is_first(store, call):
                    store.set(f"error {call}", _plain(error))
            os._exit(1)
        call += 1


def _called(store: Any, call: int) -> str:
    key = f"call {call}"
    while not store.check([key]):
        time.sleep(_BEAT)
    return str(store.get(key).decode())


def _is_first(store: Any, call: int) -> bool:
    """Whether no other process has failed in a call; each asks once, when it does."""
    return bool(store.add(f"errors {call}", 1) == 1)


def _of_connection(error: Exception) -> bool:
    """Whether an error says that another process is gone: by torch's kind for all that, which gloo's are not of."""
    return isinstance(error, distributed.DistError) or any(word in str(error) for word in ("gloo", "NCCL"))


def _plain(error: BaseException) -> bytes:
    """An error without what hangs on it."""
    try:
        return cloudpickle.dumps(error.with_traceback(None))
    except Exception:
        return cloudpickle.dumps(RuntimeError(str(error)))
