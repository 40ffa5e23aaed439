"""Landmarks of faces: one row a picture, with 68 points or the reason why there are none."""

import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer import assets, landmarkers
from xfer.datasets import Dataset, Dropped, FaceSample, ImageError
from xfer.datasets.files import PICTURES, require_folder, shown, walk
from xfer.datasets.images import decode_bytes, header, header_bytes
from xfer.datasets.samples import in_order
from xfer.datasets.stored import StoredPicture
from xfer.errors import InputError
from xfer.landmarkers import Finder, Landmarking, Pose
from xfer.landmarkers.points import COLUMNS as POINTS
from xfer.landmarking.table import COLUMNS, FORMAT, MEASURES, Row, Rows, complete, known, points, read, write
from xfer.progress import Stage

__all__ = [
    "COLUMNS", "FORMAT", "MEASURES", "POINTS", "PUBLISHED", "complete", "landmark", "landmark_folder", "points",
    "published", "read", "summary", "write",
]  # fmt: skip

SAVE_EVERY = 2000
"""Rows after which the table is saved; later after each tenth more, so that saving stays a share of the work."""

PUBLISHED = "published"
"""The landmarker of landmarks that come with the data."""

Image = NDArray[np.uint8]
Save = Callable[[pd.DataFrame], object]

_NO_POINTS = np.full((68, 2), np.nan, np.float32)
_NO_POSE = Pose(np.nan, np.nan, np.nan)
_NO_MEASURES = (np.nan, np.nan, np.nan, np.nan)


def landmark_folder(
    folder: Path, landmarker: str = "mediapipe", *, allow_outside: bool = False, **options: Any
) -> pd.DataFrame:
    """Landmarks of every picture below a folder, by name; the options are those of `landmark`.

    Raises
    ------
    InputError
        If there is no such folder, it holds no picture, or the landmarker cannot be opened.
    """
    root = require_folder(folder, "a folder of pictures")
    found = [(name, what) for name, what in walk(root, allow_outside) if _counts(name, what)]
    if not found:
        raise InputError(f"{shown(folder)}: no picture found; expected files such as *.jpg and *.png")
    faces = [what if isinstance(what, Dropped) else FaceSample(shown(name), what) for name, what in found]
    return _landmark(faces, landmarker, **options)


def landmark(dataset: Dataset, landmarker: str = "mediapipe", **options: Any) -> pd.DataFrame:
    """Landmarks of every face of a data set, in its order.

    Parameters
    ----------
    dataset : Dataset
    landmarker : str
        As `landmarkers.open` takes.
    workers : int, optional
        Threads, each with a landmarker of its own. By default one per core, at most 8.
    finder : Finder, optional
        The landmarker, opened, which then works alone and stays open.
    done : DataFrame, optional
        An earlier table; its rows stand for pictures whose bytes and landmarker have not changed.
    save : callable, optional
        Given the table so far after `SAVE_EVERY` rows, again and again, and when the run ends or is interrupted.
    progress : callable, optional
        ``(what, steps) -> advance``; a step is a picture.

    Returns
    -------
    DataFrame
        With `COLUMNS`; the column `file` holds the faces' ids.

    Raises
    ------
    InputError
        If the landmarker cannot be opened.
    """
    return _landmark(dataset.samples, landmarker, **options)


def published(dataset: Dataset) -> pd.DataFrame:
    """The table of faces whose landmarks come with the data; no picture is decoded to make it.

    Raises
    ------
    ValueError
        If a face has none.
    """
    return Rows(in_order(_published, dataset.samples)).table()


def _published(face: FaceSample) -> Row:
    if face.landmarks is None:
        raise ValueError(f"{face.id}: the data publish no landmarks for it")
    try:
        sha256, content = _contents(face)
        height, width = _size(face, content)
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        return _filled(face.id, "", (0, 0), Landmarking(None, reason, n_faces=0), PUBLISHED, "")
    except ImageError as error:
        return _filled(face.id, "", (0, 0), Landmarking(None, error.reason, n_faces=0), PUBLISHED, "")
    reason = landmarkers.doubt(face.landmarks, height, width)
    points = _NO_POINTS if reason else np.asarray(face.landmarks, np.float32)
    return Row(face.id, sha256, width, height, points, _NO_MEASURES, int(not reason), PUBLISHED, "", reason)


def _contents(face: FaceSample) -> tuple[str, bytes | None]:
    """The digest of a face's file, "" where there is none, and its bytes where it is not one here."""
    if isinstance(face.source, StoredPicture):
        content = face.source.content()
        return hashlib.sha256(content).hexdigest(), content
    path = face.source if isinstance(face.source, Path) else None
    return assets.sha256(path) if path and path.is_file() else "", None


def _size(face: FaceSample, content: bytes | None) -> tuple[int, int]:
    """Height and width, px; of a picture that is no file, what it tells of itself or, failing that, shows."""
    if isinstance(face.source, Path) or content is not None:
        told = header(face.source) if isinstance(face.source, Path) else header_bytes(content or b"", face.id)
        return told.height, told.width
    shape = getattr(face.source, "shape", None) or face.load().shape
    return shape[0], shape[1]


def _landmark(
    faces: Sequence[FaceSample | Dropped],
    landmarker: str,
    *,
    workers: int | None = None,
    finder: Finder | None = None,
    done: pd.DataFrame | None = None,
    save: Save | None = None,
    progress: Stage | None = None,
) -> pd.DataFrame:
    workers = max(1, min(8, os.cpu_count() or 1, len(faces)) if workers is None else workers)
    workers = workers if finder is None else 1

    def opened() -> AbstractContextManager[Finder]:
        return landmarkers.open(landmarker) if finder is None else nullcontext(finder)

    advance = progress("landmarks", len(faces)) if progress else lambda: None
    rows, earlier, due = Rows(), known(done), SAVE_EVERY

    def so_far() -> pd.DataFrame:
        ahead = Rows(earlier[face.id] for face in faces[len(rows) :] if face.id in earlier) if earlier else Rows()
        if not len(ahead):
            return rows.table()
        table: pd.DataFrame = pd.concat([rows.table(), ahead.table()], ignore_index=True)
        table.attrs["format"] = FORMAT
        return table

    try:
        for row in _rows(faces, landmarker.partition(":")[0], opened, workers, earlier):
            rows.append(row)
            advance()
            if save and len(rows) == due:
                due += max(SAVE_EVERY, due // 10)
                save(so_far())
    finally:
        if save and len(rows):
            save(so_far())
    return rows.table()


def _rows(
    faces: Sequence[FaceSample | Dropped],
    name: str,
    opened: Callable[[], AbstractContextManager[Finder]],
    workers: int,
    earlier: Mapping[str, Row],
) -> Iterator[Row]:
    """The faces' rows in order, a bounded number ahead."""
    free: SimpleQueue[Finder] = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(workers):
            free.put(stack.enter_context(opened()))

        def work(face: FaceSample | Dropped) -> Row:
            finder = free.get()
            try:
                return _row(face, finder, name, earlier)
            finally:
                free.put(finder)

        pool = ThreadPoolExecutor(workers, thread_name_prefix="landmarks")
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        stream = iter(faces)
        pending: deque[Future[Row]] = deque(pool.submit(work, face) for face in islice(stream, 4 * workers))
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(work, face) for face in islice(stream, 1))


def _row(face: FaceSample | Dropped, finder: Finder, name: str, known: Mapping[str, Row]) -> Row:
    if isinstance(face, Dropped):
        return _filled(face.id, "", (0, 0), Landmarking(None, face.reason, n_faces=0), name, finder.digest)
    try:
        sha256, content = _contents(face)
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        return _filled(face.id, "", (0, 0), Landmarking(None, reason, n_faces=0), name, "")
    earlier = known.get(face.id)
    if earlier and finder.digest and (sha256, finder.digest) == (earlier.sha256, earlier.digest):
        return earlier
    try:
        image = face.load() if content is None else decode_bytes(content, face.id)
    except ImageError as error:
        return _filled(face.id, sha256, (0, 0), Landmarking(None, error.reason, n_faces=0), name, finder.digest)
    try:
        found, digest = finder(image, face.file), finder.digest
    except RuntimeError as error:
        found, digest = (
            Landmarking(None, f"the landmarker failed ({str(error).splitlines()[0][:100]})", n_faces=0),
            "",
        )
    return _filled(face.id, sha256, image.shape[1::-1], found, name, digest if sha256 else "")


def _filled(file: str, sha256: str, size: tuple[int, ...], found: Landmarking, name: str, digest: str) -> Row:
    points = _NO_POINTS if found.points is None else found.points.astype(np.float32)
    measures = (*(found.pose or _NO_POSE), found.confidence)
    return Row(file, sha256, size[0], size[1], points, measures, found.n_faces, name, digest, found.reason)


def summary(table: pd.DataFrame, names: int = 5) -> list[str]:
    """How many pictures have landmarks, and for each reason how many have none and the first names, a line each."""
    lost = table[table["reason"] != ""]
    lines = [f"{len(table)} pictures: {len(table) - len(lost)} with landmarks, {len(lost)} without"]
    several = int((table["n_faces"] > 1).sum())
    if several:
        lines.append(f"{several} pictures show several people: the largest and most central face was taken")
    for reason, n in Counter(lost["reason"]).most_common():
        files = lost.loc[lost["reason"] == reason, "file"].head(names)
        lines.append(f"{reason}: {n} ({', '.join(files)}{', ...' if n > names else ''})")
    return lines


def _counts(name: str, what: Path | Dropped) -> bool:
    """Whether a file is a picture by its name, or a link to a folder that may hold some."""
    return isinstance(what, Path) or Path(name).suffix.lower() in PICTURES or "link" in what.reason
