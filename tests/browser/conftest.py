"""One JupyterLab on 127.0.0.1 and one Chromium, for every test that drives a browser."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import nbformat
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SIZE: Any = {"width": 1300, "height": 1000}
SLOW = 600_000
"""Milliseconds within which a busy machine starts a kernel."""
SEVERE = ("serious", "critical")
HANDLE = "noUi-handle"
"""Of sliders in ipywidgets 8.1.9, which leaves it without a name and takes none from Python."""

_SETTINGS = {
    "@jupyterlab/apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
    "@jupyterlab/extensionmanager-extension/plugin": '{"enabled": false}',
    "@jupyterlab/notebook-extension/tracker": '{"windowingMode": "none"}',
}
_WORDS = (
    "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0",
    "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)  # fmt: skip
FIGURE = ".jp-RenderedImage img"
"""A bare Matplotlib figure, which JupyterLab 4.6.6 shows without words."""

_STRIPE = """() => {
    const canvas = [...document.querySelectorAll(".jp-OutputArea canvas")].at(-1);
    if (!canvas?.width) return NaN;
    const [w, h] = [canvas.width, canvas.height];
    const seen = canvas.getContext("2d").getImageData(0.35 * w, 0.34 * h, 0.3 * w, 0.02 * h).data;
    let sum = 0;
    for (let i = 0; i < seen.length; i += 4) sum += seen[i] - seen[i + 2];
    return 4 * sum / seen.length;
}"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright here: pip install -e '.[dev]'")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install -y chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Lab:
    """A JupyterLab with places of its own, and the folder it shows."""

    def __init__(self, home: Path, own: Path) -> None:
        self.home, self._own, self._token = home, own, secrets.token_hex(8)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        for name, text in _SETTINGS.items():
            self._set(name, text)

    def start(self) -> subprocess.Popen[bytes]:
        """The server, when it answers."""
        names = ("CONFIG_DIR", "RUNTIME_DIR", "DATA_DIR")
        places = {f"JUPYTER_{name}": str(self._own / name.lower()) for name in names}
        places |= {f"JUPYTERLAB_{name}_DIR": str(self._own / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
        places |= {"IPYTHONDIR": str(self._own / "ipython"), "OMP_NUM_THREADS": "1"}
        told = (f"--ServerApp.port={self._port}", f"--IdentityProvider.token={self._token}")
        line = [sys.executable, "-m", "jupyterlab", *_WORDS, *told, f"--ServerApp.root_dir={self.home}"]
        with (self._own / "log").open("wb") as log:
            server = subprocess.Popen(line, env={**os.environ, **places}, stdout=log, stderr=log)
        for _ in range(6000):
            try:
                self._ask("GET", "")
            except (URLError, ConnectionError, TimeoutError):
                if server.poll() is not None:
                    break
                time.sleep(0.1)
            else:
                return server
        server.terminate()
        raise AssertionError((self._own / "log").read_text()[-2000:])

    def theme(self, name: str) -> None:
        """What pages look like that are opened or loaded again from now on: "Light" or "Dark"."""
        self._set("@jupyterlab/apputils-extension/themes", f'{{"theme": "JupyterLab {name}"}}')

    def address(self, notebook: str) -> str:
        """Of a notebook in the folder."""
        return f"http://127.0.0.1:{self._port}/lab/tree/{notebook}?token={self._token}&reset"

    def forget(self) -> None:
        """End all kernels."""
        for kernel in json.loads(self._ask("GET", "/kernels")):
            self._ask("DELETE", f"/kernels/{kernel['id']}")

    def _ask(self, method: str, what: str) -> bytes:
        request = Request(f"http://127.0.0.1:{self._port}/api{what}", method=method)
        request.add_header("Authorization", f"token {self._token}")
        with urlopen(request, timeout=120) as answer:
            return bytes(answer.read())

    def _set(self, name: str, text: str) -> None:
        plugin, _, what = name.rpartition("/")
        path = self._own / "settings" / plugin / f"{what}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab that asks nobody for news, updates or extensions."""
    pytest.importorskip("jupyterlab", reason="no JupyterLab here: pip install -e '.[dev]'")
    lab = Lab(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("jupyter"))
    server = lab.start()
    yield lab
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


class Opened:
    """A notebook on a page of its own."""

    def __init__(self, browser: Any, lab: Lab, notebook: str) -> None:
        self.lab = lab
        self._context = browser.new_context(viewport=SIZE)
        self.page = self._context.new_page()
        self.page.set_default_timeout(SLOW)
        self.errors: list[str] = []
        self.abroad: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self._context.route(lambda url: not url.startswith(("http://127.0.0.1:", "data:", "blob:")), self._refuse)
        self.page.goto(lab.address(notebook))
        self.idle()

    def _refuse(self, route: Any) -> None:
        self.abroad.append(route.request.url)
        route.abort()

    def idle(self) -> None:
        """Wait for the kernel."""
        self.page.get_by_text(re.compile(r"\| Idle")).first.wait_for()

    def menu(self, *words: str | re.Pattern[str]) -> None:
        """Choose from JupyterLab's menus."""
        first, *rest = words
        self.page.get_by_role("menuitem", name=first, exact=True).click()
        for word in rest:
            self.page.get_by_role("menuitem", name=word).first.click()

    def run_all(self) -> None:
        """Run all cells."""
        self.idle()
        self.menu("Run", "Run All Cells")

    def save(self) -> None:
        """With its outputs."""
        with self.page.expect_response(lambda answer: answer.request.method == "PUT" and "/contents/" in answer.url):
            self.page.keyboard.press("Control+s")

    def reload(self) -> None:
        """As a reader presses F5."""
        self.page.reload()
        self.idle()

    def serious(self, where: str = ".jp-OutputArea-output") -> list[str]:
        """The rules that outputs break badly, each with the first element that does; JupyterLab's own are not ours."""
        from axe_playwright_python.sync_playwright import Axe

        self.page.set_viewport_size({"width": 1300, "height": 6000})  # what is scrolled out of sight has no contrast
        self.page.wait_for_timeout(500)
        found = Axe().run(self.page, context={"include": [[where]], "exclude": [[FIGURE]]}).response
        self.page.set_viewport_size(SIZE)
        assert found["passes"], f"axe found nothing to look at in {where}"
        broken = [(v["id"], node["html"]) for v in found["violations"] if v["impact"] in SEVERE for node in v["nodes"]]
        return [f"{rule}: {html[:200]}" for rule, html in broken if f'<div class="{HANDLE}' not in html]

    def paint(self, answers: Path) -> None:
        """Draw across the brows of the face on the canvas, and see that the rater's file has it at once."""
        canvas = self.page.locator(".jp-OutputArea canvas").last
        canvas.scroll_into_view_if_needed()
        before, box = len(answers.read_bytes()), canvas.bounding_box()
        ends = [(box["x"] + x * box["width"], box["y"] + 0.35 * box["height"]) for x in (0.3, 0.7)]
        self.page.mouse.move(*ends[0])
        self.page.mouse.down()
        self.page.mouse.move(*ends[1], steps=8)
        self.page.mouse.up()
        for _ in range(1200):
            if len(answers.read_bytes()) > before:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError("the stroke never reached the rater's file")

    def painted(self) -> float:
        """How orange the stripe across the brows is, when it has come to rest: red minus blue, in [-255, 255]."""
        seen: list[float] = []
        for _ in range(1200):
            seen = [*seen[-2:], float(self.page.evaluate(f"({_STRIPE})()"))]
            if len(seen) == 3 and all(abs(each - seen[0]) <= 1 for each in seen):
                return seen[-1]
            self.page.wait_for_timeout(500)
        raise AssertionError(f"the stripe never came to rest: {seen}")

    def wait_until_painted(self, orange: float) -> None:
        """Until the stripe is as orange as that."""
        self.page.wait_for_function(f"() => Math.abs(({_STRIPE})() - {orange}) < 2")

    def wait_until_below(self, orange: float) -> None:
        """Until the stripe is less orange than that."""
        self.page.wait_for_function(f"() => ({_STRIPE})() < {orange}")

    def scores(self) -> tuple[str, str]:
        """The score and the picture of the heatmap explorer."""
        score = self.page.locator(".widget-html").get_by_text(re.compile(r"^IoU \d")).first.inner_text()
        return str(score), str(self.page.locator("img[alt^='Heatmap of']").get_attribute("src"))

    def move_threshold(self, presses: int) -> None:
        """By keyboard, until score and picture are others."""
        from playwright.sync_api import expect

        score, before = self.scores()
        self.page.locator(".widget-slider", has_text="threshold").get_by_role("slider").focus()
        for _ in range(presses):
            self.page.keyboard.press("ArrowRight")
        self.page.get_by_text("A threshold set by eye is no result.", exact=True).wait_for()
        self.page.wait_for_function("src => document.querySelector('img[alt^=\"Heatmap of\"]').src !== src", arg=before)
        told = self.page.locator(".widget-html").get_by_text(re.compile(r"^IoU \d")).first
        expect(told).not_to_have_text(score, use_inner_text=True, timeout=SLOW)

    def close(self) -> None:
        """Leave, and end the kernel."""
        self._context.close()
        self.lab.forget()


Open = Callable[..., Opened]
"""See `notebook`."""


@pytest.fixture(scope="module")
def notebook(browser: Any, lab: Lab) -> Iterator[Open]:
    """Opens a notebook of the lab's folder, or one made of some cells; at the end nothing was asked of the network."""
    opened: list[Opened] = []

    def open_(name: str, cells: Sequence[str] = ()) -> Opened:
        if cells:
            made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
            made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
            nbformat.write(made, lab.home / name)
        opened.append(Opened(browser, lab, name))
        return opened[-1]

    yield open_
    abroad, errors = [u for each in opened for u in each.abroad], [e for each in opened for e in each.errors]
    for each in opened:
        each.close()
    assert (abroad, errors) == ([], [])
