"""Locks, and folders that go with the processes that use them."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from xfer.errors import InputError
from xfer.study import folder, locks

KILLED = """
import os, sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
spec = spec_from_file_location("locks", sys.argv[2])
locks = module_from_spec(spec)
spec.loader.exec_module(locks)
with locks.scratch(Path(sys.argv[1]), ".pull-") as place:
    (place / "half").write_text("x")
    print(place.name, flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), 9)
"""


def test_a_folder_in_use_stays_and_that_of_a_killed_process_goes(tmp_path: Path) -> None:
    (tmp_path / ".pull-file").write_text("")
    (tmp_path / "study").mkdir()
    with locks.scratch(tmp_path, ".pull-") as mine:
        line = [sys.executable, "-c", KILLED, str(tmp_path), locks.__file__]
        process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        theirs = tmp_path / process.stdout.readline().strip()
        locks.swept(tmp_path, ".pull-")
        assert mine.is_dir()
        assert (theirs / "half").is_file()
        process.communicate("")
        locks.swept(tmp_path, ".pull-")
        assert mine.is_dir()
        assert not theirs.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".pull-file", "study"]


def test_of_several_users_the_last_one_counts(tmp_path: Path) -> None:
    first, second = locks.used(tmp_path / "run"), locks.used(tmp_path / "run")
    first.release()
    locks.swept(tmp_path)
    assert (tmp_path / "run").is_dir()
    second.release()
    locks.swept(tmp_path)
    assert not list(tmp_path.iterdir())


def test_who_begins_to_use_a_folder_while_another_looks_at_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All workers of a machine begin at once, and each looks at the locks of all, some of which are just being made."""
    looked: list[FileLock] = []
    acquired = locks.acquired

    def late(path: Path) -> FileLock | None:
        if not looked:
            looked.append(FileLock(path))
            looked[0].acquire()
        return acquired(path)

    monkeypatch.setattr(locks, "acquired", late)
    lock = locks.used(tmp_path / "run")
    looked[0].release()
    assert lock.is_locked
    locks.swept(tmp_path)
    assert (tmp_path / "run").is_dir()


def test_a_disk_without_locks_is_told_with_what_would_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: FileLock, timeout: float) -> None:
        raise OSError(number, "No locks available")

    def unknown(self: FileLock, timeout: float = 0) -> None:
        raise NotImplementedError

    monkeypatch.setattr(FileLock, "acquire", fails)
    number = errno.ENOLCK
    with pytest.raises(InputError, match=rf"^{tmp_path}: its disk knows no locks \(No locks available\); set XDG"):
        locks.acquired(tmp_path / ".lock")
    expected = rf"^{tmp_path}/s: its disk knows no locks \(No locks available\); give --out on another one$"
    with pytest.raises(InputError, match=expected), folder.claim(tmp_path / "s", {"format": 1}):
        raise AssertionError
    number = errno.EIO
    with pytest.raises(OSError, match="No locks"):
        locks.acquired(tmp_path / ".lock")
    monkeypatch.setattr(FileLock, "acquire", unknown)
    (tmp_path / "s" / ".lock").touch()
    assert folder.writer(tmp_path / "s") == "", "whoever reads is not stopped"
    with pytest.raises(InputError, match="its disk knows no locks"):
        locks.acquired(tmp_path / ".lock")
