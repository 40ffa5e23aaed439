"""``xfer metrics``."""

import typer

from xfer.cli.printing import print_rows

app = typer.Typer(no_args_is_help=True, help="Metrics: list.")


@app.callback()
def metrics() -> None:
    """Metrics: list."""


@app.command("list")
def metrics_list() -> None:
    """Every metric with its range, what chance scores, and its source."""
    from xfer.metrics import METRICS

    columns = ("name", "best", "worst", "chance", "mask", "reference")
    print_rows(
        columns,
        [[f"{row[c]:.4g}" if c in ("best", "worst") else str(row[c]) for c in columns] for row in METRICS.table()],
    )
