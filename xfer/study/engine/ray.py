"""Ray as the engine: a unit of work is a task on a cluster that is there, or on one that this machine is for the run.

Ray runs code: who reaches a cluster's ports runs programs on it. A cluster of this run is bound to 127.0.0.1 and asks
for a token; others belong into trusted networks.
"""

import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xfer.errors import InputError
from xfer.progress import Stage
from xfer.study.engine.local import workers_for
from xfer.study.engine.ray_tasks import Board, Tasks, farewell
from xfer.study.engine.work import Compute, Follow, Needs, Result, Results, Work

if TYPE_CHECKING:
    from xfer.study.engine.freight import Freight

_ANSWER = 5.0
"""Seconds that a cluster has to take a connection."""
_OWN = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
"""What Ray reads when it is imported: the first binds nodes to 127.0.0.1, on Linux too."""
_NONE_AHEAD = {"RAY_prestart_worker_first_driver": "0"}
"""A worker that Ray starts ahead has not the environment that tasks ask for: it is never used, and is waited for."""


class _Held(ExitStack):
    """What ends with the block that keeps a connection.

    Attributes
    ----------
    own : bool
        Whether the cluster is one of this run.
    freights : dict of Path to Freight
        What is carried for studies, by their folders.
    """

    def __init__(self) -> None:
        super().__init__()
        self.own = False
        self.freights: dict[Path, Freight] = {}


_KEPT: ContextVar[_Held | None] = ContextVar("the block that keeps a connection", default=None)


@dataclass(frozen=True)
class Ray:
    """A Ray cluster; of a study in a store it carries the files that units read and write, see `Freight`.

    Attributes
    ----------
    address : str
        ``HOST:PORT`` of the head, ``auto`` for the cluster that this machine is part of; "" makes one of this machine's
        cores and GPUs, which ends with the run. Inside a process that has called ``ray.init``, that cluster.
    gpus : float
        GPUs of a unit on ``cuda``; a fraction puts several units on one.
    memory : float
        GB that a unit asks for; 0 for no say in it.
    workers : int or None
        The most units side by side; None for as many as there is room for.
    """

    address: str = ""
    gpus: float = 1
    memory: float = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        if not (0 < self.gpus <= 1 or (isfinite(self.gpus) and self.gpus == int(self.gpus) > 0)):
            raise InputError(f"--gpus {self.gpus}: give a share of a GPU such as 0.5, or a whole number of them")
        if not 0 <= self.memory < float("inf"):
            raise InputError(f"--memory {self.memory}: give the GB that a unit may take")
        host, colon, port = self.address.rpartition(":")
        if self.address not in ("", "auto") and not (host and colon and port.isdigit() and "/" not in host):
            raise InputError(f"--address {self.address}: give HOST:PORT of Ray's head, or 'auto' on one of its nodes")

    def check(self) -> None:
        """Refuse where Ray is not installed or nothing answers at the address."""
        library(own=not self.address)
        if self.address in ("", "auto"):
            with self.kept() as held:
                if self.address:
                    self._joined(held)
                return
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
        except (OSError, OverflowError) as error:
            raise self._unanswered(error) from None

    @contextmanager
    def kept(self) -> Iterator[_Held]:
        """See `xfer.study.engine.work.Engine`: a cluster is joined, or started, once."""
        if (there := _KEPT.get()) is not None:
            yield there
            return
        with _Held() as held:
            token = _KEPT.set(held)
            try:
                yield held
            finally:
                _KEPT.reset(token)

    def run(
        self,
        units: Sequence[Work],
        compute: Compute[Work, Result],
        needs: Needs,
        progress: Stage,
        follow: Follow[Work, Result] | None = None,
    ) -> Results[Work, Result]:
        """See `xfer.study.engine.work.Engine`; a node or process that is lost costs what it was working on."""
        if needs.device not in ("cpu", "cuda:0"):
            raise InputError(f"--device {needs.device}: Ray gives every unit its GPU; use --device cuda")
        if not units:
            return
        with self.kept() as held:
            ray = self._joined(held)
            freight = _freight(ray, held, needs.home)
            board = Board(ray, progress)
            tasks = Tasks(ray, compute, needs.limited(self.workers), self._demands(needs), board, freight)
            tasks.check()
            yield from tasks.run(units, follow)

    def _demands(self, needs: Needs) -> dict[str, float]:
        """What a unit takes of a node, as Ray names it."""
        gpus = self.gpus if needs.device != "cpu" else 0
        asked = {"CPU": float(needs.threads), "GPU": gpus, "memory": self.memory * 1e9}
        return {name: amount for name, amount in asked.items() if amount}

    def _joined(self, held: _Held) -> Any:
        """Ray, connected; what was started here ends with the block."""
        ray = library(own=not self.address)
        if ray.is_initialized():
            return ray
        handler = signal.getsignal(signal.SIGTERM)  # Ray sets its own and leaves it
        if handler is not None and threading.current_thread() is threading.main_thread():
            held.callback(signal.signal, signal.SIGTERM, handler)
        options: dict[str, Any] = {"address": self.address}
        if not self.address:
            short = "/tmp" if Path("/tmp").is_dir() else None  # names of sockets end at 107 characters
            place = tempfile.TemporaryDirectory(prefix="xfer-ray-", dir=short, ignore_cleanup_errors=True)
            options = {"address": "local", "num_cpus": workers_for(1), "include_dashboard": False}
            options["_temp_dir"] = held.enter_context(place)
            held.own = True
        with uninterrupted():
            self._connect(ray, options)
            held.callback(ray.shutdown)
        return ray

    def _connect(self, ray: Any, options: dict[str, Any]) -> None:
        for last in (False, True):
            try:
                ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
                return
            except Exception as error:  # of every kind; Ray gives a start 30 s, which a busy machine may need
                _end(ray, error)
                if last or self.address:
                    raise self._unanswered(error) from None

    def _unanswered(self, error: Exception) -> InputError:
        told = " ".join(str(error).split())
        if not self.address:
            return InputError(f"--engine ray: no cluster could be started on this machine ({told})")
        mend = "start one with 'ray start --head', or leave --address out for one of this machine's cores"
        return InputError(f"--address {self.address}: no Ray cluster that takes this run ({told}); {mend}")


def _freight(ray: Any, held: _Held, home: Path | None) -> "Freight | None":
    """What carries a study's files; None where workers see its folder.

    That do those of a cluster that this run has started; and of a folder that is no mirror it is asked of all.
    """
    from xfer.study.engine.freight import Freight
    from xfer.study.mirror import Mirror

    if held.own or home is None or Mirror.of(home) is None:
        return None
    if home not in held.freights:
        held.freights[home] = Freight(ray, home)
        held.callback(farewell, ray, held.freights[home].run)
    return held.freights[home]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold an interruption back until the block is over: as Ray connects it would be lost, or end the process hard."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _end(ray: Any, error: Exception) -> None:
    """End what a failed start left running; Ray forgets such a node, and only the error's frames still have it."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        node: Any = frame.f_locals.get("self")
        if hasattr(node, "kill_all_processes"):
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
    ray.shutdown()


def library(*, own: bool) -> Any:
    """Ray itself, imported late: it is an extra.

    Raises
    ------
    InputError
        If it is not installed, or was imported before a cluster of its own could be bound to 127.0.0.1.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if own:
        _bind()
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise InputError("--engine ray: Ray is not installed; pip install 'xfer-kit[ray]'") from None
    return ray


def _bind() -> None:
    there = sys.modules.get("ray")
    if there is not None and not there.is_initialized() and any(os.environ.get(n) != v for n, v in _OWN.items()):
        raise InputError(
            "--engine ray: Ray was imported before it could be bound to 127.0.0.1; start Python anew, or call ray.init"
        )
    for name, value in {**_OWN, **_NONE_AHEAD, "RAY_AUTH_TOKEN": secrets.token_hex(32)}.items():
        os.environ.setdefault(name, value)
