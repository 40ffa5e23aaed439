"""What a null model declares, and the registry of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xfer.registry import Registry


@dataclass(frozen=True)
class Null:
    """A null model: what a map would score that knows nothing of the mask.

    Attributes
    ----------
    name : str
        The field's name in snake_case.
    function : callable
        By kind. ``draws``: ``(heatmap (y, x), support (y, x), draws, rng)`` yields batches of fields (k, y, x); only
        their order of pixels counts, the map's own values are put in that order. ``relabel``: ``(cells, index)``
        gives the `Rivals` of a cell. ``expectation``: ``(metric, p, q)`` gives a score.
    kind : {"draws", "relabel", "expectation"}
    reference : str
        The source, with its DOI.
    words : str
        What is compared, in a clause that follows "compared with".
    primary : bool
        Whether headline p-values and anchored scores use it; one null does.
    best : bool
        Whether only the best of the rivals counts, so that no p-value is drawn from them.
    widened : float
        How far its scores are spread about their mean before a p-value is taken; 1 for not at all.
    """

    name: str
    function: Callable[..., Any]
    kind: str
    reference: str
    words: str
    primary: bool = False
    best: bool = False
    widened: float = 1.0


NULLS: Registry[Null] = Registry("null", "xfer.nulls", Null)


def primary() -> Null:
    """The null behind headline p-values and anchored scores.

    >>> primary().name
    'surrogate'
    """
    (one,) = (null for null in NULLS.values() if null.primary)
    return one
