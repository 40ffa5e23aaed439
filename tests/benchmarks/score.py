"""Time and memory of scoring and reporting heatmaps; writes ``results/score.md``.

Run: ``python tests/benchmarks/score.py``. Uses smooth noise of the published size, and the published maps where they
lie beside the checkout. Each line is a process of its own, so that peak memory is its own too.
"""

import os
import platform
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
    from xfer.report import page  # noqa: F401
    from xfer.study import imported  # noqa: F401

    len(METRICS)
    start = time.perf_counter()
    try:
        cli.main(words)
    except SystemExit as ended:
        Path(words[-1] + ".seconds").write_text(str(time.perf_counter() - start))
        os._exit(int(ended.code or 0))


def noise(place: Path, models: int) -> list[tuple[str, float, float]]:
    """Score smooth noise."""
    maps, out = place / f"maps{models}", str(place / f"{models}.csv")
    maps.mkdir()
    noise_maps(maps, models)
    return [(f"score, {models * 6} noise maps, all metrics", *measure(["score", str(maps), "--out", out]))]


def published(place: Path, name: str, extra: list[str]) -> list[tuple[str, float, float]]:
    """Score, compare and report one of the published sets."""
    given = [*extra, "--masks", str(PUBLISHED / "masks")]
    study = str(place / f"study-{name}")
    rows = [
        (
            f"score, published {name}",
            *measure(["score", str(PUBLISHED / name), *given, "--out", f"{place}/{name}.csv"]),
        ),
        (f"compare, {name}", *measure(["compare", "--heatmaps", str(PUBLISHED / name), *given, "--out", study])),
        (f"report, {name}", *measure(["report", study])),
    ]
    size = (Path(study) / "report.html").stat().st_size / 1e6
    return [*rows, (f"report.html of {name}: {size:.1f} MB", float("nan"), float("nan"))]


def main() -> None:
    """Measure every line and write the table."""
    fold = ["--pattern", "{model}_{fold}_{expression}_heatmap.png"]
    with tempfile.TemporaryDirectory() as scratch:
        rows = [row for models in (12, 60, 120) for row in noise(Path(scratch), models)]
        if PUBLISHED.is_dir():
            rows += [*published(Path(scratch), "by_network", []), *published(Path(scratch), "by_fold", fold)]
    lines = [
        "# Scoring and reporting",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load "
        f"{os.getloadavg()[0]:.1f}. Seconds after import. Asked: every metric on 72 maps in 8 s and on 360 in 30 s, "
        "report.html for 72 maps in 15 s and under 10 MB.",
        "",
        "| what | seconds | peak MB |",
        "|---|---|---|",
        *(f"| {what} | {seconds:.1f} | {peak:.0f} |" for what, seconds, peak in rows),
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines).replace("nan", "") + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
