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


class Outline(NamedTuple):
    """The head's silhouette about a centre, and each pixel's place in it.

    ``angle`` and ``distance`` (y, x): polar coordinates of pixels about ``centre``, radians and IOD; ``border`` (y, x):
    the silhouette's distance in the pixel's direction.
    """

    centre: Array
    angle: Grid
    distance: Grid
    border: Grid


def outline(canvas: Canvas, jaw: Array, skull: Array) -> Outline:
    """Place the pixels in the silhouette that runs along the jaw points and over the skull."""
    loop = np.concatenate([jaw, skull[::-1]])
    centre = np.array([(jaw[0, 0] + jaw[16, 0]) / 2, 0.35 * jaw[8, 1] + 0.65 * skull[4, 1] + 0.25])
    x, y = canvas.across - np.float32(centre[0]), canvas.down - np.float32(centre[1])
    angle = np.arctan2(y, x)
    return Outline(centre, angle, np.sqrt(x * x + y * y), radial(loop, centre, angle))


def radial(loop: Array, centre: Array, angle: Grid, samples: int = 4) -> Grid:
    """Distance from a centre to a closed star-shaped line in given directions."""
    line = curve(loop, samples, closed=True) - centre
    direction, reach = np.arctan2(line[:, 1], line[:, 0]), np.hypot(line[:, 0], line[:, 1])
    order = np.argsort(direction)
    fine = np.linspace(-np.pi, np.pi, 721)
    table = np.interp(fine, direction[order], reach[order], period=2 * np.pi).astype(np.float32)
    return table[((angle + np.float32(np.pi)) * np.float32(720 / (2 * np.pi)) + np.float32(0.5)).astype(np.int32)]


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
    place = np.minimum(shape.distance / shape.border, np.float32(0.995))
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


def albedo(face: Face, canvas: Canvas, points: Array, ground: relief.Relief) -> Grid:
    """Colour of the skin without light, (3, y, x): tone, blush, beard, shade in folds."""
    person = identity(face.identity)
    blush = np.array([0.02, -0.16, -0.14], np.float32) * np.float32(0.5 + 0.5 * person.skin.mean())
    shade = np.clip(1 - ground.dark, 0.05, 1.3)
    deep = np.array([0.85, 1.0, 1.05], np.float32)
    colour = person.skin[:, None, None] * (1 - lit(deep, 1 - shade)) + lit(blush, ground.red * shade)
    if person.stubble:
        nose, chin = points[33, 1], points[8, 1]
        beard = unit((canvas.down - np.float32(nose)) / np.float32(0.35 * (chin - nose)))
        colour += beard * beard * np.float32(person.stubble) * (person.hair[:, None, None] - colour)
    return colour
