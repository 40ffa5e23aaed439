"""Strict reading of our TOML files: every key known, every type checked, one line for every slip."""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from xfer.errors import InputError, unknown

EVIDENCE = ("source", "memory", "derived")
"""How a fact is known: read in the reference, remembered, or worked out from something that was read."""

FORMAT = 1
_LARGEST = 1_000_000


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file with ``format = 1``.

    Raises
    ------
    InputError
        If there is no such file, it is larger than 1 MB, is not TOML (the line is named), or is of another format.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path}: larger than {_LARGEST // 1_000_000} MB; a file of masks or frames is some kB")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not TOML, which is UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    except RecursionError:
        raise InputError(f"{path}: not a file of masks or frames: nested too deeply") from None
    got = tables.get("format")
    if isinstance(got, bool) or got != FORMAT:
        came = "there is none" if got is None else f"got {got!r}"
        raise InputError(f"{path}: the first line must be 'format = {FORMAT}'; {came}")
    return tables


def known(table: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    """Refuse keys outside a vocabulary.

    >>> known({"centre": 1}, ["center", "radius"], "mine.toml: [AU4]")
    Traceback (most recent call last):
    xfer.errors.InputError: mine.toml: [AU4]: unknown key 'centre' (did you mean 'center'?)
    """
    allowed = list(allowed)
    for key in table:
        if key not in allowed:
            near = get_close_matches(key, allowed, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else f"; known are {', '.join(allowed)}"
            raise InputError(f"{where}: unknown key {key!r}{hint}")


def text(table: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    """A non-empty string, or the default where the key is absent and there is one."""
    if key not in table and default is not None:
        return default
    if key not in table:
        raise InputError(f"{where}: {key!r} is missing")
    value = table[key]
    if not isinstance(value, str) or (not value.strip() and default is None):
        raise InputError(f"{where}: {key!r} must be text; got {value!r}")
    return value


def texts(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """A list of strings; empty where the key is absent."""
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InputError(f"{where}: {key!r} must be a list of text; got {values!r}")
    return tuple(values)


def choice(table: Mapping[str, Any], key: str, allowed: Iterable[str], where: str, default: str | None = None) -> str:
    """A string of a vocabulary."""
    value = text(table, key, where, default)
    allowed = list(allowed)
    if value not in allowed:
        raise InputError(f"{where}: {unknown(key, value, allowed)}")
    return value


def number(value: object, key: str, where: str) -> float:
    """A finite number; TOML's booleans, ``inf`` and ``nan`` are refused."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InputError(f"{where}: {key!r} must be a number; got {value!r}")
    return float(value)


def section(value: object, where: str) -> dict[str, Any]:
    """A TOML table."""
    if not isinstance(value, dict):
        raise InputError(f"{where} must be a table; got {value!r}")
    return value
