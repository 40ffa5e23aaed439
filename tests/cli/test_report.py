"""``xfer report``: the page anew, what differs from another study, and folders it cannot read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import lxml.html
import numpy as np
import pytest

import xfer

Result = tuple[int, str, str]
Run = Callable[..., Result]
Check = Callable[..., None]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same maps in two studies that differ in their threshold."""
    place, draw = tmp_path_factory.mktemp("report"), np.random.default_rng(5)
    for name in ("maps", "gt"):
        (place / name).mkdir()
    for i, expression in enumerate(("anger", "fear")):
        mask = np.zeros((20, 16), np.float32)
        mask[4 * i : 4 * i + 8, 4:12] = 1
        np.save(place / "gt" / f"{expression}.npy", mask)
        for model in ("alpha", "beta"):
            np.save(place / "maps" / f"{model}_{expression}.npy", draw.random((20, 16)).astype(np.float32))
    options = {"pattern": "{model}_{expression}.npy", "mask_pattern": "{expression}.npy", "metrics": "iou", "draws": 0}
    studies = [
        xfer.compare(heatmaps=place / "maps", masks=place / "gt", threshold=rule, out=place / rule, **options)
        for rule in ("otsu", "area")
    ]
    return studies[0].folder, studies[1].folder


def test_diff_writes_one_page_into_the_first_study(run: Run, homes: tuple[Path, Path]) -> None:
    first, second = homes
    before = (first / "report.html").read_bytes()
    code, out, err = run("report", first, "--diff", second)
    assert (code, out, err) == (0, f"{first / 'diff-area.html'}\n", "")
    page = lxml.html.document_fromstring((first / "diff-area.html").read_text(encoding="utf-8"))
    assert page.findtext(".//h1") == "otsu against area"
    assert "thresholds differ" in page.text_content()
    assert (first / "report.html").read_bytes() == before


def test_diff_refuses_what_it_cannot_set_side_by_side(
    run: Run, homes: tuple[Path, Path], tmp_path: Path, refused: Check
) -> None:
    first, _ = homes
    refused(run("report", first, "--diff", "nowhere"), "nowhere: is not a study folder: there is none")
    shutil.copytree(first, tmp_path / "other")
    config = tmp_path / "other" / "study.toml"
    config.write_text(config.read_text().replace('kind = "heatmaps"', 'kind = "twins"'))
    refused(run("report", first, "--diff", "other"), "is of kind 'twins'; --diff is for studies of 'xfer compare'")


@pytest.mark.parametrize("name", ["heatmaps.zarr", "masks.npz", "scores.parquet"])
def test_a_file_that_is_gone_is_named(
    run: Run, homes: tuple[Path, Path], tmp_path: Path, refused: Check, name: str
) -> None:
    shutil.copytree(homes[0], tmp_path / "copy")
    path = tmp_path / "copy" / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    refused(run("report", "copy"), f"copy: was finished, but {name} is gone; run its 'xfer compare' line again")
