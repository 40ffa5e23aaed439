"""The faces of a data set by column, so that a million take little memory; a `FaceSample` is made when it is asked for.

Of each face some bytes stay in memory; names, landmarks and all else wait in scratch files of no name.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from xfer import labels
from xfer.datasets.columns import Records, Scratch, Texts, decoded, encoded
from xfer.datasets.samples import FaceSample
from xfer.datasets.stored import StoredPicture

Source: TypeAlias = Any
"""What `FaceSample.source` takes."""

_EXPRESSIONS = (None, *labels.EXPRESSIONS)
_SPLITS = ("", "train", "validation", "test")
_UNTOLD = float("nan")
_NUMBERS = np.dtype([(name, np.int64) for name in ("place", "first", "second")] +
                    [("time", np.float64), ("expression", np.int8), ("split", np.int8)])  # fmt: skip
"""Of a face: the source's place among what is shared and two numbers of its own, its time, and codes."""


class Columns:
    """Takes faces one by one."""

    def __init__(self) -> None:
        self._shared: dict[Any, int] = {}
        self._numbers = Scratch()
        self._texts = {name: Records() for name in ("id", "subject", "source", "landmarks", "extra")}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._texts["id"])

    def append(self, face: FaceSample) -> None:
        """Take a face; of one whose subject is "" the subject is itself."""
        shared, (first, second), text = _parted(face.source)
        place = self._shared.setdefault(shared, len(self._shared))
        points = b"" if face.landmarks is None else _packed(face.landmarks)
        told = _UNTOLD if face.time is None else face.time
        codes = _EXPRESSIONS.index(face.expression), _SPLITS.index(face.split)
        self._numbers.write(np.array((place, first, second, told, *codes), _NUMBERS).tobytes())
        own = {
            "id": encoded(face.id),
            "subject": encoded(face.subject),
            "source": encoded(text),
            "landmarks": points,
            "extra": json.dumps(dict(face.extra)).encode() if face.extra else b"",
        }
        for name, content in own.items():
            self._texts[name].append(content)

    def sealed(self) -> "Faces":
        """The faces so far."""
        numbers = np.frombuffer(self._numbers.sealed(), _NUMBERS, len(self))
        texts = {name: records.sealed() for name, records in self._texts.items()}
        return Faces(np.arange(len(self), dtype=np.int32), _Sealed(tuple(self._shared), numbers, texts))


@dataclass(frozen=True)
class _Sealed:
    """Columns that are whole.

    Attributes
    ----------
    shared : tuple
        What many sources have in common: a folder, a shard.
    numbers : array (face,)
        Of `_NUMBERS`.
    texts : mapping of str to Arrow array of binary
    """

    shared: tuple[Any, ...]
    numbers: NDArray[np.void]
    texts: Mapping[str, Any]

    def text(self, name: str, row: int) -> bytes:
        content: bytes = self.texts[name][row].as_py()
        return content

    def face(self, row: int) -> FaceSample:
        name, extra = decoded(self.text("id", row)), self.text("extra", row)
        place, first, second, time, expression, split = self.numbers[row].item()
        return FaceSample(
            name,
            _joined(self.shared[place], (first, second), decoded(self.text("source", row))),
            _EXPRESSIONS[expression],
            decoded(self.text("subject", row)) or name,
            _SPLITS[split],
            None if time != time else time,
            _points(self.text("landmarks", row)),
            json.loads(extra) if extra else {},
        )

    def column(self, name: str, rows: NDArray[np.int32]) -> list[Any]:
        if name == "expression":
            return [_EXPRESSIONS[code] for code in self.numbers["expression"][rows].tolist()]
        if name == "split":
            return [_SPLITS[code] for code in self.numbers["split"][rows].tolist()]
        if name == "id":
            return list(self.strings(name, rows))
        if name == "subject":
            return [own or face for own, face in zip(*(self.strings(n, rows) for n in (name, "id")), strict=True)]
        return [getattr(self.face(int(row)), name) for row in rows]

    def landmarked(self) -> NDArray[np.bool_]:
        points = self.texts["landmarks"]
        return np.diff(np.frombuffer(points.buffers()[1], np.int64, len(points) + 1)) > 0

    def strings(self, name: str, rows: NDArray[np.int32]) -> Texts:
        whole = self.texts[name]
        every = len(rows) == len(whole) and (rows == np.arange(len(whole), dtype=np.int32)).all()
        return Texts(whole if every else whole.take(pa.array(rows)))


@dataclass(frozen=True, eq=False)
class Faces(Sequence[FaceSample]):
    """Some faces of whole `Columns`, in some order, as a sequence.

    >>> columns = Columns()
    >>> for name in ("a.jpg", "b.jpg"):
    ...     columns.append(FaceSample(name, Path("faces", name), "fear"))
    >>> faces = columns.sealed()
    >>> faces[1].id, faces[-1].subject, len(faces[:1]), faces.column("expression")
    ('b.jpg', 'b.jpg', 1, ['fear', 'fear'])
    >>> faces.changed(split=["train", "test"]).take([1])[0].split
    'test'
    """

    rows: NDArray[np.int32]
    _columns: _Sealed
    _changes: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> FaceSample: ...
    @overload
    def __getitem__(self, place: slice) -> "Faces": ...
    def __getitem__(self, place: int | slice) -> "FaceSample | Faces":
        """A face, or some."""
        if isinstance(place, slice):
            return self.take(range(len(self))[place])
        face = self._columns.face(int(self.rows[place]))
        changes = {name: values[int(place) % len(self)].as_py() for name, values in self._changes.items()}
        return replace(face, **changes) if changes else face

    def __iter__(self) -> Iterator[FaceSample]:
        """All of them."""
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Whether another sequence has the same faces."""
        return (
            isinstance(other, Sequence)
            and len(self) == len(other)
            and all(a == b for a, b in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]

    def take(self, places: Iterable[int]) -> "Faces":
        """Some of them."""
        chosen = np.asarray(places if isinstance(places, np.ndarray | range) else list(places), np.int64).reshape(-1)
        chosen = np.where(chosen < 0, chosen + len(self), chosen)  # as an array counts them; Arrow does not
        changes = {name: values.take(pa.array(chosen)) for name, values in self._changes.items()}
        return Faces(self.rows[chosen], self._columns, changes)

    def changed(self, **columns: Any) -> "Faces":
        """The same faces, of which some fields, of text, are told anew: a value each."""
        return Faces(
            self.rows, self._columns, {**self._changes, **{n: _arrow(values) for n, values in columns.items()}}
        )

    def column(self, name: str) -> list[Any]:
        """A field of every face."""
        told = self._changes.get(name)
        return self._columns.column(name, self.rows) if told is None else told.to_pylist()

    def texts(self, name: str) -> Texts:
        """The ``id`` of every face, or the ``subject`` that is told, "" where that is none."""
        return self._columns.strings(name, self.rows)

    def landmarked(self) -> NDArray[np.bool_]:
        """Which come with landmarks (face,)."""
        return self._columns.landmarked()[self.rows]

    def alone(self) -> int:
        """How many faces have no subject but themselves."""
        return sum(not subject for subject in self.texts("subject"))


def _arrow(values: Any) -> Any:
    found = pa.array(values)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _parted(source: Source) -> tuple[Any, tuple[int, int], str]:
    """A source as what others have too, two numbers and a text."""
    if isinstance(source, StoredPicture):
        shared, numbers, text = source.parted()
        return (type(source), shared), numbers, text
    if isinstance(source, Path):
        folder, name = os.path.split(source)
        return (Path, folder), (0, 0), name
    return (None, _Itself(source)), (0, 0), ""


@dataclass(frozen=True, eq=False, slots=True)
class _Itself:
    """A source that has nothing in common with another."""

    source: Source


def _joined(shared: Any, numbers: tuple[int, int], text: str) -> Source:
    kind, common = shared
    if kind is None:
        return common.source
    return Path(common, text) if kind is Path else kind.joined(common, numbers, text)


def _packed(points: ArrayLike) -> bytes:
    """68 points in single precision, or in double where they have it."""
    given = np.asarray(points)
    return given.astype(np.float64 if given.dtype == np.float64 else np.float32).reshape(68, 2).tobytes()


def _points(content: bytes) -> NDArray[np.floating] | None:
    kind: type[np.floating] = np.float64 if len(content) == 68 * 2 * 8 else np.float32
    return np.frombuffer(content, kind).reshape(68, 2) if content else None
