"""File-name patterns such as ``{model}_{fold}_{expression}_heatmap.png``: which file is which cell."""

import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pandas as pd

from xfer import labels
from xfer.errors import InputError, unknown
from xfer.heatmaps.images import shown

_DEFAULTS = {"guide": "none", "fold": "all", "outcome": "all", "normalisation": "published"}
_SPELLINGS = sorted((*labels.EXPRESSIONS, *labels.ALIASES), key=lambda s: (-len(s), s))


def match(pattern: str, folder: str | Path) -> pd.DataFrame:
    """The files of a folder that fit a pattern, each with its key.

    Parameters
    ----------
    pattern : str
        A path relative to `folder`, with ``/`` between sub-folders, in which parts of `labels.KEY` stand in braces.
        ``{model}`` reaches as far as it can, the others up to the next ``_`` or ``/``; known expressions may
        contain ``_``. Hidden files are not looked at.
    folder : path

    Returns
    -------
    DataFrame
        ``path`` and the columns of `labels.KEY`, sorted by key. What a name does not tell is ``unknown``, except
        guide ``none``, fold and outcome ``all``, target = expression, normalisation ``published``. Files that do
        not fit are listed in ``.attrs["skipped"]``.

    Raises
    ------
    InputError
        If the folder is missing, the pattern names no expression or an unknown field, nothing fits it, an
        expression is unknown, or two files are the same cell.
    """
    folder = Path(folder)
    templates = _templates(pattern)
    if not folder.is_dir():
        raise InputError(f"{shown(folder)}: {'is not a folder' if folder.exists() else 'no such folder'}")
    rows, skipped = [], []
    there = sorted(_entries(folder, pattern.count("/")))
    for name in there:
        fields = None if name.endswith("/") else _fields(name, templates)
        if fields is None:
            skipped.append(shown(name))
        else:
            rows.append({"path": folder / name, **_key(folder / name, fields)})
    if not rows:
        found = ", ".join(skipped[:5]) + (f" and {len(skipped) - 5} more" if len(skipped) > 5 else "")
        raise InputError(f"{shown(folder)}: no file fits the pattern {pattern!r}; there is {found or 'nothing'}")
    index = pd.DataFrame(rows).sort_values(list(labels.KEY), kind="stable", ignore_index=True)
    _refuse_twins(index)
    index.attrs["skipped"] = skipped
    return index


def fields(pattern: str) -> tuple[str, ...]:
    """The names in braces, in order.

    >>> fields("{model}/{expression}.png")
    ('model', 'expression')

    Raises
    ------
    InputError
        If a brace is not closed, a name is no part of the key, or the expression is not among them.
    """
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError as error:
        raise InputError(f"pattern {pattern!r}: {error}; write fields as in {{expression}}") from None
    names = []
    for _, name, options, conversion in parts:
        if name is None:
            continue
        whole = name + (f"!{conversion}" if conversion else "") + (f":{options}" if options else "")
        if whole not in labels.KEY:
            raise InputError(f"pattern {pattern!r}: {unknown('field', whole, labels.KEY)}")
        names.append(whole)
    if "expression" not in names:
        raise InputError(f"pattern {pattern!r}: says nowhere where the {{expression}} stands")
    return tuple(names)


def _templates(pattern: str) -> list[re.Pattern[str]]:
    """One expression per known spelling, the longest first, then one that takes any word for an expression."""
    fields(pattern)
    known = [r"[\s_-]+".join(map(re.escape, spelling.split("_"))) for spelling in _SPELLINGS]
    return [_template(pattern, f"(?i:{spelling})", known) for spelling in known] + [_template(pattern, "[^_/]+", known)]


def _template(pattern: str, expression: str, known: list[str]) -> re.Pattern[str]:
    kinds = {"model": "[^/]+", "expression": expression, "target": f"(?i:{'|'.join(known)})|[^_/]+"}
    text, seen = "", set()
    for literal, name, _, _ in Formatter().parse(pattern):
        text += re.escape(literal)
        if name in seen:
            text += f"(?P={name})"
        elif name is not None:
            text += f"(?P<{name}>{kinds.get(name, '[^_/]+')})"
            seen.add(name)
    return re.compile(text)


def _entries(folder: Path, depth: int, prefix: str = "") -> Iterator[str]:
    """Files (and zarr stores) down to a depth, relative, and the folders below it with a ``/`` at the end."""
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.name.startswith("."):
            continue
        if not entry.is_dir() or entry.suffix.lower() == ".zarr":
            yield name
        elif depth:
            yield from _entries(entry, depth - 1, f"{name}/")
        else:
            yield f"{name}/"


def _fields(name: str, templates: list[re.Pattern[str]]) -> dict[str, str] | None:
    found = next((m for template in templates if (m := template.fullmatch(name))), None)
    return None if found is None else {field: shown(value) for field, value in found.groupdict().items()}


def _key(path: Path, told: dict[str, str]) -> dict[str, str]:
    try:
        told["expression"] = labels.expression(told["expression"])
        told["target"] = labels.expression(told.get("target", told["expression"]))
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from None
    return {name: told.get(name, _DEFAULTS.get(name, labels.UNKNOWN)) for name in labels.KEY}


def _refuse_twins(index: pd.DataFrame) -> None:
    twins = index[index.duplicated(list(labels.KEY), keep=False)]
    if len(twins):
        first, second, row = twins["path"].iloc[0], twins["path"].iloc[1], twins.iloc[0]
        raise InputError(
            f"{shown(first)} and {shown(second)}: two files for one cell "
            f"(model {row['model']}, fold {row['fold']}, expression {row['expression']}); keep one"
        )
