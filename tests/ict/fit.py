"""How well a region fits the pixels that a blendshape moves."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from tests.ict import face as ict
from xfer import geometry

Array = NDArray[np.floating]

BOTH = ("_L", "_R")
UNITS = {
    "AU1": "browInnerUp", "AU2": "browOuterUp", "AU4": "browDown", "AU5": "eyeWide", "AU6": "cheekSquint",
    "AU7": "eyeSquint", "AU9": "noseSneer", "AU10": "mouthUpperUp", "AU12": "mouthSmile", "AU14": "mouthDimple",
    "AU15": "mouthFrown", "AU16": "mouthLowerDown", "AU17": "mouthShrugLower", "AU18": "mouthPucker",
    "AU20": "mouthStretch", "AU22": "mouthFunnel", "AU24": "mouthPress", "AU26": "jawOpen", "AU27": "jawOpen",
    "AU43": "eyeBlink",
}  # fmt: skip
"""The blendshape that shows each Action Unit."""

ALTERNATIVES = (("AU6", "cheekRaiser"), ("AU10", "mouthShrugUpper"), ("AU11", "mouthUpperUp"))
"""Other readings of the kit: a shape its README leaves out, and the README's own for AU10 and AU11."""

WEIGHTS = {"AU26": 0.4}
"""Where it is not 1: a jaw that drops is not yet a mouth stretched open."""


def weights(kit: ict.Kit, code: str, shape: str = "") -> dict[str, float]:
    """The weights of the blendshapes that show an Action Unit, on both sides, by `UNITS` or by another shape."""
    name = shape or UNITS[code]
    return {one: WEIGHTS.get(code, 1.0) for one in (name, *(name + side for side in BOTH)) if one in kit.shapes}


def support(kit: ict.Kit, person: ict.Person, size: int) -> NDArray[np.bool_]:
    """The pixels (y, x) of a neutral face inside jaw and forehead arch, as in a canonical frame."""
    points = geometry.extend(ict.landmarks(kit, person, size=size), geometry.load_frame())
    return geometry.inside(points[list(geometry.OUTLINE)], size, size)


def motion(kit: ict.Kit, person: ict.Person, shown: Mapping[str, float], size: int) -> Array:
    """How far something moves at each pixel (y, x), in inter-ocular distances.

    What a pixel shows moves away, or what it shows afterwards came from elsewhere, as a lid does before an eyeball at
    rest: the longer of the two ways. 0 where nothing is seen.
    """
    away = ict.displacement(kit, person, shown, size)
    arrived = ict.displacement(kit, person, shown, size, seen="moved")
    return np.maximum(np.nan_to_num(away), np.nan_to_num(arrived))


def overlap(region: NDArray[np.bool_], moved: Array) -> float:
    """IoU of a region with as many pixels, those that move most; both (pixel,)."""
    count = int(region.sum())
    if not count:
        return float("nan")
    most = np.zeros_like(region)
    most[np.argsort(-moved, kind="stable")[:count]] = True
    most &= moved > 0
    return float((region & most).sum() / (region | most).sum())


def chance(region: NDArray[np.bool_]) -> float:
    """The IoU of a region with as many pixels taken at random, of their expected intersection and union.

    >>> chance(np.array([True, False]))
    0.3333333333333333
    """
    share = float(region.mean())
    return share / (2 - share)


def auc(region: NDArray[np.bool_], moved: Array) -> float:
    """The probability that a pixel of the region moves farther than one beside it; ties count half.

    >>> auc(np.array([True, False, False]), np.array([1.0, 1.0, 0.0]))
    0.75
    """
    n, m = int(region.sum()), int((~region).sum())
    if not n or not m:
        return float("nan")
    return float((rankdata(moved)[region].sum() - n * (n + 1) / 2) / (n * m))
