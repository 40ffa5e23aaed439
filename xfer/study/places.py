"""Where a study is: in a folder, or at a URL of a store, of which a mirror is kept here."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from shutil import rmtree
from typing import Any

from xfer.datasets.objects import place
from xfer.errors import InputError
from xfer.study import lease
from xfer.study.cache import STATE, is_unused, unused
from xfer.study.folder import MAPS, PARTIALS, SHARDS, note_holder, read_config, slug
from xfer.study.mirror import CHECKPOINT, READERS, RUNS, Mirror


def light(name: str) -> bool:
    """Whether readers need a file at once: tables, maps and logs; not shards, their parts, weights and maps of faces.

    >>> light("scores.csv"), light("checkpoints/songnet-f0.csv"), light("shards/0a.npz"), light("partials/0a.npz")
    (True, True, False, False)
    """
    return not name.startswith((f"{SHARDS}/", f"{PARTIALS}/", f"{MAPS}/")) and not name.endswith(
        (".safetensors", CHECKPOINT)
    )


def writing(where: str | Path) -> Path:
    """The folder of a study that is to be written, with its configuration where there is one.

    Raises
    ------
    InputError
        If a URL cannot be read, or holds something else.
    """
    found = place(where) if isinstance(where, str) else where
    if isinstance(found, Path):
        return found
    retire()
    mirror = Mirror.at(found, RUNS)
    with mirror.alone():
        mirror.begin()
    return mirror.home


def retire() -> None:
    """Remove the mirrors that nobody has used for long, and whose stores were brought all that is in them."""
    for kept in unused():
        with suppress(OSError, ValueError, KeyError, TypeError):  # damaged, or in use after all
            url = str(json.loads((kept / STATE).read_text(encoding="utf-8"))["url"])
            mirror = Mirror(url, kept / slug(PurePosixPath(url).name))
            with mirror.alone():
                if mirror.brought and is_unused(kept):  # still: a reader may have come and gone
                    rmtree(kept, ignore_errors=True)


def reading(where: str | Path, wanted: Callable[[str], bool] = light) -> Path:
    """The folder of a study that is to be read, with what has changed since it was read last.

    Parameters
    ----------
    where : path or URL
    wanted : callable
        Which of its files are needed at once; others are fetched when `here` is asked for them.

    Raises
    ------
    InputError
        If a URL cannot be read.
    """
    found = place(where) if isinstance(where, str) else where
    if isinstance(found, Path):
        return found
    retire()
    mirror = Mirror.at(found, READERS)
    with mirror.alone(wait=True):
        mirror.pull(wanted)
        note_holder(mirror.home, lease.told(found))
    return mirror.home


def named(path: Path) -> str:
    """A file or folder of a study as its user knows it: a path, or a URL."""
    mirror = Mirror.of(path)
    if mirror is None:
        return str(path)
    inner = path.absolute().relative_to(mirror.home).as_posix()
    return mirror.url if inner == "." else f"{mirror.url}/{inner}"


def config_of(home: Path) -> dict[str, Any] | None:
    """The configuration of a study, as `xfer.study.folder.read_config` reads it; errors name its URL."""
    try:
        return read_config(home)
    except InputError as error:
        raise InputError(str(error).replace(str(home), named(home))) from None


def here(path: Path) -> Path:
    """A file of a study, fetched where it is in a store and not here yet."""
    mirror = None if path.exists() else Mirror.of(path)
    if mirror is not None:
        name = path.absolute().relative_to(mirror.home).as_posix()
        mirror.pull(lambda each: each == name)
    return path


def exists(path: Path) -> bool:
    """Whether a study has a file, here or in its store."""
    mirror = None if path.is_file() else Mirror.of(path)
    return path.is_file() if mirror is None else mirror.exists(path.absolute().relative_to(mirror.home).as_posix())


def written(path: Path) -> None:
    """Bring a file to the store, where its study has one."""
    if (mirror := Mirror.of(path)) is not None:
        mirror.put(path.absolute().relative_to(mirror.home).as_posix())
