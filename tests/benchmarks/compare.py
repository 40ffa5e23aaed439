"""``xfer compare --models all`` from random weights on drawn faces: time, memory, accuracies.

Run: ``python tests/benchmarks/compare.py [--seeds 0 1] [--models all] [--write]``; some 20 minutes a seed on two cores.
``--write`` makes ``results/compare.md``.
The command is run as a user runs it. Memory is the resident memory of it and its workers together, twice a second.
"""

import argparse
import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from xfer.study import Study

RESULTS = Path(__file__).parent / "results" / "compare.md"
PAGE = os.sysconf("SC_PAGE_SIZE")
SHOWN = [
    "model",
    "size",
    "epochs",
    "grid",
    "n_train",
    "n_test",
    "validation_accuracy",
    "accuracy",
    "macro_f1",
    "linear",
]


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def resident(pid: int) -> int:
    """Bytes of resident memory of a process and all below it."""
    total = 0
    for each in family(pid):
        try:
            total += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * PAGE
        except (OSError, IndexError):
            continue
    return total


def run(words: list[str]) -> tuple[float, int]:
    """Run ``xfer``; the seconds it took and the most memory it had, in bytes."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen([sys.executable, "-m", "xfer", *words], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        with contextlib.suppress(OSError):
            peak = max(peak, resident(process.pid))
        time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"xfer {' '.join(words)}: exit code {process.returncode}")
    return time.perf_counter() - start, peak


def table(study: Study) -> pd.DataFrame:
    """The networks, with how far each is from the linear classifier in standard errors of the difference."""
    shown = study.networks[SHOWN].copy()
    spread = np.sqrt(
        (shown["accuracy"] * (1 - shown["accuracy"]) + shown["linear"] * (1 - shown["linear"])) / shown["n_test"]
    )
    return shown.assign(**{"above linear (SE)": (shown["accuracy"] - shown["linear"]) / spread})


def markdown(shown: pd.DataFrame) -> list[str]:
    """A table's lines."""
    rows = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in shown.itertuples(index=False)]
    return ["| " + " | ".join(row) + " |" for row in [list(shown.columns), ["---"] * shown.shape[1], *rows]]


def main() -> None:
    """Run every seed and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--models", default="all")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = ["# `xfer compare --models all --pretrained no`: drawn faces, preset `quick`", ""]
    lines += [f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, no GPU. Chance is .167.", ""]
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as place:
            words = ["compare", "--models", options.models, "--pretrained", "no", "--seed", str(seed)]
            seconds, peak = run([*words, "--out", f"{place}/study"])
            study = Study(f"{place}/study")
            size = (study.folder / "report.html").stat().st_size
            shown = table(study)
        lines += [
            f"## Seed {seed}: {seconds / 60:.1f} min, at most {peak / 1e9:.2f} GB, report {size / 1e6:.1f} MB",
            "",
        ]
        lines += [f"{(shown['accuracy'] >= 0.6).sum()} of {len(shown)} networks reach .60.", ""]
        lines += [*markdown(shown), ""]
        print("\n".join(lines), flush=True)
    if options.write:
        RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
