"""A study in small, in a folder that goes: every stage run by its own functions on a handful of faces, and timed."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer import landmarking
from xfer.errors import InputError, TrainingError
from xfer.progress import Stage, silent
from xfer.study import computing, dealing, engine, faces, folder, networks, rehearsal, stages, twin_rehearsal
from xfer.study.dealing import Fold
from xfer.study.gathering import Gathered
from xfer.study.mean_face import TOGETHER, mean_face
from xfer.study.plan import Plan
from xfer.study.rehearsal import Line, Rehearsed
from xfer.study.stages import Seconds, Watch, now
from xfer.study.trial import Trial, Tried, TwinTrial, line, measure
from xfer.study.twin_rehearsal import TwinRehearsed
from xfer.study.twins import TwinPlan, describe
from xfer.training import Pixels, linear_baseline

FACES = {"train": 24, "validation": 6, "test": 12}
"""Faces that are opened, of every expression in turn."""
SECONDS = 40.0
"""About as long as networks are tried, all together."""

_FEW = 8
_LINEAR = 400


@dataclass(frozen=True)
class Pilot:
    """What everything took.

    Attributes
    ----------
    folds : tuple of Fold
        As the study divides the faces that are there.
    landmarks, pictures, portrait : Line
        Of faces.
    linear : array (2,)
        A training face of the linear classifier.
    tried, rivals : dict of str to Tried
        By network: as it is trained, and with randomised weights.
    failed : dict of str to str
        Why a network cannot be trained.
    worker : array (2,)
        What a process takes to begin.
    rehearsed : Rehearsed or TwinRehearsed
        Scores, intervals and the page.
    memory_mb : float
        The most that this process has had.
    listed_mb : float
        Of a face in the tables of faces and landmarks, on the disk.
    """

    folds: tuple[Fold, ...]
    landmarks: Line
    pictures: Line
    linear: Seconds
    portrait: Line
    tried: Mapping[str, Tried]
    rivals: Mapping[str, Tried]
    failed: Mapping[str, str]
    worker: Seconds
    rehearsed: Rehearsed | TwinRehearsed
    memory_mb: float
    listed_mb: float = 0.0


def run(plan: Plan, workers: int, blocks: int, rows: int, progress: Stage, twins: TwinPlan | None = None) -> Pilot:
    """Try everything a study does.

    Parameters
    ----------
    plan : Plan
    workers : int
        Networks tried side by side, as the study will work on them.
    blocks, rows : int
        Blocks of subjects in the study, and those of them, or folds, that a heatmap has.
    progress : callable
    twins : TwinPlan, optional
        Of a twin study whose network's plan that is: every arm is tried.

    Raises
    ------
    InputError
        If no face of the few that are opened has landmarks.
    TrainingError
        If no network can be trained.
    """
    step = progress("measuring", (len(twins.arms.arms) if twins else len(plan.networks)) + 3)
    with tempfile.TemporaryDirectory(prefix="xfer-plan-") as place:
        home = Path(place) / "study"
        with folder.claim(home, plan.config):
            folds, gathered, landmarks = _gathered(plan, home)
            step()
            with _pictures(plan, gathered, home) as (pixels, pictures):
                with engine.one_thread():
                    linear, portrait = _linear(gathered, pixels), _portrait(plan, gathered, pixels)
                step()
                units = _units(plan, twins, gathered)
                tried, rivals, failed, worker = _tried(plan, units, pixels, home, workers, blocks, step)
            if not tried:
                raise TrainingError(f"no network can be trained: {'; '.join(failed.values())}")
            rehearsed: Rehearsed | TwinRehearsed
            if twins is None:
                rehearsed = rehearsal.rehearse(plan, gathered, list(tried), set(rivals), home, rows)
            else:
                tested = len(folds[0].test)
                rehearsed = twin_rehearsal.rehearse(twins, gathered, list(tried), tested, home)
            step()
            listed = stored_mb(gathered.table, landmarking.write) + stored_mb(gathered.salted, pd.DataFrame.to_parquet)
    return Pilot(
        folds, landmarks, pictures, linear, portrait, tried, rivals, failed, worker, rehearsed, stages.peak_mb(), listed
    )  # fmt: skip


def stored_mb(table: pd.DataFrame, write: Callable[[pd.DataFrame, Path], None]) -> float:
    """What a row of a table takes on the disk, in MB: what the second half of the rows adds to the file."""
    half, sizes = len(table) // 2, []
    with tempfile.TemporaryDirectory(prefix="xfer-plan-") as place:
        for some in (table.iloc[:half], table):
            write(some, path := Path(place) / "table")
            sizes.append(path.stat().st_size)
    return max(0, sizes[1] - sizes[0]) / 1e6 / max(1, len(table) - half)


def _gathered(plan: Plan, home: Path) -> tuple[tuple[Fold, ...], Gathered, Line]:
    """The folds of all faces, some faces gathered, and what gathering takes of a face."""
    began = now()
    dealt = dealing.assign(plan.dataset, np.arange(len(plan.dataset)), plan.config["folds"], plan.config["seed"])
    dealing_a_face = (now() - began) / len(plan.dataset)
    parts = {name: _spread(plan, getattr(dealt.folds[0], name), n) for name, n in FACES.items()}
    chosen = np.concatenate(list(parts.values()))
    ends = np.cumsum([len(part) for part in parts.values()])
    fold = Fold("0", *np.split(np.arange(len(chosen)), ends[:-1]))
    if plan.dataset.take(chosen).landmarked().all():
        few = home.parent / "few"
        few.mkdir()
        first, again = (stages.taken(_of_faces, plan, chosen[:_FEW], None, few, silent)[1] for _ in range(2))
        gathered, took = stages.taken(_of_faces, plan, chosen, fold, home, silent)
        each = np.maximum((took - again) / max(1, len(chosen) - _FEW), 0)
        line_of = Line(np.maximum(first - _FEW * each, 0), each + dealing_a_face)
    else:
        watch = Watch()
        gathered, took = stages.taken(_of_faces, plan, chosen, fold, home, watch)
        each, rest = line(watch.done.get("landmarks", []), 1, took)
        line_of = Line(rest, each + dealing_a_face)
    return dealt.folds, gathered, line_of


def _spread(plan: Plan, positions: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Some of the faces at random but for the seed, of every expression in turn."""
    mixed = np.random.default_rng(plan.config["seed"]).permutation(positions)
    turns: dict[str, int] = {}
    turn = []
    for expression in plan.dataset.take(mixed).column("expression"):
        shown = expression or ""
        turns[shown] = turns.get(shown, 0) + 1
        turn.append((not shown, turns[shown]))
    order = sorted(range(len(mixed)), key=turn.__getitem__)
    return mixed[order[:most]]


def _of_faces(plan: Plan, chosen: NDArray[np.intp], fold: Fold | None, home: Path, progress: Stage) -> Gathered:
    """As `gathering.gather`, with parts that are given."""
    told, dataset = plan.config["data"], plan.dataset.take(chosen)
    table = faces.landmarks(dataset, home, plan.landmarker, progress)
    points = landmarking.points(table)
    usable = np.flatnonzero(landmarking.complete(points))
    if not len(usable):
        raise InputError(f"{dataset.name}: none of {len(dataset)} faces has landmarks: {table['reason'].iloc[0]}")
    whole = fold or Fold("0", usable, usable, usable)
    kept = Fold("0", *(np.intersect1d(getattr(whole, name), usable) for name in FACES))
    boxes = None if told["crop"] == "whole" else faces.crops(table, told["crop"])
    salted = faces.write_table(home, dataset, table, dealing.Assignment((kept,)))
    return Gathered(dataset, points, boxes, table, salted, (kept,), (), faces.digest(table))


@contextmanager
def _pictures(plan: Plan, gathered: Gathered, home: Path) -> Iterator[tuple[Mapping[int, Pixels], Line]]:
    watch, began = Watch(), now()
    with gathered.pictures({network.settings.size for network in plan.networks}, home, watch) as pixels:
        each, rest = line(watch.done["reading faces"], 1, now() - began)
        yield pixels, Line(rest, each)


def _linear(gathered: Gathered, pixels: Mapping[int, Pixels]) -> Seconds:
    small, fold = pixels[min(pixels)], gathered.folds[0]
    train = np.resize(small.labelled(fold.train), _LINEAR)
    return stages.taken(linear_baseline, small, train, fold.validation, fold.test)[1] / _LINEAR


def _portrait(plan: Plan, gathered: Gathered, pixels: Mapping[int, Pixels]) -> Line:
    watch = Watch()
    shown = np.resize(gathered.folds[0].test, 3 * TOGETHER)
    _, took = stages.taken(mean_face, pixels[max(pixels)], shown, plan.frame, watch)
    each, rest = line(watch.done["mean face"], TOGETHER, took)
    return Line(rest, each)


def _units(plan: Plan, twins: TwinPlan | None, gathered: Gathered) -> list[dict[str, Any]]:
    """A unit of every network, as it is trained and with randomised weights; of twins one of every arm."""
    if twins is not None:
        return [{**each, "floors": False} for each in describe(twins, gathered)[: len(twins.arms.arms)]]
    units = networks.describe(plan, gathered)
    rivals = {each["network"]: each for each in networks.rivals(plan, gathered, units)}
    return [*units, *rivals.values()]


def _tried(
    plan: Plan,
    units: list[dict[str, Any]],
    pixels: Mapping[int, Pixels],
    home: Path,
    workers: int,
    blocks: int,
    step: Callable[[], None],
) -> tuple[dict[str, Tried], dict[str, Tried], dict[str, str], Seconds]:
    """Every unit tried, side by side as in the study."""
    seconds = SECONDS * workers / len(units)
    test = np.resize(units[0]["test"], max(64, blocks))
    of_all = {"test": test, "blocks": np.arange(blocks - 1, blocks - 1 - len(test), -1) % blocks}
    trials: list[Trial] = []
    for each in computing.longest_first(units, len(plan.dataset.expressions)):
        kind = TwinTrial if "arm" in each else Trial
        rival = each.get("randomised") is not None
        digest = rehearsal.digest(each.get("arm") or each["network"], rival)
        small = {**each, **of_all, "digest": digest, "home": home, "seconds": seconds, "per_class": 0}
        trials.append(kind(**small, pixels=pixels[each["settings"].size], parent=os.getpid()))
    if len(trials) == 1 and workers > 1 and plan.config["folds"] > 1:  # the study's is not alone on the machine either
        trials.append(replace(trials[0], fold="1", digest="beside"))
    tried: dict[str, Tried] = {}
    besides: dict[str, Tried] = {}
    failed: dict[str, str] = {}
    begun, arrived = time.time(), []
    for trial, result in engine.Local().run(trials, measure, engine.Needs(workers=workers), silent):
        if isinstance(result, Tried):
            (tried if trial.randomised is None else besides)[trial.key] = result
            arrived.append((result.arrived - begun, result.worker[1]))
        elif trial.randomised is None:
            failed[trial.key] = computing.reason(result)
        if trial.randomised is None:
            step()
    order = dict.fromkeys(each.get("arm") or each["network"] for each in units)
    tried = {key: tried[key] for key in order if key in tried}
    first = sorted(arrived)[:workers] if workers > 1 and len(trials) > 1 else [(0.0, 0.0)]
    return tried, besides, failed, np.mean(first, axis=0)
