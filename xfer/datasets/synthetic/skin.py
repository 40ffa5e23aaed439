"""The head: outline, skin, light on its relief."""

from typing import NamedTuple

import numpy as np

from xfer.datasets.synthetic import relief
from xfer.datasets.synthetic.action_units import intensities
from xfer.datasets.synthetic.anatomy import Array
from xfer.datasets.synthetic.canvas import Canvas, Grid, curve, lit, unit
from xfer.datasets.synthetic.face import Face, Light
from xfer.datasets.synthetic.identity import identity
from xfer.datasets.synthetic.projection import turn

_DIRECTIONS = 2880


class Outline(NamedTuple):
    """The head's silhouette about a centre, and each pixel's place in it.

    ``angle`` and ``distance`` (y, x): polar coordinates of pixels about ``centre``, radians and IOD; ``border`` (y, x):
    the silhouette's distance in the pixel's direction; ``round_off`` (y, x): how far towards the silhouette a pixel
    lies, where a jaw that drops stretches the lower face alone.
    """

    centre: Array
    angle: Grid
    distance: Grid
    border: Grid
    round_off: Grid


def outline(canvas: Canvas, jaw: Array, resting: Array, skull: Array) -> Outline:
    """Place the pixels in the silhouette that runs along the jaw points and over the skull.

    `jaw` (17, 2) as it is shown, `resting` (17, 2) without Action Units, `skull` (9, 2).
    """
    centre = np.array([(resting[0, 0] + resting[16, 0]) / 2, 0.35 * resting[8, 1] + 0.65 * skull[4, 1] + 0.25])
    x, y = canvas.across - np.float32(centre[0]), canvas.down - np.float32(centre[1])
    angle, distance = np.arctan2(y, x), np.sqrt(x * x + y * y)
    direction = ((angle + np.float32(np.pi)) * np.float32(_DIRECTIONS / (2 * np.pi)) + np.float32(0.5)).astype(np.int32)
    rest = radial(np.concatenate([resting, skull[::-1]]), centre)[direction]
    border = radial(np.concatenate([jaw, skull[::-1]]), centre)[direction]
    stretched = unit((distance / rest - np.float32(0.55)) / np.float32(0.4))
    return Outline(centre, angle, distance, border, distance / (rest + stretched * (border - rest)))


def radial(loop: Array, centre: Array, samples: int = 4) -> Grid:
    """Distance from a centre to a closed star-shaped line, in equal steps of direction from -pi to pi."""
    line = curve(loop, samples, closed=True) - centre
    direction, reach = np.arctan2(line[:, 1], line[:, 0]), np.hypot(line[:, 0], line[:, 1])
    order = np.argsort(direction)
    around, along = direction[order], reach[order]
    return np.interp(
        np.linspace(-np.pi, np.pi, _DIRECTIONS + 1),
        np.concatenate([[around[-1] - 2 * np.pi], around, [around[0] + 2 * np.pi]]),
        np.concatenate([along[-1:], along, along[:1]]),
    ).astype(np.float32)


def light_direction(light: Light) -> Array:
    """Unit vector to the light: x right, y down, z to the viewer."""
    azimuth, elevation = np.radians(light.azimuth), np.radians(light.elevation)
    return np.array([np.sin(azimuth) * np.cos(elevation), -np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])


def light_colour(light: Light) -> Array:
    """RGB factor of exposure and warmth."""
    return light.exposure * (1 + 0.10 * light.warmth * np.array([1.0, 0.1, -1.0]))


def relief_of(face: Face, canvas: Canvas, solid: Array) -> relief.Relief:
    """The relief of a face in its picture; `solid` is its `projection.head`."""
    table = relief.bumps()
    centres = turn(table.place @ solid + table.offset, face) @ canvas.matrix.T + canvas.origin
    amount = identity(face.identity)
    raised = (intensities(face.action_units) @ table.gain).reshape(-1, 2) * (0.75 + 0.5 * amount.age)
    amplitudes = table.rest.copy()
    amplitudes[:, :2] += amount.age * table.old + raised
    return relief.render(centres, 1 / canvas.pixel, amplitudes, canvas.size)


def shading(face: Face, canvas: Canvas, shape: Outline, ground: relief.Relief) -> tuple[Grid, Grid]:
    """Light on the skin, (y, x) each: diffuse in about [0.3, 1.2], and highlights."""
    place = np.minimum(shape.round_off, np.float32(0.995))
    tilt = place * place * np.float32(0.93)
    x, y = np.cos(shape.angle) * tilt, np.sin(shape.angle) * tilt
    roll = np.radians(face.roll)
    cos, sin = np.float32(np.cos(roll)), np.float32(np.sin(roll))
    depth = np.sqrt(1 - tilt * tilt)
    normal_x = cos * x - sin * y - ground.slope_x * depth
    normal_y = sin * x + cos * y - ground.slope_y * depth
    length = 1 / np.sqrt(normal_x * normal_x + normal_y * normal_y + depth * depth)
    lx, ly, lz = light_direction(face.light).astype(np.float32)
    facing = (normal_x * lx + normal_y * ly + depth * lz) * length
    ambient = np.float32(face.light.ambient)
    diffuse = ambient * (np.float32(0.55) + np.float32(0.45) * depth * length) + (1 - ambient) * np.float32(1.25) * (
        np.maximum(facing + np.float32(0.25), 0) * np.float32(0.8)
    )
    half = np.array([lx, ly, lz + 1]) / np.linalg.norm([lx, ly, lz + 1])
    hx, hy, hz = half.astype(np.float32)
    gloss = np.maximum((normal_x * hx + normal_y * hy + depth * hz) * length, 0)
    gloss = gloss * gloss
    gloss = gloss * gloss
    gloss = gloss * gloss
    return diffuse, gloss * gloss * np.float32(0.10) * (1 - ambient)


def albedo(face: Face, canvas: Canvas, resting: Array, ground: relief.Relief) -> Grid:
    """Colour of the skin without light, (3, y, x): tone, blush, beard, shade in folds."""
    person = identity(face.identity)
    blush = np.array([0.02, -0.16, -0.14], np.float32) * np.float32(0.5 + 0.5 * person.skin.mean())
    shade = np.clip(1 - ground.dark, 0.05, 1.3)
    deep = np.array([0.85, 1.0, 1.05], np.float32)
    colour = person.skin[:, None, None] * (1 - lit(deep, 1 - shade)) + lit(blush, ground.red * shade)
    if person.stubble:
        nose, chin = resting[33, 1], resting[8, 1]
        beard = unit((canvas.down - np.float32(nose)) / np.float32(0.35 * (chin - nose)))
        colour += (
            beard
            * beard
            * np.float32(1.3 * person.stubble)
            * ((0.5 * person.skin + 0.3 * person.hair)[:, None, None] - colour)
        )
    return colour
