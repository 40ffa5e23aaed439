"""What the arms of a twin study score and differ by, with intervals over seeds and subjects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer.metrics.published_cosines import published
from xfer.statistics.estimates import Estimate
from xfer.statistics.mixed import PerSeed, group_means, macro_f1, mixed_interval
from xfer.study.looking import GUIDED, JUDGED, MEASURES, others
from xfer.study.twin_study import ALL, DIFFERENCE_COLUMNS, TWIN_COLUMNS

MARGIN = 0.02
"""Accuracy is not inferior if the lower end of the difference's interval lies above minus this."""
PLAIN = "none"
ACCURACY, F1 = "accuracy", "macro_f1"
HEADLINE = JUDGED[0]
VALUE, SPECIFICITY = "value", "specificity"


@dataclass(frozen=True)
class Panel:
    """The test faces of a twin study, and what every arm and seed made of each.

    Attributes
    ----------
    faces : DataFrame
        face, subject, expression: in the order of the arrays.
    seeds : mapping of str to tuple of int
        Those that an arm has.
    columns : mapping of (arm, column) to array (seed, face)
        Of the table of looking; NaN where a face was in no heatmap.
    """

    faces: pd.DataFrame
    seeds: dict[str, tuple[int, ...]]
    columns: dict[tuple[str, str], NDArray[Any]]

    @classmethod
    def of(cls, looking: pd.DataFrame) -> "Panel":
        """From `TwinStudy.looking`."""
        faces = (
            looking[["face", "subject", "expression"]].drop_duplicates("face").sort_values("face", ignore_index=True)
        )
        seeds, columns = {}, {}
        for arm, rows in looking.groupby("guide", sort=False):
            name = str(arm)
            seeds[name] = tuple(sorted(rows["seed"].unique().tolist()))
            for column in ("predicted", *MEASURES, *map(others, MEASURES)):
                table = rows.pivot_table(column, "seed", "face", aggfunc="first", dropna=False)
                columns[name, column] = table.reindex(index=seeds[name], columns=faces["face"]).to_numpy()
        return cls(faces, seeds, columns)

    def common(self, *arms: str) -> tuple[int, ...]:
        """The seeds that all of some arms have."""
        return tuple(seed for seed in self.seeds[arms[0]] if all(seed in self.seeds[arm] for arm in arms))

    def values(self, arm: str, measure: str, form: str, seeds: Sequence[int]) -> NDArray[np.float64]:
        """A measure of an arm (seed, face)."""
        rows = [self.seeds[arm].index(seed) for seed in seeds]
        if measure == ACCURACY:
            return (self.columns[arm, "predicted"][rows] == self.faces["expression"].to_numpy()).astype(float)
        own = self.columns[arm, measure][rows].astype(float)
        return own - self.columns[arm, others(measure)][rows].astype(float) if form == SPECIFICITY else own

    @cached_property
    def explained(self) -> NDArray[np.bool_]:
        """Which faces are in a heatmap of any arm and seed (face,)."""
        known = [np.isfinite(self.columns[arm, m].astype(float)).any(axis=0) for arm in self.seeds for m in MEASURES]
        return np.any(known, axis=0)

    def scored(self, measure: str) -> NDArray[np.bool_]:
        """Which faces are explained and show an expression that has a mask (face,)."""
        known = [np.isfinite(self.columns[arm, measure].astype(float)).any(axis=0) for arm in self.seeds]
        masked = sorted(set(self.faces["expression"][np.any(known, axis=0)]))
        return self.explained & np.isin(self.faces["expression"], masked)

    def undefined(self, arm: str, measure: str) -> float:
        """The share of the scored faces, over an arm's seeds, for which a measure is not defined."""
        found = np.isfinite(self.columns[arm, measure][:, self.scored(measure)].astype(float))
        return float(1 - found.mean()) if found.size else np.nan

    def score(self, arm: str, measure: str, form: str, seeds: Sequence[int], expression: str = ALL) -> PerSeed:
        """What an arm scores, by seed, for weights of subjects."""
        if measure == F1:
            rows = [self.seeds[arm].index(seed) for seed in seeds]
            predicted = self.columns[arm, "predicted"][rows].astype(str)
            return macro_f1(predicted, self.faces["expression"].tolist(), self.faces["subject"].tolist())
        return self.means(self.values(arm, measure, form, seeds), measure, expression)

    def means(self, values: NDArray[np.float64], measure: str, expression: str) -> PerSeed:
        """Means of values (seed, face): of accuracy over faces, of all else over expressions that count alike."""
        if expression != ALL:
            values = np.where(self.faces["expression"] == expression, values, np.nan)
        groups = self.faces["expression"] if measure != ACCURACY and expression == ALL else np.zeros(len(self.faces))
        return group_means(values, self.faces["subject"].tolist(), list(groups))


def twins_table(panel: Panel, model: str, arms: Sequence[str], draws: int) -> pd.DataFrame:
    """`TWIN_COLUMNS` for every arm that has a seed."""
    rows: list[tuple[Any, ...]] = []
    for arm in (arm for arm in arms if arm in panel.seeds):
        seeds = panel.seeds[arm]
        for measure, form in _wanted():
            found = _interval(panel.score(arm, measure, form, seeds), panel, len(seeds), draws)
            zeros = _published(panel, arm, measure, seeds) if measure in GUIDED and form == VALUE else np.nan
            lost = panel.undefined(arm, measure) if measure in MEASURES else 0.0
            facts = (*_ends(found), zeros, lost, len(seeds), found.n, len(panel.faces), found.reason)
            rows.append((model, arm, measure, form, ALL, *facts))
            if measure == F1:
                continue
            for expression in _expressions(panel):
                one = _plain(panel.score(arm, measure, form, seeds, expression), panel)
                n = _count(panel, expression)
                rows.append((model, arm, measure, form, expression, one, *[np.nan] * 4, len(seeds), *n, ""))
    return pd.DataFrame(rows, columns=list(TWIN_COLUMNS))


def differences_table(panel: Panel, model: str, pairs: Sequence[tuple[str, str]], draws: int) -> pd.DataFrame:
    """`DIFFERENCE_COLUMNS` for every pair of arms that have a seed in common.

    Of arms that are not compared otherwise, accuracy and macro-F1 minus those of ``none``.
    """
    rows: list[tuple[Any, ...]] = []
    paired = {tuple(pair) for pair in pairs}
    further = [(arm, PLAIN) for arm in panel.seeds if PLAIN in panel.seeds and arm != PLAIN]
    for first, second in (*map(tuple, pairs), *(pair for pair in further if pair not in paired)):
        told = _wanted() if (first, second) in paired else ((ACCURACY, VALUE), (F1, VALUE))
        if first not in panel.seeds or second not in panel.seeds or not (seeds := panel.common(first, second)):
            continue
        for measure, form in told:
            single = (ALL, *_expressions(panel)) if (measure, form) in _TOLD_BY_EXPRESSION else (ALL,)
            for expression in single:
                score = _paired(panel, first, second, measure, form, seeds, expression)
                found = _interval(score, panel, len(seeds), draws)
                apart = bool(found.ci_low > 0 or found.ci_high < 0)
                told_safe = measure == ACCURACY and expression == ALL and np.isfinite(found.ci_low)
                safe = str(bool(found.ci_low > -MARGIN)) if told_safe else ""
                n = (found.n, len(panel.faces)) if expression == ALL else _count(panel, expression)
                facts = (*_ends(found), apart, safe, len(seeds), *n, found.reason)
                rows.append((model, first, second, measure, form, expression, *facts))
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))


_TOLD_BY_EXPRESSION = ((ACCURACY, VALUE), (HEADLINE, SPECIFICITY))


def _wanted() -> Iterator[tuple[str, str]]:
    """Measures and their forms, in the order of the page."""
    yield from ((ACCURACY, VALUE), (F1, VALUE))
    for measure in MEASURES:
        yield from ((measure, VALUE), (measure, SPECIFICITY))


def _published(panel: Panel, arm: str, measure: str, seeds: Sequence[int]) -> float:
    """The mean over explained faces with 0 in place of NaN."""
    values = panel.values(arm, measure, VALUE, seeds)
    filled = np.where(panel.scored(measure), published(values), values)
    return _plain(panel.means(filled, measure, ALL), panel)


def _paired(
    panel: Panel, first: str, second: str, measure: str, form: str, seeds: Sequence[int], expression: str
) -> PerSeed:
    """The difference of two arms; of faces that are undefined in one of them it is left out."""
    if measure == F1:
        one, other = (panel.score(arm, measure, form, seeds) for arm in (first, second))
        return lambda weights: one(weights) - other(weights)
    values = [panel.values(arm, measure, form, seeds) for arm in (first, second)]
    return panel.means(values[0] - values[1], measure, expression)


def _interval(score: PerSeed, panel: Panel, seeds: int, draws: int) -> Estimate:
    return mixed_interval(score, seeds, panel.faces["subject"].nunique(), draws=draws)


def _ends(found: Estimate) -> tuple[float, float, float]:
    return found.value, found.ci_low, found.ci_high


def _plain(score: PerSeed, panel: Panel) -> float:
    """The mean over seeds, without an interval."""
    return float(score(np.ones((1, panel.faces["subject"].nunique())))[0].mean())


def _expressions(panel: Panel) -> list[str]:
    return sorted(panel.faces["expression"].unique().tolist())


def _count(panel: Panel, expression: str) -> tuple[int, int]:
    """Subjects and faces of an expression."""
    rows = panel.faces[panel.faces["expression"] == expression]
    return rows["subject"].nunique(), len(rows)
