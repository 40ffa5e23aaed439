"""Mirrors in the user's cache: whose they are, and which of them go."""

import os
import shutil
import time

import pytest

from xfer.study import cache, places
from xfer.study.mirror import READERS, RUNS, Mirror
from xfer.study.places import writing

URL = "memory://box/study"
FILES = {"study.toml": "a", "scores.csv": "b"}


def write(home, files):
    for name, text in files.items():
        home.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)


@pytest.fixture
def run(store):
    """A run's mirror, all of which was brought."""
    found = Mirror.at(URL, RUNS)
    write(found.home, FILES)
    found.push()
    return found


def test_machines_with_one_cache_have_mirrors_of_their_own(store, run, monkeypatch):
    with run.alone():
        monkeypatch.setattr(cache.platform, "node", lambda: "another")
        other = Mirror.at(URL, RUNS)
        assert other.home != run.home
        assert other.home.is_relative_to(cache.root("studies"))
        assert Mirror.of(run.home) is None
        with other.alone():
            assert Mirror.of(other.home) is other


def test_mirrors_that_nobody_uses_go_when_the_store_has_all_of_them(store, run, machine, monkeypatch):
    days = {"used": 1, "old": 31, "unsent": 31, "held": 31}
    kept = {}
    for name, age in days.items():
        each = kept[name] = Mirror.at(f"memory://box/{name}", RUNS)
        write(each.home, FILES)
        each.push()
        if name == "unsent":
            write(each.home, {"scores.csv": "later"})
        written_then = time.time() - age * 86400
        os.utime(each.home.parent / cache.STATE, (written_then, written_then))
    damaged = cache.root("studies") / READERS / "0a"
    write(damaged, {cache.STATE: "["})
    os.utime(damaged / cache.STATE, (0, 0))
    with kept["held"].alone():
        writing("memory://box/other")
    assert {name for name, each in kept.items() if each.home.exists()} == {"used", "unsent", "held"}
    assert not kept["old"].home.parent.exists()


def test_a_mirror_that_is_used_or_removed_while_others_are_looked_through_is_left_alone(store, run, monkeypatch):
    kept = {name: Mirror.at(f"memory://box/{name}", RUNS) for name in ("gone", "used")}
    for each in kept.values():
        write(each.home, FILES)
        each.push()
        os.utime(each.home.parent / cache.STATE, (0, 0))
    found = [each.home.parent for each in kept.values()]

    def unused():
        shutil.rmtree(kept["gone"].home.parent)
        assert not cache.is_unused(kept["gone"].home.parent), "by another run"
        kept["used"].save()
        return found

    assert sorted(cache.unused()) == sorted(found)
    monkeypatch.setattr(places, "unused", unused)
    places.retire()
    assert kept["used"].home.is_dir()
