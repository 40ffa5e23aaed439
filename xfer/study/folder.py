"""The study folder as files: who owns it, one writer at a time, whole files or none."""

import contextlib
import errno
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import tomli_w
from filelock import FileLock, Timeout

from xfer.errors import InputError
from xfer.study.locks import acquired

FORMAT = 1
CONFIG, COSTS = "study.toml", "costs.csv"
CHECKPOINTS, SHARDS, MAPS = "checkpoints", "shards", "maps"
PARTIALS = "partials"
"""What single units found of something that is merged when all of them are done."""
TWIN_KIND = "twins"
"""The kind of studies that `xfer guide` writes."""
_LOCK, _HOLDER = ".lock", ".lock-holder"
_LEFTOVERS = (".*.tmp", "*/.*.tmp", ".*.zarr.*.new", ".*.zarr.*.old")
"""What a run that was killed leaves half-written."""
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR)


def slug(text: str) -> str:
    """A file name made of letters, digits, ``.``, ``_`` and ``-`` only.

    >>> slug("../my maps")
    'my-maps'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._") or "study"


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary name beside `path`, then rename it: the old file or the new one, never half."""
    aside = path.with_name(f".{path.name}.{token_hex(8)}.tmp")
    try:
        write(aside)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        aside.replace(path)
    except OSError as error:
        if error.errno in _UNWRITABLE:
            raise InputError(f"{path}: cannot be written ({error.strerror}); give another --out") from None
        raise OSError(error.errno, f"{error.strerror}; what is finished is kept", str(path)) from None
    finally:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)


def require_space(folder: Path, size: int) -> None:
    """Refuse to start what will not fit.

    Raises
    ------
    InputError
        If the disk has less room than `size` bytes.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise InputError(
            f"{folder}: needs {size / 1e6:.0f} MB, the disk has {free / 1e6:.0f} MB; make room or give another --out"
        )


def read_config(folder: Path) -> dict[str, Any] | None:
    """The frozen configuration of a study folder; None where there is none.

    Raises
    ------
    InputError
        If ``study.toml`` is there but damaged or from another version.
    """
    path = folder / CONFIG
    if not path.is_file():
        return None
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a study written by xfer ({error})") from None
    if config.get("format") != FORMAT:
        raise InputError(
            f"{path}: format {config.get('format')!r}; this xfer reads format {FORMAT}: use the version of xfer that "
            "wrote it, or make it anew in another folder with --out"
        )
    return config


def command(config: Mapping[str, Any]) -> str:
    """The command line that wrote a study of some configuration, and goes on with it.

    >>> command({"kind": "twins"}), command({"kind": "models"})
    ('xfer guide', 'xfer compare')
    """
    return "xfer guide" if config.get("kind") == TWIN_KIND else "xfer compare"


@contextlib.contextmanager
def claim(folder: Path, config: Mapping[str, Any], *, fresh: bool = False) -> Iterator[None]:
    """Make `folder` the home of `config` and hold it for one run, or say why that cannot be.

    A folder that holds the same configuration is resumed. With `fresh`, a study that is there is renamed to
    ``NAME.old-N`` first. The lock is the operating system's, so a killed run frees it.

    Raises
    ------
    InputError
        If the folder is a link or not a folder, cannot be written, holds something that xfer did not write or
        another study, or another run holds it (its process number is told).
    """
    there = _inspect(folder)
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_lock(folder))
            if there is not None and fresh:
                _set_aside(folder)
                folder.mkdir()
                stack.enter_context(_lock(folder))
            _freeze(folder, config)
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            raise InputError(f"{folder}: cannot be written ({error.strerror}); give another --out") from None
        try:
            yield
        finally:
            sweep(folder, ".*.tmp")  # what a lost worker was just writing
            with contextlib.suppress(OSError):  # some are left: the same line goes on with them
                (folder / PARTIALS).rmdir()


def sweep(folder: Path, pattern: str) -> None:
    """Remove partial results that are merged."""
    for path in (folder / PARTIALS).glob(pattern):
        path.unlink()


def _inspect(folder: Path) -> dict[str, Any] | None:
    if folder.is_symlink():
        raise InputError(f"{folder}: is a link; give the folder itself with --out")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a folder with --out")
    there = read_config(folder)
    if there is None and folder.exists() and not all(map(_ours, folder.iterdir())):
        raise InputError(f"{folder}: holds files that xfer did not write; give a new folder with --out")
    return there


def _ours(path: Path) -> bool:
    """Whether a file is one that a plan leaves, or a run killed at its very start."""
    return path.name in (_LOCK, _HOLDER, COSTS) or (path.name.startswith(f".{CONFIG}.") and path.name.endswith(".tmp"))


def _freeze(folder: Path, config: Mapping[str, Any]) -> None:
    for pattern in _LEFTOVERS:
        for left in folder.glob(pattern):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    if read_config(folder) is None:
        write_whole(folder / CONFIG, lambda p: p.write_text(tomli_w.dumps(dict(config)), encoding="utf-8"))
    else:
        require_same(folder, config)


def require_same(folder: Path, config: Mapping[str, Any]) -> None:
    """That a study folder has some configuration.

    Raises
    ------
    InputError
        If it has another one, or none.
    """
    if (there := read_config(folder) or {}) != config:
        raise InputError(
            f"{folder}: belongs to another study ({'; '.join(differences(there, config))}); "
            "give another --out, or --fresh to set the old one aside"
        )


def _set_aside(folder: Path) -> None:
    n = 1
    while (old := folder.with_name(f"{folder.name}.old-{n}")).exists():
        n += 1
    (folder / _HOLDER).unlink(missing_ok=True)
    folder.rename(old)


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two configurations, in words.

    >>> differences({"threshold": "otsu"}, {"threshold": "area"})
    ["threshold: 'otsu' there, 'area' now"]
    >>> differences({"data": {"faces": 1, "name": "a"}}, {"data": {"faces": 2, "name": "a"}})
    ['data.faces: 1 there, 2 now']
    """
    return [f"{key}: {old!r} there, {new!r} now" for key, (old, new) in changed(there, now).items()]


def changed(there: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two configurations: dotted names with both values, None where there is none.

    >>> changed({"data": {"faces": 1, "name": "a"}}, {"data": {"name": "a"}})
    {'data.faces': (1, None)}
    """
    flat, new = (dict(_flat(config)) for config in (there, now))
    return {key: (flat.get(key), new.get(key)) for key in sorted({*flat, *new}) if flat.get(key) != new.get(key)}


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested tables under dotted names."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def holder(folder: Path) -> str:
    """Who writes a folder, or wrote it when killed, as ``process 123``; "" for nobody."""
    try:
        return (folder / _HOLDER).read_text(encoding="utf-8")[:40]
    except (OSError, UnicodeDecodeError):
        return ""


def note_holder(folder: Path, who: str) -> None:
    """Let `holder` and `writer` tell of a folder without a lock that `who` writes it; "" for nobody."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _HOLDER).write_text(who, encoding="utf-8")


def writer(folder: Path) -> str:
    """Who writes a folder now, as ``process 123``; "" for nobody, also where a run was killed."""
    if not (folder / _LOCK).is_file():
        return holder(folder)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            return ""
    except Timeout:
        return holder(folder) or "another run"
    except (OSError, NotImplementedError):  # a folder that can only be read, or a disk without locks
        return ""


def _instead() -> str:
    """What to do where another run holds a folder, which may be the same line that a launcher has started too."""
    from xfer.training.crew import strangers

    wait = "wait for it or give another --out"
    if launcher := strangers():
        return f"{wait}; with {launcher}, start one task, or give --devices and --nodes for tasks that train together"
    return wait


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    writer = folder / _HOLDER
    held = acquired(folder / _LOCK, mend="give --out on another one")
    if held is None:
        who = holder(folder) or "another run"
        raise InputError(f"{folder}: is being written by {who}; {_instead()}")
    try:
        writer.write_text(f"process {os.getpid()}", encoding="utf-8")
        yield
    finally:
        writer.unlink(missing_ok=True)
        held.release()
