"""``xfer explain``."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from xfer.cli.options import AnyLabels, Baseline, Device, Landmarker, Samples, Segments, class_named, numbers
from xfer.cli.printing import progress

app = typer.Typer()

_PAGE, _PAGES = 8, 4
"""Faces of a picture, and pictures drawn of the first faces."""


@app.command()
def explain(
    model: Annotated[
        str,
        typer.Argument(
            help="NAME=FILE.safetensors, timm:NAME=FILE.., STUDY_DIR#NAME, STUDY_DIR#NAME/FOLD or onnx:PATH."
        ),
    ],
    images: Annotated[list[Path], typer.Argument(help="Photographs, and folders of them.")],
    out: Annotated[Path, typer.Option(help="A folder for maps, table and pictures.")],
    explainers: Annotated[
        str, typer.Option(help="Names or families with commas, or 'all' ('xfer explainers list').")
    ] = "grad_cam,layer_cam,occlusion",
    target: Annotated[str, typer.Option(help="predicted, all, or a class by name or number.")] = "predicted",
    layer: Annotated[str | None, typer.Option(help="Where CAMs are read; found by default.")] = None,
    crop: Annotated[str, typer.Option(help="face (a square around it) or whole.")] = "face",
    landmarker: Landmarker = "mediapipe",
    samples: Samples = None,
    segments: Segments = None,
    baseline: Baseline = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the faces, px, where the file does not tell.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Subtracted from face / 255: one number, or three with commas.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Divided by, after --mean.")] = None,
    labels: Annotated[str | None, typer.Option(help="The expressions in the order of the logits, with commas.")] = None,
    any_labels: AnyLabels = False,
    batch_size: Annotated[int, typer.Option(min=1, help="The most images in one forward.")] = 32,
    device: Device = "auto",
) -> None:
    """Explain what a network sees in photographs: maps of any methods and classes, a table and pictures."""
    from xfer.study.photographs import explain_photographs

    hiding: dict[str, Any] = {"samples": samples, "segments": segments, "baseline": baseline}
    with progress() as stage:
        table = explain_photographs(
            model, images, out=out, explainers=explainers, targets=_target(target), crop=crop, landmarker=landmarker,
            device=device, batch_size=batch_size, progress=stage, layer=layer,
            perturbation={name: value for name, value in hiding.items() if value is not None},
            size=size, mean=numbers("--mean", mean), std=numbers("--std", std),
            classes=None if labels is None else [name.strip() for name in labels.split(",")], any_labels=any_labels,
        )  # fmt: skip
        drawn = _draw(out, table, stage)
    for file, _, predicted, probability, left_out in table.itertuples(index=False, name=None):
        print(f"{file}: {left_out or f'{predicted} {probability:.3f}'}", file=sys.stderr if left_out else None)
    if told := table.attrs["methods_left_out"]:
        print(f"left out: {told}", file=sys.stderr)
    for path in drawn:
        print(path)
    if (table["left_out"] != "").any():
        raise typer.Exit(1)


def _draw(out: Path, table: Any, stage: Any) -> list[Path]:
    """Pictures of the first faces; those of an earlier run go."""
    from xfer.report.explanations import explanation_grid
    from xfer.study.folder import write_whole
    from xfer.study.photographs import Explanation

    there = table[table["left_out"] == ""].head(_PAGE * _PAGES)
    pages = [there.iloc[start : start + _PAGE] for start in range(0, len(there), _PAGE)]
    for old in out.glob("faces-*.png"):
        old.unlink()
    tick = stage("pictures", len(pages))
    drawn = []
    for number, page in enumerate(pages, 1):
        fig = explanation_grid(
            [Explanation.open(out / name) for name in page["map"]], [Path(f).name for f in page["file"]]
        )
        path = out / f"faces-{number}.png"
        write_whole(path, partial(fig.savefig, format="png", dpi=180))
        drawn.append(path)
        tick()
    return drawn


def _target(text: str) -> Any:
    return int(text) if text.isdigit() else text if text in ("all", "predicted") else [[class_named(text)]]
