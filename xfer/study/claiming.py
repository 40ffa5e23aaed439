"""One run holds a study: by the system's lock in a folder, by a lease in a store, to which all it writes is brought."""

import _thread
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from xfer.datasets.objects import UnansweredError
from xfer.errors import InputError
from xfer.progress import Stage, silent
from xfer.study import folder
from xfer.study.background import beside
from xfer.study.folder import MAPS
from xfer.study.lease import Lease
from xfer.study.mirror import Mirror

EVERY = 2.0
"""Seconds between two looks at what has changed here."""
PATIENCE = 600.0
"""Seconds for which a run goes on although the store does not answer."""


@contextmanager
def claim(
    home: Path,
    config: Mapping[str, Any],
    *,
    fresh: bool = False,
    nodes: int = 1,
    progress: Stage = silent,
) -> Iterator[None]:
    """Hold the study of `config` for one run, as `xfer.study.folder.claim` does; one of a store there too.

    Parameters
    ----------
    home : Path
        As `xfer.study.places.writing` gives it.
    config : mapping
    fresh : bool
        Set a study that is there aside.
    nodes : int
        On which a network is trained.
    progress : callable
        Told of the wait for a run that may be dead.

    Raises
    ------
    InputError
        As `xfer.study.folder.claim`; and if the lease is lost, the store refuses, or something else writes there.
    """
    mirror = Mirror.of(home)
    if mirror is None:
        with folder.claim(home, config, fresh=fresh):
            yield
        return
    if nodes > 1:
        raise InputError(
            f"{mirror.url}: --nodes {nodes}: other nodes do not see it; give --out in a folder that all see"
        )
    with _named(mirror), mirror.alone():
        mirror.begin(fresh)
        with folder.claim(home, config), _leased(mirror, config, fresh, progress):
            yield


@contextmanager
def quiet(home: Path) -> Iterator[None]:
    """Hold a study in a store for a moment in which nothing of it is begun; a folder here is not held.

    Raises
    ------
    InputError
        If a run is live there.
    """
    mirror = Mirror.of(home)
    if mirror is None:
        yield
        return
    with mirror.alone(), Lease.take(mirror.url, mirror.holder).kept(lambda error: None):
        yield


@contextmanager
def _leased(mirror: Mirror, config: Mapping[str, Any], fresh: bool, progress: Stage) -> Iterator[None]:
    """Hold the lease, begin with what the store has, and bring there what the block writes."""
    run = _Run()
    lease = Lease.take(mirror.url, mirror.holder, progress)
    with lease.kept(run.fail):
        mirror.holder = lease.holder
        mirror.save()
        if fresh:
            mirror.set_aside()
        else:
            mirror.pull(lambda name: not name.startswith(f"{MAPS}/"), alone=True)
            folder.require_same(mirror.home, config)  # another run may have begun and ended since that was looked at
        mirror.push()
        try:
            with run.interruptible(), _followed(mirror, lease, run):
                yield
        except BaseException:
            if run.failure is not None:
                raise run.failure from None
            with suppress(InputError):  # what ended the run matters more
                lease.confirm()
                mirror.push()
            raise
        run.require()
        lease.confirm()
        mirror.push()
        mirror.require()
        run.require()


@contextmanager
def _named(mirror: Mirror) -> Iterator[None]:
    """Messages name the URL in place of the mirror."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(str(mirror.home), mirror.url)) from None


@contextmanager
def _followed(mirror: Mirror, lease: Lease, run: "_Run") -> Iterator[None]:
    """Bring what changes to the store while the block runs."""

    def follow(over: threading.Event) -> None:
        answered = time.monotonic()
        while not over.wait(EVERY) and run.failure is None:
            try:
                lease.require()
                mirror.push(lease.require)
                answered = time.monotonic()
            except InputError as error:
                if not isinstance(error, UnansweredError) or time.monotonic() > answered + PATIENCE:
                    run.fail(error)

    with beside(follow):
        yield


class _Run:
    """A run that other threads may end.

    Attributes
    ----------
    failure : InputError or None
        Why.
    """

    def __init__(self) -> None:
        self.failure: InputError | None = None
        self._interruptible, self._lock = False, threading.Lock()

    def fail(self, error: InputError) -> None:
        """End the run: as an interruption from the keyboard does, which every part of it knows."""
        with self._lock:
            if self.failure is None:
                self.failure = error
                if self._interruptible:
                    _interrupt()

    def require(self) -> None:
        """Raise the failure, if there is one."""
        if self.failure is not None:
            raise self.failure

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let `fail` interrupt the block, in the main thread; elsewhere it is told of at the end.

        A run that has failed already does not begin it.
        """
        self.require()
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)
        deaf = before in (signal.SIG_IGN, None)  # as in the background of a script
        if deaf:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with self._lock:
                self._interruptible = True
            self.require()  # what came before
            yield
        finally:
            with self._lock:
                self._interruptible = False
            if deaf:
                signal.signal(signal.SIGINT, before or signal.SIG_IGN)


def _interrupt() -> None:
    """An interruption of the main thread, also where it waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
