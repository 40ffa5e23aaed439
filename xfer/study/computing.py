"""The units of a study computed by an engine: in what order, which in parts, and what is logged of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from math import inf, isnan
from pathlib import Path
from typing import Any

from xfer.errors import InputError, TrainingError
from xfer.models import operations
from xfer.progress import Stage
from xfer.study import costs, folder, gathering, parts, shards, stages, unit_log
from xfer.study.engine import Engine, Needs, one_thread
from xfer.study.folder import CHECKPOINTS, PARTIALS, SHARDS
from xfer.study.gathering import Gathered
from xfer.study.parts import Piece
from xfer.study.plan import Plan
from xfer.study.unit import Done, Unit
from xfer.study.unit import compute as compute_unit
from xfer.training.settings import Settings
from xfer.training.weights import is_whole

Task = Unit | Piece
Worked = tuple[Unit, Done | str]
"""A unit with what it took, or the reason why it failed."""


def work(
    home: Path,
    chosen: Plan,
    gathered: Gathered,
    described_units: Sequence[dict[str, Any]],
    engine: Engine,
    progress: Stage,
    *,
    until: str = "heatmaps",
    kind: type[Unit] = Unit,
) -> list[Worked]:
    """Compute the units that are not finished; each with what it took, or the reason why it failed."""
    files = [home / SHARDS / f"{each['digest']}.npz" for each in described_units]
    each_file = zip(described_units, files, strict=True)
    pending = [each for each, file in each_file if until == "training" or not shards.whole(file)]
    sizes = {each["settings"].size for each in pending}
    if gathering.needs_baselines(home, gathered, chosen):
        sizes.add(min(network.settings.size for network in chosen.networks))
    if gathering.needs_portrait(home, gathered):
        sizes.add(max(network.settings.size for network in chosen.networks))
    for done in {each["digest"] for each in described_units} - {each["digest"] for each in pending}:
        folder.sweep(home, f"{done}.*")
    parts.clear(home, {each["digest"] for each in described_units})
    with gathered.pictures(sizes, home, progress) as pixels:
        with one_thread():
            gathering.baselines(home, gathered, chosen, pixels, progress)
            gathering.portrait(home, gathered, chosen.frame, pixels, progress)
        units = [
            kind(**each, pixels=pixels[each["settings"].size], home=home, until=until, ranks=chosen.ranks)
            for each in longest_first(pending, len(gathered.dataset.expressions), costs.planned_seconds(home))
        ]
        with stages.recorded(home, "networks"):
            return _worked(
                home, units, engine, _needs(units, chosen.device, None if chosen.ranks.processes == 1 else 1), progress
            )


def compute(task: Task, progress: Stage) -> Done:
    """What an engine does: a unit, or a part of one."""
    return parts.compute(task, progress) if isinstance(task, Piece) else compute_unit(task, progress)


def _worked(home: Path, units: Sequence[Unit], engine: Engine, needs: Needs, progress: Stage) -> list[Worked]:
    """All units; the parts of one begin as soon as it is trained, and a worker is free."""
    under_way = _UnderWay(home, units)
    told, follow = under_way.told(progress), under_way.follow if under_way.pieces else None
    try:
        with closing(engine.run(under_way.tasks, compute, needs, told, follow)) as results:
            return [*under_way.merged(), *(each for task, result in results for each in under_way.end(task, result))]
    finally:
        parts.forget()


class _UnderWay:
    """Units, and what is left to do of them.

    Attributes
    ----------
    pieces : dict of str to list of Piece
        By its digest, the parts of a unit that has some.
    tasks : list of Unit or Piece
        What may begin: units that have no parts, of the others the training, then parts of those that are trained.
    """

    def __init__(self, home: Path, units: Sequence[Unit]) -> None:
        self._home, self._units = home, {unit.digest: unit for unit in units}
        self.pieces = {unit.digest: found for unit in units if (found := parts.cut(unit))}
        self._missing = {
            digest: [p for p in found if not shards.whole(p.path)] for digest, found in self.pieces.items()
        }
        trained = _trained(home)
        first = [u for u in units if u.digest not in self.pieces or (u.is_trained and u.digest not in trained)]
        begun = {unit.digest for unit in first}
        self.tasks: list[Task] = [replace(u, until="weights") if u.digest in self.pieces else u for u in first]
        self.tasks += [piece for digest, some in self._missing.items() if digest not in begun for piece in some]
        self._left = {digest: (digest in begun) + len(self._missing.get(digest, ())) for digest in self._units}
        self._found: dict[str, Done | str] = {}
        if self.pieces:
            (home / PARTIALS).mkdir(exist_ok=True)

    def follow(self, task: Task, result: Done | Exception) -> Sequence[Task]:
        """The parts of a unit that has just been trained."""
        return self._missing.get(task.digest, ()) if isinstance(task, Unit) and isinstance(result, Done) else ()

    def merged(self) -> Iterator[Worked]:
        """The units whose parts were all there."""
        return (self._whole(digest) for digest, left in self._left.items() if not left)

    def end(self, task: Task, result: Done | Exception) -> Iterator[Worked]:
        """Note what a task came to; the unit, if that was the last of it."""
        digest = task.digest
        self._left[digest] -= 1
        if isinstance(result, Exception):
            self._found.setdefault(digest, reason(result))
            self._left[digest] *= isinstance(task, Piece)  # of a network that is not trained no part begins
        else:
            _log(self._home, task, result)
            if digest not in self.pieces:
                self._found[digest] = result
        if not self._left[digest]:
            yield self._whole(digest)

    def _whole(self, digest: str) -> Worked:
        """A unit of which nothing is left to do but to merge its parts."""
        unit = self._units[digest]
        if digest not in self._found:
            try:
                self._found[digest] = done = parts.merge(unit, self.pieces[digest])
                _log(self._home, unit, done)
            except InputError as error:
                self._found[digest] = reason(error)
        return unit, self._found[digest]

    def told(self, progress: Stage) -> Stage:
        """The parts of a unit as one stage, which begins with the faces of those that were there."""
        cut = {found[0].unit.explaining: digest for digest, found in self.pieces.items()}
        there = {digest: [p for p in found if p not in self._missing[digest]] for digest, found in self.pieces.items()}
        ticks: dict[str, Callable[[], None]] = {}

        def stage(name: str, steps: int) -> Callable[[], None]:
            if name not in cut:
                return progress(name, steps)
            if name not in ticks:
                ticks[name] = progress(name, len(self._units[cut[name]].test))
                for _ in range(sum(map(parts.faces, there[cut[name]]))):
                    ticks[name]()
            return ticks[name]

        return stage


def _trained(home: Path) -> set[str]:
    """The units of which an ended run has finished the training, by their digests; its files are whole.

    Of others the training comes first again: the parts, which find no network, would train one each at the same time.
    """
    ended = (entry for entry in unit_log.read(home) if entry["until"] == "weights")
    places = {entry["unit"]: home / CHECKPOINTS / f"{entry['checkpoint']}.safetensors" for entry in ended}
    return {unit for unit, path in places.items() if path.with_suffix(".csv").is_file() and is_whole(path)}


def longest_first(
    units: Sequence[dict[str, Any]], classes: int, planned: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Units in the order that leaves no core idle at the end; those of one network as they come, trained ones first.

    By the seconds that `xfer.study.forecast` measured, where there was a plan of all the networks; else by operations.
    """
    networks = {each["network"]: each["settings"] for each in units}
    work = dict(planned or {})
    if not networks.keys() <= work.keys():
        work = {name: _work_of(name, settings, classes) for name, settings in networks.items()}
    return sorted(units, key=lambda each: (each.get("randomised") is not None, -work[each["network"]]))


def _work_of(network: str, settings: Settings, classes: int) -> float:
    """What training costs, up to a factor; infinite for a network that cannot be weighed, and is tried at once."""
    try:
        return settings.epochs * operations(network, classes, settings.size)
    except Exception:  # it fails by itself then, in its own unit
        return inf


def _needs(units: Sequence[Unit], device: str, workers: int | None) -> Needs:
    read = [unit.pixels.file for unit in units]
    read += [unit.black_box.path for unit in units if unit.black_box]
    read += [Path(unit.start.source) for unit in units if unit.start.kind == "file"]
    files = tuple(dict.fromkeys(path for path in read if path is not None))
    threads = max((unit.settings.threads for unit in units), default=1)
    home = units[0].home if units else None
    return Needs(threads, device, workers, files, shared="pixels", home=home, reads=_reads)


def _reads(work: Unit | Piece) -> list[Path]:
    """What a unit or its part finds in the study's folder: pictures, and what there is of its training."""
    unit = work.unit if isinstance(work, Piece) else work
    pictures = [work.pixels.file] if work.pixels.file else []
    return [*pictures, *sorted((unit.home / CHECKPOINTS).glob(f"{unit.name}.*"))]


def _log(home: Path, task: Task, done: Done) -> None:
    unit, facts = (task, {}) if isinstance(task, Unit) else (task.unit, {"until": "part", "part": task.part.number})
    key = {"model": unit.network, "fold": unit.fold, "checkpoint": unit.name}
    line = {"unit": unit.digest, **key, "until": unit.until, **vars(done), **facts}
    if unit.randomised is not None:
        line["randomised"] = unit.randomised
    if isnan(done.accuracy):
        line["accuracy"] = None
    unit_log.append(home, line)


def reason(error: Exception) -> str:
    """One line of why a unit failed; what no user can mend says what kind of error it was."""
    text = " ".join(str(error).split()) or "no reason given"
    return text if isinstance(error, InputError | TrainingError) else f"{type(error).__name__}: {text}"
