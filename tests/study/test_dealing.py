"""Folds and blocks: no subject in two parts, the same whatever the order, published splits kept, exact errors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xfer import datasets
from xfer.datasets import Dataset, FaceSample
from xfer.errors import InputError
from xfer.study.dealing import Assignment, Fold, assign, blocks

EXPRESSIONS = ("anger", "fear", "happiness")


def crowd(who: list[int], splits: list[str] | None = None) -> Dataset:
    """Faces of numbered subjects, expressions in turn."""
    return Dataset(
        "crowd",
        tuple(
            FaceSample(f"{i}.png", Path("x"), EXPRESSIONS[i % 3], f"s{n}", split=splits[i] if splits else "")
            for i, n in enumerate(who)
        ),
    )


def named(dataset: Dataset, result: Assignment) -> list[list[set[str]]]:
    return [
        [{dataset.samples[i].id for i in part} for part in (f.train, f.validation, f.test)] for f in result.folds
    ]  # fmt: skip


def subjects(dataset: Dataset, positions: np.ndarray) -> set[str]:
    return {dataset.samples[i].subject for i in positions}


crowds = st.lists(st.integers(0, 11), min_size=0, max_size=40).map(lambda more: [*sorted([*range(12)] * 3), *more])


@settings(max_examples=30, deadline=None)
@given(crowds, st.sampled_from([1, 3, 5]), st.integers(0, 9), st.randoms(use_true_random=False))
def test_no_subject_is_in_two_parts_and_the_order_does_not_matter(who, k, seed, random) -> None:
    data = crowd(who)
    result = assign(data, np.ones(len(who), bool), k, seed)
    assert [f.name for f in result.folds] == [str(i) for i in range(k)]
    for fold in result.folds:
        parts = [fold.train, fold.validation, fold.test]
        assert sorted(np.concatenate(parts)) == list(range(len(who)))
        assert sum(len(subjects(data, part)) for part in parts) == 12
        assert all(len(part) and (np.diff(part) > 0).all() for part in parts)
    if k > 1:
        assert sorted(np.concatenate([f.test for f in result.folds])) == list(range(len(who)))
    order = random.sample(range(len(who)), len(who))
    assert named(data.take(order), assign(data.take(order), range(len(who)), k, seed)) == named(data, result)


def test_only_usable_faces_take_part() -> None:
    data = crowd([i // 3 for i in range(60)])
    usable = np.delete(np.arange(60), [4, 17, 59])
    result = assign(data, usable, 4, 0)
    for fold in result.folds:
        assert sorted(np.concatenate([fold.train, fold.validation, fold.test])) == usable.tolist()
    parts = result.folds[0].part(60)
    assert parts[[4, 17, 59]].tolist() == ["", "", ""]
    assert (parts == "test").sum() == len(result.folds[0].test)


def test_the_share_of_every_part() -> None:
    data = datasets.open("synthetic", faces=600, size=16)
    (fold,) = assign(data, range(600)).folds
    assert [len(part) for part in (fold.train, fold.validation, fold.test)] == [420, 60, 120]
    for fold in assign(data, range(600), 5).folds:
        assert [len(part) for part in (fold.train, fold.validation, fold.test)] == [420, 60, 120]


class TestPublishedSplits:
    def test_all_three_are_kept(self) -> None:
        splits = ["train"] * 30 + ["validation"] * 9 + ["test"] * 21
        data = crowd([i // 3 for i in range(60)], splits)
        for seed in (0, 1):
            (fold,) = assign(data, range(60), seed=seed).folds
            assert fold.part(60).tolist() == splits
            assert assign(data, range(60), seed=seed).notes == ()

    def test_a_missing_validation_part_is_taken_out_of_train(self) -> None:
        data = crowd([i // 3 for i in range(60)], ["train"] * 39 + ["test"] * 21)
        result = assign(data, range(60))
        (fold,) = result.folds
        assert fold.test.tolist() == list(range(39, 60))
        assert not subjects(data, fold.train) & subjects(data, fold.validation)
        assert result.notes == ("split as published into test, train; validation taken out of train",)

    def test_a_tested_subject_never_trains(self) -> None:
        splits = ["train"] * 30 + ["validation"] * 9 + ["test"] * 21
        who = [i // 3 for i in range(60)]
        who[0], who[1], who[30] = 19, 12, 18
        data = crowd(who, splits)
        result = assign(data, range(60))
        assert [tuple(d) for d in result.left_out] == [
            ("0.png", "its subject is tested"),
            ("1.png", "its subject is in the validation part too"),
            ("30.png", "its subject is tested"),
        ]
        (fold,) = result.folds
        parts = [subjects(data, part) for part in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, parts)) == len(set.union(*parts))
        assert len(fold.test) == 21
        assert result.notes == ("3 faces left out, their subjects are in another part of the published split too",)

    def test_a_split_that_shares_all_its_subjects(self) -> None:
        data = crowd([i % 5 for i in range(60)], ["train"] * 30 + ["test"] * 30)
        message = r"^crowd: every subject to train on is in another published part too; give --folds$"
        with pytest.raises(InputError, match=message):
            assign(data, range(60))

    def test_folds_do_not_look_at_it(self) -> None:
        data = crowd([i // 3 for i in range(60)], ["train"] * 39 + ["test"] * 21)
        plain = replace(data, samples=tuple(replace(s, split="") for s in data.samples))
        assert named(data, assign(data, range(60), 3)) == named(plain, assign(plain, range(60), 3))
        assert assign(data, range(60), 3).notes == ("the published split is not used: folds were asked for",)
        assert assign(plain, range(60), 3).notes == ()


class TestTooFew:
    def test_subjects(self) -> None:
        message = r"^crowd: to train, to choose the epoch and to test takes 3 subjects at least; there are 2$"
        with pytest.raises(InputError, match=message):
            assign(crowd([0, 1] * 10), range(20))
        with pytest.raises(InputError, match=r"there are 2$"):
            assign(crowd([0, 1, 2] * 10), np.array([i % 3 < 2 for i in range(30)]))

    def test_subjects_for_so_many_folds(self) -> None:
        with pytest.raises(InputError, match=r"^crowd: 5 folds need at least 5 subjects; there are 4$"):
            assign(crowd([i % 4 for i in range(30)]), range(30), 5)
        # a fold of two of the three subjects leaves one, who cannot both train and validate
        with pytest.raises(InputError, match=r"^crowd: 1 subjects are too few: none is left for 'validation'$"):
            assign(crowd([i // 10 for i in range(30)]), range(30), 2)

    def test_faces_of_an_expression(self) -> None:
        data = crowd([i // 3 for i in range(60)])
        rare = replace(data.samples[0], expression="disgust")
        data = replace(data, samples=(rare, *data.samples[1:]))
        message = r"^crowd: no face to train on shows disgust in fold [0-4]; leave it out with --expressions or --min-"
        with pytest.raises(InputError, match=message):
            assign(data, range(60), 5)
        with pytest.raises(InputError, match=r"^crowd: no face to train on shows disgust; leave it out"):
            assign(data, range(1, 60))


@given(st.lists(st.integers(0, 30), max_size=80), st.integers(1, 12), st.randoms(use_true_random=False))
def test_blocks(who, most, random) -> None:
    names = [f"s{n}" for n in who]
    dealt = blocks(names, most)
    assert len(dealt) == len(names)
    assert sorted(set(dealt.tolist())) == list(range(min(most, len(set(names)))))
    assert len(set(zip(names, dealt.tolist(), strict=True))) == len(set(names))
    order = random.sample(range(len(names)), len(names))
    assert blocks([names[i] for i in order], most).tolist() == dealt[order].tolist()
    if names:
        sizes = np.bincount(dealt)
        assert sizes.max() - sizes.min() <= max(names.count(n) for n in set(names))


def test_blocks_are_as_even_as_possible() -> None:
    sizes = np.bincount(blocks([f"person{i}" for i in range(1037)]))
    assert len(sizes) == 200
    assert set(sizes.tolist()) == {5, 6}
    a, b = (blocks([f"person{i}" for i in range(1037)], seed=seed) for seed in (0, 1))
    assert (a != b).any()


def test_a_fold_tells_the_part_of_each_face() -> None:
    fold = Fold("0", np.array([0, 3]), np.array([1]), np.array([4]))
    assert fold.part(6).tolist() == ["train", "validation", "", "train", "test", ""]
