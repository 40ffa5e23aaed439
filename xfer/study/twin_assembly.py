"""From shards to a twin study: heatmaps, scores, and the tables of what guiding did."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer import heatmaps, masks, scoring, training
from xfer.errors import InputError, TrainingError
from xfer.masks import Regions
from xfer.metrics import METRICS
from xfer.nulls.trivial import trivial_maps
from xfer.progress import Stage
from xfer.study import assembly, folder, provenance, results, shards, stages, sums, twin_tables
from xfer.study.assembly import Finished
from xfer.study.folder import SHARDS
from xfer.study.gathering import Gathered, linear_accuracies
from xfer.study.looking import GUIDED, JUDGED, Truth, coarse, others, split, uniform
from xfer.study.plan import Plan
from xfer.study.recognition import DROPPED, NETWORK_COLUMNS, NETWORKS, PREDICTIONS
from xfer.study.study import HEATMAPS, MASKS, SCORES, SCORES_CSV
from xfer.study.twin_study import ALL, DIFFERENCES, FLOOR_COLUMNS, FLOORS, LOOKING, TWINS
from xfer.study.twin_tables import SPECIFICITY, VALUE, Panel


@stages.timed("scores")
def write(home: Path, plan: Plan, truth: Truth, gathered: Gathered, finished: Finished, progress: Stage) -> None:
    """Merge the shards of finished twins and write all that follows from them.

    Raises
    ------
    TrainingError
        If no twin is finished.
    """
    done, failed = finished.done, finished.failed
    if not done:
        raise TrainingError(f"no twin finished: {'; '.join(f'{u.name}: {why}' for u, why in failed[:3])}")
    paths = [home / SHARDS / f"{digest}.npz" for digest in done]
    facts = {"units": list(done), "failed": [[unit.name, why] for unit, why in failed]}
    unit = results.config_digest({"config": plan.config, **facts, **provenance.unit_facts()})
    if results.finished(home, unit):
        return
    folder.require_space(home, sum(path.stat().st_size for path in paths))
    tables = [shards.read_tables(path) for path in paths]
    told = [shards.read_facts(path) for path in paths]
    _csv(home / NETWORKS, network_table(home, plan, told, tables, finished))
    maps, counts = sums.heatmaps(shards.read(path) for path in paths)
    heatmaps.save(maps, home / HEATMAPS)
    sources, _ = assembly.seen_everywhere(plan.sources, maps)
    folder.write_whole(home / MASKS, sources.save)
    results.write_scores(home, assembly.score(maps, counts, sources, plan.config, told, progress))
    looking = looking_table(gathered, told, tables)
    predictions = looking[["model", "guide", "seed", "face", "subject", "expression", "predicted"]]
    for name, table in ((PREDICTIONS, predictions.assign(fold="0")), (LOOKING, looking)):
        folder.write_whole(home / name, partial(scoring.write_parquet, table))
    _csv(home / DROPPED, assembly.dropped_table(plan, gathered, tables, failed))
    write_tables(home, plan, looking, progress)
    _csv(home / FLOORS, floors_table(plan, truth, looking, tables))
    names = [HEATMAPS, MASKS, SCORES, SCORES_CSV, NETWORKS, PREDICTIONS, LOOKING, DROPPED, TWINS, DIFFERENCES, FLOORS]
    results.record(home, plan.config, {unit: names}, shards=facts["units"], device=plan.device)


def _csv(path: Path, table: pd.DataFrame) -> None:
    folder.write_whole(path, lambda aside: scoring.write_csv(table, aside))


@stages.timed("intervals")
def write_tables(home: Path, plan: Plan, looking: pd.DataFrame, progress: Stage) -> None:
    """``twins.csv`` and ``differences.csv``."""
    step = progress("intervals", 1)
    panel, model = Panel.of(looking), plan.networks[0].name
    draws = plan.config["draws"]
    _csv(home / TWINS, twin_tables.twins_table(panel, model, list(plan.config["arms"]), draws))
    _csv(home / DIFFERENCES, twin_tables.differences_table(panel, model, plan.config["pairs"], draws))
    step()


def network_table(
    home: Path,
    plan: Plan,
    told: Sequence[dict[str, Any]],
    tables: Sequence[dict[str, pd.DataFrame]],
    finished: Finished,
) -> pd.DataFrame:
    """One row per arm and seed: ``seed`` and what `NETWORK_COLUMNS` say; the seconds stand in ``units.jsonl``."""
    linear, classes = linear_accuracies(home).get("0", np.nan), plan.dataset.expressions
    start = str(plan.networks[0].start)
    rows = [
        {
            **facts,
            "start": start,
            "grid": " x ".join(map(str, facts["grid"])),
            "accuracy": training.accuracy(found["predictions"]),
            "macro_f1": training.macro_f1(found["predictions"], classes),
            "linear": linear,
            "chance": 1 / len(classes),
            "n_test": len(found["predictions"]),
            "failed": "",
        }
        for facts, found in zip(told, tables, strict=True)
    ]
    for unit, why in finished.failed:
        names = {"model": unit.network, "guide": unit.control, "seed": unit.settings.seed, "fold": unit.fold}
        rows.append({**names, "size": unit.settings.size, "start": start, "checkpoint": unit.name, "failed": why})
    table = pd.DataFrame(rows).reindex(columns=["seed", *NETWORK_COLUMNS])
    text = ["layer", "grid", "coarse", "start", "precision", "remarks", "weights_digest", "checkpoint", "failed"]
    return table.assign(**{name: table[name].fillna("") for name in text})


def looking_table(
    gathered: Gathered, told: Sequence[dict[str, Any]], tables: Sequence[dict[str, pd.DataFrame]]
) -> pd.DataFrame:
    """Every labelled test face of every arm and seed, with salted subjects; NaN for a face that is in no heatmap."""
    salted = dict(zip(gathered.salted["id"], gathered.salted["subject"], strict=True))
    parts = []
    for facts, found in zip(told, tables, strict=True):
        faces = found["predictions"][["id", "expression", "predicted"]].rename(columns={"id": "face"})
        key = {"model": facts["model"], "guide": facts["guide"], "seed": int(facts["seed"])}
        parts.append(faces[faces["expression"] != ""].merge(found["looking"], on="face", how="left").assign(**key))
    whole = pd.concat(parts, ignore_index=True).assign(subject=lambda t: t["face"].map(salted))
    first = ["model", "guide", "seed", "face", "subject", "expression", "predicted"]
    return whole[[*first, *(name for name in whole if name not in first)]]


def floors_table(
    plan: Plan, truth: Truth, looking: pd.DataFrame, tables: Sequence[dict[str, pd.DataFrame]]
) -> pd.DataFrame:
    """`FLOOR_COLUMNS`: in the frame against the masks that judge, on the test faces against the maps that guide."""
    rows = []
    for measure, scores in frame_floors(plan, truth).items():
        for floor, each in scores.items():
            own = split(measure, each, range(len(each)))
            rows += _rows(floor, measure, own[measure], own[others(measure)], truth.expressions)
    faces = next((found["floors"] for found in tables if "floors" in found), None)
    if faces is not None:
        shown = faces.merge(looking[["face", "expression"]].drop_duplicates("face"), on="face")
        for name, part in shown.groupby("floor", sort=False):
            mean = part.groupby("expression")[["cosine", others("cosine")]].mean().dropna()
            cosines = mean["cosine"].to_numpy(float), mean[others("cosine")].to_numpy(float)
            for measure in GUIDED:
                rows += _rows(str(name), measure, cosines[0], cosines[1], mean.index.tolist())
    return pd.DataFrame(rows, columns=list(FLOOR_COLUMNS))


def _rows(
    floor: str, measure: str, own: NDArray[np.float64], rest: NDArray[np.float64], expressions: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Scores of expressions as value and specificity, single and as the mean."""
    return [
        (floor, measure, form, expression, float(value))
        for form, values in ((VALUE, own), (SPECIFICITY, own - rest))
        for expression, value in ((ALL, values.mean()), *zip(expressions, values, strict=True))
    ]


def frame_floors(plan: Plan, truth: Truth) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Scores (expression, mask) of the trivial maps in the frame, by measure and floor."""
    source, units = plan.sources.masks[0], truth.masks
    regions = _regions(str(source.name))
    if regions is not None:
        points = plan.frame.points[:68]
        units = coarse(masks.action_units(regions, points, height=plan.frame.height, width=plan.frame.width))
    maps = trivial_maps(truth.masks, units)
    found = {}
    for measure in JUDGED:
        metric = METRICS[measure]
        options: dict[str, Any] = {"threshold": truth.threshold} if metric.thresholded else {}
        scores = {name: metric(each, truth.masks, support=truth.support, **options) for name, each in maps.items()}
        scores["uniform"] = uniform(measure, truth.masks[:, truth.support])
        found[measure] = {name: np.broadcast_to(each, (len(each), len(each))) for name, each in scores.items()}
    return found


def _regions(source: str) -> Regions | None:
    """The regions a mask source is drawn from; None where it draws shapes of its own, or is a folder."""
    try:
        return masks.source(source).regions
    except InputError:
        return None
