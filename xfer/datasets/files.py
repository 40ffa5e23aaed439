"""The files of a data folder: what is there, what lies outside, which names can be printed."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath

from xfer.datasets.samples import Dropped
from xfer.errors import InputError

PICTURES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".jp2"))
"""The suffixes that a picture's name ends with."""

OUTSIDE = "lies outside the data folder (read with --allow-outside)"

_SPLITS = {
    "train": "train", "training": "train", "train_set": "train",
    "test": "test", "testing": "test", "test_set": "test",
    "val": "validation", "valid": "validation", "validation": "validation", "val_set": "validation",
    "dev": "validation",
}  # fmt: skip


def shown(path: str | PurePath) -> str:
    r"""A path or cell as printable text on one line, whatever bytes it holds.

    >>> shown("faces/caf\udce9.png"), shown("a\nb")
    ('faces/caf\\xe9.png', 'a\\nb')
    """
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def split_name(text: str) -> str | None:
    """The one spelling of a split: train, test, validation, "" for none, None if it is unknown.

    >>> split_name("Val"), split_name(""), split_name("fold3")
    ('validation', '', None)
    """
    return _SPLITS.get(text.strip().lower()) if text.strip() else ""


def unusable(split: object, time: object) -> str:
    """Why a face's row cannot be used for its split or its time; "" if it can.

    >>> unusable("fold3", ""), unusable("val", "0.5")
    ("split 'fold3' is none of train, test, validation", '')
    """
    if split_name(str(split)) is None:
        return f"split {shown(str(split))!r} is none of train, test, validation"
    try:
        float(str(time).strip() or 0)
    except ValueError:
        return f"time {shown(str(time))!r} is not a number of seconds"
    return ""


def require_folder(path: Path | None, layout: str) -> Path:
    """The folder, or an error that says what it should look like.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    if path is None or not path.is_dir():
        what = "no folder given" if path is None else f"{shown(path)}: {_absence(path)}"
        raise InputError(f"{what}; expected {layout}")
    return path


def require_file(path: Path | None, layout: str) -> Path:
    """The file, or an error that says what it should be; raises as `require_folder`."""
    if path is None or not path.is_file():
        what = "no file given" if path is None else f"{shown(path)}: {_absence(path)}"
        raise InputError(f"{what}; expected {layout}")
    return path


def _absence(path: Path) -> str:
    if not path.exists():
        return "no such file or folder"
    return "is a folder" if path.is_dir() else "is not a folder"


def walk(root: Path, allow_outside: bool = False) -> Iterator[tuple[str, Path | Dropped]]:
    """Every file below a folder, by relative posix name, with its path or why it is left out.

    Hidden files and folders are not looked at. Links to folders are not followed; a link to a file is, unless the
    file lies outside `root`. The order is that of the names, whatever the file system's is.

    Yields
    ------
    name : str
        Relative to `root`, ``/`` between folders, bytes that are no UTF-8 as surrogates.
    path or Dropped
    """
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(f for f in subfolders if not f.startswith("."))
        here = Path(folder)
        prefix = "" if here == root else here.relative_to(root).as_posix() + "/"
        links = [name for name in subfolders if (here / name).is_symlink()]
        for name in sorted([*(f for f in files if not f.startswith(".")), *links]):
            yield prefix + name, _admit(root, here / name, prefix + name, allow_outside)


def not_a_picture(name: str) -> str:
    """Why a file is no picture by its name; "" if it is.

    >>> not_a_picture("faces/notes.txt"), not_a_picture("faces/a.JPG")
    ('is not named as a picture (.txt)', '')
    """
    suffix = PurePosixPath(name).suffix
    return "" if suffix.lower() in PICTURES else f"is not named as a picture ({shown(suffix) or 'no suffix'})"


def _admit(root: Path, path: Path, name: str, allow_outside: bool) -> Path | Dropped:
    if path.is_symlink() and path.is_dir():
        return Dropped(shown(name), "is a link to a folder, which is not followed")
    if reason := not_a_picture(name):
        return Dropped(shown(name), reason)
    if path.is_symlink() and not allow_outside and not inside(root, path):
        return Dropped(shown(name), OUTSIDE)
    return path


def named(root: Path, path: Path, name: str, allow_outside: bool) -> Path | Dropped:
    """A file that a list of the data set names, or why it cannot be read."""
    if not allow_outside and not inside(root, path):
        return Dropped(shown(name), OUTSIDE)
    return path if path.is_file() else Dropped(shown(name), "no such file")


def inside(root: Path, path: Path) -> bool:
    """Whether a path, all links followed, lies below a folder."""
    real = path.resolve() if path.is_symlink() else _resolved(path.parent) / path.name
    return path.name != ".." and real.is_relative_to(_resolved(root))


@lru_cache(maxsize=4096)
def _resolved(folder: Path) -> Path:
    return folder.resolve()
