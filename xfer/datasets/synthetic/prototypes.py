"""Which Action Units a drawn expression shows: prototypes and variants with their weights, as plain data.

The six emotions after the prototypes and variants of the FACS Investigator's Guide (Ekman, Friesen and Hager 2002) as
quoted in public sources, disgust and the compounds also after Du, Tao and Martinez (2014),
doi:10.1073/pnas.1322355111. Weights are the author's.
"""

from collections.abc import Collection, Mapping, Sequence

Codebook = Mapping[str, Sequence[tuple[Collection[str], float]]]
"""Expression -> sets of FACS codes, each with a weight; weights need not sum to 1."""


def _sets(text: str) -> tuple[tuple[tuple[str, ...], float], ...]:
    """Read ``"6+12 3, 12 1"``: sets of AU numbers, each followed by its weight."""
    entries = (entry.split() for entry in text.split(","))
    return tuple((tuple(f"AU{n}" for n in units.split("+")), float(weight)) for units, weight in entries)


_BASIC = {
    "anger": "4+5+7+23 2, 4+5+7+24 2, 4+7+17+23 1.5, 4+7+17+24 1.5, 4+5+7+10+23+25 1, 4+7+10+22+25+26 1, 4+7+24 2",
    "disgust": "9 1, 9+17 2, 10+17 2, 9+15 1, 9+16+25 1, 10+16+25 1.5, 10 1, 4+9+10+17 1.5",
    "fear": "1+2+4+5+20+25 3, 1+2+4+5+25+26 1.5, 1+4+20+25 2, 1+2+4+5+20 1.5, 1+2+4+5 1, 5+20+25 1, 1+4+5+7+20+25 1",
    "happiness": "6+12 3, 6+12+25 4, 12+25 2, 12 1, 6+12+25+26 1",
    "sadness": "1+4+15 3, 1+4+11+15 1.5, 1+4+15+17 2, 6+15 1, 4+15+17 1.5, 1+4+11 1, 11+17 0.5, 1+4+6+15 1",
    "surprise": "1+2+5+26 3, 1+2+5+27 2, 1+2+25+26 2, 1+2+5 1, 1+2+26 1, 5+26 0.5, 1+2+27 1",
    "contempt": "14 2, 12+14 2",
}

_COMPOUND = {
    "happily_surprised": "1+2+12+25 1, 1+2+5+12+25 1.2, 1+2+5+12+25+26 1.2",
    "happily_disgusted": "10+12+25 1, 6+10+12+25 1, 6+9+10+12+25 1, 4+10+12+25 0.5",
    "sadly_fearful": "1+4+20+25 1.5, 1+2+4+20+25 1, 1+4+6+20+25 0.5, 1+4+15+25 0.6",
    "sadly_angry": "4+15 1, 4+7+15 1, 4+15+17 1, 4+7+15+17 1",
    "sadly_surprised": "1+4+25+26 1.5, 1+2+4+25+26 0.6, 1+4+6+25+26 0.6",
    "sadly_disgusted": "4+10+15 1, 1+4+6+10 1, 1+4+10+15+17 1, 4+6+10+25 0.7",
    "fearfully_angry": "4+20+25 1, 4+5+20+25 1, 4+5+7+20+25 1, 4+7+10+20+25 0.5",
    "fearfully_surprised": "1+2+5+20+25 1.5, 1+2+4+5+20+25 1, 1+2+5+20+25+26 1",
    "fearfully_disgusted": "1+4+10+20+25 1, 1+2+4+10+20+25 1, 1+2+4+5+10+20+25 1, 1+4+9+10+20+25 0.5",
    "angrily_surprised": "4+25+26 1, 4+7+25+26 1, 4+5+7+25+26 0.7, 4+10+25+26 0.5",
    "angrily_disgusted": "4+10+17 1, 4+7+10+17 1, 4+7+9+10+17 1, 4+9+10+17+24 0.7",
    "disgustedly_surprised": "1+2+5+10 1, 1+2+5+10+17 1, 1+2+4+5+9+10 0.8, 1+2+5+10+17+24 0.5",
    "appalled": "4+10 1, 4+9+10+17 1.2, 4+9+10 0.7, 4+10+17+24 0.7",
    "hatred": "4+10 1, 4+7+10 0.8, 4+7+10+17 1.2, 4+7+10+17+24 0.7",
    "awed": "1+2+5+25 1, 1+2+5+20+25 1, 1+2+5+20+25+26 1",
    "happily_fearful": "1+2+12+25+26 1, 1+2+5+12+20+25 1",
    "happily_sad": "4+6+12+25 1, 1+4+6+12+15 0.7",
}

PROTOTYPES: Codebook = {name: _sets(text) for name, text in (_BASIC | _COMPOUND).items()} | {"neutral": (((), 1.0),)}
"""The default: all expressions of `xfer.labels`."""
