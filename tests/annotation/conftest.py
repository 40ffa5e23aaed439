"""Raters at work on a few drawn faces."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xfer.annotation import Collection, Session, collect
from xfer.annotation.marks import Click, Stroke
from xfer.annotation.order import PART
from xfer.annotation.parts import parts

Work = Callable[..., Session]


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    """Six drawn faces, one an expression; nobody has marked any."""
    return collect("synthetic", tmp_path / "people", faces=6)


@pytest.fixture
def pair(tmp_path: Path) -> Collection:
    """Two drawn faces, of anger and of fear."""
    return collect("synthetic", tmp_path / "people", faces=2, expressions=["anger", "fear"])


@pytest.fixture
def work() -> Work:
    """Lets a rater answer everything: the mouth is marked, labels are guessed right, checks are passed, or not."""

    def do(
        collection: Collection, name: str, *, attentive: bool = True, seen: str = "", part: str = "mouth"
    ) -> Session:
        session = Session(collection, name, clock=lambda: 0.0)
        while not session.finished:
            task = session.task
            wanted = task.part if task.kind == PART and attentive else part
            if task.kind != PART:
                session.seen = seen or str(collection.label(task.face))
            elif not attentive:
                session.add(Stroke(20, ((5, 5), (30, 5))))
            if task.kind != PART or attentive:
                for i in range(len(parts()[wanted].shapes)):
                    session.add(Click((wanted, i)))
            session.save()
        session.close()
        return session

    return do
