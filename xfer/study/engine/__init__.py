"""Where units of work are done: on this machine, or on a cluster. No number depends on it."""

from xfer.errors import unknown
from xfer.study.engine.local import Local, one_thread, workers_for
from xfer.study.engine.ray import Ray
from xfer.study.engine.work import Engine, Needs

__all__ = ["ENGINES", "Engine", "Local", "Needs", "Ray", "one_thread", "settle", "workers_for"]

ENGINES: dict[str, type[Local] | type[Ray]] = {"local": Local, "ray": Ray}


def settle(engine: str | Engine) -> Engine:
    """An engine that can be asked to run, by its name or as it is.

    Raises
    ------
    InputError
        If there is none of that name, or it cannot work here.

    >>> settle("local")
    Local()
    """
    if isinstance(engine, str):
        if engine not in ENGINES:
            raise unknown("--engine", engine, ENGINES)
        engine = ENGINES[engine]()
    if not hasattr(engine, "check"):
        raise unknown("--engine", str(engine), ENGINES)
    engine.check()
    return engine
