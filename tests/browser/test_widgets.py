"""Every widget in a real JupyterLab and Chromium: seen, moved by keyboard, light and dark, given bad pictures."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

import xfer
from tests.browser.conftest import Lab, Open, Opened
from xfer import geometry
from xfer.datasets import synthetic

pytestmark = pytest.mark.browser

CELLS = (
    "import os\nos.environ['XFER_ASSETS'] = {models!r}\n"
    "from xfer.report import widgets\nwidgets.heatmap_explorer('maps-study')",
    "widgets.action_unit_explorer()",
    "widgets.dendrogram_explorer('maps-study')",
    "widgets.face_browser('trained')",
    "widgets.training_view('trained')",
    "widgets.heatmap_explorer('nowhere')",
)
PICTURES = (
    "Heatmap of net_a", "A drawn face that shows AU6, AU12", "Dendrogram and likenesses of networks for anger",
    "Faces ", "Accuracy and loss by epoch of songnet_bn",
)  # fmt: skip


@pytest.fixture(scope="module")
def opened(notebook: Open, lab: Lab) -> Iterator[Opened]:
    """A notebook with a cell a widget, all of them run."""
    write_studies(lab.home)
    models = Path(__file__).resolve().parents[3] / "shared" / "models"
    opened = notebook("look.ipynb", [cell.format(models=str(models)) for cell in CELLS])
    opened.run_all()
    opened.page.get_by_text(re.compile("nowhere: is not a study folder")).wait_for()
    return opened


def write_studies(home: Path) -> None:
    """One of maps of three networks and two expressions, one that trained a network and kept the maps of faces."""
    draw, frame = np.random.default_rng(3), geometry.load_frame()
    (home / "maps").mkdir()
    for model in ("net_a", "net_b", "net_c"):
        for expression in ("anger", "fear"):
            heatmap = gaussian_filter(draw.random((frame.height, frame.width)), 20)
            np.save(home / "maps" / f"{model}_{expression}.npy", (heatmap - heatmap.min()).astype(np.float32))
    common: dict[str, Any] = {"metrics": "iou", "draws": 0}
    xfer.compare(heatmaps=home / "maps", pattern="{model}_{expression}.npy", out=home / "maps-study", **common)
    xfer.compare(
        "songnet_bn", drawn=72, training={"epochs": 2, "size": 64}, pretrained="no", per_face=True, workers=1,
        out=home / "trained", **common,
    )  # fmt: skip


@pytest.fixture
def page(opened: Opened) -> Any:
    return opened.page


def picture(page: Any, alt: str = "Heatmap of") -> Any:
    return page.locator(f".jp-OutputArea img[alt^='{alt}']")


def test_every_widget_shows_its_picture(page: Any) -> None:
    for alt in PICTURES:
        picture(page, alt).wait_for()
    assert not page.get_by_text("javascript error").count()


def test_the_threshold_moved_by_keyboard_changes_picture_and_score(opened: Opened) -> None:
    score, _ = opened.scores()
    assert opened.page.get_by_text("In the study: IoU").inner_text() == f"In the study: {score} (otsu)"
    opened.move_threshold(12)
    assert opened.scores()[0] != score


def test_another_expression_is_another_heatmap(page: Any) -> None:
    page.locator(".widget-dropdown", has_text="expression").locator("select").first.select_option("fear")
    picture(page, "Heatmap of net_a · fear").wait_for()


def test_a_folder_that_is_no_study_is_one_line(page: Any) -> None:
    told = page.get_by_text(re.compile("nowhere: is not a study folder")).inner_text()
    assert (
        told == "heatmap explorer: nowhere: is not a study folder: there is none; if it was moved, give its new place"
    )


def encoded(picture: np.ndarray, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def upload(page: Any, name: str, content: bytes) -> None:
    kind = {"jpg": "image/jpeg", "png": "image/png", "pdf": "application/pdf"}[name[-3:]]
    with page.expect_file_chooser() as asked:
        page.get_by_role("button", name="Place a face of your own").click()
    asked.value.set_files({"name": name, "mimeType": kind, "buffer": content})


def told(page: Any, name: str) -> str:
    """The line about an upload."""
    line = page.locator(".jp-OutputArea").get_by_text(re.compile(f"^{re.escape(name)}"))
    line.wait_for()
    return str(line.inner_text())


def test_a_pdf_is_refused_in_one_line(page: Any) -> None:
    upload(page, "paper.pdf", b"%PDF-1.7\n1 0 obj")
    assert told(page, "paper.pdf") == "paper.pdf: is not a picture of a format that is read"


def test_twelve_megapixels_are_placed(page: Any, shared: Path) -> None:
    face = synthetic.draw(synthetic.Face(3, action_units={"AU12": 1.0}), 750)
    large = np.kron(face, np.ones((4, 4, 1), np.uint8))
    content = encoded(np.pad(large, ((0, 0), (500, 500), (0, 0))), "JPEG", quality=92)
    upload(page, "large.jpg", content)
    assert told(page, "large.jpg") == (
        "large.jpg is in place; 12.0 megapixels, looked at with 1024 px on the longer side"
    )


def test_a_photograph_without_a_face_and_one_with_three(page: Any, shared: Path) -> None:
    upload(page, "wall.jpg", encoded(np.full((400, 300, 3), 180, np.uint8), "JPEG"))
    assert told(page, "wall.jpg") == (
        "wall.jpg: no face was found; one that looks at the camera and fills a quarter is best"
    )
    people = sorted((shared / "data" / "london").rglob("*.jpg"))[:3]
    row = np.concatenate([np.asarray(Image.open(path).convert("RGB").resize((500, 500))) for path in people], 1)
    upload(page, "three.jpg", encoded(row, "JPEG"))
    assert told(page, "three.jpg") == (
        "three.jpg is in place; 0.8 megapixels, looked at with 1024 px on the longer side;"
        " 3 faces, the largest and most central one is taken"
    )


def test_a_file_that_does_not_get_there_breaks_nothing_and_the_widget_says_what_to_do(page: Any) -> None:
    upload(page, "huge.png", np.random.default_rng(1).bytes(12_000_000))
    page.get_by_text("A file of more than 9 MB does not get there: save it as a smaller JPEG first.").wait_for()
    page.wait_for_timeout(1_000)
    select = page.locator(".widget-dropdown", has_text="network").locator("select").first
    select.select_option("net_b")
    picture(page, "Heatmap of net_b").wait_for()
    assert not page.get_by_text(re.compile("^huge.png")).count()


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_no_serious_violation_in_the_outputs(opened: Opened, lab: Lab, theme: str) -> None:
    lab.theme(theme)
    opened.save()
    opened.reload()
    picture(opened.page, PICTURES[-1]).wait_for()
    assert opened.page.locator(f"body[data-jp-theme-light='{'true' if theme == 'Light' else 'false'}']").count() == 1
    assert opened.serious() == []
