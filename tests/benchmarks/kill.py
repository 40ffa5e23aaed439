"""Kill -9 at random moments, the same line again: the same bytes, and nothing finished is made twice.

Run: ``python tests/benchmarks/kill.py [--kills 10] [--seed 0] [--write]``; ``--write`` makes ``results/kill.md``.
A study of two networks on drawn faces runs once undisturbed. Then the same command is killed, with no warning, after a
random small share of that time and started again, until it has been killed so often; the last start runs to its end.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from xfer.study import Study

RESULTS = Path(__file__).parent / "results" / "kill.md"
CODE = """
import xfer
xfer.compare("songnet,weinet", drawn=240, pretrained="no", metrics="iou,pearson", out={out!r}, workers=2,
             training={{"epochs": 12, "size": 64, "batch": 8}})
"""


def start(out: Path) -> subprocess.Popen:
    """The study's command in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", CODE.format(out=str(out))], stderr=subprocess.PIPE)


def finish(out: Path) -> float:
    """Run to the end; the seconds it took."""
    began = time.perf_counter()
    process = start(out)
    _, told = process.communicate()
    if process.returncode:
        raise SystemExit(told.decode())
    return time.perf_counter() - began


def bytes_of(out: Path) -> dict[str, bytes]:
    """What must be the same."""
    files = [out / "scores.csv", *(out / "shards").iterdir(), *(out / "heatmaps.zarr").rglob("*")]
    return {str(path.relative_to(out)): path.read_bytes() for path in files if path.is_file()}


def main() -> None:
    """Kill, start again, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        whole, broken = Path(place) / "whole", Path(place) / "broken"
        seconds = finish(whole)
        for number in range(options.kills):
            process = start(broken)
            wait = moments.uniform(0.14, 0.27) * seconds
            try:
                process.wait(wait)
                state = "had finished"
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                shards = len(list((broken / "shards").glob("*.npz"))) if (broken / "shards").is_dir() else 0
                logs = [len(log.read_text().splitlines()) - 1 for log in broken.glob("checkpoints/*.csv")]
                state = f"killed: {shards} shards, epochs logged {sorted(logs)}"
            rows.append(f"| {number + 1} | {wait:.1f} | {state} |")
            print(rows[-1], flush=True)
        finish(broken)
        same = bytes_of(whole) == bytes_of(broken)
        twice = Counter(json.loads(line)["unit"] for line in (broken / "units.jsonl").read_text().splitlines())
        epochs = {len(Study(broken).curves.query("model == @m")) for m in ("songnet", "weinet")}
    text = [
        "# Kill -9 at random moments",
        "",
        f"Undisturbed: {seconds:.1f} s. After {options.kills} kills: the same bytes in shards, heatmaps.zarr and "
        f"scores.csv: {same}. Units computed: {len(twice)}, most often {max(twice.values())} time. "
        f"Epochs in each log: {sorted(epochs)}.",
        "",
        "| kill | after (s) | state |",
        "|---|---|---|",
        *rows,
        "",
    ]
    print("\n".join(text))
    if options.write:
        RESULTS.write_text("\n".join(text), encoding="utf-8")
    if not same or max(twice.values()) > 1:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
