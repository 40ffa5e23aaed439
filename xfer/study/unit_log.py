"""The log of a study, ``units.jsonl``: a line of every training, part and unit that has ended, in whatever run."""

import json
from collections.abc import Mapping
from contextlib import suppress
from os import SEEK_END
from pathlib import Path
from typing import Any

from xfer.study.recognition import UNITS

_EMPTY: dict[str, Any] = {
    **dict.fromkeys(("unit", "model", "fold", "checkpoint", "until"), ""),
    **dict.fromkeys(("train_seconds", "explain_seconds"), 0.0),
    "accuracy": None,
}
_KINDS = {str: str, float: int | float, type(None): int | float | None}


def append(home: Path, entry: Mapping[str, Any]) -> None:
    """Add a line."""
    with (home / UNITS).open("ab+") as log:
        if log.tell() and (log.seek(-1, SEEK_END), log.read(1))[1] != b"\n":
            log.write(b"\n")  # a kill has torn the last line
        log.write(json.dumps(entry).encode() + b"\n")


def read(home: Path) -> list[dict[str, Any]]:
    """The lines, less those that a kill has torn or somebody has damaged; what one does not tell is empty or 0.

    Returns
    -------
    list of dict
        unit (its digest), model, fold, checkpoint and until as text, train_seconds, explain_seconds, accuracy (None
        where it is not known), and whatever else a line tells.
    """
    path, found = home / UNITS, []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        with suppress(ValueError, RecursionError):
            told = json.loads(line)
            entry = {**_EMPTY, **told} if isinstance(told, dict) else {}
            if entry and all(isinstance(entry[name], _KINDS[type(empty)]) for name, empty in _EMPTY.items()):
                found.append(entry)
    return found
