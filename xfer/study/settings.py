"""The settings of a study from a file: the ``study.toml`` that ``xfer init`` writes and a user edits."""

import inspect
from collections.abc import Collection
from pathlib import Path
from typing import Any

from xfer import tables
from xfer.errors import InputError
from xfer.study import networks, plan

_NOT_SETTINGS = ("progress", "options", "fresh", "ranks")


def keys() -> tuple[str, ...]:
    """What `xfer.compare` takes for networks, and so what a file may set."""
    told = [name for f in (networks.compare_networks, plan.settle) for name in inspect.signature(f).parameters]
    return tuple(name for name in dict.fromkeys(told) if name not in _NOT_SETTINGS)


def read_settings(path: str | Path = "study.toml", allowed: Collection[str] | None = None) -> dict[str, Any]:
    """The settings in a file, for ``xfer.compare(**settings)``; ``xfer compare --config FILE`` reads it too.

    Paths in it are relative to the working folder, as on the command line.

    Parameters
    ----------
    path : path
    allowed : collection of str, optional
        The keys it may have; those of `xfer.compare` by default.

    Raises
    ------
    InputError
        If it is missing, is not TOML, has another format or an unknown key, or is the record of a study.
    """
    found = tables.read(Path(path))
    del found["format"]
    if "kind" in found:
        raise InputError(
            f"{path}: is the record of a study, not settings; 'xfer init DIR' writes settings to start from"
        )
    tables.known(found, keys() if allowed is None else allowed, str(path))
    return found
