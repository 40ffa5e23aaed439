"""The faces of a study: opened, described, landmarked, cut out, divided, and kept as a table without names."""

import contextlib
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer import datasets, labels, landmarking
from xfer.datasets import DATASETS, Dataset
from xfer.datasets.stored import StoredPicture
from xfer.errors import InputError, unknown
from xfer.progress import Stage, silent
from xfer.study import landmark_shards
from xfer.study.dealing import Assignment
from xfer.study.engine import Engine
from xfer.study.folder import FORMAT, slug, write_whole
from xfer.study.given_landmarks import require_fitting
from xfer.study.recognition import FACES, LANDMARKS

MIN_FACES = 30
"""An expression of real data with fewer faces is left out, unless asked otherwise."""

CROPS = ("whole", "face")

DRAWN = "synthetic"

_SIDE, _UP = 1.4, 0.12
"""Side of the square around a face, in extents of its landmarks, and how far its middle lies above theirs: with these
the frame's forehead and jaw lie in the square on every face of LFW, London and `synthetic`."""


def open_faces(
    data: str,
    *,
    expressions: Iterable[str] | None = None,
    min_faces: int | None = None,
    faces: int | None = None,
    size: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Open the faces of a study and see that there is something to learn and somebody to test on.

    Parameters
    ----------
    data : str
        As `datasets.open` takes.
    expressions : iterable of str, optional
        Names or aliases; those of the data by default.
    min_faces : int, optional
        An expression with fewer faces is left out; `MIN_FACES` by default, 1 for drawn faces.
    faces, size, seed : int, optional
        Of drawn faces; real ones are what they are.

    Raises
    ------
    InputError
        If an expression is unknown or does not occur, fewer than two are left, or all faces are of one subject.
    """
    wanted = None if expressions is None else {labels.expression(e) for e in expressions}
    if wanted is not None and len(wanted) < 2:
        raise InputError(f"--expressions: name at least two to tell apart; got {', '.join(wanted) or 'none'}")
    asked = None if wanted is None else [e for e in labels.EXPRESSIONS if e in wanted]
    if data == DRAWN:
        options = {"faces": faces, "size": size, "expressions": asked}
        given = {name: value for name, value in options.items() if value is not None}
        whole = DATASETS[DRAWN].function(seed=seed, **given)
    else:
        whole = datasets.open(data)
    least = min_faces if min_faces is not None else 1 if data == DRAWN else MIN_FACES
    whole = whole.select(asked)
    _require_choice(whole, least)
    return whole.select(min_faces=least)


def _require_choice(dataset: Dataset, least: int) -> None:
    """Two expressions with enough faces, and two subjects."""
    counts = dataset.counts()
    left = [e for e, n in counts.items() if n >= least]
    if len(counts) < 2:
        raise InputError(
            f"{dataset.name}: every face shows {left[0] if left else next(iter(counts))}; two expressions are needed"
        )
    if len(left) < 2:
        there = ", ".join(f"{e} {n}" for e, n in counts.items())
        enough = sorted(counts.values())[-2]
        raise InputError(
            f"{dataset.name}: {left[0] if left else 'nothing'} is left with at least {least} faces of {there}; "
            f"two expressions are needed: --min-faces {enough} keeps two"
        )
    shown = zip(dataset.column("subject"), dataset.column("expression"), strict=True)
    subjects = {subject for subject, expression in shown if expression in left}
    if len(subjects) < 2:
        raise InputError(
            f"{dataset.name}: all faces are of one subject, {subjects.pop()!r}; "
            "a network is tested on people it did not see, which takes at least 3"
        )


def facts(dataset: Dataset) -> dict[str, Any]:
    """What ``study.toml`` keeps of the data; no picture is opened and no path of the machine told.

    Returns
    -------
    dict
        ``name``, ``faces``, ``subjects``, ``expressions`` (faces of each), ``digest`` over id, expression, subject,
        split, size of the file and published landmarks of every face, in whatever order they come: the same for files
        here, in a store and in tar shards.
    """
    return {
        "name": slug(dataset.name),
        "faces": len(dataset),
        "subjects": len(set(dataset.column("subject"))),
        "expressions": dataset.counts(),
        "digest": _whatever_the_order(map(_told, dataset.samples)),
    }


def _whatever_the_order(digests: Iterable[bytes]) -> str:
    """SHA-256 of digests of 32 bytes, sorted."""
    return sha256(np.sort(np.frombuffer(b"".join(digests), "S32")).tobytes()).hexdigest()


def _told(sample: datasets.FaceSample) -> bytes:
    """A digest of one face."""
    size = 0
    if isinstance(sample.source, Path):
        with contextlib.suppress(OSError):
            size = sample.source.stat().st_size
    elif isinstance(sample.source, StoredPicture):
        size = sample.source.size
    known = [sample.id, sample.expression, sample.subject, sample.split, size]
    points = b"" if sample.landmarks is None else np.round(np.asarray(sample.landmarks, np.float64), 2).tobytes()
    return sha256(repr(known).encode("utf-8", "backslashreplace") + points).digest()


def landmarks(
    dataset: Dataset,
    home: Path,
    landmarker: str = "mediapipe",
    progress: Stage | None = None,
    engine: Engine | None = None,
) -> pd.DataFrame:
    """The landmarks of every face, in the data set's order; what ``landmarks.parquet`` holds is not looked for again.

    Landmarks that the data publish are taken, without opening a picture; the landmarker is opened for the others only.

    Parameters
    ----------
    dataset : Dataset
    home : Path
        The study folder.
    landmarker : str
        As `landmarkers.open` takes.
    progress : callable, optional
        ``(what, steps) -> advance``; a step is a picture.
    engine : Engine, optional
        What works on many faces side by side, see `xfer.study.landmark_shards`; this process alone by default.

    Returns
    -------
    DataFrame
        With `landmarking.COLUMNS`.

    Raises
    ------
    InputError
        If the landmarker cannot be opened, the table there is damaged, no face has landmarks, or those that were given
        are for pictures of another size.
    """
    path = home / LANDMARKS
    published = dataset.landmarked()
    places = [np.flatnonzero(published), np.flatnonzero(~published)]
    tables = [landmarking.published(dataset.take(places[0]))] if len(places[0]) else []
    if len(places[1]):
        done = landmarking.read(path) if path.exists() else None
        rest, save = dataset.take(places[1]), _saver(path)
        if engine is not None and landmark_shards.divisible(rest.samples):
            tables.append(landmark_shards.landmark(rest.samples, landmarker, engine, home, done, progress or silent))
        else:
            tables.append(landmarking.landmark(rest, landmarker, done=done, save=save, progress=progress))
    table = tables[0]
    if len(tables) > 1:
        order = np.argsort(np.concatenate(places))
        table = pd.concat(tables, ignore_index=True).iloc[order].reset_index(drop=True)
        table.attrs["format"] = landmarking.FORMAT
    _saver(path)(table)
    landmark_shards.clear(home)
    require_fitting(dataset.name, table, landmarker)
    return table


def _saver(path: Path) -> Callable[[pd.DataFrame], None]:
    return lambda table: write_whole(path, partial(landmarking.write, table))


def digest(table: pd.DataFrame) -> str:
    """SHA-256 of a table of landmarks: points, pictures and reasons by face, in whatever order they come."""
    rows = zip(table["file"], table["sha256"], table["reason"], landmarking.points(table), strict=True)
    return _whatever_the_order(sha256(repr(row[:3]).encode() + row[3].tobytes()).digest() for row in rows)


def reasons(table: pd.DataFrame) -> list[str]:
    """Why each face of a table of landmarks takes no part; "" where it does."""
    return [f"no landmarks: {reason}" if reason else "" for reason in table["reason"]]


def default_crop(data: str) -> str:
    """Drawn faces are used whole, all others cut out."""
    return "whole" if data == DRAWN else "face"


def crops(table: pd.DataFrame, crop: str) -> NDArray[np.float64] | None:
    """The part of each picture that networks see.

    Parameters
    ----------
    table : DataFrame
        Landmarks, one row a face.
    crop : {"whole", "face"}
        "face": a square from above the forehead to below the chin, moved, and only if it must be made smaller, to
        lie inside the picture.

    Returns
    -------
    array (face, 4) or None
        Left, top, right, bottom in px, NaN for a face without landmarks; None for whole pictures.
    """
    if crop not in CROPS:
        raise unknown("crop", crop, CROPS)
    if crop == "whole":
        return None
    size = table[["width", "height"]].to_numpy(float)
    points = landmarking.points(table)
    low, high = (end(axis=1).astype(float) for end in (points.min, points.max))
    extent = (high - low).max(axis=1)
    side = np.minimum(_SIDE * extent, size.min(axis=1))[:, None]
    middle = (low + high + 1) / 2 - _UP * extent[:, None] * [0, 1]
    start = np.clip(middle - side / 2, 0, size - side)
    return np.concatenate([start, start + side], axis=1)


def write_table(home: Path, dataset: Dataset, table: pd.DataFrame, assignment: Assignment) -> pd.DataFrame:
    """Write ``faces.parquet``: who took which part, the subjects under names that tell nothing.

    A subject's name is a digest with a random salt that is not kept; a face that an earlier table of the folder names
    keeps its subject's.

    Parameters
    ----------
    home : Path
        The study folder.
    dataset : Dataset
    table : DataFrame
        Its landmarks, one row a face.
    assignment : Assignment

    Returns
    -------
    DataFrame
        Columns id, expression, subject, used, reason, and ``split`` (train, validation, test, "") or, for several
        folds, ``fold`` (in which it is tested) and ``split_FOLD``.
    """
    folds = assignment.folds
    parts = {fold.name: fold.part(len(dataset)) for fold in folds}
    late = {d.id: d.reason for d in assignment.left_out}
    names = dataset.column("id")
    why_not = (reason or late.get(name, "") for reason, name in zip(reasons(table), names, strict=True))
    faces = pd.DataFrame(
        {
            "id": names,
            "expression": [expression or "" for expression in dataset.column("expression")],
            "subject": _salted(dataset, home),
            "used": np.any([part != "" for part in parts.values()], axis=0),
            "reason": list(why_not),
        }
    )
    if len(folds) == 1:
        faces["split"] = parts[folds[0].name]
    else:
        tested = np.full(len(dataset), "", dtype=object)
        for fold in folds:
            tested[fold.test] = fold.name
        faces = faces.assign(fold=tested, **{f"split_{name}": part for name, part in parts.items()})
    faces.attrs["format"] = FORMAT
    write_whole(home / FACES, faces.to_parquet)
    return faces


def _salted(dataset: Dataset, home: Path) -> list[str]:
    salt, known, subjects = secrets.token_bytes(16), {}, dataset.column("subject")
    if (home / FACES).is_file():
        with contextlib.suppress(InputError):
            earlier = read_table(home)
            named = dict(zip(earlier["id"], earlier["subject"], strict=True))
            told = zip(subjects, dataset.column("id"), strict=True)
            known = {subject: named[name] for subject, name in told if name in named}
    for subject in subjects:
        if subject not in known:
            known[subject] = sha256(salt + subject.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return [known[subject] for subject in subjects]


def read_table(home: Path) -> pd.DataFrame:
    """The ``faces.parquet`` of a study folder.

    Raises
    ------
    InputError
        If it is missing, damaged or of another format.
    """
    path = home / FACES
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        told = "is missing" if not path.exists() else f"is damaged ({str(error).splitlines()[0][:100]})"
        raise InputError(f"{path}: {told}; run the study's 'xfer compare' line again") from None
    if table.attrs.get("format") != FORMAT:
        raise InputError(f"{path}: format {table.attrs.get('format')!r}; this xfer reads format {FORMAT}")
    return table
