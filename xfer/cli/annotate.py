"""``xfer annotate``: raters mark faces in JupyterLab, and their marks become maps."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from xfer.cli.options import Expressions, Landmarker, Seed
from xfer.cli.printing import print_rows, progress
from xfer.errors import InputError

app = typer.Typer()

_FACES = 60


@app.command()
def annotate(
    data: Annotated[str, typer.Argument(help="synthetic, folder:DIR, csv:FILE or NAME:DIR ('xfer data list').")],
    rater: Annotated[
        str | None, typer.Option(help="Who marks the faces; only a salted id of the name is kept.")
    ] = None,
    maps: Annotated[bool, typer.Option("--maps", help="Make maps of what raters have marked so far.")] = False,
    faces: Annotated[int, typer.Option(min=1, help="How many faces every rater sees.")] = _FACES,
    expressions: Expressions = None,
    seed: Seed = 0,
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
    notebook = _notebook(collection, rater, data, chosen)
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


def _notebook(collection: Any, rater: str, data: str, chosen: dict[str, Any]) -> Path:
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
    defaults = {"faces": _FACES, "seed": 0, "expressions": None, "landmarker": "mediapipe"}
    options = {name: _absolute(value) for name, value in chosen.items() if value != defaults[name]}
    text = rater_notebook(_absolute(data), known, options)
    notebook: Path = collection.home / f"{known}.ipynb"
    write_whole(notebook, lambda place: place.write_text(text, encoding="utf-8"))
    return notebook


def _absolute(value: Any) -> Any:
    """``KIND:PATH`` with an absolute path: the notebook runs in another folder."""
    kind, colon, path = value.partition(":") if isinstance(value, str) else ("", "", "")
    return f"{kind}:{Path(path).resolve()}" if colon else value


def _maps(collection: Any, outcome: str, everybody: bool) -> None:
    from xfer import annotation
    from xfer.annotation.reliability import kappa

    answers = annotation.read_answers(collection)
    checked = annotation.attention(collection, answers)
    rows = [[f"{v:.2f}" if isinstance(v, float) else str(v) for v in row] for row in checked.itertuples(index=False)]
    print_rows(tuple(name.replace("_", " ") for name in checked.columns), rows)
    made = annotation.maps(collection, answers, outcome=outcome, everybody=everybody)
    written = annotation.write_maps(collection, made)
    found = annotation.reliability(collection)
    rows = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in found.itertuples(index=False)]
    print_rows(tuple(name.replace("_", " ") for name in found.columns), rows)
    if (agreed := kappa(answers)) == agreed:
        print(f"raters name the same expression: mean Cohen's kappa {agreed:.2f}")
    n = made.sizes["rater"]
    print(f"{len(written)} maps of {n} rater{'s' * (n != 1)}; score against them with --masks human:{collection.home}")
