"""In which order a rater sees the faces, and where attention checks stand among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

FACE, AGAIN, PART = "face", "again", "part"
"""A face; a face shown a second time, which nobody is told; a face on which a named part is to be painted."""

REPEATED, ASKED = 10, 15
"""One in so many faces comes again; one part is asked for in so many faces. At least one of both."""

_APART = 5
"""The fewest faces between a face and its return, where there are enough."""


@dataclass(frozen=True)
class Task:
    """What a rater is asked: to judge and mark a face, or to paint a part of one."""

    face: str
    kind: str = FACE
    part: str = ""


def order(faces: Sequence[str], rater: str, parts: Sequence[str]) -> tuple[Task, ...]:
    """A rater's tasks: every face once in random order, with attention checks between them.

    Parameters
    ----------
    faces : sequence of str
        Ids; their order does not matter.
    rater : str
        The salted id; everything random follows from it.
    parts : sequence of str
        Those that may be asked for.

    Examples
    --------
    >>> tasks = order(["a", "b", "c"], "0f3a", ["nose"])
    >>> sorted(task.face for task in tasks if task.kind == FACE)
    ['a', 'b', 'c']
    >>> [(task.kind, task.part) for task in tasks if task.kind != FACE]
    [('part', 'nose'), ('again', '')]
    """
    rng = np.random.default_rng(int.from_bytes(sha256(rater.encode()).digest()[:8]))
    ids = sorted(faces)
    tasks = [Task(ids[i]) for i in rng.permutation(len(ids))]
    asked = [
        Task(ids[int(rng.integers(len(ids)))], PART, parts[int(rng.integers(len(parts)))])
        for _ in range(max(1, round(len(ids) / ASKED)))
    ]
    for task in asked:
        tasks.insert(int(rng.integers(1, len(tasks) + 1)), task)
    for task in _returning(tasks, rng, max(1, round(len(ids) / REPEATED))):
        first = tasks.index(Task(task.face))
        least = min(first + 1 + _APART, len(tasks))
        tasks.insert(int(rng.integers(least, len(tasks) + 1)), task)
    return tuple(tasks)


def _returning(tasks: Sequence[Task], rng: np.random.Generator, count: int) -> list[Task]:
    """Faces of the first half, which have room to come again."""
    early = [task.face for task in tasks if task.kind == FACE][: max(1, len(tasks) // 2)]
    return [Task(early[i], AGAIN) for i in rng.permutation(len(early))[:count]]
