"""Ray against the local engine at equal cores, the driver's memory by units, and a node lost in the middle.

Run: ``python tests/benchmarks/ray_engine.py [--units 12] [--seconds 10] [--write]``; ``--write`` makes
``results/ray_engine.md``. Clusters are started here, on 127.0.0.1. Units wait, so that what is measured is the engine;
two of them are real: a study of two networks on two folds, by both engines, must have the same bytes.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import xfer
from xfer.progress import Stage, silent
from xfer.study.engine import Engine, Local, Needs, Ray
from xfer.study.engine.ray import library

RESULTS = Path(__file__).parent / "results" / "ray_engine.md"
HOME = {"node_ip_address": "127.0.0.1", "include_dashboard": False}
STUDY: dict[str, Any] = {
    "models": "songnet_bn,songnet",
    "folds": 2,
    "drawn": 72,
    "pretrained": "no",
    "metrics": "iou,pearson",
    "draws": 20,
    "randomised": 0,
    "training": {"epochs": 1, "size": 64, "precision": "32"},
}


@dataclass(frozen=True)
class Chore:
    """A unit that waits."""

    number: int
    log: Path
    seconds: float
    load: Any = None


def do(chore: Chore, progress: Stage) -> int:
    """Wait, and note the begin and the end."""
    note(chore.log, f"began {chore.number}")
    tick = progress(f"{chore.number}", 1)
    time.sleep(chore.seconds)
    tick()
    note(chore.log, f"ended {chore.number}")
    return chore.number


def note(log: Path, line: str) -> None:
    """A line with its moment; appended whole."""
    with log.open("a") as file:
        file.write(f"{line} {time.time():.3f}\n")


def add(cluster: Any, cores: int) -> Any:
    """One more node; Ray gives up starting one after 30 s, which a busy machine may need."""
    with suppress(Exception):
        return cluster.add_node(num_cpus=cores, **HOME)
    return cluster.add_node(num_cpus=cores, **HOME)


def timed(engine: Engine, chores: list[Chore], needs: Needs) -> tuple[float, float]:
    """Seconds of the whole run, and from the first begin to the last end."""
    began = time.perf_counter()
    assert sorted(number for _, number in engine.run(chores, do, needs, silent)) == list(range(len(chores)))
    whole = time.perf_counter() - began
    moments = [float(line.split()[2]) for line in chores[0].log.read_text().splitlines()]
    return whole, max(moments) - min(moments)


def overhead(address: str, place: Path, units: int, seconds: float) -> list[str]:
    """Both engines with two units side by side."""
    rows = ["| engine | whole run (s) | first begin to last end (s) | least possible (s) |", "|---|---|---|---|"]
    found = {}
    for name, engine in {"local": Local(), "ray": Ray(address)}.items():
        chores = [Chore(i, place / f"{name}.log", seconds) for i in range(units)]
        whole, span = found[name] = timed(engine, chores, Needs(workers=2))
        rows.append(f"| {name} | {whole:.1f} | {span:.1f} | {units / 2 * seconds:.0f} |")
    share = found["ray"][0] / found["local"][0] - 1
    span = found["ray"][1] / found["local"][1] - 1
    told = f"Ray over local: {share:+.1%} of the whole run, {span:+.1%} from the first begin to the last end."
    return [*rows, "", told]


def memory(address: str, place: Path) -> list[str]:
    """The driver's memory while it runs 10, 100 and 1,000 units that share 50 MB."""
    rows = ["| units | seconds | driver, largest RSS (MB) | its growth in the run (MB) |", "|---|---|---|---|"]
    load, process = np.ones(50_000_000, np.uint8), psutil.Process()
    for count in (10, 100, 1000):
        chores = [Chore(i, place / f"{count}.log", 0.0, load) for i in range(count)]
        began, before, most = time.perf_counter(), process.memory_info().rss, 0
        for _ in Ray(address).run(chores, do, Needs(shared="load"), silent):
            most = max(most, process.memory_info().rss)
        seconds = time.perf_counter() - began
        rows.append(f"| {count} | {seconds:.1f} | {most / 1e6:.0f} | {(most - before) / 1e6:+.0f} |")
    return rows


def lost(cluster: Any, place: Path, units: int) -> list[str]:
    """A node goes and another comes while three nodes work."""
    log, told = place / "lost.log", []
    began = time.time()

    def first(stage: str, steps: int) -> Callable[[], None]:
        if not told and stage == "2":  # three units are open
            told.append(f"{time.time() - began:.1f} s: a node is removed")
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
            add(cluster, 1)
            told.append(f"{time.time() - began:.1f} s: another has been added")
        return lambda: None

    chores = [Chore(i, log, 4.0) for i in range(units)]
    found = [number for _, number in Ray(cluster.address).run(chores, do, Needs(), first)]
    lines = Counter(" ".join(line.split()[:2]) for line in log.read_text().splitlines())
    begun = Counter(count for line, count in lines.items() if line.startswith("began"))
    ended = Counter(count for line, count in lines.items() if line.startswith("ended"))
    return [
        *(f"- {line}" for line in told),
        f"- {time.time() - began:.1f} s: all {len(found)} units have a result",
        f"- begun once: {begun[1]}, begun twice: {begun[2]}, ended once: {ended[1]}, ended twice: {ended[2]}",
    ]


def studies(address: str, place: Path) -> list[str]:
    """A real study by both engines."""
    rows, made = ["| engine | seconds |", "|---|---|"], []
    for name, engine in {"local": Local(), "ray": Ray(address)}.items():
        began = time.perf_counter()
        made.append(bytes_of(xfer.compare(**STUDY, workers=2, engine=engine, out=place / name).folder))
        rows.append(f"| {name} | {time.perf_counter() - began:.1f} |")
    return [*rows, "", f"The same bytes in shards, heatmaps.zarr and scores.csv: {made[0] == made[1]}."]


def bytes_of(study: Path) -> dict[str, bytes]:
    """What must be the same."""
    files = [study / "scores.csv", *(study / "shards").iterdir(), *(study / "heatmaps.zarr").rglob("*")]
    return {str(path.relative_to(study)): path.read_bytes() for path in files if path.is_file()}


def main() -> None:
    """Measure, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    library(own=True)
    from ray.cluster_utils import Cluster

    place, cluster = Path(tempfile.mkdtemp()), Cluster()
    text = ["# The Ray engine", "", f"Ray {library(own=True).__version__}, {os.cpu_count()} cores; the load of others "
            f"when it began: {os.getloadavg()[0]:.1f}.", ""]  # fmt: skip
    try:
        add(cluster, 2)
        units = f"{options.units} units of {options.seconds:g} s, two side by side, on a cluster that is there"
        text += [f"## {units}", "", *overhead(cluster.address, place, options.units, options.seconds), ""]
        text += ["## The driver's memory", "", *memory(cluster.address, place), ""]
        text += ["## A study of two networks on two folds", "", *studies(cluster.address, place), ""]
        for _ in range(2):
            add(cluster, 1)
        text += ["## A node is lost", "", *lost(cluster, place, 12), ""]
    finally:
        cluster.shutdown()
        shutil.rmtree(place, ignore_errors=True)
    print("\n".join(text))
    if options.write:
        RESULTS.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
