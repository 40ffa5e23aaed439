"""``xfer explainers``."""

import typer

from xfer.cli.printing import print_rows

app = typer.Typer(no_args_is_help=True, help="Explainers: list, check.")


@app.callback()
def explainers() -> None:
    """Explainers: list, check."""


@app.command("list")
def explainers_list() -> None:
    """Every explainer: its family, whether its maps are signed, whether it needs gradients, and its source."""
    from xfer.explainers import EXPLAINERS, FAMILIES, LAYER, Explainer

    def differentiated(e: Explainer) -> bool:
        return bool(e.needs) if e.family == LAYER else FAMILIES[e.family].gradients

    rows = [
        [name, e.family, "yes" if e.signed else "no", "yes" if differentiated(e) else "no", e.reference]
        for name, e in EXPLAINERS.items()
    ]
    print_rows(("name", "family", "signed", "gradients", "reference"), rows)
