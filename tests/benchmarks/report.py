"""Size of ``report.html`` and how soon it answers in Chromium; writes ``results/report.md``.

Run: ``python tests/benchmarks/report.py [STUDY_DIR]``. The page is of 12 networks x 6 expressions x 3 explainers. Two
networks are trained, briefly (in STUDY_DIR, or taken from there if it is finished), and stand twelve times in the
tables, each time with other smooth noise in their heatmaps: they weigh what others weigh, and say nothing.
"""

import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from playwright.sync_api import Browser, sync_playwright
from scipy.ndimage import gaussian_filter

import xfer
from xfer import models
from xfer.report import page
from xfer.study import Study

RESULTS = Path(__file__).parent / "results" / "report.md"
TRAINED, EXPLAINERS, RUNS = ("songnet_bn", "mobilenetv3"), "grad_cam,hires_cam,eigen_cam", 7
HEAD = "section[aria-labelledby=scores] thead th:nth-child(2)"
NAMES = dict(zip(sorted(models.MODELS)[:12], TRAINED * 6, strict=True))


def trained(home: Path) -> None:
    """Two networks as `quick` trains them, but for one epoch."""
    options = {"drawn": 300, "pretrained": "no", "training": {"epochs": 1}, "draws": 20, "explainers": EXPLAINERS}
    xfer.compare(",".join(TRAINED), out=home, **options)


def copied(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of every network, under each of its names."""
    return pd.concat(
        [table[table["model"] == was].assign(model=name) for name, was in NAMES.items()], ignore_index=True
    )


class Twelve(Study):
    """A study of two networks read as one of twelve."""

    @cached_property
    def heatmaps(self) -> xr.DataArray:
        """Every map with noise of its own."""
        found, draw = Study.heatmaps.func(self), np.random.default_rng(0)
        parts = []
        for name, was in NAMES.items():
            own = found.isel(cell=np.flatnonzero(found["model"].values == was)).copy()
            for heatmap in own.values:
                noise = gaussian_filter(draw.random(heatmap.shape), 12)
                heatmap += np.nanstd(heatmap) * (noise - noise.mean()) / noise.std()
            parts.append(own.assign_coords(model=("cell", np.full(own.sizes["cell"], name, dtype=object))))
        return xr.concat(parts, "cell")

    networks = cached_property(lambda self: copied(Study.networks.func(self)))
    predictions = cached_property(lambda self: copied(Study.predictions.func(self)))
    scores = cached_property(lambda self: copied(Study.scores.func(self)))
    inference = cached_property(lambda self: copied(Study.inference.func(self)))
    network_scores = cached_property(lambda self: copied(Study.network_scores.func(self)))
    nulls = cached_property(lambda self: copied(Study.nulls.func(self)))
    clades = cached_property(lambda self: pd.DataFrame())
    randomised = None

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """Every pair as the one there is."""
        one = Study.comparisons.func(self)
        return pd.concat([one.assign(first=a, second=b) for a, b in combinations(NAMES, 2)], ignore_index=True)


def load(browser: Browser, path: Path, *, scripts: bool) -> dict[str, float]:
    """Seconds from the start of the navigation until the page is whole, answers a click, and shows heatmaps."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, java_script_enabled=scripts)
    tab = context.new_page()
    tab.set_default_timeout(600_000)
    start = time.perf_counter()
    tab.goto(path.as_uri(), wait_until="domcontentloaded")
    took = {"whole": time.perf_counter() - start}
    if scripts:
        tab.locator(f"{HEAD} button").dispatch_event("click")
        tab.wait_for_selector(f"{HEAD}[aria-sort]")
        took["answers"] = time.perf_counter() - start
        tab.locator(".maps button").first.scroll_into_view_if_needed()
        tab.wait_for_selector(".maps canvas[width='224']")
        took["maps"] = time.perf_counter() - start
    context.close()
    return took


def measure(path: Path) -> dict[str, list[float]]:
    """Seconds of every run."""
    found: dict[str, list[float]] = {"without scripts": [], "whole": [], "answers": [], "maps": [], "processor": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        load(browser, path, scripts=True)
        for _ in range(RUNS):
            found["without scripts"].append(load(browser, path, scripts=False)["whole"])
            for name, seconds in load(browser, path, scripts=True).items():
                found[name].append(seconds)
            found["processor"].append(cpu(browser, path))
        browser.close()
    return found


def cpu(browser: Browser, path: Path) -> float:
    """Seconds of the processor that the page's own thread takes until the page answers."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(600_000)
    told = context.new_cdp_session(tab)
    told.send("Performance.enable", {"timeDomain": "threadTicks"})
    tab.goto(path.as_uri(), wait_until="domcontentloaded")
    found = {each["name"]: each["value"] for each in told.send("Performance.getMetrics")["metrics"]}
    context.close()
    return float(found["TaskDuration"])


def main() -> None:
    """Make the page, then measure."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch) / "study"
        if not (home / "report.html").is_file():
            trained(home)
        study, path, start = Twelve(home), Path(scratch) / "report.html", time.perf_counter()
        path.write_text(page.build(study), encoding="utf-8")
        wrote, size = time.perf_counter() - start, path.stat().st_size / 1e6
        found = measure(path)
    cells = [f"{size:.1f}", f"{wrote:.0f}", *(f"{statistics.median(seconds):.2f}" for seconds in found.values())]
    text = [
        "# The report in a browser",
        "",
        f"A page of {len(NAMES)} networks x 6 expressions x 3 explainers in headless Chromium on {platform.machine()} "
        f"with {os.cpu_count()} cores; medians of {RUNS} loads from the disk; {os.getloadavg()[0]:.1f} processes "
        "wanted a core at the end. Seconds from the start of the navigation: *no scripts* until the page is whole with "
        "scripts turned off, *whole* the same with them, *answers* until a click on a head has sorted a table, "
        "*heatmaps* until the first map can be hovered over. *Processor* is what the page's thread takes until it is "
        "whole, whatever else runs.",
        "",
        "| MB | written in (s) | no scripts | whole | answers | heatmaps | processor |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        f"| {' | '.join(cells)} |",
    ]
    RESULTS.write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
