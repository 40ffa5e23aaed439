"""Faces decoded, put into the canonical frame and averaged, as a stream; writes ``results/stream.md``.

Run: ``python tests/benchmarks/stream.py``. The pictures are hard links to a hundred different JPEG files, so that the
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
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from datasets import link, megabytes, write_pictures

from xfer import datasets as faces
from xfer.geometry import load_frame
from xfer.warping import to_frame

RESULTS = Path(__file__).parent / "results" / "stream.md"
SIZES, SIDE, BATCH = (2_000, 20_000, 100_000), 48, 64


def measure(root: str) -> None:
    """Average a folder's faces in the frame; print the figures as JSON."""
    torch.set_num_threads(1)
    frame = load_frame("xfer")
    dataset = faces.open(f"folder:{root}")
    face = np.array(frame.points[:68], dtype=np.float32) * (SIDE / frame.height)
    opened, start = megabytes(), time.perf_counter()
    total, count = torch.zeros(3, frame.height, frame.width, dtype=torch.float64), 0
    pictures = (picture for _, picture in dataset.faces(1) if not isinstance(picture, str))
    while batch := list(islice(pictures, BATCH)):
        images = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).float()
        warped = to_frame(images, torch.from_numpy(face).expand(len(batch), 68, 2), frame)
        total += torch.nan_to_num(warped.values).sum(0)
        count += len(batch)
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"faces": count, "seconds": seconds, "growth": peak - opened}))


def main() -> None:
    """Measure every length."""
    lines = [
        "# Decoding and warping a stream of faces",
        "",
        f"{SIDE} px JPEG files to the canonical frame of 275 x 224, one thread of {platform.machine()}, "
        f"{os.cpu_count()} cores, torch {torch.__version__}. *Memory* is what the stream adds to the listing.",
        "",
        "| faces | seconds | faces/s | memory (MB) |",
        "|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        pictures = write_pictures(Path(scratch), SIDE)
        for size in SIZES:
            root = Path(scratch) / str(size)
            link(pictures, root, size)
            done = subprocess.run([sys.executable, __file__, str(root)], check=True, capture_output=True, text=True)
            r = json.loads(done.stdout)
            rate = r["faces"] / r["seconds"]
            lines.append(f"| {r['faces']:,} | {r['seconds']:.1f} | {rate:,.0f} | {r['growth']:.0f} |")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) == 2 else main()
