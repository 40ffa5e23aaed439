"""A study in a store, mirrored: a folder here that runs and readers work on, and the URL it is brought to or from.

The folder lies in the user's cache. A run has one of its own and brings all to the store that it writes; readers have
another, into which comes what they ask for and what has changed since.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from math import isnan
from pathlib import Path
from threading import RLock

from xfer.datasets.objects import StoredFile, at, create, listed, reaching
from xfer.errors import InputError
from xfer.study import lease
from xfer.study.cache import STATE, home_of, root
from xfer.study.contents import GROUP, Local, Stored, local, mark, stored
from xfer.study.folder import CHECKPOINTS, CONFIG, COSTS, PARTIALS, SHARDS, holder, require_space, write_whole
from xfer.study.locks import acquired, scratch, swept

RUNS, READERS = "runs", "readers"
CHECKPOINT = ".ckpt"
"""The suffix of what a training goes on from; it must not be newer in the store than the weights beside it."""
_PASSING = (CHECKPOINT, ".best.safetensors")
"""What a training leaves while it goes on; nothing but this and partials is ever removed from a store."""

_LOCK = ".lock"
_TRIES = 3
_MISMATCH = "has changed or is gone although no other run may write there (digest mismatch); run the same line again"


class Mirror:
    """A folder here and the URL it stands for.

    Attributes
    ----------
    url : str
    home : Path
    holder : str
        The identity under which a run held the lease last.
    """

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home, self.holder = url, home, ""
        self._lock, self._names = RLock(), frozenset[str]()
        self._files: dict[str, tuple[str, str]] = {}  # what was brought, by name: its mark here, its version there
        self._load()

    @classmethod
    def at(cls, url: str, kind: str) -> "Mirror":
        """The mirror of a URL, for `RUNS` or for `READERS`."""
        mirror = _opened(url, home_of(url, kind))
        mirror.home.parent.mkdir(parents=True, exist_ok=True)
        if not (mirror.home.parent / STATE).is_file():
            mirror.save()
        return mirror

    @classmethod
    def of(cls, path: Path) -> "Mirror | None":
        """The mirror that a path lies in; None for all other paths, which are what they are."""
        try:
            kind, digest, name = path.absolute().relative_to(root("studies")).parts[:3]
            url = json.loads((root("studies") / kind / digest / STATE).read_text(encoding="utf-8"))["url"]
            home = home_of(url, kind)
        except (ValueError, OSError, KeyError, TypeError, RecursionError):
            return None
        return _opened(url, home) if (home.parent.name, home.name) == (digest, name) else None

    @contextmanager
    def alone(self, wait: bool = False) -> Iterator[None]:
        """Hold the folder, against other processes of this machine.

        Raises
        ------
        InputError
            If another one holds it, or the cache is on a disk without locks.
        """
        lock = acquired(self.home.parent / _LOCK, wait=wait)
        if lock is None:
            who = holder(self.home) or "another process"
            raise InputError(
                f"{self.url}: is being written by {who} of this machine; wait for it or give another --out"
            )
        try:
            swept(self.home.parent, ".pu")  # .pull- and .push- of processes that were killed
            self._load()
            yield
        finally:
            lock.release()

    def begin(self, fresh: bool = False) -> None:
        """Have the configuration here that the store has, and nothing where that has none.

        Raises
        ------
        InputError
            If there are files that are no study's.
        """
        there = stored(self.url)
        if CONFIG not in there and (others := sorted(there.keys() - {COSTS})):
            raise InputError(
                f"{self.url}: holds files that xfer did not write ({others[0]}); give a new folder with --out"
            )
        if CONFIG not in there or fresh:
            shutil.rmtree(self.home, ignore_errors=True)
            self._files.clear()
        self.pull(lambda name: name in (CONFIG, COSTS) and not fresh)

    def pull(self, wanted: Callable[[str], bool], *, alone: bool = False) -> None:
        """Bring here what has changed in the store; take away here what is gone there.

        A folder that is just being written stays as it is here.

        Parameters
        ----------
        wanted : callable
            Which files, by name.
        alone : bool
            Nobody else may write: what changes meanwhile is refused.

        Raises
        ------
        InputError
        """
        with self._lock, reaching(self.url):
            for _ in range(_TRIES):
                there = stored(self.url)
                self._names = frozenset(there)
                for name in [n for n in self._files if n not in there and wanted(n)]:
                    _remove(self.home / name)
                    del self._files[name]
                changed = {n: s for n, s in there.items() if wanted(n) and s.whole and not self._current(n, s)}
                lost = self._fetch(changed) if changed else []
                self.save()
                if not lost:
                    return
                if alone:
                    raise InputError(f"{self.url}/{lost[0]}: {_MISMATCH}")

    def push(self, sure: Callable[[], object] = lambda: None) -> None:
        """Bring to the store what has changed here; then remove what trainings have left behind.

        Weights follow their logs, checkpoints to go on from their weights, everything else the order of writing: where
        this ends half-way, what is there is sound.

        Parameters
        ----------
        sure : callable
            Called before every file; raises where this run may not write any more.

        Raises
        ------
        InputError
            If the store refuses, or the folder here is gone.
        """
        with self._lock, reaching(self.url, "written"), self._checkpoints() as held:
            here = local(self.home)
            if CONFIG not in here:
                raise InputError(f"{self.url}: its working folder in the cache is gone; run the same line again")
            for name, each in sorted(here.items(), key=_turn):
                if not name.endswith(CHECKPOINT) and self._mark(name) != each.mark:
                    sure()
                    self._put(name, self.home / name, each.mark)
            for link in sorted(held.iterdir()):
                name = f"{CHECKPOINTS}/{link.name}"
                if name in here and self._mark(name) != (told := mark({name: link.stat()})):
                    sure()
                    self._put(name, link, told)
            for name in self._files.keys() - here.keys():
                if name.endswith(_PASSING) or name.startswith(f"{PARTIALS}/"):
                    sure()
                    store, path = at(f"{self.url}/{name}")
                    with suppress(FileNotFoundError):
                        store.rm_file(path)
                    del self._files[name]
            self.save()

    def put(self, name: str) -> None:
        """Bring one file to the store."""
        with self._lock, reaching(f"{self.url}/{name}", "written"):
            self._put(name, self.home / name, local(self.home)[name].mark)
            self.save()

    def require(self) -> None:
        """That the store has what was brought there; what it has not is brought there by the next run.

        Raises
        ------
        InputError
        """
        there = {name: each.version for name, each in stored(self.url).items()}
        if lost := sorted(name for name, (_, version) in self._files.items() if there.get(name) != version):
            self._files |= {name: ("", there[name]) for name in lost if name in there}
            self.save()
            raise InputError(f"{self.url}/{lost[0]}: {_MISMATCH}")

    def set_aside(self) -> None:
        """Copy the study in the store to ``NAME.old-N`` and remove it; nothing is lost where that ends half-way.

        Raises
        ------
        InputError
            If it fills a bucket.
        """
        with reaching(self.url, "written"):
            store, root = at(self.url)
            if "/" not in root.strip("/"):
                raise InputError(f"{self.url}: a bucket is not set aside; give {self.url}/NAME with --out")
            names = [name for name in listed(self.url, some=False) if not name.startswith(f"{lease.FOLDER}/")]
            names.sort(key=lambda name: name == CONFIG)  # what makes it a study goes last
            n = 1
            while listed(f"{self.url}.old-{n}", some=False):
                n += 1
            for name in names:
                store.cp_file(f"{root}/{name}", f"{root}.old-{n}/{name}")
            for name in names:
                store.rm_file(f"{root}/{name}")

    @property
    def brought(self) -> bool:
        """Whether the store was brought all that is here."""
        return all(self._mark(name) == each.mark for name, each in local(self.home).items())

    def exists(self, name: str) -> bool:
        """Whether a file is here, or was in the store when that was listed last."""
        return (self.home / name).is_file() or name in self._names

    def save(self) -> None:
        """Remember what was brought."""
        told = {"url": self.url, "holder": self.holder, "files": self._files, "names": sorted(self._names)}
        write_whole(self.home.parent / STATE, lambda aside: aside.write_text(json.dumps(told), encoding="utf-8"))

    def _load(self) -> None:
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            told = json.loads((self.home.parent / STATE).read_text(encoding="utf-8"))
            files = {name: (str(here), str(there)) for name, (here, there) in told["files"].items()}
            self.holder, self._names, self._files = str(told["holder"]), frozenset(map(str, told["names"])), files

    def _current(self, name: str, there: Stored) -> bool:
        return self._files.get(name, ("", ""))[1] == there.version and (self.home / name).exists()

    def _mark(self, name: str) -> str:
        return self._files.get(name, ("", ""))[0]

    def _fetch(self, changed: Mapping[str, Stored]) -> list[str]:
        """Put what the store has into place; the names of what has changed meanwhile, and stays as it was."""
        require_space(self.home.parent, sum(each.size for each in changed.values()))
        files = {name: file for each in changed.values() for name, file in each.files.items()}
        store, root = at(self.url)
        with scratch(self.home.parent, ".pull-") as place:
            aside = {name: place / name for name in files}
            for path in aside.values():
                path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # gone since it was listed, which is told below
                store.get([f"{root}/{name}" for name in files], [str(path) for path in aside.values()])
            after = stored(self.url)
            sizes = {name: path.stat().st_size for name, path in aside.items() if path.is_file()}
            cut = {name for name, file in files.items() if sizes.get(name) != file.size}
            lost = [name for name, each in changed.items() if after.get(name) != each or cut & each.files.keys()]
            for name, file in files.items():
                if name not in cut and not isnan(file.written):
                    os.utime(aside[name], (file.written, file.written))
            for name in changed.keys() - set(lost):
                (self.home / name).parent.mkdir(parents=True, exist_ok=True)
                write_whole(self.home / name, (place / name).rename)
        here = local(self.home)
        self._files |= {name: (here[name].mark, changed[name].version) for name in changed.keys() - set(lost)}
        return lost

    @contextmanager
    def _checkpoints(self) -> Iterator[Path]:
        """Links to the checkpoints as they are before anything else is looked at."""
        with scratch(self.home.parent, ".push-") as place:
            for path in (self.home / CHECKPOINTS).glob(f"*{CHECKPOINT}"):
                with suppress(FileNotFoundError):
                    os.link(path, place / path.name)
            yield place

    def _put(self, name: str, path: Path, told: str) -> None:
        """Bring a file to the store; of two shards of one name the first stays."""
        url = f"{self.url}/{name}"
        try:
            if path.is_dir():
                self._put_folder(name, told)
            elif name.startswith(f"{SHARDS}/") and name not in self._files:
                if not create(url, path) and StoredFile.of(url).size != path.stat().st_size:
                    raise InputError(f"{url}: is another one than was made here (digest mismatch); remove it")
            else:
                store, target = at(url)
                store.put_file(str(path), target)
        except FileNotFoundError:
            if path.exists() and self._still(name, told):
                raise
            return  # written anew meanwhile: it is brought at the next beat
        version = stored(self.url)[name].version if path.is_dir() else StoredFile.of(url).version
        self._files[name] = (told, version)

    def _still(self, name: str, told: str) -> bool:
        return getattr(local(self.home).get(name), "mark", "") == told

    def _put_folder(self, name: str, told: str) -> None:
        """Bring a folder of arrays, which is none until all of it is there."""
        home = self.home / name
        names = [path.relative_to(home).as_posix() for path in sorted(home.rglob("*")) if path.is_file()]
        if not self._still(name, told):
            raise FileNotFoundError(home)
        store, root = at(f"{self.url}/{name}")
        old = listed(f"{self.url}/{name}", some=False)
        if GROUP in old:
            store.rm_file(f"{root}/{GROUP}")
        rest = [each for each in names if each != GROUP]
        store.put([str(home / each) for each in rest], [f"{root}/{each}" for each in rest])
        for gone in old.keys() - {*names, GROUP}:
            store.rm_file(f"{root}/{gone}")
        if not self._still(name, told):
            raise FileNotFoundError(home)
        store.put_file(str(home / GROUP), f"{root}/{GROUP}")


def _turn(item: tuple[str, Local]) -> tuple[bool, bool, int]:
    name, each = item
    return not name.startswith(f"{CHECKPOINTS}/"), name.endswith(".safetensors"), each.written


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@lru_cache(maxsize=64)
def _opened(url: str, home: Path) -> Mirror:
    """One for all threads of a process."""
    return Mirror(url, home)
