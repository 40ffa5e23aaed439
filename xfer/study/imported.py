"""A study of heatmaps that somebody else made: read from files, scored, clustered, reported."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xfer import clustering, heatmaps, mask_sources, scoring
from xfer.errors import InputError, unknown
from xfer.labels import KEY
from xfer.study import folder, provenance
from xfer.study.study import CLUSTERS, HEATMAPS, MASKS, POOLED, PROVENANCE, SCORES, SCORES_CSV, Study

FILES = (HEATMAPS, MASKS, SCORES, SCORES_CSV, CLUSTERS)
"""What a study of imported heatmaps holds besides its configuration, provenance and report."""

Stage = Callable[[str, int], Callable[[], None]]
"""Progress: called with a stage's name and number of steps; returns what is called after every step."""


def silent(stage: str, steps: int) -> Callable[[], None]:
    """The progress that shows nothing."""
    return lambda: None


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
        Mask sources by name (drawn on `frame`), or a folder of mask files.
    mask_pattern : str
        Where the expression stands in a mask file's name.
    frame : str or path, optional
        The landmarks of the canvas the maps are on: ``xfer``, the default for masks by name, or a csv of 68 points.
    support : {"frame", "canvas"}, optional
        Score on the pixels a face can cover, or on the whole canvas. By default ``frame`` for masks drawn by name
        and ``canvas`` for mask files, whose frame is not known.
    metrics, threshold
        See `xfer.scoring.score`.
    linkage : {"average", "complete", "single", "weighted"}
        How the dendrograms join clusters.
    allow_missing : bool
        Score what is there when the grid of models, folds and expressions has holes.
    out : path, optional
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
        "heatmaps": _digest(maps),
        "pooled": "" if whole is None else _digest(whole),
        **_described(sources),
        "metrics": names,
        "threshold": str(threshold),
        "linkage": linkage,
        "missing": missing,
    }
    home = Path(out) if out else default_folder(config)
    with folder.claim(home, config, fresh=fresh):
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


def _described(sources: mask_sources.MaskSources) -> dict[str, Any]:
    """Everything about the masks that touches a score."""
    return {
        "masks": [str(m.name) for m in sources.masks],
        "mask_digests": [_digest(m) for m in sources.masks],
        "support": sources.support_name,
        "support_digest": provenance.digest_bytes([sources.support.tobytes()]),
        "inter_ocular": "unknown" if sources.inter_ocular is None else repr(sources.inter_ocular),
    }


def default_folder(config: dict[str, Any]) -> Path:
    """``reports/<source>-heatmaps-<digest8>`` under the working directory."""
    digest = provenance.digest_bytes([json.dumps(config, sort_keys=True).encode()])
    return Path("reports") / f"{config['source']}-{config['kind']}-{digest[:8]}"


def _digest(labelled: xr.DataArray) -> str:
    names = [labelled.coords[c] for c in sorted(map(str, labelled.coords)) if labelled.coords[c].dtype.kind in "UOT"]
    labels = ["\0".join(map(str, np.atleast_1d(c.values))) for c in names]
    values = np.ascontiguousarray(labelled.values)
    return provenance.digest_bytes([*(t.encode("utf-8", "surrogateescape") for t in labels), values.tobytes()])


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
    unit = provenance.digest_bytes([json.dumps([config, provenance.unit_facts()], sort_keys=True).encode()])
    if _finished(home, unit):
        return
    folder.require_space(home, maps.nbytes * (1 if pooled is None else 2))
    heatmaps.save(maps, home / HEATMAPS)
    if pooled is not None:
        heatmaps.save(pooled, home / POOLED)
    folder.write_whole(home / MASKS, sources.save)
    step = progress("scoring", maps.sizes["cell"])
    scores = scoring.score(
        maps,
        sources.masks,
        metrics=config["metrics"],
        threshold=scoring.read_threshold(config["threshold"]),
        support=sources.support,
        inter_ocular=sources.inter_ocular,
        progress=step,
    )
    folder.write_whole(home / SCORES, lambda p: scoring.write_parquet(scores, p))
    folder.write_whole(home / SCORES_CSV, lambda p: scoring.write_csv(scores, p))
    folder.write_whole(home / CLUSTERS, lambda p: scoring.write_csv(_clusters(Study(home)), p))
    files = {name: provenance.digest_files([home / name]) for name in (*FILES, *([POOLED] if config["pooled"] else []))}
    facts = json.dumps(provenance.collect(config=config, units={unit: files}), indent=1, sort_keys=True)
    folder.write_whole(home / PROVENANCE, lambda p: p.write_text(facts + "\n", encoding="utf-8"))


def _finished(home: Path, unit: str) -> bool:
    """Whether the unit was computed and its files are still what it wrote."""
    try:
        files = json.loads((home / PROVENANCE).read_text(encoding="utf-8"))["units"][unit]
        return all(provenance.digest_files([home / name]) == digest for name, digest in files.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _clusters(study: Study) -> pd.DataFrame:
    """The two-cluster cut of each expression's tree; one whose maps are all constant has no tree."""
    rows = []
    for expression in sorted(set(map(str, study.heatmaps.coords["expression"].values))):
        try:
            tree = study.tree(expression)
        except InputError:
            continue
        cut = clustering.cut(tree, min(2, len(tree.names)))
        rows += [(expression, model, leaf, cut[model]) for leaf, model in enumerate(tree.leaves)]
    return pd.DataFrame(rows, columns=["expression", "model", "leaf", "cluster"])
