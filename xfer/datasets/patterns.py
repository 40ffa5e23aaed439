"""The shards that a path names: a file, a folder of them, braces (faces-{000..009}.tar), wild cards (faces-*.tar)."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import product
from math import prod
from pathlib import Path, PurePosixPath

from xfer.datasets.files import shown, split_name
from xfer.datasets.objects import Place, StoredFile, is_url, listed
from xfer.errors import InputError

MOST = 100_000
"""Braces that stand for more shards are refused."""

_BRACES = re.compile(r"\{([^{}]*)\}")


def shards(where: Place, suffix: str, layout: str) -> list[StoredFile]:
    """The shards that a path or URL names, by name.

    Parameters
    ----------
    where : Path or str
        Wild cards stand in its last part only.
    suffix : str
        What a folder's shards end with (".tar").
    layout : str
        What was expected, for messages.

    Raises
    ------
    InputError
        If a shard that is named is not there, or none is.
    """
    names = expanded(str(where))
    found: dict[str, StoredFile] = {}
    folders: dict[str, dict[str, StoredFile]] = {}
    for name in names:
        if len(names) == 1 and (Path(name).is_file() or (is_url(name) and name.endswith(suffix) and "*" not in name)):
            return [StoredFile.of(where)]
        whole = not name.endswith(suffix)
        folder, _, last = (name, "/", f"*{suffix}") if whole else name.rpartition("/")
        if folder not in folders:
            folders[folder] = _folder(folder, is_url(where), layout)
        there = {f"{folder}/{n}": file for n, file in folders[folder].items() if fnmatchcase(n, last) and n[0] != "."}
        if not there:
            told = f"holds no *{suffix}" if whole else "no such file"
            raise InputError(f"{shown(name)}: {told}; expected {layout}")
        found |= there
    return [found[name] for name in sorted(found)]


def splits(files: Sequence[StoredFile]) -> list[str]:
    """The splits that the names of shards begin with, where they tell several apart; else none.

    >>> files = [StoredFile(f"s3://faces/{name}.tar", 0, "") for name in ("train-000", "train-001", "val")]
    >>> splits(files), splits(files[2:])
    (['train', 'train', 'validation'], [''])
    """
    words = (re.match(r"[a-z]*", PurePosixPath(str(file.place)).name.lower()) for file in files)
    told = [split_name(word[0]) or "" if word else "" for word in words]
    return told if len({*told} - {""}) > 1 else [""] * len(told)


def _folder(name: str, stored: bool, layout: str) -> dict[str, StoredFile]:
    if stored:
        return listed(name, deep=False)
    folder = Path(name or ".")
    if not folder.is_dir():
        raise InputError(f"{shown(folder)}: no such file or folder; expected {layout}")
    return {path.name: StoredFile.of(path) for path in folder.iterdir() if path.is_file()}


def expanded(pattern: str) -> list[str]:
    """A pattern's names without braces.

    Raises
    ------
    InputError
        If they stand for more than `MOST`.

    >>> expanded("faces-{08..10}.tar"), expanded("{train,test}/a.tar"), expanded("a.tar")
    (['faces-08.tar', 'faces-09.tar', 'faces-10.tar'], ['train/a.tar', 'test/a.tar'], ['a.tar'])
    """
    parts = _BRACES.split(pattern)
    choices = [_choices(part) if i % 2 else [part] for i, part in enumerate(parts)]
    if (count := prod(map(len, choices))) > MOST:
        raise InputError(f"{shown(pattern)}: stands for {count} shards; at most {MOST}")
    return ["".join(chosen) for chosen in product(*choices)]


def _choices(inside: str) -> list[str]:
    """What stands in braces: numbers, with zeros in front as the first has them, or words."""
    span = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", inside)
    if not span:
        return inside.split(",")
    numbers = range(int(span[1]), int(span[2]) + 1)
    if not numbers:
        raise InputError(f"{{{inside}}}: counts down; write the smaller number first")
    if len(numbers) > MOST:
        raise InputError(f"{{{inside}}}: stands for {len(numbers)} shards; at most {MOST}")
    return [f"{number:0{len(span[1])}d}" for number in numbers]
