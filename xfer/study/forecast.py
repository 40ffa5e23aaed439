"""What a study will cost, from a pilot of it: for any number of faces, networks, explainers and workers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xfer.errors import InputError
from xfer.progress import Stage, silent
from xfer.study import costs, engine, faces, pilot, randomised, stages
from xfer.study.costs import COLUMNS, HEATMAPS, RANDOMISED, TRAINING, Costs, makespan, part_name
from xfer.study.folder import COSTS, read_config
from xfer.study.pilot import Pilot
from xfer.study.plan import Network, Plan, settle
from xfer.study.protocols import PROTOCOLS
from xfer.study.recognition import SHOWN
from xfer.study.stages import Seconds
from xfer.study.units import FEW_FOLDS
from xfer.training.store import bytes_of

_BUSY = 0.75
"""Where processors worked a smaller share of the time that one thread took, others kept them."""
_LIST = 2
"""Opening a data set takes as long again as describing it."""


def plan(
    models: str = "all",
    *,
    faces: int | None = None,
    workers: int | None = None,
    gpus: int | None = None,
    progress: Stage = silent,
    **options: Any,
) -> Costs:
    """What `xfer.compare` with these options will cost: every stage is tried for about a minute, then multiplied.

    Nothing but the plan is written, into the folder that the study will have, where that is not another study's;
    `Study.costs` sets it against what the study took. With `faces` it is a plan for other data, and is not kept.

    Parameters
    ----------
    models : str
        As for `xfer.compare`.
    faces : int, optional
        Plan for so many faces like those of `data`; as many as there are by default.
    workers : int, optional
        Networks worked on side by side, each on as many cores as here; as many as there is room for by default.
    gpus : int, optional
        Graphics processors, a network each, like this machine's; 1 by default where there is one.
    progress : callable, optional
    **options
        Those of `xfer.study.plan.settle`.

    Returns
    -------
    Costs

    Raises
    ------
    InputError
        For whatever `xfer.compare` refuses, or a number that is none.
    TrainingError
        If no network can be trained.

    Examples
    --------
    >>> costs = plan("songnet_bn,resnet50", faces=20_000, workers=8)  # doctest: +SKIP
    >>> costs.total, costs.bottleneck  # doctest: +SKIP
    """
    if faces in SHOWN:  # a file of settings says whose pictures the report shows, and where it runs
        faces = None
    options.pop("engine", None)
    for name, number in {"faces": faces, "workers": workers, "gpus": gpus}.items():
        if number is not None and number < 1:
            raise InputError(f"--{name} must be 1 or more; got {number}")
    preset = str(options.get("preset", "quick"))
    if faces is not None and options.get("data", "synthetic") == "synthetic" and preset in PROTOCOLS:
        options["drawn"] = min(faces, options.get("drawn") or PROTOCOLS[preset].faces)
    chosen, took = stages.taken(lambda: settle(models, **options))
    here, there = _workers(chosen, workers, gpus)
    scale = (faces or len(chosen.dataset)) / len(chosen.dataset)
    blocks, rows = _blocks(chosen, scale)
    tried = pilot.run(chosen, here, blocks, rows, progress)
    found = Forecast(chosen, tried, took, scale, there).costs()
    if faces is None and _own(chosen):
        costs.write(chosen.home, found, chosen.config)
    return found


def _own(chosen: Plan) -> bool:
    """Whether the study's folder is not there yet, or is that study's."""
    home = chosen.home
    if home.is_symlink() or not home.is_dir():
        return not home.exists()
    there = read_config(home)
    return there == chosen.config if there else all(path.name == COSTS for path in home.iterdir())


def _workers(chosen: Plan, workers: int | None, gpus: int | None) -> tuple[int, int]:
    """Networks side by side here, and where the study runs.

    Raises
    ------
    InputError
        If graphics processors are asked for and there is none to try them on.
    """
    if chosen.device == "cpu":
        if gpus is not None:
            raise InputError(f"--gpus {gpus}: what a GPU takes is measured on one, and --device is cpu here")
        here = min(engine.workers_for(network.settings.threads) for network in chosen.networks)
        return min(here, workers or here), workers or here
    return 1, gpus or workers or 1


def _blocks(chosen: Plan, scale: float) -> tuple[int, int]:
    """Blocks of subjects of a fold, and blocks or folds that a heatmap is made of."""
    config = chosen.config
    tested = config["data"]["subjects"] * scale * (0.2 if config["folds"] == 1 else 1 / config["folds"])
    blocks = max(1, min(config["blocks"], round(tested)))
    if config["folds"] >= FEW_FOLDS:
        return blocks, config["folds"]
    shown = config["data"]["faces"] * scale * (0.2 if config["folds"] == 1 else 0.5) / len(chosen.dataset.expressions)
    return blocks, max(1, round(filled(blocks, shown) * config["folds"]))


def filled(blocks: int, faces: float) -> float:
    """How many of some blocks have one of so many faces that are dealt at random, on average.

    >>> filled(2, 1), round(filled(30, 1e6))
    (1.0, 30)
    """
    return blocks * (1 - (1 - 1 / blocks) ** faces)


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
    """

    plan: Plan
    pilot: Pilot
    options: Seconds
    scale: float
    workers: int

    def costs(self) -> Costs:
        """Every stage."""
        config, tried = self.plan.config, self.pilot
        networks = [network for network in self.plan.networks if network.name in tried.tried]
        rows = [*self._gathering(), *self._networks(networks), *self._ending(networks)]
        faces = round(len(self.plan.dataset) * self.scale)
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        return Costs(table, faces, config["folds"], self.workers, self.plan.device, tuple(self._notes()))

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
            row("landmarks", whole, tried.landmarks.each, tried.landmarks.at(whole), memory),
            row("pictures", whole, tried.pictures.each, tried.pictures.at(whole), memory, whole * stored / 1e6),
            row("linear classifier", trained, tried.linear, trained * tried.linear, memory),
            row("mean face", tested, tried.portrait.each, tried.portrait.at(tested), memory),
        ]

    def _networks(self, networks: list[Network]) -> list[dict[str, Any]]:
        """The networks side by side, and the parts of each."""
        config, tried = self.plan.config, self.pilot
        rows: list[dict[str, Any]] = []
        trained: dict[str, Seconds] = {}
        others: dict[str, Seconds] = {}
        for network in networks:
            made = [self._training(network), self._heatmaps(network)]
            rows += [each for each in made if each is not None]
            trained[network.name] = sum((_both(each) for each in made if each is not None), np.zeros(2))
            if (rival := self._rival(network)) is not None:
                rows.append(rival)
                others[network.name] = _both(rival)
        folds, times = config["folds"], config["randomised"]
        order = sorted(trained, key=lambda name: -trained[name][0])
        units = [trained[name] / folds for name in order for _ in range(folds)]
        units += [others[name] / folds / times for name in order if name in others for _ in range(folds * times)]
        processes = min(self.workers, len(units)) if self.plan.device == "cpu" else 1
        begin = tried.worker * (1, processes)
        took = begin + np.sum(units, axis=0)
        took[0] = begin[0] + makespan([each[0] for each in units], self.workers)
        most = max(each.memory_mb for each in (*tried.tried.values(), *tried.rivals.values()))
        memory = tried.memory_mb + processes * most if processes > 1 else max(most, tried.memory_mb)
        return [row("networks", len(units), np.zeros(2), took, memory), *rows]

    def _training(self, network: Network) -> dict[str, Any] | None:
        if network.black_box is not None:
            return None
        settings, found = network.settings, self.pilot.tried[network.name]
        seconds, steps, passed = np.zeros(2), 0, 0.0
        for fold in self.pilot.folds:
            train, held = round(self.scale * len(fold.train)), round(self.scale * len(fold.validation))
            full, left = divmod(train, settings.batch)
            batches = full + (left > 1)
            seconds = seconds + found.training(settings.epochs, batches, held, settings.batch)
            steps += settings.epochs * batches
            passed += settings.epochs * (train + held)
        disk = found.checkpoint_mb * len(self.pilot.folds)
        return row(TRAINING, steps, found.step, seconds, found.memory_mb, disk, passed, network.name)

    def _heatmaps(self, network: Network) -> dict[str, Any]:
        config, found = self.plan.config, self.pilot.tried[network.name]
        seconds, faces, passed = np.zeros(2), 0.0, 0.0
        for fold in self.pilot.folds:
            tested = self.scale * len(fold.test)
            most = config["per_class"] * len(self.plan.dataset.expressions) or math.inf
            explained = min(tested, most)
            again = tested if config["selection"] == "predicted" and config["per_class"] else tested - explained
            seconds = seconds + found.explaining(explained, again, network.settings.batch)
            faces, passed = faces + explained, passed + explained * found.forwards + again
        disk = found.shard_mb * len(self.pilot.folds)
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

    def _ending(self, networks: list[Network]) -> list[dict[str, Any]]:
        """After the networks."""
        config, tried = self.plan.config, self.pilot.rehearsed
        n, memory = len(networks), self.pilot.memory_mb
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
        settings: Mapping[str, Any] = {network.name: network.settings for network in self.plan.networks}
        small = [name for name, t in self.pilot.tried.items() if 0 < t.batch < settings[name].batch]
        if small:
            notes.append(
                f"{', '.join(small)}: tried in smaller batches than the study's, where a face takes longer and "
                "less memory"
            )
        if any(network.settings.patience for network in self.plan.networks if network.black_box is None):
            notes.append("trainings may end before their last epoch, where validation faces say so")
        if (share := self._quiet()) < _BUSY:
            notes.append(
                f"others kept the processors: they worked {share:.0%} of the time that was measured, and as much is "
                "planned for the study; on a quiet machine it is done sooner"
            )
        return notes

    def _quiet(self) -> float:
        """The share of the time of networks on one thread of the CPU that its processor worked."""
        alone = {n.name for n in self.plan.networks if n.settings.threads == 1 and self.plan.device == "cpu"}
        took = sum((t.step + t.face for name, t in self.pilot.tried.items() if name in alone), np.zeros(2))
        return float(took[1] / took[0]) if took[0] > 0 else 1.0


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
