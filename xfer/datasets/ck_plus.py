"""CK+: sequences from a neutral face to the peak of an expression, the peak coded in FACS."""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xfer.datasets import DATASETS
from xfer.datasets.files import require_folder, shown, walk
from xfer.datasets.folder import add_tree
from xfer.datasets.listing import Listing
from xfer.datasets.samples import Dataset, Dropped
from xfer.errors import InputError

_LAYOUT = (
    "a folder with cohn-kanade-images/S005/001/*.png and Emotion/S005/001/*_emotion.txt, "
    "or with anger/S010_004_00000017.png"
)
_FRAME = re.compile(r"(S\d+)_(\d+)_(\d+)")
_FRAMES_PER_SECOND = 30

EXPRESSIONS = {
    "0": "neutral", "1": "anger", "2": "contempt", "3": "disgust", "4": "fear", "5": "happiness", "6": "sadness",
    "7": "surprise",
}  # fmt: skip


@DATASETS.register(
    "ck_plus",
    layout=_LAYOUT,
    reference="Lucey et al. (2010), doi:10.1109/CVPRW.2010.5543262",
    licence="non-commercial research, on request from jeffcohn.net",
)
def ck_plus(path: Path, *, peaks: int = 3, allow_outside: bool = False) -> Dataset:
    """Read CK+: of each labelled sequence the first frame as neutral and the last as its expression.

    `time` counts from the sequence's first frame at 30 frames a second. Published landmarks are attached, and the
    FACS codes of the last frame are kept in `extra` (``AU12``: intensity 1 to 5, 0 where it was not graded).

    Parameters
    ----------
    path : Path
    peaks : int
        How many frames at the end show the expression; only the very last was labelled, three are customary.
    allow_outside : bool
        Follow links to files that lie outside the folder.

    Raises
    ------
    InputError
        If the folder is missing or of another layout, or `peaks` is less than 1.
    """
    root = require_folder(path, _LAYOUT)
    if peaks < 1:
        raise InputError(f"peaks: at least 1 frame shows the expression; got {peaks}")
    listing = Listing()
    images = root / "cohn-kanade-images"
    if images.is_dir():
        for sequence, frames in _sequences(listing, images, allow_outside):
            _add_sequence(listing, root, sequence, frames, peaks)
    else:
        add_tree(listing, root, allow_outside, subject=lambda name: _part(name, 1))
    return listing.dataset("ck_plus")


def _sequences(
    listing: Listing, images: Path, allow_outside: bool
) -> Iterator[tuple[str, list[tuple[int, str, Path]]]]:
    """Each sequence's folder and its frames (number, name, path) in the order of time."""
    for sequence, group in groupby(walk(images, allow_outside), key=lambda found: found[0].rpartition("/")[0]):
        frames = []
        for name, found in group:
            if isinstance(found, Dropped):
                listing.drop(name, found.reason)
            elif not _part(name, 3):
                listing.drop(name, "is not named as S005_001_00000011.png")
            else:
                frames.append((int(_part(name, 3)), name, found))
        if frames:
            yield sequence, sorted(frames)


def _add_sequence(listing: Listing, root: Path, sequence: str, frames: list[tuple[int, str, Path]], peaks: int) -> None:
    code = _emotion(root, sequence)
    first_peak = max(1, len(frames) - peaks)
    for position, (number, name, path) in enumerate(frames):
        if code is None:
            listing.drop(name, "its sequence has no emotion label")
        elif 0 < position < first_peak:
            listing.drop(name, f"neither the first frame nor one of the last {peaks}")
        else:
            listing.code(
                name, path, code if position else "0", EXPRESSIONS, subject=_part(name, 1),
                time=(number - frames[0][0]) / _FRAMES_PER_SECOND,
                landmarks=_landmarks(root / "Landmarks" / sequence / f"{path.stem}_landmarks.txt"),
                extra={"sequence": sequence} | (_facs(root, sequence) if position == len(frames) - 1 else {}),
            )  # fmt: skip


def _part(name: str, group: int) -> str:
    match = _FRAME.fullmatch(Path(name).stem)
    return match.group(group) if match else ""


def _emotion(root: Path, sequence: str) -> str | None:
    """The code in a sequence's label file, ``3`` for ``3.0000000e+00``; None if it has no file."""
    for folder in ("Emotion", "Emotion_labels", "emotion"):
        for file in sorted((root / folder / sequence).glob("*_emotion.txt")):
            table = _table(file)
            return f"{table[0, 0]:g}" if table is not None and table.size == 1 else shown(file.name)
    return None


def _facs(root: Path, sequence: str) -> dict[str, str]:
    """The Action Units of a sequence's last frame with their intensities."""
    for folder in ("FACS", "FACS_labels"):
        for file in sorted((root / folder / sequence).glob("*_facs.txt")):
            table = _table(file)
            if table is not None and table.shape[1] == 2:
                return {f"AU{unit:g}": f"{intensity:g}" for unit, intensity in table}
    return {}


def _landmarks(file: Path) -> NDArray[np.float64] | None:
    table = _table(file) if file.is_file() else None
    return table if table is not None and table.shape == (68, 2) else None


def _table(file: Path) -> NDArray[np.float64] | None:
    """Numbers between blanks, one row a line; None if there are others."""
    try:
        rows = [[float(x) for x in line.split()] for line in file.read_text("ascii").splitlines() if line.strip()]
        return np.array(rows) if rows else None
    except ValueError:
        return None
