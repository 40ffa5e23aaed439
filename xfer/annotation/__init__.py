"""People's maps: what raters paint on faces, kept as they painted it, and the maps made of it.

A `Collection` is a folder of its own: which faces are shown, and one append-only file a rater. A `Session` is one rater
at work; `maps` places marks into the canonical frame, for ``--masks human:DIR``.
"""

from xfer.annotation.answers import attention, read_answers
from xfer.annotation.collection import Collection, collect
from xfer.annotation.maps import OUTCOMES, maps, write_maps
from xfer.annotation.reliability import reliability
from xfer.annotation.session import Session
from xfer.annotation.simulation import simulate

__all__ = [
    "OUTCOMES", "Collection", "Session", "attention", "collect", "maps", "read_answers", "reliability", "simulate",
    "write_maps",
]  # fmt: skip
