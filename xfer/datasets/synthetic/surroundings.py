"""What is not the face: background, clothes and neck, ears, hair, glasses, noise."""

from functools import cache

import numpy as np

from xfer.datasets.synthetic.anatomy import Array
from xfer.datasets.synthetic.canvas import Canvas, Grid, edge, ellipse, lit, unit
from xfer.datasets.synthetic.identity import Identity
from xfer.datasets.synthetic.skin import Outline

HAIRLINE = {"bald": 2.0, "short": 0.69, "side": 0.66, "full": 0.63, "long": 0.66, "bob": 0.64}
_VOLUME = {"bald": 0.0, "short": 0.06, "side": 0.11, "full": 0.17, "long": 0.12, "bob": 0.15}


def background(canvas: Canvas, seed: int) -> None:
    """A soft backdrop of one to three hues with blurred shapes, seeded by the scene."""
    rng = np.random.default_rng((seed, 2))
    base = rng.uniform(0.15, 0.85) + rng.uniform(0.02, 0.12) * rng.standard_normal(3)
    cells = rng.standard_normal((5, 5, 3)) * rng.uniform(0.0, 0.06) + rng.uniform(0.02, 0.14) * rng.standard_normal(
        (5, 5, 1)
    )
    weights = _smooth_weights(canvas.size, 5)
    soft = np.tensordot(np.tensordot(weights, cells + base, 1), weights, axes=([1], [1]))
    canvas.image[:] = np.clip(np.moveaxis(soft, 1, 0), 0.02, 0.98)


@cache
def _smooth_weights(size: int, knots: int) -> Array:
    """Cosine interpolation weights (size, knots)."""
    distance = np.abs(np.linspace(0, knots - 1, size)[:, None] - np.arange(knots))
    return np.where(distance < 1, 0.5 + 0.5 * np.cos(np.pi * np.minimum(distance, 1)), 0).astype(np.float32)


def noise(canvas: Canvas, seed: int, deviation: float) -> None:
    """Grain, the same in all channels; deviation in grey levels, seeded by the scene."""
    if deviation > 0:
        rng = np.random.default_rng((seed, 3))
        canvas.image += rng.standard_normal((canvas.size, canvas.size), np.float32) * np.float32(deviation / 255)


def hair_behind(canvas: Canvas, person: Identity, jaw: Array) -> None:
    """Long hair falls behind the neck."""
    if person.hairstyle not in ("long", "bob"):
        return
    length = 0.75 if person.hairstyle == "bob" else 2.2
    middle = ((jaw[0] + jaw[16]) / 2).astype(np.float32)
    half = (jaw[16, 0] - jaw[0, 0]) / 2 + 0.13
    reach = half + 0.15
    window = canvas.window(middle + np.array([[-reach, -0.6], [-reach, length], [reach, -0.6], [reach, length]]))
    down = canvas.down[window] - middle[1]
    across = canvas.across[window]
    wave = 0.03 * np.sin(down * 7 + person.seed % 5)
    sides = np.float32(half) + wave + 0.05 * unit(down) - np.abs(across - middle[0])
    cover = edge(np.minimum(sides, 0.6 + down), 0.03) * edge(length - down, 0.1)
    strands = 0.64 + 0.09 * np.sin(across * 55 + 2 * np.sin(down * 5))
    canvas.blend(window, cover, lit(person.hair, strands))


def body(canvas: Canvas, person: Identity, points: Array, exposure: Array) -> None:
    """Neck in the shade of the chin, and clothes."""
    chin, left, right = points[8], points[3], points[13]
    middle = np.float32((left[0] + right[0]) / 2 * 0.75 + chin[0] * 0.25)
    half = np.float32(0.31 * (right[0] - left[0]))
    window = canvas.window(np.array([[-9, 0.5], [-9, 9], [9, 0.5], [9, 9]]))
    from_middle = np.abs(canvas.across[window] - middle)
    down = canvas.down[window]
    flare = np.clip(down - np.float32(1.3), 0, 2)
    neck = edge(half + 0.25 * flare * flare - from_middle, 0.03)
    across = np.minimum(from_middle / half, 1.2)
    shadow = 1 - 0.42 * unit(1.15 - (down - 1.05) / 0.35)
    canvas.blend(window, neck, lit(person.skin * exposure * 0.85, (1 - 0.45 * across * across) * shadow))
    opening = np.sqrt(np.maximum(1 - from_middle / (half + 0.06), 0))
    collar = 1.18 + 0.22 * np.maximum(from_middle - half, 0) + 0.40 * opening
    cloth = lit(person.clothes * exposure, 0.9 - 0.15 * np.sin(canvas.across[window] * 9))
    canvas.blend(window, edge(down - collar, 0.03), cloth)


def ears(canvas: Canvas, person: Identity, jaw: Array, yaw: float, light: Grid) -> None:
    """The ear that the pose shows more of stands out further."""
    for rows, side in (((0, 1, 2), -1), ((16, 15, 14), 1)):
        reach = 0.035 - 0.0028 * side * yaw
        if reach <= 0:
            continue
        middle = jaw[list(rows)].mean(axis=0) + np.array((side * (reach - 0.02), 0.02))
        window = canvas.window(middle[None], 0.4)
        cover = ellipse(canvas, window, middle, (0.075 + 0.4 * reach, 0.21), 0.02 + canvas.pixel)
        inner = ellipse(canvas, window, middle + np.array((side * 0.015, -0.01)), (0.04 + 0.3 * reach, 0.13), 0.08)
        colour = lit(person.skin * [0.92, 0.80, 0.78], light[window] * (1 - 0.30 * inner))
        canvas.blend(window, cover, colour)


def hair(canvas: Canvas, person: Identity, shape: Outline, light: Array) -> None:
    """Hair over the skull down to the hairline."""
    if person.hairstyle == "bald":
        return
    window = canvas.window(shape.centre + np.array([[-1.2, -2.0], [1.2, -2.0], [-1.2, 0.35], [1.2, 0.35]]))
    angle, distance, border = shape.angle[window], shape.distance[window], shape.border[window]
    up, side = -np.sin(angle), np.cos(angle)
    parting = 1.0 if person.seed % 2 else -1.0
    slant = 0.10 * parting * side if person.hairstyle == "side" else 0.0
    low = {"long": -0.25, "bob": -0.35, "full": 0.05}.get(person.hairstyle, 0.18)
    rise = unit((up - low) / 0.55)
    rise = rise * rise * (3 - 2 * rise)
    ragged = 0.010 * np.sin(angle * 37 + person.seed % 9) + 0.008 * np.sin(angle * 83)
    inner = border * (1.0 - (1.0 - HAIRLINE[person.hairstyle] + slant + ragged) * rise)
    outer = border * (1 + (_VOLUME[person.hairstyle] + 0.4 * ragged) * np.minimum(1.2 * rise + 0.05, 1))
    outer *= rise > 0
    cover = edge(distance - inner, 0.045 + canvas.pixel) * edge(outer - distance, 0.03 + canvas.pixel)
    phase = angle * 46 + 3 * np.sin(distance * 5 + person.seed % 11)
    strands = 0.86 + 0.10 * np.sin(phase) + 0.07 * np.sin(1.7 * phase + 3 * distance)
    lx, ly = float(light[0]), float(light[1])
    toward = np.clip(side * lx - up * ly + 0.4, 0, 1.4)
    band = (distance / border - np.float32(0.88)) * 5
    sheen = np.maximum(1 - band * band, 0) ** 2 * toward * 0.20
    canvas.blend(window, cover, lit(person.hair, (0.55 + 0.45 * toward) * strands + sheen) + 0.05 * sheen)


def glasses(canvas: Canvas, person: Identity, points: Array) -> None:
    """Rims, bridge and temples; the lenses are clear."""
    if not person.glasses:
        return
    left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    power = 2.0 + 2.5 * (1 - person.glasses_round)
    for middle, outer, side in ((left, points[0], -1), (right, points[16], 1)):
        centre = middle + np.array((0, 0.035))
        half = abs(right[0] - left[0]) * 0.41
        window = canvas.window(np.array([centre, outer]), half)
        x, y = (canvas.across[window] - centre[0]) / half, (canvas.down[window] - centre[1]) / (0.80 * half)
        ring = (np.abs(x) ** power + np.abs(y) ** power) ** (1 / power) - 1
        rim = edge(0.020 - np.abs(ring * half), canvas.pixel)
        canvas.blend(window, edge(-ring * half, canvas.pixel) * np.float32(0.05), np.ones(3))
        arm = edge(0.018 - np.abs(canvas.down[window] - centre[1] + 0.06), canvas.pixel)
        arm *= (x * side > 1) & (side * (canvas.across[window] - outer[0]) < 0)
        canvas.blend(window, np.maximum(rim, arm), person.glasses_colour)
    window = canvas.window(np.array([left, right]), 0.1)
    lens = abs(right[0] - left[0]) * 0.41
    bridge = edge(0.018 - np.abs(canvas.down[window] - (left[1] + right[1]) / 2 + 0.01), canvas.pixel)
    inside = np.abs(canvas.across[window] - (left[0] + right[0]) / 2) < (right[0] - left[0]) / 2 - lens
    canvas.blend(window, bridge * inside, person.glasses_colour)
