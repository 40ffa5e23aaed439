"""Mask sources by name: which regions, codebook and merge rule they are made of, and the facts behind them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xfer.errors import InputError, unknown
from xfer.masks import codebooks, facs
from xfer.masks import regions as region_files
from xfer.masks.codebooks import Codebook
from xfer.masks.merges import MERGES
from xfer.masks.regions import Drawing, Regions


@dataclass(frozen=True)
class Source:
    """A mask source: what turns a face into one mask per expression.

    Attributes
    ----------
    name : str
        As it was asked for; a file's own name if a path was.
    codebook : Codebook
    regions : Regions or None
        None where the codebook draws its own shapes.
    merge : str
        One of `MERGES`.
    drawing : Drawing
        How the shapes of its regions, or its own, are drawn.
    left_out : tuple of str
        The Action Units of the codebook that the regions do not place.
    """

    name: str
    codebook: Codebook
    regions: Regions | None
    merge: str
    drawing: Drawing
    left_out: tuple[str, ...] = ()

    @property
    def expressions(self) -> tuple[str, ...]:
        """The expressions with a mask, in the codebook's order."""
        return self.codebook.masked


def source(name: str | Path, *, partial: bool = False) -> Source:
    """A mask source by name, or from a codebook file whose path ends in ``.toml``.

    Parameters
    ----------
    name : str or Path
    partial : bool
        Draw expressions without the Action Units that the regions do not place, and list those as ``left_out``.
        Otherwise such a source is an error.

    Raises
    ------
    InputError
        If a part of the name is unknown, a file has a slip, the regions lack an Action Unit of the codebook, or,
        with `partial`, every Action Unit of an expression.

    >>> source("emfacs").expressions
    ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'contempt')
    """
    name = str(name)
    if name.endswith(".toml"):
        codebook = codebooks.read(name)
        return _combine(codebook.name, codebook, _beside(name, codebook.regions), codebook.merge, partial)
    parts = name.split("/")
    if len(parts) > 3:
        raise InputError(f"masks {name!r}: a source is CODEBOOK, REGIONS/CODEBOOK, REGIONS/CODEBOOK/MERGE or FILE.toml")
    codebook = codebooks.load(parts[0] if len(parts) == 1 else parts[1])
    if codebook.drawing and len(parts) > 1:
        raise InputError(f"masks {name!r}: codebook {codebook.name!r} draws its own shapes; ask for {codebook.name!r}")
    regions = codebook.regions if len(parts) == 1 else parts[0]
    merge = codebook.merge if len(parts) < 3 else parts[2]
    if merge not in MERGES:
        raise unknown("merge", merge, MERGES)
    return _combine(name, codebook, regions, merge, partial)


def _beside(path: str, regions: str) -> str:
    """A region file that a codebook file names is looked for beside it."""
    return str(Path(path).parent / regions) if regions.endswith(".toml") else regions


def _combine(name: str, codebook: Codebook, regions: str, merge: str, partial: bool) -> Source:
    if codebook.drawing:
        return Source(name, codebook, None, merge, codebook.drawing)
    found = region_files.load(regions)
    lacking = _lacking(codebook, found)
    left = codebook.without(lacking) if partial else codebook
    lost = [expression for expression in codebook.masked if expression not in left.masked]
    if lacking and (lost or not partial):
        wanted = ", ".join(f"{code} ({', '.join(who)})" for code, who in lacking.items())
        whole = _covering(codebook)
        hint = f"regions with all of its Action Units: {', '.join(whole)}" if whole else "no regions have all of them"
        raise InputError(f"masks {name!r}: regions {found.name!r} do not place {wanted}; {hint}")
    return Source(name, left, found, merge, found.drawing, tuple(lacking))


def _lacking(codebook: Codebook, regions: Regions) -> dict[str, list[str]]:
    """The Action Units without a region, each with the expressions that need it."""
    return {
        code: [name for name in codebook.masked if code in codebook.expressions[name].weights]
        for code in codebook.action_units
        if code not in regions.action_units
    }


def _covering(codebook: Codebook) -> list[str]:
    """The region sources that place every Action Unit of a codebook; none where it draws its own shapes."""
    if codebook.drawing:
        return []
    return [name for name in region_files.names() if not _lacking(codebook, region_files.load(name))]


def names() -> tuple[str, ...]:
    """Every mask source that can be loaded by name: codebooks, then regions with codebooks.

    >>> "ekman" in names(), "xfer/emfacs" in names()
    (True, True)
    """
    books = codebooks.names()
    return (*books, *(f"{place}/{book}" for book in books for place in _covering(codebooks.load(book))))


def sources() -> list[dict[str, Any]]:
    """One row per codebook and per region source that comes with xfer.

    The keys are ``name kind expressions action_units regions merge title reference``; ``regions`` are those that
    place every Action Unit of a codebook, its own choice first.
    """
    books = [_codebook_row(codebooks.load(name)) for name in codebooks.names()]
    return books + [_regions_row(region_files.load(name)) for name in region_files.names()]


def _codebook_row(book: Codebook) -> dict[str, Any]:
    regions = sorted(_covering(book), key=lambda name: (name != book.regions, name))
    return {
        "name": book.name,
        "kind": "codebook",
        "expressions": len(book.masked),
        "action_units": len(book.action_units),
        "regions": " ".join(regions) or "drawn",
        "merge": book.merge,
        "title": book.title,
        "reference": book.reference,
    }


def _regions_row(regions: Regions) -> dict[str, Any]:
    return {
        "name": regions.name,
        "kind": "regions",
        "expressions": "",
        "action_units": len(regions.action_units),
        "regions": "",
        "merge": "",
        "title": regions.title,
        "reference": regions.reference,
    }


def show(name: str | Path) -> list[dict[str, Any]]:
    """The facts behind a mask source, one row per expression and Action Unit (one per drawn or neutral expression).

    The keys are ``expression action_unit action weight evidence reference note region_evidence region_reference``.

    Raises
    ------
    InputError
        As `source`.
    """
    return list(_facts(source(name)))


def _facts(entry: Source) -> Iterator[dict[str, Any]]:
    placed = entry.regions.action_units if entry.regions else {}
    for expression in entry.codebook.expressions.values():
        for code, weight in expression.weights.items() or [("", None)]:
            region = placed.get(code)
            yield {
                "expression": expression.name,
                "action_unit": code,
                "action": facs.action_units()[code].name if code else "drawn" if expression.shapes else "none",
                "weight": "" if weight is None else round(weight, 4),
                "evidence": expression.evidence,
                "reference": expression.reference,
                "note": expression.note,
                "region_evidence": region.evidence if region else "",
                "region_reference": region.reference if region else "",
            }
