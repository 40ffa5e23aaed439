"""``xfer masks``."""

from pathlib import Path
from typing import Annotated

import typer

from xfer.cli.options import Frame
from xfer.cli.printing import print_rows

app = typer.Typer(no_args_is_help=True, help="Mask sources: list, show, render, check.")


@app.command("list")
def masks_list() -> None:
    """Every mask source: codebooks, regions, what each covers."""
    from xfer import masks

    rows = masks.sources()
    print_rows(tuple(rows[0]), [[str(v) for v in row.values()] for row in rows])


@app.command("show")
def masks_show(name: Annotated[str, typer.Argument(help="A mask source, such as ekman or xfer/emfacs.")]) -> None:
    """The facts behind a mask source: expressions, AUs, weights, evidence."""
    from xfer import masks

    rows = masks.show(name)
    for expression in dict.fromkeys(row["expression"] for row in rows):
        mine = [row for row in rows if row["expression"] == expression]
        print(f"{expression} ({mine[0]['evidence']})")
        for row in mine:
            weight = "" if row["weight"] in (1, "") else f", weight {row['weight']:.2f}"
            print(f"  {row['action_unit']:5} {row['action']}{weight}")
        for note in dict.fromkeys(row["note"] for row in mine if row["note"]):
            print(f"  note: {note}")
    for kind in ("reference", "region_reference"):
        for text in dict.fromkeys(row[kind] for row in rows if row[kind]):
            print(f"{kind.replace('_', ' ')}: {text}")


@app.command("render")
def masks_render(
    name: Annotated[str, typer.Argument(help="A mask source, such as ekman or xfer/emfacs.")],
    out: Annotated[Path, typer.Option(help="The folder to write {expression}_gt.png into.")],
    frame: Frame = None,
) -> None:
    """Draw a mask source as 8-bit grey PNGs, one an expression."""
    from xfer import masks
    from xfer.heatmaps import write_masks

    for path in write_masks(masks.load(name, frame=frame or "xfer"), out):
        print(path)


@app.command("check")
def masks_check(file: Annotated[Path, typer.Argument(help="A region or codebook TOML file.")]) -> None:
    """Check a region or codebook file of your own."""
    from xfer import masks

    for line in masks.check(file):
        print(line)
