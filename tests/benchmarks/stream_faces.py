"""Faces from tar shards to what networks read: opened, landmarks taken, decoded; writes ``results/stream_faces.md``.

Run: ``python tests/benchmarks/stream_faces.py``. The shards hold a thousand faces each, a hundred different JPEG files
with landmarks beside them. Each line is a process of its own, so that its peak memory is its own too; time is that of
the processor, so that a busy machine does not lengthen it.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from datasets import EXPRESSIONS, megabytes, write_pictures

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


def measure(root: str) -> None:
    """Go through the phases; print seconds and megabytes of each as JSON."""
    from xfer import datasets, landmarking, training

    len(datasets.DATASETS)
    told: dict[str, float] = {}

    def note(phase: str, before: tuple[float, float]) -> tuple[float, float]:
        told[phase] = time.process_time() - before[0]
        told[f"{phase} MB"] = megabytes() - before[1]
        return time.process_time(), megabytes()

    now = time.process_time(), megabytes()
    dataset = datasets.open(f"webdataset:{root}")
    now = note("open", now)
    table = landmarking.published(dataset)
    now = note("landmarks", now)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    training.read(dataset, 32, landmarks=landmarking.points(table), in_memory=0, scratch=Path(root), workers=1)
    note("decode", now)
    told["growth"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6 - peak
    print(json.dumps({"faces": len(dataset)} | told))


def main() -> None:
    """Measure every length."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        pictures = [path.read_bytes() for path in write_pictures(Path(scratch), SIDE)]
        for faces in SIZES:
            root = Path(scratch) / str(faces)
            write_shards(root, faces, pictures)
            done = subprocess.run([sys.executable, __file__, str(root)], check=True, capture_output=True, text=True)
            rows.append(json.loads(done.stdout))
            print(rows[-1])
    RESULTS.write_text(page(rows))
    print(RESULTS.read_text())


def page(rows: list[dict[str, float]]) -> str:
    """The table, straight lines through it, and what they say of a million."""
    lines = [
        "# Faces from tar shards to what networks read",
        "",
        f"{SIDE} px JPEG files with landmarks, {IN_SHARD:,} a shard, to 32 px in a scratch file; {platform.machine()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}. Seconds are the processor's, decoding in one "
        "thread. *Listing* is what is kept of every face: its names, its place in its shard, its landmarks. "
        "*Pictures* is what decoding adds at its peak, the table of small landmarks included.",
        "",
        "| faces | open (s) | landmarks (s) | decode (s) | faces/s | listing (MB) | kB a face | pictures (MB) |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        seconds, listing = sum(r[phase] for phase in PHASES), r["open MB"] + r["landmarks MB"]
        lines.append(
            f"| {r['faces']:,} | {r['open']:.1f} | {r['landmarks']:.1f} | {r['decode']:.1f} "
            f"| {r['faces'] / seconds:,.0f} | {listing:.0f} | {1000 * listing / r['faces']:.1f} | {r['growth']:.0f} |"
        )
    x = np.array([r["faces"] for r in rows])
    lines += ["", f"| phase | s per 1,000 faces | residuals (s) | {FAR:,} faces |", "|---|---:|---:|---:|"]
    for phase in PHASES:
        y = np.array([r[phase] for r in rows])
        slope, start = np.polyfit(x, y, 1, w=1 / y)
        off = ", ".join(f"{value:+.2f}" for value in y - (start + slope * x))
        lines.append(f"| {phase} | {1000 * slope:.3f} | {off} | {(start + slope * FAR) / 60:.1f} min |")
    listing = np.array([r["open MB"] + r["landmarks MB"] for r in rows])
    slope, start = np.polyfit(x, listing, 1)
    lines += ["", f"At {FAR:,} faces the listing would take {(start + slope * FAR) / 1000:.1f} GB."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) == 2 else main()
