"""What a study will cost, from a pilot of it: for any number of faces, networks, explainers and workers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xfer.study import faces, parts, randomised, stages
from xfer.study.costs import COLUMNS, HEATMAPS, RANDOMISED, TRAINING, Costs, makespan, part_name
from xfer.study.network import Network
from xfer.study.pilot import Pilot
from xfer.study.plan import Plan
from xfer.study.rehearsal import Rehearsed
from xfer.study.stages import Seconds
from xfer.study.trial import Tried
from xfer.training import Settings
from xfer.training.store import bytes_of

_BUSY = 0.75
"""Where processors worked a smaller share of the time that one thread took, others kept them."""
_LIST = 2
"""Opening a data set takes as long again as describing it."""


@dataclass(frozen=True)
class Forecast:
    """A pilot multiplied.

    Attributes
    ----------
    plan : Plan
    pilot : Pilot
    options : array (2,)
        What settling the options took.
    scale : float
        Faces of the study, over those that are there.
    workers : int
        Networks side by side.
    here : int
        So many that were tried side by side.
    """

    plan: Plan
    pilot: Pilot
    options: Seconds
    scale: float
    workers: int
    here: int = 1

    def costs(self) -> Costs:
        """Every stage."""
        rows = [*self._gathering(), *self._networks(), *self._ending()]
        faces = round(len(self.plan.dataset) * self.scale)
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        return Costs(table, faces, self.plan.config["folds"], self.workers, self.plan.device, tuple(self._notes()))

    @property
    def tried(self) -> list[Network]:
        """The networks that could be tried."""
        return [network for network in self.plan.networks if network.name in self.pilot.tried]

    def _gathering(self) -> list[dict[str, Any]]:
        """Until the networks begin."""
        n, tried = len(self.plan.dataset), self.pilot
        more = max(0.0, n * (self.scale - 1))
        each = _LIST * stages.taken(faces.facts, self.plan.dataset)[1] / n if more else np.zeros(2)
        whole = n * self.scale
        trained, tested = (self.scale * sum(len(getattr(f, part)) for f in tried.folds) for part in ("train", "test"))
        stored = sum(bytes_of(size) for size in {network.settings.size for network in self.plan.networks})
        memory = tried.memory_mb
        return [
            row("options", whole, each, self.options + more * each, memory),
            row("landmarks", whole, tried.landmarks.each, tried.landmarks.at(whole), memory, whole * tried.listed_mb),
            row("pictures", whole, tried.pictures.each, tried.pictures.at(whole), memory, whole * stored / 1e6),
            row("linear classifier", trained, tried.linear, trained * tried.linear, memory),
            row("mean face", tested, tried.portrait.each, tried.portrait.at(tested), memory),
        ]

    def _networks(self) -> list[dict[str, Any]]:
        """The networks side by side, and the parts of each."""
        folds, times = self.plan.config["folds"], self.plan.config["randomised"]
        rows: list[dict[str, Any]] = []
        longest: list[tuple[Seconds, list[Seconds], list[Seconds]]] = []
        for network in self.tried:
            trained, explained = self._training(network), self._heatmaps(network)
            rows += [each for each in (trained, explained) if each is not None]
            rival = self._rival(network)
            rows += [] if rival is None else [rival]
            rivals = [] if rival is None else [_both(rival) / folds / times] * folds * times
            longest.append((*self._fold(trained, explained), rivals))
        longest.sort(key=lambda each: -np.sum([each[0], *each[1]], axis=0)[0])
        units = [(unit, some) for unit, some, _ in longest for _ in range(folds)]
        rest: list[tuple[Seconds, list[Seconds]]] = [(each, []) for *_, some in longest for each in some]
        return [self._side_by_side([*units, *rest]), *rows]

    def _fold(self, trained: Mapping[str, Any] | None, explained: Mapping[str, Any]) -> tuple[Seconds, list[Seconds]]:
        """What one of all folds takes until its parts begin, and each of its parts, if it has some."""
        config = self.plan.config
        begin = np.zeros(2) if trained is None else _both(trained) / config["folds"]
        heatmaps, faces = _both(explained) / config["folds"], explained["units"] / config["folds"]
        count = min(config["blocks"], math.ceil(faces / parts.FACES))
        if count < 2 or (config["selection"] == "predicted" and config["per_class"]):
            return begin + heatmaps, []
        return begin, [heatmaps / count] * count

    def _side_by_side(self, units: Sequence[tuple[Seconds, Sequence[Seconds]]]) -> dict[str, Any]:
        """The stage of units begun in their order, each with its parts; a unit's time is that of the longest."""
        tried, all_of_them = self.pilot, [each for unit, some in units for each in (unit, *some)]
        processes = min(self.workers, len(all_of_them)) if self.plan.device == "cpu" else 1
        begin = tried.worker * (1, processes)
        took = begin + np.sum(all_of_them, axis=0)
        parts = {place: [each[0] for each in some] for place, (_, some) in enumerate(units)}
        took[0] = begin[0] + makespan([unit[0] for unit, _ in units], self.workers, parts)
        most = max(each.memory_mb for each in (*tried.tried.values(), *tried.rivals.values()))
        memory = tried.memory_mb + processes * most if processes > 1 else max(most, tried.memory_mb)
        return row("networks", len(all_of_them), np.max(all_of_them, axis=0), took, memory)

    def _training(self, network: Network) -> dict[str, Any] | None:
        if network.black_box is not None:
            return None
        return self._trained(network, self.pilot.tried[network.name])

    def _trained(self, network: Network, found: Tried, share: float = 1.0) -> dict[str, Any]:
        """All folds of a network, with a share of the faces to train on."""
        settings = network.settings
        seconds, steps, passed = np.zeros(2), 0, 0.0
        for fold in self.pilot.folds:
            train, held = round(share * self.scale * len(fold.train)), round(self.scale * len(fold.validation))
            full, left = divmod(train, settings.batch)
            batches = full + (left > 1)
            seconds = seconds + found.training(settings.epochs, batches, held, settings.batch)
            steps += settings.epochs * batches
            passed += settings.epochs * (train + held)
        disk = found.checkpoint_mb * len(self.pilot.folds)
        return row(TRAINING, steps, found.step, seconds, found.memory_mb, disk, passed, network.name)

    def _heatmaps(self, network: Network) -> dict[str, Any]:
        return self._explained(network, self.pilot.tried[network.name])

    def _explained(self, network: Network, found: Tried) -> dict[str, Any]:
        """All folds of a network."""
        config = self.plan.config
        seconds, faces, passed = np.zeros(2), 0.0, 0.0
        for fold in self.pilot.folds:
            tested = self.scale * len(fold.test)
            most = config["per_class"] * len(self.plan.dataset.expressions) or math.inf
            explained = min(tested, most)
            again = tested if config["selection"] == "predicted" and config["per_class"] else tested - explained
            seconds = seconds + found.explaining(explained, again, network.settings.batch)
            faces, passed = faces + explained, passed + explained * found.forwards + again
        disk = found.shard_mb * len(self.pilot.folds) + faces * found.maps_mb
        return row(HEATMAPS, faces, found.face, seconds, found.memory_mb, disk, passed, network.name)

    def _rival(self, network: Network) -> dict[str, Any] | None:
        config, found = self.plan.config, self.pilot.rivals.get(network.name)
        if found is None:
            return None
        classes, times = len(self.plan.dataset.expressions), config["randomised"]
        few = [min(randomised.FACES * classes, self.scale * len(fold.test)) for fold in self.pilot.folds]
        faces = times * sum(few)
        seconds = times * sum((found.explaining(n, 0, 1) for n in few), np.zeros(2))
        passed = faces * found.forwards + times * len(few) * randomised.CALIBRATED
        disk = found.shard_mb * len(few) * times
        return row(RANDOMISED, faces, found.face, seconds, found.memory_mb, disk, passed, network.name)

    def _ending(self) -> list[dict[str, Any]]:
        """After the networks."""
        config, tried = self.plan.config, self.pilot.rehearsed
        assert isinstance(tried, Rehearsed)
        n, memory = len(self.tried), self.pilot.memory_mb
        outcomes = 3 if config["selection"] == "true" else 1
        keys = n * len(self.plan.dataset.expressions)
        cells = keys * config["folds"] * len(config["explainers"]) * outcomes * 2
        stored = cells * tried.heatmap_mb
        intervals = tried.chance.at(keys, n * (n - 1) / 2, config["draws"]) if config["draws"] else np.zeros(2)
        return [
            row("scores", cells, tried.score, cells * tried.score, memory, stored),
            row("intervals", keys, tried.chance.cell + config["draws"] * tried.chance.draw, intervals, memory),
            row("report", n, tried.report.each, tried.report.at(n), memory, n * tried.report_mb),
        ]

    def _notes(self) -> list[str]:
        notes = [f"{name}: left out, it cannot be trained: {why}" for name, why in self.pilot.failed.items()]
        small = [name for name, t in self.pilot.tried.items() if 0 < t.batch < self._settings(name).batch]
        if small:
            notes.append(
                f"{', '.join(small)}: tried in smaller batches than the study's, where a face takes longer and "
                "less memory"
            )
        if any(network.settings.patience for network in self.plan.networks if network.black_box is None):
            notes.append("trainings may end before their last epoch, where validation faces say so")
        if self.scale > 1:
            notes.append(
                f"measured on {len(self.plan.dataset)} faces; for {self.scale:.3g} times as many all that grows with "
                "faces is taken to do so evenly"
            )
        if self.workers > self.here:
            notes.append(
                f"{self.here} side by side {'were' if self.here > 1 else 'was'} measured; for {self.workers} as many "
                "more machines like this one are taken for granted, and faces that all of them can read at this pace"
            )
        if self.plan.device != "cpu":
            notes.append("memory is the machine's; that of graphics processors is not measured")
        if (share := self._quiet()) < _BUSY:
            notes.append(
                f"others kept the processors: they worked {share:.0%} of the time that was measured, and as much is "
                "planned for the study; on a quiet machine it is done sooner"
            )
        return notes

    def _quiet(self) -> float:
        """The share of the time of networks on one thread of the CPU that its processor worked."""
        found = self.pilot.tried.items() if self.plan.device == "cpu" else ()
        took = sum((t.step + t.face for name, t in found if self._settings(name).threads == 1), np.zeros(2))
        return float(took[1] / took[0]) if took[0] > 0 else 1.0

    def _settings(self, key: str) -> Settings:
        """Those of a network that was tried."""
        return next(network.settings for network in self.plan.networks if network.name == key)


def row(
    stage: str,
    units: float,
    each: Seconds,
    seconds: Seconds,
    memory_mb: float,
    disk_mb: float = 0.0,
    forwards: float = 0.0,
    network: str = "",
) -> dict[str, Any]:
    """A row of `Costs.stages`."""
    name = part_name(network, stage) if network else stage
    values = (name, network, units, each[0], *seconds, memory_mb, disk_mb, forwards)
    return dict(zip(COLUMNS, values, strict=True))


def _both(of: Mapping[str, Any]) -> Seconds:
    return np.array([of["total_s"], of["processor_s"]])
