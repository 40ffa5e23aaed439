"""``xfer plan``: what ``xfer compare`` or ``xfer guide`` with the same options will cost, and what they did."""

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from xfer.cli import guide, studies
from xfer.cli.groups import ENGINE_OPTIONS
from xfer.cli.options import INSTEAD
from xfer.cli.printing import print_rows, progress
from xfer.datasets.objects import is_url
from xfer.errors import InputError

app = typer.Typer()

GUIDE = "guide"
"""In place of a study folder: twins are planned."""

_NOT_PLANNED = (
    "heatmaps", "pattern", "pooled", "pooled_pattern", "mask_pattern", "frame", "allow_missing", "faces",
    *ENGINE_OPTIONS, "fresh",
)  # fmt: skip
"""Options of ``xfer compare`` and ``guide`` that a plan does without, or gives another sense."""

_OF = {
    command: {
        name: each
        for name, each in inspect.signature(function, eval_str=True).parameters.items()
        if name not in ("context", "model", *_NOT_PLANNED)
    }
    for command, function in (("compare", studies.compare), (GUIDE, guide.guide))
}
"""The options of each of the two."""


def _same_options(function: Any) -> Any:
    """Let a command take the options of ``xfer compare`` and ``guide`` besides its own, as ``**shared``."""
    own = inspect.signature(function, eval_str=True).parameters
    shared = {**_OF[GUIDE], **_OF["compare"]}
    mine = [each for each in own.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    together = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*mine, *shared.values())]
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
        str | None,
        typer.Argument(
            help="A study folder or URL: what was planned for it against what it took. Or 'guide': plan twins."
        ),
    ] = None,
    model: Annotated[str | None, typer.Argument(help="After 'guide': the network, as for 'xfer guide'.")] = None,
    faces: Annotated[
        int | None,
        typer.Option(parser=_number, help="Plan for so many faces like those of --data; as many as there are."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "--cores", min=1, help="Networks side by side; as many as there is room.")
    ] = None,
    all_gpus: Annotated[
        int | None, typer.Option(min=1, help="Graphics processors that there are, a network each, like this one.")
    ] = None,
    gpus: Annotated[float | None, typer.Option(hidden=True)] = None,
    **shared: Any,
) -> None:
    """Measure for a minute what 'xfer compare' with the same options will cost: time, memory, disk, forwards.

    'xfer plan guide MODEL' takes the options of 'xfer guide'. Afterwards, 'xfer plan STUDY_DIR' sets the plan against
    what the study took.
    """
    if gpus is not None:
        raise InputError(f"--gpus {gpus:g}: says what one network has; a plan is for all there are: --all-gpus")
    twins = study == GUIDE
    if model is not None and not twins:
        raise InputError(f"{model}: networks are named with --models, and the network of twins after 'guide'")
    if study is not None and not twins:
        _against(study)
        return
    command = GUIDE if twins else "compare"
    _require_of(context, command)
    if twins and model is None:
        raise InputError("xfer plan guide: name the network, as in 'xfer plan guide resnet50'")

    def planned(options: dict[str, Any]) -> None:
        import xfer

        asked = {name: value for name, value in options.items() if name not in _NOT_PLANNED}
        with progress() as stage:
            made = xfer.plan_guide if twins else xfer.plan
            found = made(**asked, faces=faces, workers=workers, all_gpus=all_gpus, progress=stage)
        print(found)

    context.meta[INSTEAD] = planned
    taken = {name: shared[name] for name in _OF[command]}
    if twins:
        guide.guide(context=context, model=model, **taken)
    else:
        studies.compare(context=context, **taken)


def _require_of(context: typer.Context, command: str) -> None:
    """Refuse options that only the other command has."""
    theirs = {name for options in _OF.values() for name in options} - set(_OF[command])
    given = {name for name in theirs if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"}
    if given:
        told = ", ".join("--" + name.replace("_", "-") for name in sorted(given))
        raise InputError(f"{told}: 'xfer {command}', which is planned, has no such option")


def _against(study: str) -> None:
    from xfer.study.costs import against

    if not is_url(study) and not Path(study).is_dir():
        raise InputError(
            f"{study}: there is no such folder; give that of a study, options as for 'xfer compare', or guide MODEL"
        )
    table: Any = against(study).to_dict("records")
    numbers = ("planned_s", "actual_s", "ratio", "planned_processor_s", "actual_processor_s")
    rows = [
        [f"{'  ' if row['network'] else ''}{row['stage']}", *(_number_of(row[name], name) for name in numbers)]
        for row in table
    ]
    print_rows(("stage", "planned, s", "took, s", "planned / took", "planned, processor", "took, processor"), rows)


def _number_of(value: float, name: str) -> str:
    return "" if value != value else f"{value:.{2 if name == 'ratio' else 1}f}"
