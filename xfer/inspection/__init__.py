"""Looking at a data set before trusting it: what is in it, who lacks landmarks, what occurs twice, who disagrees."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xfer import geometry, labels
from xfer import masks as mask_sources
from xfer.datasets import Dataset, Dropped, FaceSample, ImageError
from xfer.datasets.files import shown
from xfer.geometry import CanonicalFrame
from xfer.inspection.copies import SAME, SIDE, identical, near_copies
from xfer.inspection.looking import Look, Portrait, looks, shrunk
from xfer.inspection.raters import Agreement, agreements, cohens_kappa
from xfer.progress import Stage, followed, silent

__all__ = [
    "SAME", "SHEET", "Agreement", "Inspection", "Portrait", "agreements", "choose", "cohens_kappa", "inspect",
    "near_copies",
]  # fmt: skip

SHEET = 48
"""Faces on the contact sheet."""

_MISSED, _TWINS = 16, 12
"""Faces without landmarks, and pairs of copies, that are kept to be shown."""

_NO_PRINT = np.zeros((SIDE, SIDE), np.uint8)


@dataclass(frozen=True)
class Inspection:
    """What a data set holds.

    Attributes
    ----------
    name : str
    notes : tuple of str
        The data set's own remarks.
    dropped : tuple of Dropped
        Faces left out when it was opened.
    faces : DataFrame
        One row a face: ``id``, ``expression`` ("" if unlabelled), ``subject``, ``split``, ``width``, ``height``,
        ``inter_ocular`` (px), ``yaw``, ``pitch``, ``roll`` (degrees), ``several`` (people in the picture),
        ``reason`` (why no landmarks, or ""), ``left_out`` (why not in the mean face although it has landmarks, or "").
    copies : DataFrame
        One row a pair that shows the same photograph: ``first``, ``second`` (ids), ``similarity``, ``kind``
        ("identical", "near", "mirrored"), ``splits``, ``subjects``, ``expressions`` (bool: whether they differ).
    agreements : tuple of Agreement
        One for each further annotator.
    means : DataArray (expression, y, x, channel)
        The mean face in the frame, RGB in [0, 1]; NaN where no face is seen. Unlabelled faces are not in it.
    masks : DataArray (expression, y, x)
    frame : CanonicalFrame
    landmarker : str
        Where the landmarks come from.
    sheet, missed : tuple of Portrait
        The contact sheet; the first faces without landmarks.
    twins : tuple of (Portrait, Portrait)
        The first pairs of `copies`, those that do harm before the others.
    seed : int
        Of the choice for the contact sheet.
    """

    name: str
    notes: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    faces: pd.DataFrame
    copies: pd.DataFrame
    agreements: tuple[Agreement, ...]
    means: xr.DataArray
    masks: xr.DataArray
    frame: CanonicalFrame
    landmarker: str
    sheet: tuple[Portrait, ...]
    missed: tuple[Portrait, ...]
    twins: tuple[tuple[Portrait, Portrait], ...]
    seed: int

    @property
    def drawn(self) -> bool:
        """Whether the faces are the drawn ones of this package."""
        return self.name == "synthetic"

    @property
    def expressions(self) -> list[str]:
        """The expressions that occur, in canonical order; "" at the end if faces are unlabelled."""
        there = set(self.faces["expression"])
        return [e for e in (*labels.EXPRESSIONS, "") if e in there]

    def counts(self) -> pd.DataFrame:
        """Faces by expression (rows) and split, with the columns ``faces`` and ``subjects`` and without margins."""
        by_split = pd.crosstab(self.faces["expression"], self.faces["split"])
        grouped = self.faces.groupby("expression")
        table = by_split.assign(faces=grouped.size(), subjects=grouped["subject"].nunique())
        return table.reindex(self.expressions).rename_axis(columns=None)

    def shared_subjects(self) -> dict[str, tuple[str, ...]]:
        """Subjects in more than one split, each with its splits."""
        splits = self.faces.groupby("subject")["split"].unique()
        return {str(who): tuple(sorted(names)) for who, names in splits.items() if len(names) > 1}

    def in_mean(self) -> pd.Series:
        """How many faces the mean face of each expression is made of."""
        kept = self.faces[(self.faces["reason"] == "") & (self.faces["left_out"] == "")]
        return kept["expression"].value_counts().reindex(self.expressions, fill_value=0)


class _Sum:
    """A mean picture while it is summed."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.total = np.zeros(shape)
        self.count = np.zeros(shape[1:], int)

    def add(self, warped: NDArray[np.float32]) -> None:
        seen = np.isfinite(warped[0])
        self.count += seen
        self.total += np.where(seen, warped, 0)

    def mean(self) -> NDArray[np.float32]:
        """RGB (y, x, 3)."""
        with np.errstate(invalid="ignore"):
            return np.moveaxis(self.total / self.count, 0, -1).astype(np.float32)


@followed()
def inspect(
    dataset: Dataset,
    landmarks: pd.DataFrame | None = None,
    landmarker: str | None = "mediapipe",
    masks: str = "ekman",
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: Stage = silent,
) -> Inspection:
    """Look at every face of a data set once.

    Parameters
    ----------
    dataset : Dataset
    landmarks : DataFrame, optional
        A table that `landmarking` made; faces that are not in it count as having none.
    landmarker : str or None
        As `landmarkers.open` takes; used, without a table, for faces whose landmarks the data do not publish. None
        leaves them without.
    masks : str
        The mask source drawn over the mean faces.
    seed : int
        Of the choice for the contact sheet.
    workers : int, optional
        Threads, each with a landmarker of its own. By default one per core, at most 8.
    progress : callable, optional
        ``(what, steps) -> advance``; a step is a face.

    Raises
    ------
    InputError
        If the landmarker cannot be opened or there is no such mask source.

    Notes
    -----
    Memory grows by 6 KB a face (its print, its landmarks and its row). The result depends on the data, not on
    the number of threads.
    """
    frame = geometry.load_frame()
    drawn = mask_sources.load(masks)
    chosen = choose(dataset, SHEET, seed)
    advance = progress("faces", len(dataset))
    sums: dict[str, _Sum] = {}
    held: list[Look] = []
    prints = np.zeros((len(dataset), SIDE, SIDE), np.uint8)
    points = np.full((len(dataset), 68, 2), np.nan, np.float32)
    missed: deque[Portrait] = deque()
    sheet: dict[int, Portrait] = {}
    for place, look in enumerate(looks(dataset, landmarks, landmarker, frame, set(chosen), workers)):
        expression = dataset.samples[place].expression
        if look.warped is not None and expression:
            sums.setdefault(expression, _Sum(look.warped.shape)).add(look.warped)
        if look.portrait and look.reason and len(missed) < _MISSED:
            missed.append(look.portrait)
        if look.portrait and place in chosen:
            sheet[place] = look.portrait
        prints[place] = look.print
        points[place] = np.nan if look.points is None else look.points
        held.append(look._replace(warped=None, portrait=None, print=_NO_PRINT, points=None))
        advance()
    copies = _copies(dataset, [look.digest for look in held], prints)
    return Inspection(
        name=dataset.name,
        notes=dataset.notes,
        dropped=tuple(dataset.dropped),
        faces=_faces(dataset.samples, held),
        copies=copies,
        agreements=agreements(dataset.samples),
        means=_means(sums, frame),
        masks=drawn,
        frame=frame,
        landmarker=_source(dataset, landmarks, landmarker),
        sheet=tuple(sheet[place] for place in chosen if place in sheet),
        missed=tuple(missed),
        twins=_twins(dataset, copies, points),
        seed=seed,
    )


def choose(dataset: Dataset, n: int, seed: int) -> list[int]:
    """Places of faces picked at random, as many of each expression as there are, expressions together."""
    rng = np.random.default_rng(seed)
    groups: dict[str | None, list[int]] = {e: [] for e in (*labels.EXPRESSIONS, None)}
    for place, sample in enumerate(dataset.samples):
        groups[sample.expression].append(place)
    waiting = [rng.permutation(places).tolist() for places in groups.values() if places]
    taken: list[list[int]] = [[] for _ in waiting]
    while sum(map(len, taken)) < n and any(waiting):
        for pile, mine in zip(waiting, taken, strict=True):
            if pile and sum(map(len, taken)) < n:
                mine.append(pile.pop())
    return [place for mine in taken for place in mine]


class _Row(NamedTuple):
    id: str
    expression: str
    subject: str
    split: str
    width: int
    height: int
    inter_ocular: float
    yaw: float
    pitch: float
    roll: float
    several: bool
    reason: str
    left_out: str


def _faces(samples: Sequence[FaceSample], held: Sequence[Look]) -> pd.DataFrame:
    rows = [
        _Row(
            shown(s.id), s.expression or "", shown(s.subject), s.split, o.width, o.height, o.inter_ocular, *o.pose,
            o.several, o.reason, o.left_out,
        )
        for s, o in zip(samples, held, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=_Row._fields)


class _Pair(NamedTuple):
    first: str
    second: str
    similarity: float
    kind: str
    splits: bool
    subjects: bool
    expressions: bool
    places: tuple[int, int]


def _copies(dataset: Dataset, digests: Sequence[bytes], prints: NDArray[np.uint8]) -> pd.DataFrame:
    """Pairs that show the same photograph; of pictures equal to the pixel, only the first is compared with others."""
    same = identical(digests)
    again = {later for _, later in same}
    places = [i for i, digest in enumerate(digests) if digest and i not in again]
    found = [_pair(dataset.samples, i, j, 1.0, "identical") for i, j in same]
    for copy in near_copies(prints[places]):
        kind = "mirrored" if copy.mirrored else "near"
        found.append(_pair(dataset.samples, places[copy.first], places[copy.second], copy.similarity, kind))
    return pd.DataFrame(found, columns=_Pair._fields)


def _pair(samples: Sequence[FaceSample], i: int, j: int, similarity: float, kind: str) -> _Pair:
    a, b = samples[i], samples[j]
    differ = (a.split != b.split, a.subject != b.subject, a.expression != b.expression)
    return _Pair(shown(a.id), shown(b.id), similarity, kind, *differ, (i, j))


def _twins(
    dataset: Dataset, copies: pd.DataFrame, points: NDArray[np.float32]
) -> tuple[tuple[Portrait, Portrait], ...]:
    """The first pairs, small; those across splits, subjects or labels come first."""
    harm = ["splits", "subjects", "expressions"]
    ordered = copies.sort_values([*harm, "similarity"], ascending=False, kind="stable").head(_TWINS)
    pairs = []
    for places in ordered["places"]:
        try:
            a, b = (_shown_again(dataset.samples[i], points[i]) for i in places)
        except ImageError:
            continue
        pairs.append((a, b))
    return tuple(pairs)


def _shown_again(sample: FaceSample, points: NDArray[np.float32]) -> Portrait:
    return shrunk(sample, sample.load(), points if np.isfinite(points).all() else None)


def _means(sums: dict[str, _Sum], frame: CanonicalFrame) -> xr.DataArray:
    order = [e for e in labels.EXPRESSIONS if e in sums]
    shape = (len(order), frame.height, frame.width, 3)
    values = np.array([sums[e].mean() for e in order], np.float32).reshape(shape)
    return xr.DataArray(values, dims=("expression", "y", "x", "channel"), coords={"expression": order})


def _source(dataset: Dataset, landmarks: pd.DataFrame | None, landmarker: str | None) -> str:
    """Where the landmarks come from, in words."""
    if landmarks is not None:
        names: Iterable[str] = dict.fromkeys(landmarks["landmarker"].astype(str))
        return f"a table of landmarks ({', '.join(names)})"
    published = sum(s.landmarks is not None for s in dataset.samples)
    if published == len(dataset):
        return "published with the data"
    rest = landmarker or "none"
    return f"published with the data for {published} faces, {rest} for the others" if published else rest
