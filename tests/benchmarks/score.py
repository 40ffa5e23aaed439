"""Time and memory of scoring and reporting heatmaps; writes ``results/score.md``.

Run: ``python tests/benchmarks/score.py``. Uses smooth noise of the published size, and the published maps where they
lie beside the checkout. Each line is a process of its own, so that peak memory is its own too.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

RESULTS = Path(__file__).parent / "results" / "score.md"
PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "data" / "published_heatmaps"
EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


def noise_maps(folder: Path, models: int) -> None:
    """Write models x six smooth 8-bit maps of 275 x 224."""
    rng = np.random.default_rng(0)
    for m in range(models):
        for expression in EXPRESSIONS:
            field = gaussian_filter(rng.standard_normal((275, 224)), 20)
            field = (field - field.min()) / np.ptp(field) * 255
            Image.fromarray(field.astype(np.uint8)).save(folder / f"m{m:03d}_{expression}_heatmap.png")


def measure(words: list[str]) -> tuple[float, float]:
    """Seconds after import and peak memory in MB of one command line, in a process of its own."""
    pid = os.fork()
    if pid == 0:
        _child(words)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"failed: {words}")
    seconds = float(Path(words[-1] + ".seconds").read_text())
    return seconds, usage.ru_maxrss / 1024


def _child(words: list[str]) -> None:
    from xfer import cli
    from xfer.metrics import METRICS
    from xfer.study import imported  # noqa: F401

    len(METRICS)
    start = time.perf_counter()
    try:
        cli.main(words)
    except SystemExit as ended:
        Path(words[-1] + ".seconds").write_text(str(time.perf_counter() - start))
        os._exit(int(ended.code or 0))


def main() -> None:
    """Measure every line and write the table."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        for models in (12, 60, 120):
            (place / f"maps{models}").mkdir()
            noise_maps(place / f"maps{models}", models)
            out = str(place / f"{models}.csv")
            rows.append(
                (
                    f"score, {models * 6} noise maps, all metrics",
                    *measure(["score", str(place / f"maps{models}"), "--out", out]),
                )
            )
        if PUBLISHED.is_dir():
            masks = ["--masks", str(PUBLISHED / "masks")]
            fold = ["--pattern", "{model}_{fold}_{expression}_heatmap.png"]
            for name, extra in (("by_network", []), ("by_fold", fold)):
                maps = str(PUBLISHED / name)
                rows.append(
                    (
                        f"score, published {name}",
                        *measure(["score", maps, *masks, *extra, "--out", f"{scratch}/{name}.csv"]),
                    )
                )
                study = f"{scratch}/study-{name}"
                rows.append(
                    (
                        f"compare, published {name}",
                        *measure(["compare", "--heatmaps", maps, *masks, *extra, "--out", study]),
                    )
                )
                page = Path(study) / "report.html"
                started = time.perf_counter()
                subprocess.run([sys.executable, "-m", "xfer", "report", study], check=True, stdout=subprocess.DEVNULL)
                rows.append((f"report {name}, import included", time.perf_counter() - started, float("nan")))
                rows.append((f"report.html {name}: {page.stat().st_size / 1e6:.1f} MB", float("nan"), float("nan")))
    lines = [
        "# Scoring and reporting",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}. Seconds after import.",
        "",
    ]
    lines += ["| what | seconds | peak MB |", "|---|---|---|"]
    lines += [f"| {what} | {seconds:.1f} | {peak:.0f} |" for what, seconds, peak in rows]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines).replace("nan", "") + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
