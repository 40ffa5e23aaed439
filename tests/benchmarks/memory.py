"""Many drawn faces against few: the same peak memory, time in proportion.

Run: ``python tests/benchmarks/memory.py [--faces 2000 6000 20000] [--write]``; ``--write`` makes ``results/memory.md``.
One network, one epoch, one process, from drawing to the report; peak memory and processor time are the process's own
record. The line is fitted to processor time, which other work on the machine hardly touches.
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
used = resource.getrusage(resource.RUSAGE_SELF)
print(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
"""


def measure(faces: int) -> tuple[float, float, float]:
    """Seconds, processor seconds and bytes of a study of so many faces."""
    with tempfile.TemporaryDirectory() as place:
        code = CODE.format(faces=faces, out=f"{place}/study")
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, processor, peak = map(float, told.stdout.split()[-3:])
    return seconds, processor, peak


def main() -> None:
    """Measure, fit a line, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, nargs="+", default=[2000, 6000, 20_000])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = {faces: measure(faces) for faces in options.faces}
    slope, start = np.polyfit(options.faces, [found[n][1] for n in options.faces], 1)
    peaks = [found[n][2] for n in options.faces]
    lines = [
        "# Memory and time against the number of faces",
        "",
        "| faces | seconds | processor seconds | off the line | peak (MB) |",
        "|---|---|---|---|---|",
    ]
    for n, (took, processor, peak) in found.items():
        off = processor - start - slope * n
        lines.append(f"| {n} | {took:.1f} | {processor:.1f} | {off:+.1f} | {peak / 1e6:.0f} |")
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
