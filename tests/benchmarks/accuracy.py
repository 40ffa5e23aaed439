"""How well the networks learn the drawn faces with a preset; writes ``results/accuracy.md``.

Run: ``python tests/benchmarks/accuracy.py [--preset quick] [--seeds 0 1] [--models published] [--write]``.
Two networks are trained side by side, each in a process of its own with one thread. A fifth of the subjects is tested
on and chooses nothing; the epoch is chosen on validation subjects out of the rest.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import pickle
import platform
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from xfer import datasets, landmarking, models, training
from xfer.datasets.splits import split
from xfer.models.layers import heatmap_layer
from xfer.study import faces as cut
from xfer.training import presets

RESULTS = Path(__file__).parent / "results" / "accuracy.md"
PAGE = os.sysconf("SC_PAGE_SIZE")
DRAWN, TEST = 96, 0.2
SIDE_BY_SIDE = 2


@dataclass(frozen=True)
class Faces:
    """The faces of one seed at one size, and who trains, chooses and tests."""

    pixels: training.Pixels
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    linear: float


def prepare(faces: int, seed: int, crop: str, sizes: dict[int, float], folder: Path) -> object:
    """Draw the faces once, cut out at every size (of a validation share); the pictures go with what is returned."""
    dataset = datasets.open("synthetic", faces=faces, size=DRAWN, seed=seed)
    parts = np.array([s.split for s in split(dataset, {"train": 1 - TEST, "test": TEST}, seed).samples])
    test = np.flatnonzero(parts == "test")
    boxes = cut.crops(landmarking.published(dataset), crop)
    read = training.read_sizes(dataset, sizes, boxes=boxes, scratch=folder, shared=True)
    for size, share in sizes.items():
        train, validation = training.hold_out(dataset, np.flatnonzero(parts == "train"), share, seed)
        linear = training.linear_baseline(read[size], train, validation, test).accuracy
        (folder / f"{size}.pickle").write_bytes(pickle.dumps(Faces(read[size], train, validation, test, linear)))
    return read


def measure(network: str, preset: str, seed: int, folder: Path) -> dict[str, object]:
    """Train a network and test it."""
    torch.set_num_threads(1)
    settings = training.preset(preset, network, seed=seed)
    faces: Faces = pickle.loads((folder / f"{settings.size}.pickle").read_bytes())
    model = models.build(network, len(faces.pixels.classes), size=settings.size, seed=seed)
    layer = heatmap_layer(model, settings.size)
    with tempfile.TemporaryDirectory() as place:
        start = time.process_time()
        fitted = training.fit(
            model, faces.pixels, faces.train, faces.validation, settings, name=network, folder=Path(place)
        )
        seconds = time.process_time() - start
    return {
        "network": network,
        "seed": seed,
        "size (px)": settings.size,
        "precision": fitted.precision,
        "epochs": settings.epochs,
        "chosen": fitted.epoch,
        "faces trained on": len(faces.train),
        "validation": round(fitted.accuracy, 3),
        "test": round(training.accuracy(training.evaluate(model, faces.pixels, faces.test, settings)), 3),
        "linear": round(faces.linear, 3),
        "processor (s)": round(seconds),
        "layer": f"`{layer.name}`",
        "grid": f"{layer.grid[0]} x {layer.grid[1]}",
    }


class Memory(threading.Thread):
    """The most memory that some processes held together, sampled."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0

    def run(self) -> None:
        """Look ten times a second, for as long as the program runs."""
        while True:
            self.peak = max(self.peak, _held(os.getpid()) + sum(map(_held, _children(os.getpid()))))
            time.sleep(0.1)


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _held(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0


def sweep(networks: list[str], preset: str, faces: int, seed: int, crop: str) -> pd.DataFrame:
    """All networks on one seed's faces, slowest kinds spread by the order they are given in."""
    chosen = {n: training.preset(preset, n) for n in networks}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pictures = prepare(faces, seed, crop, {s.size: s.validation for s in chosen.values()}, folder)
        rows = []
        with ProcessPoolExecutor(SIDE_BY_SIDE, get_context("spawn"), max_tasks_per_child=1) as pool:
            waiting = [pool.submit(measure, n, preset, seed, folder) for n in networks]
            for done in as_completed(waiting):
                rows.append(done.result())
                print(rows[-1], flush=True)
        del pictures
    order = {n: i for i, n in enumerate(networks)}
    return pd.DataFrame(rows).sort_values("network", key=lambda column: column.map(order), ignore_index=True)


def table(frame: pd.DataFrame) -> list[str]:
    """A frame in Markdown."""
    lines = ["| " + " | ".join(frame.columns) + " |", "|---" * len(frame.columns) + "|"]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in frame.itertuples(index=False)]


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--models", default="published")
    parser.add_argument("--faces", type=int)
    parser.add_argument("--crop", choices=cut.CROPS, default="face")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    faces = asked.faces or presets.FACES[asked.preset]
    networks = [training.variant(asked.preset, n) for n in models.choose(asked.models)]
    memory = Memory()
    memory.start()
    start, sweeps = time.perf_counter(), []
    for seed in asked.seeds:
        sweeps.append(sweep(networks, asked.preset, faces, seed, asked.crop))
    minutes = (time.perf_counter() - start) / 60 / len(sweeps)
    lines = [
        f"# The `{asked.preset}` preset on drawn faces",
        "",
        f"{faces} faces drawn at {DRAWN} px, crop `{asked.crop}`, six expressions (chance 0.17), "
        "a fifth of the subjects to test on, "
        f"{SIDE_BY_SIDE} networks side by side with one thread each. {platform.machine()}, {os.cpu_count()} cores, "
        f"no GPU, torch {torch.__version__}, Python {platform.python_version()}.",
        f"{minutes:.1f} minutes a seed with drawing and the linear classifier, "
        f"{memory.peak / 1e9:.1f} GB at most in all processes together.",
        "",
    ]
    for frame in sweeps:
        seconds, lowest = frame["processor (s)"].sum(), frame["test"].min()
        lines += [f"## Seed {frame['seed'].iloc[0]}", "", *table(frame.drop(columns="seed")), ""]
        lines += [f"{seconds:,} s of training on one thread, the lowest accuracy {lowest:.3f}.", ""]
    print("\n".join(lines))
    if asked.write:
        RESULTS.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
