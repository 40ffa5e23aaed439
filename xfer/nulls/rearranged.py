"""Scores of many maps that hold the same values in different places, against all masks at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer.metrics import METRICS, Metric, View, view
from xfer.metrics.thresholds import cut

Float = NDArray[np.float32]
Score = NDArray[np.float64]

OVERLAP: dict[str, Callable[[Any, Any, Any], Any]] = {
    "iou": lambda hits, area, size: hits / (area + size - hits),
    "dice": lambda hits, area, size: 2 * hits / (area + size),
    "precision": lambda hits, area, size: hits / area,
    "recall": lambda hits, area, size: hits / size,
}
"""Metrics that follow from the pixels of a region inside another; everything but `hits` is fixed by the values."""

SUMS = ("pearson", "cosine", "energy_inside", "nss")
"""Metrics that follow from weighted sums of the values."""

LEVELS = 65535


@dataclass(frozen=True)
class Question:
    """A metric and, where it takes one, a threshold."""

    metric: Metric
    threshold: str | float | None

    @property
    def options(self) -> dict[str, Any]:
        """What the metric is called with."""
        return {} if self.threshold is None else {"threshold": self.threshold}

    @property
    def overlap(self) -> bool:
        """Whether `OVERLAP` has it, at a threshold that the values fix."""
        return self.metric.name in OVERLAP and self.threshold != "upper_bound"

    @property
    def cut(self) -> str:
        """The threshold as tables write it."""
        return "" if self.threshold is None else str(self.threshold)


def questions(metrics: Sequence[str], thresholds: Sequence[str | float]) -> list[Question]:
    """Every metric at every threshold that applies to it."""
    return [
        Question(METRICS[name], threshold)
        for name in metrics
        for threshold in (thresholds if METRICS[name].thresholded else [None])
    ]


class Rearranged:
    """The values of one map, to be scored in any order of its pixels.

    Sums of products take the place of sorting: with the values fixed, Otsu's threshold, the area above it, the mean
    and the norm are those of the map itself.

    Parameters
    ----------
    heatmap : float32 array (y, x)
        Finite and not constant inside the support.
    masks : View
        Masks (mask, y, x) inside the support.
    support : bool array (y, x)
    asked : sequence of Question
    """

    def __init__(self, heatmap: Float, masks: View, support: NDArray[np.bool_], asked: Sequence[Question]) -> None:
        self.support, self.masks, self.asked = support, masks, list(asked)
        self.seen = view(heatmap, support)
        inside = heatmap[support].astype(float)
        self.mean, self.deviation = inside.mean(), inside.std()
        self._sorted = np.sort(inside)
        self.values = self.standard(self._sorted)
        self.own = self.standard(inside)
        thresholds = {q.threshold for q in self.asked if q.overlap}
        thresholds |= {"area"} if any(q.metric.name == "rank_accuracy" for q in self.asked) else set()
        self._levels = {t: self._level(t) for t in thresholds if t is not None}
        self._regions = [np.nonzero(row)[0] for row in np.asarray(masks.region)]
        self._sizes = np.maximum(np.asarray(masks.area), 1)

    def standard(self, values: NDArray[Any]) -> Float:
        """Values minus the map's mean, over its standard deviation."""
        return ((values - self.mean) / self.deviation).astype(np.float32)

    def place(self, fields: Float) -> Float:
        """The map's values in the order of the pixels of fields (k, n): float32 (k, n), standardised.

        Fields are read to 16 bits; pixels that tie there are ordered by their place.
        """
        low = fields.min(axis=1, keepdims=True)
        step = LEVELS / np.maximum(fields.max(axis=1, keepdims=True) - low, np.float32(1e-30))
        order = np.argsort(((fields - low) * step).astype(np.uint16), axis=1, kind="stable")
        placed = np.empty_like(fields)
        for row, places in zip(placed, order, strict=True):
            row[places] = self.values
        return placed

    def scores(self, placed: Float) -> list[Score]:
        """Scores (k, mask) of rearranged values (k, n), one array per question."""
        hits, sums = self._hits(placed), self._sums(placed)
        found = []
        for question in self.asked:
            name = question.metric.name
            if question.threshold is not None and question.overlap:
                area = self._levels[question.threshold][2]
                found.append(OVERLAP[name](hits[question.threshold], area, self._sizes))
            elif name == "rank_accuracy":
                found.append(hits["area"] / self._sizes)
            elif name in sums:
                found.append(sums[name])
            else:
                found.append(self._plain(question, placed))
        return found

    def _level(self, threshold: str | float) -> tuple[Float, Score, Score]:
        """The lowest value above the threshold, the share of its ties that counts, the area above; each (mask,)."""
        area = np.broadcast_to(np.asarray(cut(self.seen, self.masks, threshold)[1], float), self.masks.area.shape)
        area = np.clip(area, 1, len(self.values))
        level = self.values[len(self.values) - area.astype(int)]
        above = len(self.values) - np.searchsorted(self.values, level, side="right")
        ties = len(self.values) - np.searchsorted(self.values, level, side="left") - above
        return level, (area - above) / ties, area

    def _hits(self, placed: Float) -> dict[Any, Score]:
        hits = {threshold: np.empty((len(placed), len(self._regions))) for threshold in self._levels}
        for m, region in enumerate(self._regions):
            inside = np.take(placed, region, axis=1)
            for threshold, (level, share, _) in self._levels.items():
                hits[threshold][:, m] = np.count_nonzero(inside >= level[m], axis=1)
                if share[m] < 1:
                    hits[threshold][:, m] -= (1 - share[m]) * np.count_nonzero(inside == level[m], axis=1)
        return hits

    def _sums(self, placed: Float) -> dict[str, Score]:
        asked = {question.metric.name for question in self.asked} & set(SUMS)
        n, found = placed.shape[1], {}
        regions = np.asarray(self.masks.indicator, dtype=np.float32).T
        if "pearson" in asked:
            weights = np.asarray(self.masks.centred, dtype=np.float32).T
            found["pearson"] = (placed @ weights).astype(float) / np.sqrt(n)
        if "cosine" in asked:
            maps = np.asarray(self.masks.values)
            total = (placed @ maps.T.astype(np.float32)) * self.deviation + self.mean * maps.sum(axis=1)
            norm = np.sqrt(n * (self.deviation**2 + self.mean**2)) * np.asarray(self.masks.norm)
            found["cosine"] = total / norm
        if "nss" in asked:
            found["nss"] = (placed @ regions).astype(float) / self._sizes
        if "energy_inside" in asked:
            zero = np.float32(-self.mean / self.deviation)
            positive = np.maximum(placed, zero) - zero if self.values[0] < zero else placed - zero
            found["energy_inside"] = (positive @ regions).astype(float) / np.maximum(self.values - zero, 0).sum(
                dtype=float
            )
        return found

    def _plain(self, question: Question, placed: Float) -> Score:
        maps = np.zeros((len(placed), 1, *self.support.shape))
        maps[:, 0, self.support] = self._sorted[np.searchsorted(self.values, placed)]
        contrast = {"others": self.masks} if question.metric.contrast else {}
        seen = view(maps, self.support)
        return np.asarray(question.metric(seen, self.masks, **contrast, **question.options), dtype=float)
