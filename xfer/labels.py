"""The vocabulary: expressions, FACS codes and the names that identify a heatmap."""

import re
from collections.abc import Iterable

from xfer.errors import InputError, UnknownNameError, unknown

BASIC = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""Ekman's six, in the order every table uses."""

COMPOUND = (
    "happily_surprised", "happily_disgusted", "sadly_fearful", "sadly_angry", "sadly_surprised",
    "sadly_disgusted", "fearfully_angry", "fearfully_surprised", "fearfully_disgusted",
    "angrily_surprised", "angrily_disgusted", "disgustedly_surprised", "appalled", "hatred", "awed",
    "happily_fearful", "happily_sad",
)  # fmt: skip
"""Compounds of Du, Tao and Martinez (2014), doi:10.1073/pnas.1322355111, and the two RAF-CE adds."""

EXPRESSIONS = (*BASIC, "neutral", "contempt", *COMPOUND)

ALIASES = {
    "angry": "anger", "disgusted": "disgust", "fearful": "fear", "afraid": "fear", "scared": "fear",
    "happy": "happiness", "joy": "happiness", "smiling": "happiness", "sad": "sadness",
    "surprised": "surprise", "contemptuous": "contempt", "awe": "awed",
}  # fmt: skip
"""Other people's spellings: read at the border, never stored."""

KEY = (
    "model", "guide", "seed", "fold", "layer", "explainer", "target", "expression", "outcome", "normalisation",
)  # fmt: skip
"""What identifies a cell, that is one global heatmap; always coordinates, never positions."""

IMAGE = "image"
"""What stands for the layer of a heatmap that was read at none: it lies over the image."""

UNKNOWN = "unknown"
"""The value of a key that a file does not tell."""

_AU = re.compile(r"AU([1-9][0-9]?)$")


def expression(name: str) -> str:
    """The one spelling of an expression.

    >>> expression("Happy"), expression("Happily Surprised")
    ('happiness', 'happily_surprised')

    Raises
    ------
    InputError
        If the name is neither an expression nor an alias.
    """
    plain = re.sub(r"[\s-]+", "_", name.strip().lower())
    plain = ALIASES.get(plain, plain)
    if plain not in EXPRESSIONS:
        raise unknown("expression", name, EXPRESSIONS)
    return plain


def expressions(names: Iterable[str], *, any_labels: bool = False) -> tuple[str, ...]:
    """The one spelling of each of some expressions, in their order.

    Parameters
    ----------
    names : iterable of str
    any_labels : bool
        Keep names that are no expressions as they are.

    Raises
    ------
    InputError
        If a name is unknown, or two mean the same.

    Examples
    --------
    >>> expressions(["Neutral", "happy", "Zorn"], any_labels=True)
    ('neutral', 'happiness', 'Zorn')
    """
    found: dict[str, str] = {}
    for name in names:
        try:
            plain = expression(name)
        except UnknownNameError:
            if not any_labels:
                raise
            plain = name
        if plain in found:
            raise InputError(f"labels {found[plain]!r} and {name!r} are the same expression, {plain!r}")
        found[plain] = name
    return tuple(found)


def action_unit(code: str) -> str:
    """Check a FACS code such as ``"AU4"``.

    Raises
    ------
    InputError
        If it is spelled another way (``"4"``, ``"AU04"``, ``"au4"``).
    """
    if not _AU.match(code):
        digits = re.sub(r"\D", "", code).lstrip("0")
        hint = f" (did you mean 'AU{digits}'?)" if digits else ""
        raise InputError(f"an Action Unit is written 'AU' and its FACS number, as in 'AU4'; got {code!r}{hint}")
    return code


def au_number(code: str) -> int:
    """The FACS number, for sorting: ``au_number("AU12") == 12``."""
    return int(action_unit(code)[2:])
