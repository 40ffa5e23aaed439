"""``xfer annotate``: raters mark faces in JupyterLab, and their marks become maps."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from xfer.cli.options import Expressions, Landmarker
from xfer.cli.printing import print_rows, progress
from xfer.errors import InputError

app = typer.Typer()


@app.command()
def annotate(
    data: Annotated[
        str, typer.Argument(help="synthetic, folder:DIR, csv:FILE or NAME:DIR, here or by URL ('xfer data list').")
    ],
    rater: Annotated[
        str | None, typer.Option(help="Who marks the faces; only a salted id of the name is kept.")
    ] = None,
    maps: Annotated[bool, typer.Option("--maps", help="Make maps of what raters have marked so far.")] = False,
    faces: Annotated[int | None, typer.Option(min=1, help="How many faces every rater sees; 60 by default.")] = None,
    expressions: Expressions = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Draws the faces; 0 by default.")] = None,
    landmarker: Landmarker = "mediapipe",
    outcome: Annotated[
        str, typer.Option(help="Faces of a map: 'correct' (seen as they are labelled) or 'all' seen as the expression.")
    ] = "correct",
    everybody: Annotated[
        bool, typer.Option("--everybody", help="Count raters who failed the attention checks too.")
    ] = False,
    lab: Annotated[bool, typer.Option("--lab/--no-lab", help="Start JupyterLab, or only write the notebook.")] = True,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the raters' files; reports/<data>-raters by default.")
    ] = None,
) -> None:
    """Let a rater mark what makes an expression visible, or make maps of the marks for --masks human:DIR."""
    from xfer import annotation

    if maps == (rater is not None):
        raise InputError("say who marks the faces with --rater NAME, or make maps of the marks so far with --maps")
    names = None if expressions is None else [name.strip() for name in expressions.split(",") if name.strip()]
    chosen: dict[str, Any] = {"faces": faces, "seed": seed, "expressions": names, "landmarker": landmarker}
    with progress() as stage:
        collection = annotation.collect(data, out, progress=stage, **chosen)
    print(*collection.summary(), sep="\n")
    if rater is None:
        _maps(collection, outcome, everybody)
        return
    notebook = _notebook(collection, rater, data)
    if not lab or find_spec("jupyterlab") is None:
        why = (
            ""
            if find_spec("jupyterlab")
            else "JupyterLab is missing: python -m pip install 'xfer-kit[notebook]'; then "
        )
        print(f"{why}jupyter lab {notebook}")
        return
    print(f"JupyterLab opens {notebook}; close it with Ctrl-C here when the rater is done")
    code = subprocess.run([sys.executable, "-m", "jupyterlab", str(notebook)]).returncode
    raise typer.Exit(1 if code else 0)


def _notebook(collection: Any, rater: str, data: str) -> Path:
    """Write the rater's page; say so where the name has been here before."""
    from xfer.annotation.journal import held
    from xfer.report.notebooks import rater_notebook
    from xfer.study.folder import write_whole

    known = collection.rater_id(rater)
    path = collection.path(known)
    if path.exists():
        if held(path):
            raise InputError(
                f"--rater {rater}: this name is painting in another window; "
                "if that is you, go on there, otherwise take another name"
            )
        print(f"{rater} has been here before: if that was you, go on; if not, stop and take another --rater")
    text = rater_notebook(_absolute(data), known)
    notebook: Path = collection.home / f"{known}.ipynb"
    write_whole(notebook, lambda place: place.write_text(text, encoding="utf-8"))
    return notebook


def _absolute(data: str) -> str:
    """``KIND:PATH`` with an absolute path: the notebook runs in another folder."""
    kind, colon, path = data.partition(":")
    return f"{kind}:{Path(path).resolve()}" if colon else data


def _maps(collection: Any, outcome: str, everybody: bool) -> None:
    from xfer import annotation
    from xfer.annotation.reliability import kappa

    answers = annotation.read_answers(collection)
    checked = annotation.attention(collection, answers)
    if len(checked):
        _print(checked, 2)
    made = annotation.maps(collection, answers, outcome=outcome, everybody=everybody)
    written = annotation.write_maps(collection, made)
    found = annotation.reliability(collection)
    _print(found, 3)
    if (agreed := kappa(answers)) == agreed:
        print(f"raters name the same expression: mean Cohen's kappa {agreed:.2f}")
    n = made.sizes["rater"]
    print(f"{len(written)} maps of {n} rater{'s' * (n != 1)}; score against them with --masks human:{collection.home}")


def _print(table: Any, places: int) -> None:
    told = [[_number(value, places) for value in row] for row in table.itertuples(index=False)]
    print_rows(tuple(name.replace("_", " ") for name in table.columns), told)


def _number(value: Any, places: int) -> str:
    if not isinstance(value, float):
        return str(value)
    return "" if value != value else f"{value:.{places}f}"
