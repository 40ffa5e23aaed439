"""One rater at work: which face is shown, what is marked on it, and what is kept of that."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer.annotation import marks as marking
from xfer.annotation.collection import Collection, Shown
from xfer.annotation.marks import Mark
from xfer.annotation.order import PART, Task
from xfer.annotation.parts import Piece, draw_pieces, parts
from xfer.errors import InputError

NONE, UNSURE = "none", "unsure"
"""What a rater may see besides an expression: none of them, or nothing to be sure of."""
UNMARKED = (NONE, UNSURE, "neutral")
"""Answers that need no mark."""


class Session:
    """A rater's tasks in order, with everything answered so far; each answer is on the disk before the next face.

    Attributes
    ----------
    collection : Collection
    rater : str
        The salted id.
    tasks : tuple of Task
    answers : dict of int to dict
        By position in `tasks`; the last one given counts.
    position : int
        The task on the screen; ``len(tasks)`` at the end.
    marks : list of Mark
        On the face on the screen.
    seen : str
        The expression chosen for it, `NONE`, `UNSURE` or "" so far.
    resumed : int
        How many answers were there when the session began.
    """

    def __init__(self, collection: Collection, rater: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Open the rater's file and go on where it ends.

        Raises
        ------
        InputError
            As `xfer.annotation.journal.Journal`, or if a line is no answer.
        """
        self.collection = collection
        self.rater = collection.rater_id(rater)
        self.tasks = collection.tasks(self.rater)
        self._clock = clock
        self._journal = collection.journal(self.rater)
        lines = self._journal.lines
        try:
            self.answers = answered(lines, self.tasks, self._journal.path)
        except InputError:
            self._journal.close()
            raise
        self._draft = lines[-1] if lines and "draft" in lines[-1] else {}
        self.resumed = len(self.answers)
        self._go(next((i for i in range(len(self.tasks)) if i not in self.answers), len(self.tasks)))

    @property
    def finished(self) -> bool:
        """Whether everything is answered."""
        return self.position >= len(self.tasks)

    @property
    def task(self) -> Task:
        """What is asked now."""
        return self.tasks[self.position]

    @property
    def mended(self) -> bool:
        """Whether an answer was torn off in the middle when the file was last written, and taken away."""
        return self._journal.mended

    @cached_property
    def shown(self) -> Shown:
        """The face on the screen."""
        return self.collection.shown(self.task.face)

    @cached_property
    def pieces(self) -> dict[Piece, NDArray[np.bool_]]:
        """What can be clicked on it."""
        return draw_pieces(self.collection.points(self.task.face), *self.collection.canvas(self.task.face))

    @property
    def said(self) -> str:
        """The part that an attention check asks for, in words; "" where a face is to be judged."""
        return parts()[self.task.part].said if self.task.kind == PART else ""

    def marked(self) -> NDArray[np.bool_]:
        """What is marked: (y, x) of the canvas."""
        pieces = self.pieces if any(isinstance(mark, marking.Click) for mark in self.marks) else {}
        return marking.paint(self.marks, pieces, *self.collection.canvas(self.task.face))

    def add(self, mark: Mark) -> None:
        """Mark something; like every change it is kept as a draft, so that a closed tab loses none."""
        self.marks.append(mark)
        self._journal.append({**self._answer(), "draft": True})

    def undo(self) -> None:
        """Take the last mark back."""
        if self.marks:
            self.marks.pop()
            self._journal.append({**self._answer(), "draft": True})

    def clear(self) -> None:
        """Take all marks back."""
        if self.marks:
            self.marks.clear()
            self._journal.append({**self._answer(), "draft": True})

    def lacking(self) -> str:
        """What is still to be done on this face, as the rater is told; "" if nothing."""
        if self.task.kind != PART and not self.seen:
            return "Choose the expression you see, or one of the other two answers."
        if (self.task.kind == PART or self.seen not in UNMARKED) and not self.marked().any():
            return "Mark at least one place on the face."
        return ""

    def save(self) -> None:
        """Keep the answer and go on to the next face that has none.

        Raises
        ------
        InputError
            If something is lacking, or it could not be written; the face stays on the screen.
        """
        if lacking := self.lacking():
            raise InputError(lacking)
        answer = self._answer()
        self._journal.append({**answer, "seconds": round(self._clock() - self._since, 1)})
        self.answers[self.position] = answer
        later = (i for i in range(self.position + 1, len(self.tasks)) if i not in self.answers)
        self._go(next(later, len(self.tasks)))

    def _answer(self) -> dict[str, Any]:
        """The face on the screen as it stands."""
        task = self.task
        told = {"part": task.part} if task.kind == PART else {"seen": self.seen}
        marks = [marking.to_json(mark) for mark in self.marks]
        return {"n": self.position, "face": task.face, "kind": task.kind, **told, "marks": marks}

    def back(self) -> None:
        """Show the face before this one again, with its answer, to change it."""
        if self.position:
            self._go(self.position - 1)

    def close(self) -> None:
        """Let go of the rater's file."""
        self._journal.close()

    def _go(self, position: int) -> None:
        self.position = position
        for name in ("shown", "pieces"):
            self.__dict__.pop(name, None)
        draft, self._draft = self._draft, {}
        answer = self.answers.get(position) or (draft if draft.get("n") == position else {})
        self.marks: list[Mark] = [marking.from_json(mark) for mark in answer.get("marks", [])]
        self.seen = str(answer.get("seen", ""))
        self._since = self._clock()


def answered(lines: Iterable[dict[str, Any]], tasks: Sequence[Task], path: Path) -> dict[int, dict[str, Any]]:
    """The answers in a rater's file by the position of their task, the last one to each; drafts are none.

    Raises
    ------
    InputError
        If one belongs to no task of this rater.
    """
    found = {}
    for line in lines:
        at = line.get("n")
        if not isinstance(at, int) or not 0 <= at < len(tasks) or line.get("face") != tasks[at].face:
            raise InputError(f"{path}: an answer belongs to no face of this rater: {str(line)[:60]}")
        if "draft" not in line:
            found[at] = line
    return found
