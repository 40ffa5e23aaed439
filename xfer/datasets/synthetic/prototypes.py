"""Which Action Units a drawn expression shows: combinations read from the codebooks in ``masks/``."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache

from xfer.masks import codebooks, facs

Codebook = Mapping[str, Sequence[tuple[Collection[str], float]]]
"""Expression -> combinations of FACS codes, each with a weight; weights need not sum to 1."""

_PROTOTYPE, _VARIANT = 2.0, 1.0
"""How often a prototype is shown against a variant."""


@cache
def combinations(name: str) -> Codebook:
    """The combinations of one codebook.

    Parameters
    ----------
    name : str
        A codebook with Action Units, such as ``"facs_investigator"`` or ``"du2014"``.

    Returns
    -------
    mapping
        Its prototypes and variants. Where it tells shares instead, the Action Units that everybody shows, alone and
        with each of the others, weighted by that one's share.

    Raises
    ------
    InputError
        If there is no such codebook.
    """
    book = codebooks.load(name)
    return {e.name: tuple(_combinations(e, name)) for e in book.expressions.values() if not e.shapes}


def _combinations(expression: codebooks.Expression, where: str) -> Iterator[tuple[tuple[str, ...], float]]:
    for text in expression.prototypes:
        yield facs.parse(text, where), _PROTOTYPE
    for text in expression.variants:
        yield facs.parse(text, where), _VARIANT
    if not expression.prototypes:
        core = tuple(code for code, weight in expression.weights.items() if weight == 1)
        yield core, 1.0
        for code, weight in expression.weights.items():
            if weight < 1:
                yield (*core, code), weight


def default() -> Codebook:
    """The FACS Investigator's Guide; contempt after EMFACS; compounds after Du, Tao and Martinez (2014)."""
    emfacs = combinations("emfacs")
    return {
        **combinations("du2014"),
        **combinations("facs_investigator"),
        "contempt": emfacs["contempt"],
        "neutral": emfacs["neutral"],
    }
