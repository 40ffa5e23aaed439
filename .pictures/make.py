"""Make every picture of the README anew: ``python .pictures/make.py``, or with names, only those.

All is made by commands and functions that users have, on drawn faces. From nothing that takes an hour and a half on
two cores, nearly all of it for the two studies behind the pictures, ``reports/drawn-faces`` and ``drawn-faces-guided``;
where they are finished they are taken as they are, so delete them for new ones. It needs ``pip install -e '.[dev]'``
and Debian's ``chromium``.
"""

import argparse
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import matplotlib as mpl
import nbformat
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageChops, ImageOps
from playwright.sync_api import Browser, Locator, Page, sync_playwright

import xfer
from xfer import masks
from xfer.report import figures
from xfer.study import Study
from xfer.study.twin_study import TwinStudy

HERE = Path(__file__).parent
STUDIES = HERE.parent / "reports"
LARGEST = 150_000
"""Bytes of a picture."""
WIDTH, MARGIN = 1240, 14
"""px of a reader's window, and around a part of it."""
SIDE = 130
"""px of a drawn face."""
PEOPLE = (1, 4)
"""Seeds of drawn people."""
SHOWN = 3
"""Networks whose heatmaps are shown."""

SOURCES = ("ekman", "xfer/emfacs", "mesh/facs_investigator", "belharbi2024/belharbi2024")
PICTURES: dict[str, Callable[[Path], Image.Image]] = {}


def picture(make: Callable[[Path], Image.Image]) -> Callable[[Path], Image.Image]:
    """Enter a picture under the name of the function that makes it."""
    PICTURES[make.__name__] = make
    return make


@cache
def study() -> Study:
    """The README's first command."""
    out = STUDIES / "drawn-faces"
    return Study(out) if (out / "report.html").exists() else xfer.compare("all", pretrained="no", out=out)


@cache
def twins() -> TwinStudy:
    """The small CNN of ``tests/benchmarks/guidance.py``: five arms, eight seeds."""
    out = STUDIES / "drawn-faces-guided"
    if (out / "report.html").exists():
        return TwinStudy(out)
    return xfer.guide("songnet_bn", pretrained="no", training={"epochs": 6}, draws=2000, out=out)


@picture
def heatmaps(scratch: Path) -> Image.Image:
    """The heatmaps of the networks that score highest, from the report."""
    with page_of(study().report()) as page:
        where = "section[aria-labelledby=heatmaps]"
        section = page.locator(where)
        rows = section.get_by_role("row")
        (top, _), (first, _), (last, height) = (_rows(each) for each in (section, rows.first, rows.nth(SHOWN)))
        seen = element(page, where)
        return framed(seen.crop((0, first - top, seen.width, last - top + height)))


@picture
def report(scratch: Path) -> Image.Image:
    """What a reader sees first."""
    with page_of(study().report()) as page:
        page.set_viewport_size({"width": WIDTH, "height": 800})
        return opened(page.screenshot())


@picture
def chance(scratch: Path) -> Image.Image:
    """Every network between chance and ceiling, from the report."""
    with page_of(study().report()) as page:
        return framed(element(page, "section[aria-labelledby=chance] figure .card >> nth=0"))


@picture
def similarity(scratch: Path) -> Image.Image:
    """Which networks look alike: dendrogram and correlations of one expression."""
    tree = study().tree("anger")
    correlations = study().model_correlations("anger")
    return drawn(figures.family(tree, correlations, "anger"))


@picture
def mask_sources(scratch: Path) -> Image.Image:
    """What several sources say of the same expressions, over the mean drawn face."""
    sources = [masks.load(name) for name in SOURCES]
    expressions = [str(e) for e in sources[0].expression.values]
    face = np.asarray(study().mean_face)[..., :3] @ (0.299, 0.587, 0.114)
    fig = Figure(figsize=(7.4, 6.2), layout="compressed")
    rows = fig.subplots(len(sources), len(expressions))
    for axes, name, source in zip(rows, SOURCES, sources, strict=True):
        for ax, expression in zip(axes, expressions, strict=True):
            values = source.sel(expression=expression).values
            ax.imshow(face, cmap="gray", vmin=0, vmax=1)
            ax.imshow(values, cmap="magma", vmin=0, vmax=1, alpha=0.75 * np.sqrt(values))
            ax.set(xticks=[], yticks=[])
            if source is sources[0]:
                ax.set_title(expression, size=9)
        axes[0].set_ylabel(name.replace("/", " /\n"), size=8)
    return drawn(fig)


@picture
def faces(scratch: Path) -> Image.Image:
    """Two drawn people, six expressions."""
    sheet = Image.new("RGB", (6 * SIDE, 2 * SIDE))
    for row, seed in enumerate(PEOPLE):
        for column, face in enumerate(sorted(rendered(scratch / "drawn", seed).glob("*.png"))):
            sheet.paste(Image.open(face).resize((SIDE, SIDE)), (column * SIDE, row * SIDE))
    return sheet


@picture
def explanation(scratch: Path) -> Image.Image:
    """One drawn face, five methods, every class: what ``xfer explain`` draws."""
    face, out = rendered(scratch / "drawn", PEOPLE[-1]) / "000003.png", scratch / "explained"
    methods = "grad_cam,layer_cam,integrated_gradients,lime,occlusion"
    command(
        "explain", f"{study().folder}#songnet_bn", str(face), "--crop", "whole", "--target", "all",
        "--explainers", methods, "--out", str(out),
    )  # fmt: skip
    return Image.open(out / "faces-1.png").convert("RGB")


@picture
def guided(scratch: Path) -> Image.Image:
    """The head of the page that ``xfer guide`` writes."""
    with page_of(twins().report()) as page:
        return framed(element(page, "section[aria-labelledby=headline]"))


@picture
def widget(scratch: Path) -> Image.Image:
    """The heatmap explorer in JupyterLab, after its threshold was moved by hand."""
    (scratch / "study").symlink_to(study().folder.resolve())
    code = "from xfer.report import widgets\n\nwidgets.heatmap_explorer('study')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(notebook, scratch / "look.ipynb")
    with jupyter(scratch) as address, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1150, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(f"{address}&reset")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        page.locator(".jp-OutputArea img[alt^='Heatmap of']").wait_for()
        slider = page.locator(".widget-slider", has_text="threshold").get_by_role("slider")
        slider.focus()
        for _ in range(12):
            page.keyboard.press("ArrowRight")
        page.get_by_text("A threshold set by eye is no result.").wait_for()
        page.wait_for_timeout(1500)
        return framed(element(page, ".jp-Notebook .jp-Cell >> nth=0"))


@contextmanager
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def page_of(file: Path) -> Iterator[Page]:
    """A page of a study, as a reader opens it."""
    with browser() as opened:
        page = opened.new_page(viewport={"width": WIDTH, "height": 2600})
        page.goto(file.resolve().as_uri())
        page.wait_for_timeout(1500)
        yield page


@contextmanager
def jupyter(home: Path) -> Iterator[str]:
    """A JupyterLab of its own on a folder, and the address of ``look.ipynb`` in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    kinds = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    own = {kind: str(home / ".jupyter" / kind) for kind in (*kinds, "IPYTHONDIR")}
    words = [
        "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={home}",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *words], env={**os.environ, **own}, stderr=-3)
    try:
        for _ in range(600):
            try:
                urlopen(f"http://127.0.0.1:{port}/api?token={token}", timeout=2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/lab/tree/look.ipynb?token={token}"
    finally:
        server.terminate()
        server.wait(20)


def element(page: Page, where: str) -> Image.Image:
    """One element of a page, when it has drawn itself."""
    found = page.locator(where)
    found.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    return opened(found.screenshot())


def framed(image: Image.Image) -> Image.Image:
    """What is in a picture, with a margin in the colour of its corner."""
    ground = image.getpixel((0, 0))
    inside = ImageChops.difference(image, Image.new("RGB", image.size, ground)).getbbox()
    return ImageOps.expand(image.crop(inside), MARGIN, ground)


def _rows(found: Locator) -> tuple[int, int]:
    """Where an element begins, and its height."""
    box = found.bounding_box()
    assert box is not None
    return round(box["y"]), round(box["height"])


def opened(png: bytes) -> Image.Image:
    """A picture from its bytes."""
    return Image.open(BytesIO(png)).convert("RGB")


def drawn(fig: Figure) -> Image.Image:
    """A figure on white."""
    place = BytesIO()
    fig.savefig(place, format="png", dpi=150, facecolor="white")
    return Image.open(place).convert("RGB")


def rendered(folder: Path, seed: int) -> Path:
    """A folder of one drawn person's six expressions."""
    out = folder.with_name(f"{folder.name}-{seed}")
    command("data", "render", "synthetic", "--faces", "6", "--size", "224", "--seed", str(seed), "--out", str(out))
    return out


def command(*words: str) -> None:
    """Run a line of xfer."""
    subprocess.run([sys.executable, "-m", "xfer", *words], check=True)


def save(image: Image.Image, path: Path) -> None:
    """A PNG of few colours, as wide as it may be."""
    for width in (1100, 1000, 900, 800, 700, 600):
        small = image.copy()
        small.thumbnail((width, 10_000), Image.Resampling.LANCZOS)
        place = BytesIO()
        few = small.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(place, format="PNG", optimize=True)
        if place.tell() <= LARGEST:
            break
    path.write_bytes(place.getvalue())
    print(f"{path.name}: {small.width} x {small.height} px, {place.tell() / 1000:.0f} kB")


def main() -> None:
    """Parse, make, save."""
    mpl.use("agg")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*PICTURES, []], help="only these")
    for name in parser.parse_args().names or PICTURES:
        with tempfile.TemporaryDirectory() as scratch:
            save(PICTURES[name](Path(scratch)), HERE / f"{name}.png")


if __name__ == "__main__":
    main()
