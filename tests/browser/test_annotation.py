"""A rater in a real JupyterLab with a real Chromium: draw, reload, find it saved, go on after a closed tab."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from xfer.annotation import collect
from xfer.report.notebooks import rater_notebook

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
RATER = "0123456789ab"


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """A page of a headless Chromium; whatever a script there cannot cope with fails the test."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1300, "height": 950})
        browser.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of raters' files with six faces and a rater's page."""
    folder = tmp_path_factory.mktemp("raters") / "people"
    collect("synthetic", folder, faces=6)
    (folder / f"{RATER}.ipynb").write_text(rater_notebook("synthetic", RATER))
    return folder


@pytest.fixture(scope="module")
def lab(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the rater's page in a JupyterLab of its own."""
    pytest.importorskip("jupyterlab")
    own = tmp_path_factory.mktemp("jupyter")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    places = {name: str(own / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR",
                                                 "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")}  # fmt: skip
    words = ["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
             "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={home}",
             "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]  # fmt: skip
    with (own / "log").open("wb") as log:
        line = [sys.executable, "-m", "jupyterlab", *words]
        server = subprocess.Popen(line, env={**os.environ, **places}, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/api?token={token}", server, own / "log")
            yield f"http://127.0.0.1:{port}/lab/tree/{RATER}.ipynb?token={token}"
        finally:
            server.terminate()
            server.wait(20)


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            urlopen(address, timeout=2).close()
            return
        except (URLError, ConnectionError, TimeoutError):
            if server.poll() is not None:
                break
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-2000:])


def run_all(page: Any) -> None:
    page.get_by_text("| Idle").first.wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a line on the canvas, in shares of its size."""
    box = page.locator("canvas").last.bounding_box()
    (x0, y0), (x1, y1) = ((box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end))
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2, steps=4)
    page.mouse.move(x1, y1, steps=4)
    page.mouse.up()


def answers(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / f"{RATER}.jsonl").read_text().splitlines()[1:]]


def test_a_rater_draws_reloads_and_finds_it_saved(page: Any, lab: str, home: Path) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(lab)
    page.get_by_role("heading", name="Welcome").wait_for(timeout=60_000)
    run_all(page)
    page.get_by_role("button", name="Start", exact=True).click(timeout=90_000)
    page.get_by_text("Face 1 of 8").wait_for()
    draw_until_kept(page, home)
    page.get_by_role("button", name="fear", exact=True).click()
    page.get_by_text("Now mark what makes you see it.").wait_for()
    page.get_by_role("button", name="Save and next").click()
    page.get_by_text("Face 2 of 8").wait_for()
    kept = [line for line in answers(home) if "draft" not in line]
    assert [(line["n"], line["seen"]) for line in kept] == [(0, "fear")]
    path = kept[0]["marks"][0]["path"]
    assert abs(path[0] - 0.3 * 512) < 6
    assert abs(path[1] - 0.35 * 512) < 6

    draw_until_kept(page, home)
    page.wait_for_timeout(2_000)
    marked = page.evaluate(BAND)
    page.reload()
    page.get_by_role("heading", name="Welcome").wait_for(timeout=60_000)
    run_all(page)
    page.get_by_text("1 of 8 faces are saved under this name").wait_for(timeout=60_000)
    page.get_by_role("button", name="It was me: go on").click()
    page.get_by_text("Face 2 of 8").wait_for()
    page.wait_for_function(f"() => Math.abs(({BAND})() - {marked}) < 2", timeout=20_000)
    page.get_by_role("button", name="Undo", exact=True).click()
    page.wait_for_function(f"() => ({BAND})() < {marked} - 20", timeout=20_000)
    assert errors == []


BAND = """() => {
    const canvas = [...document.querySelectorAll(".jp-OutputArea canvas")].at(-1);
    const [w, h] = [canvas.width, canvas.height];
    const seen = canvas.getContext("2d").getImageData(0.35 * w, 0.34 * h, 0.3 * w, 0.02 * h).data;
    let sum = 0;
    for (let i = 0; i < seen.length; i += 4) sum += seen[i] - seen[i + 2];
    return 4 * sum / seen.length;
}"""
"""How orange the stripe across the brows is: red minus blue, in [-255, 255]."""


def draw_until_kept(page: Any, home: Path) -> None:
    """Draw across the brows, and see that the file has it before anything is saved."""
    page.locator("canvas").last.wait_for()
    before = len(answers(home))
    drag(page, (0.3, 0.35), (0.7, 0.35))
    for _ in range(100):
        if len(answers(home)) > before:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the stroke never reached the rater's file")
