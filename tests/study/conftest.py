"""Machines that share nothing but a store."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from xfer.study import claiming, lease

Machine = Callable[[str], None]
"""See `machine`."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Be another machine: with a cache of its own. Beats are short on all of them."""
    monkeypatch.setattr(lease, "BEAT", 0.1)
    monkeypatch.setattr(claiming, "EVERY", 0.05)

    def be(name: str) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "machines" / name))

    be("first")
    return be


@pytest.fixture
def store(machine: Machine) -> Iterator[Any]:
    """A store in memory; studies are at ``memory://box/study``."""
    store = fsspec.filesystem("memory")
    store.rm("/box", recursive=True) if store.exists("/box") else None
    yield store
    store.rm("/box", recursive=True) if store.exists("/box") else None
