"""The skin's relief: the neutral head's hills and hollows, and the wrinkles and bulges that Action Units raise.

Everything is a chain of round bumps with compact support along a line of points, so that the relief of a picture and
its gradient are products of two thin matrices, and a bump that does not change changes no pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import numpy as np

from xfer.datasets.synthetic.action_units import CODES
from xfer.datasets.synthetic.anatomy import INDEX, NAMES, Array, mirrored, neutral
from xfer.datasets.synthetic.canvas import Grid

_REACH = 2.83
"""Support of a bump in radii."""
_FINE = 0.03
"""Bumps up to this radius, in IOD, are wrinkles: drawn one by one, and never red."""


@dataclass(frozen=True)
class Fold:
    """A line of bumps: a hill or ridge (height > 0), a hollow or furrow (height < 0), or mere colour.

    Attributes
    ----------
    line : str
        Points it runs through, by name; one for a single bump.
    radius : float
        Standard deviation of a bump, IOD.
    height, dark, red : float
        Relief in IOD, and shade and redness of the skin in [0, 1], always there.
    age : float
        Share of an Action Unit's wrinkle that an old face shows at rest.
    action_units : dict
        FACS code -> (height, dark) added at intensity 1.
    offset : tuple
        Moves the line, (x, y, z) in IOD; x counts outwards.
    """

    line: str
    radius: float
    height: float = 0.0
    dark: float = 0.0
    red: float = 0.0
    age: float = 0.0
    action_units: dict[str, tuple[float, float]] = field(default_factory=dict)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)


_FOREHEAD = "forehead_out forehead_mid forehead_in"
_INNER_FOREHEAD = "forehead_mid forehead_in forehead forehead_in'"

FOLDS: tuple[Fold, ...] = (
    # the neutral head
    Fold("27 28 29 30", 0.060, height=0.050),
    Fold("tip", 0.085, height=0.075),
    Fold("ala", 0.050, height=0.045),
    Fold("17 18 19 20 21", 0.075, height=0.028, offset=(0, 0.05, 0)),
    Fold("socket", 0.075, height=-0.050, dark=0.16),
    Fold("under_brow", 0.085, height=-0.006, dark=0.05),
    Fold("globe", 0.10, height=0.026),
    Fold("cheek", 0.20, height=0.050, red=0.30),
    Fold("apple", 0.13, height=0.012, red=0.12),
    Fold("hollow", 0.20, height=-0.035, dark=0.04),
    Fold("temple", 0.16, height=-0.03, dark=0.03),
    Fold("chin", 0.12, height=0.045, red=0.06),
    Fold("groove mentolabial", 0.055, height=-0.024, dark=0.07),
    Fold("philtrum", 0.035, height=-0.012, dark=0.03),
    Fold("columella", 0.060, dark=0.24),
    Fold("ala", 0.035, dark=0.16, offset=(0.035, 0.02, 0)),
    Fold("wing_top", 0.03, dark=0.06),
    Fold("lip_mid lip_low", 0.040, height=0.026),
    Fold("lip_high", 0.045, height=0.014),
    Fold("57 58", 0.05, height=-0.010, dark=0.13, offset=(0, 0.045, 0)),
    Fold("48", 0.030, height=-0.006, dark=0.07, offset=(0.01, 0, 0)),
    Fold("tip", 0.07, red=0.18),
    Fold("trough_in trough_mid trough_out", 0.035, height=-0.006, dark=0.07, age=0.12),
    # brows and forehead
    Fold(_INNER_FOREHEAD, 0.018, age=0.18, action_units={"AU1": (-0.018, 0.136)}),
    Fold(_INNER_FOREHEAD, 0.018, age=0.12, action_units={"AU1": (-0.017, 0.124)}, offset=(0, -0.11, 0)),
    Fold(_INNER_FOREHEAD, 0.020, age=0.10, action_units={"AU1": (-0.014, 0.099)}, offset=(0, 0.10, 0)),
    Fold(_FOREHEAD, 0.018, age=0.15, action_units={"AU2": (-0.018, 0.136)}, offset=(0, -0.02, 0)),
    Fold(_FOREHEAD, 0.018, age=0.10, action_units={"AU2": (-0.016, 0.112)}, offset=(0, -0.12, 0)),
    Fold(_FOREHEAD, 0.020, age=0.08, action_units={"AU2": (-0.013, 0.093)}, offset=(0, 0.08, 0)),
    Fold("frown_low frown_high", 0.018, age=0.20, action_units={"AU4": (-0.020, 0.211)}),
    Fold("21", 0.055, action_units={"AU4": (0.026, 0.0)}, offset=(0.03, -0.03, 0)),
    Fold("glabella", 0.05, action_units={"AU4": (0.016, 0.0)}),
    Fold("under_brow socket", 0.05, action_units={"AU4": (-0.012, 0.112)}),
    Fold("brow_fold crow", 0.045, action_units={"AU2": (-0.004, -0.05), "AU5": (-0.004, 0.031)}),
    # eyes
    Fold("crow crow_up", 0.014, age=0.22, action_units={"AU6": (-0.012, 0.161)}, offset=(0.03, 0, 0)),
    Fold("crow crow_mid", 0.014, age=0.22, action_units={"AU6": (-0.012, 0.161)}, offset=(0.03, 0.01, 0)),
    Fold("crow crow_down", 0.014, age=0.22, action_units={"AU6": (-0.012, 0.161)}, offset=(0.03, 0.02, 0)),
    Fold("trough_in trough_mid trough_out", 0.020, age=0.2, action_units={"AU6": (-0.012, 0.124)}),
    Fold("trough_mid trough_out", 0.035, action_units={"AU6": (0.012, 0.0)}, offset=(0, 0.07, 0)),
    Fold("apple", 0.12, action_units={"AU6": (0.035, 0.0), "AU9": (0.022, 0.0), "AU10": (0.018, 0.0),
                                      "AU12": (0.030, 0.0), "AU13": (0.055, 0.0), "AU11": (0.008, 0.0)}),
    Fold("40 41", 0.022, height=0.005, dark=0.03, action_units={"AU7": (0.012, 0.037), "AU6": (0.008, 0.025)},
         offset=(0, 0.04, 0)),
    Fold("40 41", 0.018, action_units={"AU7": (-0.008, 0.112), "AU9": (-0.006, 0.074)}, offset=(0, 0.085, 0)),
    # nose
    Fold("bridge bridge_low", 0.022, action_units={"AU9": (-0.014, 0.136)}, offset=(0.02, 0.03, 0)),
    Fold("root bridge", 0.016, action_units={"AU9": (-0.014, 0.186)}, offset=(0, 0.02, 0)),
    Fold("root bridge", 0.016, action_units={"AU9": (-0.014, 0.174)}, offset=(0, 0.09, 0)),
    Fold("glabella frown_low", 0.016, action_units={"AU9": (-0.010, 0.149)}, offset=(0, 0.06, 0)),
    Fold("naso_top wing_top", 0.026, action_units={"AU9": (-0.016, 0.186), "AU10": (-0.006, 0.062)},
         offset=(0.02, -0.04, 0)),
    Fold("ala", 0.055, action_units={"AU9": (0.020, 0.0), "AU10": (0.008, 0.0)}),
    # folds from nose to mouth
    Fold("naso_top naso_high naso_mid", 0.026, dark=0.05, age=0.30,
         action_units={"AU9": (-0.016, 0.161), "AU10": (-0.020, 0.198), "AU11": (-0.018, 0.186),
                       "AU12": (-0.016, 0.136), "AU6": (-0.004, 0.037)}),
    Fold("naso_mid naso_low naso_end", 0.026, dark=0.02, age=0.28,
         action_units={"AU12": (-0.018, 0.161), "AU10": (-0.012, 0.112), "AU13": (-0.014, 0.124),
                       "AU20": (-0.010, 0.074), "AU11": (-0.006, 0.062), "AU27": (-0.010, 0.062)}),
    Fold("naso_mid naso_low", 0.05, action_units={"AU12": (0.016, 0.0), "AU10": (0.012, 0.0), "AU13": (0.016, 0.0)},
         offset=(0.10, 0, 0)),
    # mouth corners
    Fold("dimple", 0.022, action_units={"AU14": (-0.024, 0.31), "AU12": (-0.008, 0.074)}),
    Fold("dimple", 0.022, action_units={"AU14": (-0.012, 0.155)}, offset=(0.0, 0.05, 0)),
    Fold("dimple", 0.045, action_units={"AU14": (0.020, 0.0)}, offset=(0.07, 0, 0)),
    Fold("dimple pouch pouch_end", 0.022, age=0.15, action_units={"AU15": (-0.018, 0.186), "AU17": (-0.004, 0.031)}),
    Fold("pouch", 0.045, action_units={"AU15": (0.016, 0.0), "AU24": (0.006, 0.0)}, offset=(-0.06, 0.02, 0)),
    Fold("naso_low naso_end", 0.020, action_units={"AU20": (-0.010, 0.099)}, offset=(0.05, 0.02, 0)),
    Fold("chin_side", 0.09, action_units={"AU20": (-0.012, 0.031)}, offset=(0.12, -0.02, 0)),
    # lips and chin
    Fold("49 50 51", 0.022, action_units={"AU24": (0.016, 0.025), "AU23": (0.012, 0.031), "AU18": (0.010, 0.019)},
         offset=(0, -0.03, 0)),
    Fold("57 58 59", 0.026, action_units={"AU24": (0.016, 0.031), "AU23": (0.012, 0.031), "AU18": (0.010, 0.019)},
         offset=(0, 0.03, 0)),
    Fold("48", 0.03, action_units={"AU24": (-0.006, 0.074), "AU23": (-0.006, 0.087), "AU18": (-0.004, 0.062)},
         offset=(0.03, 0, 0)),
    Fold("chin", 0.085, action_units={"AU17": (0.050, -0.03)}, offset=(0, -0.02, 0)),
    Fold("groove mentolabial", 0.030,
         action_units={"AU17": (-0.026, 0.186), "AU15": (-0.006, 0.037), "AU16": (-0.010, 0.062),
                       "AU24": (-0.008, 0.05)}),
    Fold("chin_side chin chin_side'", 0.022, action_units={"AU17": (-0.010, 0.06)}, offset=(0, 0.02, 0)),
    Fold("lip_mid lip_low", 0.035, action_units={"AU22": (0.022, 0.0), "AU18": (0.020, 0.0), "AU24": (-0.012, 0.0)}),
    Fold("hollow", 0.12, action_units={"AU26": (-0.012, 0.031), "AU27": (-0.03, 0.074)}),
)  # fmt: skip


class Bumps(NamedTuple):
    """All bumps of the relief, stacked.

    ``place`` (bump, point) weights and ``offset`` (bump, xyz) give positions, ``radius`` (bump,); ``rest`` (bump, 3)
    height, dark, red; ``old`` (bump, 2) height and dark that age adds; ``gain`` (au, bump * 2).
    """

    place: Array
    offset: Array
    radius: Array
    rest: Array
    old: Array
    gain: Array


@cache
def bumps() -> Bumps:
    """The table of folds as arrays, both sides filled."""
    rows = [row for fold in FOLDS for row in _sides(fold)]
    place, offset, radius, rest, old, gain = (np.array(column) for column in zip(*rows, strict=True))
    return Bumps(place, offset, radius, rest, old, np.moveaxis(gain, 1, 0).reshape(len(CODES), -1))


def _sides(fold: Fold) -> list[tuple[Array, ...]]:
    names = fold.line.split()
    twin = [mirrored(name) for name in names]
    rows = _chain(fold, names, 1.0)
    if set(twin) != set(names) or fold.offset[0]:
        rows += _chain(fold, twin, -1.0)
    return rows


def _chain(fold: Fold, names: Sequence[str], side: float) -> list[tuple[Array, ...]]:
    """Bumps at most 1.5 radii apart along a line (ripple below 0.1 %), each lower to keep the ridge's height."""
    knots = np.zeros((len(names), len(NAMES)))
    knots[np.arange(len(names)), [INDEX[name] for name in names]] = 1
    path = knots @ neutral()[:, :2]
    steps = np.hypot(*np.diff(path, axis=0).T) if len(names) > 1 else np.zeros(0)
    count = max(len(names), int(np.ceil(steps.sum() / (1.5 * fold.radius))) + 1) if len(names) > 1 else 1
    at = np.interp(np.linspace(0, steps.sum(), count), [0, *np.cumsum(steps)], np.arange(len(names)))
    low = np.minimum(at.astype(int), max(len(names) - 2, 0))
    weights = knots[low] + (at - low)[:, None] * (knots[np.minimum(low + 1, len(names) - 1)] - knots[low])
    spacing = steps.sum() / (count - 1) if count > 1 else np.inf
    share = min(1.0, spacing / (np.sqrt(2 * np.pi) * fold.radius))
    taper = share * (np.sin(np.pi * (np.arange(count) + 0.7) / (count + 0.4)) ** 0.5 if count > 3 else np.ones(count))
    gain = np.zeros((len(CODES), 2))
    for code, effect in fold.action_units.items():
        gain[CODES.index(code)] = effect
    offset = np.array(fold.offset) * [-side, 1, 1]
    old = fold.age * np.array([-0.014, 0.22])
    rest = np.array([fold.height, fold.dark, fold.red])
    return [(weights[i], offset, np.array(fold.radius), t * rest, t * old, t * gain) for i, t in enumerate(taper)]


class Relief(NamedTuple):
    """Relief of a picture: slopes (y, x) along x and y, ``dark`` and ``red`` (y, x) of the skin."""

    slope_x: Grid
    slope_y: Grid
    dark: Grid
    red: Grid


def render(centres: Array, scale: float, amplitudes: Array, size: int) -> Relief:
    """Sum all bumps on the pixel grid.

    Parameters
    ----------
    centres : (bump, 2) array
        Positions in px.
    scale : float
        Px per IOD.
    amplitudes : (bump, 3) array
        Height in IOD, dark, red.
    size : int
        Side of the picture in px.

    Returns
    -------
    Relief
        float32 arrays (size, size); slopes are dimensionless.
    """
    table = bumps()
    radius = table.radius * scale
    drawn = np.maximum(radius, 0.8)
    strength = amplitudes * [scale, 1, 1] * (radius / drawn)[:, None]
    wide = table.radius > _FINE
    fine = ~wide & amplitudes.any(axis=1)
    broad = _everywhere(centres[wide], drawn[wide], strength[wide], size)
    narrow = _nearby(centres[fine], drawn[fine], strength[fine], size)
    return Relief(*(a + b for a, b in zip(broad, narrow, strict=True)))


def _everywhere(centres: Array, radius: Array, strength: Array, size: int) -> tuple[Grid, ...]:
    """Wide bumps: four products of thin matrices."""
    pixels = np.arange(size)
    x, x_slope = _profile(pixels - centres[:, :1], radius)
    y, y_slope = _profile(pixels - centres[:, 1:], radius)
    height, dark, red = strength.astype(np.float32).T[:, :, None]
    return (y * height).T @ x_slope, (y_slope * height).T @ x, (y * dark).T @ x, (y * red).T @ x


def _nearby(centres: Array, radius: Array, strength: Array, size: int) -> tuple[Grid, ...]:
    """Narrow bumps: each on its own patch of pixels, summed in their order."""
    if not len(centres):
        return (np.zeros((size, size), np.float32),) * 4
    patch = int(np.ceil(2 * _REACH * radius.max())) + 1
    corner = np.clip(np.ceil(centres - _REACH * radius.max()), -patch, size).astype(int)
    pixels = np.arange(patch)
    x, x_slope = _profile(pixels + (corner[:, :1] - centres[:, :1]), radius)
    y, y_slope = _profile(pixels + (corner[:, 1:] - centres[:, 1:]), radius)
    side = size + 2 * patch
    rows, columns = corner[:, 1:, None] + patch + pixels[:, None], corner[:, :1, None] + patch + pixels
    place = (rows * side + columns).ravel()
    height, dark, _ = strength.astype(np.float32).T[:, :, None]

    def gather(down: Grid, along: Grid) -> Grid:
        total = np.bincount(place, (down[:, :, None] * along[:, None, :]).ravel(), side * side)
        return total.reshape(side, side)[patch:-patch, patch:-patch].astype(np.float32)

    return (
        gather(y * height, x_slope),
        gather(y_slope * height, x),
        gather(y * dark, x),
        np.zeros(1, np.float32),
    )


def _profile(distance: Array, radius: Array) -> tuple[Grid, Grid]:
    """A bump's section and its slope, (bump, pixel): (1 - t^2 / 8)^4, near a Gaussian, zero from 2.83 radii on."""
    thin = radius[:, None].astype(np.float32)
    t = distance.astype(np.float32) / thin
    base = np.maximum(1 - t * t / 8, 0)
    cube = base * base * base
    return cube * base, -t * cube / thin
