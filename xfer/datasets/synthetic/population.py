"""A population of drawn faces: who, which expression by which Action Units, how held, lit and framed."""

from collections.abc import Iterator, Sequence

import numpy as np

from xfer.datasets.synthetic import cues
from xfer.datasets.synthetic.action_units import CODES
from xfer.datasets.synthetic.face import Face, Light
from xfer.datasets.synthetic.prototypes import Codebook, default
from xfer.errors import InputError, unknown
from xfer.labels import BASIC

_STRENGTH = (0.9, 1.0)
"""How strongly a face shows its expression: the range of the mean intensity of its Action Units."""
_SPREAD = (0.75, 1.25)
"""How each of them strays from that mean, as a factor."""
_DISTRACTORS = 0.2
"""Action Units a face shows that its expression does not ask for, on average."""
_TURN = (7.0, 5.0, 4.0)
"""Standard deviations of yaw, pitch and roll in degrees, cut at 2.2."""
_SCALE = (0.36, 0.40)
_SHIFT = 0.06
"""Ranges of a face's size and, on either side, of its place, as shares of the picture's side."""
_RARE = {"AU43": 0.25, "AU27": 0.3, "AU22": 0.5, "AU18": 0.6, "AU13": 0.6}
"""Odds of a distractor against the other Action Units' 1."""
_CODES, _ODDS = np.array(CODES), np.array([_RARE.get(code, 1.0) for code in CODES])


def faces(
    n: int,
    seed: int = 0,
    expressions: Sequence[str] = BASIC,
    codebook: Codebook | None = None,
    cue: str | None = None,
) -> list[Face]:
    """Draw a sample of faces (their descriptions; `draw` makes the pictures).

    Every subject shows every expression once. Face i depends on the seed and i alone, so a longer list begins with
    the shorter one.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        Of people and scenes; not negative.
    expressions : sequence of str
        Labels, in turn.
    codebook : mapping, optional
        Expression -> (combination of FACS codes, weight) pairs; `prototypes.default` unless given.
    cue : str, optional
        One of `cues.CUES`: then that cue alone carries the class, and the rest of the face shows an expression
        drawn at random.

    Returns
    -------
    list of Face
        With ``expression`` and ``subject`` filled.

    Raises
    ------
    InputError
        If an expression is not in the codebook, a code cannot be drawn, or the cue cannot tell so many classes.

    Examples
    --------
    >>> [face.expression for face in faces(3)]
    ['anger', 'disgust', 'fear']
    """
    return list(stream(n, seed, expressions, codebook, cue))


def stream(
    n: int,
    seed: int = 0,
    expressions: Sequence[str] = BASIC,
    codebook: Codebook | None = None,
    cue: str | None = None,
) -> Iterator[Face]:
    """`faces`, one at a time."""
    codebook = default() if codebook is None else codebook
    _check(n, seed, expressions, codebook, cue)
    for i in range(n):
        yield member(i, seed, expressions, codebook, cue)


def member(i: int, seed: int, expressions: Sequence[str], codebook: Codebook, cue: str | None) -> Face:
    """Face i of `stream`, by itself."""
    rng = np.random.default_rng((seed, i))
    label = i % len(expressions)
    shown = expressions[label] if cue is None else expressions[int(rng.integers(len(expressions)))]
    units = action_units(shown, codebook, rng)
    face = portrait(seed * 1_000_003 + i // len(expressions), expressions[label], units, rng)
    return face if cue is None else cues.plant(face, cue, label, float(rng.uniform(0.7, 1.0)))


def _check(n: int, seed: int, expressions: Sequence[str], codebook: Codebook, cue: str | None) -> None:
    if n < 0 or seed < 0:
        raise InputError(f"'n' and 'seed' must not be negative; got {n} and {seed}")
    if not expressions:
        raise InputError("'expressions' must name at least one expression")
    for name in expressions:
        if name not in codebook:
            raise unknown("expression", name, codebook)
        for code in (c for units, _ in codebook[name] for c in units):
            if code not in CODES:
                raise unknown("action unit", code, CODES)
    if cue is not None and len(expressions) > cues.capacity(cue):
        raise InputError(
            f"the cue {cue!r} tells {cues.capacity(cue)} classes apart; got {len(expressions)} expressions"
        )


def action_units(expression: str, codebook: Codebook, rng: np.random.Generator) -> dict[str, float]:
    """Intensities of one showing of an expression: a set of the codebook, weak to strong, and distractors."""
    sets = codebook[expression]
    weights = np.array([weight for _, weight in sets])
    units = sets[rng.choice(len(sets), p=weights / weights.sum())][0]
    strength = rng.uniform(*_STRENGTH)
    shown = {code: float(np.clip(strength * rng.uniform(*_SPREAD), 0.05, 1)) for code in units}
    others = rng.choice(_CODES, size=rng.poisson(_DISTRACTORS), p=_ODDS / _ODDS.sum())
    for code in others:
        shown.setdefault(str(code), float(rng.uniform(0.05, 0.55)))
    return dict(sorted(shown.items(), key=lambda item: CODES.index(item[0])))


def portrait(person: int, expression: str, units: dict[str, float], rng: np.random.Generator) -> Face:
    """A face in a random pose, light, frame and scene."""
    light = Light(
        azimuth=float(rng.uniform(-65, 65)),
        elevation=float(rng.uniform(0, 55)),
        ambient=float(rng.uniform(0.40, 0.75)),
        exposure=float(rng.uniform(0.75, 1.2)),
        warmth=float(rng.uniform(-0.6, 0.9)),
    )
    turned = np.clip(rng.standard_normal(3), -2.2, 2.2) * _TURN
    return Face(
        identity=person,
        subject=f"person{person:06d}",
        expression=expression,
        action_units=units,
        yaw=float(turned[0]),
        pitch=-float(turned[1]),
        roll=float(turned[2]),
        scale=float(rng.uniform(*_SCALE)),
        shift=(float(rng.uniform(-_SHIFT, _SHIFT)), float(rng.uniform(-_SHIFT, _SHIFT))),
        light=light,
        gaze=(float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))),
        scene=int(rng.integers(2**31)),
        noise=float(rng.uniform(1, 4)),
    )
