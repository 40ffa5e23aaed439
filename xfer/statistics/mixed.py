"""Differences between networks that were trained several times and tested on the same people: two crossed levels.

Seeds stand for trainings that could have been, subjects for people who could have been tested. Every seed meets every
subject, so an interval must count both levels, and their interaction once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xfer.statistics.estimates import Estimate
from xfer.statistics.sampling import bootstrap_weights, expanded_tail

Floats = NDArray[np.floating[Any]]
PerSeed = Callable[[Floats], Floats]
"""Weights of subjects (draw, subject), with mean 1 a draw, to what every seed scores with them (draw, seed)."""

MIXED = "mixed bootstrap"
UNDEFINED = 0.05
"""The largest share of draws that may be undefined, for want of a group's faces in them; they are left out."""
ONE_SEED = "one seed: the interval counts subjects only"
NO_DRAWS = "no draws: no interval"


@dataclass(frozen=True)
class Components:
    """Where the variance of a score over draws comes from.

    Attributes
    ----------
    seeds, subjects : float
        Of drawing seeds alone, and subjects alone; each holds the interaction once.
    interaction : float
        What drawing both adds to the sum of the two.
    """

    seeds: float
    subjects: float
    interaction: float

    @property
    def total(self) -> float:
        """The variance of the score: both levels, the interaction once; never less than either level alone."""
        return max(self.seeds + self.subjects - self.interaction, self.seeds, self.subjects)


def mixed_interval(
    score: PerSeed, seeds: int, subjects: int, *, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> Estimate:
    """A score's mean over seeds, with an interval over seeds and subjects at once.

    Seeds and subjects are drawn independently. Drawing both at once (the pigeonhole bootstrap, Owen 2007,
    doi:10.1214/07-AOAS122) counts their interaction three times; here the draws of each level are added and shrunk to
    the variance that has it once. The tails are Student's with Satterthwaite's degrees of freedom (1946,
    doi:10.2307/3002019).

    Parameters
    ----------
    score : callable
        See `PerSeed`; such as `group_means`, `macro_f1`, or the difference of two of them: then the interval is paired.
    seeds, subjects : int
    draws : int
        0 for no interval.
    level : float
    seed : int
        Of the bootstrap; scores with the same seed have their draws in step.

    Returns
    -------
    Estimate
        `n` are the subjects. With one seed the interval is over subjects alone, and `reason` says so; with fewer than
        three subjects there is none.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> values = 0.2 + rng.normal(size=(8, 1)) * 0.01 + rng.normal(size=(8, 40)) * 0.1
    >>> found = mixed_interval(group_means(values, range(40), np.zeros(40)), 8, 40)
    >>> found.ci_low < 0.2 < found.ci_high
    True
    """
    each = score(np.ones((1, subjects)))[0]
    bare = Estimate(float(each.mean()), float(each.mean()), n=subjects)
    if not np.isfinite(bare.value):
        return replace(bare, reason="undefined for some seed")
    if not draws:
        return replace(bare, reason=NO_DRAWS)
    if subjects < 3:
        return replace(bare, reason=f"{subjects} subject{'s' * (subjects > 1)}: no interval")
    rng = np.random.default_rng(seed)
    people = bootstrap_weights(subjects, draws, rng)
    trainings = bootstrap_weights(seeds, draws, rng) if seeds > 1 else np.ones((draws, 1))
    drawn = np.asarray(score(people), np.float64)
    sound = np.isfinite(drawn).all(axis=1)
    if sound.mean() < 1 - UNDEFINED:
        return replace(bare, reason=f"undefined in {1 - sound.mean():.0%} of the draws: no interval")
    drawn, trainings = drawn[sound], trainings[sound]
    moved = trainings @ each / seeds - bare.value, drawn.mean(axis=1) - bare.value
    both = (trainings * drawn).mean(axis=1) - bare.value
    found = Components(*(float(np.mean(part**2)) for part in (*moved, both - moved[0] - moved[1])))
    apart = found.seeds + found.subjects
    if apart == 0:
        return replace(bare, reason="the same in every draw: no interval")
    moves = bare.value + (moved[0] + moved[1]) * np.sqrt(found.total / apart)
    df = _freedom(found, seeds, subjects)
    low, high = np.quantile(moves, [tail := expanded_tail(level, df), 1 - tail])
    said = replace(bare, ci_low=float(low), ci_high=float(high), ci_method=MIXED, df=df, draws=moves)
    return said if seeds > 1 else replace(said, reason=ONE_SEED)


def _freedom(found: Components, seeds: int, subjects: int) -> float:
    """Satterthwaite's degrees of freedom, not fewer than those of seeds."""
    parts = found.subjects**2 / (subjects - 1) + (found.seeds**2 / (seeds - 1) if seeds > 1 else 0.0)
    return float(max(found.total**2 / parts, min(seeds, subjects) - 1, 1))


def group_means(values: ArrayLike, subjects: Sequence[Any], groups: Sequence[Any]) -> PerSeed:
    """The mean over groups (expressions) of the mean over their faces.

    Parameters
    ----------
    values : array (seed, face)
        NaN where a face has none; it is left out for that seed.
    subjects : sequence (face,)
    groups : sequence (face,)
        Groups count alike, however many faces they have. A group without any value at all takes no part; one that
        has none for some seed, or in some draw, makes that seed's score NaN.

    Examples
    --------
    >>> score = group_means([[0.0, 1.0, 1.0], [0.5, 0.5, np.nan]], ["a", "a", "b"], ["fear", "fear", "anger"])
    >>> score(np.ones((1, 2))).tolist()
    [[0.75, nan]]
    """
    table = np.asarray(values, np.float64)
    people, who = np.unique(np.asarray(subjects), return_inverse=True)
    kinds, which = np.unique(np.asarray(groups), return_inverse=True)
    place = who * len(kinds) + which
    sums, counts = (
        np.stack([np.bincount(place, row, len(people) * len(kinds)) for row in rows]).reshape(
            len(table), len(people), -1
        )
        for rows in (np.nan_to_num(table), np.isfinite(table).astype(float))
    )
    if (there := counts.any(axis=(0, 1))).any():
        sums, counts = sums[..., there], counts[..., there]

    def score(weights: Floats) -> Floats:
        totals, n = (np.tensordot(weights, part, axes=(1, 1)) for part in (sums, counts))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(n > 0, totals / n, np.nan).mean(axis=2))

    return score


def macro_f1(predicted: ArrayLike, true: Sequence[Any], subjects: Sequence[Any]) -> PerSeed:
    """The mean F1 of the classes that occur or are predicted in a seed's draw, as `xfer.training.macro_f1` has it.

    Parameters
    ----------
    predicted : array (seed, face)
        Classes, in whatever form `true` has.
    true : sequence (face,)
    subjects : sequence (face,)

    Examples
    --------
    >>> score = macro_f1([["a", "b", "b"]], ["a", "b", "a"], [0, 1, 2])
    >>> score(np.ones((1, 3))).round(4).tolist()
    [[0.6667]]
    """
    said = np.asarray(predicted)
    names, codes = np.unique(np.concatenate([said.ravel(), np.asarray(true)]), return_inverse=True)
    found, truth = codes[: said.size].reshape(said.shape), codes[said.size :]
    people, who = np.unique(np.asarray(subjects), return_inverse=True)
    size = len(names)
    place = (who * size + truth) * size + found
    cells = [np.bincount(row, minlength=len(people) * size**2).reshape(len(people), size**2) for row in place]

    def score(weights: Floats) -> Floats:
        return np.stack([_f1((weights @ table).reshape(-1, size, size)) for table in cells], axis=1)

    return score


def _f1(counts: Floats) -> Floats:
    """Macro-F1 of confusion tables (draw, true, predicted)."""
    right, either = np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=1) + counts.sum(axis=2)
    there = either > 0
    scores = np.where(there, 2 * right / np.where(there, either, 1.0), 0.0)
    return np.asarray(scores.sum(axis=1) / there.sum(axis=1))
