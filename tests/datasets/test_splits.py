import re
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import model_selection

from xfer.datasets import Dataset, FaceSample
from xfer.datasets.splits import folds, split
from xfer.errors import InputError

EXPRESSIONS = ("anger", "fear", "neutral")
COHORTS = st.lists(
    st.tuples(st.integers(0, 25), st.sampled_from(EXPRESSIONS), st.sampled_from(["", "b", "c"])),
    min_size=1,
    max_size=120,
)


def cohort(rows, splits=None) -> Dataset:
    """A data set from (subject, expression, anything that tells faces apart)."""
    splits = splits or [""] * len(rows)
    nothing = partial(np.zeros, (20, 20, 3), np.uint8)
    return Dataset(
        "drawn",
        tuple(
            FaceSample(f"{i}{mark}", nothing, expression, subject=f"s{subject}", split=part)
            for i, ((subject, expression, mark), part) in enumerate(zip(rows, splits, strict=True))
        ),
    )


@given(COHORTS, st.integers(2, 6), st.integers(0, 5))
def test_folds_are_disjoint_by_subject_and_none_is_empty(rows, k, seed):
    dataset = cohort(rows)
    subjects = {s.subject for s in dataset.samples}
    if len(subjects) < k:
        with pytest.raises(InputError, match=f"drawn: {k} folds need at least {k} subjects; there are {len(subjects)}"):
            folds(dataset, k, seed)
        return
    fold = folds(dataset, k, seed)
    assert set(fold) == set(range(k))
    assert len({(s.subject, f) for s, f in zip(dataset.samples, fold, strict=True)}) == len(subjects)


@given(COHORTS, st.integers(0, 3), st.randoms())
def test_folds_do_not_depend_on_the_order_of_the_files(rows, seed, random):
    dataset = cohort(rows)
    if len({s.subject for s in dataset.samples}) < 3:
        return
    order = random.sample(range(len(rows)), len(rows))
    np.testing.assert_array_equal(folds(dataset, 3, seed)[order], folds(dataset.take(order), 3, seed))


@given(st.lists(st.sampled_from(EXPRESSIONS), min_size=7, max_size=200), st.integers(2, 7), st.integers(0, 3))
def test_single_faces_are_stratified_to_one_face(expressions, k, seed):
    fold = folds(cohort([(i, e, "") for i, e in enumerate(expressions)]), k, seed)
    totals = np.bincount(fold, minlength=k)
    assert np.ptp(totals) <= len(EXPRESSIONS)
    for expression in EXPRESSIONS:
        of_it = fold[np.array(expressions) == expression]
        assert np.ptp(np.bincount(of_it, minlength=k)) <= 1


def test_a_studio_set_is_stratified_exactly():
    # 70 actors with all expressions: 14 actors in each of 5 folds, every expression 14 times.
    rows = [(actor, e, "") for actor in range(70) for e in EXPRESSIONS]
    fold = folds(cohort(rows), 5)
    for expression in EXPRESSIONS:
        assert np.bincount(fold[[e == expression for _, e, _ in rows]]).tolist() == [14] * 5


def test_large_and_small_subjects_balance():
    # Three prolific subjects of one expression each fill their folds; the single faces level the rest.
    rows = [(s, e, "") for s, e in enumerate(EXPRESSIONS) for _ in range(10)]
    rows += [(100 + i, EXPRESSIONS[i % 3], "") for i in range(60)]
    fold = folds(cohort(rows), 3)
    for expression in EXPRESSIONS:
        assert np.bincount(fold[[e == expression for _, e, _ in rows]]).tolist() == [10, 10, 10]


def test_subjects_without_a_common_expression_fill_every_fold():
    rows = [(subject, e, "") for subject, e in enumerate(EXPRESSIONS) for _ in range(2)]
    assert sorted(folds(cohort(rows), 3)[::2]) == [0, 1, 2]


def test_single_faces_follow_unequal_shares():
    # Webster's rule by hand: 7 faces at shares 0.7, 0.2, 0.1 make 5, 1, 1 (quotients 0.7/1, 0.2/1, ..., 0.7/9, 0.1/1).
    dataset = split(cohort([(i, "fear", "") for i in range(7)]))
    counts = {p: sum(s.split == p for s in dataset.samples) for p in ("train", "test", "validation")}
    assert counts == {"train": 5, "test": 1, "validation": 1}


def test_seeds_deal_differently_and_repeatably():
    dataset = cohort([(i, EXPRESSIONS[i % 3], "") for i in range(60)])
    assert (folds(dataset, 5, 1) == folds(dataset, 5, 1)).all()
    assert (folds(dataset, 5, 1) != folds(dataset, 5, 2)).any()


def test_unlabelled_faces_are_dealt_too():
    dataset = cohort([(i, None, "") for i in range(10)])
    assert np.bincount(folds(dataset, 5)).tolist() == [2] * 5


def test_impossible_folds():
    with pytest.raises(InputError, match="folds: at least 2 are needed; got 1"):
        folds(cohort([(0, "fear", "")]), 1)
    with pytest.raises(InputError, match="drawn: 5 folds need at least 5 subjects; there are 1"):
        folds(cohort([(0, "fear", str(i)) for i in range(50)]), 5)


def test_split_keeps_its_shares():
    dataset = split(cohort([(i // 2, EXPRESSIONS[i // 2 % 3], "") for i in range(600)]))
    counts = {p: sum(s.split == p for s in dataset.samples) for p in ("train", "validation", "test")}
    assert counts == {"train": 420, "validation": 60, "test": 120}
    assert dataset.shared_subjects() == {}


@given(COHORTS, st.integers(0, 3))
def test_split_is_disjoint_by_subject_or_says_why_not(rows, seed):
    fractions = {"train": 0.5, "test": 0.5}
    if len({subject for subject, _, _ in rows}) == 1:
        with pytest.raises(InputError, match="drawn: 1 subjects are too few: none is left for 't"):
            split(cohort(rows), fractions, seed)
        return
    dataset = split(cohort(rows), fractions, seed)
    assert dataset.shared_subjects() == {}
    assert {s.split for s in dataset.samples} == {"train", "test"}


def test_a_published_split_is_kept_and_the_rest_is_taken_out_of_train():
    rows = [(i, EXPRESSIONS[i % 3], "") for i in range(120)]
    published = cohort(rows, ["train"] * 90 + ["test"] * 30)
    assert split(published, {"train": 0.8, "test": 0.2}) is published
    dataset = split(published)
    assert [s.split for s in dataset.samples[90:]] == ["test"] * 30
    # 0.1 of 0.8 of the 90 training faces: a share of one eighth.
    assert sum(s.split == "validation" for s in dataset.samples[:90]) in (11, 12)
    assert dataset.notes == ("split as published into test, train; validation taken out of train",)


def test_splits_that_cannot_be():
    rows = [(i, "fear", "") for i in range(10)]
    with pytest.raises(InputError, match="drawn: 4 of 10 faces have no split; give it for all or for none"):
        split(cohort(rows, ["train"] * 6 + [""] * 4))
    with pytest.raises(InputError, match="drawn: publishes test and no train, out of which the others could be"):
        split(cohort(rows, ["test"] * 10), {"train": 0.9, "validation": 0.1})
    with pytest.raises(InputError, match=re.escape("fractions: must be positive with sum 1; got 0.9, 0.2")):
        split(cohort(rows), {"train": 0.9, "test": 0.2})
    with pytest.raises(InputError, match="fractions: name train and any of validation, test; got train, val"):
        split(cohort(rows), {"train": 0.9, "val": 0.1})
    with pytest.raises(InputError, match="drawn: 1 subjects are too few: none is left for 'validation'"):
        split(cohort(rows[:1]))


def imbalance(rows, fold: np.ndarray, k: int) -> float:
    """The chi-squared distance of the folds' counts from an equal deal."""
    names = np.array([e for _, e, _ in rows])
    table = np.array([[np.count_nonzero((fold == i) & (names == name)) for name in EXPRESSIONS] for i in range(k)])
    expected = table.sum(axis=0) / k
    return float(((table - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("seed", range(4))
def test_folds_are_as_level_as_scikit_learn_s(seed):
    rng = np.random.default_rng(seed)
    people = np.minimum(rng.zipf(1.6, 120), 30)
    rows = [(s, str(e), "") for s, n in enumerate(people) for e in rng.choice(EXPRESSIONS, n, p=[0.1, 0.3, 0.6])]
    theirs = np.empty(len(rows), int)
    names = [e for _, e, _ in rows]
    splitter = model_selection.StratifiedGroupKFold(5)
    for i, (_, test) in enumerate(splitter.split(names, names, [s for s, _, _ in rows])):
        theirs[test] = i
    assert imbalance(rows, folds(cohort(rows), 5, seed), 5) <= imbalance(rows, theirs, 5)


def test_published_parts_that_share_people_are_kept_and_said() -> None:
    samples = [
        FaceSample(str(i), partial(np.zeros, (20, 20, 3), np.uint8), "fear", f"s{i % 4}", part)
        for i, part in enumerate(["train"] * 8 + ["test"] * 4 + ["validation"] * 4)
    ]
    kept = split(Dataset("drawn", tuple(samples)))
    assert [s.split for s in kept.samples] == [s.split for s in samples]
    assert kept.notes == ("4 subjects lie in several published splits (s0, s1, s2, ...): test scores are too good",)
