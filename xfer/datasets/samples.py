"""A face of a data set, and a data set: what is in it, what was left out and why."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from xfer import assets, labels
from xfer.datasets.images import ImageError, decode, decode_bytes
from xfer.datasets.stored import StoredPicture
from xfer.errors import InputError

Image = NDArray[np.uint8]
Item = TypeVar("Item")
Result = TypeVar("Result")

_NAMED = 5
"""So many faces or fewer are named in a summary, more are counted; `Dataset.dropped` has them all."""

_AHEAD = 4
"""Pictures decoded ahead of the reader, per thread."""


class Dropped(NamedTuple):
    """A face that was left out, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class FaceSample:
    """One face; its picture is decoded on demand.

    Attributes
    ----------
    id : str
        Stable within the data set: the relative posix path, or an index of the data set's own.
    source : Path, StoredPicture or callable
        The picture's file, where else its bytes are, or a function (picklable) that returns it as uint8 (y, x, 3).
    expression : str or None
        Canonical; None where nobody labelled it.
    subject : str
        Who it is; the id where nobody tells.
    split : {"train", "test", "validation", ""}
        As published with the data.
    time : float or None
        Seconds from the start of its clip.
    landmarks : array (68, 2) or None
        (x, y) in px of the upright picture, as published with the data.
    extra : mapping
        What else the data tell, as text.
    sha256 : str
        Of the picture's file, where it must not have changed since that was told.
    """

    id: str
    source: Path | StoredPicture | Callable[[], Image] = field(compare=False)
    expression: str | None = None
    subject: str = ""
    split: str = ""
    time: float | None = None
    landmarks: NDArray[np.floating] | None = field(default=None, compare=False)
    extra: Mapping[str, str] = field(default_factory=dict, compare=False)
    sha256: str = field(default="", compare=False)

    def load(self) -> Image:
        """The picture, upright: uint8 (y, x, 3), RGB.

        Raises
        ------
        ImageError
            If the file cannot be used; `ImageError.reason` says why.
        InputError
            If the file is another one than `sha256` tells, or its store cannot be read.
        """
        if isinstance(self.source, StoredPicture):
            content = self.source.content()
            self._require(sha256(content).hexdigest())
            return decode_bytes(content, self.id)
        if not isinstance(self.source, Path):
            return self.source()
        if self.sha256 and self.source.is_file():
            self._require(assets.sha256(self.source))
        return decode(self.source)

    @property
    def file(self) -> PurePath | None:
        """Where its picture lies here, or, as a mere name, where it lies below the data; None of one that is drawn."""
        if isinstance(self.source, StoredPicture):
            return PurePosixPath(self.id)
        return self.source if isinstance(self.source, Path) else None

    def _require(self, digest: str) -> None:
        if self.sha256 not in ("", digest):
            raise InputError(
                f"{self.id}: has changed during the run (digest mismatch: SHA-256 {self.sha256[:12]} became "
                f"{digest[:12]}); run the same line again"
            )


@runtime_checkable
class _Columnar(Protocol):
    """Samples that are kept by column, as `xfer.datasets.faces.Faces` are."""

    def take(self, places: Iterable[int]) -> Sequence[FaceSample]: ...
    def column(self, name: str) -> list[Any]: ...
    def landmarked(self) -> NDArray[np.bool_]: ...
    def changed(self, **columns: Any) -> Sequence[FaceSample]: ...


@dataclass(frozen=True)
class Dataset:
    """Faces, those left out, and remarks a reader of the results should know.

    Attributes
    ----------
    name : str
    samples : sequence of FaceSample
    dropped : tuple of Dropped
        Faces that were left out when the data were opened or selected, each with its reason.
    notes : tuple of str
        Remarks about the whole ("no subjects are told ...").
    """

    name: str
    samples: Sequence[FaceSample]
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many faces are left."""
        return len(self.samples)

    @property
    def expressions(self) -> tuple[str, ...]:
        """The expressions that occur, in canonical order."""
        return tuple(self.counts())

    def counts(self) -> dict[str, int]:
        """Faces per expression, in canonical order; the unlabelled are not counted."""
        found = Counter(self.column("expression"))
        return {e: found[e] for e in labels.EXPRESSIONS if e in found}

    def shared_subjects(self) -> dict[str, tuple[str, ...]]:
        """The subjects that lie in more than one split, each with its splits: a leak."""
        splits: dict[str, set[str]] = {}
        for subject, split in zip(self.column("subject"), self.column("split"), strict=True):
            splits.setdefault(subject, set()).add(split)
        return {subject: tuple(sorted(names)) for subject, names in sorted(splits.items()) if len(names) > 1}

    def take(self, indices: Iterable[int]) -> "Dataset":
        """The same data set with some of its faces."""
        if isinstance(self.samples, _Columnar):
            return replace(self, samples=self.samples.take(indices))
        return replace(self, samples=tuple(self.samples[i] for i in indices))

    def column(self, name: str) -> list[Any]:
        """A field of every face; quicker than to ask face by face."""
        if isinstance(self.samples, _Columnar):
            return self.samples.column(name)
        return [getattr(sample, name) for sample in self.samples]

    def landmarked(self) -> NDArray[np.bool_]:
        """Which faces come with landmarks (face,)."""
        if isinstance(self.samples, _Columnar):
            return self.samples.landmarked()
        return np.array([sample.landmarks is not None for sample in self.samples], bool)

    def changed(self, **columns: Iterable[str]) -> "Dataset":
        """The same faces, of which some fields, of text, are told anew: a value each."""
        if isinstance(self.samples, _Columnar):
            return replace(self, samples=self.samples.changed(**columns))
        rows = zip(*columns.values(), strict=True)
        each = zip(self.samples, rows, strict=True)
        return replace(self, samples=tuple(replace(s, **dict(zip(columns, row, strict=True))) for s, row in each))

    def select(
        self, expressions: Iterable[str] | None = None, min_faces: int = 1, unlabelled: bool = False
    ) -> "Dataset":
        """Keep some expressions, and of them those with enough faces; the rest goes to `dropped`.

        Parameters
        ----------
        expressions : iterable of str, optional
            Names or aliases; all if None.
        min_faces : int
            An expression with fewer faces is left out.
        unlabelled : bool
            Keep faces without an expression.

        Raises
        ------
        InputError
            If a name is unknown, an expression asked for does not occur, or no face is left.
        """
        counts = self.counts()
        wanted = set(counts) if expressions is None else {labels.expression(e) for e in expressions}
        self._require(wanted, counts)
        shown = self.column("expression")
        reasons = {e: _unwanted(e, wanted, counts, min_faces, unlabelled) for e in set(shown)}
        if not any(reasons.values()):
            self.require_faces()
            return self
        lost = self.take([i for i, e in enumerate(shown) if reasons[e]])
        told = zip(lost.column("id"), lost.column("expression"), strict=True)
        dropped = (*self.dropped, *(Dropped(name, reasons[e]) for name, e in told))
        selected = replace(self.take([i for i, e in enumerate(shown) if not reasons[e]]), dropped=dropped)
        selected.require_faces()
        return selected

    def _require(self, wanted: set[str], counts: Mapping[str, int]) -> None:
        missing = [e for e in labels.EXPRESSIONS if e in wanted - set(counts)]
        if missing:
            there = ", ".join(f"{e} {n}" for e, n in counts.items()) or "no labelled face"
            raise InputError(f"{self.name}: no face shows {', '.join(missing)}; there is {there}")

    def require_faces(self) -> None:
        """Raise an `InputError` that lists the reasons if no face is left."""
        if not self.samples:
            raise InputError(f"{self.name}: no face is left: {'; '.join(self._losses()[:5]) or 'nothing was found'}")

    def faces(self, workers: int | None = None) -> Iterator[tuple[FaceSample, Image | str]]:
        """Decode in parallel, in order, a bounded number ahead of the reader.

        Parameters
        ----------
        workers : int, optional
            Threads; 1 decodes in the caller's. By default one per core, at most 8.

        Yields
        ------
        FaceSample
        uint8 (y, x, 3), or str
            The picture, or why there is none.
        """
        yield from in_order(_picture, self.samples, workers)

    def summary(self) -> list[str]:
        """What is in it and what is not, one fact a line."""
        subjects = len(set(self.column("subject")))
        lines = [f"{self.name}: {len(self)} faces of {subjects} subjects"]
        if counts := self.counts():
            lines.append(", ".join(f"{e} {n}" for e, n in counts.items()))
        if len(counts) == 1:
            lines.append("only one expression: there is nothing to tell apart")
        splits = Counter(split for split in self.column("split") if split)
        if splits:
            lines.append("published split: " + ", ".join(f"{s} {n}" for s, n in sorted(splits.items())))
        if shared := self.shared_subjects():
            lines.append(f"subjects in more than one split: {len(shared)}, such as {next(iter(shared))}")
        return [*lines, *self.notes, *self._losses()]

    def _losses(self) -> list[str]:
        lines = []
        for reason, n in Counter(d.reason for d in self.dropped).most_common():
            names = ", ".join(d.id for d in self.dropped if d.reason == reason) if n <= _NAMED else f"{n} faces"
            lines.append(f"{names} left out: {reason}")
        return lines


def _unwanted(
    expression: str | None, wanted: set[str], counts: Mapping[str, int], min_faces: int, unlabelled: bool
) -> str:
    if expression is None:
        return "" if unlabelled else "without an expression"
    if expression not in wanted:
        return f"{expression}, not asked for"
    if counts[expression] < min_faces:
        return f"{expression}, fewer than {min_faces} faces"
    return ""


def _picture(sample: FaceSample) -> tuple[FaceSample, Image | str]:
    try:
        return sample, sample.load()
    except ImageError as error:
        return sample, error.reason


def in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None) -> Iterator[Result]:
    """Call a function in threads; the results come in order, a bounded number ahead of the reader.

    Parameters
    ----------
    function : callable
    items : iterable
    workers : int, optional
        Threads; 1 calls in the caller's. By default one per core, at most 8.
    """
    workers = min(8, os.cpu_count() or 1) if workers is None else workers
    if workers <= 1:
        yield from map(function, items)
        return
    waiting = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        ahead: deque[Future[Result]] = deque(pool.submit(function, item) for item in islice(waiting, _AHEAD * workers))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(function, item) for item in islice(waiting, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
