"""A unit of work tried on a handful of faces: what a step of training and a face explained cost with a network."""

import os
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xfer import models
from xfer.progress import Stage, silent
from xfer.study import stages
from xfer.study.folder import CHECKPOINTS, MAPS, SHARDS
from xfer.study.stages import Seconds, Watch
from xfer.study.twin import Twin
from xfer.study.unit import EXPLAINED, Unit, Witness, compute
from xfer.training import inputs

STEPS, _FEWEST = 4, 2
"""Batches of an epoch that is tried; fewer with a network too slow for batches of the study's size."""
BATCHES = 3
"""Batches of faces that are explained, where the time suffices."""

_EPOCHS = 2
_QUICK = 2.0
"""Seconds; where a face takes longer the few passes that tell which explainers apply do not matter."""
_FORWARD = 1 / 3
"""The share of a training step that is its forward: going back takes twice as long."""


@dataclass(frozen=True)
class Trial(Unit):
    """A unit whose faces stand for those of a whole study.

    Attributes
    ----------
    seconds : float
        About as long as it may be tried, on a quiet machine; with a slow network fewer faces are taken, one at least.
    parent : int
        The process that asks.
    counted : list of int
        Faces that went through the network so far, where it is asked for.
    """

    seconds: float = 10.0
    parent: int = 0
    counted: list[int] | None = None

    @property
    def key(self) -> str:
        """What is tried: a network, or of twins an arm."""
        return self.network

    def witness(self, model: nn.Module) -> Witness | None:
        """Count what goes through the network; one that is listened to is not folded, so no time is taken of it."""
        if self.counted is not None:
            count = self.counted
            model.register_forward_pre_hook(lambda module, given: count.append(len(given[0])))
        return super().witness(model)


@dataclass(frozen=True)
class TwinTrial(Trial, Twin):  # type: ignore[misc]
    """A twin whose faces stand for those of a whole study."""

    @property
    def key(self) -> str:
        """The arm."""
        return self.arm


@dataclass(frozen=True)
class Tried:
    """What a trial took; all seconds on the wall and of the processor.

    Attributes
    ----------
    arrived : float
        When the trial reached its process, in seconds since 1970.
    worker : array (2,)
        What the process took before it could begin; 0 in the one that asked.
    start, step, turn, end : array (2,)
        Before the first batch; a whole batch; from one epoch to the next less the faces of validation; afterwards.
    face, rest : array (2,)
        One face explained, and all else of explaining.
    forwards : float
        Passes of one face that is explained.
    batch : int
        Faces in a batch that was tried.
    memory_mb : float
        The most that the process has had.
    checkpoint_mb, shard_mb : float
    maps_mb : float
        The maps of a single face, where they are kept.
    """

    arrived: float
    worker: Seconds
    start: Seconds = field(default_factory=lambda: np.zeros(2))
    step: Seconds = field(default_factory=lambda: np.zeros(2))
    turn: Seconds = field(default_factory=lambda: np.zeros(2))
    end: Seconds = field(default_factory=lambda: np.zeros(2))
    face: Seconds = field(default_factory=lambda: np.zeros(2))
    rest: Seconds = field(default_factory=lambda: np.zeros(2))
    forwards: float = 0.0
    batch: int = 0
    memory_mb: float = 0.0
    checkpoint_mb: float = 0.0
    shard_mb: float = 0.0
    maps_mb: float = 0.0

    def training(self, epochs: int, batches: int, held: int, batch: int) -> Seconds:
        """A whole training: so many epochs of so many batches, with so many faces held out for validation."""
        forward = self.forward(batch)
        return self.start + epochs * batches * self.step + (epochs - 1) * self.turn + epochs * held * forward + self.end

    def forward(self, batch: int) -> Seconds:
        """One face through the network, where a step is of so many."""
        return _FORWARD * self.step / batch

    def explaining(self, explained: float, predicted: float, batch: int) -> Seconds:
        """So many faces explained, and others predicted only."""
        return self.rest + explained * self.face + predicted * self.forward(batch)


def measure(trial: Trial, progress: Stage) -> Tried:
    """Train two short epochs and explain some faces, by the functions that a study runs."""
    from xfer.training import loop  # noqa: F401  a worker's first training imports it: no network's own cost

    begun = time.time()
    own = trial.parent == os.getpid()
    worker = np.zeros(2) if own else np.array([0.0, time.process_time()])
    found: dict[str, Any] = {}
    if trial.black_box is None and trial.randomised is None:
        trial, found = _trained(trial)
    found |= _explained(trial)
    return Tried(begun, worker, memory_mb=stages.peak_mb(), **found)


def _trained(trial: Trial) -> tuple[Trial, dict[str, Any]]:
    """Two epochs of `STEPS` batches; the trial with the settings that they were tried with."""
    batch = affordable(_step(trial), trial.settings.batch, trial.seconds / 2)
    settings = trial.settings.change(epochs=_EPOCHS, batch=batch, patience=0)
    fewest = STEPS if batch == trial.settings.batch else _FEWEST
    steps = max(fewest, -(-len(trial.pixels.classes) // batch))
    tried = replace(trial, settings=settings, train=np.resize(trial.train, steps * batch), until="training")
    watch, began = Watch(), stages.now()
    compute(replace(tried, test=trial.test[:1], blocks=trial.blocks[:1]), watch)
    found = parts(began, watch.done[f"{trial.name}: training"], steps, stages.now())
    found["turn"] = np.maximum(found["turn"] - len(trial.validation) * _FORWARD * found["step"] / batch, 0)
    found["end"] = np.maximum(found["end"] - len(trial.validation) * _FORWARD * found["step"] / batch, 0)
    found["step"] = found["step"] * trial.settings.batch / batch
    path = trial.home / CHECKPOINTS / f"{trial.name}.safetensors"
    return replace(tried, until="heatmaps"), {**found, "batch": batch, "checkpoint_mb": path.stat().st_size / 1e6}


def parts(began: Seconds, ticks: list[Seconds], steps: int, ended: Seconds) -> dict[str, Seconds]:
    """What a training of two epochs took, from the ends of the forwards of its batches.

    >>> times = [[t, t] for t in (2.0, 3.0, 4.0, 7.0, 8.0, 9.0)]
    >>> found = parts(np.zeros(2), [np.array(t) for t in times], 3, np.array([11.0, 11.0]))
    >>> {name: round(float(value[0]), 2) for name, value in found.items()}
    {'start': 1.67, 'step': 1.0, 'turn': 2.0, 'end': 1.33}
    """
    step = (ticks[-1] - ticks[steps]) / max(1, len(ticks) - steps - 1)
    return {
        "start": np.maximum(ticks[0] - began - _FORWARD * step, 0),
        "step": step,
        "turn": np.maximum(ticks[steps] - ticks[steps - 1] - step, 0),
        "end": np.maximum(ended - ticks[-1] - (1 - _FORWARD) * step, 0),
    }


def affordable(seconds: float, batch: int, most: float) -> int:
    """Faces in a batch that can be tried, where a step of one face takes so many seconds.

    >>> affordable(0.01, 16, 10), affordable(0.5, 128, 10), affordable(9, 128, 10)
    (16, 2, 2)
    """
    return int(min(batch, max(2, most / (_EPOCHS * STEPS * max(seconds, 1e-9)))))


def _step(trial: Trial) -> float:
    """Seconds that a face in a step of training takes, from the second of two steps with two."""
    settings = trial.settings
    model = models.build(
        trial.network, len(trial.pixels.classes), size=settings.size, seed=settings.seed,
        output_stride=trial.output_stride,
    )  # fmt: skip
    faces = inputs(trial.pixels, trial.train[:2], settings).to(trial.device)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(settings.threads or before)
        model.to(trial.device).train()
        _once(model, faces)
        return _once(model, faces) / len(faces)
    finally:
        torch.set_num_threads(before)


def _once(model: nn.Module, faces: Tensor) -> float:
    began = stages.now()
    loss: Tensor = model(faces).float().square().mean()
    loss.backward()
    loss.item()
    return _undisturbed(began)


def _undisturbed(began: Seconds) -> float:
    """Seconds since then, but for those in which other work kept the processor."""
    return float((stages.now() - began).min())


def _explained(trial: Trial) -> dict[str, Any]:
    """One face with the passes counted, then as many as the time suffices for."""
    began = stages.now()
    forwards = _counted(trial, 1)
    took = _undisturbed(began)
    if took < _QUICK:
        forwards = (_counted(trial, 3) - forwards) / 2
    size = min(EXPLAINED, trial.settings.batch)
    faces = max(2, min(BATCHES * size, int(trial.seconds / 2 / max(took, 1e-3))))
    _, one = _timed(trial, 1) if faces <= size else ([], np.zeros(2))
    ticks, whole = _timed(trial, faces)
    face, rest = line(ticks, size, whole, one)
    shard, maps = (trial.home / sub / f"{trial.digest}.npz" for sub in (SHARDS, MAPS))
    kept = maps.stat().st_size / 1e6 / len(ticks) if maps.exists() else 0.0
    found = {"face": face, "rest": rest, "forwards": float(forwards)}
    return {**found, "shard_mb": shard.stat().st_size / 1e6, "maps_mb": kept}


def _timed(trial: Trial, faces: int) -> tuple[list[Seconds], Seconds]:
    """When each of so many faces was explained, and what all of explaining took."""
    tried = replace(trial, test=np.resize(trial.test, faces), blocks=np.resize(trial.blocks, faces))
    watch, began = Watch(), stages.now()
    _anew(tried, watch)
    ended, stage = stages.now(), f"{trial.name}: heatmaps"
    alone = trial.black_box is not None or trial.randomised is not None
    return watch.done[stage], ended - (began if alone else watch.begun[stage])


def _counted(trial: Trial, faces: int) -> float:
    """Passes of a face, those that tell which explainers apply included."""
    count: list[int] = []
    test, blocks = np.resize(trial.test, faces), np.resize(trial.blocks, faces)
    _anew(replace(trial, test=test, blocks=blocks, counted=count, digest=f"{trial.digest}-counted"), silent)
    return sum(count)


def _anew(trial: Trial, progress: Stage) -> None:
    """As a study computes it, whatever an earlier try left."""
    for sub in (SHARDS, MAPS):
        (trial.home / sub / f"{trial.digest}.npz").unlink(missing_ok=True)
    compute(trial, progress)


def line(ticks: list[Seconds], size: int, whole: Seconds, one: Seconds | None = None) -> tuple[Seconds, Seconds]:
    """What one of many takes, and the rest; steps come in groups of `size`, of which the first is not counted.

    Where there is no second group, what one alone took tells them apart.
    """
    n = len(ticks)
    if n <= size and one is not None and n > 1:
        each = np.maximum((whole - one) / (n - 1), 0)
        return each, np.maximum(one - each, 0)
    if n <= size:
        return whole / max(1, n), np.zeros(2)
    each = (ticks[-1] - ticks[size - 1]) / (n - size)
    return each, np.maximum(whole - n * each, 0)
