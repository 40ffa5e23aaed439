"""What a second annotator says: how often the labels agree, and how much of that is more than chance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from xfer import labels
from xfer.datasets import FaceSample
from xfer.errors import InputError

_MOSTLY = 0.9
"""The share of a column's filled cells that must be expressions for it to be read as an annotator's labels."""


@dataclass(frozen=True)
class Agreement:
    """Two labels of the same faces.

    Attributes
    ----------
    column : str
        Where the second label stands.
    table : DataFrame
        Faces by the label that the data set uses (rows) and the second (columns); square, in canonical order.
    unread : int
        Second labels that are no expression; they are left out.
    kappa, low, high : float
        Cohen's kappa and its 95 % interval, NaN where it is undefined.
    """

    column: str
    table: pd.DataFrame
    unread: int
    kappa: float
    low: float
    high: float

    @property
    def n(self) -> int:
        """Faces with both labels."""
        return int(self.table.to_numpy().sum())

    @property
    def agreed(self) -> float:
        """The share of them on which the labels are the same."""
        return float(np.trace(self.table.to_numpy()) / self.n)


def agreements(samples: Sequence[FaceSample]) -> tuple[Agreement, ...]:
    """Every further column that holds expressions, against the labels of the data set."""
    columns = dict.fromkeys(column for sample in samples for column in sample.extra)
    found = (_agreement(column, samples) for column in columns)
    return tuple(a for a in found if a is not None)


def _agreement(column: str, samples: Sequence[FaceSample]) -> Agreement | None:
    filled = [(s.expression, s.extra[column]) for s in samples if s.extra.get(column, "").strip() and s.expression]
    read = [(first, second) for first, text in filled if first and (second := _read(text))]
    if not read or len(read) < _MOSTLY * len(filled):
        return None
    there = {label for pair in read for label in pair}
    order = [e for e in labels.EXPRESSIONS if e in there]
    counts = np.zeros((len(order), len(order)), int)
    for first, second in read:
        counts[order.index(first), order.index(second)] += 1
    table = pd.DataFrame(counts, index=order, columns=order)
    return Agreement(column, table, len(filled) - len(read), *cohens_kappa(counts))


def _read(text: str) -> str:
    try:
        return labels.expression(text)
    except InputError:
        return ""


def cohens_kappa(counts: np.ndarray) -> tuple[float, float, float]:
    """Agreement beyond chance of two annotators, with its 95 % interval.

    Parameters
    ----------
    counts : array (k, k)
        Faces by the first and the second label.

    Returns
    -------
    kappa, low, high : float
        1 is full agreement, 0 what two annotators reach who label at random with their own frequencies; NaN where
        both know a single label. The interval is Fleiss, Cohen and Everitt's (1969), doi:10.1037/h0028106, for
        faces labelled independently of each other.

    Examples
    --------
    >>> [round(value, 3) for value in cohens_kappa(np.array([[20, 5], [10, 15]]))]
    [0.4, 0.151, 0.649]
    """
    n = counts.sum()
    p = counts / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    seen, chance = float(np.trace(p)), float(rows @ columns)
    if chance >= 1 - 1e-12:
        return math.nan, math.nan, math.nan
    kappa = (seen - chance) / (1 - chance)
    weights = (columns[:, None] + rows[None, :]) ** 2 * (1 - seen) ** 2
    np.fill_diagonal(weights, ((1 - chance) - (rows + columns) * (1 - seen)) ** 2)
    variance = (p * weights).sum() - (seen * chance - 2 * chance + seen) ** 2
    reach = 1.959964 * math.sqrt(max(variance, 0) / n) / (1 - chance) ** 2
    return kappa, max(kappa - reach, -1.0), min(kappa + reach, 1.0)
