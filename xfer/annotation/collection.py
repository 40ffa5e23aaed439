"""A folder of people's marks: which faces are shown, to whom, and how each looks on the canvas."""

import re
import secrets
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w
import torch
from numpy.typing import NDArray
from PIL import Image

from xfer import datasets, labels, landmarking
from xfer.annotation.journal import FORMAT, SUFFIX, Journal
from xfer.annotation.order import Task, order
from xfer.annotation.parts import FRAME, parts
from xfer.datasets import DATASETS, Dataset, Dropped
from xfer.errors import InputError
from xfer.geometry import load_frame
from xfer.labels import BASIC
from xfer.progress import Stage, followed
from xfer.study import faces as study_faces
from xfer.study.folder import CONFIG, differences, slug, write_whole
from xfer.warping import to_frame

SETTINGS, LANDMARKS, SALT = "annotation.toml", "landmarks.parquet", ".salt"
FACES = 60
"""Faces that every rater sees, unless asked otherwise."""
SIDE = 512
"""The longer side of the canvas that a face is shown on, px."""

_DRAWN_SIZE = 448
_ID = re.compile("[0-9a-f]{12}")


@dataclass(frozen=True)
class Shown:
    """A face as raters see it.

    Attributes
    ----------
    picture : uint8 array (y, x, 3)
    points : array (68, 2)
        Landmarks (x, y) in px of the picture.
    """

    picture: NDArray[np.uint8]
    points: NDArray[np.float64]


@dataclass(frozen=True)
class Collection:
    """Raters' marks on one choice of faces; opened by `collect`.

    Attributes
    ----------
    home : Path
    settings : mapping
        What ``annotation.toml`` holds.
    dataset : Dataset
        The faces that are shown.
    table : DataFrame
        Their landmarks, one row a face.
    dropped : tuple of Dropped
        Faces that were chosen and cannot be shown, each with its reason.
    """

    home: Path
    settings: Mapping[str, Any]
    dataset: Dataset
    table: pd.DataFrame = field(repr=False)
    dropped: tuple[Dropped, ...] = ()

    @property
    def expressions(self) -> tuple[str, ...]:
        """Those that raters choose from: the data's, or Ekman's six where no face is labelled."""
        return self.dataset.expressions or BASIC

    @cached_property
    def _places(self) -> dict[str, int]:
        return {sample.id: i for i, sample in enumerate(self.dataset.samples)}

    @cached_property
    def _boxes(self) -> NDArray[np.float64]:
        found = study_faces.crops(self.table, self.settings["crop"])
        size = self.table[["width", "height"]].to_numpy(float)
        return np.concatenate([np.zeros_like(size), size], axis=1) if found is None else found

    def label(self, face: str) -> str | None:
        """What the data call a face; raters are never told."""
        return self.dataset.samples[self._places[face]].expression

    def canvas(self, face: str) -> tuple[int, int]:
        """Height and width of the canvas that a face is shown on, px."""
        left, top, right, bottom = self._boxes[self._places[face]]
        scale = SIDE / max(right - left, bottom - top)
        return max(1, round((bottom - top) * scale)), max(1, round((right - left) * scale))

    def points(self, face: str) -> NDArray[np.float64]:
        """Landmarks (68, 2) of a face in px of its canvas."""
        at = self._places[face]
        left, top, right, bottom = self._boxes[at]
        height, width = self.canvas(face)
        moved = landmarking.points(self.table)[at].astype(np.float64) - [left, top]
        return (moved + 0.5) * [width / (right - left), height / (bottom - top)] - 0.5

    def shown(self, face: str) -> Shown:
        """A face as raters see it: cut out as networks see it, on its canvas.

        Raises
        ------
        ImageError
            If its picture cannot be read any more.
        """
        at = self._places[face]
        height, width = self.canvas(face)
        image = Image.fromarray(self.dataset.samples[at].load())
        box = (
            float(self._boxes[at][0]),
            float(self._boxes[at][1]),
            float(self._boxes[at][2]),
            float(self._boxes[at][3]),
        )
        picture = image.resize((width, height), Image.Resampling.BICUBIC, box)
        return Shown(np.asarray(picture), self.points(face))

    def rater_id(self, name: str) -> str:
        """The salted id of a rater: 12 hexadecimal digits, which stand for themselves.

        Without the folder's ``.salt`` no name leads to an id, and no id to a name.

        Raises
        ------
        InputError
            If the name is empty.
        """
        plain = unicodedata.normalize("NFKC", name).casefold().strip()
        if not plain:
            raise InputError("--rater: an empty name; give a name or any word of one's own")
        if _ID.fullmatch(plain):
            return plain
        return sha256(_salt(self.home) + plain.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    def raters(self) -> tuple[str, ...]:
        """The ids of everybody who has a file."""
        return tuple(sorted(path.name.removesuffix(SUFFIX) for path in self.home.glob(f"[0-9a-f]*{SUFFIX}")))

    def path(self, rater: str) -> Path:
        """The file of a rater's id."""
        return self.home / f"{rater}{SUFFIX}"

    def header(self, rater: str) -> dict[str, str]:
        """What the first line of a rater's file says."""
        told = sha256(tomli_w.dumps(dict(self.settings)).encode()).hexdigest()
        return {"rater": rater, "faces": told[:16]}

    def journal(self, rater: str) -> Journal:
        """Open a rater's file for writing; raises as `Journal`."""
        return Journal(self.path(rater), self.header(rater))

    def tasks(self, rater: str) -> tuple[Task, ...]:
        """What a rater's id is asked, in this order."""
        asked = [name for name, part in parts().items() if part.asked]
        return order([sample.id for sample in self.dataset.samples], rater, asked)

    def summary(self) -> list[str]:
        """What is shown and what is not, one fact a line."""
        counts = ", ".join(f"{e} {n}" for e, n in self.dataset.counts().items()) or "no face is labelled"
        lines = [
            f"{self.home}: {len(self.dataset)} faces for every rater ({counts}); {len(self.raters())} raters so far"
        ]
        for reason, n in Counter(d.reason for d in self.dropped).most_common():
            lines.append(f"{n} faces cannot be shown: {reason}")
        return lines


@followed()
def collect(
    data: str = "synthetic",
    home: str | Path | None = None,
    *,
    faces: int | None = None,
    seed: int | None = None,
    expressions: Iterable[str] | None = None,
    landmarker: str = "mediapipe",
    progress: Stage | None = None,
) -> Collection:
    """Open the folder of people's marks on some data, or begin it.

    Parameters
    ----------
    data : str
        As `xfer.datasets.open` takes.
    home : path, optional
        ``reports/<data>-raters`` by default.
    faces : int, optional
        How many every rater sees, as many of each expression; what the folder began with, else `FACES`.
    seed : int, optional
        Draws the faces; what the folder began with, else 0.
    expressions : iterable of str, optional
        Those to show; what the folder began with, else all.
    landmarker : str
        As `xfer.landmarkers.open` takes; faces that come with landmarks keep those. Found once, when a folder begins.
    progress : callable, optional

    Raises
    ------
    InputError
        If the folder is a study or holds marks on other faces, no face can be shown, or it cannot be written.
    """
    if faces is not None and faces < 1:
        raise InputError(f"--faces {faces}: show at least one face")
    asked = None if expressions is None else sorted(labels.expression(e) for e in expressions)
    folder = Path("reports") / f"{slug(_title(data))}-raters" if home is None else Path(home)
    there = _settings(folder)
    began: Mapping[str, Any] = there or {"faces": FACES, "seed": 0, "expressions": []}
    wanted: dict[str, Any] = {
        "faces": began["faces"] if faces is None else faces,
        "seed": began["seed"] if seed is None else seed,
        "expressions": began["expressions"] if asked is None else asked,
    }
    dataset = _chosen(data, wanted["faces"], wanted["seed"], wanted["expressions"])
    crop = study_faces.default_crop(data)
    settings = {"format": FORMAT, "kind": "annotation", **wanted, "crop": crop, "side": SIDE}
    settings["data"] = study_faces.facts(dataset)
    _claim(folder, there, settings)
    table = _landmarks(dataset, folder, landmarker, progress)
    reasons = [reason or turned for reason, turned in zip(study_faces.reasons(table), _turned(table), strict=True)]
    seen = [i for i, reason in enumerate(reasons) if not reason]
    dropped = tuple(Dropped(s.id, r) for s, r in zip(dataset.samples, reasons, strict=True) if r)
    if not seen:
        raise InputError(f"{dataset.name}: no face can be shown; {Counter(reasons).most_common(1)[0][0]}")
    return Collection(folder, settings, dataset.take(seen), table.iloc[seen].reset_index(drop=True), dropped)


def _title(data: str) -> str:
    """What a folder of raters' files is called after: the last part of the path, or the name of the data."""
    name, _, path = data.partition(":")
    return Path(path).resolve().stem if path else name


def _chosen(data: str, faces: int, seed: int, expressions: Sequence[str]) -> Dataset:
    """As many faces of each expression as can be had, by id."""
    if data == study_faces.DRAWN:
        whole = DATASETS[data].function(faces=max(faces, 2 * len(BASIC)), size=_DRAWN_SIZE, seed=seed)
        whole = whole.select(expressions or None)
    else:
        whole = datasets.open(data, expressions or None, unlabelled=not expressions)
    rng = np.random.default_rng(seed)
    groups: dict[str, list[int]] = {}
    for i in sorted(range(len(whole)), key=lambda i: whole.samples[i].id):
        groups.setdefault(whole.samples[i].expression or "", []).append(i)
    shuffled = [[group[k] for k in rng.permutation(len(group))] for _, group in sorted(groups.items())]
    rank = sorted((k, j, i) for j, group in enumerate(shuffled) for k, i in enumerate(group))
    return whole.take(sorted((i for _, _, i in rank[:faces]), key=lambda i: whole.samples[i].id))


def _landmarks(dataset: Dataset, folder: Path, landmarker: str, progress: Stage | None) -> pd.DataFrame:
    """Landmarks of the faces; those that the folder has are kept, so that all marks are placed alike."""
    if (folder / LANDMARKS).is_file():
        table = landmarking.read(folder / LANDMARKS)
        if list(table["file"]) == [sample.id for sample in dataset.samples]:
            return table
    return study_faces.landmarks(dataset, folder, landmarker, progress)


def _turned(table: pd.DataFrame) -> list[str]:
    """Why marks on a face could not be moved to the frame; "" where they can."""
    points = torch.from_numpy(landmarking.points(table).astype(np.float64))
    kept = to_frame(torch.zeros(len(table), 1, 1, 1), points, load_frame(FRAME), size=(1, 1)).kept.tolist()
    return ["" if one else "the head is turned too far to be placed in the frame" for one in kept]


def _settings(folder: Path) -> dict[str, Any] | None:
    """What a folder began with; None where nothing has begun."""
    path = folder / SETTINGS
    if not path.is_file():
        return None
    try:
        there = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: damaged ({error})") from None
    if there.get("format") != FORMAT or there.get("kind") != "annotation":
        raise InputError(f"{path}: format {there.get('format')!r}; this xfer reads raters' files of format {FORMAT}")
    return there


def _claim(folder: Path, there: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> None:
    """Begin a folder, or see that it is this collection's."""
    if (folder / CONFIG).exists():
        raise InputError(f"{folder}: is a study; people's marks have a folder of their own, give it with --out")
    if there is None:
        _begin(folder, settings)
    elif there != settings:
        told = [d for d in differences(there, settings) if not d.startswith("data.")]
        raise InputError(
            f"{folder}: holds raters' marks on other faces ({'; '.join(told) or 'the data have changed'}); "
            "give the options and data it began with, or another --out"
        )


def _begin(folder: Path, settings: Mapping[str, Any]) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds files that are no raters'; give a new folder with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); give another --out") from None
    _salt(folder)
    text = tomli_w.dumps(dict(settings))
    write_whole(folder / SETTINGS, lambda path: path.write_text(text, encoding="utf-8"))


def _salt(home: Path) -> bytes:
    """The folder's salt, made when it is begun."""
    path = home / SALT
    if not path.is_file():
        if any(home.glob(f"*{SUFFIX}")):
            raise InputError(f"{path}: is missing, so no name leads to a rater's file; give the id as --rater instead")
        path.write_bytes(secrets.token_bytes(16))
        path.chmod(0o600)
    return path.read_bytes()
