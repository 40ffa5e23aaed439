"""The pages' sentences, kept in `templates/*.toml`, filled with names and numbers."""

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from xfer.report.blocks import Items, Picture, Plot, Text


@cache
def entries() -> dict[str, dict[str, Any]]:
    """All entries: section -> name -> text, or list of (lead, text)."""
    found: dict[str, dict[str, Any]] = {}
    names = ("words.toml", "faces.toml", "trained.toml", "statistics.toml", "twins.toml", "differences.toml")
    for file in names:
        found |= tomllib.loads(files("xfer.report").joinpath("templates", file).read_text(encoding="utf-8"))
    return found


def say(section: str, name: str, **values: object) -> str:
    """One sentence with its braces filled."""
    return entries()[section][name].format(**values)


def text(section: str, name: str = "text", tone: str = "", **values: object) -> Text:
    """A paragraph."""
    return Text(say(section, name, **values), tone)


def items(section: str, *first: str) -> Items:
    """A list, with the entries named in `first` on top."""
    words = entries()[section]
    return Items([(lead, rest) for lead, rest in (*(words[name] for name in first), *words["items"])])


def plot(section: str, pictures: Sequence[Picture], **values: object) -> Plot:
    """A figure with its title, how to read it and what it cannot say."""
    title, reading, limit = (say(section, name, **values) for name in ("title", "reading", "limit"))
    return Plot(pictures, title, reading, limit)
