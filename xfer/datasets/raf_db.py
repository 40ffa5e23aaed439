"""RAF-DB: faces from the web, each labelled by about forty people, with basic or compound expressions."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from xfer.datasets import DATASETS
from xfer.datasets.files import named, require_folder, shown, split_name, walk
from xfer.datasets.listing import Listing
from xfer.datasets.samples import Dataset
from xfer.errors import InputError

_REFERENCE = "Li, Deng and Du (2017), doi:10.1109/CVPR.2017.277"
_LICENCE = "non-commercial research, on request from whdeng.cn/RAF"
_LIST = "EmoLabel/list_patition_label.txt"
_LAYOUT = f"a folder with {_LIST} (train_00001.jpg 5) and Image/aligned/train_00001_aligned.jpg"

BASIC = {
    "1": "surprise", "2": "fear", "3": "disgust", "4": "happiness", "5": "sadness", "6": "anger", "7": "neutral",
}  # fmt: skip
COMPOUND = {
    "1": "happily_surprised", "2": "happily_disgusted", "3": "sadly_fearful", "4": "sadly_angry",
    "5": "sadly_surprised", "6": "sadly_disgusted", "7": "fearfully_angry", "8": "fearfully_surprised",
    "9": "angrily_surprised", "10": "angrily_disgusted", "11": "disgustedly_surprised",
}  # fmt: skip


@DATASETS.register("raf_db", layout=f"{_LAYOUT}, or train/5/*_aligned.jpg", reference=_REFERENCE, licence=_LICENCE)
def raf_db(path: Path, *, allow_outside: bool = False) -> Dataset:
    """Read the basic set: seven expressions, aligned pictures if they are there, else the originals.

    Raises
    ------
    InputError
        If the folder is missing or of another layout, or holds the compound set.
    """
    root = require_folder(path, _LAYOUT)
    listing = Listing()
    listed = _label_list(root)
    if listed is None:
        _add_numbered(listing, root, allow_outside)
    else:
        rows = list(_rows(listed))
        if any(code in COMPOUND and code not in BASIC for _, code in rows):
            raise InputError(f"{shown(listed)}: has labels above 7; is it the compound set, raf_db_compound:DIR?")
        _add_listed(listing, root, rows, BASIC, allow_outside)
    return listing.dataset("raf_db")


@DATASETS.register("raf_db_compound", layout=_LAYOUT, reference=_REFERENCE, licence=_LICENCE)
def raf_db_compound(path: Path, *, allow_outside: bool = False) -> Dataset:
    """Read the compound set: eleven expressions; raises as `raf_db`."""
    root = require_folder(path, _LAYOUT)
    listed = _label_list(root)
    if listed is None:
        raise InputError(f"{shown(root)}: has no {_LIST}; expected {_LAYOUT}")
    listing = Listing()
    rows = list(_rows(listed))
    if not any(code in COMPOUND and code not in BASIC for _, code in rows):
        listing.notes.append("no label above 7: if this is the basic set, open it as raf_db:DIR")
    _add_listed(listing, root, rows, COMPOUND, allow_outside)
    return listing.dataset("raf_db_compound")


def _label_list(root: Path) -> Path | None:
    return next((f for f in (root / _LIST, root / Path(_LIST).name) if f.is_file()), None)


def _rows(listed: Path) -> Iterator[tuple[str, str]]:
    for line in listed.read_text("utf-8", "surrogateescape").splitlines():
        name, _, code = line.strip().rpartition(" ")
        if line.strip():
            yield name.strip() or code, code if name else ""


def _add_listed(
    listing: Listing,
    root: Path,
    rows: list[tuple[str, str]],
    codes: Mapping[str, str],
    allow_outside: bool,
) -> None:
    images = next((d for d in (root / "Image", root / "image") if d.is_dir()), root)
    for file, code in rows:
        name = Path(file)
        aligned = images / "aligned" / f"{name.stem}_aligned{name.suffix}"
        picture = aligned if aligned.is_file() else images / "original" / name
        split = split_name(name.stem.partition("_")[0]) or ""
        listing.code(file, named(root, picture, file, allow_outside), code, codes, split=split)


def _add_numbered(listing: Listing, root: Path, allow_outside: bool) -> None:
    """The layout of a widespread copy: train/1 to train/7 and test/1 to test/7."""
    for name, found in walk(root, allow_outside):
        folders = name.split("/")[:-1]
        split = next((s for f in folders if (s := split_name(f))), "")
        listing.code(name, found, folders[-1] if folders else "", BASIC, split=split)
