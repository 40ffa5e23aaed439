"""The lease of a study in a store, where no operating system keeps a lock: one run writes, and is heard of.

Leases are objects ``.lease/000001``, ``.lease/000002`` ...; the highest number counts. One is made by a conditional
write, and written again by its holder alone; who takes over makes the next. Nobody's clock is compared with another's:
a run that may be dead is watched for `SILENT` beats of the watcher's own.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import isnan
from typing import Any
from uuid import uuid4

from xfer.datasets.objects import UnansweredError, at, create, listed, reaching
from xfer.errors import InputError
from xfer.progress import Stage, duration, silent
from xfer.study.background import beside

BEAT = 5.0
"""Seconds between two beats."""
SILENT = 6
"""Beats without a word after which another run takes over."""
FOLDER = ".lease"
_FORGOTTEN = 600.0
"""Seconds after which readers are not told of a run any more; for them the store's clock is good enough."""
_MOST_BYTES = 10_000


@dataclass(frozen=True)
class Told:
    """A lease as an object tells of it.

    Attributes
    ----------
    number : int
    content : bytes
        Another one at every beat.
    holder : str
        An identity drawn at random; "?" where the object is damaged.
    process : int
        The holder's process number.
    free : bool
        Given back.
    written : float
        When, by the store's clock.
    """

    number: int
    content: bytes
    holder: str
    process: int
    free: bool
    written: float = field(compare=False)

    @classmethod
    def of(cls, number: int, content: bytes, written: float) -> "Told":
        """What the bytes of an object say."""
        try:
            told = json.loads(content)
            return cls(number, content, str(told["holder"])[:40], int(told["process"]), bool(told["free"]), written)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return cls(number, content, "?", 0, False, written)

    def __str__(self) -> str:
        return f"process {self.process}" if self.process else "another run"


def newest(url: str) -> Told | None:
    """The lease that counts; None where there was never any."""
    store, root = at(f"{url}/{FOLDER}")
    while leases := {name: file for name, file in listed(f"{url}/{FOLDER}", some=False).items() if name.isdigit()}:
        name = max(leases, key=int)
        file = leases[name]
        with suppress(FileNotFoundError):  # cleared by who took over
            content = store.cat_file(f"{root}/{name}") if file.size < _MOST_BYTES else b""
            return Told.of(int(name), content, file.written)
    return None


def told(url: str) -> str:
    """Who writes a study, or did until a moment ago, such as ``process 12, heard of 4 s ago``; "" for nobody."""
    with reaching(url):
        last = newest(url)
    if last is None or last.free:
        return ""
    since = max(0.0, time.time() - last.written)
    if isnan(since):
        return str(last)
    return "" if since > _FORGOTTEN else f"{last}, heard of {duration(since)} ago"


class Lease:
    """A lease that this process holds.

    Attributes
    ----------
    url : str
    holder : str
    number : int
    """

    def __init__(self, url: str, holder: str, number: int) -> None:
        self.url, self.holder, self.number = url, holder, number
        self._beats, self._heard = 0, time.time()
        self._trouble: InputError | None = None

    @classmethod
    def take(cls, url: str, own: str = "", progress: Stage = silent) -> "Lease":
        """Take it where it is free, or its holder is dead.

        Parameters
        ----------
        url : str
            The study.
        own : str
            An identity whose run is known to be dead, as one of this machine is whose lock is free.
        progress : callable
            Told of every beat that another run is waited for.

        Raises
        ------
        InputError
            If another run is alive, or the study may not be written.
        """
        with reaching(url, "written"):
            while True:
                last = newest(url)
                if last is not None and not last.free and last.holder != own:
                    _outlast(url, last, progress)
                lease = cls(url, uuid4().hex[:12], (last.number if last else 0) + 1)
                if lease._made():
                    lease._clear()
                    return lease

    def require(self) -> None:
        """That the last beat was not long ago: who slept, or hears nothing of the store, may have lost the lease.

        Raises
        ------
        InputError
        """
        if not 0 <= time.time() - self._heard < 2 * BEAT:
            raise self._trouble or UnansweredError(f"{self.url}: the lease of this run could not be looked at lately")

    def confirm(self) -> None:
        """That it is this process's still, by a look at the store.

        Raises
        ------
        InputError
        """
        with reaching(self.url):
            if why := self._lost():
                raise InputError(why)

    @contextmanager
    def kept(self, fail: Callable[[InputError], Any]) -> Iterator[None]:
        """Beat while the block runs, and give the lease back; `fail` is told once where it is lost."""
        try:
            with beside(lambda over: self._keep(over, fail)):
                yield
        finally:
            with suppress(Exception):  # who comes next then waits for some beats
                if not self._lost():
                    self._write(free=True)

    def _keep(self, over: threading.Event, fail: Callable[[InputError], Any]) -> None:
        while not over.wait(BEAT):
            try:
                why = self._beat()
            except InputError as error:  # another run may take over now, which is seen when the store answers again
                self._trouble = error
                continue
            if why:
                fail(InputError(why))
                return

    def _beat(self) -> str:
        """Be heard of; why that cannot be, "" where it was."""
        with reaching(self.url, "written"):
            if why := self._lost():
                return why
            began = time.time()  # others may have heard it long before the store's answer comes
            self._write()
        self._heard, self._trouble = began, None
        return ""

    def _lost(self) -> str:
        last = newest(self.url)
        if last is None:
            return f"{self.url}: the lease of this run is gone, so it stopped; what is finished is kept"
        if (last.number, last.holder) != (self.number, self.holder):
            return f"{self.url}: {last} has taken over, so this run stopped; what is finished is kept"
        return ""

    def _made(self) -> bool:
        """Make the object, unless there is one; a store that knows no conditions keeps the last of several."""
        if not create(self._place(self.number), self._content()):
            return False
        last = newest(self.url)
        return last is not None and (last.number, last.holder) == (self.number, self.holder)

    def _write(self, free: bool = False) -> None:
        self._beats += 1
        store, path = at(self._place(self.number))
        store.pipe_file(path, self._content(free))

    def _content(self, free: bool = False) -> bytes:
        told = {"format": 1, "holder": self.holder, "process": os.getpid(), "beat": self._beats, "free": free}
        return json.dumps(told).encode()

    def _place(self, number: int) -> str:
        return f"{self.url}/{FOLDER}/{number:06d}"

    def _clear(self) -> None:
        """Remove the leases before this one."""
        store, root = at(f"{self.url}/{FOLDER}")
        for name in listed(f"{self.url}/{FOLDER}", some=False):
            if name.isdigit() and int(name) < self.number:
                with suppress(FileNotFoundError):
                    store.rm_file(f"{root}/{name}")


def _outlast(url: str, last: Told, progress: Stage) -> None:
    """Watch a lease until its holder is as good as dead.

    Raises
    ------
    InputError
        If it is alive.
    """
    tick = progress(f"waiting for {last}, which may have been killed", SILENT)
    for _ in range(SILENT):
        time.sleep(BEAT)
        now = newest(url)
        if now is None or now.free:
            return
        if now != last:
            raise InputError(f"{url}: is being written by {now}; wait for it or give another --out")
        tick()
