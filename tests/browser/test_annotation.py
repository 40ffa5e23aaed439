"""A rater in a real JupyterLab with a real Chromium: draw, reload, find it saved, go on after a closed tab."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Lab, Open, Opened
from xfer.annotation import collect
from xfer.report.notebooks import rater_notebook

pytestmark = pytest.mark.browser

RATER = "0123456789ab"
FILE = f"{RATER}.jsonl"


@pytest.fixture(scope="module")
def home(lab: Lab) -> Path:
    """A folder of raters' files with six faces and a rater's page."""
    folder = lab.home / "people"
    collect("synthetic", folder, faces=6)
    (folder / f"{RATER}.ipynb").write_text(rater_notebook("synthetic", RATER))
    return folder


@pytest.fixture(scope="module")
def opened(notebook: Open, home: Path) -> Opened:
    """The rater's page."""
    opened = notebook(f"{home.name}/{RATER}.ipynb")
    opened.page.get_by_role("heading", name="Welcome").wait_for()
    return opened


def answers(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / FILE).read_text().splitlines()[1:]]


def test_a_rater_draws_reloads_and_finds_it_saved(opened: Opened, home: Path) -> None:
    page = opened.page
    opened.run_all()
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("Face 1 of 8").wait_for()
    opened.paint(home / FILE)
    page.get_by_role("button", name="fear", exact=True).click()
    page.get_by_text("Now mark what makes you see it.").wait_for()
    page.get_by_role("button", name="Save and next").click()
    page.get_by_text("Face 2 of 8").wait_for()
    kept = [line for line in answers(home) if "draft" not in line]
    assert [(line["n"], line["seen"]) for line in kept] == [(0, "fear")]
    path = kept[0]["marks"][0]["path"]
    assert abs(path[0] - 0.3 * 512) < 6
    assert abs(path[1] - 0.35 * 512) < 6

    opened.paint(home / FILE)
    marked = opened.painted()
    opened.reload()
    page.get_by_role("heading", name="Welcome").wait_for()
    opened.run_all()
    page.get_by_text("1 of 8 faces are saved under this name").wait_for()
    page.get_by_role("button", name="It was me: go on").click()
    page.get_by_text("Face 2 of 8").wait_for()
    opened.wait_until_painted(marked)
    page.get_by_role("button", name="Undo", exact=True).click()
    opened.wait_until_below(marked - 20)


def test_a_tab_closed_in_the_middle_loses_nothing_and_another_goes_on(
    opened: Opened, notebook: Open, home: Path
) -> None:
    opened.paint(home / FILE)
    marked, before = opened.painted(), answers(home)
    opened.page.close()
    again = notebook(f"{home.name}/{RATER}.ipynb")
    again.run_all()
    again.page.get_by_text("1 of 8 faces are saved under this name").wait_for()
    assert answers(home) == before
    again.page.get_by_role("button", name="It was me: go on").click()
    again.page.get_by_text("Face 2 of 8").wait_for()
    again.wait_until_painted(marked)
    assert again.serious() == []


def test_a_second_person_with_the_name_is_told_and_changes_nothing(notebook: Open, home: Path) -> None:
    before = answers(home)
    cell = f"from xfer.report import widgets\nwidgets.annotate('synthetic', {RATER!r}, out='people')"
    other = notebook("other.ipynb", [cell])
    other.run_all()
    told = other.page.locator(".jp-OutputArea-output", has_text="this name is painting in another window").first
    told.wait_for()
    assert told.inner_text().strip() == (
        "InputError: this name is painting in another window; if that is you, shut that notebook's kernel down "
        "(Kernel > Shut Down Kernel) and start again, otherwise take another name with --rater"
    )
    assert answers(home) == before
