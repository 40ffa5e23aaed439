"""What a study was made with: digests, versions, source; no path, host or user name."""

import hashlib
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import xfer
from xfer.errors import InputError

EXPLAINERS = ("captum", "grad-cam", "scikit-image")
"""The libraries that heatmaps follow from besides those of the weights."""
PACKAGES = (
    "numpy", "scipy", "pandas", "xarray", "zarr", "POT", "matplotlib", "torch", "torchvision", "timm",
    "onnxruntime", *EXPLAINERS,
)  # fmt: skip
_SOURCE = Path(xfer.__file__).parent
_MUTE = ("cli", "report")
"""Rooms that show numbers and make none."""


def digest_bytes(parts: Iterable[bytes]) -> str:
    """The sha256 (hex) of byte strings, each preceded by its length."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "little"))
        sha.update(part)
    return sha.hexdigest()


def digest_files(paths: Iterable[Path]) -> str:
    """The sha256 (hex) of files' names and contents, in the order given; a folder counts with all it holds."""
    return digest_bytes(part for path in paths for part in _parts(path))


def require_unchanged() -> None:
    """That processes which begin now import what this one has imported: their numbers are kept under its digest.

    Raises
    ------
    InputError
        If xfer was changed or installed anew meanwhile.
    """
    if source_digest() != source_digest.__wrapped__():
        raise InputError("xfer was changed since this process began; start Python anew, then the same line goes on")


def _parts(path: Path) -> Iterable[bytes]:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        yield str(file.relative_to(path.parent)).encode("utf-8", "surrogateescape")
        yield file.read_bytes()


@cache
def source_digest(rooms: tuple[str, ...] = ()) -> str:
    """The sha256 (hex) of xfer's own source, so that a changed formula is never served from an old file.

    Of some rooms or files (``heatmaps``, ``study/sums``), or of all that touch a number. Read once a process: it goes
    on with what it has imported, whatever is changed or installed meanwhile; see `require_unchanged`.
    """
    found = {path: path.relative_to(_SOURCE).with_suffix("") for path in sorted(_SOURCE.rglob("*.py"))}
    if rooms:
        return digest_files(path for path, name in found.items() if any(name.is_relative_to(room) for room in rooms))
    return digest_files(path for path, name in found.items() if name.parts[0] not in _MUTE)


def unit_facts() -> dict[str, str]:
    """What touches a number besides the configuration: xfer's source and the libraries that compute."""
    return {"source": source_digest(), **{name: version(name) for name in ("numpy", "scipy", "POT")}}


def library_versions(*more: str) -> dict[str, str]:
    """Versions of the libraries that a network's weights follow from, and of some more, such as `EXPLAINERS`."""
    weights = ("torch", "torchvision", "timm", "lightning", "numpy", "scipy", "pillow")
    return {name: version(name) for name in (*weights, *more)}


def versions() -> dict[str, str]:
    """Versions of Python, xfer and the libraries that touch a number."""
    found = {"python": platform.python_version(), "xfer": xfer.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str:
    """The commit of the xfer source tree, with ``+changes`` where it has any; "" outside a git checkout."""
    if not (_SOURCE.parent / ".git").exists():
        return ""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=_SOURCE, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def collect(**facts: Any) -> dict[str, Any]:
    """The content of ``provenance.json``."""
    machine = {"system": platform.system(), "architecture": platform.machine()}
    return {
        "format": 1,
        "versions": versions(),
        "source": source_digest(),
        "git": git_commit(),
        "machine": machine,
        **facts,
    }
