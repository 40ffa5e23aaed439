"""Units on their way: trainings first, parts as soon as there is a network, nothing twice, and what is told of it."""

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xfer.errors import TrainingError
from xfer.models.starting import Start
from xfer.progress import Stage, silent
from xfer.study import computing, parts
from xfer.study.engine import Local, Needs
from xfer.study.folder import CHECKPOINTS, PARTIALS
from xfer.study.parts import Piece
from xfer.study.recognition import UNITS
from xfer.study.selecting import Part
from xfer.study.unit import Done, Unit
from xfer.training import Settings
from xfer.training.weights import write_weights

DONE = Done(1.0, 0.0, 0.5)
COUNT, FACES = 3, 12


class Fakes:
    """Units that do nothing but note when they begin, and may fail or wait."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.begun: list[str] = []
        self.acts: dict[str, Callable[[], Any]] = {}

    def unit(self, name: str, faces: int = FACES, **changes: Any) -> Unit:
        some: dict[str, Any] = {
            "network": name, "fold": "0", "digest": name, "trained": name, "settings": Settings(size=32),
            "start": Start("scratch", ""), "device": "cpu", "pixels": None, "train": np.arange(2),
            "validation": np.arange(2), "test": np.arange(faces), "blocks": np.arange(faces),
            "explainers": ("grad_cam",), "selection": "true", "per_class": 0, "frame": "xfer", "home": self.home,
        }  # fmt: skip
        return Unit(**{**some, **changes})

    def cut(self, unit: Unit) -> list[Piece]:
        if len(unit.test) < FACES or unit.until != "heatmaps" or unit.randomised is not None:
            return []
        spans = np.array_split(np.arange(len(unit.test)), COUNT)
        return [Piece(None, unit, Part(i, COUNT, s[0], s[-1] + 1), "cpu") for i, s in enumerate(spans)]  # type: ignore[arg-type]

    def compute_unit(self, unit: Unit, progress: Stage) -> Done:
        return self._do(unit.digest)

    def compute(self, piece: Piece, progress: Stage) -> Done:
        tick = progress(piece.unit.explaining, len(piece.unit.test))
        done = self._do(f"{piece.digest}{piece.part.number}")
        piece.path.touch()
        for _ in range(parts.faces(piece)):
            tick()
        return done

    def merge(self, unit: Unit, pieces: Sequence[Piece]) -> Done:
        assert all(piece.path.is_file() for piece in pieces)
        return self._do(f"{unit.digest} merged")

    def _do(self, name: str) -> Done:
        self.begun.append(name)
        self.acts.get(name, lambda: None)()
        return DONE

    def work(self, units: Sequence[Unit], progress: Stage = silent, workers: int = 1) -> dict[str, Done | str]:
        needs = Needs(workers=workers, own_process=False)
        worked = computing._worked(self.home, units, Local(), needs, progress)
        assert len(worked) == len(units)
        assert all(unit in units for unit, _ in worked)
        return {unit.digest: result for unit, result in worked}

    def train(self, name: str) -> Path:
        """What a training leaves."""
        (self.home / CHECKPOINTS).mkdir(exist_ok=True)
        path = self.home / CHECKPOINTS / f"{name}.safetensors"
        path.with_suffix(".csv").touch()
        write_weights(path, {"weight": torch.ones(3)})
        return path

    def logged(self) -> list[str]:
        lines = map(json.loads, (self.home / UNITS).read_text().splitlines())
        return [f"{line['unit']} {line['until']}{line.get('part', '')}" for line in lines]


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    made = Fakes(tmp_path)
    monkeypatch.setattr(computing, "compute_unit", made.compute_unit)
    for name in ("cut", "compute", "merge"):
        monkeypatch.setattr(parts, name, getattr(made, name))
    monkeypatch.setattr(parts, "faces", lambda piece: piece.part.stop - piece.part.start)
    monkeypatch.setattr(computing.shards, "whole", Path.is_file)
    return made


def fail() -> None:
    raise TrainingError("no")


def test_trainings_begin_first_and_the_parts_of_a_network_stay_together(fakes: Fakes) -> None:
    units = [fakes.unit("a"), fakes.unit("b"), fakes.unit("few", 2), fakes.unit("r", randomised=1)]
    assert fakes.work(units) == dict.fromkeys(("a", "b", "few", "r"), DONE)
    first = ["a", "b", "few", "r"]
    assert fakes.begun == [*first, "a0", "a1", "a2", "a merged", "b0", "b1", "b2", "b merged"]
    assert [line for line in fakes.logged() if line.startswith("a ")] == [
        "a weights", "a part0", "a part1", "a part2", "a heatmaps",
    ]  # fmt: skip


def test_parts_begin_while_another_network_is_trained(fakes: Fakes) -> None:
    """B's training ends when the first network is merged: who trained all first would wait for ever."""
    merged = threading.Event()
    fakes.acts = {"a merged": merged.set, "b": lambda: merged.wait(60) or fail()}
    assert fakes.work([fakes.unit("b"), fakes.unit("a")], workers=2) == {"a": DONE, "b": DONE}
    assert fakes.begun.index("a merged") < fakes.begun.index("b0")


def test_a_network_that_is_not_trained_has_no_parts_and_stops_no_other(fakes: Fakes) -> None:
    fakes.acts = {"a": fail, "b1": fail}
    assert fakes.work([fakes.unit(name) for name in "abc"]) == {"a": "no", "b": "no", "c": DONE}
    assert fakes.begun == ["a", "b", "c", "b0", "b1", "b2", "c0", "c1", "c2", "c merged"]
    assert fakes.logged().count("b heatmaps") == 0


def test_what_an_ended_run_has_left_is_not_done_again(fakes: Fakes) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    units = [fakes.unit("a"), fakes.unit("b"), fakes.unit("c")]
    fakes.acts = {"b1": interrupted}
    with pytest.raises(KeyboardInterrupt):
        fakes.work(units[:2])
    for name in ("a-f0", "b-f0"):
        fakes.train(name)
    for piece in fakes.cut(units[0]):
        piece.path.touch()  # all of its parts, but nobody has merged them
    fakes.begun, fakes.acts, told = [], {}, list[str]()
    assert fakes.work(units, lambda name, steps: lambda: told.append(name)) == dict.fromkeys("abc", DONE)
    assert fakes.begun == ["a merged", "c", "b1", "b2", "b merged", "c0", "c1", "c2", "c merged"]
    assert (told.count("b-f0: heatmaps"), told.count("c-f0: heatmaps")) == (FACES, FACES)


def test_a_torn_or_foreign_line_of_the_log_is_no_training(fakes: Fakes) -> None:
    fakes.work([fakes.unit("a")])
    fakes.train("a-f0")
    foreign = ["[1]", "null", "7", '"weights"', "{}", '{"until": "weights"}', '{"until": "weights", "unit": "x"}']
    foreign += ['{"until": "weights", "unit": "x", "checkpoint": "../a"}', '{"until": ["weights"]}', '{"until']
    with (fakes.home / UNITS).open("a") as log:
        log.write("\n".join(foreign))
    assert computing._trained(fakes.home) == {"a"}


@pytest.mark.parametrize("suffix", [".safetensors", ".csv"])
def test_a_network_whose_files_are_damaged_is_trained_once_before_its_parts_begin(fakes: Fakes, suffix: str) -> None:
    """Each part would train it by itself, and several at once in the same files."""
    fakes.acts = {"a1": fail}
    fakes.work([fakes.unit("a")])
    left = fakes.train("a-f0").with_suffix(suffix)
    if suffix == ".csv":
        left.unlink()
    else:
        left.write_bytes(left.read_bytes()[:-1])
    fakes.begun, fakes.acts = [], {}
    assert fakes.work([fakes.unit("a")]) == {"a": DONE}
    assert fakes.begun == ["a", "a1", "a merged"]


def test_a_run_without_parts_leaves_no_folder_for_them(fakes: Fakes) -> None:
    fakes.work([fakes.unit("few", 2)])
    assert not (fakes.home / PARTIALS).exists()
