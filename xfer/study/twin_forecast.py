"""What a study of twins will cost, from a pilot of every arm."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xfer.progress import Stage, silent
from xfer.study import pilot, stages
from xfer.study.costs import HEATMAPS, TRAINING, Costs
from xfer.study.forecast import Forecast, row
from xfer.study.planning import asked, keep, require_quiet, room_for
from xfer.study.stages import Seconds
from xfer.study.twin_rehearsal import TwinRehearsed
from xfer.study.twins import TwinPlan, settle
from xfer.training import Settings


def plan(
    model: str,
    *,
    faces: int | None = None,
    workers: int | None = None,
    all_gpus: int | None = None,
    progress: Stage = silent,
    **options: Any,
) -> Costs:
    """What `xfer.guide` with these options will cost: every arm is tried once, then multiplied by seeds and faces.

    Parameters
    ----------
    model : str
        As for `xfer.guide`.
    faces, workers, all_gpus, progress
        As for `xfer.study.planning.plan`; workers are twins worked on side by side.
    **options
        Those of `xfer.study.twins.settle`.

    Returns
    -------
    Costs

    Raises
    ------
    InputError
        For whatever `xfer.guide` refuses, or a number that is none.
    TrainingError
        If no arm can be trained.

    Examples
    --------
    >>> costs = plan("resnet50", seeds=8, faces=20_000)  # doctest: +SKIP
    >>> costs.total, costs.bottleneck  # doctest: +SKIP
    """
    faces = asked(faces, workers, all_gpus, options)
    twins, took = stages.taken(lambda: settle(model, **options))
    require_quiet(twins.plan, faces)
    here, there = room_for(twins.plan, workers, all_gpus)
    scale = (faces or len(twins.plan.dataset)) / len(twins.plan.dataset)
    tried = pilot.run(twins.plan, here, 1, 1, progress, twins)
    found = TwinForecast(twins.plan, tried, took, scale, there, here, twins).costs()
    return keep(twins.plan, found, faces)


@dataclass(frozen=True)
class TwinForecast(Forecast):
    """A pilot of twins multiplied."""

    twins: TwinPlan | None = None

    @property
    def _chosen(self) -> TwinPlan:
        assert self.twins is not None
        return self.twins

    def _networks(self) -> list[dict[str, Any]]:
        """The twins side by side, and all of their trainings and heatmaps."""
        (network,) = self.plan.networks
        seeds = len(self._chosen.seeds)
        parts: dict[str, list[dict[str, Any]]] = {TRAINING: [], HEATMAPS: []}
        units: list[tuple[Seconds, list[Seconds]]] = []
        for arm in self._chosen.arms.arms:
            if (found := self.pilot.tried.get(arm.name)) is None:
                continue
            both = self._trained(network, found, arm.share), self._explained(network, found)
            for part, each in zip(parts, both, strict=True):
                parts[part].append(each)
            units.append(self._fold(*both))
        rows = [self._of_all(part, made, seeds, network.name) for part, made in parts.items()]
        return [self._side_by_side(units * seeds), *rows]

    def _of_all(self, part: str, made: list[dict[str, Any]], seeds: int, network: str) -> dict[str, Any]:
        """One row of a part of all arms and seeds."""
        sums = {name: seeds * sum(each[name] for each in made) for name in ("units", "disk_mb", "forwards")}
        seconds = seeds * sum((np.array([e["total_s"], e["processor_s"]]) for e in made), np.zeros(2))
        each = seconds / max(1, sums["units"])
        memory = max(one["memory_mb"] for one in made)
        return row(part, sums["units"], each, seconds, memory, sums["disk_mb"], sums["forwards"], network)

    def _ending(self) -> list[dict[str, Any]]:
        """After the twins."""
        tried, memory, draws = self.pilot.rehearsed, self.pilot.memory_mb, self.plan.config["draws"]
        assert isinstance(tried, TwinRehearsed)
        n = len(self.pilot.tried) * len(self._chosen.seeds)
        rows = n * self.scale * len(self.pilot.folds[0].test)
        longer, stored = max(1.0, self.scale), n * tried.heatmap_mb + rows * tried.row_mb
        return [
            row("scores", n, tried.scores.each, tried.scores.at(n), memory, stored),
            row("intervals", draws, longer * tried.intervals.each, longer * tried.intervals.at(draws), memory),
            row("report", n, tried.report.each, tried.report.at(n), memory, tried.report_mb),
        ]

    def _notes(self) -> list[str]:
        told = f"{len(self._chosen.arms.arms)} arms x {len(self._chosen.seeds)} seeds, each arm tried once"
        return [told, *super()._notes()]

    def _settings(self, key: str) -> Settings:
        """All arms have the network's."""
        return self.plan.networks[0].settings
