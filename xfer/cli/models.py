"""``xfer models``."""

import typer

from xfer.cli.printing import print_rows

app = typer.Typer(no_args_is_help=True, help="Networks: list.")


@app.callback()
def models() -> None:
    """Networks: list."""


@app.command("list")
def models_list() -> None:
    """Every network with its sizes, tags and source; any of timm's is timm:NAME, one in ONNX onnx:PATH."""
    from xfer.models import MODELS

    rows = [
        [
            name,
            str(spec.input_size),
            str(spec.min_input),
            " ".join(spec.tags),
            "yes" if spec.pretrained else "no",
            spec.reference,
        ]
        for name, spec in MODELS.items()
    ]
    print_rows(("name", "input (px)", "smallest (px)", "tags", "pretrained in the study", "reference"), rows)
