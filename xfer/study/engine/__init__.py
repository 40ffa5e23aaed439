"""Where units of work are done: on this machine, or on a cluster. No number depends on it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xfer.errors import InputError, unknown
from xfer.study.engine.local import Local, one_thread, workers_for
from xfer.study.engine.ray import Ray
from xfer.study.engine.work import Engine, Needs

if TYPE_CHECKING:
    from xfer.training.ranks import Ranks

__all__ = ["ENGINES", "Engine", "Local", "Needs", "Ray", "one_thread", "settle", "workers_for"]

ENGINES: dict[str, type[Local] | type[Ray]] = {"local": Local, "ray": Ray}


def settle(engine: str | Engine, ranks: "Ranks | None" = None, workers: int | None = None) -> Engine:
    """An engine that can be asked to run, by its name or as it is, with so many units side by side at most.

    Raises
    ------
    InputError
        If there is none of that name, it cannot work here, or it is not for a network that several processes train.

    >>> settle("local")
    Local(workers=None)
    """
    if isinstance(engine, str):
        if engine not in ENGINES:
            raise unknown("--engine", engine, ENGINES)
        engine = ENGINES[engine]()
    if not hasattr(engine, "check"):
        raise unknown("--engine", str(engine), ENGINES)
    several = ranks is not None and ranks.processes > 1
    if several and not isinstance(engine, Local):
        raise InputError(f"{ranks}: a network that several processes train is not for Ray; use --engine local")
    if several and workers is not None and workers > 1:
        raise InputError(f"--workers {workers}: with {ranks} one network is trained after another; leave --workers out")
    engine.check()
    limited: Any = engine
    return engine if workers is None else replace(limited, workers=workers)
