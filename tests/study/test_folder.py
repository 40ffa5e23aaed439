"""The study folder: one owner, one writer, whole files."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from xfer.errors import InputError
from xfer.study import folder
from xfer.training import crew

CONFIG = {"format": 1, "kind": "heatmaps", "threshold": "otsu"}


def test_a_claimed_folder_holds_its_config_and_is_resumed(tmp_path: Path) -> None:
    home = tmp_path / "a" / "study"
    with folder.claim(home, CONFIG):
        (home / "scores.csv").write_text("kept")
    with folder.claim(home, CONFIG):
        assert (home / "scores.csv").read_text() == "kept"
    assert folder.read_config(home) == CONFIG


def test_what_a_lost_worker_was_writing_goes_and_what_it_finished_stays(tmp_path: Path) -> None:
    partials = tmp_path / "s" / folder.PARTIALS
    with folder.claim(tmp_path / "s", CONFIG):
        partials.mkdir()
        (partials / ".0a.1-of-3.npz.99.tmp").write_text("half")
        (partials / "0a.0-of-3.npz").write_text("whole")
    assert [path.name for path in partials.iterdir()] == ["0a.0-of-3.npz"]
    with folder.claim(tmp_path / "s", CONFIG):
        (partials / "0a.0-of-3.npz").unlink()
        (partials / ".0a.1-of-3.npz.99.tmp").write_text("half")
    assert not partials.exists()


def test_another_config_is_refused_with_the_differences(tmp_path: Path) -> None:
    with folder.claim(tmp_path / "s", CONFIG):
        pass
    with (
        pytest.raises(InputError) as caught,
        folder.claim(tmp_path / "s", {**CONFIG, "threshold": "area"}),
    ):
        pass
    assert str(caught.value) == (
        f"{tmp_path / 's'}: belongs to another study (threshold: 'otsu' there, 'area' now); "
        "give another --out, or --fresh to set the old one aside"
    )


def test_fresh_sets_the_old_study_aside_and_loses_nothing(tmp_path: Path) -> None:
    for n in range(3):
        with folder.claim(tmp_path / "s", {**CONFIG, "threshold": str(n)}, fresh=True):
            (tmp_path / "s" / "mine.txt").write_text(str(n))
    assert (tmp_path / "s.old-1" / "mine.txt").read_text() == "0"
    assert (tmp_path / "s.old-2" / "mine.txt").read_text() == "1"
    assert (tmp_path / "s" / "mine.txt").read_text() == "2"


@pytest.mark.parametrize("fresh", [False, True])
def test_a_foreign_folder_is_never_touched(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("mine")
    with (
        pytest.raises(InputError, match="holds files that xfer did not write; give a new folder with --out"),
        folder.claim(tmp_path / "photos", CONFIG, fresh=fresh),
    ):
        pass
    assert sorted(p.name for p in (tmp_path / "photos").iterdir()) == ["a.jpg"]


def test_links_and_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("x")
    for name, text in (("link", "is a link"), ("file", "is a file")):
        with pytest.raises(InputError, match=text), folder.claim(tmp_path / name, CONFIG):
            pass
    assert list((tmp_path / "real").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cannot be written \(.*\); give another --out"):  # noqa: SIM117
        with folder.claim(tmp_path / "file" / "study", CONFIG):
            pass


@pytest.mark.parametrize("text", ["format = 2\n", "format = [", "\xff\xfe"])
def test_a_damaged_or_foreign_study_toml_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"study\.toml: (not a study written by xfer|format 2; this xfer reads)"):
        folder.read_config(tmp_path)


def test_what_is_told_of_another_version_works(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("format = 2\n")
    told = "use the version of xfer that wrote it, or make it anew in another folder with --out$"
    with pytest.raises(InputError, match=told), folder.claim(tmp_path, CONFIG, fresh=True):
        raise AssertionError
    with folder.claim(tmp_path / "another", CONFIG):
        pass


_HOLD = """
import sys, time
from pathlib import Path
from xfer.study import folder
with folder.claim(Path(sys.argv[1]), {"format": 1, "kind": "heatmaps", "threshold": "otsu"}):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_told_who_holds_the_folder_and_kill_9_frees_it(tmp_path: Path) -> None:
    home = tmp_path / "s"
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(home)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError) as caught, folder.claim(home, CONFIG, fresh=True):
            pass
        assert str(caught.value) == (
            f"{home}: is being written by process {other.pid}; wait for it or give another --out"
        )
        other.send_signal(signal.SIGKILL)
    time.sleep(0.05)
    with folder.claim(home, CONFIG):
        assert (home / "study.toml").is_file()


def test_a_line_that_srun_starts_several_times_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    told = f"^{tmp_path}: is being written by process {os.getpid()}; wait for it or give another --out"
    more = "; with srun, start one task, or give --devices and --nodes for tasks that train together"
    with folder.claim(tmp_path, CONFIG):
        with pytest.raises(InputError, match=f"{told}{more}$"), folder.claim(tmp_path, CONFIG):
            pass
        monkeypatch.setattr(crew, "_crew", "those that srun started")
        with pytest.raises(InputError, match=f"{told}$"), folder.claim(tmp_path, CONFIG):
            pass


def test_write_whole_keeps_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"
    target.write_text("old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        folder.write_whole(target, fail)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["scores.csv"]  # noqa: PTH208


def test_two_who_write_a_file_at_once_do_not_meet(tmp_path: Path) -> None:
    """Threads have one process number, as processes of two machines may have."""
    both, asides = threading.Barrier(2, timeout=60), list[Path]()

    def write(path: Path) -> None:
        asides.append(path)
        path.write_text("half")
        both.wait()
        path.write_text("format = 1")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: folder.write_whole(tmp_path / "study.toml", write), range(2)))
    assert (tmp_path / "study.toml").read_text() == "format = 1"
    assert len(set(asides)) == 2
    for left in asides:
        left.write_text("half")
        assert folder._ours(left)
    folder._freeze(tmp_path, {"format": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_write_whole_replaces_folders(tmp_path: Path) -> None:
    for text in ("one", "two"):

        def write(path: Path, text: str = text) -> None:
            path.mkdir()
            (path / "x").write_text(text)

        folder.write_whole(tmp_path / "store", write)
    assert (tmp_path / "store" / "x").read_text() == "two"


@pytest.mark.parametrize("label", ["../../etc", "a/b", "=1+1", "<script>", "..", ""])
def test_slugs_are_single_harmless_names(label: str) -> None:
    name = folder.slug(label)
    assert name
    assert "/" not in name
    assert not name.startswith((".", "-", "="))


def test_a_run_killed_at_its_first_write_does_not_block_the_next(tmp_path: Path) -> None:
    home = tmp_path / "s"
    home.mkdir()
    (home / ".study.toml.99.tmp").write_text("form")
    (home / ".lock").touch()
    with folder.claim(home, CONFIG):
        pass
    assert not list(home.glob("*.tmp"))


def test_space_is_checked_before_work(tmp_path: Path) -> None:
    folder.require_space(tmp_path, 1)
    with pytest.raises(InputError, match=r"needs 1000000000000 MB, the disk has \d+ MB; make room or give another"):
        folder.require_space(tmp_path, 10**18)
