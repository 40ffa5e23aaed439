"""The neutral head: 68 iBUG points and the soft points between them, in three dimensions.

Units are inter-ocular distances (IOD, between the outer eye corners). x runs to the viewer's right, y down,
z towards the viewer; the origin lies between the eyes in the plane of the ears. Numbers are the author's,
after the proportions of the drawing canon; they are measured from nobody.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

_LEFT_IBUG = {
    0: (-0.84, 0.02, 0.10), 1: (-0.83, 0.24, 0.12), 2: (-0.80, 0.46, 0.16), 3: (-0.76, 0.68, 0.24),
    4: (-0.69, 0.89, 0.36), 5: (-0.575, 1.075, 0.52), 6: (-0.415, 1.225, 0.70), 7: (-0.215, 1.325, 0.84),
    17: (-0.66, -0.17, 0.66), 18: (-0.56, -0.235, 0.80), 19: (-0.43, -0.265, 0.90), 20: (-0.29, -0.26, 0.97),
    21: (-0.165, -0.235, 1.00),
    36: (-0.50, 0.005, 0.70), 37: (-0.42, -0.062, 0.79), 38: (-0.305, -0.065, 0.84), 39: (-0.215, 0.02, 0.84),
    40: (-0.31, 0.052, 0.83), 41: (-0.415, 0.052, 0.79),
    31: (-0.155, 0.525, 1.02), 32: (-0.08, 0.555, 1.10),
    48: (-0.30, 0.805, 0.97), 49: (-0.195, 0.752, 1.08), 50: (-0.075, 0.722, 1.15), 59: (-0.19, 0.885, 1.06),
    58: (-0.08, 0.925, 1.12), 60: (-0.25, 0.804, 1.00), 61: (-0.085, 0.800, 1.12), 67: (-0.085, 0.800, 1.12),
}  # fmt: skip
_MIDDLE_IBUG = {
    8: (0.0, 1.36, 0.90), 27: (0.0, 0.00, 1.02), 28: (0.0, 0.14, 1.14), 29: (0.0, 0.28, 1.26),
    30: (0.0, 0.42, 1.36), 33: (0.0, 0.57, 1.14), 51: (0.0, 0.737, 1.17), 57: (0.0, 0.935, 1.14),
    62: (0.0, 0.803, 1.14), 66: (0.0, 0.803, 1.14),
}  # fmt: skip
_MIRROR_IBUG = (
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46,
    39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
)  # fmt: skip
_LEFT_SOFT = {
    "cheek": (-0.48, 0.40, 0.82), "apple": (-0.40, 0.34, 0.88), "hollow": (-0.62, 0.66, 0.55),
    "temple": (-0.74, -0.16, 0.45), "crow": (-0.60, 0.02, 0.62), "crow_up": (-0.70, -0.06, 0.52),
    "crow_mid": (-0.72, 0.03, 0.50), "crow_down": (-0.69, 0.13, 0.52),
    "trough_in": (-0.22, 0.10, 0.90), "trough_mid": (-0.32, 0.155, 0.86), "trough_out": (-0.46, 0.13, 0.76),
    "socket": (-0.205, -0.06, 0.88), "globe": (-0.36, -0.005, 0.82), "under_brow": (-0.40, -0.165, 0.88),
    "naso_top": (-0.185, 0.47, 1.00), "naso_high": (-0.245, 0.58, 0.99), "naso_mid": (-0.315, 0.70, 0.96),
    "naso_low": (-0.375, 0.82, 0.91), "naso_end": (-0.385, 0.92, 0.88),
    "pouch": (-0.335, 0.92, 0.92), "pouch_end": (-0.355, 1.03, 0.88), "dimple": (-0.365, 0.815, 0.92),
    "ala": (-0.135, 0.475, 1.07), "wing_top": (-0.15, 0.42, 1.03), "nostril": (-0.07, 0.535, 1.10),
    "bridge": (-0.075, 0.10, 0.98), "bridge_low": (-0.10, 0.22, 0.97),
    "frown_low": (-0.055, -0.07, 1.03), "frown_high": (-0.07, -0.25, 1.04),
    "forehead_in": (-0.14, -0.46, 1.04), "forehead_mid": (-0.36, -0.46, 0.97), "forehead_out": (-0.58, -0.41, 0.80),
    "brow_fold": (-0.56, -0.15, 0.80),
    "groove": (-0.15, 1.045, 1.02), "chin_side": (-0.13, 1.20, 1.04), "lip_low": (-0.13, 0.88, 1.12),
    "lip_high": (-0.13, 0.765, 1.12),
}  # fmt: skip
_MIDDLE_SOFT = {
    "glabella": (0.0, -0.14, 1.06), "root": (0.0, -0.03, 1.02), "tip": (0.0, 0.43, 1.36),
    "columella": (0.0, 0.53, 1.20), "philtrum": (0.0, 0.65, 1.14), "mentolabial": (0.0, 1.05, 1.06),
    "chin": (0.0, 1.20, 1.10), "forehead": (0.0, -0.455, 1.05), "lip_mid": (0.0, 0.885, 1.16),
}  # fmt: skip

OUTLINE = (*range(17),)
"""The jaw: drawn, and given as landmarks, where the head's silhouette is seen, as annotators of iBUG do."""


def _names() -> tuple[str, ...]:
    ibug = tuple(str(i) for i in range(68))
    left = tuple(_LEFT_SOFT)
    return (*ibug, *left, *(f"{name}'" for name in left), *_MIDDLE_SOFT)


NAMES = _names()
"""Every point: iBUG numbers from "0", soft points of the viewer's left, their twins with a prime, the middle."""
INDEX = {name: i for i, name in enumerate(NAMES)}


def mirrored(name: str) -> str:
    """The name of a point's twin on the other side (its own for a point on the midline).

    >>> mirrored("36"), mirrored("cheek"), mirrored("tip")
    ('45', "cheek'", 'tip')
    """
    if name.isdigit():
        return str(_MIRROR_IBUG[int(name)])
    if name in _MIDDLE_SOFT:
        return name
    return name[:-1] if name.endswith("'") else f"{name}'"


@cache
def neutral() -> Array:
    """The neutral mean head, (point, xyz) in IOD; symmetric about x = 0."""
    points = np.zeros((len(NAMES), 3))
    tables = (_LEFT_IBUG, _LEFT_SOFT, _MIDDLE_IBUG, _MIDDLE_SOFT)
    for name, place in ((str(n), p) for table in tables for n, p in table.items()):
        points[INDEX[name]] = place
        points[INDEX[mirrored(name)]] = (-place[0] if mirrored(name) != name else 0.0, *place[1:])
    points.setflags(write=False)
    return points
