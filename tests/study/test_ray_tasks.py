"""Tasks that are lost or cannot begin, in whatever way Ray tells it; no Ray is needed."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from xfer.errors import TrainingError
from xfer.study.engine import Needs, ray_tasks
from xfer.study.engine.ray_tasks import Tasks


class RayError(Exception):
    """As Ray's."""


class RayTaskError(RayError):
    """As Ray's."""


class NodeDiedError(RayError):
    """As Ray's."""


class WorkerCrashedError(RayError):
    """As Ray's."""


class ObjectLostError(RayError):
    """As Ray's."""


class ObjectFetchTimedOutError(ObjectLostError):
    """As Ray's."""


ERRORS = (RayError, RayTaskError, NodeDiedError, WorkerCrashedError, ObjectLostError, ObjectFetchTimedOutError)


@dataclass(frozen=True)
class Chore:
    """A unit."""

    pictures: Any


def tasks(monkeypatch: pytest.MonkeyPatch, *ended: Exception) -> Tasks:
    """A unit's tasks end with one error after another, the next with a result."""
    ends = iter(ended)

    def get(reference: Any) -> Any:
        for error in ends:
            raise error
        return "done", 0.0, []

    def put(value: Any) -> Any:
        raise RayError("Out of disk\nsee logs")

    made = object.__new__(Tasks)
    errors = SimpleNamespace(**{each.__name__: each for each in ERRORS})
    made._ray = SimpleNamespace(exceptions=errors, get=get, put=put)
    made._freight, made._needs, made._demands, made._sent = None, Needs(shared="pictures"), {"CPU": 1.0}, {}
    monkeypatch.setattr(made, "_limit", lambda: 1)
    monkeypatch.setattr(made, "_finished", lambda begun: begun)
    return made


@pytest.mark.parametrize(
    ("error", "counts", "why"),
    [
        (NodeDiedError, False, ""),
        (ObjectLostError, False, ""),
        (ObjectFetchTimedOutError, True, "or its node was out of reach (ObjectFetchTimedOutError)"),
        (WorkerCrashedError, True, "most likely for its memory (WorkerCrashedError)"),
    ],
)
def test_a_node_that_is_lost_before_or_after_the_end_of_a_unit_counts_for_nothing(
    error: type[RayError], counts: bool, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had found goes with the node; whatever took part in the loss is tried some times."""
    often = 2 * ray_tasks._AGAIN
    made = tasks(monkeypatch, *(error() for _ in range(often)))
    monkeypatch.setattr(made, "_begin", lambda unit: object())
    ((_, result),) = made.run(["unit"], None)
    if counts:
        assert isinstance(result, TrainingError)
        assert str(result) == f"its process was killed {ray_tasks._AGAIN + 1} times, {why}"
    else:
        assert result == "done"


def test_what_a_unit_had_written_when_a_disk_was_full_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training goes on from there with the next run."""
    brought: list[str] = []
    made = tasks(monkeypatch)
    made._freight = SimpleNamespace(unload=brought.extend)  # type: ignore[assignment]
    monkeypatch.setattr(made._ray, "get", lambda reference: (OSError(28, "No space"), 0.0, ["net.ckpt"]))
    monkeypatch.setattr(made, "_begin", lambda unit: object())
    with pytest.raises(OSError, match="No space"):
        next(made.run(["unit"], None))
    assert brought == ["net.ckpt"]


def test_a_disk_without_room_for_the_pictures_that_ray_carries_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tasks(monkeypatch)
    with pytest.raises(TrainingError) as error:
        next(made.run([Chore("pictures")], None))
    assert str(error.value) == (
        "--engine ray: has no room for what units read (RayError: Out of disk); make room on the disk of this machine, "
        "where Ray keeps them; what is finished is kept"
    )
