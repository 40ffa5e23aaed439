"""The local engine: units of work side by side in processes of their own, one after another where one suffices."""

import os
import queue
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import loky
from loky.backend.context import get_context
from loky.process_executor import BrokenProcessPool
from threadpoolctl import threadpool_limits

from xfer.errors import TrainingError
from xfer.progress import Stage
from xfer.study import provenance
from xfer.study.background import beside
from xfer.study.engine.work import AHEAD, BEAT, Compute, Follow, Needs, Relay, Result, Results, Work, reporter

_RESTARTED = "A worker was (stopped|restarted) while some jobs were given to the executor"
"""How loky 3.7 says that it gave a worker's memory back between two units, as it should."""


@dataclass(frozen=True)
class Local:
    """Processes of this machine, as many as its cores allow; on a GPU one unit after another.

    Attributes
    ----------
    workers : int or None
        The most units side by side; None for as many as there is room for.
    """

    workers: int | None = None

    def check(self) -> None:
        """There is always a machine."""

    def kept(self) -> AbstractContextManager[None]:
        """Nothing is: workers are begun for every run."""
        return nullcontext()

    def run(
        self,
        units: Sequence[Work],
        compute: Compute[Work, Result],
        needs: Needs,
        progress: Stage,
        follow: Follow[Work, Result] | None = None,
    ) -> Results[Work, Result]:
        """See `xfer.study.engine.work.Engine`; a killed run's workers end themselves."""
        workers = 1 if needs.device != "cpu" else needs.limited(self.workers).workers or workers_for(needs.threads)
        beside, waiting = _processes if needs.own_process else _threads, deque(units)
        while waiting:
            most = workers if follow else min(workers, len(waiting))
            some = beside if min(most, len(waiting)) > 1 else _here
            with closing(some(waiting, compute, most, progress)) as results:
                for unit, result in results:
                    waiting.extend(follow(unit, result) if follow else ())
                    yield unit, result


def _here(waiting: deque[Work], compute: Compute[Work, Result], workers: int, progress: Stage) -> Results[Work, Result]:
    """One unit, in this process."""
    unit = waiting.popleft()
    yield unit, _attempt(compute, unit, progress)


def _attempt(compute: Compute[Work, Result], unit: Work, progress: Stage) -> Result | Exception:
    try:
        return compute(unit, progress)
    except OSError:
        raise
    except Exception as error:  # whatever it is, the other units go on
        return error


def _threads(
    waiting: deque[Work], compute: Compute[Work, Result], workers: int, progress: Stage
) -> Results[Work, Result]:
    executor = ThreadPoolExecutor(workers, thread_name_prefix="units")
    try:
        for unit, future in _ended(waiting, lambda unit: executor.submit(_attempt, compute, unit, progress), workers):
            yield unit, future.result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _processes(
    waiting: deque[Work], compute: Compute[Work, Result], workers: int, progress: Stage
) -> Results[Work, Result]:
    """Until a worker is killed, by the system most likely: each unit that was open then gets a process for itself."""
    lost: list[Work] = []
    for unit, result in _pool(waiting, compute, workers, progress):
        if isinstance(result, BrokenProcessPool):
            lost.append(unit)
        else:
            yield unit, result
    for unit in lost:
        for _, result in _pool(deque([unit]), compute, 1, progress):
            broken = isinstance(result, BrokenProcessPool)
            yield unit, TrainingError("its process was killed, most likely for its memory") if broken else result


def _pool(waiting: deque[Work], compute: Compute[Work, Result], workers: int, progress: Stage) -> Results[Work, Result]:
    provenance.require_unchanged()
    context = get_context("loky")
    told: Any = context.Queue()
    executor = loky.ProcessPoolExecutor(
        workers,
        context=context,
        initializer=_begin,
        initargs=(told, os.getpid()),
        env={"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )
    finished = False
    try:
        with _relayed(told, progress), warnings.catch_warnings():
            warnings.filterwarnings("ignore", _RESTARTED, UserWarning)
            for unit, future in _ended(waiting, lambda unit: executor.submit(_remote, compute, unit), workers):
                error = future.exception()
                if isinstance(error, OSError):
                    raise error
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield unit, future.result() if error is None else error
        finished = True
    finally:
        executor.shutdown(wait=True, kill_workers=not finished)


def _ended(
    waiting: deque[Work], begin: Callable[[Work], Future[Any]], workers: int
) -> Iterator[tuple[Work, Future[Any]]]:
    """Units as they end, of which `AHEAD` for each worker have begun; once workers are gone no other begins."""
    begun: dict[Future[Any], Work] = {}
    broken = False
    while begun or (waiting and not broken):
        try:
            while waiting and len(begun) < AHEAD * workers and not broken:
                future = begin(waiting[0])
                begun[future] = waiting.popleft()
        except BrokenProcessPool:
            broken = True
        for future in wait(begun, return_when=FIRST_COMPLETED).done:
            broken = broken or isinstance(future.exception(), BrokenProcessPool)
            yield begun.pop(future), future


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and torch with one thread: on small matrices several wait for each other longer than they work.

    A linear classifier of 24 x 24 pixels took 2.6 s with one thread of two cores and 31 s with two.
    """
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def workers_for(threads: int) -> int:
    """How many units of so many threads (0: all) this machine works on side by side."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads) if threads else 1


_told: Any = None


def _begin(told: Any, parent: int) -> None:
    """A worker's first act: the interruption is the run's to handle; without the run there is no work."""
    global _told
    _told = told
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(BEAT)
    os._exit(1)


def _remote(compute: Compute[Work, Result], unit: Work) -> Result:
    return compute(unit, reporter(_told.put))


@contextmanager
def _relayed(told: Any, progress: Stage) -> Iterator[None]:
    """Hand what workers report to `progress` while the block runs."""
    relay = Relay(progress)

    def listen(over: threading.Event) -> None:
        while not over.is_set():
            try:
                event = told.get(timeout=BEAT)
            except (queue.Empty, EOFError, OSError):
                continue
            relay(event)

    with beside(listen):
        yield
