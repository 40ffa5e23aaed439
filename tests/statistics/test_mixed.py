"""Intervals over seeds and subjects: the textbook's variance, coverage by simulation, and what has no interval."""

import re

import numpy as np
import pandas as pd
import pytest

from xfer import training
from xfer.statistics.mixed import NO_DRAWS, ONE_SEED, Components, group_means, macro_f1, mixed_interval

SEEDS, SUBJECTS = 8, 40


def crossed(rng: np.random.Generator, seed: float, subject: float, both: float) -> np.ndarray:
    """Values (seed, subject) around 0 with the standard deviations of their three parts."""
    rows, columns = rng.normal(size=(SEEDS, 1)), rng.normal(size=(1, SUBJECTS))
    return seed * rows + subject * columns + both * rng.normal(size=(SEEDS, SUBJECTS))


def interval(values: np.ndarray, **options):
    n = values.shape[1]
    return mixed_interval(group_means(values, range(n), np.zeros(n)), len(values), n, **options)


def test_the_variance_of_draws_is_that_of_two_crossed_random_effects(rng: np.random.Generator) -> None:
    """Mean squares of a balanced two-way layout with one value a cell: MS / n of each level, the interaction once."""
    values = crossed(rng, 0.5, 2.0, 1.0)
    rows, columns, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    rest = values - rows[:, None] - columns + mean
    between = rows.var(ddof=1) / SEEDS, columns.var(ddof=1) / SUBJECTS
    interaction = (rest**2).sum() / (SEEDS - 1) / (SUBJECTS - 1) / values.size
    expected = between[0] + between[1] - interaction
    found = interval(values, draws=40_000)
    assert found.value == pytest.approx(mean)
    assert found.draws.var() == pytest.approx(expected, rel=0.04)
    satterthwaite = expected**2 / (between[0] ** 2 / (SEEDS - 1) + between[1] ** 2 / (SUBJECTS - 1))
    assert found.df == pytest.approx(max(satterthwaite, SEEDS - 1), rel=0.05)


@pytest.mark.parametrize("parts", [(1.0, 0.0, 0.5), (0.0, 3.0, 1.0), (0.6, 2.0, 4.0), (0.0, 0.0, 1.0)])
def test_intervals_cover_the_truth(parts: tuple[float, float, float], rng: np.random.Generator) -> None:
    """Seeds alone, subjects alone, all three, and nothing but noise: 95 % within what 240 studies can tell, or more."""
    studies = 240
    found = [interval(crossed(rng, *parts), draws=400) for _ in range(studies)]
    covered = np.mean([each.ci_low <= 0 <= each.ci_high for each in found])
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / studies) - 0.005 <= covered <= 0.999


def test_a_paired_difference_is_narrower_than_its_parts(rng: np.random.Generator) -> None:
    shared = crossed(rng, 1.0, 3.0, 0.0)
    first, second = (shared + 0.1 * rng.normal(size=shared.shape) + shift for shift in (0.2, 0.0))
    people = np.arange(SUBJECTS)
    scores = [group_means(each, people, np.zeros(SUBJECTS)) for each in (first, second)]
    gain = mixed_interval(lambda weights: scores[0](weights) - scores[1](weights), SEEDS, SUBJECTS)
    alone = mixed_interval(scores[0], SEEDS, SUBJECTS)
    assert gain.ci_low < 0.2 < gain.ci_high
    assert gain.ci_low > 0.1
    assert gain.ci_high - gain.ci_low < 0.1 * (alone.ci_high - alone.ci_low)


def test_groups_count_alike_and_faces_without_a_value_are_left_out() -> None:
    values = np.array([[1.0, 0.0, 0.0, 5.0], [1.0, np.nan, 1.0, 7.0]])
    score = group_means(values, ["a", "b", "b", "c"], ["x", "x", "x", "y"])
    np.testing.assert_allclose(score(np.ones((1, 3))), [[(1 / 3 + 5) / 2, (1 + 7) / 2]])
    np.testing.assert_allclose(score(np.array([[2.0, 1.0, 1.0]])), [[(2 / 4 + 5) / 2, (3 / 3 + 7) / 2]])


def test_macro_f1_is_that_of_training_with_subjects_repeated(rng: np.random.Generator) -> None:
    names = np.array(["anger", "fear", "sadness"])
    true, said = names[rng.integers(0, 3, 30)], names[rng.integers(0, 3, (2, 30))]
    subjects = np.repeat(np.arange(10), 3)
    times = rng.integers(0, 3, 10)
    again = np.repeat(np.arange(30), times[subjects])
    found = macro_f1(said, true, subjects)(times[None].astype(float))[0]
    for row, value in zip(said, found, strict=True):
        table = pd.DataFrame({"expression": true[again], "predicted": row[again]})
        assert value == pytest.approx(training.macro_f1(table, list(names)))


def test_what_has_no_interval_says_why(rng: np.random.Generator) -> None:
    values = crossed(rng, 1.0, 1.0, 1.0)
    assert interval(values[:, :2]).reason == "2 subjects: no interval"
    assert interval(np.ones((3, 5))).reason == "the same in every draw: no interval"
    assert interval(np.full((3, 5), np.nan)).reason == "undefined for some seed"
    undrawn = interval(values, draws=0)
    assert (undrawn.value, undrawn.reason) == (pytest.approx(values.mean()), NO_DRAWS)
    assert np.isnan(undrawn.ci_low)
    alone = interval(values[:1])
    assert alone.reason == ONE_SEED
    assert alone.ci_high - alone.ci_low == pytest.approx(2 * 2.02 * values[0].std(ddof=1) / np.sqrt(SUBJECTS), rel=0.15)
    rare = group_means(np.array([[1.0, 2.0, 3.0, 4.0]]), range(4), ["x", "x", "x", "y"])
    assert re.fullmatch(r"undefined in 4\d% of the draws: no interval", mixed_interval(rare, 1, 4).reason)
    seldom = group_means(np.arange(80.0)[None], range(80), ["x"] * 76 + ["y"] * 4)
    assert np.isfinite(mixed_interval(seldom, 1, 80).ci_low)


def test_the_total_is_never_below_a_level() -> None:
    assert Components(1.0, 2.0, 0.5).total == 2.5
    assert Components(0.1, 1.0, 1.0).total == 1.0
