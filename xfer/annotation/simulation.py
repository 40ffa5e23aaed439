"""Raters who are nobody: to try how a collection works, and how many people it takes, before anybody is asked."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xfer import masks as mask_sources
from xfer.annotation.collection import Collection
from xfer.annotation.marks import Click, Mark, Stroke
from xfer.annotation.order import PART
from xfer.annotation.parts import parts
from xfer.annotation.session import NONE, UNMARKED, Session
from xfer.errors import InputError
from xfer.masks import Source
from xfer.progress import Stage, followed, silent

NOBODY = "0" * 8
"""What the id of a simulated rater begins with; that of a person does so once in four thousand million."""

_BRUSH, _APART = 44, 0.035
"""Width of the brush in px, and how far beside the mask one rater always paints, as a share of the canvas (SD)."""


@followed()
def simulate(
    collection: Collection,
    raters: int = 6,
    *,
    masks: str = "ekman",
    right: float = 0.85,
    spots: int = 6,
    seed: int = 0,
    progress: Stage = silent,
) -> tuple[str, ...]:
    """Let simulated raters answer a collection: no people, and no evidence about people.

    Each sees most faces as they are labelled, dabs at random places of that expression's mask, in the same way a little
    beside them, and passes the attention checks. Whoever has answered already goes on where they stopped.

    Parameters
    ----------
    collection : Collection
        One of its own: without people.
    raters : int
    masks : str
        A mask source on 68 landmarks.
    right : float in [0, 1]
        The share of faces that are seen as they are labelled.
    spots : int
        Dabs of the brush on a face; the fewer, the less raters agree.
    seed : int
    progress : callable
        A step is a rater.

    Returns
    -------
    tuple of str
        Their ids, which begin with `NOBODY`.

    Raises
    ------
    InputError
        If people have marked faces there, or a number does not fit.
    """
    if people := [rater for rater in collection.raters() if not rater.startswith(NOBODY)]:
        raise InputError(
            f"{collection.home}: people have marked faces there ({len(people)} files); simulate in a folder of its own"
        )
    if raters < 1 or spots < 1 or not 0 <= right <= 1:
        raise InputError(f"raters and spots must be at least 1, right in [0, 1]; got {raters}, {spots}, {right}")
    source, ids = mask_sources.source(masks), tuple(f"{number:012x}" for number in range(1, raters + 1))
    tick = progress("simulated raters", raters)
    for number, rater in enumerate(ids, start=1):
        _answer(
            Session(collection, rater, clock=lambda: 0.0), source, right, spots, np.random.default_rng([seed, number])
        )
        tick()
    return ids


def _answer(session: Session, source: Source, right: float, spots: int, rng: np.random.Generator) -> None:
    """Everything that is still to be answered."""
    beside = rng.normal(0, _APART, 2)
    try:
        while not session.finished:
            if session.task.kind == PART:
                name = session.task.part
                session.marks = [Click((name, i)) for i in range(len(parts()[name].shapes))]
            else:
                session.seen = _seen(session, source.expressions, right, rng)
                session.marks = [] if session.seen in UNMARKED else _dabs(session, source, spots, beside, rng)
            session.save()
    finally:
        session.close()


def _seen(session: Session, masked: Sequence[str], right: float, rng: np.random.Generator) -> str:
    """The label, or now and then another expression that has a mask."""
    label, others = session.collection.label(session.task.face), session.collection.expressions
    wrong = [name for name in others if name in masked and name != label]
    if label is None or (wrong and rng.random() >= right):
        return str(rng.choice(wrong)) if wrong else NONE
    return label if label in masked or label == "neutral" else NONE


def _dabs(
    session: Session, source: Source, spots: int, beside: NDArray[np.float64], rng: np.random.Generator
) -> list[Mark]:
    """Dots of the brush in the mask of what is seen."""
    face, size = session.task.face, session.collection.canvas(session.task.face)
    points = session.collection.points(face)
    drawn = mask_sources.expression_masks(points, source, height=size[0], width=size[1], expressions=[session.seen])[
        0
    ].astype(np.float64)
    chosen = rng.choice(drawn.size, spots, p=drawn.ravel() / drawn.sum())
    at = np.stack(np.unravel_index(chosen, drawn.shape)[::-1], axis=-1) + beside * max(size)
    inside = np.clip(np.round(at), 0, [size[1] - 1, size[0] - 1]).astype(int)
    return [Stroke(_BRUSH, ((int(x), int(y)),)) for x, y in inside]
