"""AffectNet: faces from the web with eight expressions, valence and arousal, in both of its layouts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xfer.datasets import DATASETS
from xfer.datasets.csv import read_rows
from xfer.datasets.files import named, require_folder, shown, walk
from xfer.datasets.listing import Listing
from xfer.datasets.samples import Dataset, Dropped
from xfer.errors import InputError

_LAYOUT = (
    "a folder with training.csv and Manually_Annotated_Images/, or with train_set/images/ and train_set/annotations/"
)
_COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression",
    "valence", "arousal",
)  # fmt: skip
_KEPT = ("face_x", "face_y", "face_width", "face_height", "valence", "arousal")
_MAX_BYTES = 2**16

EXPRESSIONS = {
    "0": "neutral", "1": "happiness", "2": "sadness", "3": "surprise", "4": "fear", "5": "disgust", "6": "anger",
    "7": "contempt",
}  # fmt: skip
REFUSED = {"8": "none of the expressions", "9": "uncertain", "10": "not a face"}
"""What the annotators said instead of an expression."""


@DATASETS.register(
    "affectnet",
    layout=_LAYOUT,
    reference="Mollahosseini, Hasani and Mahoor (2019), doi:10.1109/TAFFC.2017.2740923",
    licence="research, on request from mohammadmahoor.com",
)
def affectnet(path: Path, *, allow_outside: bool = False) -> Dataset:
    """Read AffectNet; its validation set, which most papers test on, stays ``validation``.

    Valence, arousal and the face's box are kept in `extra`, its 68 landmarks as `landmarks`.

    Raises
    ------
    InputError
        If the folder is missing or of neither layout.
    """
    root = require_folder(path, _LAYOUT)
    listing = Listing()
    sets = [(root / f"{part}_set", split) for part, split in (("train", "train"), ("val", "validation"))]
    sets = [(folder, split) for folder, split in sets if (folder / "images").is_dir()]
    for folder, split in sets:
        _add_annotated(listing, folder, split, allow_outside)
    if not sets:
        _add_tables(listing, root, allow_outside)
    return listing.dataset("affectnet")


def _add_tables(listing: Listing, root: Path, allow_outside: bool) -> None:
    tables = [
        (table, split)
        for folder in (root, root / "Manually_Annotated_file_lists", root / "Manually_Annotated")
        for name, split in (("training.csv", "train"), ("validation.csv", "validation"))
        if (table := folder / name).is_file()
    ]
    if not tables:
        raise InputError(f"{shown(root)}: has neither training.csv nor train_set/images; expected {_LAYOUT}")
    choices = ("Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "images", ".")
    images = next(root / c for c in choices if (root / c).is_dir())
    for table, split in tables:
        for _, row in read_rows(table, ("subDirectory_filePath", "expression"), headless=_COLUMNS):
            name = row["subDirectory_filePath"].strip()
            source = named(root, images / name, name, allow_outside)
            extra = {column: row[column] for column in _KEPT if column in row}
            points = _points(np.array(row.get("facial_landmarks", "").split(";")))
            _add(listing, name, source, row["expression"].strip(), split, points, extra)


def _add_annotated(listing: Listing, folder: Path, split: str, allow_outside: bool) -> None:
    for name, found in walk(folder / "images", allow_outside):
        stem = folder / "annotations" / Path(name).stem
        code = _number(_annotation(stem, "exp"))
        extra = {
            word: value
            for word, part in (("valence", "val"), ("arousal", "aro"))
            if (value := _number(_annotation(stem, part)))
        }
        source = found if code or isinstance(found, Dropped) else Dropped(shown(name), "has no readable annotation")
        _add(listing, f"{folder.name}/{name}", source, code, split, _points(_annotation(stem, "lnd")), extra)


def _add(
    listing: Listing,
    name: str,
    source: Path | Dropped,
    code: str,
    split: str,
    landmarks: NDArray[np.float32] | None,
    extra: Mapping[str, str],
) -> None:
    if code in REFUSED:
        source = Dropped(shown(name), f"annotated as {REFUSED[code]}")
    listing.code(name, source, code, EXPRESSIONS, split=split, landmarks=landmarks, extra=extra)


def _annotation(stem: Path, part: str) -> NDArray[np.generic] | None:
    """One ``.npy`` annotation, never unpickled; None if it is missing, oversized or damaged."""
    path = stem.with_name(f"{stem.name}_{part}.npy")
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError, MemoryError):
        return None


def _number(values: NDArray[np.generic] | None) -> str:
    """A single number, stored as a number or as text, in its shortest spelling."""
    if values is None or values.size != 1:
        return ""
    try:
        return f"{float(values.item()):.6g}"
    except (TypeError, ValueError):
        return ""


def _points(values: NDArray[np.generic] | None) -> NDArray[np.float32] | None:
    """68 points out of 136 numbers x, y, x, y, ...; None if they are not."""
    if values is None or values.size != 136:
        return None
    try:
        return values.astype(np.float32).reshape(68, 2)
    except ValueError:
        return None
