"""Time and memory of opening a data set and decoding it as a stream; writes ``results/datasets.md``.

Run: ``python tests/benchmarks/datasets.py``. The pictures are hard links to a hundred different JPEG files, so that the
disk is not measured. Each line is a process of its own, so that its peak memory is its own too.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

RESULTS = Path(__file__).parent / "results" / "datasets.md"
SETS = ((2_000, 48), (20_000, 48), (100_000, 48), (2_000, 250))
"""Faces and their side, px."""
EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
DISTINCT = 100


def write_pictures(folder: Path, side: int) -> list[Path]:
    """A hundred smooth pictures."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(DISTINCT):
        small = Image.fromarray(rng.integers(0, 255, (6, 6, 3), np.uint8))
        paths.append(folder / f"{side}_{i}.jpg")
        small.resize((side, side), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths


def link(pictures: list[Path], root: Path, faces: int) -> None:
    """A tree of six expressions with so many hard links."""
    for expression in EXPRESSIONS:
        (root / expression).mkdir(parents=True)
    for i in range(faces):
        os.link(pictures[i % DISTINCT], root / EXPRESSIONS[i % len(EXPRESSIONS)] / f"{i:06d}.jpg")


def megabytes() -> float:
    """The memory held now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measure(root: str, workers: int) -> None:
    """Open a folder and decode it; print the figures as JSON."""
    from xfer import datasets
    from xfer.datasets.splits import folds

    len(datasets.DATASETS)
    empty, start = megabytes(), time.perf_counter()
    dataset = datasets.open(f"folder:{root}")
    opened, opening = megabytes(), time.perf_counter() - start
    start = time.perf_counter()
    decoded = sum(not isinstance(picture, str) for _, picture in dataset.faces(workers))
    decoding, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    start = time.perf_counter()
    folds(dataset, 10)
    figures = {
        "faces": decoded, "workers": workers, "opening": opening, "listing": opened - empty, "decoding": decoding,
        "growth": peak - opened, "folds": time.perf_counter() - start,
    }  # fmt: skip
    print(json.dumps(figures))


def main() -> None:
    """Measure every size with one thread and with two."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for faces, side in SETS:
            root = Path(scratch) / f"{faces}_{side}"
            link(write_pictures(Path(scratch), side), root, faces)
            for workers in (1, 2):
                words = [sys.executable, __file__, str(root), str(workers)]
                done = subprocess.run(words, check=True, capture_output=True, text=True)
                rows.append({"side": side} | json.loads(done.stdout))
                print(rows[-1])
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(page(rows))


def page(rows: list[dict[str, float]]) -> str:
    """The table."""
    lines = [
        "# Opening and decoding data sets",
        "",
        f"JPEG files, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        "*Memory while decoding* is what the stream adds to the listing, whatever its length. "
        "Measured on a shared, busy machine: a second thread had no core to itself.",
        "",
        "| faces | px | threads | open (s) | listing (MB) | decode (s) | faces/s | memory while decoding (MB) "
        "| 10 folds (s) |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        lines.append(
            f"| {r['faces']:,} | {r['side']} | {r['workers']} | {r['opening']:.2f} | {r['listing']:.0f} "
            f"| {r['decoding']:.1f} | {r['faces'] / r['decoding']:,.0f} | {r['growth']:.1f} | {r['folds']:.2f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    measure(sys.argv[1], int(sys.argv[2])) if len(sys.argv) == 3 else main()
