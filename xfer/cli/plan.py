"""``xfer plan``: what ``xfer compare`` with the same options will cost, and what it did."""

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from xfer.cli import studies
from xfer.cli.groups import ENGINE_OPTIONS
from xfer.cli.printing import print_rows, progress
from xfer.errors import InputError

app = typer.Typer()

_NOT_PLANNED = (
    "heatmaps", "pattern", "pooled", "pooled_pattern", "mask_pattern", "frame", "allow_missing", "faces",
    *ENGINE_OPTIONS, "fresh",
)  # fmt: skip
"""Options of ``xfer compare`` that a plan does without, or gives another sense."""


def _same_options(function: Any) -> Any:
    """Let a command take the options of ``xfer compare`` besides its own, as ``**shared``."""
    shared = inspect.signature(studies.compare, eval_str=True).parameters
    own = inspect.signature(function, eval_str=True).parameters
    kept = [each for name, each in shared.items() if name not in (*_NOT_PLANNED, *own)]
    mine = [each for each in own.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    together = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*mine, *kept)]
    function.__signature__ = inspect.Signature(together)
    function.__annotations__ = {}
    return function


def _number(text: str) -> int:
    """A number of faces."""
    if not text.isdigit() or not int(text):
        raise typer.BadParameter(f"must be a number of faces, 1 or more; got {text!r}")
    return int(text)


@app.command()
@_same_options
def plan(
    context: typer.Context,
    study: Annotated[
        Path | None, typer.Argument(help="A study folder: what was planned for it against what it took.")
    ] = None,
    faces: Annotated[
        int | None,
        typer.Option(parser=_number, help="Plan for so many faces like those of --data; as many as there are."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "--cores", min=1, help="Networks side by side; as many as there is room.")
    ] = None,
    gpus: Annotated[int | None, typer.Option(min=1, help="Graphics processors, a network each, like this one.")] = None,
    **shared: Any,
) -> None:
    """Measure for a minute what 'xfer compare' with the same options will cost: time, memory, disk, forwards.

    Afterwards, 'xfer plan STUDY_DIR' sets the plan against what the study took.
    """
    if study is not None:
        _against(study)
        return

    def planned(options: dict[str, Any]) -> None:
        import xfer

        asked = {name: value for name, value in options.items() if name not in _NOT_PLANNED}
        with progress() as stage:
            found = xfer.plan(**asked, faces=faces, workers=workers, gpus=gpus, progress=stage)
        print(found)

    context.meta[studies.INSTEAD] = planned
    studies.compare(context=context, **shared)


def _against(study: Path) -> None:
    from xfer.study.costs import against

    if not study.is_dir():
        raise InputError(f"{study}: there is no such folder; give that of a study, or options as for 'xfer compare'")
    table: Any = against(study).to_dict("records")
    numbers = ("planned_s", "actual_s", "ratio", "planned_processor_s", "actual_processor_s")
    rows = [
        [f"{'  ' if row['network'] else ''}{row['stage']}", *(_number_of(row[name], name) for name in numbers)]
        for row in table
    ]
    print_rows(("stage", "planned, s", "took, s", "planned / took", "planned, processor", "took, processor"), rows)


def _number_of(value: float, name: str) -> str:
    return "" if value != value else f"{value:.{2 if name == 'ratio' else 1}f}"
