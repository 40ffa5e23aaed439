"""From shards to a study of networks: heatmaps, tables, scores."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xfer import heatmaps, scoring, training
from xfer.errors import InputError, TrainingError
from xfer.labels import EXPRESSIONS, KEY
from xfer.mask_sources import MaskSources
from xfer.nulls.canvas import fill
from xfer.progress import Stage
from xfer.study import folder, provenance, results, shards, stages, sums, unit_log
from xfer.study.absent import dropped_rows, with_absent
from xfer.study.engine import Engine
from xfer.study.folder import SHARDS
from xfer.study.gathering import Gathered, linear_accuracies
from xfer.study.plan import Plan
from xfer.study.recognition import DROPPED, DROPPED_COLUMNS, NETWORK_COLUMNS, NETWORKS, PREDICTIONS
from xfer.study.study import CLUSTERS, HEATMAPS, MASKS, RANDOMISED, SCORES, SCORES_CSV, Study
from xfer.study.unit import Unit
from xfer.study.units import from_shards

Failed = Sequence[tuple[Unit, str]]

_UNSEEN = 0.05
"""Share of the support that maps of few faces may lack."""


@dataclass(frozen=True)
class Finished:
    """How the units of a study ended.

    Attributes
    ----------
    done : sequence of str
        The digests of the units that have a shard, fold by fold in the order of the networks.
    randomised : sequence of str
        Of those with randomised weights, draw by draw.
    failures : sequence of (Unit, reason)
        Of both kinds.
    """

    done: Sequence[str]
    randomised: Sequence[str]
    failures: Failed

    @property
    def failed(self) -> Failed:
        """The networks that were not trained or not explained."""
        return [(unit, why) for unit, why in self.failures if unit.randomised is None]

    @property
    def notes(self) -> list[str]:
        """The networks without a heatmap of randomised weights, which costs nothing but a null."""
        return [f"{unit.name}: {why}" for unit, why in self.failures if unit.randomised is not None]


@stages.timed("scores")
def write(
    home: Path,
    plan: Plan,
    gathered: Gathered,
    finished: Finished,
    progress: Stage,
    engine: Engine | None = None,
) -> None:
    """Merge the shards of finished units, in the order of the configuration, and write all that follows from them.

    Parameters
    ----------
    home : Path
    plan : Plan
    gathered : Gathered
    finished : Finished
    progress : callable
    engine : Engine, optional
        What draws behind intervals and p-values; this machine by default.

    Raises
    ------
    TrainingError
        If no unit is finished.
    """
    done, failed = finished.done, finished.failed
    if not done:
        raise TrainingError(f"no network finished: {'; '.join(f'{u.name}: {why}' for u, why in failed[:3])}")
    paths = [home / SHARDS / f"{digest}.npz" for digest in done]
    drawn = [home / SHARDS / f"{digest}.npz" for digest in finished.randomised]
    facts = {"units": [*done, *finished.randomised], "failed": [[unit.name, why] for unit, why in finished.failures]}
    unit = results.config_digest({"config": plan.config, **facts, **provenance.unit_facts()})
    if results.finished(home, unit):
        return
    folder.require_space(home, 2 * sum(path.stat().st_size for path in paths))
    tables = [shards.read_tables(path) for path in paths]
    told = [shards.read_facts(path) | {"unit": digest} for path, digest in zip(paths, done, strict=True)]
    networks = network_table(home, plan, told, tables, failed)
    _write_csv(home / NETWORKS, networks)
    predictions = prediction_table(gathered, told, tables)
    folder.write_whole(home / PREDICTIONS, lambda p: scoring.write_parquet(predictions, p))
    maps, counts = sums.heatmaps(shards.read(path) for path in paths)
    heatmaps.save(maps, home / HEATMAPS)
    sources, unseen = seen_everywhere(plan.sources, maps)
    folder.write_whole(home / MASKS, sources.save)
    rivals = write_randomised(home, drawn, sources)
    results.write_scores(home, with_absent(score(maps, counts, sources, plan.config, told, progress), told))
    notes = [*plan.notes, *finished.notes, *_black_boxes(plan), *_without_relevance(counts)]
    notes += [_unseen(plan, unseen)] if unseen else []
    dropped = [dropped_table(plan, gathered, tables, failed, notes), _table(dropped_rows(told))]
    _write_csv(home / DROPPED, pd.concat([each for each in dropped if len(each)], ignore_index=True))
    results.write_clusters(Study(home))
    units = from_shards(Study(home), (shards.read(path) for path in paths))
    told_of_chance = results.write_inference(home, units, plan.config, progress, engine)
    names = [*told_of_chance, *rivals, HEATMAPS, MASKS, SCORES, SCORES_CSV, CLUSTERS, NETWORKS, PREDICTIONS, DROPPED]
    results.record(home, plan.config, {unit: names}, shards=facts["units"], device=plan.device)


def write_randomised(home: Path, paths: Sequence[Path], sources: MaskSources) -> tuple[str, ...]:
    """Write the ``positive_l1`` maps of networks with randomised weights; the names of the files.

    They stand apart from the study's own heatmaps: no score and no tree has them. They are means over fewer faces, so
    a pixel at the edge that none of those shows has the value of the nearest one that is known.
    """
    if not paths:
        return ()
    maps, _ = sums.heatmaps(shards.read(path) for path in paths)
    whole = heatmaps.select(maps, normalisation="positive_l1", outcome="all")
    heatmaps.save(whole.copy(data=np.stack([_continued(m, sources.support) for m in whole.values])), home / RANDOMISED)
    return (RANDOMISED,)


def _continued(heatmap: np.ndarray, support: np.ndarray) -> np.ndarray:
    """A map whose unknown pixels inside the support have the nearest value; as it is where they are many."""
    known = np.isfinite(heatmap)
    missing = support & ~known
    if not missing.any() or missing.sum() > _UNSEEN * support.sum():
        return heatmap
    return np.where(missing, fill(heatmap, known), heatmap)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    folder.write_whole(path, lambda aside: scoring.write_csv(table, aside))


def network_table(
    home: Path,
    plan: Plan,
    told: Sequence[dict[str, Any]],
    tables: Sequence[dict[str, pd.DataFrame]],
    failed: Failed,
) -> pd.DataFrame:
    """One row per network and fold: `NETWORK_COLUMNS`."""
    linear = linear_accuracies(home)
    seconds = _seconds(home, {facts["unit"] for facts in told})
    classes = plan.dataset.expressions
    starts = {network.name: str(network.start) for network in plan.networks}
    rows = []
    for facts, found in zip(told, tables, strict=True):
        predictions = found["predictions"]
        rows.append(
            {
                "checkpoint": "",
                **facts,
                "start": starts[facts["model"]],
                "grid": " x ".join(map(str, facts["grid"])),
                "accuracy": training.accuracy(predictions),
                "macro_f1": training.macro_f1(predictions, classes),
                "linear": linear.get(facts["fold"], np.nan),
                "chance": 1 / len(classes),
                "n_test": len(predictions),
                **seconds.get((facts["model"], facts["fold"]), {}),
                "failed": "",
            }
        )
    for unit, why in failed:
        rows.append(
            {
                "model": unit.network,
                "guide": unit.control,
                "fold": unit.fold,
                "size": unit.settings.size,
                "start": starts[unit.network],
                "checkpoint": unit.name,
                "failed": why,
            }
        )
    table = pd.DataFrame(rows).reindex(columns=list(NETWORK_COLUMNS))
    text = ["layer", "grid", "coarse", "start", "precision", "remarks", "weights_digest", "checkpoint", "failed"]
    return table.assign(**{name: table[name].fillna("") for name in text})


def _seconds(home: Path, units: Collection[str]) -> dict[tuple[str, str], dict[str, float]]:
    """What each network and fold took, summed over the runs that worked on it."""
    took: dict[tuple[str, str], dict[str, float]] = {}
    for entry in (each for each in unit_log.read(home) if each["unit"] in units):
        sums_of = took.setdefault((entry["model"], entry["fold"]), {"train_seconds": 0.0, "explain_seconds": 0.0})
        for name in sums_of:
            sums_of[name] += entry[name]
    return took


def prediction_table(
    gathered: Gathered, told: Sequence[dict[str, Any]], tables: Sequence[dict[str, pd.DataFrame]]
) -> pd.DataFrame:
    """Every network's predictions, with salted subjects."""
    salted = dict(zip(gathered.salted["id"], gathered.salted["subject"], strict=True))
    parts = [
        found["predictions"]
        .rename(columns={"id": "face"})
        .assign(model=facts["model"], fold=facts["fold"], subject=lambda t: t["face"].map(salted))
        for facts, found in zip(told, tables, strict=True)
    ]
    whole = pd.concat(parts, ignore_index=True)
    first = ["model", "fold", "face", "subject", "expression", "predicted"]
    return whole[[*first, *(c for c in whole if c not in first)]]


def score(
    maps: xr.DataArray,
    counts: pd.DataFrame,
    sources: MaskSources,
    config: dict[str, Any],
    told: Iterable[dict[str, Any]],
    progress: Stage,
) -> pd.DataFrame:
    """Scores of the ``positive_l1`` maps against every source that has their expression.

    ``n`` is the number of faces behind a map; a map of no face or from too coarse a grid scores NaN, with the reason.
    """
    scored = heatmaps.select(maps, normalisation="positive_l1")
    parts = []
    for source in sources.masks:
        known = np.isin(scored.coords["expression"].values, source.coords["expression"].values)
        if known.any():
            alone = MaskSources((source,), sources.support, sources.support_name, sources.inter_ocular)
            parts.append(results.score(scored.isel(cell=np.flatnonzero(known)), alone, config, progress))
    if not parts:
        raise InputError(f"no expression has a mask in {', '.join(str(m.name) for m in sources.masks)}; see --masks")
    table = pd.concat(parts, ignore_index=True)
    table = table.drop(columns="n").merge(counts[[*KEY, "n", "undefined"]], on=list(KEY), how="left")
    empty = table["n"] == 0
    table.loc[empty, "reason"] = [
        f"none of {faces} faces has positive relevance" for faces in table["undefined"][empty]
    ]
    table = table[list(scoring.COLUMNS)]
    coarse = {facts["model"]: facts["coarse"] for facts in told if facts["coarse"]}
    unscored = table["model"].isin(list(coarse))
    table.loc[unscored, "value"] = np.nan
    table.loc[unscored, "reason"] = table.loc[unscored, "model"].map(coarse)
    return table


def seen_everywhere(sources: MaskSources, maps: xr.DataArray) -> tuple[MaskSources, int]:
    """Mask sources whose support is what the maps of all faces have values for, and how many pixels that costs.

    A forehead that lies outside every photograph is in no map; without it, maps and masks can be compared.
    """
    whole = heatmaps.select(maps, normalisation="positive_l1", outcome="all").values
    known = np.isfinite(whole[np.isfinite(whole).any(axis=(1, 2))]).all(axis=0)
    support = sources.support & known
    return replace(sources, support=support), int(sources.support.sum() - support.sum())


def dropped_table(
    plan: Plan,
    gathered: Gathered,
    tables: Sequence[dict[str, pd.DataFrame]],
    failed: Failed,
    notes: Sequence[str] = (),
) -> pd.DataFrame:
    """What was left out: networks, expressions, faces by reason, and masks that are missing."""
    rows: list[tuple[str, str, str, int]] = [
        ("network", f"{unit.network}, fold {unit.fold}", why, 1) for unit, why in failed
    ]
    rows += [("note", "", note, 1) for note in (*plan.dataset.notes, *gathered.notes, *notes)]
    rows += [
        ("variant", plain, f"preset {plan.config['preset']} trains {variant} in its place", 1)
        for variant, plain in plan.config["in_place_of"].items()
    ]
    rows += [_left_out(reason, n) for reason, n in Counter(d.reason for d in plan.dataset.dropped).most_common()]
    unused = gathered.salted[~gathered.salted["used"]]
    rows += [("face", "", reason, n) for reason, n in Counter(unused["reason"]).most_common()]
    left: Counter[str] = Counter()
    for reason, ids in pd.concat([found["left_out"] for found in tables]).groupby("reason")["face"]:
        left[str(reason)] = ids.nunique()
    rows += [("face", "", f"{reason}: predicted, in no heatmap", n) for reason, n in left.most_common()]
    masked = set(plan.sources.masks[0].coords["expression"].values.tolist())
    rows += [
        ("mask", expression, f"{plan.sources.masks[0].name} has no mask of it: its heatmaps are shown, not scored", 1)
        for expression in plan.dataset.expressions
        if expression not in masked
    ]
    return _table(rows)


def _table(rows: Sequence[tuple[str, str, str, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(DROPPED_COLUMNS))


def _black_boxes(plan: Plan) -> list[str]:
    """What cannot be had of networks in ONNX."""
    boxed = ", ".join(network.name for network in plan.networks if network.black_box)
    asked = plan.config["draws"] and plan.config["randomised"]
    return [f"{boxed}: taken as it is, so not explained with randomised weights"] if boxed and asked else []


def _unseen(plan: Plan, pixels: int) -> str:
    share = pixels / plan.sources.support.sum()
    return f"{pixels} pixels of the support ({share:.1%}) lie outside the photographs of some heatmap: not scored"


def _without_relevance(counts: pd.DataFrame) -> list[str]:
    """Cells in which every fifth face or more has no positive relevance, and so no part in the heatmap."""
    whole = counts[(counts["normalisation"] == "positive_l1") & (counts["outcome"] == "all")]
    lost = whole[whole["undefined"] > 0.2 * (whole["n"] + whole["undefined"])]
    names = lost[["model", "explainer", "expression", "fold"]].astype(str).to_numpy().tolist()
    return [
        f"{', '.join(name)}: {gone} of {n + gone} faces have next to no positive relevance and no part in the heatmap"
        for name, n, gone in zip(names, lost["n"].tolist(), lost["undefined"].tolist(), strict=True)
    ]


def _left_out(reason: str, n: int) -> tuple[str, str, str, int]:
    """An expression that was left out as a whole, or faces for some other reason."""
    expression, comma, why = reason.partition(", ")
    return ("expression", expression, why, n) if comma and expression in EXPRESSIONS else ("face", "", reason, n)
