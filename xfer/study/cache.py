"""The user's cache on this machine: where the mirrors of studies lie, and which of them nobody uses any more."""

import platform
import time
from hashlib import sha256
from pathlib import Path, PurePosixPath

from platformdirs import user_cache_path

from xfer.study.folder import slug

STATE = "mirror.json"
"""What a mirror keeps beside its folder; written whenever it is used."""
UNUSED = 30 * 86400.0
"""Seconds after which a mirror that nobody used is removed, if its store was brought all that is in it."""


def root(kind: str) -> Path:
    """The folder of all that is kept for a purpose, ``studies`` or ``nodes``."""
    return user_cache_path("xfer", appauthor=False) / kind


def nodes() -> Path:
    """The folder of what a node of a cluster keeps for runs, one for each machine: see `home_of`."""
    return root("nodes") / slug(platform.node())


def home_of(url: str, kind: str) -> Path:
    """The folder of a mirror, one for each machine: of those that share a cache none may see the locks of others."""
    told = sha256(f"{platform.node()}\0{url}".encode()).hexdigest()[:16]
    return root("studies") / kind / told / slug(PurePosixPath(url).name)


def unused() -> list[Path]:
    """What is kept of mirrors that nobody has used for long, each with its folder in it."""
    return [state.parent for state in root("studies").glob(f"*/*/{STATE}") if is_unused(state.parent)]


def is_unused(kept: Path) -> bool:
    """Whether nobody has used a mirror for long; one that has just been removed is not there to be used."""
    try:
        return time.time() - (kept / STATE).stat().st_mtime > UNUSED
    except OSError:
        return False
