"""The Action Units of FACS: names, muscles, and the notation of their combinations."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from xfer import geometry, labels, tables
from xfer.errors import InputError, unknown

FACTS = ("evidence", "reference", "note")
"""The keys by which a table says how its facts are known."""

_NOTATION = re.compile(r"[LRU]?(AU[1-9][0-9]?)(?:[A-E](?:/[A-E])*)?")


@dataclass(frozen=True)
class ActionUnit:
    """A code of the Facial Action Coding System.

    Attributes
    ----------
    code : str
        ``"AU4"``.
    name : str
        What moves: "brow lowerer".
    muscles : tuple of str
    evidence : {"source", "memory", "derived"}
    reference, note : str
    """

    code: str
    name: str
    muscles: tuple[str, ...]
    evidence: str
    reference: str
    note: str = ""


@lru_cache(maxsize=1)
def action_units() -> Mapping[str, ActionUnit]:
    """The Action Units of ``masks/facs.toml`` by code.

    >>> action_units()["AU12"].name
    'lip corner puller'
    """
    path = geometry.data_folder() / "facs.toml"
    content = tables.read(path)
    reference = tables.text(content, "reference", str(path))
    units = {}
    for code in content.keys() - {"format", "reference"}:
        where = f"{path}: [{code}]"
        table = tables.section(content[code], where)
        tables.known(table, ("name", "muscles", *FACTS), where)
        name, muscles = tables.text(table, "name", where), tables.texts(table, "muscles", where)
        units[code] = ActionUnit(labels.action_unit(code), name, muscles, *facts(table, reference, where))
    return MappingProxyType({code: units[code] for code in sorted(units, key=labels.au_number)})


def facts(table: Mapping[str, Any], reference: str, where: str) -> tuple[str, str, str]:
    """Evidence, reference (the file's unless it has its own) and note of a table."""
    evidence = tables.choice(table, "evidence", tables.EVIDENCE, where)
    return evidence, tables.text(table, "reference", where, reference), tables.text(table, "note", where, "")


def known_unit(code: str, where: str) -> str:
    """Check that an Action Unit is one of ``masks/facs.toml``.

    Raises
    ------
    InputError
        If it is not spelled as FACS spells it here, or unknown.
    """
    try:
        labels.action_unit(code)
        if code not in action_units():
            raise unknown("action unit", code, action_units())
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return code


def parse(combination: str, where: str) -> tuple[str, ...]:
    """The Action Units of a combination in FACS notation.

    >>> parse("AU1+AU2+AU5B", "here"), parse("RAU12A+RAU14A", "here"), parse("AU12C/D", "here")
    (('AU1', 'AU2', 'AU5'), ('AU12', 'AU14'), ('AU12',))

    Raises
    ------
    InputError
        If it cannot be read, names an unknown AU, or one twice.
    """
    codes = []
    for part in combination.split("+"):
        match = _NOTATION.fullmatch(part)
        if not match:
            raise InputError(f"{where}: cannot read {combination!r}; a combination is written as in 'AU1+AU2+AU5B'")
        codes.append(known_unit(match[1], where))
    if len(set(codes)) < len(codes):
        raise InputError(f"{where}: {combination!r} names an Action Unit twice")
    return tuple(codes)


def shares(prototypes: Sequence[str], where: str) -> dict[str, float]:
    """The share of the prototypes that contain each Action Unit.

    >>> shares(["AU6+AU12", "AU12C"], "here")
    {'AU6': 0.5, 'AU12': 1.0}
    """
    parsed = [parse(combination, where) for combination in prototypes]
    codes = sorted({code for combination in parsed for code in combination}, key=labels.au_number)
    return {code: sum(code in combination for combination in parsed) / len(parsed) for code in codes}
