"""``xfer explainers``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from xfer.cli.options import Device, Seed
from xfer.cli.printing import print_rows, progress

app = typer.Typer(no_args_is_help=True, help="Explainers: list, check, units (what Action Unit regions add).")


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


@app.command("check")
def explainers_check(
    explainers: Annotated[str, typer.Option(help="'all', a family, or names with commas.")] = "all",
    cues: Annotated[str, typer.Option(help="background, brows, mouth, patch, with commas.")] = "all",
    faces: Annotated[int, typer.Option(min=60, help="Drawn faces to train on, a cue.")] = 1500,
    explained: Annotated[int, typer.Option(min=1, help="Faces to explain, a cue.")] = 32,
    size: Annotated[int, typer.Option(min=24, help="Side of the drawn faces in px.")] = 48,
    seed: Seed = 0,
    device: Device = "cpu",
    out: Annotated[Path | None, typer.Option(help="A csv file for the table.")] = None,
) -> None:
    """Rank explainers by how well they recover planted cues where a small network demonstrably relies on them."""
    from xfer.datasets.synthetic import CUES
    from xfer.study.planted import check

    named = CUES if cues == "all" else tuple(each.strip() for each in cues.split(",") if each.strip())
    sizes: dict[str, Any] = {"faces": faces, "explained": explained, "size": size}
    with progress() as stage:
        table, planted = check(named, explainers, seed=seed, device=device, progress=stage, **sizes)
    if out:
        table.to_csv(out, index=False)
    _print_cues(planted)
    _print_standings(table)


def _print_cues(planted: list[Any]) -> None:
    rows = [
        [p.cue, f"{p.accuracy:.2f}", f"{p.without:.2f}", f"{p.chance:.2f}", f"{p.masks.mean():.3f}", p.reason or "yes"]
        for p in planted
    ]
    print_rows(("cue", "accuracy", "without the cue", "chance", "share of the picture", "counts"), rows)


def _print_standings(table: Any) -> None:
    """Explainers, best first: rank accuracy over all cues that count and cue by cue, energy inside over all."""
    found = table.set_index(["explainer", "metric", "cue"])
    cues = [cue for cue in dict.fromkeys(table["cue"]) if cue != "all"]
    shown = [("rank_accuracy", "all"), ("energy_inside", "all"), *(("rank_accuracy", cue) for cue in cues)]
    first = table[
        (table["metric"] == "rank_accuracy") & (table["cue"] == ("all" if "all" in set(table["cue"]) else cues[0]))
    ]
    rows = [
        [name, *(_cell(found.loc[(name, *key)]) if (name, *key) in found.index else "" for key in shown)]
        for name in first["explainer"]
    ]
    print_rows(("explainer", "rank accuracy, gain", "energy inside, gain", *cues), rows)
    for reason in dict.fromkeys(table.loc[table["score"].isna(), "reason"]):
        print(reason)


def _cell(row: Any) -> str:
    if row.score != row.score:
        return ""
    return f"{row.score:.3f}" if row.ci_low != row.ci_low else f"{row.score:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]"
