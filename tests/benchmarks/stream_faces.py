"""Faces from tar shards to what networks read: opened, landmarks taken, decoded; writes ``results/stream_faces.md``.

Run: ``python tests/benchmarks/stream_faces.py``. The shards hold a thousand faces each, a hundred different JPEG files
with landmarks beside them. Each line is a process of its own, so that its peak memory is its own too; time is that of
the processor, so that a busy machine does not lengthen it. ``--only 2000 20000`` measures some lengths and prints.
"""

import argparse
import gc
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
from datasets import EXPRESSIONS, write_pictures

RESULTS = Path(__file__).parent / "results" / "stream_faces.md"
SIZES, IN_SHARD, SIDE, FAR = (2_000, 20_000, 200_000), 1_000, 48, 1_000_000
PHASES = ("open", "landmarks", "decode")


def write_shards(root: Path, faces: int, pictures: list[bytes]) -> None:
    """Shards of `IN_SHARD` faces."""
    x, y = np.meshgrid(np.linspace(10, 38, 10), np.linspace(12, 40, 7))
    points = np.round(np.stack([x, y], -1).reshape(-1, 2)[:68]).astype(int).tolist()
    records = [json.dumps({"expression": e, "landmarks": points}).encode() for e in EXPRESSIONS]
    root.mkdir()
    for shard in range(faces // IN_SHARD):
        with tarfile.open(root / f"faces-{shard:04d}.tar", "w") as tar:
            for i in range(shard * IN_SHARD, (shard + 1) * IN_SHARD):
                for kind, content in (("jpg", pictures[i % len(pictures)]), ("json", records[i % len(records)])):
                    member = tarfile.TarInfo(f"{i:07d}.{kind}")
                    member.size = len(content)
                    tar.addfile(member, BytesIO(content))


def status(field: str) -> float:
    """What the system tells of this process, MB; ``RssAnon`` is memory of its own, ``RssFile`` can be read again."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) * 1024 / 1e6


class Peak:
    """The most ``RssAnon`` while a block runs, looked at every 20 ms."""

    def __enter__(self) -> "Peak":
        self.most, self._end = status("RssAnon"), Event()
        self._thread = Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._end.wait(0.02):
            self.most = max(self.most, status("RssAnon"))

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()


def measure(root: str) -> None:
    """Go through the phases; print seconds and megabytes of each as JSON."""
    from xfer import datasets, landmarking, training
    from xfer.study import faces

    len(datasets.DATASETS)
    told: dict[str, float] = {}
    warm_up(root)
    start = status("RssAnon")

    def note(phase: str, act: Callable[[], Any]) -> Any:
        began = time.process_time()
        with Peak() as peak:
            found = act()
        gc.collect()
        told[phase], told[f"{phase} MB"] = time.process_time() - began, status("RssAnon") - start
        told[f"{phase} peak"] = peak.most - start
        return found

    dataset = note("open", lambda: datasets.open(f"webdataset:{root}"))
    table = note("landmarks", lambda: faces.landmarks(dataset, Path(root)))
    points = landmarking.points(table)
    pixels = note(
        "decode",
        lambda: training.read(dataset, 32, landmarks=points, in_memory=0, scratch=Path(root), workers=1),
    )
    print(json.dumps({"faces": len(pixels.row), "file": status("RssFile")} | told))


def warm_up(root: str) -> None:
    """Go through all phases with one shard, so that what libraries take once is not a face's."""
    from xfer import datasets, landmarking, training
    from xfer.study import faces

    few = datasets.open(f"webdataset:{root}/faces-0000.tar")
    with tempfile.TemporaryDirectory() as home:
        table = faces.landmarks(few, Path(home))
        training.read(few, 32, landmarks=landmarking.points(table), in_memory=0, scratch=Path(home), workers=1)


def main() -> None:
    """Measure every length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, nargs="+", default=[])
    only = parser.parse_args().only
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        pictures = [path.read_bytes() for path in write_pictures(Path(scratch), SIDE)]
        for faces in only or SIZES:
            root = Path(scratch) / str(faces)
            write_shards(root, faces, pictures)
            done = subprocess.run([sys.executable, __file__, str(root)], check=True, capture_output=True, text=True)
            rows.append(json.loads(done.stdout))
            print(rows[-1], flush=True)
            shutil.rmtree(root)
    if only:
        return
    RESULTS.write_text(page(rows))
    print(RESULTS.read_text())


def page(rows: list[dict[str, float]]) -> str:
    """The table, straight lines through it, and what they say of a million."""
    lines = [
        "# Faces from tar shards to what networks read",
        "",
        f"{SIDE} px JPEG files with landmarks beside them (none is sought), {IN_SHARD:,} a shard, to 32 px in a "
        f"scratch file; {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. Seconds are "
        "the processor's, decoding in one thread. Memory is the process's own (RssAnon) beyond what it had after going "
        "through all phases with one shard: what is *kept* when a phase ends, and the most while it ran (looked at "
        "every 20 ms). Names, landmarks and pictures are in files; what of these is mapped at the end (RssFile, "
        "libraries included) the system can drop at any time.",
        "",
        "| faces | open (s) | landmarks (s) | decode (s) | faces/s | kept: open, landmarks, decode (MB) "
        "| at most: open, landmarks, decode (MB) | mapped (MB) |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        seconds = sum(r[phase] for phase in PHASES)
        kept, most = (", ".join(f"{r[f'{phase} {what}']:.0f}" for phase in PHASES) for what in ("MB", "peak"))
        lines.append(
            f"| {r['faces']:,} | {r['open']:.1f} | {r['landmarks']:.1f} | {r['decode']:.1f} "
            f"| {r['faces'] / seconds:,.0f} | {kept} | {most} | {r['file']:.0f} |"
        )
    x = np.array([r["faces"] for r in rows])
    lines += ["", f"| phase | s per 1,000 faces | residuals (s) | {FAR:,} faces |", "|---|---:|---:|---:|"]
    for phase in PHASES:
        y = np.array([r[phase] for r in rows])
        slope, start = np.polyfit(x, y, 1, w=1 / y)
        off = ", ".join(f"{value:+.2f}" for value in y - (start + slope * x))
        lines.append(f"| {phase} | {1000 * slope:.3f} | {off} | {(start + slope * FAR) / 60:.1f} min |")
    lines += ["", f"| memory | B a face | residuals (MB) | {FAR:,} faces |", "|---|---:|---:|---:|"]
    for phase in PHASES:
        for told, what in (("kept", "MB"), ("at most", "peak")):
            y = np.array([r[f"{phase} {what}"] for r in rows])
            slope, start = np.polyfit(x, y, 1)
            off = ", ".join(f"{value:+.1f}" for value in y - (start + slope * x))
            lines.append(f"| {phase}, {told} | {1e6 * slope:.0f} | {off} | {start + slope * FAR:.0f} MB |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) == 2 and Path(sys.argv[1]).is_dir() else main()
