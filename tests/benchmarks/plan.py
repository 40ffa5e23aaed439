"""``xfer plan`` against what the same study then takes: four studies, each planned and run right after one another.

Run: ``python tests/benchmarks/plan.py [--only NAME] [--write]``; some ten minutes on two quiet cores. ``--write`` makes
``results/plan.md``. Asked: within 20 %. Where other work keeps the processors the clock on the wall says nothing about
a plan, so the time that processors worked is compared too; the load of the machine stands beside it.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import xfer
from xfer.datasets import synthetic

RESULTS = Path(__file__).parent / "results" / "plan.md"
ASKED = 0.2


def drawn(place: Path) -> dict[str, Any]:
    """One network on 600 drawn faces."""
    return {"models": "songnet_bn", "drawn": 600}


def lime(place: Path) -> dict[str, Any]:
    """Two networks with LIME, and GradCAM beside it, on 240 drawn faces."""
    return {
        "models": "songnet_bn,mobilenetv3", "drawn": 240, "explainers": "lime,grad_cam",
        "perturbation": {"samples": 24, "segments": "grid"},
    }  # fmt: skip


def table(place: Path) -> dict[str, Any]:
    """One network on a csv of 240 pictures of 128 px with a file of landmarks."""
    folder = place / "faces"
    synthetic.write(synthetic.synthetic(240, 128, 3), folder)
    return {
        "models": "silnet_bn", "data": f"csv:{folder / 'labels.csv'}", "min_faces": 5,
        "landmarker": f"points:{folder / 'landmarks.csv'}",
    }  # fmt: skip


def twins(place: Path) -> dict[str, Any]:
    """Twins of one network, two arms of three seeds, on 240 drawn faces."""
    return {"model": "songnet_bn", "drawn": 240, "seeds": 3, "controls": ["au", "none"]}


STUDIES: dict[str, Callable[[Path], dict[str, Any]]] = {"drawn": drawn, "lime": lime, "table": table, "twins": twins}


def compared(name: str, make: Callable[[Path], dict[str, Any]]) -> tuple[str, pd.DataFrame, list[str]]:
    """Plan a study and run it; what it is, planned against actual, and the lines about the planning."""
    with tempfile.TemporaryDirectory() as place:
        options = {**make(Path(place)), "pretrained": "no", "out": Path(place) / "study"}
        began, worked, load = time.perf_counter(), sum(os.times()[:4]), os.getloadavg()[0]
        plan_of, run = (xfer.plan_guide, xfer.guide) if "model" in options else (xfer.plan, xfer.compare)
        plan = plan_of(**options)
        took = time.perf_counter() - began, sum(os.times()[:4]) - worked
        between = os.getloadavg()[0]
        study = run(**options)
        said = [
            f"Planning took {took[0]:.0f} s on the wall, {took[1]:.0f} s of processors. Load of the machine: "
            f"{load:.1f} before, {between:.1f} between, {os.getloadavg()[0]:.1f} after.",
            f"Bottleneck: {plan.bottleneck}.",
        ]
        return str(make.__doc__), study.costs, said


def markdown(shown: pd.DataFrame) -> list[str]:
    """A table's lines."""
    rows = [[("" if v != v else f"{v:.2f}") if isinstance(v, float) else str(v) for v in row]
            for row in shown.itertuples(index=False)]  # fmt: skip
    return ["| " + " | ".join(row) + " |" for row in [list(shown.columns), ["---"] * shown.shape[1], *rows]]


def main() -> None:
    """Run every study and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=STUDIES)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = ["# `xfer plan` against what the study took", ""]
    lines += [f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, no GPU. Asked: within {ASKED:.0%}.", ""]
    for name, make in STUDIES.items():
        if options.only not in (None, name):
            continue
        what, costs, said = compared(name, make)
        total = costs.iloc[-1]
        worked = total["planned_processor_s"] / total["actual_processor_s"]
        lines += [
            f"## {what}",
            "",
            f"Planned / took: {worked:.2f} of processors' time, {total['ratio']:.2f} on the wall.",
        ]
        lines += ["", *said, "", *markdown(costs.drop(columns="network")), ""]
        print("\n".join(lines), flush=True)
    if options.write:
        RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
