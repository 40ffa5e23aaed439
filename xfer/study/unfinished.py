"""What is said of a study folder that lacks a file: how far its run is and who works on it, or that a file is gone."""

from pathlib import Path
from typing import Any

from xfer.errors import InputError
from xfer.study.folder import writer
from xfer.study.places import named
from xfer.study.running import STAGES, running
from xfer.study.study import PROVENANCE

_MOST = 4
"""Networks named; the rest is counted."""


def unfinished(folder: Path, missing: str, command: str = "xfer compare") -> str:
    """One line on a study that lacks the file `missing`.

    Parameters
    ----------
    folder : Path
    missing : str
        A file's name.
    command : str
        What goes on with it.
    """
    again = f"run its {command!r} line again"
    who = writer(folder)
    if (folder / PROVENANCE).is_file() and not who:
        return (
            f"{named(folder)}: was finished, but {missing} is gone; {again} to make it anew, or copy the whole folder"
        )
    then = f"{who} works on it now, wait for it" if who else f"nobody works on it now; {again}, it goes on from there"
    there = _progress(folder)
    return f"{named(folder)}: is unfinished ({missing} is missing{there}); {then}"


def _progress(folder: Path) -> str:
    """How far the networks are; "" where heatmaps came from files."""
    try:
        networks = running(folder).networks
    except InputError:
        return ""
    told = []
    for stage in reversed(STAGES):
        here = networks[networks["stage"] == stage]
        names = [_named(row, stage) for row in here.itertuples()]
        if names:
            more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
            told.append(f"{len(names)} {stage}: {', '.join(names[:_MOST])}{more}")
    return f"; of {len(networks)} networks and folds {'; '.join(told)}"


def _named(row: Any, stage: str) -> str:
    guided = f"{row.model} ({row.guide})" if row.guide else row.model
    where = guided if row.fold == "0" else f"{guided} fold {row.fold}"
    return f"{where} (epoch {row.epoch} of {row.epochs})" if stage == "training" else where
