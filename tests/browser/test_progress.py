"""Long work in a real JupyterLab: how far it is, one output, and Kernel > Interrupt, after which the cell goes on."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.browser.conftest import Lab, Open

pytestmark = pytest.mark.browser

EPOCHS = 400
CELL = f'import xfer\nxfer.train("songnet_bn", drawn=60, training={{"epochs": {EPOCHS}, "size": 64}}, out="long")'


def epochs(home: Path) -> pd.DataFrame:
    path = home / "long" / "checkpoints" / "songnet_bn-f0.csv"
    return pd.read_csv(path) if path.is_file() else pd.DataFrame()


def interrupted(opened: Any, home: Path, more_than: int) -> pd.DataFrame:
    """Run the cell, wait for some epochs and interrupt the kernel as a user does."""
    page = opened.page
    opened.run_all()
    page.locator(".jp-OutputArea progress[aria-label='songnet_bn-f0: training']").wait_for()
    page.get_by_text("left").first.wait_for()
    for _ in range(6000):
        if len(epochs(home)) > more_than:
            break
        page.wait_for_timeout(100)
    assert page.locator(".jp-OutputArea-output").count() == 1, "one output, drawn over"
    opened.menu("Kernel", "Interrupt Kernel")
    page.get_by_text("What is finished is kept; the same call goes on from there.").wait_for()
    opened.idle()
    assert page.locator(".jp-OutputArea progress").count() == 0
    assert page.locator(".jp-OutputArea-output").count() == 2, "the line of the bars, and the line of the interruption"
    return epochs(home)


def test_training_shows_its_pace_and_goes_on_after_an_interruption(notebook: Open, lab: Lab) -> None:
    opened = notebook("long.ipynb", [CELL])
    first = interrupted(opened, lab.home, 2)
    assert 2 < len(first) < EPOCHS
    assert opened.serious() == []
    second = interrupted(opened, lab.home, len(first) + 1)
    assert len(first) < len(second) < EPOCHS
    resumed = second.head(len(first)).drop(columns="seconds")
    pd.testing.assert_frame_equal(resumed, first.drop(columns="seconds"))
