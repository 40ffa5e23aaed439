"""The canonical frame: one face that all photographs and heatmaps are warped to."""

import functools
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from xfer import tables
from xfer.errors import unknown
from xfer.geometry import layout
from xfer.geometry.alignment import apply, reflection_pairs, similarity
from xfer.geometry.published import published_points
from xfer.geometry.triangulation import delaunay, doubled_areas, inside


@dataclass(frozen=True)
class CanonicalFrame:
    """The common face that photographs and heatmaps are warped to.

    Attributes
    ----------
    name, title : str
    height, width : int
        Canvas in px.
    points : ndarray (89, 2)
        68 iBUG points, 17 of the forehead, 4 corners; (x, y) in px.
    triangles : ndarray of int (T, 3)
        Ids of `points`, clockwise on the screen; together they tile the rectangle between the corners.
    support : ndarray of bool (height, width)
        The pixels that a face can cover.
    mesh : ndarray (468, 2) or None
        MediaPipe's mesh on the frame, in px.
    digest : str
        SHA-256 of canvas, points, triangles and support; neither name nor title enters it.
    """

    name: str
    title: str
    height: int
    width: int
    points: np.ndarray = field(repr=False)
    triangles: np.ndarray = field(repr=False)
    support: np.ndarray = field(repr=False)
    mesh: np.ndarray | None = field(default=None, repr=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute the digest and make the arrays read-only."""
        canvas = np.array([self.height, self.width], "<i4")
        parts = (canvas, self.points.astype("<f8"), self.triangles.astype("<i4"), np.packbits(self.support))
        digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
        object.__setattr__(self, "digest", digest)
        for array in (self.points, self.triangles, self.support, self.mesh):
            if array is not None:
                array.flags.writeable = False


def data_folder(package: Path = Path(__file__).parents[1]) -> Path:
    """The folder of masks, codebooks and frames: inside an installed package, else beside it."""
    inside = package / "_masks"
    return inside if inside.is_dir() else package.parent / "masks"


def frame_names() -> tuple[str, ...]:
    """The frames that come with the package."""
    return tuple(sorted(path.stem for path in (data_folder() / "frames").glob("*.toml")))


def load_frame(name: str | Path = "xfer") -> CanonicalFrame:
    """A frame by name, or the published study's kind of frame from a csv of 68 points.

    Parameters
    ----------
    name : str or Path
        One of `frame_names`, or a ``.csv`` file with the columns ``point`` (1 to 68), ``x`` and ``y`` (px on
        the canvas of 275 rows and 224 columns).

    Raises
    ------
    InputError
        If there is no such frame, or the file does not hold every point once, on the canvas.

    Examples
    --------
    >>> frame = load_frame("xfer")
    >>> frame.height, frame.width, frame.points.shape
    (275, 224, (89, 2))
    """
    if Path(name).suffix.lower() == ".csv":
        return _published_frame(Path(name))
    if str(name) not in frame_names():
        raise unknown("frame", name, [*frame_names(), "FILE.csv"])
    return _stored_frame(str(name))


@functools.cache
def _stored_frame(name: str) -> CanonicalFrame:
    table = tables.read(data_folder() / "frames" / f"{name}.toml")
    points = np.array(table["points"], float)
    height, width = table["height"], table["width"]
    return CanonicalFrame(
        name=name,
        title=table["title"],
        height=height,
        width=width,
        points=points,
        triangles=np.array(table["triangles"]),
        support=inside(points[list(layout.OUTLINE)], height, width),
        mesh=np.array(table["mesh"], float),
    )


def _published_frame(path: Path) -> CanonicalFrame:
    points = published_points(path)
    return CanonicalFrame(
        name=path.stem,
        title=f"68 points of {path.name}, forehead at y = 0",
        height=layout.HEIGHT,
        width=layout.WIDTH,
        points=points,
        triangles=delaunay(points),
        support=np.ones((layout.HEIGHT, layout.WIDTH), bool),
    )


@functools.cache
def mirror(n_points: int) -> np.ndarray:
    """The permutation that swaps left and right in a set of 68, 89 or 468 points.

    >>> mirror(68)[[0, 36, 48]].tolist()
    [16, 45, 54]

    Raises
    ------
    InputError
        For any other number of points.
    """
    known = {68: layout.IBUG_MIRROR, 89: layout.FRAME_MIRROR}
    if n_points == layout.MESH_POINTS:
        known[n_points] = tuple(reflection_pairs(np.asarray(_stored_frame("xfer").mesh)))
    if n_points not in known:
        raise unknown("number of points", n_points, ["68", "89", str(layout.MESH_POINTS)])
    pairs = np.array(known[n_points])
    pairs.flags.writeable = False
    return pairs


def extend(points68: Any, frame: CanonicalFrame) -> Any:
    """Give faces (..., 68, 2) the frame's forehead and corners: (..., 89, 2), same kind, dtype and device.

    The 21 points are the template's, carried by the similarity transform template -> face.
    """
    xp = array_namespace(points68)
    template = xp.asarray(np.array(frame.points), dtype=points68.dtype, device=device(points68))
    added = apply(similarity(template[:68, :], points68), template[68:, :])
    return xp.concat([points68, added], axis=-2)


def flipped(points: Any, frame: CanonicalFrame) -> Any:
    """Which triangles of faces (..., 89, 2) are turned over: bool (..., T).

    Triangles that reach a corner of the canvas lie beside the face, and those between the inner lips vanish when
    the mouth closes; neither counts.
    """
    xp = array_namespace(points)
    ids = frame.triangles
    counts = (ids < layout.FIRST_CORNER).all(axis=1) & ~np.isin(ids, layout.INNER_LIPS).all(axis=1)
    return (doubled_areas(points, ids) < 0) & xp.asarray(counts, device=device(points))
