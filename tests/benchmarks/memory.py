"""Many drawn faces against few: the same peak memory, time in proportion.

Run: ``python tests/benchmarks/memory.py [--faces 2000 6000 20000] [--write]``; ``--write`` makes ``results/memory.md``.
One network, one epoch, one process, from drawing to the report; peak memory is the process's own record.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "memory.md"
CODE = """
import resource, time
import xfer
start = time.perf_counter()
xfer.compare("songnet_bn", drawn={faces}, out={out!r}, workers=1, pretrained="no", metrics="iou,pearson",
             training={{"epochs": 1, "size": 48}})
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def measure(faces: int) -> tuple[float, float]:
    """Seconds and bytes of a study of so many faces."""
    with tempfile.TemporaryDirectory() as place:
        code = CODE.format(faces=faces, out=f"{place}/study")
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, peak = told.stdout.split()[-2:]
    return float(seconds), float(peak)


def main() -> None:
    """Measure, fit a line, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, nargs="+", default=[2000, 6000, 20_000])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = {faces: measure(faces) for faces in options.faces}
    seconds = np.array([found[n][0] for n in options.faces])
    slope, start = np.polyfit(options.faces, seconds, 1)
    peaks = [found[n][1] for n in options.faces]
    lines = [
        "# Memory and time against the number of faces",
        "",
        "| faces | seconds | off the line | peak (MB) |",
        "|---|---|---|---|",
    ]
    for n, (took, peak) in found.items():
        lines.append(f"| {n} | {took:.1f} | {took - start - slope * n:+.1f} | {peak / 1e6:.0f} |")
    lines += [
        "",
        f"Line: {start:.1f} s + {1000 * slope:.2f} ms a face. Peak, most over least: {max(peaks) / min(peaks):.3f}.",
        "",
    ]
    print("\n".join(lines))
    if options.write:
        RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
