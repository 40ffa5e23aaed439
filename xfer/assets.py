"""Third-party files: what they are, where they are looked for, and their explicit download.

A file is looked for in the folder that ``XFER_ASSETS`` names, then in the user's cache. Only `get` uses the network.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from xfer.errors import InputError, unknown
from xfer.progress import Stage

VARIABLE = "XFER_ASSETS"
"""The environment variable that names a folder of assets, such as one filled on another machine."""

_BLOCK = 1 << 16
_PATIENCE = 30.0


@dataclass(frozen=True)
class Asset:
    """A file of somebody else's.

    Attributes
    ----------
    name : str
        As in ``xfer assets get NAME``.
    file : str
        Its name on disk.
    url : str
        Where its owner offers it.
    sha256 : str
    size : int
        Bytes.
    licence : str
        Terms and owner.
    """

    name: str
    file: str
    url: str
    sha256: str
    size: int
    licence: str

    def __str__(self) -> str:
        """Name, size and terms."""
        return f"{self.name} ({self.size / 1e6:.1f} MB, {self.licence})"


ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            name="face_landmarker",
            file="face_landmarker.task",
            url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
            "face_landmarker.task",
            sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
            size=3758596,
            licence="Apache-2.0, Google",
        ),
    )
}
"""What can be fetched, by name."""


class Finding(NamedTuple):
    """The state of an asset: whether it is sound, and a line that says so."""

    sound: bool
    line: str


def folders() -> tuple[Path, ...]:
    """Where assets are looked for, in order.

    Raises
    ------
    InputError
        If ``XFER_ASSETS`` is set to something that is not a folder.
    """
    cache = user_cache_path("xfer", appauthor=False) / "assets"
    given = os.environ.get(VARIABLE)
    if not given:
        return (cache,)
    if not Path(given).is_dir():
        raise InputError(f"{VARIABLE}={given}: no such folder; name one that holds the files, or unset it")
    return (Path(given), cache)


def find(name: str) -> Path:
    """The verified file of an asset; never downloads.

    Raises
    ------
    InputError
        If there is no such asset, it is in none of `folders`, or the file found is not the one it should be.
    """
    asset = _asset(name)
    path = _located(asset)
    if path is None:
        raise InputError(
            f"{asset} is not on this machine: run 'xfer assets get {name}'; without a network, run it elsewhere "
            f"and set {VARIABLE} to a folder that holds {asset.file}"
        )
    if fault := _fault(asset, path):
        raise InputError(f"{path}: {fault}; delete it and run 'xfer assets get {name}'")
    return path


def get(name: str, progress: Stage | None = None) -> Path:
    """Download an asset into the cache unless a sound copy is there; continues where an earlier call stopped.

    Parameters
    ----------
    name : str
    progress : callable, optional
        See `Stage`; a step is 64 KiB.

    Raises
    ------
    InputError
        If there is no such asset, the address cannot be reached, the download stops early (what came is kept), or
        what came is not the file it should be (nothing is kept).
    """
    asset = _asset(name)
    path = _located(asset)
    if path is not None and not _fault(asset, path):
        return path
    target = folders()[-1] / asset.file
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        with FileLock(f"{part}.lock", timeout=0):
            _download(asset, part, progress)
            part.replace(target)
    except Timeout:
        raise InputError(f"{part}: another download of {name} is running; wait for it") from None
    return target


def verify() -> list[Finding]:
    """Every asset with its state."""
    return [_finding(asset) for asset in ASSETS.values()]


def table() -> list[dict[str, Any]]:
    """The assets for listings: name, file, size (bytes), licence, url, and the path or "" where absent."""
    return [
        {
            "name": asset.name,
            "file": asset.file,
            "size": asset.size,
            "licence": asset.licence,
            "url": asset.url,
            "path": str(_located(asset) or ""),
        }
        for asset in ASSETS.values()
    ]


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _asset(name: str) -> Asset:
    if name not in ASSETS:
        raise unknown("asset", name, ASSETS)
    return ASSETS[name]


def _located(asset: Asset) -> Path | None:
    return next((path for folder in folders() if (path := folder / asset.file).is_file()), None)


def _fault(asset: Asset, path: Path) -> str:
    """What is wrong with a file, "" if nothing."""
    size = path.stat().st_size
    if size != asset.size:
        return f"holds {size:,} bytes instead of {asset.size:,}"
    digest = sha256(path)
    if digest != asset.sha256:
        return f"has the SHA-256 {digest[:12]}... instead of {asset.sha256[:12]}..."
    return ""


def _finding(asset: Asset) -> Finding:
    path = _located(asset)
    if path is None:
        return Finding(False, f"{asset}: absent; run 'xfer assets get {asset.name}'")
    fault = _fault(asset, path)
    return Finding(not fault, f"{asset}: {path}: {fault or 'sound'}")


def _download(asset: Asset, part: Path, progress: Stage | None) -> None:
    """Fetch what `part` lacks and verify the whole."""
    try:
        with _request(asset, part) as response:
            kept = part.stat().st_size if response.status == 206 else 0
            advance = progress(asset.name, -(-(asset.size - kept) // _BLOCK)) if progress else lambda: None
            with part.open("ab" if kept else "wb") as file:
                for block in _blocks(response, asset.size - kept):
                    file.write(block)
                    advance()
    except HTTPError as error:
        error.close()
        raise InputError(f"{asset.url}: the server answers {error.code} {error.reason}; {_elsewhere(asset)}") from error
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise InputError(f"{asset.url}: cannot be reached ({why}); {_elsewhere(asset)}") from error
    _admit(asset, part)


def _request(asset: Asset, part: Path) -> HTTPResponse:
    """Open the address, from where `part` ends if the server can; a part that cannot be continued is dropped."""
    held = part.stat().st_size if part.is_file() else 0
    if 0 < held < asset.size:
        try:
            response = urlopen(Request(asset.url, headers={"Range": f"bytes={held}-"}), timeout=_PATIENCE)
        except HTTPError as error:
            if error.code != 416:
                raise
            error.close()
        else:
            if response.status != 206 or response.headers.get("Content-Range", "").startswith(f"bytes {held}-"):
                return response
            response.close()
    return urlopen(asset.url, timeout=_PATIENCE)


def _blocks(response: HTTPResponse, expected: int) -> Iterator[bytes]:
    """The body in blocks, one byte more than expected at most; a body that ends early just ends."""
    left = expected + 1
    while left > 0:
        block = response.read(min(_BLOCK, left))
        if not block:
            return
        left -= len(block)
        yield block


def _admit(asset: Asset, part: Path) -> None:
    held = part.stat().st_size
    if held < asset.size:
        raise InputError(
            f"{asset.url}: stopped after {held:,} of {asset.size:,} bytes; 'xfer assets get {asset.name}' continues"
        )
    if fault := _fault(asset, part):
        part.unlink()
        fault = "is longer than it should be" if held > asset.size else fault
        raise InputError(f"{asset.url}: what came {fault}; nothing was kept, {_elsewhere(asset)}")


def _elsewhere(asset: Asset) -> str:
    return f"set {VARIABLE} to a folder that holds {asset.file} from elsewhere"
