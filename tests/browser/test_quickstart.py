"""The first notebook as a newcomer uses it, in a real JupyterLab with a real Chromium."""

from pathlib import Path

import pytest

from tests.browser.conftest import SLOW, Lab, Open, Opened

pytestmark = pytest.mark.browser

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01_quickstart.ipynb"


@pytest.fixture(scope="module")
def opened(notebook: Open, lab: Lab) -> Opened:
    """The notebook, all its cells run on few faces, a rater's first face shown."""
    (lab.home / "notebooks").mkdir()
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "FAST = False" in text
    (lab.home / "notebooks" / NOTEBOOK.name).write_text(text.replace("FAST = False", "FAST = True"), encoding="utf-8")
    opened = notebook(f"notebooks/{NOTEBOOK.name}")
    opened.run_all()
    opened.page.get_by_role("button", name="Start", exact=True).click(timeout=2 * SLOW)
    opened.page.get_by_text("Face 1 of").wait_for()
    return opened


def file(lab: Lab) -> Path:
    """What the rater did."""
    (found,) = (lab.home / "reports" / "quickstart-raters").glob("*.jsonl")
    return found


def test_the_threshold_moves_by_keyboard_and_picture_and_score_follow(opened: Opened) -> None:
    score, _ = opened.scores()
    opened.move_threshold(15)
    assert opened.scores()[0] != score


def test_what_was_drawn_is_there_after_the_page_was_loaded_again(opened: Opened, lab: Lab) -> None:
    opened.paint(file(lab))
    orange, kept = opened.painted(), file(lab).read_bytes()
    opened.reload()
    opened.run_all()
    opened.page.get_by_role("button", name="Start", exact=True).click()
    opened.page.get_by_text("Face 1 of").wait_for()
    opened.wait_until_painted(orange)
    assert file(lab).read_bytes() == kept


def test_the_report_is_there(lab: Lab) -> None:
    assert (lab.home / "reports" / "quickstart" / "report.html").stat().st_size > 100_000


def test_axe_finds_no_serious_violation(opened: Opened) -> None:
    assert opened.serious() == []
