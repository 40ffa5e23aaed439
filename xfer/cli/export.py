"""``xfer export``."""

from pathlib import Path
from typing import Annotated

import typer

from xfer.cli.options import numbers

app = typer.Typer()


@app.command()
def export(
    model: Annotated[
        str,
        typer.Argument(
            help="NAME=FILE.safetensors, timm:NAME=FILE.safetensors, STUDY_DIR#NAME or STUDY_DIR#NAME/FOLD."
        ),
    ],
    onnx: Annotated[Path, typer.Option(help="The file to write.")],
    with_heatmap: Annotated[
        bool, typer.Option("--with-heatmap", help="A second output: GradCAM of every class.")
    ] = False,
    size: Annotated[int | None, typer.Option(min=1, help="Side of the faces, px.")] = None,
    mean: Annotated[
        str | None, typer.Option(help="Subtracted from face / 255: one number, or three with commas.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Divided by, after --mean.")] = None,
    labels: Annotated[str | None, typer.Option(help="The expressions in the order of the logits, with commas.")] = None,
    any_labels: Annotated[bool, typer.Option("--any-labels", help="Take labels that are no expressions too.")] = False,
    layer: Annotated[str | None, typer.Option(help="Where the heatmap is read; found by default.")] = None,
) -> None:
    """Write a trained network as ONNX: logits, and GradCAM of every class if asked, in one graph."""
    import xfer

    done = xfer.export(
        model,
        onnx,
        with_heatmap=with_heatmap,
        size=size,
        mean=numbers("--mean", mean),
        std=numbers("--std", std),
        classes=None if labels is None else [name.strip() for name in labels.split(",")],
        any_labels=any_labels,
        layer=layer,
    )
    facts = done.facts
    count = len(facts.classes) or "class"
    heatmap = f", heatmap (face, {count}, {', '.join(map(str, done.grid))}) of {facts.layer}" if done.grid else ""
    print(
        f"{done.file}: faces (face, 3, {facts.size}, {facts.size}) -> logits (face, {count}){heatmap}; "
        f"opset {done.opset}, {done.file.stat().st_size / 1e6:.1f} MB, at most {done.difference:.1e} from torch"
    )
