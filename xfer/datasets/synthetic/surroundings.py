"""What is not the face: background, clothes and neck, ears, hair, glasses, noise."""

import numpy as np

from xfer.datasets.synthetic.anatomy import Array
from xfer.datasets.synthetic.canvas import Canvas, Grid, edge, ellipse
from xfer.datasets.synthetic.identity import Identity
from xfer.datasets.synthetic.skin import Outline

HAIRLINE = {"bald": 2.0, "short": 0.69, "side": 0.66, "full": 0.63, "long": 0.66, "bob": 0.64}
_VOLUME = {"bald": 0.0, "short": 0.06, "side": 0.11, "full": 0.17, "long": 0.12, "bob": 0.15}


def background(canvas: Canvas, seed: int) -> None:
    """A soft backdrop of one to three hues with blurred shapes, seeded by the scene."""
    rng = np.random.default_rng((seed, 2))
    base = rng.uniform(0.15, 0.9) + 0.18 * rng.standard_normal(3)
    cells = rng.standard_normal((5, 5, 3)) * rng.uniform(0.02, 0.16) + 0.06 * rng.standard_normal((5, 5, 1))
    weights = _smooth_weights(canvas.size, 5)
    soft = np.tensordot(np.tensordot(weights, cells + base, 1), weights, axes=([1], [1]))
    canvas.image[:] = np.clip(np.moveaxis(soft, -1, 1), 0.02, 0.98)


def _smooth_weights(size: int, knots: int) -> Array:
    """Cosine interpolation weights (size, knots)."""
    distance = np.abs(np.linspace(0, knots - 1, size)[:, None] - np.arange(knots))
    return np.where(distance < 1, 0.5 + 0.5 * np.cos(np.pi * np.minimum(distance, 1)), 0).astype(np.float32)


def noise(canvas: Canvas, seed: int, deviation: float) -> None:
    """Grain of the sensor, grey levels, seeded by the scene."""
    if deviation > 0:
        rng = np.random.default_rng((seed, 3))
        canvas.image += rng.standard_normal(canvas.image.shape, np.float32) * np.float32(deviation / 255)


def hair_behind(canvas: Canvas, person: Identity, jaw: Array) -> None:
    """Long hair falls behind the neck."""
    if person.hairstyle not in ("long", "bob"):
        return
    length = 0.75 if person.hairstyle == "bob" else 2.2
    middle = (jaw[0] + jaw[16]) / 2
    half = (jaw[16, 0] - jaw[0, 0]) / 2 + 0.13
    wave = 0.03 * np.sin(canvas.down * 7 + person.seed % 5)
    sides = half + wave + 0.05 * np.clip(canvas.down - middle[1], 0, 1) - np.abs(canvas.across - middle[0])
    cover = edge(np.minimum(sides, 0.6 + canvas.down - middle[1]), 0.03) * edge(middle[1] + length - canvas.down, 0.1)
    strands = 0.85 + 0.12 * np.sin(canvas.across * 55 + 2 * np.sin(canvas.down * 5))
    canvas.blend((slice(None), slice(None)), cover, person.hair * (0.75 * strands)[..., None])


def body(canvas: Canvas, person: Identity, points: Array, exposure: Array) -> None:
    """Neck in the shade of the chin, and clothes."""
    chin, left, right = points[8], points[3], points[13]
    middle = (left[0] + right[0]) / 2 * 0.75 + chin[0] * 0.25
    half = 0.36 * (right[0] - left[0])
    window = (slice(None), slice(None))
    from_middle = np.abs(canvas.across - np.float32(middle))
    depth = canvas.down - np.float32(1.05)
    neck = edge(half + 0.25 * np.clip(depth - 0.25, 0, 2) ** 2 - from_middle, 0.03) * edge(canvas.down - 0.4, 0.1)
    round_off = 1 - 0.45 * np.clip(from_middle / half, 0, 1.2) ** 2
    shadow = 1 - 0.42 * np.clip(1.15 - depth / 0.35, 0, 1)
    skin = person.skin * exposure * 0.85
    canvas.blend(window, neck, skin * (round_off * shadow)[..., None])
    collar = 1.45 + 0.30 * np.clip(from_middle / 1.2, 0, 1.5) ** 2 - 0.18 * np.cos(np.clip(from_middle * 3, 0, np.pi))
    cloth = edge(canvas.down - collar.astype(np.float32), 0.03)
    canvas.blend(window, cloth, person.clothes * exposure * (0.9 - 0.15 * np.sin(canvas.across * 9))[..., None])


def ears(canvas: Canvas, person: Identity, jaw: Array, yaw: float, light: Grid) -> None:
    """The ear that the pose shows more of stands out further."""
    for rows, side in (((0, 1, 2), -1), ((16, 15, 14), 1)):
        reach = 0.035 - 0.0028 * side * yaw
        if reach <= 0:
            continue
        middle = jaw[list(rows)].mean(axis=0) + [side * (reach - 0.02), 0.02]
        window = canvas.window(middle[None], 0.4)
        cover = ellipse(canvas, window, middle, (0.075 + 0.4 * reach, 0.21), 0.02 + canvas.pixel)
        inner = ellipse(canvas, window, middle + [side * 0.015, -0.01], (0.04 + 0.3 * reach, 0.13), 0.08)
        colour = person.skin * [0.92, 0.80, 0.78] * light[window][..., None]
        canvas.blend(window, cover, colour * (1 - 0.30 * inner[..., None]))


def hair(canvas: Canvas, person: Identity, shape: Outline, light: Array) -> None:
    """Hair over the skull down to the hairline."""
    if person.hairstyle == "bald":
        return
    up, side = -np.sin(shape.angle), np.cos(shape.angle)
    parting = 1.0 if person.seed % 2 else -1.0
    slant = 0.10 * parting * side if person.hairstyle == "side" else 0.0
    low = {"long": -0.25, "bob": -0.35, "full": 0.05}.get(person.hairstyle, 0.18)
    rise = np.clip((up - low) / 0.55, 0, 1)
    rise = rise * rise * (3 - 2 * rise)
    ragged = 0.012 * np.sin(shape.angle * 37 + person.seed % 9) + 0.008 * np.sin(shape.angle * 83)
    inner = shape.border * (1.0 - (1.0 - HAIRLINE[person.hairstyle] + slant + ragged) * rise)
    outer = shape.border * (1 + (_VOLUME[person.hairstyle] + 0.4 * ragged) * np.clip(1.2 * rise + 0.05, 0, 1))
    outer = np.where(rise > 0, outer, 0)
    cover = edge(shape.distance - inner, 0.045 + canvas.pixel) * edge(outer - shape.distance, 0.03 + canvas.pixel)
    phase = shape.angle * 46 + 3 * np.sin(shape.distance * 5 + person.seed % 11)
    strands = 0.86 + 0.10 * np.sin(phase) + 0.07 * np.sin(1.7 * phase + 3 * shape.distance)
    toward = np.clip(side * light[0] - up * light[1] + 0.4, 0, 1.4)
    sheen = np.exp(-(((shape.distance / shape.border - 0.88) / 0.10) ** 2)) * toward * 0.20
    tone = (0.55 + 0.45 * toward) * strands
    canvas.blend((slice(None), slice(None)), cover, person.hair * tone[..., None] + sheen[..., None] * (person.hair + 0.05))


def glasses(canvas: Canvas, person: Identity, points: Array) -> None:
    """Rims, bridge and temples; the lenses are clear."""
    if not person.glasses:
        return
    left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    power = 2.0 + 2.5 * (1 - person.glasses_round)
    for middle, outer, side in ((left, points[0], -1), (right, points[16], 1)):
        centre = middle + [0, 0.035]
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
