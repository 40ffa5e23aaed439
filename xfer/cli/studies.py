"""``xfer compare``, ``train``, ``score`` and ``report``."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from xfer.cli.beginning import Config
from xfer.cli.groups import ENGINE_OPTIONS, GUIDE_OPTIONS, engined, guided
from xfer.cli.options import (
    INSTEAD,
    MAPS_PATTERN,
    MASKS_PATTERN,
    AllowMissing,
    AnyLabels,
    Baseline,
    Data,
    Device,
    Expressions,
    FacesShown,
    Folds,
    Frame,
    Guide,
    Landmarker,
    MaskPattern,
    Masks,
    Metrics,
    MinFaces,
    Models,
    OnnxLabels,
    OnnxMean,
    OnnxSize,
    OnnxStd,
    Out,
    Pattern,
    Preset,
    Pretrained,
    Samples,
    Seed,
    Segments,
    Support,
    Threshold,
    Weights,
    names,
    of_onnx,
)
from xfer.cli.printing import measures, print_inference, print_left_out, print_networks, print_table, progress
from xfer.errors import InputError

app = typer.Typer()

_FILES_ONLY = {"pattern": "--pattern", "pooled": "--pooled", "mask_pattern": "--mask-pattern", "frame": "--frame"}
_NETWORKS_ONLY = (
    "models", "data", "expressions", "min_faces", "explainers", "preset", "pretrained", "weights", "folds", "seed",
    "device", "landmarker", "per_face", "faces", "randomised", "samples", "segments", "baseline", "size", "mean", "std",
    "labels", "any_labels", "guide", *GUIDE_OPTIONS, *ENGINE_OPTIONS,
)  # fmt: skip


_LEFT_OUT = {
    "network": "network failed:",
    "variant": "variant trained for",
    "expression": "expression left out:",
    "face": "faces left out:",
    "mask": "not scored:",
    "explainer": "explainer left out:",
}


@app.command()
@engined
@guided
def compare(
    context: typer.Context,
    config: Config = None,
    models: Models = "all",
    data: Data = "synthetic",
    expressions: Expressions = None,
    min_faces: MinFaces = None,
    explainers: Annotated[
        str | None,
        typer.Option(
            help="'all', or names with commas; the first leads the report. grad_cam by default, with networks in ONNX "
            "occlusion, which asks for no gradients."
        ),
    ] = None,
    samples: Samples = None,
    segments: Segments = None,
    baseline: Baseline = None,
    masks: Masks = "ekman",
    preset: Preset = "quick",
    pretrained: Pretrained = "auto",
    weights: Weights = None,
    size: OnnxSize = None,
    mean: OnnxMean = None,
    std: OnnxStd = None,
    labels: OnnxLabels = None,
    any_labels: AnyLabels = False,
    folds: Folds = None,
    seed: Seed = 0,
    device: Device = "auto",
    guide: Guide = None,
    landmarker: Landmarker = "mediapipe",
    per_face: Annotated[bool, typer.Option("--per-face", help="Keep the maps of single faces.")] = False,
    faces: FacesShown = "mean",
    heatmaps: Annotated[
        Path | None, typer.Option(help="Compare maps that are there: a folder, or a study's heatmaps.zarr.")
    ] = None,
    pattern: Pattern = MAPS_PATTERN,
    pooled: Annotated[Path | None, typer.Option(help="Maps already averaged over the folds of --heatmaps.")] = None,
    pooled_pattern: Pattern = MAPS_PATTERN,
    mask_pattern: MaskPattern = MASKS_PATTERN,
    frame: Frame = None,
    allow_missing: AllowMissing = False,
    support: Support = None,
    metrics: Metrics = "all",
    threshold: Threshold = "otsu",
    linkage: Annotated[str, typer.Option(help="average, complete, single or weighted.")] = "average",
    draws: Annotated[
        int | None, typer.Option(help="Draws behind intervals and p-values; 0 for none, the preset's by default.")
    ] = None,
    randomised: Annotated[
        int | None,
        typer.Option(
            min=0, help="Times each network is explained with randomised weights too; the preset's by default."
        ),
    ] = None,
    out: Out = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set a study that is there aside.")] = False,
    *,
    guide_options: dict[str, Any],
    engine_options: dict[str, Any],
) -> None:
    """Train networks on faces, explain them, score their heatmaps against masks: one folder with a report.

    Networks in ONNX are trained already: they are evaluated on the same test faces, explained and scored.
    """
    given = {
        name for name in context.params if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    common: dict[str, Any] = {
        "masks": masks,
        "support": support,
        "metrics": metrics,
        "threshold": threshold,
        "linkage": linkage,
        "draws": draws,
        "out": out,
        "fresh": fresh,
    }
    if heatmaps is not None:
        _refuse(given & set(_NETWORKS_ONLY), "are for networks, not for --heatmaps")
        options: dict[str, Any] = {
            "heatmaps": heatmaps,
            "pattern": pattern,
            "pooled": pooled,
            "pooled_pattern": pooled_pattern,
            "mask_pattern": mask_pattern,
            "frame": frame,
            "allow_missing": allow_missing,
        }
    else:
        _refuse(given & {*_FILES_ONLY, "pooled_pattern", "allow_missing"}, "need --heatmaps")
        hiding = {"samples": samples, "segments": segments, "baseline": baseline}
        options = {
            "models": models,
            "data": data,
            "expressions": names(expressions),
            "min_faces": min_faces,
            "explainers": explainers,
            "perturbation": {name: value for name, value in hiding.items() if value is not None},
            "onnx": of_onnx(size, mean, std, labels, any_labels),
            "preset": preset,
            "pretrained": pretrained,
            "weights": weights or [],
            "folds": folds,
            "seed": seed,
            "device": device,
            "guide": guide,
            **guide_options,
            "landmarker": landmarker,
            "per_face": per_face,
            "randomised": randomised,
            "faces": faces,
            **engine_options,
        }
    context.meta.get(INSTEAD, _compare)({**options, **common})


def _refuse(given: set[str], why: str) -> None:
    if given:
        raise InputError(f"{', '.join('--' + name.replace('_', '-') for name in sorted(given))} {why}")


def _compare(options: dict[str, Any]) -> None:
    import xfer
    from xfer import scoring
    from xfer.study.places import named
    from xfer.study.study import REPORT

    with progress() as stage:
        study = xfer.compare(**options, progress=stage)
    print_networks(study)
    if "iou" in study.config["metrics"]:
        print_table(study.table().assign(mean=scoring.network_means), f"IoU ({study.config['threshold']})")
    print_inference(study)
    print(f"scores are {measures(study.mask_sources)}")
    print_left_out(study.mask_sources)
    for kind, name, reason, n in study.dropped.itertuples(index=False, name=None):
        print(f"{_LEFT_OUT.get(kind, kind)} {name or n}: {reason}", file=sys.stderr)
    print(named(study.folder / REPORT))
    if (study.networks["failed"] != "").any():
        raise typer.Exit(1)


@app.command()
@engined
@guided
def train(
    model: Annotated[str, typer.Argument(help="A network: NAME or timm:NAME; several with commas between them.")],
    data: Data = "synthetic",
    expressions: Expressions = None,
    min_faces: MinFaces = None,
    preset: Preset = "quick",
    pretrained: Pretrained = "auto",
    weights: Weights = None,
    folds: Folds = None,
    seed: Seed = 0,
    device: Device = "auto",
    guide: Guide = None,
    landmarker: Landmarker = "mediapipe",
    out: Out = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set a study that is there aside.")] = False,
    *,
    guide_options: dict[str, Any],
    engine_options: dict[str, Any],
) -> None:
    """Train a network; 'xfer compare --models' with the same options goes on from there."""
    import xfer
    from xfer.study.places import named

    with progress() as stage:
        trained = xfer.train(
            model,
            data=data,
            expressions=names(expressions),
            min_faces=min_faces,
            preset=preset,
            pretrained=pretrained,
            weights=weights or [],
            folds=folds,
            seed=seed,
            device=device,
            guide=guide,
            **guide_options,
            landmarker=landmarker,
            out=out,
            fresh=fresh,
            **engine_options,
            progress=stage,
        )
    for one in trained:
        told = one.failed or f"accuracy {one.accuracy:.3f} on the test faces, linear classifier {one.linear:.3f}"
        print(f"{named(one.weights) if not one.failed else one.model}: {told}")
    if any(one.failed for one in trained):
        raise typer.Exit(1)


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
    print_left_out(sources)
    told = measures(sources)
    print(f"{out}: {len(scores)} scores of {len(index)} heatmaps on the {sources.support_name}, {told}")


def _check_writable(out: Path) -> None:
    if out.is_dir() or not os.access(out.absolute().parent, os.W_OK):
        raise InputError(f"{out}: give a file in a folder that exists and can be written with --out")


@app.command()
def report(
    study: Annotated[str, typer.Argument(help="A study folder, or its URL in a store.")],
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    diff: Annotated[
        str | None, typer.Option(help="Another study folder: write a page of what differs from it instead.")
    ] = None,
    faces: FacesShown = "mean",
    tables: Annotated[
        Path | None, typer.Option(help="Also write the tables as CSV and LaTeX, and the methods paragraphs, here.")
    ] = None,
) -> None:
    """Write a study's report.html anew from what is in its folder."""
    from xfer.study import Study
    from xfer.study.places import named

    opened = Study(study)
    path = opened.report(faces=faces) if diff is None else opened.diff(Study(diff))
    if tables is not None:
        for written in opened.write_tables(tables):
            print(written)
    print(named(path))
    if open_:
        typer.launch(str(path))
