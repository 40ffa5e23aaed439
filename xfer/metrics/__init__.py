"""Metrics: pure functions (heatmap, mask) -> number that declare best, worst, chance and source."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xfer.metrics.conditions import ALWAYS, Condition
from xfer.metrics.views import View, view
from xfer.registry import Registry

__all__ = ["METRICS", "Metric", "View", "reason", "view"]


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
        What it scores when heatmap and mask are independent: a formula in p (the mask's share of the support) and
        q (the share of the thresholded heatmap) that Python can read, or words where there is no such formula.
    mask : {"region", "map"}
        Whether the mask is read as a set of pixels (at least 0.5) or as a map of weights.
    reference : str
        The source, with its DOI.
    undefined : tuple of Condition
        What makes it NaN, besides values that are not finite.
    invariance : {"increasing", "affine", "scale"}
        What may be done to the heatmap without changing the score: any strictly increasing transformation, a
        positive factor and an offset, or a positive factor.
    thresholded : bool
        Whether it takes ``threshold``.
    contrast : bool
        Whether it needs the masks of the other expressions (``others``).
    specificity : bool
        Whether "own mask minus the mean over the other expressions' masks" is reported beside it.
    spatial : bool
        Whether it matters how far pixels lie apart; otherwise they may be shuffled, heatmap and mask together.
    """

    name: str
    function: Callable[..., Any]
    best: float
    worst: float
    chance: str
    mask: str
    reference: str
    undefined: tuple[Condition, ...]
    invariance: str
    thresholded: bool = False
    contrast: bool = False
    specificity: bool = True
    spatial: bool = False

    def __call__(self, heatmap: Any, mask: Any, **options: Any) -> Any:
        """Score heatmaps (..., y, x) against masks (..., y, x): an array (...)."""
        return self.function(heatmap, mask, **options)


METRICS: Registry[Metric] = Registry("metric", "xfer.metrics", Metric)


def reason(metric: Metric, heatmap: Any, mask: Any, *, support: Any = None, others: Any = None) -> Any:
    """Why a metric is undefined: "" where it is defined.

    Parameters
    ----------
    metric : Metric
    heatmap, mask : array (..., y, x) or View
    support : bool array (y, x), optional
    others : array (k, ..., y, x) or View, optional
        The other expressions' masks, for metrics with ``contrast``.

    Returns
    -------
    str or array (...) of str
        One reason per pair; a plain string for one pair.

    Examples
    --------
    >>> import numpy as np
    >>> str(reason(METRICS["iou"], np.ones((2, 2)), np.eye(2)))
    'constant heatmap'
    """
    h, m = view(heatmap, support), view(mask, support)
    o = view(others, support) if metric.contrast and others is not None else None
    text = np.array("")
    for condition in (*ALWAYS, *metric.undefined):
        holds = np.asarray(condition.holds(h, m, o).tolist())
        text = np.where((text == "") & holds, condition.text, text)
    text = np.broadcast_to(text, np.broadcast_shapes(text.shape, h.values.shape[:-1], m.values.shape[:-1]))
    return text if text.ndim else str(text)
