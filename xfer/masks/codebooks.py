"""Which Action Units make an expression, one answer per source."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xfer import geometry, labels, rasteriser, tables
from xfer.errors import InputError, unknown
from xfer.masks import facs
from xfer.masks.merges import MERGES
from xfer.masks.regions import Drawing, drawing

_HEADER = ("format", "name", "title", "reference", "merge", "expressions")
_DRAWN_HEADER = (*_HEADER, "points", "unit", "axes", "softness")


@dataclass(frozen=True)
class Expression:
    """One source's answer for one expression.

    Attributes
    ----------
    name : str
    weights : mapping of AU code to float in (0, 1]
        Empty for neutral, and where `shapes` are drawn directly.
    prototypes, variants : tuple of str
        Combinations in FACS notation: side (L, R, U), AU, intensity (A to E), as in ``"AU1+AU2+AU5B"``.
    shapes : tuple of Shape
    evidence : {"source", "memory", "derived"}
    reference, note : str
    """

    name: str
    weights: Mapping[str, float]
    prototypes: tuple[str, ...]
    variants: tuple[str, ...]
    shapes: tuple[Any, ...]
    evidence: str
    reference: str
    note: str = ""


@dataclass(frozen=True)
class Codebook:
    """Expressions to Action Units, or to shapes, after one source.

    Attributes
    ----------
    name, title, reference : str
    regions : str
        The region source that places its Action Units unless another is asked for; "" where shapes are drawn.
    merge : str
        One of `xfer.masks.merges.MERGES`.
    drawing : Drawing or None
        How its shapes are read, if it draws expressions directly.
    expressions : mapping of str to Expression
        In the order of the file; an expression without AUs and shapes (neutral) has no mask.
    """

    name: str
    title: str
    reference: str
    regions: str
    merge: str
    drawing: Drawing | None
    expressions: Mapping[str, Expression]

    @property
    def masked(self) -> tuple[str, ...]:
        """The expressions that have a mask."""
        return tuple(name for name, e in self.expressions.items() if e.weights or e.shapes)

    @property
    def action_units(self) -> tuple[str, ...]:
        """Every Action Unit it names, by number."""
        return tuple(sorted({code for e in self.expressions.values() for code in e.weights}, key=labels.au_number))

    def without(self, codes: Container[str]) -> "Codebook":
        """The same codebook without some Action Units."""
        left = {
            name: replace(e, weights=MappingProxyType({c: w for c, w in e.weights.items() if c not in codes}))
            for name, e in self.expressions.items()
        }
        return replace(self, expressions=MappingProxyType(left))


def read(path: str | Path) -> Codebook:
    """Read and check a codebook file.

    Raises
    ------
    InputError
        One line that names the file, the table and the slip.
    """
    where, content = str(path), tables.read(Path(path))
    draws = "points" in content
    tables.known(content, _DRAWN_HEADER if draws else (*_HEADER, "regions"), where)
    reference = tables.text(content, "reference", where)
    merge = tables.choice(content, "merge", MERGES, where, "max")
    if draws and merge != "max":
        raise InputError(f"{where}: 'merge' must be 'max' in a codebook that draws its shapes; got {merge!r}")
    drawn_as = drawing(content, where) if draws else None
    expressions: dict[str, Expression] = {}
    for key, table in tables.section(content.get("expressions", {}), f"{where}: 'expressions'").items():
        entry = _expression(key, table, drawn_as, reference, where)
        if entry.name in expressions:
            raise InputError(f"{where}: [expressions.{key}]: {entry.name!r} is there twice")
        expressions[entry.name] = entry
    if not any(entry.weights or entry.shapes for entry in expressions.values()):
        raise InputError(f"{where}: no expression has a mask; write [expressions.anger] with 'aus' or 'prototypes'")
    name, title = tables.text(content, "name", where), tables.text(content, "title", where)
    regions = "" if draws else tables.text(content, "regions", where, "xfer")
    return Codebook(name, title, reference, regions, merge, drawn_as, MappingProxyType(expressions))


def _expression(key: str, table: object, drawn_as: Drawing | None, reference: str, file: str) -> Expression:
    where = f"{file}: [expressions.{key}]"
    content = tables.section(table, where)
    ways = ("shapes",) if drawn_as else ("aus", "prototypes")
    tables.known(content, (*facs.FACTS, *ways, *(() if drawn_as else ("variants",))), where)
    if sum(way in content for way in ways) != 1:
        raise InputError(f"{where}: needs {' or '.join(map(repr, ways))}{'' if drawn_as else ', one of them'}")
    prototypes, variants = (
        tables.texts(content, "prototypes", where),
        tables.texts(content, "variants", where),
    )
    if "variants" in content and "prototypes" not in content:
        raise InputError(f"{where}: 'variants' need 'prototypes' beside them")
    for combination in variants:
        facs.parse(combination, where)
    weights = facs.shares(prototypes, where) if "prototypes" in content else _weights(content.get("aus", {}), where)
    shapes: tuple[Any, ...] = ()
    if drawn_as:
        shapes = rasteriser.read_shapes(content["shapes"], points=drawn_as.points, where=where)
    try:
        name = labels.expression(key)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    frozen = MappingProxyType(weights)
    return Expression(name, frozen, prototypes, variants, shapes, *facs.facts(content, reference, where))


def _weights(aus: object, where: str) -> dict[str, float]:
    weights = {}
    for code, value in tables.section(aus, f"{where}: 'aus'").items():
        weight = tables.number(value, facs.known_unit(code, where), where)
        if not 0 < weight <= 1:
            raise InputError(f"{where}: the weight of {code} must be above 0 and at most 1; got {value!r}")
        weights[code] = weight
    return weights


def names() -> tuple[str, ...]:
    """The codebooks that come with xfer."""
    return tuple(sorted(path.stem for path in (geometry.data_folder() / "codebooks").glob("*.toml")))


def load(name: str) -> Codebook:
    """A codebook by name, or from a file whose path ends in ``.toml``.

    Raises
    ------
    InputError
        If there is none of that name, or the file has a slip.
    """
    if name.endswith(".toml"):
        return read(name)
    if name not in names():
        raise unknown("codebook", name, names())
    return read(geometry.data_folder() / "codebooks" / f"{name}.toml")
