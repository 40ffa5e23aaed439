"""Who a drawn face is: proportions, skin, hair, eyes, age, glasses; everything follows from one number."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xfer.datasets.synthetic.anatomy import INDEX, Array, neutral

Colour = NDArray[np.float32]

PROPORTIONS = (
    "face_width", "face_length", "jaw_width", "chin_width", "eye_size", "eye_spacing", "eye_tilt", "eye_height",
    "brow_height", "brow_tilt", "nose_length", "nose_width", "mouth_width", "mouth_height", "lip_fullness",
    "nose_depth", "philtrum",
)  # fmt: skip
"""Proportions that vary, each a standard normal number clipped to [-2, 2]."""

HAIRSTYLES = ("bald", "short", "side", "full", "long", "bob")

_SKIN = np.array(
    [[0.98, 0.84, 0.76], [0.94, 0.77, 0.66], [0.88, 0.69, 0.56], [0.78, 0.57, 0.43], [0.62, 0.43, 0.31],
     [0.47, 0.32, 0.23], [0.36, 0.24, 0.18]]
)  # fmt: skip
_HAIR = np.array(
    [[0.07, 0.06, 0.06], [0.15, 0.10, 0.07], [0.27, 0.17, 0.10], [0.42, 0.27, 0.15], [0.70, 0.54, 0.32],
     [0.50, 0.23, 0.11], [0.62, 0.61, 0.60]]
)  # fmt: skip
_IRIS = np.array([[0.20, 0.12, 0.07], [0.30, 0.19, 0.10], [0.36, 0.33, 0.18], [0.30, 0.42, 0.52], [0.38, 0.45, 0.42]])
_EYES, _BROWS = (*range(36, 48),), (*range(17, 27),)
_MOUTH = (*range(48, 68),)


@dataclass(frozen=True, eq=False)
class Identity:
    """What stays the same when a person's expression changes. Colours are RGB in [0, 1], lengths in IOD."""

    seed: int
    proportions: dict[str, float]
    skin: Colour
    hair: Colour
    brow: Colour
    iris: Colour
    lip: Colour
    hairstyle: str
    brow_thickness: float
    age: float
    stubble: float
    glasses: float
    glasses_round: float
    glasses_colour: Colour
    clothes: Colour


@lru_cache(maxsize=512)
def identity(seed: int) -> Identity:
    """The identity with this number.

    >>> identity(7).hairstyle == identity(7).hairstyle
    True
    """
    rng = np.random.default_rng((seed, 1))
    tone = rng.uniform(0, len(_SKIN) - 1)
    skin = _mix(_SKIN, tone) * rng.uniform(0.96, 1.04, 3)
    dark = tone / (len(_SKIN) - 1)
    hair = _HAIR[rng.choice(len(_HAIR), p=[0.22, 0.24, 0.2, 0.12, 0.09, 0.05, 0.08])]
    hair = hair * (1 - 0.75 * dark * (hair.mean() < 0.55)) * rng.uniform(0.85, 1.15)
    age = rng.beta(1.6, 2.0)
    blood = np.array([0.80, 0.46, 0.46]) * (1 - 0.35 * dark)
    lip = skin * (0.62 - 0.1 * rng.random()) + blood * rng.uniform(0.22, 0.38)
    return Identity(
        seed=seed,
        proportions={name: float(np.clip(rng.standard_normal(), -2, 2)) for name in PROPORTIONS},
        skin=(np.clip(skin, 0.1, 1)).astype(np.float32),
        hair=(hair).astype(np.float32),
        brow=(np.clip(0.75 * hair * rng.uniform(0.7, 1.0) + 0.02, 0.02, 0.55) * (0.9 - 0.2 * dark)).astype(np.float32),
        iris=(_IRIS[rng.choice(len(_IRIS), p=_iris_odds(dark))] * rng.uniform(0.8, 1.2)).astype(np.float32),
        lip=(np.clip(lip, 0.05, 1)).astype(np.float32),
        hairstyle=HAIRSTYLES[rng.choice(len(HAIRSTYLES), p=[0.08, 0.26, 0.18, 0.18, 0.16, 0.14])],
        brow_thickness=float(rng.uniform(0.055, 0.105)),
        age=float(age),
        stubble=float(rng.uniform(0.1, 0.5) * (rng.random() < 0.25)),
        glasses=float(rng.random() < 0.18),
        glasses_round=float(rng.uniform(0.15, 1.0)),
        glasses_colour=(rng.uniform(0.03, 0.35) * rng.uniform(0.7, 1.0, 3)).astype(np.float32),
        clothes=(rng.uniform(0.08, 0.85, 3)).astype(np.float32),
    )


def _mix(colours: Array, place: float) -> Array:
    low = min(int(place), len(colours) - 2)
    return colours[low] + (place - low) * (colours[low + 1] - colours[low])


def _iris_odds(dark: float) -> Array:
    odds = np.array([0.3 + dark, 0.3 + 0.3 * dark, 0.15 * (1 - dark), 0.25 * (1 - dark) ** 2, 0.15 * (1 - dark) ** 2])
    return odds / odds.sum()


@lru_cache(maxsize=512)
def shape(seed: int) -> Array:
    """The neutral head of an identity, (point, xyz) in IOD of the mean head."""
    k = identity(seed).proportions
    points = neutral().copy()
    x, y = points[:, 0].copy(), points[:, 1].copy()
    low = np.clip((y - 0.25) / 1.1, 0, 1)
    points[:, 0] = x * (1 + 0.025 * k["face_width"] + 0.045 * k["jaw_width"] * low)
    points[:17, 0] *= 1 + 0.05 * k["chin_width"] * np.clip((y[:17] - 0.85) / 0.5, 0, 1)
    points[:, 1] = y * (1 + 0.028 * k["face_length"] * (y > 0))
    _features(points, k)
    _mouth(points, k)
    points.setflags(write=False)
    return points


def _features(points: Array, k: dict[str, float]) -> None:
    """Eyes, brows and nose of one identity, in place."""
    side = np.sign(points[:, 0])
    for eye in (_EYES[:6], _EYES[6:]):
        rows = list(eye)
        centre = points[rows].mean(axis=0)
        offset = points[rows] - centre
        offset[:, 0] *= 1 + 0.035 * k["eye_size"]
        offset[:, 1] *= 1 + 0.07 * k["eye_size"] + 0.09 * k["eye_height"]
        offset[:, 1] -= 0.045 * k["eye_tilt"] * offset[:, 0] * np.sign(centre[0])
        points[rows] = centre + offset
    around = [*_EYES, *(INDEX[f"{n}{s}"] for n in ("globe", "socket") for s in ("", "'"))]
    points[around, 0] += 0.010 * k["eye_spacing"] * side[around]
    rows = list(_BROWS)
    points[rows, 1] -= 0.017 * k["brow_height"] + 0.05 * k["brow_tilt"] * (np.abs(points[rows, 0]) - 0.42)
    nose = (
        *range(28, 36),
        *(INDEX[n] for n in ("tip", "columella")),
        *_pair("ala wing_top nostril naso_top"),
    )
    rows = list(nose)
    points[rows, 1] += 0.018 * k["nose_length"] * np.clip(points[rows, 1] / 0.5, 0, 1)
    rows = [31, 32, 34, 35, *_pair("ala wing_top nostril")]
    points[rows, 0] *= 1 + 0.07 * k["nose_width"]
    points[[29, 30, INDEX["tip"]], 2] += 0.03 * k["nose_depth"]


def _mouth(points: Array, k: dict[str, float]) -> None:
    """Mouth width, height and lip fullness of one identity, in place."""
    rows = [*_MOUTH, *_pair("lip_low lip_high dimple pouch"), INDEX["lip_mid"]]
    points[rows, 0] *= 1 + 0.05 * k["mouth_width"]
    points[rows, 1] += 0.018 * k["mouth_height"] + 0.008 * k["philtrum"]
    line = points[62, 1]
    lips = [*range(49, 54), *range(55, 60)]
    points[lips, 1] = line + (points[lips, 1] - line) * (1 + 0.16 * k["lip_fullness"])


def _pair(names: str) -> list[int]:
    return [INDEX[f"{name}{prime}"] for name in names.split() for prime in ("", "'")]
