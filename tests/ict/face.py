"""A small renderer of ICT's face kit: faces that nobody here drew, whose Action Units are known vertex by vertex.

The data holds a neutral head, 57 expression blendshapes and the first ten principal modes of identity (Li et al. 2020,
arXiv:2004.03458); a person here is a seeded normal draw of the modes. The kit has one material for all skin: lips,
brows and lid margins are tinted at the kit's own landmarks, which moves no vertex.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xfer.geometry import inter_ocular

Array = NDArray[np.floating]

VIEW, LEVEL = 33.0, 0.5
"""Height in cm that the picture shows, and the height of its middle."""

DISTANCE, PLANE = 100.0, 8.0
"""The camera's place on the z axis and the plane where `VIEW` holds, in cm."""

LEFT_OUT = ("M_EyeBlend", "M_EyeLashes", "M_EyeOcclusion", "M_LacrimalFluid")
"""Transparent in a full renderer."""

COLOURS = {
    "M_BackHead": (0.78, 0.55, 0.44), "M_Face": (0.78, 0.55, 0.44), "M_GumsTongue": (0.55, 0.22, 0.22),
    "M_IrisLeft": (0.28, 0.20, 0.13), "M_IrisRight": (0.28, 0.20, 0.13),
    "M_ScleraLeft": (0.88, 0.86, 0.84), "M_ScleraRight": (0.88, 0.86, 0.84), "M_Teeth": (0.90, 0.87, 0.80),
}  # fmt: skip
SKIN = ("M_BackHead", "M_Face")
LIPS, BROWS, LASHES = (0.62, 0.27, 0.27), (0.20, 0.13, 0.09), (0.25, 0.15, 0.12)
IRIS, PUPIL = (0.28, 0.20, 0.13), (0.03, 0.03, 0.03)
"""The kit's cornea is an opaque shell before its iris, so the iris is tinted on the eyeball."""

SOCKETS = slice(11248, 14062)
SOCKET = (0.22, 0.07, 0.07)
BACKGROUND = (0.45, 0.50, 0.55)
LIGHT = np.array([-0.25, 0.45, 0.86])


@dataclass(frozen=True)
class Person:
    """Who is drawn.

    Attributes
    ----------
    modes : array (10,)
        Standard scores of the kit's modes of identity.
    tone : float
        Factor on the colour of the skin.
    """

    modes: Array
    tone: float


def people(count: int, seed: int = 0) -> list[Person]:
    """The first people of a seeded crowd; the first is the mean head."""
    rng = np.random.default_rng(seed)
    crowd = [Person(rng.standard_normal(10), float(rng.uniform(0.6, 1.15))) for _ in range(count)]
    return [Person(np.zeros(10), 1.0), *crowd[1:]]


@dataclass(frozen=True)
class Kit:
    """The face kit's arrays.

    Attributes
    ----------
    neutral : array (vertex, 3)
        x to the viewer's right, y up, z towards the viewer, in cm.
    shapes : mapping of str to array (vertex, 3)
        What each blendshape adds.
    modes : array (10, vertex, 3)
    landmarks : array (68,)
        Vertices, in iBUG's order.
    quads : array (quad, 4)
    material : array (quad,)
    """

    neutral: Array
    shapes: Mapping[str, Array]
    modes: Array
    landmarks: NDArray[np.integer]
    quads: NDArray[np.integer]
    material: NDArray[np.str_]

    def head(self, person: Person, weights: Mapping[str, float] | None = None) -> Array:
        """The vertices (vertex, 3) of a person with some blendshapes."""
        vertices = self.neutral + np.tensordot(person.modes, self.modes, axes=1)
        for name, weight in (weights or {}).items():
            vertices = vertices + weight * self.shapes[name]
        return vertices

    @cached_property
    def triangles(self) -> NDArray[np.integer]:
        """Vertices (triangle, 3) of what is opaque."""
        quads = self.quads[~np.isin(self.material, LEFT_OUT)]
        return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])

    def colours(self, person: Person) -> Array:
        """The colour (vertex, 3) of every vertex in [0, 1], tinted on the neutral head."""
        colours = np.zeros_like(self.neutral)
        for name, colour in COLOURS.items():
            tone = person.tone if name in SKIN else 1.0
            colours[self.quads[self.material == name].ravel()] = tone * np.array(colour)
        for area, colour in self._tints:
            colours[area] = np.array(colour) * (0.5 + 0.5 * person.tone)
        return colours

    @cached_property
    def _tints(self) -> list[tuple[NDArray[np.bool_] | slice, tuple[float, float, float]]]:
        points, face = self.neutral[self.landmarks], np.zeros(len(self.neutral), bool)
        face[self.quads[self.material == "M_Face"].ravel()] = True
        lips = face & within(self.neutral[:, :2], points[48:60, :2]) & (self.neutral[:, 2] > points[48, 2] - 1.0)
        brows, lids = (np.zeros_like(face) for _ in range(2))
        for line in (points[17:22], points[22:27]):
            brows |= to_line(self.neutral, line - np.array([0, 0.15, 0])) < 0.36
        for ring in (points[[36, 37, 38, 39]], points[[42, 43, 44, 45]]):
            lids |= to_line(self.neutral, ring) < 0.10
        irises, pupils = (np.zeros_like(face) for _ in range(2))
        for side in ("Left", "Right"):
            eyeball = np.unique(self.quads[np.isin(self.material, (f"M_Sclera{side}", f"M_Iris{side}"))])
            away = np.hypot(*(self.neutral[eyeball, :2] - self.neutral[eyeball, :2].mean(axis=0)).T)
            in_front = self.neutral[eyeball, 2] > self.neutral[eyeball, 2].mean()
            irises[eyeball], pupils[eyeball] = in_front & (away < 0.62), in_front & (away < 0.28)
        return [(SOCKETS, SOCKET), (lips, LIPS), (face & brows, BROWS), (face & lids, LASHES),
                (irises, IRIS), (pupils, PUPIL)]  # fmt: skip


def load(path: Path) -> Kit:
    """Read ``ict_facekit.npz``."""
    with np.load(path, allow_pickle=False) as data:
        shapes = dict(zip(data["exp_names"].tolist(), data["exp_delta"].astype(np.float32), strict=True))
        modes = data["id_delta"].astype(np.float32)
        return Kit(data["neutral"], shapes, modes, data["landmarks68"], data["quads"], data["material"])


def to_line(points: Array, line: Array) -> Array:
    """Distance of points (n, axis) from a polyline (m, axis)."""
    start, along = line[:-1], np.diff(line, axis=0)
    share = np.clip(((points[:, None] - start) * along).sum(-1) / (along**2).sum(-1), 0, 1)
    return np.linalg.norm(points[:, None] - start - share[..., None] * along, axis=-1).min(axis=1)


def within(points: Array, polygon: Array) -> NDArray[np.bool_]:
    """Which points (n, 2) lie in a polygon (m, 2), by the even-odd rule."""
    x, y = points.T
    result = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            result ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return result


def turned(vertices: Array, yaw: float) -> Array:
    """Vertices (vertex, 3) turned by degrees, positive to the viewer's right."""
    cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    x, y, z = vertices.T
    return np.stack([cos * x + sin * z, y, cos * z - sin * x], axis=1)


def project(vertices: Array, size: int, yaw: float = 0.0) -> Array:
    """Vertices (vertex, 3) seen by the camera: (x, y) in px of a square picture and the height over the image plane."""
    x, y, z = turned(vertices, yaw).T
    scale = size / VIEW * (DISTANCE - PLANE) / (DISTANCE - z)
    middle = (size - 1) / 2
    return np.stack([middle + scale * x, middle - scale * (y - LEVEL), z], axis=1)


def rasterise(seen: Array, triangles: NDArray[np.integer], size: int) -> tuple[NDArray[np.integer], Array]:
    """Which triangle each pixel's centre shows, by a z-buffer.

    Parameters
    ----------
    seen : array (vertex, 3)
        As `project` gives them.
    triangles : array (triangle, 3)
        Counter-clockwise to a viewer; others show their back and are left out.
    size : int
        Side of the picture in px.

    Returns
    -------
    array (y, x) of int, array (y, x, 3)
        The triangle, -1 for none, and its corners' weights.
    """
    corners = seen[triangles]
    (ax, ay), (bx, by), (cx, cy) = (corners[:, k, :2].T for k in range(3))
    doubled = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    low = np.clip(np.ceil(corners[..., :2].min(axis=1)), 0, size).astype(int)
    high = np.clip(np.floor(corners[..., :2].max(axis=1)), -1, size - 1).astype(int)
    spans = np.where((doubled < 0)[:, None], np.maximum(high - low + 1, 0), 0)
    counts = spans.prod(axis=1)
    which = np.repeat(np.arange(len(triangles)), counts)
    step = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    x, y = low[which, 0] + step % spans[which, 0], low[which, 1] + step // spans[which, 0]
    second = ((x - ax[which]) * (cy - ay)[which] - (y - ay[which]) * (cx - ax)[which]) / doubled[which]
    third = ((bx - ax)[which] * (y - ay[which]) - (by - ay)[which] * (x - ax[which])) / doubled[which]
    weights = np.stack([1 - second - third, second, third], axis=1)
    hit = (weights >= -1e-9).all(axis=1)
    which, x, y, weights = which[hit], x[hit], y[hit], weights[hit]
    nearest_last = np.argsort((corners[which, :, 2] * weights).sum(axis=1), kind="stable")
    owner = np.full((size, size), -1)
    owner[y[nearest_last], x[nearest_last]] = nearest_last
    shown = owner >= 0
    return np.where(shown, which[owner], -1), np.where(shown[..., None], weights[owner], 0.0)


def spread(values: Array, triangles: NDArray[np.integer], hit: tuple[NDArray[np.integer], Array]) -> Array:
    """Values (vertex, ...) of the vertices at every pixel of a raster: (y, x, ...), NaN where nothing is seen."""
    which, weights = hit
    found = np.einsum("yxk,yxk...->yx...", weights, values[triangles[which]])
    found[which < 0] = np.nan
    return found


def normals(vertices: Array, triangles: NDArray[np.integer]) -> Array:
    """Unit normals (vertex, 3): the mean over a vertex's triangles, by area."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    total = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(total, triangles[:, k], np.cross(b - a, c - a))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def render(kit: Kit, person: Person, weights: Mapping[str, float] | None = None, size: int = 256, yaw: float = 0.0,
           fine: int = 2) -> NDArray[np.uint8]:  # fmt: skip
    """A picture (y, x, 3) of a person, smoothly shaded; `fine` samples a side make a pixel."""
    vertices = kit.head(person, weights)
    hit = rasterise(_finer(project(vertices, size, yaw), fine), kit.triangles, size * fine)
    towards = spread(normals(turned(vertices, yaw), kit.triangles), kit.triangles, hit)
    towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
    light = LIGHT / np.linalg.norm(LIGHT)
    half = light + np.array([0, 0, 1])
    half /= np.linalg.norm(half)
    diffuse = 0.38 + 0.12 * towards[..., 1] + 0.60 * np.clip(towards @ light, 0, None)
    gloss = 0.12 * np.clip(towards @ half, 0, None) ** 24
    picture = spread(kit.colours(person), kit.triangles, hit) * diffuse[..., None] + gloss[..., None]
    picture = np.where(np.isnan(picture), BACKGROUND, np.clip(picture, 0, 1))
    picture = picture.reshape(size, fine, size, fine, 3).mean(axis=(1, 3))
    return np.rint(255 * picture).astype(np.uint8)


def _finer(seen: Array, fine: int) -> Array:
    return np.concatenate([(seen[:, :2] + 0.5) * fine - 0.5, seen[:, 2:]], axis=1)


def landmarks(kit: Kit, person: Person, weights: Mapping[str, float] | None = None, size: int = 256,
              yaw: float = 0.0) -> Array:  # fmt: skip
    """The 68 landmark vertices (68, 2) in px of the picture."""
    return project(kit.head(person, weights)[kit.landmarks], size, yaw)[:, :2].astype(float)


def displacement(kit: Kit, person: Person, weights: Mapping[str, float], size: int = 256, yaw: float = 0.0,
                 seen: str = "rest") -> Array:  # fmt: skip
    """How far the blendshapes move, across the picture, what each pixel shows.

    Parameters
    ----------
    seen : {"rest", "moved"}
        Whether the pixels show the neutral face or the one with the blendshapes.

    Returns
    -------
    array (y, x)
        In inter-ocular distances of the neutral face; NaN where nothing is seen.
    """
    faces = {"rest": project(kit.head(person), size, yaw), "moved": project(kit.head(person, weights), size, yaw)}
    way = np.hypot(*(faces["moved"] - faces["rest"])[:, :2].T)
    hit = rasterise(faces[seen], kit.triangles, size)
    return spread(way / inter_ocular(faces["rest"][kit.landmarks, :2]), kit.triangles, hit)
