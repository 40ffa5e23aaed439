"""``xfer explainers units``."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from xfer.cli.options import Landmarker, class_named, numbers
from xfer.cli.printing import print_rows, progress
from xfer.errors import InputError

app = typer.Typer()


@app.command("units")
def explainers_units(
    model: Annotated[
        str, typer.Argument(help="STUDY_DIR#NAME, STUDY_DIR#NAME/FOLD, NAME=FILE.safetensors or onnx:PATH.")
    ],
    out: Annotated[Path, typer.Option(help="The folder for units.csv, units_mean.csv and units.png.")],
    data: Annotated[
        str, typer.Option(help="synthetic, folder:DIR, csv:FILE or NAME:DIR, here or by URL.")
    ] = "synthetic",
    faces: Annotated[int, typer.Option(min=1, help="The most faces, of every expression in turn.")] = 40,
    target: Annotated[
        str, typer.Option(help="The class explained: true (the expression shown), predicted, all, or a class.")
    ] = "true",
    samples: Annotated[int, typer.Option(min=2, help="Coalitions of regions a face.")] = 512,
    output: Annotated[str, typer.Option(help="What is explained: probability or logit.")] = "probability",
    baseline: Annotated[str, typer.Option(help="What stands for hidden regions: black, blur or noise.")] = "black",
    regions: Annotated[str, typer.Option(help="A region source of 'xfer masks list'.")] = "xfer",
    codebook: Annotated[str, typer.Option(help="A codebook of 'xfer masks list' with AUs.")] = "facs_investigator",
    size: Annotated[int | None, typer.Option(min=1, help="Side of the faces, px.")] = None,
    mean: Annotated[
        str | None, typer.Option(help="Subtracted from face / 255: one number, or three with commas.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Divided by, after --mean.")] = None,
    labels: Annotated[str | None, typer.Option(help="The expressions in the order of the logits, with commas.")] = None,
    landmarker: Landmarker = "mediapipe",
    crop: Annotated[str | None, typer.Option(help="whole or face; drawn faces are used whole, others cut out.")] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of drawn faces (studies train on those of 0), their choice and coalitions.")
    ] = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="Masked faces in one forward.")] = 32,
) -> None:
    """Shapley values of Action Unit regions, the rest of the face and the background, against a codebook.

    On drawn faces the true intervention, the face without the Action Unit, stands beside them.
    """
    from xfer.report.action_units import unit_bars
    from xfer.scoring import write_csv
    from xfer.study.action_units import network_units

    network: dict[str, Any] = {"size": size, "mean": numbers("--mean", mean), "std": numbers("--std", std)}
    network["classes"] = None if labels is None else [name.strip() for name in labels.split(",")]
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a folder with --out")
    with progress() as stage:
        units = network_units(
            model, data, home=out, faces=faces, target=class_named(target), samples=samples, output=output,
            baseline=baseline, regions=regions, codebook=codebook, network=network, landmarker=landmarker, crop=crop,
            seed=seed, batch_size=batch_size, progress=stage,
        )  # fmt: skip
    write_csv(units.table, out / "units.csv")
    write_csv(units.means, out / "units_mean.csv")
    unit_bars(units.means, output).savefig(out / "units.png", dpi=200)
    _print(units, codebook, out)


def _print(units: Any, codebook: str, out: Path) -> None:
    for name, why in units.left_out.items():
        print(f"{name} left out: {why}", file=sys.stderr)
    for note in units.notes:
        print(note, file=sys.stderr)
    rows = [
        [
            each["class"] + ("" if each["class"] == each["expression"] else f" on {each['expression']}"),
            f"{each['faces']} of {each['subjects']}",
            _number(each["inside"], each["inside_low"], each["inside_high"]),
            *(_number(each[name]) for name in ("players_inside", "area_inside", "face", "background")),
        ]
        for each in units.codebook_shares.to_dict("records")
    ]
    head = ("class", "faces of people", f"|phi| inside {codebook}, 95 %", "players inside", "area inside",
            "|phi| rest of face", "|phi| background")  # fmt: skip
    print_rows(head, rows)
    if len(units.correlations):
        found, known = units.mean_correlation, int(units.correlations["rho"].notna().sum())
        print(
            f"attribution against the true intervention: rank correlation "
            f"{_number(found.value, found.ci_low, found.ci_high) or 'undefined'} over {known} of "
            f"{len(units.correlations)} drawn faces, pooled {_number(units.pooled) or 'undefined'}"
        )
    print(f"{out}: units.csv, units_mean.csv, units.png")


def _number(value: float, low: float = float("nan"), high: float = float("nan")) -> str:
    if value != value:
        return ""
    return f"{value:.3f}" if low != low else f"{value:.3f} [{low:.3f}, {high:.3f}]"
