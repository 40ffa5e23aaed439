"""Locks of the operating system, which a killed process frees, and folders that go with the processes that use them."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from xfer.errors import InputError

_LOCK = ".lock"
_LOCKLESS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def acquired(path: Path, *, wait: bool = False, mend: str = "set XDG_CACHE_HOME") -> FileLock | None:
    """The lock on a file, held until it is released or the process ends; None where another one holds it.

    Raises
    ------
    InputError
        If the disk knows no locks, as some that a network shares; it ends with what would work.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        return None
    except (OSError, NotImplementedError) as error:
        if getattr(error, "errno", errno.ENOSYS) not in _LOCKLESS:
            raise
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path.parent}: its disk knows no locks ({why}); {mend}") from None
    return lock


def used(folder: Path) -> FileLock:
    """Make a folder, if it is not there, and keep `swept` from it until the lock is released or this process ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = None
    while lock is None:  # `swept` may look at a new file before it is locked
        lock = acquired(folder.with_name(f"{folder.name}.{uuid4().hex[:8]}{_LOCK}"))
    folder.mkdir(exist_ok=True)
    return lock


def swept(parent: Path, prefix: str = "") -> None:
    """Remove the folders that begin with a prefix and that no process uses: those that had them were killed."""
    for folder in [path for path in parent.glob(f"{prefix}*") if path.is_dir() and not path.is_symlink()]:
        locks = sorted(parent.glob(f"{folder.name}.*{_LOCK}"))
        with ExitStack() as stack:
            if all(_taken(path, stack) for path in locks):
                shutil.rmtree(folder, ignore_errors=True)
                for path in locks:
                    path.unlink(missing_ok=True)


def _taken(path: Path, stack: ExitStack) -> bool:
    """Whether nobody else holds a lock, which is held then to the end of a block."""
    if (lock := acquired(path)) is not None:
        stack.callback(lock.release)
    return lock is not None


@contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder for the time of a block; where its process is killed, `swept` removes it."""
    folder = parent / f"{prefix}{uuid4().hex[:8]}"
    lock = used(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
