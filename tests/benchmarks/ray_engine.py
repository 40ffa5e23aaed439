"""Ray against the local engine at equal cores, the driver's memory by units, and a node lost in the middle.

Run: ``python -m tests.benchmarks.ray_engine [--units 24] [--seconds 10] [--write]``; ``--write`` makes
``results/ray_engine.md``, ``--small`` only shows that it works. Clusters are started here, on 127.0.0.1. Units wait, so
that what is measured is the engine; a real study, of two networks on two folds with its shards of landmarks, parts and
blocks, must have the same bytes by both engines, a node lost or not.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import xfer
from tests.study import clusters
from xfer.progress import Stage, silent
from xfer.study.engine import Engine, Local, Needs, Ray
from xfer.study.engine.ray import library

RESULTS = Path(__file__).parent / "results" / "ray_engine.md"


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
    """A line with its moment and process; appended whole."""
    with log.open("a") as file:
        file.write(f"{line} {time.time():.3f} {os.getpid()}\n")


def timed(engine: Engine, chores: list[Chore], needs: Needs) -> tuple[float, float, float]:
    """Seconds of the whole run, until the last worker begins, and that a worker waits between two units on average."""
    began, clock = time.perf_counter(), time.time()
    assert sorted(number for _, number in engine.run(chores, do, needs, silent)) == list(range(len(chores)))
    whole = time.perf_counter() - began
    workers: dict[str, list[float]] = {}
    for line in chores[0].log.read_text().splitlines():
        _, _, moment, process = line.split()
        workers.setdefault(process, []).append(float(moment))
    waits = [b - a for own in workers.values() for a, b in zip(own[1::2], own[2::2], strict=False)]
    return whole, max(own[0] for own in workers.values()) - clock, float(np.mean(waits))


def overhead(address: str, place: Path, units: int, seconds: float) -> list[str]:
    """Both engines with two units side by side."""
    rows = [
        "| engine | whole run (s) | least possible (s) | until the last worker begins (s) | between two units (s) |",
        "|---|---|---|---|---|",
    ]
    found = {}
    for name, engine in {"local": Local(), "ray": Ray(address)}.items():
        chores = [Chore(i, place / f"{name}.log", seconds) for i in range(units)]
        whole, start, between = found[name] = timed(engine, chores, Needs(workers=2))
        rows.append(f"| {name} | {whole:.1f} | {units / 2 * seconds:.0f} | {start:.1f} | {between:.3f} |")
    share = found["ray"][0] / found["local"][0] - 1
    unit = (found["ray"][2] - found["local"][2]) / seconds
    return [*rows, "", f"Ray over local: {share:+.1%} of the whole run, its start included; {unit:+.2%} of a unit."]


def memory(address: str, place: Path, counts: Sequence[int]) -> list[str]:
    """The driver's memory while it runs so many units that share 50 MB."""
    rows = ["| units | seconds | driver, largest RSS (MB) | its growth in the run (MB) |", "|---|---|---|---|"]
    load, process = np.ones(50_000_000, np.uint8), psutil.Process()
    for count in counts:
        chores = [Chore(i, place / f"{count}.log", 0.0, load) for i in range(count)]
        began, before, most = time.perf_counter(), process.memory_info().rss, 0
        for _ in Ray(address).run(chores, do, Needs(shared="load"), silent):
            most = max(most, process.memory_info().rss)
        seconds = time.perf_counter() - began
        rows.append(f"| {count} | {seconds:.1f} | {most / 1e6:.0f} | {(most - before) / 1e6:+.0f} |")
    return rows


def lost(cluster: Any, place: Path, units: int, seconds: float) -> list[str]:
    """A node goes and another comes while three nodes work: one of two cores, where the driver is, and two of one."""
    log, at = place / "lost.log", dict[str, float]()
    began = time.time()

    def first(stage: str, steps: int) -> Callable[[], None]:
        if not at and stage == str(units // 2):  # all nodes are at work
            at["done"] = noted(log)[0]
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
            at["removed"] = time.time() - began
            clusters.add(cluster)
            at["added"] = time.time() - began
        return lambda: None

    chores = [Chore(i, log, seconds) for i in range(units)]
    found = [number for _, number in Ray(cluster.address).run(chores, do, Needs(), first)]
    _, again, twice = noted(log)
    return [
        "| units | done before the loss | begun again | finished, and computed again | without a result |"
        " node removed (s) | another there (s) | all done (s) | least possible without a loss (s) |",
        "|---|---|---|---|---|---|---|---|---|",
        f"| {units} | {at['done']:.0f} | {again} | {twice} | {units - len(set(found))} | {at['removed']:.1f} |"
        f" {at['added']:.1f} | {time.time() - began:.1f} | {-(-units // 4) * seconds:.1f} |",
    ]


def noted(log: Path) -> tuple[int, int, int]:
    """How many units have ended, how many were begun more than once, and ended more than once."""
    lines = Counter(" ".join(line.split()[:2]) for line in log.read_text().splitlines())
    ended = [count for line, count in lines.items() if line.startswith("ended")]
    begun = [count for line, count in lines.items() if line.startswith("began")]
    return len(ended), sum(count > 1 for count in begun), sum(count > 1 for count in ended)


def studies(cluster: Any, place: Path) -> list[str]:
    """A real study by both engines on two cores, and by Ray while one of its three nodes goes and another comes."""

    def lose(stage: str, steps: int) -> Callable[[], None]:
        if ": heatmaps" in stage and not gone:
            gone.append(time.perf_counter() - began)
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
            clusters.add(cluster)
        return lambda: None

    gone: list[float] = []
    asked, made = clusters.study_of(place), []
    rows = [
        "| engine | seconds | trainings, parts, shards merged | computed twice | the same bytes |",
        "|---|---|---|---|---|",
    ]
    engines: dict[str, tuple[Engine, int | None, Stage]] = {
        "local": (Local(), 2, silent),
        "ray": (Ray(cluster.address), 2, silent),
        "ray, a node lost": (Ray(cluster.address), None, lose),
    }
    for name, (engine, workers, progress) in engines.items():
        began = time.perf_counter()
        with clusters.small():
            study = xfer.compare(**asked, workers=workers, engine=engine, progress=progress, out=place / name).folder
        took, count = time.perf_counter() - began, clusters.computed(study)
        made.append(clusters.bytes_of(study))
        kinds = Counter(until for _, until, _ in count)
        told = ", ".join(str(kinds[kind]) for kind in ("weights", "part", "heatmaps"))
        rows.append(f"| {name} | {took:.1f} | {told} | {sum(n > 1 for n in count.values())} | {made[-1] == made[0]} |")
    return [*rows, "", f"The node was removed after {gone[0]:.1f} s, in the middle of explaining."]


def main() -> None:
    """Measure, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    if options.small:
        options.units, options.seconds = 4, 0.5
    library(own=True)
    from ray.cluster_utils import Cluster

    place, cluster = Path(tempfile.mkdtemp()), Cluster()
    text: list[str] = []

    def tell(*lines: str) -> None:
        """What is measured is told, and written, at once."""
        print(*lines, sep="\n", flush=True)
        text.extend(lines)
        if options.write:
            RESULTS.write_text("\n".join(text), encoding="utf-8")

    tell("# The Ray engine", "", f"Ray {library(own=True).__version__}, {os.cpu_count()} cores; the load of others "
         f"when it began: {os.getloadavg()[0]:.1f}.", "")  # fmt: skip
    try:
        clusters.add(cluster, 2)
        units = f"{options.units} units of {options.seconds:g} s, two side by side, on a cluster that is there"
        tell(f"## {units}", "", *overhead(cluster.address, place, options.units, options.seconds), "")
        counts = (5, 10) if options.small else (10, 100, 1000)
        tell("## The driver's memory", "", *memory(cluster.address, place, counts), "")
        for _ in range(2):
            clusters.add(cluster)
        tell("## A study of two networks on two folds", "", *studies(cluster, place), "")
        tell("## A node is lost", "", *lost(cluster, place, options.units, 4.0), "")
    finally:
        cluster.shutdown()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
