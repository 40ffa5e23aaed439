"""The study folder: units, digests, resume, lock, provenance. The only room that writes study folders."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xfer.study.study import Study

__all__ = ["Study"]


def __getattr__(name: str) -> Any:
    """The class, imported late: what a worker answers first needs nothing of it."""
    if name == "Study":
        from xfer.study.study import Study

        return Study
    raise AttributeError(f"module 'xfer.study' has no attribute {name!r}")
