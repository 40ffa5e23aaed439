"""What a record of a face tells, in whatever shard it stands: its expression, subject, split, time and landmarks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer.datasets.files import split_name, unusable
from xfer.datasets.listing import Listing
from xfer.landmarkers.points import COLUMNS as POINTS

EXPRESSIONS = ("expression", "label", "emotion")
"""The names that the expression goes by; the first that is there is read."""

LANDMARKS = "landmarks"
KNOWN = ("subject", "split", "time", LANDMARKS, *POINTS)
"""The other names that mean something; what goes by any other is kept as text."""


def label_of(record: Mapping[str, Any]) -> str:
    """The name of the expression's field; "" where there is none.

    >>> label_of({"emotion": "fear", "label": 3}), label_of({})
    ('label', '')
    """
    return next((name for name in EXPRESSIONS if name in record), "")


def enter(
    listing: Listing, name: str, source: Any, record: Mapping[str, Any], classes: Sequence[str] = (), split: str = ""
) -> None:
    """Enter a face with what its record tells, or drop it with the reason.

    Parameters
    ----------
    listing : Listing
    name : str
    source : StoredPicture or Dropped
    record : mapping
        Text, numbers, and lists of them; None where nothing is told.
    classes : sequence of str
        The names of expressions that are told as numbers from 0.
    split : str
        That of a record that tells none.
    """
    told = {"split": split} | {key: value for key, value in record.items() if value is not None}
    label = label_of(told)
    if reason := unusable(told["split"], told.get("time", "")):
        listing.drop(name, reason)
        return
    listing.keep(
        name, source, _named(told[label], classes) or None if label else None,
        subject=str(told.get("subject", "")).strip(), split=split_name(str(told["split"])),
        time=float(told["time"]) if str(told.get("time", "")).strip() else None, landmarks=points(told),
        extra={key: str(value) for key, value in told.items() if key not in (label, *KNOWN)},
    )  # fmt: skip


def _named(label: object, classes: Sequence[str]) -> str:
    text = str(label).strip()
    return classes[int(text)] if text.isdecimal() and int(text) < len(classes) else text


def points(record: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """68 landmarks (x, y), nested or flat, or as x0, y0, ... x67, y67; None if they are not all there and finite.

    >>> points({"landmarks": [1.0, 2.0] * 68}).shape
    (68, 2)
    """
    values = record[LANDMARKS] if LANDMARKS in record else [record.get(name, np.nan) for name in POINTS]
    try:
        found = np.asarray(values, np.float32).reshape(68, 2)
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found).all() else None
