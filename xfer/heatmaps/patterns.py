"""File-name patterns such as ``{model}_{fold}_{expression}_heatmap.png``: which file is which cell."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Formatter

import pandas as pd

from xfer import labels
from xfer.errors import InputError, unknown
from xfer.heatmaps.images import SUFFIXES, shown

PERSON = ("rater", "expression")
"""What the name of a person's map tells."""
RATERS = ("{rater}_{expression}.*", "{rater}/{expression}.*")
"""How people's maps are named unless a pattern says otherwise; ``.*`` is any map format."""

_DEFAULTS = {"guide": "none", "fold": "all", "outcome": "all", "normalisation": "published"}
_SPELLINGS = sorted((*labels.EXPRESSIONS, *labels.ALIASES), key=lambda s: (-len(s), s))


def match(pattern: str, folder: str | Path) -> pd.DataFrame:
    """The files of a folder that fit a pattern, each with its key.

    Parameters
    ----------
    pattern : str
        A path relative to `folder`, with ``/`` between sub-folders, in which parts of `labels.KEY` stand in braces.
        ``{model}`` reaches as far as it can, the others up to the next ``_`` or ``/``; known expressions may
        contain ``_``. ``.*`` at the end is any map format. Hidden files are not looked at.
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
    told, skipped = _fitting(pattern, Path(folder), labels.KEY)
    if not told:
        raise _nothing_fits(folder, repr(pattern), skipped)
    rows = [{"path": path, **_key(path, found)} for path, found in told]
    index = pd.DataFrame(rows).sort_values(list(labels.KEY), kind="stable", ignore_index=True)
    _refuse_twins(index)
    index.attrs["skipped"] = skipped
    return index


def match_raters(folder: str | Path, pattern: str | None = None) -> pd.DataFrame:
    """The maps of people in a folder: whose they are, and of which expression.

    Parameters
    ----------
    folder : path
    pattern : str, optional
        As for `match`, with ``{rater}`` (which reaches as far as it can) and ``{expression}``; both of `RATERS` by
        default.

    Returns
    -------
    DataFrame
        ``path``, ``rater``, ``expression``, sorted by the last two. Map files that fit no pattern are listed in
        ``.attrs["skipped"]``.

    Raises
    ------
    InputError
        As `match`; if the pattern names no rater, or two raters differ in spelling only.
    """
    folder, patterns = Path(folder), (pattern,) if pattern else RATERS
    rows, skipped = [], []
    for one in patterns:
        if "rater" not in fields(one, PERSON):
            raise InputError(f"pattern {one!r}: says nowhere where the {{rater}} stands")
        told, rest = _fitting(one, folder, PERSON)
        rows += [(path, found["rater"], _expression(path, found["expression"])) for path, found in told]
        skipped += rest
    if not rows:
        raise _nothing_fits(folder, " or ".join(map(repr, patterns)), list(dict.fromkeys(skipped)))
    index = pd.DataFrame(rows, columns=["path", *PERSON]).sort_values(list(PERSON), kind="stable", ignore_index=True)
    _refuse_two_spellings(folder, index["rater"])
    twins = index[index.duplicated(list(PERSON), keep=False)]
    if len(twins):
        first, second = (shown(path) for path in twins["path"].iloc[:2])
        raise InputError(f"{first} and {second}: two maps of one rater and expression; keep one")
    fit = {shown(path.relative_to(folder).as_posix()) for path in index["path"]}
    maps = {name for name in skipped if Path(name).suffix.lower() in SUFFIXES}
    index.attrs["skipped"] = sorted(maps - fit)
    return index


def fields(pattern: str, known: Sequence[str] = labels.KEY) -> tuple[str, ...]:
    """The names in braces, in order; all of them among those known.

    >>> fields("{model}/{expression}.png")
    ('model', 'expression')

    Raises
    ------
    InputError
        If a brace is not closed, a name is not known, or the expression is not among them.
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
        if whole not in known:
            raise InputError(f"pattern {pattern!r}: {unknown('field', whole, known)}")
        names.append(whole)
    if "expression" not in names:
        raise InputError(f"pattern {pattern!r}: says nowhere where the {{expression}} stands")
    return tuple(names)


def _fitting(pattern: str, folder: Path, known: Sequence[str]) -> tuple[list[tuple[Path, dict[str, str]]], list[str]]:
    """The files that fit, each with what its name tells, and the names of the others, folders with a ``/``."""
    templates = _templates(pattern, known)
    if not folder.is_dir():
        raise InputError(f"{shown(folder)}: {'is not a folder' if folder.exists() else 'no such folder'}")
    told, skipped = [], []
    for name in sorted(_entries(folder, pattern.count("/"))):
        found = None if name.endswith("/") else _told(name, templates)
        if found is None:
            skipped.append(shown(name))
        else:
            told.append((folder / name, found))
    return told, skipped


def _nothing_fits(folder: str | Path, pattern: str, skipped: Sequence[str]) -> InputError:
    found = ", ".join(skipped[:5]) + (f" and {len(skipped) - 5} more" if len(skipped) > 5 else "")
    return InputError(f"{shown(folder)}: no file fits the pattern {pattern}; there is {found or 'nothing'}")


def _templates(pattern: str, known: Sequence[str]) -> list[re.Pattern[str]]:
    """One expression per known spelling, the longest first, then one that takes any word for an expression."""
    fields(pattern, known)
    spelled = [r"[\s_-]+".join(map(re.escape, spelling.split("_"))) for spelling in _SPELLINGS]
    words = [*(f"(?i:{spelling})" for spelling in spelled), "[^_/]+"]
    return [_template(pattern, word, spelled) for word in words]


def _template(pattern: str, expression: str, spelled: list[str]) -> re.Pattern[str]:
    kinds = {"model": "[^/]+", "rater": "[^/]+", "expression": expression, "target": f"(?i:{'|'.join(spelled)})|[^_/]+"}
    stem = pattern.removesuffix(".*")
    text, seen = "", set()
    for literal, name, _, _ in Formatter().parse(stem):
        text += re.escape(literal)
        if name in seen:
            text += f"(?P={name})"
        elif name is not None:
            text += f"(?P<{name}>{kinds.get(name, '[^_/]+')})"
            seen.add(name)
    return re.compile(text if stem == pattern else f"{text}(?i:{'|'.join(map(re.escape, SUFFIXES))})")


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


def _told(name: str, templates: list[re.Pattern[str]]) -> dict[str, str] | None:
    found = next((m for template in templates if (m := template.fullmatch(name))), None)
    return None if found is None else {field: shown(value) for field, value in found.groupdict().items()}


def _key(path: Path, told: dict[str, str]) -> dict[str, str]:
    told["expression"] = _expression(path, told["expression"])
    told["target"] = _expression(path, told.get("target", told["expression"]))
    return {name: told.get(name, _DEFAULTS.get(name, labels.UNKNOWN)) for name in labels.KEY}


def _expression(path: Path, name: str) -> str:
    try:
        return labels.expression(name)
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from None


def _refuse_two_spellings(folder: Path, raters: pd.Series) -> None:
    """One person under two names would count twice, and agree with themself."""
    known: dict[str, str] = {}
    for name in dict.fromkeys(raters):
        plain = re.sub(r"[\s_-]+", "_", unicodedata.normalize("NFKC", name).casefold()).strip("_")
        if plain in known:
            raise InputError(
                f"{shown(folder)}: raters {known[plain]!r} and {name!r} differ in spelling only; "
                "give all maps of one person one name"
            )
        known[plain] = name


def _refuse_twins(index: pd.DataFrame) -> None:
    twins = index[index.duplicated(list(labels.KEY), keep=False)]
    if len(twins):
        first, second, row = twins["path"].iloc[0], twins["path"].iloc[1], twins.iloc[0]
        raise InputError(
            f"{shown(first)} and {shown(second)}: two files for one cell "
            f"(model {row['model']}, fold {row['fold']}, expression {row['expression']}); keep one"
        )
