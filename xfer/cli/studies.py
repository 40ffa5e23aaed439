"""``xfer compare``, ``score``, ``report`` and ``doctor``."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from xfer.cli.options import (
    MAPS_PATTERN,
    MASKS_PATTERN,
    AllowMissing,
    Frame,
    MaskPattern,
    Masks,
    Metrics,
    Pattern,
    Support,
    Threshold,
)
from xfer.cli.printing import print_table, progress
from xfer.errors import InputError

app = typer.Typer()


@app.command()
def compare(
    heatmaps: Annotated[Path, typer.Option(help="A folder of heatmaps, or a study's heatmaps.zarr.")],
    pattern: Pattern = MAPS_PATTERN,
    pooled: Annotated[Path | None, typer.Option(help="Maps already averaged over the folds of --heatmaps.")] = None,
    pooled_pattern: Pattern = MAPS_PATTERN,
    masks: Masks = "ekman",
    mask_pattern: MaskPattern = MASKS_PATTERN,
    frame: Frame = None,
    support: Support = None,
    metrics: Metrics = "all",
    threshold: Threshold = "otsu",
    linkage: Annotated[str, typer.Option(help="average, complete, single or weighted.")] = "average",
    allow_missing: AllowMissing = False,
    out: Annotated[Path | None, typer.Option(help="The study folder; reports/... by default.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set a study that is there aside.")] = False,
) -> None:
    """Score, cluster and report heatmaps: one study folder with scores.csv and report.html."""
    import xfer

    with progress() as stage:
        study = xfer.compare(
            heatmaps=heatmaps,
            pattern=pattern,
            pooled=pooled,
            pooled_pattern=pooled_pattern,
            masks=masks,
            mask_pattern=mask_pattern,
            frame=frame,
            support=support,
            metrics=metrics,
            threshold=threshold,
            linkage=linkage,
            allow_missing=allow_missing,
            out=out,
            fresh=fresh,
            progress=stage,
        )
    if "iou" in study.config["metrics"]:
        print_table(study.table().assign(mean=lambda t: t.mean(axis=1)), f"IoU ({study.config['threshold']})")
    print(f"{study.folder / 'report.html'}")


@app.command()
def score(
    heatmaps: Annotated[Path, typer.Argument(help="A folder of heatmaps, or a heatmaps.zarr.")],
    pattern: Pattern = MAPS_PATTERN,
    masks: Masks = "ekman",
    mask_pattern: MaskPattern = MASKS_PATTERN,
    frame: Frame = None,
    support: Support = None,
    metrics: Metrics = "all",
    threshold: Threshold = "otsu",
    allow_missing: AllowMissing = False,
    out: Annotated[Path, typer.Option(help="The table to write.")] = Path("scores.csv"),
) -> None:
    """Score heatmaps against masks into one tidy csv; reads map by map."""
    import xfer
    from xfer.heatmaps import index_maps, iter_maps, require_complete
    from xfer.mask_sources import load
    from xfer.scoring import read_threshold, write_csv
    from xfer.study.folder import write_whole

    index = index_maps(heatmaps, pattern)
    missing = require_complete(index, allow_missing=allow_missing)
    sources = load(masks, mask_pattern=mask_pattern, frame=frame, support=support)
    _check_writable(out)
    with progress() as stage:
        scores = xfer.score(
            iter_maps(index),
            sources.masks,
            metrics=metrics,
            threshold=read_threshold(threshold),
            support=sources.support,
            inter_ocular=sources.inter_ocular,
            progress=stage("scoring", len(index)),
        )
    write_whole(out, lambda path: write_csv(scores, path))
    undefined = scores.loc[scores["reason"] != "", "reason"].value_counts()
    for text, n in undefined.items():
        print(f"{n} scores are undefined: {text}", file=sys.stderr)
    if missing:
        print(f"missing cells: {', '.join(missing)}", file=sys.stderr)
    print(f"{out}: {len(scores)} scores of {len(index)} heatmaps on the {sources.support_name}")


def _check_writable(out: Path) -> None:
    if out.is_dir() or not os.access(out.absolute().parent, os.W_OK):
        raise InputError(f"{out}: give a file in a folder that exists and can be written with --out")


@app.command()
def report(
    study: Annotated[Path, typer.Argument(help="A study folder.")],
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write a study's report.html anew from what is in its folder."""
    from xfer.study import Study

    path = Study(study).report()
    print(path)
    if open_:
        typer.launch(str(path))


@app.command()
def doctor() -> None:
    """Say what is installed, and what is missing with the command that mends it."""
    from xfer.study.provenance import findings

    rows = findings()
    for good, line in rows:
        print(f"{'ok ' if good else '!! '} {line}")
    if not all(good for good, _ in rows):
        raise typer.Exit(1)
