"""``xfer data``, ``landmarks`` and ``assets``."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from xfer.cli.printing import print_rows, progress
from xfer.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Faces: list, check, render.")
landmarks_app = typer.Typer()
assets_app = typer.Typer(no_args_is_help=True, help="Third-party files: list, get, verify.")

AllowOutside = Annotated[bool, typer.Option("--allow-outside", help="Follow links and paths out of the data folder.")]
Data = Annotated[
    str, typer.Argument(help="synthetic, folder:DIR, csv:FILE or NAME:DIR, here or by URL ('xfer data list').")
]


@app.command("list")
def data_list() -> None:
    """Every kind of data set: what its folder looks like, source, licence."""
    from xfer.datasets import DATASETS

    columns = ("name", "layout", "reference", "licence")
    print_rows(columns, [[str(row[c]) for c in columns] for row in DATASETS.table()])


@app.command()
def check(
    data: Data,
    expressions: Annotated[str | None, typer.Option(help="Those to keep, separated by commas.")] = None,
    min_faces: Annotated[int, typer.Option(help="Leave out expressions with fewer faces.")] = 1,
    landmarker: Annotated[str, typer.Option(help="mediapipe, points[:FILE] or onnx:FILE.")] = "mediapipe",
    landmarks: Annotated[Path | None, typer.Option(help="A table that 'xfer landmarks' wrote.")] = None,
    masks: Annotated[str, typer.Option(help="The mask source outlined on the mean faces.")] = "ekman",
    allow_outside: AllowOutside = False,
    out: Annotated[Path | None, typer.Option(help="The page; NAME-check.html here by default.")] = None,
) -> None:
    """Look at a data set: one HTML page of counts, sizes, poses, duplicates, disagreement and mean faces."""
    from xfer import datasets, inspection, landmarking
    from xfer.report import faces
    from xfer.study.folder import slug, write_whole

    kept = expressions.split(",") if expressions else None
    outside = {"allow_outside": True} if allow_outside else {}
    dataset = datasets.open(data, kept, min_faces, unlabelled=kept is None, **outside)
    table = None if landmarks is None else landmarking.read(landmarks)
    page = out or Path(f"{slug(dataset.name)}-check.html")
    _require_folder_of(page)
    with progress() as stage:
        found = inspection.inspect(dataset, table, landmarker, masks=masks, progress=stage)
    html = faces.build(found)
    write_whole(page, lambda path: path.write_text(html, encoding="utf-8"))
    lost = found.faces.loc[found.faces["reason"] != "", "reason"]
    print(*dataset.summary(), f"{len(lost)} of {len(found.faces)} faces have no landmarks", sep="\n")
    for reason, n in lost.value_counts().items():
        print(f"{n} faces: {reason}")
    print(page)


@app.command()
def render(
    data: Annotated[str, typer.Argument(help="synthetic")],
    out: Annotated[Path, typer.Option(help="A new folder for PNGs, labels.csv and landmarks.csv.")],
    faces: Annotated[int, typer.Option(help="How many faces, of every expression in turn.")] = 600,
    size: Annotated[int, typer.Option(help="Side of a picture in px.")] = 224,
    seed: Annotated[int, typer.Option(help="People and scenes follow from it.")] = 0,
    cue: Annotated[
        str | None, typer.Option(help="Plant the class in one place only: background, brows, mouth or patch.")
    ] = None,
) -> None:
    """Write drawn faces as files: PNGs, labels with an intensity per Action Unit, and landmarks."""
    from xfer.datasets import synthetic

    if data != "synthetic":
        raise InputError(f"data {data!r}: only 'synthetic' can be rendered; other data sets are files already")
    dataset = synthetic.synthetic(faces, size, seed, cue)
    with progress() as stage:
        synthetic.write(dataset, out, stage("drawing", len(dataset)))
    print(f"{out}: {len(dataset)} faces; {synthetic.CAUTION}")


@landmarks_app.command()
def landmarks(
    folder: Annotated[Path, typer.Argument(help="A folder of pictures.")],
    out: Annotated[Path, typer.Option(help="The table to write (.parquet); continued if it is there.")],
    landmarker: Annotated[str, typer.Option(help="mediapipe, points[:FILE] or onnx:FILE.")] = "mediapipe",
    allow_outside: AllowOutside = False,
) -> None:
    """Find 68 landmarks, pose and confidence in every picture: one row each, or the reason there are none."""
    from xfer import landmarking
    from xfer.study.folder import write_whole

    _require_folder_of(out)
    if out.suffix != ".parquet":
        raise InputError(f"{out}: landmarks are written as parquet; give a name that ends in .parquet with --out")

    def save(table: Any) -> None:
        write_whole(out, lambda path: landmarking.write(table, path))

    done = landmarking.read(out) if out.exists() else None
    with progress() as stage:
        table = landmarking.landmark_folder(
            folder, landmarker, allow_outside=allow_outside, done=done, save=save, progress=stage
        )
    for line in landmarking.summary(table):
        print(line)
    print(out)


def _require_folder_of(file: Path) -> None:
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise InputError(f"{file}: give a file in a folder that exists with --out")


@assets_app.command("list")
def assets_list() -> None:
    """Every third-party file: size, licence, address, and where it lies here."""
    from xfer import assets

    columns = ("name", "file", "size", "licence", "url", "path")
    print_rows(columns, [[str(row[c]) for c in columns] for row in assets.table()])


@assets_app.command("get")
def assets_get(name: Annotated[str, typer.Argument(help="Its name in 'xfer assets list'.")]) -> None:
    """Download a file into the cache, continuing where an earlier call stopped, and check its digest."""
    from xfer import assets

    with progress() as stage:
        print(assets.get(name, stage))


@assets_app.command("verify")
def assets_verify() -> None:
    """Check the digest of every file."""
    from xfer import assets

    found = assets.verify()
    for finding in found:
        print(finding.line, file=sys.stdout if finding.sound else sys.stderr)
    if not all(finding.sound for finding in found):
        raise typer.Exit(1)
