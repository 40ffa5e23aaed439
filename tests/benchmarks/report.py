"""Size of ``report.html`` and how soon it answers in Chromium; writes ``results/report.md``.

Run: ``python tests/benchmarks/report.py [STUDY_DIR]``. The study has 12 networks x 6 expressions x 3 explainers; it is
made in STUDY_DIR (a temporary folder by default), or taken from there if it is finished. The networks are trained for
one epoch on few drawn faces: their heatmaps weigh what others weigh, and say nothing.
"""

import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

import xfer
from xfer.study import Study

RESULTS = Path(__file__).parent / "results" / "report.md"
EXPLAINERS, RUNS = "grad_cam,hires_cam,eigen_cam", 7
HEAD = "section[aria-labelledby=scores] thead th:nth-child(2)"


def the_study(home: Path) -> Study:
    """Twelve networks as `quick` trains them."""
    options = {"drawn": 120, "pretrained": "no", "training": {"epochs": 1}, "draws": 20, "explainers": EXPLAINERS}
    return xfer.compare("all", per_face=True, out=home, **options)


def load(browser: Browser, path: Path, *, scripts: bool) -> dict[str, float]:
    """Seconds from the start of the navigation until the page is whole, answers a click, and shows heatmaps."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, java_script_enabled=scripts)
    page = context.new_page()
    start = time.perf_counter()
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    took = {"whole": time.perf_counter() - start}
    if scripts:
        page.locator(f"{HEAD} button").dispatch_event("click")
        page.wait_for_selector(f"{HEAD}[aria-sort]")
        took["answers"] = time.perf_counter() - start
        page.locator(".maps button").first.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('.maps canvas').width > 0")
        took["maps"] = time.perf_counter() - start
    context.close()
    return took


def measure(path: Path) -> dict[str, list[float]]:
    """Seconds of every run."""
    found: dict[str, list[float]] = {"without scripts": [], "whole": [], "answers": [], "maps": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        load(browser, path, scripts=True)
        for _ in range(RUNS):
            found["without scripts"].append(load(browser, path, scripts=False)["whole"])
            for name, seconds in load(browser, path, scripts=True).items():
                found[name].append(seconds)
        browser.close()
    return found


def table(study: Study) -> list[str]:
    """The lines of both pages, with the mean face and with single faces."""
    lines = []
    for faces in ("mean", "all"):
        start = time.perf_counter()
        path = study.report(faces=faces)
        wrote, size = time.perf_counter() - start, path.stat().st_size / 1e6
        seconds = {name: statistics.median(values) for name, values in measure(path).items()}
        lines.append(
            f"| --faces {faces} | {size:.1f} | {wrote:.0f} | " + " | ".join(f"{s:.2f}" for s in seconds.values()) + " |"
        )
    return lines


def main() -> None:
    """Make the study, then measure."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch) / "study"
        study = Study(home) if (home / "report.html").is_file() else the_study(home)
        maps = study.heatmaps.sizes["cell"]
        lines = table(study)
    text = [
        "# The report in a browser",
        "",
        f"`report.html` of 12 networks x 6 expressions x 3 explainers (the study has {maps} heatmaps), in headless "
        f"Chromium on {platform.machine()} with {os.cpu_count()} cores; medians of {RUNS} loads from the disk. Load "
        f"average of the machine at the end: {os.getloadavg()[0]:.1f}. Seconds from the start of the navigation: "
        "*no scripts* until the page is whole with scripts turned off, *whole* the same with them, *answers* until a click on a head has "
        "sorted a table, *heatmaps* until the first map can be hovered over.",
        "",
        "| page | MB | written in (s) | no scripts | whole | answers | heatmaps |",
        "|:---|---:|---:|---:|---:|---:|---:|",
        *lines,
    ]
    RESULTS.write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
