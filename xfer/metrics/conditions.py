"""When a metric is undefined, and in which words that is told."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from xfer.metrics.views import View

Array = Any


@dataclass(frozen=True)
class Condition:
    """A reason for NaN.

    Attributes
    ----------
    text : str
        What stands beside the NaN.
    holds : callable
        ``(heatmap, mask, others) -> bool array (...)`` over views; ``others`` is None unless the metric takes it.
    """

    text: str
    holds: Callable[[View, View, View | None], Array]

    def __str__(self) -> str:
        """The text, as in listings."""
        return self.text


HEATMAP_NOT_FINITE = Condition("heatmap not finite", lambda h, m, o: ~h.finite)
MASK_NOT_FINITE = Condition("mask not finite", lambda h, m, o: ~m.finite)
CONSTANT_HEATMAP = Condition("constant heatmap", lambda h, m, o: h.constant)
NO_POSITIVE_RELEVANCE = Condition("no positive relevance", lambda h, m, o: h.high <= 0)
EMPTY_REGION = Condition("empty mask", lambda h, m, o: m.area == 0)
FULL_REGION = Condition("full mask", lambda h, m, o: m.area == m.n)
EMPTY_MAP = Condition("empty mask", lambda h, m, o: m.high <= 0)
FULL_MAP = Condition("full mask", lambda h, m, o: m.low >= 1)
CONSTANT_MAP = Condition("constant mask", lambda h, m, o: m.constant)
NO_NEGATIVES = Condition("other masks leave no pixel outside this one", lambda h, m, o: _negatives(m, o) == 0)

ALWAYS = (HEATMAP_NOT_FINITE, MASK_NOT_FINITE)
"""What makes every metric undefined."""


def union(others: View) -> Array:
    """The pixels in the region of any of masks (k, ..., n): bool (..., n)."""
    return others.xp.any(others.region, axis=0)


def _negatives(mask: View, others: View | None) -> Array:
    if others is None:
        return mask.area == -1
    return mask.xp.sum(mask.xp.astype(union(others) & ~mask.region, mask.dtype), axis=-1)


def defined(
    score: Array, heatmap: View, mask: View, conditions: tuple[Condition, ...], others: View | None = None
) -> Array:
    """The score, NaN where any of the conditions (or of `ALWAYS`) holds."""
    xp = heatmap.xp
    bad = reduce(or_, (c.holds(heatmap, mask, others) for c in (*ALWAYS, *conditions)))
    return xp.where(bad, xp.full_like(score, float("nan")), score)
