"""Everything raters answered, and whether they paid attention."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer.annotation import marks as marking
from xfer.annotation.collection import Collection
from xfer.annotation.journal import read
from xfer.annotation.order import AGAIN, FACE, PART
from xfer.annotation.parts import draw_pieces
from xfer.annotation.session import UNSURE, answered

COLUMNS = ("rater", "n", "face", "kind", "part", "label", "seen", "marks", "seconds")

ON_PART, OF_PART = 0.5, 0.25
"""A check is passed where at least half of the marks lie on the part, and cover at least a quarter of it."""
PASSED = 0.5
"""A rater who passes fewer of the checks does not count."""


def read_answers(collection: Collection) -> pd.DataFrame:
    """The answers of all raters, the last one to each task.

    Returns
    -------
    DataFrame
        With `COLUMNS`: ``kind`` face, again or part; ``label`` what the data call the face, "" where nobody does;
        ``seen`` an expression, none or unsure; ``marks`` a list of `Stroke` and `Click`; ``seconds`` on the face.

    Raises
    ------
    InputError
        If a rater's file is damaged or was written for other faces.
    """
    rows = []
    for rater in collection.raters():
        path, tasks = collection.path(rater), collection.tasks(rater)
        for at, line in sorted(answered(read(path, collection.header(rater)), tasks, path).items()):
            task = tasks[at]
            told = (rater, at, task.face, task.kind, task.part, collection.label(task.face) or "")
            found = [marking.from_json(mark) for mark in line.get("marks", [])]
            rows.append((*told, str(line.get("seen", "")), found, float(line.get("seconds", np.nan))))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def marked(collection: Collection, answer: Any) -> NDArray[np.bool_]:
    """What an answer marks: (y, x) of its face's canvas."""
    size = collection.canvas(answer.face)
    clicks = any(isinstance(mark, marking.Click) for mark in answer.marks)
    pieces = draw_pieces(collection.points(answer.face), *size) if clicks else {}
    return marking.paint(answer.marks, pieces, *size)


def attention(collection: Collection, answers: pd.DataFrame) -> pd.DataFrame:
    """How much each rater did, and how attentively.

    Parameters
    ----------
    collection : Collection
    answers : DataFrame
        See `read_answers`.

    Returns
    -------
    DataFrame
        One row a rater: ``faces`` judged of ``of``; ``checks`` answered and the share ``passed`` (see `ON_PART`);
        ``again`` faces judged twice, the share with the ``same_answer`` and the mean Dice ``overlap`` of their marks;
        ``as_labelled``, the share of labelled faces seen as the data call them; median ``seconds`` a face; ``reason``
        why the rater does not count, "" for those who do. Shares of nothing are NaN.
    """
    rows = []
    for rater, own in answers.groupby("rater", sort=True):
        judged, again, asked = (own[own["kind"] == kind] for kind in (FACE, AGAIN, PART))
        labelled = judged[(judged["label"] != "") & (judged["seen"] != UNSURE)]
        passed = [passes(collection, answer) for answer in asked.itertuples()]
        pairs = again.merge(judged, on="face", suffixes=("", "_first"))
        rows.append(
            {
                "rater": rater,
                "faces": len(judged),
                "of": len(collection.dataset),
                "checks": len(asked),
                "passed": _share(passed),
                "again": len(pairs),
                "same_answer": _share(pairs["seen"] == pairs["seen_first"]),
                "overlap": _overlap(collection, judged, again),
                "as_labelled": _share(labelled["seen"] == labelled["label"]),
                "seconds": float(judged["seconds"].median()),
                "reason": _reason(len(judged), passed),
            }
        )
    columns = ("rater", "faces", "of", "checks", "passed", "again", "same_answer", "overlap", "as_labelled", "seconds",
               "reason")  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns))


def passes(collection: Collection, answer: Any) -> bool:
    """Whether the part that was asked for was painted."""
    painted = marked(collection, answer)
    pieces = draw_pieces(collection.points(answer.face), *collection.canvas(answer.face))
    wanted = np.any([area for (name, _), area in pieces.items() if name == answer.part], axis=0)
    both = (painted & wanted).sum()
    return bool(painted.any() and both >= ON_PART * painted.sum() and both >= OF_PART * wanted.sum())


def _overlap(collection: Collection, judged: pd.DataFrame, again: pd.DataFrame) -> float:
    """Mean Dice of the marks on faces that were shown twice, of those with marks."""
    first = {answer.face: answer for answer in judged.itertuples()}
    found = []
    for answer in again.itertuples():
        if answer.face in first:
            one, two = (marked(collection, each) for each in (first[answer.face], answer))
            if total := int(one.sum() + two.sum()):
                found.append(2 * int((one & two).sum()) / total)
    return float(np.mean(found)) if found else float("nan")


def _share(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _reason(judged: int, passed: list[bool]) -> str:
    if not judged:
        return "judged no face"
    if passed and np.mean(passed) < PASSED:
        return f"passed {sum(passed)} of {len(passed)} attention checks"
    return ""
