"""A rater's file survives crashes, full disks and a second writer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xfer.annotation import journal
from xfer.annotation.journal import Journal, held, read
from xfer.errors import InputError

HEADER = {"rater": "0123456789ab", "faces": "f" * 16}
HOLD = """
import sys
from pathlib import Path
from xfer.annotation.journal import Journal
Journal(Path(sys.argv[1]), {"rater": "0123456789ab", "faces": "f" * 16}).append({"n": 0})
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0123456789ab.jsonl"


def test_lines_come_back_and_the_file_only_grows(path: Path) -> None:
    first = Journal(path, HEADER)
    first.append({"n": 0})
    before = path.read_bytes()
    first.close()
    second = Journal(path, HEADER)
    assert second.lines == [{"n": 0}]
    assert not second.mended
    second.append({"n": 1})
    second.close()
    assert path.read_bytes().startswith(before)
    assert read(path, HEADER) == [{"n": 0}, {"n": 1}]


def test_a_torn_last_line_is_mended_wherever_it_was_torn(path: Path) -> None:
    whole = Journal(path, HEADER)
    whole.append({"n": 0})
    start = path.stat().st_size
    whole.append({"n": 1, "marks": [{"brush": 9, "path": [1, 2]}]})
    whole.close()
    data = path.read_bytes()
    for cut in range(start + 1, len(data)):
        path.write_bytes(data[:cut])
        assert read(path, HEADER) == [{"n": 0}]
        mended = Journal(path, HEADER)
        assert mended.mended
        assert mended.lines == [{"n": 0}]
        mended.close()
        assert path.read_bytes() == data[:start]


def test_a_torn_header_is_written_again(path: Path) -> None:
    path.write_bytes(b'{"format":1,"ra')
    one = Journal(path, HEADER)
    one.close()
    assert json.loads(path.read_text()) == {"format": 1, **HEADER}


@pytest.mark.parametrize("damage", [b"nonsense", b"[1]", b"{" * 5000, b"\xff\xfe"])
def test_damage_in_the_middle_is_named_with_its_line(path: Path, damage: bytes) -> None:
    path.write_bytes(json.dumps({"format": 1, **HEADER}).encode() + b"\n" + damage + b'\n{"n":0}\n')
    with pytest.raises(InputError, match="line 2 is damaged; take it away to keep the others"):
        Journal(path, HEADER)
    assert not held(path)


def test_a_file_for_other_faces_is_refused(path: Path) -> None:
    Journal(path, HEADER).close()
    with pytest.raises(InputError, match="faces 'ffffffffffffffff' where 'other' was expected"):
        Journal(path, {**HEADER, "faces": "other"})


def test_a_second_process_is_told_and_a_killed_one_frees_the_name(path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert held(path)
        with pytest.raises(InputError, match="this name is painting in another window; if that is you, shut"):
            Journal(path, HEADER)
        other.kill()
    assert not held(path)
    assert read(path, HEADER) == [{"n": 0}]


def test_the_same_process_takes_over_and_the_earlier_window_is_told(path: Path) -> None:
    first = Journal(path, HEADER)
    second = Journal(path, HEADER)
    with pytest.raises(InputError, match="this rater goes on in another window; close this one"):
        first.append({"n": 0})
    second.append({"n": 0})
    second.close()


def test_every_line_is_on_the_disk_before_append_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, synced = Journal(path, HEADER), []
    fsync = os.fsync

    def watched(number: int) -> None:
        synced.append(path.read_bytes().endswith(b'{"n":0}\n'))
        fsync(number)

    monkeypatch.setattr(journal.os, "fsync", watched)
    one.append({"n": 0})
    one.close()
    assert synced == [True]


def test_a_full_disk_leaves_the_file_whole_and_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Journal(path, HEADER)

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "fsync", full)
        with pytest.raises(InputError, match="this face could not be saved \\(No space left on device\\); try again"):
            one.append({"n": 0})
    assert read(path, HEADER) == []
    one.append({"n": 0})
    one.close()
    assert read(path, HEADER) == [{"n": 0}]
