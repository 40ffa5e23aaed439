"""Who trains a network, who chooses its epoch and who tests it; and the blocks of subjects that sums are kept for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from heapq import heapreplace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xfer import training
from xfer.datasets import Dataset, Dropped, splits
from xfer.errors import InputError

BLOCKS = 200
"""At most so many blocks of subjects are kept apart."""

_RANK = {"": 0, "train": 0, "validation": 1, "test": 2}

Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Fold:
    """One division of the faces, by their positions in the data set, ascending.

    Attributes
    ----------
    name : str
        "0", "1", ...
    train, validation, test : array of int
        No subject is in two of them.
    """

    name: str
    train: Positions
    validation: Positions
    test: Positions

    def part(self, faces: int) -> NDArray[np.str_]:
        """The part of each of so many faces: "train", "validation", "test" or ""."""
        parts = np.full(faces, "", dtype="<U10")
        for name in ("train", "validation", "test"):
            parts[getattr(self, name)] = name
        return parts


@dataclass(frozen=True)
class Assignment:
    """The folds of a study.

    Attributes
    ----------
    folds : tuple of Fold
    left_out : tuple of Dropped
        Faces in no fold although they could be used, and why.
    notes : tuple of str
        What a reader of the results should know.
    """

    folds: tuple[Fold, ...]
    left_out: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()


def assign(
    dataset: Dataset,
    usable: ArrayLike,
    folds: int = 1,
    seed: int = 0,
    fractions: Mapping[str, float] = splits.FRACTIONS,
) -> Assignment:
    """Divide the faces by subject; the same faces are divided alike in whatever order they come.

    Parameters
    ----------
    dataset : Dataset
    usable : sequence of int, or bool array (face,)
        Positions of the faces that take part.
    folds : int
        1 for one split: the one published with the data if there is one, its validation part included. With more,
        every face is tested once and a published split is not looked at.
    seed : int
    fractions : mapping
        The share of faces of "train", "validation" and "test".

    Raises
    ------
    InputError
        If there are too few subjects, or nobody is left to train on, or nobody who shows some expression.
    """
    given = np.asarray(usable)
    positions = np.flatnonzero(given) if given.dtype == bool else np.unique(given.astype(np.intp))
    _require_subjects(dataset, positions)
    if folds == 1:
        result = _split(dataset, positions, seed, fractions)
    else:
        result = _folds(dataset, positions, folds, seed, fractions)
    _require_expressions(dataset, result.folds)
    return result


def _split(dataset: Dataset, positions: Positions, seed: int, fractions: Mapping[str, float]) -> Assignment:
    positions, left_out = _disjoint(dataset, positions)
    part = dataset.take(positions)
    if left_out and "train" not in part.column("split"):
        raise InputError(f"{dataset.name}: every subject to train on is in another published part too; give --folds")
    parted = splits.split(part, fractions, seed)
    names = np.array(parted.column("split"))
    notes = [note for note in parted.notes if note not in dataset.notes]
    if left_out:
        notes.append(f"{len(left_out)} faces left out, their subjects are in another part of the published split too")
    fold = Fold("0", *(positions[names == name] for name in ("train", "validation", "test")))
    return Assignment((fold,), left_out, tuple(notes))


def _disjoint(dataset: Dataset, positions: Positions) -> tuple[Positions, tuple[Dropped, ...]]:
    """Keep a subject of several published parts in the last of train, validation, test only."""
    part = dataset.take(positions)
    subjects, ranks = part.column("subject"), [_RANK[split] for split in part.column("split")]
    highest: dict[str, int] = {}
    for subject, rank in zip(subjects, ranks, strict=True):
        highest[subject] = max(highest.get(subject, 0), rank)
    kept = np.array([rank == highest[subject] for subject, rank in zip(subjects, ranks, strict=True)])
    names = {1: "its subject is in the validation part too", 2: "its subject is tested"}
    lost = dataset.take(positions[~kept])
    told = zip(lost.column("id"), lost.column("subject"), strict=True)
    return positions[kept], tuple(Dropped(face, names[highest[subject]]) for face, subject in told)


def _folds(dataset: Dataset, positions: Positions, k: int, seed: int, fractions: Mapping[str, float]) -> Assignment:
    part = dataset.take(positions)
    tested = splits.folds(part, k, seed)
    share = fractions["validation"] / (fractions["validation"] + fractions["train"])
    made = []
    for fold in range(k):
        pool = positions[tested != fold]
        train, validation = training.hold_out(dataset, pool, share, seed)
        made.append(Fold(str(fold), train, validation, positions[tested == fold]))
    published = any(part.column("split"))
    return Assignment(
        tuple(made), notes=("the published split is not used: folds were asked for",) if published else ()
    )


def _require_subjects(dataset: Dataset, positions: Positions) -> None:
    subjects = len(set(dataset.take(positions).column("subject")))
    if subjects < 3:
        raise InputError(
            f"{dataset.name}: to train, to choose the epoch and to test takes 3 subjects at least; there are {subjects}"
        )


def _require_expressions(dataset: Dataset, folds: Sequence[Fold]) -> None:
    for fold in folds:
        seen = set(dataset.take(fold.train).column("expression"))
        if missing := [e for e in dataset.expressions if e not in seen]:
            where = f" in fold {fold.name}" if len(folds) > 1 else ""
            raise InputError(
                f"{dataset.name}: no face to train on shows {', '.join(missing)}{where}; "
                "leave it out with --expressions or --min-faces"
            )


def blocks(subjects: Sequence[str], most: int = BLOCKS, seed: int = 0) -> NDArray[np.intp]:
    """Deal whole subjects to blocks of nearly equally many faces: the largest first, each to the emptiest block.

    Parameters
    ----------
    subjects : sequence of str
        One a face; their order does not matter.
    most : int
        At most so many blocks; a subject each where there are fewer subjects.
    seed : int

    Returns
    -------
    array (face,)
        From 0; no block is empty.

    >>> blocks(["a", "b", "b", "c"], most=2).tolist()
    [1, 0, 0, 1]
    """
    names, who, sizes = np.unique(np.asarray(subjects, object), return_inverse=True, return_counts=True)
    rank = {name: sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest() for name in names}
    order = sorted(range(len(names)), key=lambda i: (-sizes[i], rank[names[i]]))
    heap = [(0, block) for block in range(min(most, len(names)))]
    dealt = np.empty(len(names), np.intp)
    for subject in order:
        filled, block = heap[0]
        dealt[subject] = block
        heapreplace(heap, (filled + int(sizes[subject]), block))
    return dealt[who]
