"""Tables on stdout, progress on stderr."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from xfer.progress import rate

_SHOWN_PAIRS = 5


def print_rows(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    """A table without lines; 160 columns wide where stdout is no terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def print_table(frame: Any, title: str) -> None:
    """A data frame of numbers with its row names."""
    rows = [[str(name), *(f"{v:.3f}" for v in row)] for name, row in zip(frame.index, frame.to_numpy(), strict=True)]
    print_rows((title, *map(str, frame.columns)), rows)


def print_networks(study: Any) -> None:
    """Accuracy of the networks a study trained, beside the linear classifier's and chance."""
    table = study.networks
    if not len(table):
        return
    rows = [
        [row.model, row.fold, *(_share(v) for v in (row.accuracy, row.macro_f1, row.linear, row.chance)), _told(row)]
        for row in table.itertuples()
    ]
    print_rows(("network", "fold", "accuracy", "macro-F1", "linear", "chance", "layer, grid, start"), rows)


def print_twins(study: Any) -> None:
    """What the arms score, and the differences of specificity and accuracy with their intervals."""
    from xfer.study.looking import GUIDED, role

    table = study.twins[study.twins["expression"] == "all"]
    wanted = [
        ("accuracy", "value"),
        ("iou", "specificity"),
        ("iou", "value"),
        ("att_cos", "value"),
        ("cam_cos", "value"),
    ]
    by = table.set_index(["guide", "measure", "form"])["value"]
    rows = [[arm, *(_share(by.get((arm, *key), float("nan"))) for key in wanted)] for arm in study.arms]
    roles = {"objective": "training objective", "guided": "guided layer", "free": "layer"}
    places = [roles[role(measure, study.config["guide"]["loss"])] for measure in GUIDED]
    heads = ("accuracy", "specificity", "IoU", f"ATT-COS ({places[0]})", f"CAM-COS ({places[1]})")
    print_rows(("arm", *heads), rows)
    differences = study.differences[study.differences["expression"] == "all"]
    keys = (("iou", "specificity"), ("accuracy", "value"))
    for measure, form in keys:
        shown = differences[(differences["measure"] == measure) & (differences["form"] == form)]
        rows = [
            [
                f"{row.first} - {row.second}",
                _signed(row.difference),
                f"{row.ci_low:+.3f} to {row.ci_high:+.3f}" if row.ci_low == row.ci_low else "",
                row.reason,
            ]
            for row in shown.itertuples()
        ]
        print_rows((form if form == "specificity" else measure, "difference", "95 % interval", ""), rows)


def measures(sources: Any) -> str:
    """What scores against each mask source are, such as ``FACS agreement with ekman, emfacs``."""
    held: dict[str, list[str]] = {}
    for name, word in sources.measures.items():
        held.setdefault(word, []).append(name)
    return "; ".join(f"{word} with {', '.join(names)}" for word, names in held.items())


def print_left_out(sources: Any) -> None:
    """On stderr, which of people's maps are missing or of no use."""
    for masks in sources.masks:
        if said := masks.attrs.get("left_out"):
            print(f"{masks.name}: {said}", file=sys.stderr)


def print_inference(study: Any) -> None:
    """Where the networks stand between chance and experts or raters, and how many heatmaps are better than chance."""
    table = study.network_scores
    if not len(table):
        return
    lead = table[(table["metric"] == table["metric"].iloc[0]) & (table["threshold"] == table["threshold"].iloc[0])]
    rows = [
        [
            row.model,
            *(_with_interval(*v) for v in ((row.anchored, row.anchored_low, row.anchored_high),
                                           (row.corrected, row.ci_low, row.ci_high))),
            *(_share(v) for v in (row.half_value, row.null_mean, row.ceiling, row.p_holm)),
            row.reason or row.p_reason or row.anchored_reason,
        ]
        for row in lead.itertuples()
    ]  # fmt: skip
    agreeing = "raters" if str(study.masks.name) in study.mask_sources.raters else "experts"
    threshold = lead["threshold"].iloc[0]
    name = lead["metric"].iloc[0] + (f" ({threshold})" if threshold else "")
    print_rows(("network", "anchored, 95 %", f"{name}, 95 %", "raw", "chance", agreeing, "p (Holm)", ""), rows)
    cells = study.inference
    cells = cells[(cells["metric"] == lead["metric"].iloc[0]) & (cells["threshold"] == lead["threshold"].iloc[0])]
    tested = cells["q"].notna().sum()
    print(f"{(cells['q'] <= 0.05).sum()} of {tested} heatmaps beat smooth chance maps at a false discovery rate of .05")
    _print_pairs(study.comparisons)


def _print_pairs(pairs: Any) -> None:
    """The largest differences between networks, those that are sure first; all are in the report."""
    tested = int(pairs["p_holm"].notna().sum()) if len(pairs) else 0
    if not tested:
        return
    differ = int((pairs["p_holm"] <= 0.05).sum())
    clearest = pairs.assign(size=-pairs["difference"].abs()).sort_values(["p", "size"], kind="stable")
    print(f"{differ} of {tested} pairs of networks differ on the same faces (IoU, area; Holm, p <= .05); the clearest:")
    rows = [
        [f"{row.first} - {row.second}", _with_interval(row.corrected, row.ci_low, row.ci_high), _share(row.p_holm),
         row.interval_reason]
        for row in clearest.head(_SHOWN_PAIRS).itertuples()
    ]  # fmt: skip
    print_rows(("pair", "difference, 95 % each", "p (Holm)", ""), rows)


def _with_interval(value: float, low: float, high: float) -> str:
    if value != value:
        return ""
    return f"{value:.3f}" if low != low else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _share(value: float) -> str:
    return "" if value != value else f"{value:.3f}"


def _signed(value: float) -> str:
    return "" if value != value else f"{value:+.3f}"


def _told(row: Any) -> str:
    return f"FAILED: {row.failed}" if row.failed else ", ".join(filter(None, (row.layer, row.grid, row.start)))


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str, int], Callable[[], None]]]:
    """Bars on stderr, drawn only on a terminal."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    class Pace(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(rate(task.speed) if task.speed else "")

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), Pace(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def stage(name: str, steps: int) -> Callable[[], None]:
            task = bars.add_task(name, total=steps)
            return lambda: bars.advance(task)

        yield stage
