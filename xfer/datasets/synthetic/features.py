"""Eyes, brows, nostrils and mouth, painted over the lit skin through the landmark curves."""

from functools import cache

import numpy as np

from xfer.datasets.synthetic.anatomy import INDEX, Array
from xfer.datasets.synthetic.canvas import (
    Canvas,
    Grid,
    between,
    curve,
    edge,
    ellipse,
    follow,
    lit,
    stroke,
    unit,
)
from xfer.datasets.synthetic.identity import Identity

_FAR = 9.0
_EYES = ((36, 37, 38, 39, 40, 41), (45, 44, 43, 42, 47, 46))
_CLOSED_GAP = 0.02


def eyes(
    canvas: Canvas, points: Array, person: Identity, light: Grid, gaze: tuple[float, float], open_at: Array
) -> None:
    """Both eyes; `open_at` (2, 2) are the middles of the eyeballs."""
    for rows, middle in zip(_EYES, open_at, strict=True):
        _eye(canvas, points[list(rows)], middle, person, light, gaze)


def _eye(canvas: Canvas, eye: Array, middle: Array, person: Identity, light: Grid, gaze: tuple[float, float]) -> None:
    window = canvas.window(eye, 0.16)
    across, down = canvas.across[window], canvas.down[window]
    left_right = slice(None, None, 1 if eye[0, 0] < eye[3, 0] else -1)
    upper = curve(eye[[0, 1, 2, 3]])[left_right]
    lower = curve(eye[[0, 5, 4, 3]])[left_right]
    below_upper = down - follow(upper, across, _FAR)
    above_lower = follow(lower, across, -_FAR) - down
    opening = between(below_upper, above_lower, canvas.pixel)
    shaded = light[window]
    lid_shadow = unit(1 - below_upper / 0.05)
    width = abs(eye[3, 0] - eye[0, 0])
    white = lit([0.93, 0.90, 0.88], (0.25 + 0.72 * np.clip(shaded, 0.3, 1.1)) * (1 - 0.42 * lid_shadow))
    canvas.blend(window, opening, white)
    centre = middle + np.array([0.16 * width * gaze[0], 0.012 * gaze[1]])
    radius = 0.215 * width
    distance = np.hypot(across - centre[0], down - centre[1])
    iris = edge(radius - distance, canvas.pixel * 1.2) * opening
    rim = unit(1 - np.abs(distance / radius - 0.95) / 0.22)
    lift = 1.1 + 0.5 * (down - centre[1]) / radius
    canvas.blend(window, iris, lit(person.iris, lift * (1 - 0.6 * rim) * (1 - 0.45 * lid_shadow)))
    canvas.blend(window, edge(0.42 * radius - distance, canvas.pixel) * opening, np.array([0.02, 0.02, 0.025]))
    glint = np.hypot(across - centre[0] + 0.3 * radius, down - centre[1] + 0.35 * radius)
    canvas.blend(window, edge(0.22 * radius - glint, canvas.pixel) * opening * 0.9, np.ones(3))
    _corner(canvas, eye, opening, window)
    _lids(canvas, eye, upper, lower, person, window)


def _corner(canvas: Canvas, eye: Array, opening: Grid, window: tuple[slice, slice]) -> None:
    inner = ellipse(canvas, window, eye[3], (0.035, 0.028), 0.02)
    canvas.blend(window, inner * opening * 0.7, np.array([0.74, 0.42, 0.40]))


def _lids(
    canvas: Canvas, eye: Array, upper: Array, lower: Array, person: Identity, window: tuple[slice, slice]
) -> None:
    """Lashes along both lids and the crease of the upper one, which folds away as the eye opens."""
    across, down = canvas.across[window], canvas.down[window]
    gap = (eye[[5, 4], 1] - eye[[1, 2], 1]).mean()
    ink = np.clip(person.brow * 0.35 + 0.01, 0, 0.3)
    outer, inner = eye[0, 0], eye[3, 0]
    along = unit((across - outer) / (inner - outer))
    lash = stroke(down - follow(upper, across, _FAR), 0.026, canvas.pixel) * (0.95 - 0.35 * along)
    canvas.blend(window, lash, ink)
    faint = stroke(down - follow(lower, across, _FAR), 0.016, canvas.pixel) * (0.50 - 0.30 * along)
    canvas.blend(window, faint, ink + 0.10)
    lift = float(np.clip(0.060 - 0.25 * (gap - 0.11), 0.025, 0.085))
    crease = np.stack([upper[:, 0], upper[:, 1] - lift * _bow(len(upper))], axis=1)
    soft = unit(1 - np.abs(down - follow(crease, across, _FAR)) / max(0.020, canvas.pixel))
    canvas.darken(window, soft * np.float32(0.34 + 0.2 * person.age), np.array([0.25, 0.12, 0.10]))


@cache
def _bow(count: int) -> Array:
    return np.sin(np.linspace(0.12, np.pi - 0.12, count)) ** 0.6


def brows(canvas: Canvas, points: Array, person: Identity, light: Grid) -> None:
    """Both brows: a tapered band under the landmarks, with strokes of hair."""
    for rows in ((17, 18, 19, 20, 21), (26, 25, 24, 23, 22)):
        brow = points[list(rows)]
        window = canvas.window(brow, 0.16)
        across, down = canvas.across[window], canvas.down[window]
        order = slice(None, None, 1 if brow[0, 0] < brow[-1, 0] else -1)
        top = curve(brow)[order]
        along = unit((across - brow[0, 0]) / (brow[-1, 0] - brow[0, 0]))
        depth = down - follow(top, across, _FAR)
        thickness = person.brow_thickness * unit(0.22 + 1.7 * along)
        band = unit((depth + 0.012) / 0.030 + 0.3) * unit((thickness - depth) / 0.040 + 0.5)
        band *= (across > min(brow[[0, -1], 0])) & (across < max(brow[[0, -1], 0]))
        strokes = np.sin(along * 71 + depth * 70) + np.sin(along * 44 + depth * 48 + person.seed % 7)
        cover = band * unit(0.76 + 0.07 * strokes)
        canvas.blend(window, cover, lit(person.brow, 0.45 + 0.5 * light[window]))


def nostrils(canvas: Canvas, points: Array, person: Identity) -> None:
    """Two dark openings under the tip."""
    for name, wing in (("nostril", 31), ("nostril'", 35)):
        middle = points[INDEX[name]] * 0.75 + points[wing] * 0.25
        width = max(abs(points[wing, 0] - points[33, 0]) * 0.30, 0.02)
        window = canvas.window(middle[None], 0.12)
        hole = ellipse(canvas, window, middle, (width, 0.024), 0.026)
        canvas.darken(window, hole * np.float32(0.78), person.skin * np.array([0.35, 0.22, 0.2]))


def mouth(canvas: Canvas, points: Array, person: Identity, light: Grid, gloss: Grid) -> None:
    """Lips with volume; where they part, teeth, tongue and the dark between."""
    window = canvas.window(points[48:68], 0.08)
    across, down = canvas.across[window], canvas.down[window]
    ends = points[[48, 54]]
    top = down - follow(curve(points[48:55]), across, _FAR)
    bottom = follow(curve(points[[48, 59, 58, 57, 56, 55, 54]]), across, -_FAR) - down
    inner_upper = follow(curve(np.vstack([ends[:1], points[60:65], ends[1:]])), across, _FAR)
    inner_lower = follow(curve(np.vstack([ends[:1], points[[60, 67, 66, 65, 64]], ends[1:]])), across, _FAR)
    soft = canvas.pixel * 1.1
    shaded = light[window]
    lips = between(top, bottom, soft + 0.012)
    lower_lip = edge(down - (inner_upper + inner_lower) / 2, soft)
    colour = lit(person.lip, (0.80 + 0.20 * lower_lip) * (0.12 + 0.90 * shaded)) + 0.9 * gloss[window] * lower_lip
    canvas.blend(window, lips * np.float32(0.88), colour)
    _inside(canvas, window, down - inner_upper, inner_lower - down, points, shaded)
    seam = stroke(down - (inner_upper + inner_lower) / 2, 0.020, canvas.pixel)
    closed = unit(1 - (inner_lower - inner_upper) / 0.03) * lips.clip(0, 1)
    canvas.darken(window, seam * closed * np.float32(0.62), person.lip * np.array([0.45, 0.3, 0.3]))
    rims = np.maximum(_rim(inner_upper - down, soft), _rim(down - inner_lower, soft)) * (1 - closed)
    canvas.darken(window, np.float32(0.35) * rims * lips, 0.3)


def _rim(distance: Grid, soft: float) -> Grid:
    return unit(1 - np.abs(distance) / (soft + 0.012))


def _inside(
    canvas: Canvas,
    window: tuple[slice, slice],
    below_upper: Grid,
    above_lower: Grid,
    points: Array,
    shaded: Grid,
) -> None:
    """Cavity, tongue, lower and upper teeth between the inner lips."""
    cavity = between(below_upper, above_lower, canvas.pixel * 1.1)
    if not cavity.any():
        return
    across = canvas.across[window]
    canvas.blend(window, cavity, np.array([0.16, 0.05, 0.05]))
    middle = points[62, 0]
    half = max(points[64, 0] - points[60, 0], 0.1) / 2
    side = unit(1 - ((across - middle) / half) ** 2)
    gap = below_upper + above_lower
    tongue = edge(0.10 * side - above_lower, 0.05) * cavity * unit((gap - 0.12) / 0.08)
    canvas.blend(window, tongue * np.float32(0.8), lit([0.62, 0.28, 0.28], np.clip(shaded, 0.4, 1)))
    ivory = lit([0.93, 0.90, 0.84], np.clip(0.3 + 0.65 * shaded, 0.4, 1))
    lower = edge(0.045 * side - above_lower, 0.02) * cavity * unit((gap - 0.03) / 0.05) * side
    canvas.blend(window, lower * np.float32(0.55), ivory)
    upper = edge(0.075 * np.sqrt(side) - below_upper, 0.015) * cavity * np.sqrt(side)
    lines = 1 - 0.12 * (np.abs(np.mod((across - middle) / 0.062, 1) - 0.5) > 0.40)
    canvas.blend(window, upper * np.float32(0.92), ivory * lines)
