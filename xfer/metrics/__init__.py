"""Metrics: pure functions (heatmap, mask) -> number that declare best, worst, chance and source."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xfer.registry import Registry


@dataclass(frozen=True)
class Metric:
    """A metric and what it declares.

    Attributes
    ----------
    name : str
        The field's name in snake_case.
    function : callable
        ``(heatmap, mask, *, support=None, ...) -> score`` over arrays (..., y, x) of numpy or torch.
    best, worst : float
        The ends of its range; ``inf`` where there is none.
    chance : str
        What it scores when heatmap and mask are independent, in words or as a formula.
    mask : {"region", "map"}
        Whether the mask is read as a set of pixels (at least 0.5) or as a map of weights.
    reference : str
        The source, with its DOI.
    thresholded : bool
        Whether it takes ``threshold``.
    contrast : bool
        Whether it needs the masks of the other expressions (``others``).
    specificity : bool
        Whether "own mask minus the mean over the other expressions' masks" is reported beside it.
    """

    name: str
    function: Callable[..., Any]
    best: float
    worst: float
    chance: str
    mask: str
    reference: str
    thresholded: bool = False
    contrast: bool = False
    specificity: bool = True

    def __call__(self, heatmap: Any, mask: Any, **options: Any) -> Any:
        """Score heatmaps (..., y, x) against masks (..., y, x): an array (...)."""
        return self.function(heatmap, mask, **options)


METRICS: Registry[Metric] = Registry("metric", "xfer.metrics", Metric)
