"""The units of a study computed by an engine: in what order, which in parts, and what is logged of each."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from math import inf, isnan
from os import SEEK_END
from pathlib import Path
from typing import Any

from xfer.errors import InputError, TrainingError
from xfer.models import operations
from xfer.progress import Stage
from xfer.study import costs, folder, gathering, parts, shards, stages
from xfer.study.engine import Engine, Needs, one_thread
from xfer.study.folder import PARTIALS
from xfer.study.gathering import Gathered
from xfer.study.parts import Piece
from xfer.study.plan import Plan
from xfer.study.recognition import CHECKPOINTS, SHARDS, UNITS
from xfer.study.unit import Done, Unit, compute
from xfer.training.settings import Settings

Worked = tuple[Unit, Done | str]
"""A unit with what it took, or the reason why it failed."""


def work(
    home: Path,
    chosen: Plan,
    gathered: Gathered,
    described_units: Sequence[dict[str, Any]],
    engine: Engine,
    workers: int | None,
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
        one = workers if chosen.ranks.processes == 1 else 1
        with stages.recorded(home, "networks"):
            return _worked(home, units, engine, _needs(units, chosen.device, one), progress)


def _worked(home: Path, units: Sequence[Unit], engine: Engine, needs: Needs, progress: Stage) -> list[Worked]:
    """All units: first those that have no parts, and the training of the others, then the parts."""
    pieces = {unit.digest: found for unit in units if (found := parts.cut(unit))}
    trained = _trained(home)
    first = [unit for unit in units if unit.digest not in pieces or (unit.is_trained and unit.digest not in trained)]
    worked = list(_whole(home, first, pieces, engine, needs, progress))
    trained |= {unit.digest for unit, result in worked if isinstance(result, Done)}
    alone = [pair for pair in worked if pair[0].digest not in pieces or isinstance(pair[1], str)]
    cut = [unit for unit in units if unit.digest in pieces and (not unit.is_trained or unit.digest in trained)]
    return alone + list(_in_parts(home, cut, pieces, engine, needs, progress))


def _whole(
    home: Path,
    units: Sequence[Unit],
    pieces: Mapping[str, Sequence[Piece]],
    engine: Engine,
    needs: Needs,
    progress: Stage,
) -> Iterator[Worked]:
    """The units that have no parts; of the others the training."""
    first = [replace(unit, until="weights") if unit.digest in pieces else unit for unit in units]
    with closing(engine.run(first, compute, needs, progress)) as results:
        for unit, result in results:
            if isinstance(result, Done):
                _log(home, unit, result)
                yield unit, result
            else:
                yield unit, reason(result)


def _in_parts(
    home: Path,
    units: Sequence[Unit],
    pieces: Mapping[str, Sequence[Piece]],
    engine: Engine,
    needs: Needs,
    progress: Stage,
) -> Iterator[Worked]:
    """Units part by part, one network after another; a shard is merged when the last of its parts is there."""
    if not units:
        return
    (home / PARTIALS).mkdir(exist_ok=True)
    missing = {unit.digest: {p.path for p in pieces[unit.digest] if not shards.whole(p.path)} for unit in units}
    pending = [piece for unit in units for piece in pieces[unit.digest] if piece.path in missing[unit.digest]]
    by_digest = {unit.digest: unit for unit in units}
    yield from (_merged(home, unit, pieces[unit.digest]) for unit in units if not missing[unit.digest])
    failed: dict[str, str] = {}
    try:
        with closing(engine.run(pending, parts.compute, needs, _together(units, progress))) as results:
            for piece, result in results:
                digest = piece.unit.digest
                missing[digest].discard(piece.path)
                if isinstance(result, Done):
                    _log(home, piece.unit, result, until="part", part=piece.part.number)
                else:
                    failed.setdefault(digest, reason(result))
                if not missing[digest]:
                    unit = by_digest[digest]
                    yield (unit, failed[digest]) if digest in failed else _merged(home, unit, pieces[digest])
    finally:
        parts.forget()


def _trained(home: Path) -> set[str]:
    """The units of which an ended run has finished the training, by their digests."""
    found = set()
    for line in (home / UNITS).read_text(encoding="utf-8").splitlines() if (home / UNITS).is_file() else []:
        with suppress(ValueError):  # a line that a kill has torn
            told = json.loads(line)
            if told["until"] == "weights" and (home / CHECKPOINTS / f"{told['checkpoint']}.safetensors").is_file():
                found.add(str(told["unit"]))
    return found


def _merged(home: Path, unit: Unit, pieces: Sequence[Piece]) -> Worked:
    try:
        done = parts.merge(unit, pieces)
    except InputError as error:
        return unit, reason(error)
    _log(home, unit, done)
    return unit, done


def _together(units: Sequence[Unit], progress: Stage) -> Stage:
    """The parts of a unit as one stage."""
    faces = {unit.explaining: len(unit.test) for unit in units}
    ticks: dict[str, Callable[[], None]] = {}

    def stage(name: str, steps: int) -> Callable[[], None]:
        if name not in faces:
            return progress(name, steps)
        if name not in ticks:
            ticks[name] = progress(name, faces[name])
        return ticks[name]

    return stage


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


def _log(home: Path, unit: Unit, done: Done, **facts: Any) -> None:
    key = {"model": unit.network, "fold": unit.fold, "checkpoint": unit.name}
    line = {"unit": unit.digest, **key, "until": unit.until, **vars(done), **facts}
    if unit.randomised is not None:
        line["randomised"] = unit.randomised
    if isnan(done.accuracy):
        line["accuracy"] = None
    with (home / UNITS).open("ab+") as log:
        if log.tell() and (log.seek(-1, SEEK_END), log.read(1))[1] != b"\n":
            log.write(b"\n")  # a kill has torn the last line
        log.write(json.dumps(line).encode() + b"\n")


def reason(error: Exception) -> str:
    """One line of why a unit failed; what no user can mend says what kind of error it was."""
    text = " ".join(str(error).split()) or "no reason given"
    return text if isinstance(error, InputError | TrainingError) else f"{type(error).__name__}: {text}"
