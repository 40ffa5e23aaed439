"""One heatmap against one null model: rows of a table."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer.labels import KEY
from xfer.metrics import Metric, View, reason, view
from xfer.metrics.thresholds import cut
from xfer.nulls.canvas import fill
from xfer.nulls.cells import Cells, Rivals
from xfer.nulls.rearranged import Question, Rearranged
from xfer.nulls.spec import Null

Score = NDArray[np.float64]
Row = dict[str, Any]

FEWEST = 19
"""Null scores needed for a p-value: with fewer it could not fall to 0.05."""

IN_STEP = ("expression", "target")
"""Parts of the key that the random numbers do not depend on: a network's draws of all expressions go together."""

_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Case:
    """A heatmap, its masks and what it scores.

    Attributes
    ----------
    cells : Cells
    index : int
        Which cell.
    masks : View
        All masks.
    asked : sequence of Question
    values : tuple of array (mask,)
        The scores, one array per question.
    reasons : tuple of str
        Why a question has no score for the own mask.
    """

    cells: Cells
    index: int
    masks: View
    asked: Sequence[Question]
    values: tuple[Score, ...]
    reasons: tuple[str, ...]

    @property
    def heatmap(self) -> NDArray[np.float32]:
        """The map (y, x)."""
        return self.cells.maps[self.index]

    @property
    def own(self) -> int:
        """The position of its own mask."""
        return self.cells.own(self.index)


def case(cells: Cells, index: int, masks: View, asked: Sequence[Question]) -> Case:
    """Score a cell against every mask."""
    seen = view(cells.maps[index], cells.support)
    values, reasons = [], []
    for question in asked:
        contrast = {"others": masks} if question.metric.contrast else {}
        scores = np.asarray(question.metric(seen, masks, **contrast, **question.options), dtype=float)
        why = reason(question.metric, seen, masks, **contrast)
        own = cells.own(index)
        values.append(scores)
        reasons.append("" if np.isfinite(scores[own]) else str(np.atleast_1d(why)[own]) or "not finite")
    return Case(cells, index, masks, asked, tuple(values), tuple(reasons))


def rows(one: Case, null: Null, draws: int, seed: int) -> Iterator[Row]:
    """What a null model scores in place of a heatmap, one row per question."""
    if null.kind == "draws":
        return _drawn(one, null, draws, seed)
    return _relabelled(one, null) if null.kind == "relabel" else _expected(one, null)


def generator(seed: int, key: "pd.Series[Any]", null: str) -> np.random.Generator:
    """The random numbers of a null for the cells whose key differs in `IN_STEP` alone: those of no other.

    A network's heatmaps of several expressions resemble each other, and so do draws of them with the same random
    numbers; only then has the mean over expressions the spread that it has by chance.
    """
    text = "\0".join([*(str(key[name]) for name in KEY if name not in IN_STEP), null]).encode()
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(text).digest()[:16], "big")])


def p_value(observed: float, scores: Score, metric: Metric) -> float:
    """One-sided: (1 + null scores at least as good) / (1 + their number); NaN for fewer than `FEWEST`.

    A millionth is no difference: scores of random maps are summed in float32.

    References
    ----------
    Phipson & Smyth 2010, doi:10.2202/1544-6115.1585
    """
    if len(scores) < FEWEST:
        return float("nan")
    better = 1.0 if metric.best > metric.worst else -1.0
    slack = _TOLERANCE * max(1.0, abs(observed))
    return float(1 + np.count_nonzero(better * (scores - observed) >= -slack)) / (1 + len(scores))


def _drawn(one: Case, null: Null, draws: int, seed: int) -> Iterator[Row]:
    defined = [i for i, why in enumerate(one.reasons) if not why]
    found = _draw(one, [one.asked[i] for i in defined], null, draws, seed) if defined else []
    scores = dict(zip(defined, found, strict=True))
    own = one.own
    others = [m for m in range(len(one.cells.expressions)) if m != own]
    for i, question in enumerate(one.asked):
        if one.reasons[i]:
            yield _row(question, null, one.values[i][own], np.empty(0), one.reasons[i])
            continue
        yield _row(question, null, one.values[i][own], scores[i][:, own])
        if question.metric.specificity and others:
            value = one.values[i][own] - one.values[i][others].mean()
            specific = scores[i][:, own] - scores[i][:, others].mean(axis=1)
            why = "" if np.isfinite(value) else "undefined against another expression's mask"
            yield _row(question, null, value, specific, why, suffix="_specificity")


def _draw(one: Case, asked: Sequence[Question], null: Null, draws: int, seed: int) -> list[Score]:
    """Scores (draw, mask) of random maps, one array per question."""
    support = one.cells.support
    values = Rearranged(one.heatmap, one.masks, support, asked)
    rng = generator(seed, one.cells.keys.iloc[one.index], null.name)
    inside = np.flatnonzero(support)
    parts: list[list[Score]] = [[] for _ in asked]
    done = 0
    for fields in null.function(fill(one.heatmap, support), support, draws, rng):
        kept = fields[: draws - done].reshape(-1, support.size)
        done += len(kept)
        placed = values.place(np.take(kept, inside, axis=1))
        for part, scores in zip(parts, values.scores(placed), strict=True):
            part.append(scores)
    return [np.concatenate(part) for part in parts]


def _relabelled(one: Case, null: Null) -> Iterator[Row]:
    rivals = null.function(one.cells, one.index)
    whys = [why or rivals.reason for why in one.reasons]
    scores = [np.empty(0)] * len(whys) if rivals.reason else _rival_scores(one, rivals)
    for question, values, why, found in zip(one.asked, one.values, whys, scores, strict=True):
        detail = ", ".join(rivals.names)
        if null.best and not why:
            better = 1.0 if question.metric.best > question.metric.worst else -1.0
            place = int(np.argmax(np.where(np.isfinite(found), better * found, -np.inf)))
            found, detail = found[[place]], f"best of {len(found)}: {rivals.names[place]}"
        yield _row(question, null, values[one.own], np.empty(0) if why else found, why, detail="" if why else detail)


def _rival_scores(one: Case, rivals: Rivals) -> list[Score]:
    maps, masks = view(rivals.heatmaps, one.cells.support), view(rivals.masks, one.cells.support)
    found = []
    for question in one.asked:
        contrast = {"others": one.cells.masks[:, None]} if question.metric.contrast else {}
        found.append(np.asarray(question.metric(maps, masks, **contrast, **question.options), dtype=float))
    return found


def _expected(one: Case, null: Null) -> Iterator[Row]:
    """The expectation at the map's own area above the threshold; at the mask's area for metrics without one."""
    seen = view(one.heatmap, one.cells.support)
    p = float(np.asarray(one.masks.area)[one.own]) / one.masks.n
    for question, values, why in zip(one.asked, one.values, one.reasons, strict=True):
        q = p
        if question.overlap and not why:
            q = _area(seen, one, question) / one.masks.n
        score = null.function(question.metric, p, q)
        row = _row(question, null, values[one.own], np.empty(0), why or "an expectation is no test")
        missing = "" if np.isfinite(score) else f"no closed form: {question.metric.chance}"
        yield row | {"null_mean": score if not why else np.nan, "reason": why or missing or row["reason"]}


def _area(seen: View, one: Case, question: Question) -> float:
    assert question.threshold is not None
    area = np.asarray(cut(seen, one.masks, question.threshold)[1], dtype=float)
    return float(np.broadcast_to(area, one.masks.area.shape)[one.own])


def _row(
    question: Question, null: Null, value: float, scores: Score, why: str = "", *, detail: str = "", suffix: str = ""
) -> Row:
    known = np.isfinite(scores).all() and not why
    p = p_value(value, spread(scores, null), question.metric) if known else float("nan")
    if not why and not np.isfinite(p):
        few = "one value" if len(scores) == 1 else f"{len(scores)} values"
        why = f"{few}: a p-value takes {FEWEST} or more" if known else "a null score is undefined"
    return {
        "metric": question.metric.name + suffix,
        "threshold": question.cut,
        "null": null.name,
        "value": value,
        "null_mean": scores.mean() if known and len(scores) else float("nan"),
        "null_sd": scores.std(ddof=1) if known and len(scores) > 1 else float("nan"),
        "p": p,
        "n_draws": len(scores),
        "detail": detail,
        "reason": why,
        "draws": scores,
    }


def spread(scores: Score, null: Null) -> Score:
    """Null scores spread about their mean as `Null.widened` says."""
    return scores.mean() + null.widened * (scores - scores.mean()) if len(scores) else scores
