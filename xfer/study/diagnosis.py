"""What ``xfer doctor`` finds: what is there, what is missing, and the command that mends it."""

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import torch

from xfer import assets, masks
from xfer.errors import InputError
from xfer.geometry import data_folder
from xfer.study.provenance import versions

GOOD, OPTIONAL, BAD = "good", "optional", "bad"

_NOTEBOOK = {"ipywidgets": 8, "ipycanvas": 0, "nbformat": 5, "ipykernel": 0, "jupyterlab": 4}
"""What notebooks and widgets take, with the least major version."""
_ROOM = 2_000_000_000
"""Bytes that a study of the presets leaves behind, at most."""


class Finding(NamedTuple):
    """One line of the doctor's.

    Attributes
    ----------
    state : {"good", "optional", "bad"}
        "optional": something is missing that only some work needs.
    line : str
        What it is; where something is missing, it ends with the command that mends it.
    """

    state: str
    line: str


def findings() -> list[Finding]:
    """Everything that is looked at."""
    rows = [Finding(GOOD, f"{name} {number}") for name, number in versions().items()]
    return [*rows, *_masks(), *_notebook(), _landmarker(), _device(), _writable(), _room()]


def _masks() -> list[Finding]:
    folder = data_folder()
    found = len(list(folder.rglob("*.toml")))
    mend = "python -m pip install --force-reinstall xfer-kit"
    line = f"masks: {found} files" if found else f"masks: none in {folder.name}; {mend}"
    checked = [_checked(path) for path in sorted(folder.glob("*s/*.toml")) if path.parent.name != "frames"]
    return [Finding(GOOD if found else BAD, line), *checked]


def _checked(path: Path) -> Finding:
    try:
        masks.check(path)
    except InputError as error:
        return Finding(BAD, str(error))
    return Finding(GOOD, f"{path.parent.name}/{path.name}")


def _notebook() -> list[Finding]:
    """JupyterLab and its parts; one line a part that is missing or too old."""
    found, rows = [], []
    for name, least in _NOTEBOOK.items():
        mend = f"python -m pip install --upgrade '{name}>={least}'" if least else f"python -m pip install {name}"
        try:
            number = version(name)
        except PackageNotFoundError:
            rows.append(Finding(OPTIONAL, f"{name}: missing, notebooks and 'xfer annotate' need it; {mend}"))
            continue
        if int(number.partition(".")[0]) < least:
            rows.append(Finding(OPTIONAL, f"{name} {number}: too old for the widgets; {mend}"))
        else:
            found.append(f"{name} {number}")
    return [*([Finding(GOOD, f"notebooks: {', '.join(found)}")] if found else []), *rows]


def _landmarker() -> Finding:
    one = next(finding for finding in assets.verify() if "face_landmarker" in finding.line)
    if one.sound:
        return Finding(GOOD, "landmark model: there, and its digest is right")
    use = "needed for photographs without landmarks"
    return Finding(OPTIONAL, f"landmark model: missing or damaged, {use}; xfer assets get face_landmarker")


def _device() -> Finding:
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Finding(GOOD, f"graphics processor: {names}")
    if torch.version.cuda is None and shutil.which("nvidia-smi"):
        mend = "python -m pip install --force-reinstall torch torchvision"
        return Finding(OPTIONAL, f"graphics processor: there is one, but this torch is for processors only; {mend}")
    return Finding(
        GOOD, f"no graphics processor: networks train on {os.cpu_count()} cores, preset 'quick' is made for that"
    )


def _writable() -> Finding:
    if os.access(Path.cwd(), os.W_OK):
        return Finding(GOOD, "this folder can be written")
    return Finding(BAD, "this folder cannot be written; cd to one that can, or use --out")


def _room() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    state = GOOD if free >= _ROOM else OPTIONAL
    told = f"{free / 1e9:.1f} GB free"
    return Finding(
        state, told if state == GOOD else f"{told}, a large study takes {_ROOM / 1e9:.0f} GB; use --out elsewhere"
    )
