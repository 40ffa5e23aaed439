"""FER2013 and FER+: 48 x 48 grey faces in one csv file or in folders, labelled once and again by ten people."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xfer.datasets import DATASETS
from xfer.datasets.csv import read_rows
from xfer.datasets.files import named, shown
from xfer.datasets.folder import add_tree
from xfer.datasets.images import ImageError
from xfer.datasets.listing import Listing
from xfer.datasets.samples import Dataset, Dropped
from xfer.errors import InputError

_SIDE = 48
_LAYOUT = "fer2013.csv (emotion, pixels, Usage) or a folder with it, or folders train/angry/*.jpg and test/angry/*.jpg"
_PLUS_LAYOUT = "a folder with fer2013new.csv and fer2013.csv, or with fer2013new.csv and FER2013Train/fer0000000.png"
_LICENCE = "the pictures' owners'; research use through Kaggle"

EXPRESSIONS = {
    "0": "anger", "1": "disgust", "2": "fear", "3": "happiness", "4": "sadness", "5": "surprise", "6": "neutral",
}  # fmt: skip
USAGES = {"training": "train", "publictest": "validation", "privatetest": "test"}
FOLDERS = {"train": "FER2013Train", "validation": "FER2013Valid", "test": "FER2013Test"}
VOTES = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PixelRow:
    """A face whose pixels stand as text in a row of a csv file; read when it is called."""

    path: Path
    offset: int
    column: int

    def __call__(self) -> NDArray[np.uint8]:
        """The face: uint8 (y, x, 3).

        Raises
        ------
        ImageError
            If the cell does not hold 48 x 48 numbers from 0 to 255.
        """
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            cell = stream.readline().split(b",")[self.column].strip(b' "\r\n')
        try:
            grey = np.array([*map(int, cell.split())], np.uint8).reshape(_SIDE, _SIDE)
        except (ValueError, OverflowError):
            raise ImageError(self.path, f"does not hold {_SIDE} x {_SIDE} numbers from 0 to 255") from None
        return np.repeat(grey[..., None], 3, axis=-1)


@DATASETS.register(
    "fer2013", layout=_LAYOUT, reference="Goodfellow et al. (2013), doi:10.1007/978-3-642-42051-1_16", licence=_LICENCE
)
def fer2013(path: Path, *, allow_outside: bool = False) -> Dataset:
    """Read FER2013 with its own labels; PublicTest is ``validation``, PrivateTest is ``test``.

    Raises
    ------
    InputError
        If there is neither the csv file nor a folder of pictures.
    """
    listing = Listing()
    if table := _table(path):
        for face in _pixel_rows(table):
            listing.code(face.id, face.source, face.code, EXPRESSIONS, split=face.split)
    elif path.is_dir():
        add_tree(listing, path, allow_outside)
    else:
        raise InputError(f"{shown(path)}: no such file or folder; expected {_LAYOUT}")
    return listing.dataset("fer2013")


@DATASETS.register(
    "ferplus", layout=_PLUS_LAYOUT, reference="Barsoum et al. (2016), doi:10.1145/2993148.2993165", licence=_LICENCE
)
def ferplus(path: Path, *, allow_outside: bool = False) -> Dataset:
    """Read FER2013 with the votes of ten people: the majority is the label, the votes are kept in `extra`.

    Raises
    ------
    InputError
        If the votes or the pictures are missing, or the two files have different numbers of rows.
    """
    votes = path / "fer2013new.csv"
    if not votes.is_file():
        raise InputError(f"{shown(votes)}: no such file; expected {_PLUS_LAYOUT}")
    rows = [row for _, row in read_rows(votes, ("Usage", "Image name", *VOTES))]
    table = _table(path)
    pixels = list(_pixel_rows(table)) if table else None
    if pixels is not None and len(pixels) != len(rows):
        raise InputError(
            f"{shown(votes)}: has {len(rows)} faces and the pixels {len(pixels)}; they belong together row by row"
        )
    listing = Listing()
    for number, row in enumerate(rows):
        split = USAGES.get(row["Usage"].strip().lower(), "")
        name = f"fer{number:07d}"
        file = row["Image name"].strip() or name
        source = pixels[number].source if pixels else _picture(path, split, file, allow_outside)
        label = majority(row)
        extra = {f"votes_{word}": row[word] for word in VOTES}
        listing.keep(name, source if label in VOTES else Dropped(name, label), label, split=split, extra=extra)
    return listing.dataset("ferplus")


def majority(row: Mapping[str, str]) -> str:
    """The expression that more than half of the votes name, single votes not counted; else why there is none.

    The rule is that of the published labels' own script.

    >>> majority(dict.fromkeys(VOTES, "0") | {"fear": "6", "surprise": "3", "anger": "1"})
    'fear'
    """
    try:
        counts = {word: int(row[word]) for word in VOTES}
    except ValueError:
        return "has votes that are no numbers"
    counts = {word: n for word, n in counts.items() if n > 1}
    best = max(counts, key=lambda word: counts[word], default="unknown")
    if 2 * counts.get(best, 0) <= sum(counts.values()):
        return "no expression has a majority of the votes"
    return {"unknown": "voted unknown", "NF": "voted not a face"}.get(best, best)


def _table(path: Path) -> Path | None:
    choices = (path, path / "fer2013.csv", path / "fer2013" / "fer2013.csv", path / "icml_face_data.csv")
    return next((c for c in choices if c.is_file()), None)


def _picture(root: Path, split: str, name: str, allow_outside: bool) -> Path | Dropped:
    folder = FOLDERS.get(split, "")
    choices = (root / folder / name, root / "images" / folder / name)
    return named(root, next((c for c in choices if c.is_file()), choices[0]), name, allow_outside)


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    code: str
    split: str
    source: PixelRow | Dropped


def _pixel_rows(table: Path) -> Iterator[_Row]:
    """The rows of fer2013.csv without their pixels, which stay in the file."""
    with table.open("rb") as stream:
        columns = [_text(c).lower() for c in stream.readline().removeprefix(b"\xef\xbb\xbf").split(b",")]
        if missing := [c for c in ("emotion", "pixels") if c not in columns]:
            there = ", ".join(columns) or "nothing"
            raise InputError(f"{shown(table)}: has no column {missing[0]!r}; there is {there}; expected {_LAYOUT}")
        where = {word: columns.index(word) for word in ("emotion", "pixels", "usage") if word in columns}
        offset = stream.tell()
        for number, line in enumerate(stream):
            name, cells = f"fer{number:07d}", line.split(b",")
            if len(cells) == len(columns):
                split = USAGES.get(_text(cells[where["usage"]]).lower(), "") if "usage" in where else ""
                yield _Row(name, _text(cells[where["emotion"]]), split, PixelRow(table, offset, where["pixels"]))
            elif line.strip():
                yield _Row(name, "", "", Dropped(name, f"row has not {len(columns)} cells"))
            offset += len(line)


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", "backslashreplace").strip().strip('"').strip()
