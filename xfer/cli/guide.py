"""``xfer guide``: did the Action Units do it?"""

import sys
from typing import Annotated, Any

import typer

from xfer.cli.groups import engined, guided
from xfer.cli.options import (
    INSTEAD,
    Data,
    Device,
    Expressions,
    FacesShown,
    Landmarker,
    Masks,
    MinFaces,
    Out,
    Preset,
    Pretrained,
    Seed,
    Support,
    Weights,
    names,
)
from xfer.cli.printing import print_twins, progress

app = typer.Typer()


@app.command()
@engined
@guided
def guide(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A network: NAME or timm:NAME.")],
    data: Data = "synthetic",
    controls: Annotated[
        str | None, typer.Option(help="au, none and any of template, shuffled, random, with commas; all by default.")
    ] = None,
    ablate: Annotated[
        str | None, typer.Option(help="Vary one setting in place of controls: layer, weight, codebook or data.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of every arm, from --seed on.")] = 8,
    preset: Preset = "quick",
    explainer: Annotated[
        str, typer.Option(help="What judges: occlusion or integrated_gradients, never the guided layer.")
    ] = "occlusion",
    masks: Masks = "ekman",
    support: Support = None,
    expressions: Expressions = None,
    min_faces: MinFaces = None,
    drawn: Annotated[int | None, typer.Option(min=1, help="Faces of synthetic; the preset's by default.")] = None,
    explained: Annotated[
        int | None, typer.Option(min=0, help="Test faces an expression that are explained; 0 for all.")
    ] = None,
    pretrained: Pretrained = "auto",
    weights: Weights = None,
    seed: Seed = 0,
    device: Device = "auto",
    landmarker: Landmarker = "mediapipe",
    draws: Annotated[int | None, typer.Option(help="Draws behind every interval; the preset's by default.")] = None,
    faces: FacesShown = "mean",
    out: Out = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set a study that is there aside.")] = False,
    *,
    guide_options: dict[str, Any],
    engine_options: dict[str, Any],
) -> None:
    """Train twins of a network, guided by Action Units and by controls, and report what the Action Units did."""
    options: dict[str, Any] = {
        "model": model,
        "data": data,
        "controls": names(controls),
        "ablate": ablate,
        "seeds": seeds,
        "preset": preset,
        **guide_options,
        "explainer": explainer,
        "masks": masks,
        "support": support,
        "expressions": names(expressions),
        "min_faces": min_faces,
        "drawn": drawn,
        "explained": explained,
        "pretrained": pretrained,
        "weights": weights or [],
        "seed": seed,
        "device": device,
        "landmarker": landmarker,
        "draws": draws,
        "faces": faces,
        "out": out,
        "fresh": fresh,
        **engine_options,
    }
    context.meta.get(INSTEAD, _guide)(options)


def _guide(options: dict[str, Any]) -> None:
    import xfer
    from xfer.study.places import named
    from xfer.study.study import REPORT

    with progress() as stage:
        study = xfer.guide(**options, progress=stage)
    print_twins(study)
    failed = study.networks[study.networks["failed"] != ""]
    for name, why in zip(failed["checkpoint"], failed["failed"], strict=True):
        print(f"twin failed: {why if why.startswith(name) else f'{name}: {why}'}", file=sys.stderr)
    print(named(study.folder / REPORT))
    if len(failed):
        raise typer.Exit(1)
