"""A table of faces: columns file and expression; subject, split and time if they are known; any others are kept."""

import csv
import os
import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path

from xfer.datasets import DATASETS
from xfer.datasets.files import named, require_file, shown, split_name, unusable
from xfer.datasets.listing import Listing, title
from xfer.datasets.objects import Place, Whole, is_url, listed, text
from xfer.datasets.samples import Dataset, Dropped
from xfer.datasets.stored import refusal
from xfer.errors import InputError

LAYOUT = (
    "a csv file with the columns file, expression and, if known, subject, split (train, test, validation), time (s)"
)

_REQUIRED = ("file", "expression")
_KNOWN = (*_REQUIRED, "subject", "split", "time")

Row = dict[str, str]
Source = Path | Whole | Dropped
Find = Callable[[str], tuple[str, Callable[[], Source]]]


@DATASETS.register("csv", layout=LAYOUT, reference="none", licence="yours", urls=True)
def table(path: Place, *, allow_outside: bool = False) -> Dataset:
    """Read a csv file, one face a row; cells are text and nothing in them is evaluated.

    Parameters
    ----------
    path : Path or str
        UTF-8; ``,``, ``;`` or tabulators between cells. Files are relative to its folder.
    allow_outside : bool
        Read files that lie outside the csv's folder; a store's are never read.

    Raises
    ------
    InputError
        If the file or a column is missing, it is no csv, or no row can be used.
    """
    find = _in_store(path) if isinstance(path, str) else _in_folder(require_file(path, LAYOUT), allow_outside)
    listing = Listing()
    for line, row in read_rows(path, _REQUIRED):
        file = row["file"].strip()
        name, source = find(file)
        if reason := _refusal(row):
            listing.drop(name if file else f"line {line}", reason)
            continue
        listing.keep(
            name, source(), row["expression"].strip() or None, what="label",
            subject=row.get("subject", "").strip(), split=split_name(row.get("split", "")),
            time=float(row["time"]) if row.get("time", "").strip() else None,
            extra={column: cell for column, cell in row.items() if column not in _KNOWN},
        )  # fmt: skip
    folder, _, name = path.rpartition("/") if isinstance(path, str) else (path.parent, "", path.name)
    return listing.dataset(title("csv", folder) + f"/{shown(name)}")


def _in_folder(table: Path, allow_outside: bool) -> Find:
    """What a cell names, below the folder of a table here: a face's name, and what gives its file."""
    root = table.parent

    def find(file: str) -> tuple[str, Callable[[], Source]]:
        if is_url(file):
            raise InputError(
                f"{shown(table)}: names {shown(file)}, which is in a store; put the table into its pictures' folder "
                f"there and give its URL, as in csv:{shown(file.rpartition('/')[0])}/{shown(table.name)}"
            )
        name = Path(os.path.relpath(root / file, root)).as_posix()
        return name, lambda: named(root, root / file, name, allow_outside)

    return find


def _in_store(table: str) -> Find:
    """What a cell names, below the URL of the table's folder."""
    folder = table.rpartition("/")[0]
    there = listed(folder)

    def source(name: str) -> Source:
        outside = name.startswith(("/", "..")) or is_url(name)
        reason = "lies outside the table's folder" if outside else "" if name in there else "no such file"
        reason = reason or refusal(there[name].size)
        return Dropped(shown(name), reason) if reason else Whole(there[name])

    def find(file: str) -> tuple[str, Callable[[], Source]]:
        file = file.removeprefix(f"{folder}/")
        name = file if is_url(file) else posixpath.normpath(file)
        return name, lambda: source(name)

    return find


def _refusal(row: Row) -> str:
    """Why a row cannot be used, or nothing."""
    if not row["file"].strip():
        return "names no file"
    if "\0" in row["file"]:
        return "no such file"
    return unusable(row.get("split", ""), row.get("time", ""))


def read_rows(path: Place, required: tuple[str, ...], headless: tuple[str, ...] = ()) -> Iterator[tuple[int, Row]]:
    """The rows of a csv file as text, with the lines they end on; missing cells are empty.

    Parameters
    ----------
    path : Path or str
    required : tuple of str
        Columns that must be there.
    headless : tuple of str
        The columns of a file without a header, that is one whose first line holds none of them.

    Raises
    ------
    InputError
        If a required column is missing, a column has no or a double name, or a row is too long.
    """
    with text(path) as stream:
        first = stream.readline(2**16)
        stream.seek(0)
        reader = csv.DictReader(stream, delimiter=_delimiter(first, required), restval="", strict=True)
        try:
            columns = [c.strip() for c in reader.fieldnames or ()]
            if headless and not set(columns) & set(headless):
                columns = list(headless)
                stream.seek(0)
            _check_columns(path, columns, required)
            reader.fieldnames = columns
            for row in reader:
                if None in row:
                    raise InputError(f"{shown(path)}: line {reader.line_num} has more cells than the header")
                yield reader.line_num, row
        except csv.Error as error:
            raise InputError(f"{shown(path)}: near line {reader.line_num + 1}, is not csv ({error})") from None


def _delimiter(first: str, required: tuple[str, ...]) -> str:
    """What stands between the required columns of a header; a comma if in doubt."""
    return max(",;\t", key=lambda mark: len({c.strip(' "\r\n') for c in first.split(mark)} & set(required)))


def _check_columns(path: Place, columns: list[str], required: tuple[str, ...]) -> None:
    for name in required:
        if name not in columns:
            there = ", ".join(shown(c) for c in columns) or "nothing"
            raise InputError(f"{shown(path)}: has no column {name!r}; there is {there}")
    twice = sorted({c for c in columns if columns.count(c) > 1})
    if twice:
        raise InputError(f"{shown(path)}: has two columns {shown(twice[0])!r}")
