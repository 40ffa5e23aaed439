"""The end of a twin study, rehearsed with one training of every arm: what its scores, intervals and page take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from xfer.progress import silent
from xfer.study import model_card, stages, twin_assembly, twin_cards
from xfer.study.assembly import Finished
from xfer.study.gathering import Gathered
from xfer.study.looking import MEASURES, others
from xfer.study.rehearsal import DRAWS, Line, digest
from xfer.study.stages import Seconds
from xfer.study.study import HEATMAPS, REPORT
from xfer.study.twin_study import LOOKING, TwinStudy
from xfer.study.twins import TwinPlan

_ROWS = 60_000
"""Intervals are tried on at most so many rows of a face, an arm and a seed; of more, they take as much longer."""


@dataclass(frozen=True)
class TwinRehearsed:
    """What the end of a twin study takes.

    Attributes
    ----------
    scores, report : Line
        Of twins.
    intervals : Line
        Of draws.
    heatmap_mb, row_mb, report_mb : float
        A twin's stored heatmaps, a row of the table of faces, the page.
    """

    scores: Line
    intervals: Line
    report: Line
    heatmap_mb: float
    row_mb: float
    report_mb: float


def rehearse(twins: TwinPlan, gathered: Gathered, arms: Sequence[str], tested: int, home: Path) -> TwinRehearsed:
    """End a study of one arm, and of all that were tried.

    Parameters
    ----------
    twins : TwinPlan
    gathered : Gathered
    arms : sequence of str
        Those whose shard is there.
    tested : int
        Test faces of the study.
    home : Path
        A study folder.
    """
    plan = twins.plan
    plain = replace(plan, config={**plan.config, "draws": 0})
    counts = sorted({1, len(arms)})
    took = []
    for n in counts:
        finished = Finished([digest(arm, False) for arm in arms[:n]], [], [])
        took.append(stages.taken(twin_assembly.write, home, plain, twins.truth, gathered, finished, silent)[1])
    study = TwinStudy(home)
    cards = stages.taken(_cards, study)[1] / len(arms)
    page = stages.taken(study.report)[1]
    stored = sum(path.stat().st_size for path in (home / HEATMAPS).rglob("*") if path.is_file())
    return TwinRehearsed(
        scores=_line(counts, took),
        intervals=_intervals(twins, study.looking, tested, home),
        report=Line(page, cards),
        heatmap_mb=stored / 1e6 / len(arms),
        row_mb=(home / LOOKING).stat().st_size / 1e6 / len(study.looking),
        report_mb=(home / REPORT).stat().st_size / 1e6,
    )


def _line(counts: Sequence[int], took: Sequence[Seconds]) -> Line:
    """What grows with twins, told from what is fixed where two numbers of them were tried."""
    each = np.maximum((took[-1] - took[0]) / max(1, counts[-1] - counts[0]), 0)
    return Line(np.maximum(took[-1] - counts[-1] * each, 0), each)


def _cards(study: TwinStudy) -> None:
    for card in twin_cards.of_study(study):
        model_card.write(study.folder, card)


def _intervals(twins: TwinPlan, looking: pd.DataFrame, tested: int, home: Path) -> Line:
    """The tables of as many seeds and faces as the study has, with few draws and with more."""
    most, plan = twins.plan.config["draws"], twins.plan
    explained = min(tested, twins.plan.config["per_class"] * len(plan.dataset.expressions) or tested)
    subjects = max(1, round(tested * plan.config["data"]["subjects"] / plan.config["data"]["faces"]))
    faces = max(1, min(tested, _ROWS // (len(twins.seeds) * looking["guide"].nunique())))
    whole = tiled(looking, twins.seeds, faces, max(1, subjects * faces // tested), max(1, explained * faces // tested))
    counts = sorted({min(draws, most) for draws in DRAWS})
    took = [
        stages.taken(
            twin_assembly.write_tables, home, replace(plan, config={**plan.config, "draws": n}), whole, silent
        )[1]
        for n in counts
    ]
    found = _line(counts, took)
    longer = tested / faces
    return Line(longer * found.fixed, longer * found.each)


def tiled(looking: pd.DataFrame, seeds: Sequence[int], faces: int, subjects: int, explained: int) -> pd.DataFrame:
    """A table of looking with so many seeds, faces and subjects, repeated from one that is there, a little apart."""
    rng = np.random.default_rng(0)
    measured = [*MEASURES, *map(others, MEASURES)]
    place = np.arange(faces)
    parts = []
    for arm, rows in looking.drop_duplicates(["guide", "face"]).groupby("guide", sort=False):
        some = rows.iloc[np.resize(np.arange(len(rows)), faces)].reset_index(drop=True)
        for seed in seeds:
            values = some[measured].astype(float) * rng.uniform(0.9, 1.1, (faces, 1))
            values[place >= explained] = np.nan
            told = {"guide": arm, "seed": seed, "face": place.astype(str), "subject": (place % subjects).astype(str)}
            parts.append(some.assign(**told, **{name: values[name] for name in measured}))
    return pd.concat(parts, ignore_index=True)
