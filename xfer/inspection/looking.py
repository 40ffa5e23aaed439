"""One pass over the faces: each is decoded, landmarked, reduced to a print, warped and, if chosen, kept small."""

import math
import os
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from itertools import islice
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from xfer import geometry, landmarkers, landmarking, warping
from xfer.datasets import Dataset, FaceSample, ImageError
from xfer.geometry import CanonicalFrame
from xfer.inspection.copies import SIDE, Print, fingerprint
from xfer.landmarkers import Landmarking, Pose

THUMBNAIL = 200
"""The longer side of a picture that is kept to be shown, px."""

_ROOM = 0.85
"""Half the side of the square that is shown, in extents of the landmarks."""

NOT_LOOKED_FOR = "landmarks were not looked for"

TURNED = "turned so far that too much of the face is hidden"

_BLANK = np.zeros((SIDE, SIDE), np.uint8)
_UNPOSED = Pose(math.nan, math.nan, math.nan)

Find = Callable[[FaceSample, NDArray[np.uint8]], Landmarking]


class Portrait(NamedTuple):
    """A face to be shown: a small picture (y, x, 3) and its landmarks (68, 2) in px of that, if there are any."""

    id: str
    expression: str
    picture: NDArray[np.uint8]
    points: NDArray[np.floating] | None


class Look(NamedTuple):
    """What one look at a face tells.

    Attributes
    ----------
    height, width : int
        Of the picture, px; 0 where it cannot be decoded.
    reason : str
        Why there are no landmarks; "" where there are.
    several : bool
        Whether the picture shows several people.
    points : array (68, 2) or None
        Landmarks in px of the picture.
    inter_ocular : float
        Distance of the outer eye corners, px.
    pose : Pose
        In degrees; yaw and pitch are NaN where the landmarker does not tell them.
    print : array (32, 32)
        See `copies.fingerprint`.
    digest : bytes
        Equal where decoded pictures are; empty where there is none.
    warped : array (3, height, width) or None
        The face in the frame, in [0, 1], NaN where it is not seen; None where it is left out.
    left_out : str
        Why it is.
    portrait : Portrait or None
    """

    height: int
    width: int
    reason: str
    several: bool = False
    points: NDArray[np.floating] | None = None
    inter_ocular: float = math.nan
    pose: Pose = _UNPOSED
    print: Print = _BLANK
    digest: bytes = b""
    warped: NDArray[np.float32] | None = None
    left_out: str = ""
    portrait: Portrait | None = None


def looks(
    dataset: Dataset,
    landmarks: pd.DataFrame | None,
    landmarker: str | None,
    frame: CanonicalFrame,
    chosen: Collection[int],
    workers: int | None = None,
) -> Iterator[Look]:
    """A look at every face, in order, a bounded number ahead; the parameters are those of `inspect`."""
    workers = min(8, os.cpu_count() or 1) if workers is None else workers
    free: SimpleQueue[Find] = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(workers):
            free.put(_find(dataset, landmarks, landmarker, stack))

        def work(place: int) -> Look:
            find = free.get()
            try:
                return _look(dataset.samples[place], find, frame, place in chosen)
            finally:
                free.put(find)

        pool = ThreadPoolExecutor(workers, thread_name_prefix="look")
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        places = iter(range(len(dataset)))
        ahead: deque[Future[Look]] = deque(pool.submit(work, place) for place in islice(places, 4 * workers))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(work, place) for place in islice(places, 1))


def _find(dataset: Dataset, table: pd.DataFrame | None, landmarker: str | None, stack: ExitStack) -> Find:
    """Where landmarks come from: the table if there is one, else what the data publish, else the landmarker."""
    if table is not None:
        return _from_table(table)
    finder = None
    if landmarker is not None and any(s.landmarks is None for s in dataset.samples):
        finder = stack.enter_context(landmarkers.open(landmarker))

    def find(sample: FaceSample, image: NDArray[np.uint8]) -> Landmarking:
        if sample.landmarks is not None:
            return _checked(Landmarking(np.asarray(sample.landmarks, float)), image)
        if finder is None:
            return Landmarking(None, NOT_LOOKED_FOR, n_faces=0)
        try:
            return finder(image, sample.file)
        except RuntimeError as error:
            return Landmarking(None, f"the landmarker failed ({str(error).splitlines()[0][:100]})", n_faces=0)

    return find


def _from_table(table: pd.DataFrame) -> Find:
    places: Mapping[str, int] = {str(file): i for i, file in enumerate(table["file"])}
    points = landmarking.points(table)
    measures = table[list(landmarking.MEASURES)].to_numpy(float)
    rest = table[["reason", "width", "height", "n_faces"]].to_numpy()

    def find(sample: FaceSample, image: NDArray[np.uint8]) -> Landmarking:
        place = places.get(sample.id)
        if place is None:
            return Landmarking(None, "not in the table of landmarks", n_faces=0)
        reason, width, height, n_faces = rest[place]
        if reason:
            return Landmarking(None, reason, n_faces=n_faces)
        if (height, width) != image.shape[:2]:
            return Landmarking(None, f"its landmarks are for a picture of {width} x {height} px", n_faces=n_faces)
        pose = Pose(*measures[place, :3].tolist())
        return _checked(Landmarking(points[place].astype(float), pose=pose, n_faces=n_faces), image)

    return find


def _checked(found: Landmarking, image: NDArray[np.uint8]) -> Landmarking:
    assert found.points is not None
    reason = landmarkers.doubt(found.points, *image.shape[:2])
    return Landmarking(None, reason, n_faces=0) if reason else found


def _look(sample: FaceSample, find: Find, frame: CanonicalFrame, chosen: bool) -> Look:
    try:
        image = sample.load()
    except ImageError as error:
        return Look(0, 0, error.reason)
    height, width = image.shape[:2]
    found = find(sample, image)
    points = found.points
    portrait = shrunk(sample, image, points) if chosen or points is None else None
    digest = sha256(repr(image.shape).encode() + image.tobytes()).digest()
    stamp = fingerprint(image, points, frame)
    if points is None:
        return Look(height, width, found.reason, found.n_faces > 1, print=stamp, digest=digest, portrait=portrait)
    points = points.astype(np.float32)
    warped, left_out = _warped(image, points, frame)
    across = points[45] - points[36]
    pose = found.pose or Pose(math.nan, math.nan, math.degrees(math.atan2(across[1], across[0])))
    far = float(np.hypot(*across))
    return Look(height, width, "", found.n_faces > 1, points, far, pose, stamp, digest, warped, left_out, portrait)


def _warped(
    image: NDArray[np.uint8], points: NDArray[np.floating], frame: CanonicalFrame
) -> tuple[NDArray[np.float32] | None, str]:
    """A face in the frame; a picture much larger than the frame is reduced first."""
    factor = max(1, int(np.hypot(*(points[45] - points[36])) / geometry.inter_ocular(frame.points)))
    small = np.array(Image.fromarray(image).reduce(factor)) if factor > 1 else image
    maps = torch.tensor(small).permute(2, 0, 1)[None].float() / 255
    at = torch.tensor((points + 0.5) / factor - 0.5, dtype=torch.float32)[None]
    result = warping.to_frame(maps, at, frame)
    if not bool(result.kept[0]):
        return None, TURNED
    return result.values[0].numpy(), ""


def shrunk(sample: FaceSample, image: NDArray[np.uint8], points: NDArray[np.floating] | None) -> Portrait:
    """A face no larger than `THUMBNAIL`: the square around its landmarks, or the whole picture if there are none."""
    height, width = image.shape[:2]
    left, top, right, bottom = (0, 0, width, height) if points is None else _around(points, height, width)
    part = image[top:bottom, left:right]
    scale = min(1.0, THUMBNAIL / max(part.shape[:2]))
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BOX))
    at = None if points is None else (points - [left, top] + 0.5) * scale - 0.5
    return Portrait(sample.id, sample.expression or "", small, at)


def _around(points: NDArray[np.floating], height: int, width: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a square around a face and its hair, cut at the picture's edges."""
    low, high = points.min(axis=0), points.max(axis=0)
    reach = _ROOM * float((high - low).max())
    x, y = (low + high) / 2 - [0, 0.1 * (high - low).max()]
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    right, bottom = min(width, int(x + reach) + 1), min(height, int(y + reach) + 1)
    whole = right - left < 2 or bottom - top < 2
    return (0, 0, width, height) if whole else (left, top, right, bottom)
