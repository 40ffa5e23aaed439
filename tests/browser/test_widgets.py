"""A reader in a real JupyterLab with a real Chromium: moves the threshold, sees picture and score change."""

import os
import re
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

import nbformat
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import xfer
from xfer import geometry

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CELLS = (
    "from xfer.report import widgets\nwidgets.heatmap_explorer('study')",
    "widgets.heatmap_explorer('nowhere')",
)
SLOW = 120_000
"""Milliseconds within which a busy machine starts a kernel."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of two maps and a notebook that looks at it."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "maps").mkdir()
    draw, frame = np.random.default_rng(3), geometry.load_frame()
    for expression in ("anger", "fear"):
        heatmap = gaussian_filter(draw.random((frame.height, frame.width)), 20)
        np.save(folder / "maps" / f"net_{expression}.npy", (heatmap - heatmap.min()).astype(np.float32))
    xfer.compare(
        heatmaps=folder / "maps", pattern="{model}_{expression}.npy", metrics="iou", draws=0, out=folder / "study"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(notebook, folder / "look.ipynb")
    return folder


@pytest.fixture(scope="module")
def lab(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the notebook in a JupyterLab of its own."""
    pytest.importorskip("jupyterlab", reason="no JupyterLab here: pip install -e '.[dev]'")
    own = tmp_path_factory.mktemp("jupyter")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    names = (
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_RUNTIME_DIR",
        "JUPYTERLAB_SETTINGS_DIR",
        "JUPYTERLAB_WORKSPACES_DIR",
        "IPYTHONDIR",
    )
    places = {name: str(own / name) for name in names}
    words = [
        "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={home}",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    with (own / "log").open("wb") as log:
        line = [sys.executable, "-m", "jupyterlab", *words]
        server = subprocess.Popen(line, env={**os.environ, **places}, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/api?token={token}", server, own / "log")
            yield f"http://127.0.0.1:{port}/lab/tree/look.ipynb?token={token}"
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


@pytest.fixture(scope="module")
def page(lab: str) -> Iterator[Any]:
    """The notebook in a headless Chromium, all its cells run."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright here: pip install -e '.[dev]'")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(SLOW)
        page.goto(lab)
        page.get_by_text(re.compile(r"Python 3 \(ipykernel\) \| Idle")).wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        page.get_by_text(re.compile("nowhere: is not a study folder")).wait_for()
        yield page
        browser.close()


def iou(page: Any) -> float:
    text = page.locator(".widget-html", has_text="IoU").get_by_text(re.compile(r"^IoU \d")).first.inner_text()
    return float(text.split()[1])


def picture(page: Any) -> Any:
    return page.locator(".jp-OutputArea img[alt^='Heatmap of']")


def test_the_threshold_moved_by_keyboard_changes_picture_and_score(page: Any) -> None:
    picture(page).wait_for()
    before, seen = iou(page), picture(page).get_attribute("src")
    assert page.get_by_text("In the study: IoU").inner_text() == f"In the study: IoU {before:.3f} (otsu)"
    slider = page.locator(".widget-slider", has_text="threshold").get_by_role("slider")
    slider.focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.get_by_text("A threshold set by eye is no result.").wait_for()
    page.wait_for_function("src => document.querySelector('img[alt^=\"Heatmap of\"]').src !== src", arg=seen)
    assert iou(page) != before


def test_another_expression_is_another_heatmap(page: Any) -> None:
    page.locator(".widget-dropdown", has_text="expression").locator("select").select_option("fear")
    page.locator("img[alt^='Heatmap of net · fear']").wait_for()


def test_no_widget_failed_to_show(page: Any) -> None:
    assert not page.get_by_text("javascript error").count()


def test_a_folder_that_is_no_study_is_one_line(page: Any) -> None:
    told = page.get_by_text(re.compile("nowhere: is not a study folder")).inner_text()
    assert (
        told == "heatmap explorer: nowhere: is not a study folder: there is none; if it was moved, give its new place"
    )
