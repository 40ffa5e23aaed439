"""The command line: parse, call, print. Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted."""

import os
import sys
from typing import Any, NoReturn

import typer

from xfer.cli import (
    annotate,
    beginning,
    data,
    explain,
    explainers,
    export,
    guide,
    masks,
    metrics,
    models,
    studies,
    units,
)  # fmt: skip
from xfer.cli.panels import arrange
from xfer.errors import InputError, TrainingError

_HELP = """Does a facial-expression network look at a face where people do?

Begin with 'xfer compare --models songnet_bn' (drawn faces, some minutes), or with 'xfer init mine' for faces of your
own. What COMMAND takes: 'xfer COMMAND --help'. Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted.
"""
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=_HELP)
app.add_typer(studies.app)
app.add_typer(beginning.app)
app.add_typer(annotate.app)
app.add_typer(data.app, name="data")
app.add_typer(data.landmarks_app)
app.add_typer(data.assets_app, name="assets")
explainers.app.add_typer(units.app)
app.add_typer(explainers.app, name="explainers")
app.add_typer(masks.app, name="masks")
app.add_typer(metrics.app, name="metrics")
app.add_typer(models.app, name="models")
app.add_typer(explain.app)
app.add_typer(guide.app)
app.add_typer(export.app)

# typer keeps its own copy of click; this is the public way to that copy's exception
_UsageError: Any = typer.BadParameter.__mro__[1]


def _one_line(message: object) -> str:
    text = " ".join(str(message).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    os.environ.setdefault("POT_BACKEND_DISABLE_PYTORCH", "1")  # scoring needs POT's solver, not seconds of torch
    code = 2
    try:
        code = arrange(typer.main.get_command(app))(arguments, standalone_mode=False) or 0
    except InputError as error:
        print(f"xfer: {_one_line(error)}", file=sys.stderr)
    except _UsageError as error:
        if message := error.format_message():  # a bare command prints its help instead
            print(f"xfer: {_one_line(message)}", file=sys.stderr)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except (OSError, TrainingError) as error:
        print(f"xfer: {_one_line(error)}", file=sys.stderr)
        code = 1
    if code == 130:
        print("xfer: interrupted; what is finished is kept, the same line continues", file=sys.stderr)
    sys.exit(code)
