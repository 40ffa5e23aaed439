"""What every study ends with: scores, the cut of its trees, and the record of what made them."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xfer import clustering, scoring
from xfer.errors import InputError
from xfer.mask_sources import MaskSources
from xfer.progress import Stage
from xfer.study import folder, provenance, resampling, stages
from xfer.study.engine import Engine, one_thread
from xfer.study.inference import infer, with_inference
from xfer.study.significance import TABLES
from xfer.study.study import CLUSTERS, PROVENANCE, SCORES, SCORES_CSV, Study
from xfer.study.units import Units

DRAWS = 2000
"""Draws behind an interval or p-value where nothing else is asked for."""
FEWEST = 19
"""With fewer draws no p-value can be .05."""


def config_digest(facts: Mapping[str, Any]) -> str:
    """The sha256 (hex) of plain facts, whatever their order."""
    return provenance.digest_bytes([json.dumps(facts, sort_keys=True).encode()])


def described(sources: MaskSources) -> dict[str, Any]:
    """Everything about the masks that touches a score."""
    return {
        "masks": [str(m.name) for m in sources.masks],
        "mask_digests": [m.attrs["digest"] if str(m.name) in sources.raters else digest(m) for m in sources.masks],
        "support": sources.support_name,
        "support_digest": provenance.digest_bytes([sources.support.tobytes()]),
        "inter_ocular": "unknown" if sources.inter_ocular is None else repr(sources.inter_ocular),
    }


def digest(labelled: xr.DataArray) -> str:
    """The sha256 (hex) of a labelled array: its text coordinates and its values."""
    names = [labelled.coords[c] for c in sorted(map(str, labelled.coords)) if labelled.coords[c].dtype.kind in "UOT"]
    labels = ["\0".join(map(str, np.atleast_1d(c.values))) for c in names]
    values = np.ascontiguousarray(labelled.values)
    return provenance.digest_bytes([*(t.encode("utf-8", "surrogateescape") for t in labels), values.tobytes()])


def score(maps: xr.DataArray, sources: MaskSources, config: Mapping[str, Any], progress: Stage) -> pd.DataFrame:
    """Scores of heatmaps as a study's configuration wants them."""
    return scoring.score(
        maps,
        sources.masks,
        metrics=config["metrics"],
        threshold=scoring.read_threshold(config["threshold"]),
        support=sources.support,
        inter_ocular=sources.inter_ocular,
        progress=progress("scoring", maps.sizes["cell"]),
    )


def write_scores(home: Path, scores: pd.DataFrame) -> None:
    """Both forms of the table."""
    folder.write_whole(home / SCORES, lambda p: scoring.write_parquet(scores, p))
    folder.write_whole(home / SCORES_CSV, lambda p: scoring.write_csv(scores, p))


def check_draws(draws: int) -> int:
    """A number of draws that intervals and p-values can come from, or 0.

    Raises
    ------
    InputError
        If it is neither 0 nor at least `FEWEST`.
    """
    if draws < FEWEST and draws != 0:
        raise InputError(f"--draws {draws}: give at least {FEWEST}, or 0 for neither intervals nor p-values")
    return draws


@stages.timed("intervals")
def write_inference(
    home: Path, units: Units, config: Mapping[str, Any], progress: Stage, engine: Engine | None = None
) -> tuple[str, ...]:
    """The tables about chance, and their columns in the scores; the names of the files. None without draws."""
    if not config["draws"]:
        return ()
    study = Study(home)
    with one_thread():
        drawn: dict[str, Any] = {"draws": config["draws"], "seed": config.get("seed", 0), "engine": engine}
        found = infer(study, units, progress=progress, **drawn)
    tables = (found.nulls, found.ceilings, found.cells, found.networks, found.comparisons, found.clades)
    for name, table in zip(TABLES, tables, strict=True):
        folder.write_whole(home / name, partial(scoring.write_parquet, table))
    write_scores(home, with_inference(study.scores, found.cells))
    resampling.clear(home)
    return TABLES


def write_clusters(study: Study) -> None:
    """The two-cluster cut of each expression's tree; one whose maps are all constant has no tree."""
    rows = []
    for expression in sorted(set(map(str, study.leading.coords["expression"].values))):
        try:
            tree = study.tree(expression)
        except InputError:
            continue
        cut = clustering.cut(tree, min(2, len(tree.names)))
        rows += [(expression, model, leaf, cut[model]) for leaf, model in enumerate(tree.leaves)]
    table = pd.DataFrame(rows, columns=["expression", "model", "leaf", "cluster"])
    folder.write_whole(study.folder / CLUSTERS, lambda p: scoring.write_csv(table, p))


def record(home: Path, config: Mapping[str, Any], units: Mapping[str, Sequence[str]], **facts: Any) -> None:
    """Write ``provenance.json``: what made each unit's files, and their digests."""
    made = {unit: {name: provenance.digest_files([home / name]) for name in names} for unit, names in units.items()}
    text = json.dumps(provenance.collect(config=config, units=made, **facts), indent=1, sort_keys=True)
    folder.write_whole(home / PROVENANCE, lambda p: p.write_text(text + "\n", encoding="utf-8"))


def finished(home: Path, unit: str) -> bool:
    """Whether the unit was computed and its files are still what it wrote."""
    try:
        files = json.loads((home / PROVENANCE).read_text(encoding="utf-8"))["units"][unit]
        return all(provenance.digest_files([home / name]) == found for name, found in files.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False
