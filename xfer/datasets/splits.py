"""Training, validation and test sets and cross-validation folds that share no subject, where the data leave a choice.

A split that was published with the data is kept even if it shares subjects; the result's notes say so. Subjects are
dealt whole, so that a network is never tested on a person it saw, and so that every part gets its share of each
expression as far as whole subjects allow. The result depends on the faces and the seed only, not on their order.
"""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from heapq import heapify, heapreplace

import numpy as np
from numpy.typing import NDArray

from xfer import labels
from xfer.datasets.samples import Dataset
from xfer.errors import InputError

FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
_SPLITS = ("train", "validation", "test")


def folds(dataset: Dataset, k: int, seed: int = 0) -> NDArray[np.intp]:
    """The fold in which each face is tested.

    Parameters
    ----------
    dataset : Dataset
    k : int
    seed : int

    Returns
    -------
    array (face,)
        From 0 to k - 1; all faces of a subject are in the same fold.

    Raises
    ------
    InputError
        If there are fewer subjects than folds, or fewer than two folds.

    Notes
    -----
    A published split is not looked at: `split` keeps it, folds are for data that come without one.
    """
    if k < 2:
        raise InputError(f"folds: at least 2 are needed; got {k}")
    subjects = len(set(dataset.column("subject")))
    if subjects < k:
        raise InputError(f"{dataset.name}: {k} folds need at least {k} subjects; there are {subjects}")
    return _deal(dataset, np.full(k, 1 / k), seed)


def _shared(dataset: Dataset) -> list[str]:
    """The remark that published parts share subjects."""
    shared = dataset.shared_subjects()
    if not shared:
        return []
    names = ", ".join(list(shared)[:3]) + (", ..." if len(shared) > 3 else "")
    return [f"{len(shared)} subjects lie in several published splits ({names}): test scores are too good"]


def split(dataset: Dataset, fractions: Mapping[str, float] = FRACTIONS, seed: int = 0) -> Dataset:
    """Give every face a split; one that was published with the data is kept.

    Where the data publish some parts only, the others that are asked for are taken out of ``train``, by subject.

    Parameters
    ----------
    dataset : Dataset
    fractions : mapping
        The share of faces of "train", "validation" and "test", positive, with sum 1.
    seed : int

    Returns
    -------
    Dataset
        With `FaceSample.split` set; `notes` say what was published.

    Raises
    ------
    InputError
        If a name or a number is out of range, some faces have a published split and others have none, or there
        are too few subjects for a part.
    """
    _check_fractions(fractions)
    splits = dataset.column("split")
    published, without = set(splits) - {""}, splits.count("")
    if published and without:
        raise InputError(
            f"{dataset.name}: {without} of {len(dataset)} faces have no split; give it for all or for none"
        )
    missing = [name for name in _SPLITS if name in fractions and name not in published]
    if shared := _shared(dataset):
        dataset = replace(dataset, notes=(*dataset.notes, *shared))
    if not missing:
        return dataset
    if published and "train" not in published:
        told = ", ".join(sorted(published))
        raise InputError(f"{dataset.name}: publishes {told} and no train, out of which the others could be taken")
    names = ["train", *missing] if published else missing
    pool = [i for i, split in enumerate(splits) if split in ("", "train")]
    shares = np.array([fractions.get(name, 0.0) for name in names])
    parts = _deal(dataset.take(pool), shares / shares.sum(), seed)
    _check_parts(dataset, names, parts)
    for i, part in zip(pool, parts, strict=True):
        splits[i] = names[part]
    kept = f"split as published into {', '.join(sorted(published))}; {', '.join(missing)} taken out of train"
    return replace(dataset.changed(split=splits), notes=(*dataset.notes, kept) if published else dataset.notes)


def _check_fractions(fractions: Mapping[str, float]) -> None:
    wrong = [name for name in fractions if name not in _SPLITS]
    if wrong or "train" not in fractions:
        raise InputError(f"fractions: name train and any of validation, test; got {', '.join(fractions) or 'none'}")
    if min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise InputError(f"fractions: must be positive with sum 1; got {', '.join(map(str, fractions.values()))}")


def _check_parts(dataset: Dataset, names: list[str], parts: NDArray[np.intp]) -> None:
    for part, name in enumerate(names):
        if not (parts == part).any():
            subjects = len(set(dataset.column("subject")))
            raise InputError(f"{dataset.name}: {subjects} subjects are too few: none is left for {name!r}")


def _deal(dataset: Dataset, shares: NDArray[np.float64], seed: int) -> NDArray[np.intp]:
    """The part of each face: subjects dealt one by one, the largest first, where their expressions are short.

    A part's shortage is the chi-squared distance of its counts from its share of each expression. Subjects with a
    single face, often all of them, need no search: the part with the smallest (2n + 1) / share takes the next one,
    which is the same rule for them.
    """
    subjects, who = np.unique(dataset.column("subject"), return_inverse=True)
    rows = {e: i for i, e in enumerate((*labels.EXPRESSIONS, None))}
    counts = np.zeros((len(subjects), len(rows)))
    np.add.at(counts, (who, np.array([rows[e] for e in dataset.column("expression")])), 1)
    counts = counts[:, counts.any(axis=0)]
    rank = np.argsort([_digest(seed, name) for name in subjects.tolist()])
    sizes = counts.sum(axis=1)
    order = rank[np.argsort(-sizes[rank], kind="stable")]
    part = np.empty(len(subjects), np.intp)
    filled = _deal_families(part, counts, shares, order[sizes[order] > 1])
    _deal_singles(part, counts, shares, order[sizes[order] == 1], filled)
    return part[who]


def _deal_families(
    part: NDArray[np.intp], counts: NDArray[np.float64], shares: NDArray[np.float64], order: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Deal the subjects of several faces; returns the counts (part, expression) they fill."""
    target = shares[:, None] * counts.sum(axis=0)
    filled = np.zeros_like(target)
    for subject in order:
        cost = (counts[subject] * (2 * (filled - target) + counts[subject]) / target).sum(axis=1)
        ties = np.flatnonzero(cost <= cost.min() + 1e-9)
        part[subject] = ties[np.argmin((filled.sum(axis=1) / shares)[ties])]
        filled[part[subject]] += counts[subject]
    return filled


def _deal_singles(
    part: NDArray[np.intp],
    counts: NDArray[np.float64],
    shares: NDArray[np.float64],
    order: NDArray[np.intp],
    filled: NDArray[np.float64],
) -> None:
    """Deal the subjects of one face each, expression by expression; ties go to the emptiest part."""
    totals = filled.sum(axis=1)
    for expression in range(counts.shape[1]):
        own = order[counts[order, expression] > 0]
        emptiest = np.argsort(np.argsort(totals / shares, kind="stable"))
        heap = [
            ((2 * n + 1) / s, int(e), p)
            for p, (n, s, e) in enumerate(zip(filled[:, expression], shares, emptiest, strict=True))
        ]
        heapify(heap)
        for subject in own:
            level, tie, chosen = heap[0]
            part[subject] = chosen
            totals[chosen] += 1
            heapreplace(heap, (level + 2 / shares[chosen], tie, chosen))


def _digest(seed: int, subject: str) -> str:
    return sha256(f"{seed}:{subject}".encode("utf-8", "surrogateescape")).hexdigest()
