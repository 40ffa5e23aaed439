"""The command line: parse, call, print. Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from xfer.errors import InputError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
masks_app = typer.Typer(no_args_is_help=True, help="Mask sources: list, show, render, check.")
metrics_app = typer.Typer(no_args_is_help=True, help="Metrics: list.")
app.add_typer(masks_app, name="masks")
app.add_typer(metrics_app, name="metrics")

# typer keeps its own copy of click; this is the public way to that copy's exception
_UsageError: Any = typer.BadParameter.__mro__[1]

Pattern = Annotated[str, typer.Option(help="Where the key stands in a file's path.")]
Masks = Annotated[str, typer.Option(help="Mask sources by name, separated by commas, or a folder of mask files.")]
MaskPattern = Annotated[str, typer.Option(help="Where the expression stands in a mask file's name.")]
Frame = Annotated[
    str | None,
    typer.Option(help="Landmarks of the canvas the maps are on: 'xfer', or a csv of 68 points (point,x,y)."),
]
Metrics = Annotated[str, typer.Option(help="'all', or names separated by commas ('xfer metrics list').")]
Threshold = Annotated[str, typer.Option(help="otsu, area, upper_bound, or a share of the map's range in (0, 1).")]
Support = Annotated[str | None, typer.Option(help="'frame' (pixels a face can cover) or 'canvas'.")]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Score what is there.")]

MAPS_PATTERN = "{model}_{expression}_heatmap.png"
MASKS_PATTERN = "{expression}_gt.png"


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

    with _progress() as stage:
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
        _print_table(study.table().assign(mean=lambda t: t.mean(axis=1)), f"IoU ({study.config['threshold']})")
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
    with _progress() as stage:
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
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise InputError(f"{out}: give a file in a folder that exists with --out")


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


@metrics_app.command("list")
def metrics_list() -> None:
    """Every metric with its range, what chance scores, and its source."""
    from xfer.metrics import METRICS

    columns = ("name", "best", "worst", "chance", "mask", "reference")
    _print_rows(columns, [[f"{row[c]}" for c in columns] for row in METRICS.table()])


@masks_app.command("list")
def masks_list() -> None:
    """Every mask source: codebooks, regions, what each covers."""
    from xfer import masks

    rows = masks.sources()
    _print_rows(tuple(rows[0]), [[str(v) for v in row.values()] for row in rows])


@masks_app.command("show")
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


@masks_app.command("render")
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


@masks_app.command("check")
def masks_check(file: Annotated[Path, typer.Argument(help="A region or codebook TOML file.")]) -> None:
    """Check a region or codebook file of your own."""
    from xfer import masks

    for line in masks.check(file):
        print(line)


def _print_rows(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _print_table(frame: Any, title: str) -> None:
    rows = [[str(name), *(f"{v:.3f}" for v in row)] for name, row in zip(frame.index, frame.to_numpy(), strict=True)]
    _print_rows((title, *map(str, frame.columns)), rows)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int], Callable[[], None]]]:
    """Bars on stderr, drawn only on a terminal."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def stage(name: str, steps: int) -> Callable[[], None]:
            task = bars.add_task(name, total=steps)
            return lambda: bars.advance(task)

        yield stage


def _one_line(message: object) -> str:
    text = " ".join(str(message).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    os.environ.setdefault("POT_BACKEND_DISABLE_PYTORCH", "1")  # scoring needs POT's solver, not seconds of torch
    code = 2
    try:
        code = app(arguments, standalone_mode=False) or 0
    except InputError as error:
        print(f"xfer: {_one_line(error)}", file=sys.stderr)
    except _UsageError as error:
        print(f"xfer: {_one_line(error.format_message())}", file=sys.stderr)
    except (KeyboardInterrupt, typer.Abort):
        print("xfer: interrupted; what is finished is kept, the same line continues", file=sys.stderr)
        code = 130
    except OSError as error:
        print(f"xfer: {_one_line(error)}", file=sys.stderr)
        code = 1
    sys.exit(code)
