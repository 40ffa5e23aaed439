"""The study folder: units, digests, resume, lock, provenance. The only room that writes study folders."""

from xfer.study.study import Study

__all__ = ["Study"]
