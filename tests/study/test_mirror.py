"""A folder and its URL: what is brought, in which order, what changes, goes or is half there meanwhile."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from xfer.datasets.objects import StoredFile
from xfer.errors import InputError
from xfer.study import cache, contents, mirror
from xfer.study.mirror import READERS, RUNS, Mirror
from xfer.study.places import exists, here, light, named, reading, writing, written

URL = "memory://box/study"
FILES = {"study.toml": "a", "scores.csv": "b", "shards/0a.npz": "c", "checkpoints/net-f0.csv": "d"}


def write(home: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)


def there(store: Any) -> dict[str, str]:
    found = {path.removeprefix("/box/study/"): store.cat(path).decode() for path in store.find("/box/study")}
    return dict(sorted(found.items()))


def read(home: Path) -> dict[str, str]:
    files = (path for path in home.rglob("*") if path.is_file() and path.name != ".lock-holder")
    return dict(sorted((path.relative_to(home).as_posix(), path.read_text()) for path in files))


@pytest.fixture
def run(store: Any) -> Mirror:
    """A run's mirror, all of which was brought."""
    found = Mirror.at(URL, RUNS)
    write(found.home, FILES)
    found.push()
    return found


def everything(name: str) -> bool:
    return True


def test_what_is_written_is_brought_and_what_is_hidden_is_not(store, run):
    hidden = {".lock": "", ".pixels-1.tmp": "x", ".scores.csv.7.tmp": "x", ".heatmaps.zarr.7.new/.zgroup": "x"}
    write(run.home, {**hidden, "shards/.0b.npz.7.tmp": "x", "units.jsonl": "1\n"})
    run.push()
    assert there(store) == dict(sorted({**FILES, "units.jsonl": "1\n"}.items()))
    write(run.home, {"units.jsonl": "1\n2\n"})
    run.push()
    assert there(store)["units.jsonl"] == "1\n2\n"


def test_partials_that_are_merged_here_go_there_too(store, run):
    write(run.home, {"partials/0a.0-of-2.0-9.npz": "x"})
    run.push()
    assert "partials/0a.0-of-2.0-9.npz" in there(store)
    (run.home / "partials/0a.0-of-2.0-9.npz").unlink()
    run.push()
    assert there(store) == dict(sorted(FILES.items()))


def test_what_is_lost_here_is_not_lost_there(store, run):
    (run.home / "scores.csv").unlink()
    run.push()
    assert there(store)["scores.csv"] == "b"
    run.pull(everything)
    assert (run.home / "scores.csv").read_text() == "b"
    shutil.rmtree(run.home)
    with pytest.raises(InputError, match=f"^{URL}: its working folder in the cache is gone; run the same line again$"):
        run.push()
    assert there(store) == dict(sorted(FILES.items()))


def test_nothing_is_brought_twice(store, run, monkeypatch):
    monkeypatch.setattr(type(store), "put_file", None)
    run.push()


def test_another_machine_gets_it_and_goes_on(store, run, machine):
    machine("second")
    second = Mirror.at(URL, RUNS)
    assert second.home != run.home
    second.pull(everything, alone=True)
    assert read(second.home) == dict(sorted(FILES.items()))
    write(second.home, {"scores.csv": "new"})
    second.push()
    store.rm("/box/study/checkpoints/net-f0.csv")
    for mirrored in (run, second):
        mirrored.pull(everything)
    assert read(run.home) == read(second.home) == there(store)


def test_what_was_not_brought_in_time_is_brought_by_the_next_run(store, run):
    write(run.home, {"scores.csv": "later"})
    mirror._opened.cache_clear()
    again = Mirror.at(URL, RUNS)
    assert again is not run
    again.pull(everything)
    assert read(run.home)["scores.csv"] == "later"
    again.push()
    assert there(store)["scores.csv"] == "later"


def test_a_checkpoint_is_never_newer_than_the_weights_beside_it(store, run, monkeypatch):
    """Between two looks at the folder an epoch ends: its checkpoint waits for the next time."""
    files = {"checkpoints/net.best.safetensors": "epoch 1", "checkpoints/net.ckpt": "epoch 1"}
    write(run.home, files)

    def seen(home):
        found = contents.local(home)
        for name in files:
            Path(home, "aside").write_text("epoch 2")
            Path(home, "aside").replace(Path(home, name))
        return found

    monkeypatch.setattr(mirror, "local", seen)
    run.push()
    assert there(store)["checkpoints/net.ckpt"] == "epoch 1"
    assert there(store)["checkpoints/net.best.safetensors"] == "epoch 2"
    monkeypatch.undo()
    run.push()
    assert there(store)["checkpoints/net.ckpt"] == "epoch 2"
    (run.home / "checkpoints/net.best.safetensors").rename(run.home / "checkpoints/net.safetensors")
    (run.home / "checkpoints/net.ckpt").unlink()
    run.push()
    assert [n for n in there(store) if "net." in n] == ["checkpoints/net.safetensors"]


ARRAYS = {".zgroup": "g", ".zattrs": "1", "heatmaps/0.0.0": "old", "heatmaps/1.0.0": "old"}


def arrays(files: dict[str, str]) -> dict[str, str]:
    return {f"heatmaps.zarr/{name}": text for name, text in files.items()}


def test_of_a_folder_of_arrays_readers_see_the_old_or_the_new_one(store, run, machine, monkeypatch):
    write(run.home, arrays(ARRAYS))
    run.push()
    machine("reader")
    seen = []
    reader = Mirror.at(URL, READERS)

    def look():
        reader.pull(light)
        shown = {n: t for n, t in read(reader.home).items() if "zarr" in n}
        if not seen or seen[-1] != shown:
            seen.append(shown)

    look()
    put_file = type(store).put_file

    def watched(self, *arguments, **options):
        look()
        put_file(self, *arguments, **options)
        look()

    new = {".zgroup": "g", ".zattrs": "2", "heatmaps/0.0.0": "new"}
    (run.home / "heatmaps.zarr/heatmaps/1.0.0").unlink()
    write(run.home, arrays(new))
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "put_file", watched)
        run.push()
    assert seen == [dict(sorted(arrays(ARRAYS).items())), dict(sorted(arrays(new).items()))]
    machine("newcomer")
    store.rm("/box/study/heatmaps.zarr/.zgroup")
    newcomer = reading(URL)
    assert not (newcomer / "heatmaps.zarr").exists()


def test_a_folder_of_arrays_that_is_written_anew_meanwhile_waits_for_the_next_time(store, run, monkeypatch):
    write(run.home, arrays(ARRAYS))
    put = type(store).put

    def late(self, *arguments, **options):
        put(self, *arguments, **options)
        write(run.home, arrays({"heatmaps/0.0.0": "newer"}))

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "put", late)
        run.push()
    assert "heatmaps.zarr/.zgroup" not in there(store)
    run.push()
    assert there(store)["heatmaps.zarr/heatmaps/0.0.0"] == "newer"
    assert there(store)["heatmaps.zarr/.zgroup"] == "g"
    (run.home / "heatmaps.zarr").rename(run.home / ".heatmaps.zarr.7.old")
    run.push()
    assert there(store)["heatmaps.zarr/.zgroup"] == "g"


def test_weights_follow_their_log(store, run, monkeypatch):
    names = ["scores.csv", "checkpoints/net-f0.safetensors", "checkpoints/net-f0.csv"]
    for name in reversed(names):
        write(run.home, {name: "final"})
    brought, put_file = [], type(store).put_file

    def recorded(self, path, target, **options):
        brought.append(target.removeprefix("/box/study/"))
        put_file(self, path, target, **options)

    monkeypatch.setattr(type(store), "put_file", recorded)
    os.utime(run.home / names[1], (0, 0))  # written as the best so far, long before the log
    run.push()
    assert brought == [names[2], names[1], names[0]]


def test_what_changes_while_it_is_read_is_refused_to_a_run_and_read_again_by_readers(store, run, machine, monkeypatch):
    machine("second")
    get = type(store).get

    def once(change):
        def changed(self, *arguments, **options):
            monkeypatch.setattr(type(store), "get", get)
            change()
            return get(self, *arguments, **options)

        monkeypatch.setattr(type(store), "get", changed)

    lost = f"^{URL}/scores.csv: has changed or is gone although no other run may write there \\(digest mismatch\\)"
    for change in (lambda: store.pipe("/box/study/scores.csv", b"more"), lambda: store.rm("/box/study/scores.csv")):
        once(change)
        with pytest.raises(InputError, match=lost):
            Mirror.at(URL, RUNS).pull(everything, alone=True)
        store.pipe("/box/study/scores.csv", b"b")
        once(change)
        Mirror.at(URL, READERS).pull(light)
        assert (Mirror.at(URL, READERS).home / "scores.csv").is_file() == store.exists("/box/study/scores.csv")
        store.pipe("/box/study/scores.csv", b"b")


def test_what_somebody_changes_in_the_store_is_named_and_put_right_by_the_same_line(store, run):
    for change in (lambda: store.pipe("/box/study/shards/0a.npz", b"z"), lambda: store.rm("/box/study/scores.csv")):
        change()
        with pytest.raises(InputError, match=f"^{URL}/(shards/0a.npz|scores.csv): has changed or is gone"):
            run.require()
    run.pull(everything)
    run.push()
    assert there(store)["shards/0a.npz"] == "c"
    run.require()


def test_of_two_shards_of_one_name_the_first_stays(store, run):
    store.pipe("/box/study/shards/0b.npz", b"first")
    write(run.home, {"shards/0b.npz": "later"})
    run.push()
    assert there(store)["shards/0b.npz"] == "first"
    store.pipe("/box/study/shards/0c.npz", b"first")
    write(run.home, {"shards/0c.npz": "longer"})
    with pytest.raises(InputError, match=r"shards/0c.npz: is another one than was made here \(digest mismatch\)"):
        run.push()


def test_a_bucket_that_was_emptied_begins_anew_and_one_with_other_files_is_refused(store, run):
    store.rm("/box/study", recursive=True)
    home = writing(URL)
    assert home == run.home
    assert read(home) == {}
    store.pipe("/box/study/holiday.jpg", b"")
    with pytest.raises(InputError, match=rf"^{URL}: holds files that xfer did not write \(holiday.jpg\); give a"):
        writing(URL)


def test_what_is_set_aside_is_whole_and_leaves_nothing(store, run):
    store.pipe("/box/study/.lease/000001", b"mine")
    run.set_aside()
    write(run.home, {"study.toml": "second"})
    run.push()
    run.set_aside()
    assert there(store) == {".lease/000001": "mine"}
    assert store.cat("/box/study.old-1/shards/0a.npz") == b"c"
    assert store.cat("/box/study.old-2/study.toml") == b"second"
    whole = Mirror.at("memory://box", RUNS)
    with pytest.raises(InputError, match=r"^memory://box: a bucket is not set aside; give memory://box/NAME"):
        whole.set_aside()


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "a\\b", "a//b", "./a"])
def test_names_that_lead_elsewhere_are_no_part_of_a_study(monkeypatch, name):
    files = {name: StoredFile(name, 1, "1"), "study.toml": StoredFile("study.toml", 1, "1")}
    monkeypatch.setattr(contents, "listed", lambda url, some: files)
    assert list(contents.stored(URL)) == ["study.toml"]


def test_readers_fetch_shards_when_they_are_asked_for(store, run, machine):
    store.pipe("/box/study/checkpoints/net-f0.safetensors", b"w")
    machine("reader")
    home = reading(URL)
    assert read(home) == {n: t for n, t in sorted(FILES.items()) if light(n)}
    assert exists(home / "checkpoints/net-f0.safetensors")
    assert not exists(home / "checkpoints/other-f0.safetensors")
    assert here(home / "shards/0a.npz").read_text() == "c"
    assert not here(home / "shards/0b.npz").exists()
    (home / "report.html").write_text("page")
    written(home / "report.html")
    assert there(store)["report.html"] == "page"


def test_users_are_told_of_urls(store, run, tmp_path):
    assert named(run.home) == URL
    assert named(run.home / "shards/0a.npz") == f"{URL}/shards/0a.npz"
    assert named(tmp_path / "study") == str(tmp_path / "study")
    assert named(run.home.parent / "mirror.json") == str(run.home.parent / "mirror.json")


def test_a_folder_of_a_stranger_is_no_mirror(tmp_path):
    write(tmp_path, {"mirror.json": '{"url": "memory://elsewhere/x"}', "study/study.toml": ""})
    assert Mirror.of(tmp_path / "study") is None
    assert reading(tmp_path) == writing(tmp_path) == tmp_path
    assert reading(f"file://{tmp_path}") == tmp_path


def test_what_killed_processes_left_beside_a_mirror_goes(store, run):
    write(run.home.parent, {".pull-1/scores.csv": "x", ".push-1/net.ckpt": "x", ".purple": ""})
    with run.alone():
        pass
    assert sorted(path.name for path in run.home.parent.iterdir()) == [".lock", ".purple", "mirror.json", "study"]


@pytest.mark.parametrize(
    "told",
    ["[]", "{", '{"url": 1}', '{"url": "memory://box/study", "holder": 1, "names": [[1]], "files": []}', "[" * 9999],
)
def test_a_damaged_memory_of_what_was_brought_is_none(store, run, told):
    (run.home.parent / cache.STATE).write_text(told)
    mirror._opened.cache_clear()
    again = Mirror.at(URL, RUNS)
    again.push()
    assert there(store) == dict(sorted(FILES.items()))
    assert Mirror.of(run.home) is again
