"""A study of heatmaps that somebody else made: read from files, scored, clustered, reported."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from xfer import clustering, heatmaps, mask_sources, scoring
from xfer.errors import InputError, unknown
from xfer.labels import KEY
from xfer.progress import Stage, silent
from xfer.study import folder, provenance, results
from xfer.study.claiming import claim
from xfer.study.places import writing
from xfer.study.study import CLUSTERS, HEATMAPS, MASKS, POOLED, SCORES, SCORES_CSV, Study
from xfer.study.units import from_folds

FILES = (HEATMAPS, MASKS, SCORES, SCORES_CSV, CLUSTERS)
"""What a study of imported heatmaps holds besides its configuration, provenance and report."""


def compare_heatmaps(
    source: str | Path,
    *,
    pattern: str = "{model}_{expression}_heatmap.png",
    pooled: str | Path | None = None,
    pooled_pattern: str = "{model}_{expression}_heatmap.png",
    masks: str | Path | Sequence[str | Path] = "ekman",
    mask_pattern: str = "{expression}_gt.png",
    frame: str | Path | None = None,
    support: str | None = None,
    metrics: Sequence[str] | str = "all",
    threshold: str | float = "otsu",
    linkage: str = "average",
    draws: int | None = None,
    allow_missing: bool = False,
    out: str | Path | None = None,
    fresh: bool = False,
    progress: Stage = silent,
) -> Study:
    """Score, cluster and report heatmaps that lie in files.

    Parameters
    ----------
    source : path
        A folder of maps (png, tif, npy, npz, zarr) or a study's ``heatmaps.zarr``.
    pattern : str
        Where the key stands in a file's path, such as ``{model}_{fold}_{expression}_heatmap.png``.
    pooled : path, optional
        Maps that their makers averaged over the folds of `source`, where they differ from the average of its maps
        (because those were stretched one by one, say). Trees, correlations and the pooling order use them.
    pooled_pattern : str
        Where the key stands in the path of a pooled map.
    masks : name, folder or several
        Mask sources by name (drawn on `frame`), folders of mask files, ``human:DIR`` for folders of people's maps; the
        first leads the report.
    mask_pattern : str
        Where the expression stands in a mask file's name; with ``{rater}`` in it, in that of a person's map. See
        `xfer.mask_sources.load`.
    frame : str or path, optional
        The landmarks of the canvas the maps are on: ``xfer``, the default for masks by name, or a csv of 68 points.
    support : {"frame", "canvas"}, optional
        Score on the pixels a face can cover, or on the whole canvas. By default ``frame`` for masks drawn by name
        and ``canvas`` for mask files, whose frame is not known.
    metrics, threshold
        See `xfer.scoring.score`.
    linkage : {"average", "complete", "single", "weighted"}
        How the dendrograms join clusters.
    draws : int, optional
        Random maps of a null, bootstrap draws and permutations behind every interval and p-value, 0 for none of them;
        `results.DRAWS` by default.
    allow_missing : bool
        Score what is there when the grid of models, folds and expressions has holes.
    out : path or URL, optional
        The study folder; ``reports/<source>-heatmaps-<digest>`` by default.
    fresh : bool
        Set a study that is in `out` aside instead of resuming it.
    progress : callable, optional
        Told of every stage and step.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        For anything in the input or the output folder that a user can mend; nothing is written before the input is
        read whole.
    """
    if linkage not in clustering.METHODS:
        raise unknown("linkage", linkage, clustering.METHODS)
    names = scoring.metric_names(metrics)
    sources = mask_sources.load(masks, mask_pattern=mask_pattern, frame=frame, support=support)
    index = heatmaps.index_maps(source, pattern)
    missing = heatmaps.require_complete(index, allow_missing=allow_missing)
    maps = _read(index, progress)
    whole = None if pooled is None else _read_pooled(pooled, pooled_pattern, maps)
    for read in (maps, maps if whole is None else whole):
        scoring.check(read, sources.masks, scoring.read_threshold(threshold))
    config = {
        "format": folder.FORMAT,
        "kind": "heatmaps",
        "source": folder.slug(Path(source).resolve().name),
        "pattern": pattern,
        "heatmaps": results.digest(maps),
        "pooled": "" if whole is None else results.digest(whole),
        **results.described(sources),
        "metrics": names,
        "threshold": str(threshold),
        "linkage": linkage,
        "draws": results.check_draws(results.DRAWS if draws is None else draws),
        "missing": missing,
    }
    home = writing(out) if out else default_folder(config)
    with claim(home, config, fresh=fresh, progress=progress):
        _write(home, maps, whole, sources, config, progress)
        study = Study(home)
        step = progress("report", 1)
        study.report()
        step()
    return study


def _read(index: pd.DataFrame, progress: Stage) -> xr.DataArray:
    """The maps of an index that differ in model, fold and expression alone."""
    varying = [
        name for name in KEY if name not in ("model", "fold", "expression", "target") and len(set(index[name])) > 1
    ]
    if varying:
        values = ", ".join(sorted(set(index[varying[0]]))[:5])
        raise InputError(
            f"--heatmaps has several values of {varying[0]} ({values}); compare one at a time, or use 'xfer score'"
        )
    return heatmaps.read_heatmaps(index, progress=progress("reading heatmaps", len(index)))


def default_folder(config: dict[str, Any]) -> Path:
    """``reports/<source>-heatmaps-<digest8>`` under the working directory."""
    return Path("reports") / f"{config['source']}-{config['kind']}-{results.config_digest(config)[:8]}"


def _read_pooled(source: str | Path, pattern: str, maps: xr.DataArray) -> xr.DataArray:
    """Maps without a fold, of the same models and expressions as the fold maps."""
    read = heatmaps.read_heatmaps(source, pattern)
    if len(set(maps.coords["fold"].values)) < 2 or set(read.coords["fold"].values) != {"all"}:
        raise InputError("--pooled gives maps without {fold} beside --heatmaps with several folds")
    wanted, given = (
        {(m, e) for m, e in zip(a.coords["model"].values, a.coords["expression"].values, strict=True)}
        for a in (maps, read)
    )
    if wanted != given:
        cells = ", ".join("/".join(cell) for cell in sorted(wanted ^ given)[:5])
        raise InputError(f"{source}: --pooled and --heatmaps differ in {cells}; give both the same cells")
    return read


def _write(
    home: Path,
    maps: xr.DataArray,
    pooled: xr.DataArray | None,
    sources: mask_sources.MaskSources,
    config: dict[str, Any],
    progress: Stage,
) -> None:
    unit = results.config_digest({"config": config, **provenance.unit_facts()})
    if results.finished(home, unit):
        return
    folder.require_space(home, maps.nbytes * (1 if pooled is None else 2))
    heatmaps.save(maps, home / HEATMAPS)
    if pooled is not None:
        heatmaps.save(pooled, home / POOLED)
    folder.write_whole(home / MASKS, sources.save)
    results.write_scores(home, results.score(maps, sources, config, progress))
    results.write_clusters(Study(home))
    told_of_chance = results.write_inference(home, from_folds(Study(home)), config, progress)
    results.record(home, config, {unit: [*FILES, *told_of_chance, *([POOLED] if config["pooled"] else [])]})
