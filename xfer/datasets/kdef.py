"""KDEF: seventy actors, seven expressions, five angles, two sessions, in the studio."""

import re
from collections.abc import Collection
from pathlib import Path

from xfer.datasets import DATASETS
from xfer.datasets.files import require_folder, walk
from xfer.datasets.listing import Listing
from xfer.datasets.samples import Dataset, Dropped
from xfer.errors import unknown

_LAYOUT = "a folder with AF01/AF01ANS.JPG (session A or B, F or M, number, expression, angle)"

EXPRESSIONS = {
    "AF": "fear", "AN": "anger", "DI": "disgust", "HA": "happiness", "NE": "neutral", "SA": "sadness", "SU": "surprise",
}  # fmt: skip
ANGLES = {
    "FL": "full left profile", "HL": "half left profile", "S": "straight", "HR": "half right profile",
    "FR": "full right profile",
}  # fmt: skip

_NAME = re.compile(rf"([AB])([FM]\d\d)({'|'.join(EXPRESSIONS)})({'|'.join(ANGLES)})", re.IGNORECASE)


@DATASETS.register(
    "kdef",
    layout=_LAYOUT,
    reference="Lundqvist, Flykt and Oehman (1998), Karolinska Institutet, ISBN 91-630-7164-9",
    licence="non-commercial research, on request from kdef.se",
)
def kdef(path: Path, *, angles: Collection[str] = ("S",), allow_outside: bool = False) -> Dataset:
    """Read KDEF; both sessions of an actor are one subject.

    Parameters
    ----------
    path : Path
    angles : collection of str
        Which views to read, codes of `ANGLES`. A full profile does not show the 68 landmarks.
    allow_outside : bool
        Follow links to files that lie outside the folder.

    Raises
    ------
    InputError
        If the folder is missing, holds no face, or an angle is unknown.
    """
    if wrong := [a for a in angles if a not in ANGLES]:
        raise unknown("angle", wrong[0], ANGLES)
    listing = Listing()
    for name, found in walk(require_folder(path, _LAYOUT), allow_outside):
        match = _NAME.fullmatch(Path(name).stem)
        if match is None:
            listing.keep(name, found if isinstance(found, Dropped) else Dropped(name, "is not named as AF01ANS"), None)
            continue
        session, actor, expression, angle = match.group().upper()[0], *(g.upper() for g in match.groups()[1:])
        if angle not in angles:
            listing.drop(name, f"{ANGLES[angle]}, angles read: {', '.join(angles)}")
            continue
        extra = {"session": session, "sex": actor[0], "angle": angle}
        listing.keep(name, found, EXPRESSIONS[expression], subject=actor, extra=extra)
    return listing.dataset("kdef")
