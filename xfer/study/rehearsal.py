"""Scores, intervals and the page of a few networks, rehearsed: what those of a study take."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xfer.progress import silent
from xfer.study import assembly, folder, model_card, results, shards, stages
from xfer.study.assembly import Finished
from xfer.study.folder import SHARDS
from xfer.study.gathering import Gathered
from xfer.study.plan import Plan
from xfer.study.stages import Seconds, Watch
from xfer.study.study import HEATMAPS, REPORT, Study
from xfer.study.units import BLOCKS, FEW_FOLDS, FOLDS, Units, from_shards

NETWORKS = 3
"""The most networks that are taken; what more of them take is on the line from one to these."""
DRAWS = (40, 120)
"""Draws behind the intervals; what more of them take is on the line through both."""


@dataclass(frozen=True)
class Line:
    """What n of something take: ``fixed + n * each``, seconds on the wall and of processors (2,)."""

    fixed: Seconds
    each: Seconds

    def at(self, n: float) -> Seconds:
        """The seconds that so many take."""
        return self.fixed + n * self.each


@dataclass(frozen=True)
class Chance:
    """What intervals and nulls take, seconds on the wall and of processors (2,)."""

    fixed: Seconds
    cell: Seconds
    draw: Seconds
    pair: Seconds

    def at(self, cells: float, pairs: float, draws: int) -> Seconds:
        """``fixed + cells * (cell + draws * draw) + pairs * draws * pair``, of heatmaps and pairs of networks."""
        return self.fixed + cells * (self.cell + draws * self.draw) + pairs * draws * self.pair


class Attempt(NamedTuple):
    """What intervals of so many heatmaps, pairs of networks and draws took."""

    cells: int
    pairs: int
    draws: int
    seconds: Seconds


@dataclass(frozen=True)
class Rehearsed:
    """What the end of a study takes.

    Attributes
    ----------
    score : array (2,)
        Merging, storing and scoring a heatmap of any outcome.
    chance : Chance
    report : Line
        Of networks.
    heatmap_mb, report_mb : float
        A stored heatmap; the page, a network.
    """

    score: Seconds
    chance: Chance
    report: Line
    heatmap_mb: float
    report_mb: float


@dataclass(frozen=True)
class _Ending:
    score: Seconds
    cells: int
    attempts: list[Attempt]
    pair: Seconds
    report: Seconds


def digest(network: str, rival: bool) -> str:
    """The name of a network's shard, or of that with randomised weights."""
    return f"trial-{folder.slug(network)}{'-randomised' if rival else ''}"


def rehearse(
    plan: Plan, gathered: Gathered, names: Sequence[str], rivals: Collection[str], home: Path, rows: int
) -> Rehearsed:
    """End a study of networks whose shards are there: of all where they are few, else of one and of some.

    Parameters
    ----------
    plan : Plan
    gathered : Gathered
    names : sequence of str
    rivals : collection of str
        Networks that have a shard with randomised weights too.
    home : Path
        A study folder.
    rows : int
        Blocks of subjects or folds behind a heatmap, whatever the shards have.
    """
    counts = [len(names)] if len(names) <= NETWORKS else [1, NETWORKS]
    endings = [_end(plan, gathered, names[:n], rivals, home, rows) for n in counts]
    first, last = endings[0], endings[-1]
    page = np.maximum((last.report - first.report) / max(1, counts[-1] - counts[0]), 0)
    stored = sum(path.stat().st_size for path in (home / HEATMAPS).rglob("*") if path.is_file())
    return Rehearsed(
        score=last.score / last.cells,
        chance=fit([ending.attempts for ending in endings], last.pair),
        report=Line(last.report - counts[-1] * page, page),
        heatmap_mb=stored / 1e6 / last.cells,
        report_mb=(home / REPORT).stat().st_size / 1e6 / counts[-1],
    )


def _end(
    plan: Plan, gathered: Gathered, names: Sequence[str], rivals: Collection[str], home: Path, rows: int
) -> _Ending:
    done = [digest(name, False) for name in names]
    drawn = [digest(name, True) for name in names if name in rivals]
    scored = replace(plan, config={**plan.config, "draws": 0})
    _, score = stages.taken(assembly.write, home, scored, gathered, Finished(done, drawn, []), silent)
    study = Study(home)
    attempts: list[Attempt] = []
    pair = np.zeros(2)
    if most := plan.config["draws"]:
        level = FOLDS if plan.config["folds"] >= FEW_FOLDS else BLOCKS
        units = tiled(from_shards(study, (shards.read(home / SHARDS / f"{each}.npz") for each in done)), level, rows)
        pairs = len(names) * (len(names) - 1) // 2
        scores = study.scores
        few, more = (min(draws, most) for draws in DRAWS)
        for draws in (few, few, more) if few < more else (more,):
            results.write_scores(home, scores)
            watch = Watch()
            config = {**plan.config, "draws": draws}
            _, took = stages.taken(results.write_inference, home, units, config, watch)
            attempts.append(Attempt(len(units.rows), pairs, draws, took))
        if ticks := watch.done.get("comparing networks"):
            pair = (ticks[-1] - watch.begun["comparing networks"]) / len(ticks) / more
    return _Ending(score, study.heatmaps.sizes["cell"], attempts, pair, stages.taken(_page, home)[1])


def _page(home: Path) -> None:
    study = Study(home)
    for card in model_card.of_study(study):
        model_card.write(home, card)
    study.report()


def tiled(units: Units, level: str, rows: int) -> Units:
    """Units with so many rows of every heatmap, repeated from those that are there, a little apart."""
    rng = np.random.default_rng(0)
    names = tuple(str(i) for i in range(rows))
    found = {}
    for key, some in units.rows.items():
        repeated = np.resize(some, (rows, some.shape[1]))
        found[key] = repeated * rng.uniform(0.9, 1.1, (rows, 1)).astype(np.float32)
    return Units(level, units.inside, found, dict.fromkeys(found, names), units.faces)


def fit(attempts: Sequence[Sequence[Attempt]], pair: Seconds) -> Chance:
    """What intervals take, from attempts of which the first is a warm-up, the second of few draws, the last of more.

    Where all draws are few there is one attempt, and what it took is fixed. With two sizes of a study, what grows with
    heatmaps is told from what is fixed; with one size all of it is fixed.

    >>> true = Chance(*(np.array([s, s]) for s in (5.0, 0.5, 0.01, 0.002)))
    >>> tries = [[Attempt(n, p, d, true.at(n, p, d)) for d in (40, 40, 120)] for n, p in ((6, 0), (18, 3))]
    >>> found = fit(tries, true.pair)
    >>> round(float(found.at(72, 66, 500)[0]), 6) == round(float(true.at(72, 66, 500)[0]), 6)
    True
    """
    if not attempts[0]:
        return Chance(*(np.zeros(2) for _ in range(4)))
    warm, least = attempts[0][0], attempts[0][:2][-1]
    few, more = attempts[-1][:2][-1], attempts[-1][-1]
    slope = (more.seconds - few.seconds) / max(1, more.draws - few.draws)
    draw = np.maximum(slope - few.pairs * pair, 0) / few.cells

    def left(attempt: Attempt) -> Seconds:
        """What does not grow with draws."""
        return attempt.seconds - attempt.draws * (attempt.cells * draw + attempt.pairs * pair)

    cell = np.zeros(2)
    if len(attempts) > 1:
        cell = np.maximum((left(few) - left(least)) / (few.cells - least.cells), 0)
    begin = np.maximum(warm.seconds - least.seconds, 0)
    return Chance(np.maximum(left(few) - few.cells * cell, 0) + begin, cell, draw, pair)
