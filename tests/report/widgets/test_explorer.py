"""What all widgets share: bad folders, an old ipywidgets, no kernel, an exported notebook."""

import base64
import io
import os
import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import ipywidgets
import nbformat
import pytest
import tomli_w
from IPython.core import getipython
from PIL import Image

from xfer.report import widgets
from xfer.report.widgets import Explorer, Notice
from xfer.report.widgets import explorer as shared_parts
from xfer.study import Study, folder

OVER_A_STUDY = (widgets.heatmap_explorer, widgets.dendrogram_explorer, widgets.face_browser)


@pytest.fixture
def copy(trained, tmp_path: Path) -> Path:
    return shutil.copytree(trained.folder, tmp_path / "copy")


@pytest.mark.parametrize("widget", OVER_A_STUDY)
def test_a_folder_that_is_no_study(widget, tmp_path):
    found = widget(tmp_path)
    assert isinstance(found, Notice)
    assert found.told == f"{tmp_path}: is not a study folder (no study.toml); 'xfer compare' makes one"


@pytest.mark.parametrize("widget", OVER_A_STUDY)
def test_an_unfinished_study_tells_what_is_there_and_who_is_at_work(widget, copy):
    shutil.rmtree(copy / "heatmaps.zarr")
    (copy / "provenance.json").unlink()
    with folder.claim(copy, Study(copy).config):
        told = widget(copy).told
    assert told.startswith(
        f"{copy}: is unfinished (heatmaps.zarr is missing; of 1 networks and folds 1 explained: song"
    )
    assert told.endswith(f"; process {os.getpid()} works on it now, wait for it (training_view('{copy}') follows it)")
    assert "\n" not in told


@pytest.mark.parametrize("widget", OVER_A_STUDY)
def test_a_study_that_was_moved_after_it_was_opened(widget, copy):
    study = Study(copy)
    copy.rename(copy.with_name("elsewhere"))
    assert widget(study).told == f"{copy}: is not there any more; if it was moved, open Study(NEW_FOLDER)"


@pytest.mark.parametrize("widget", OVER_A_STUDY)
def test_a_study_of_another_version(widget, copy):
    config = tomllib.loads((copy / "study.toml").read_text()) | {"format": 9}
    (copy / "study.toml").write_text(tomli_w.dumps(config))
    for look in (widget, widgets.training_view):
        assert look(copy).told.startswith(f"{copy / 'study.toml'}: format 9; this xfer reads format 1: use the version")


@pytest.mark.parametrize("name", ["masks.npz", "scores.parquet", "provenance.json", "heatmaps.zarr/heatmaps/0.0.0"])
def test_a_damaged_study_is_named_in_one_line(name, copy):
    path = copy / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = widgets.heatmap_explorer(copy)
    assert isinstance(found, Notice)
    assert found.told.startswith(str(copy))
    assert "\n" not in found.told


@pytest.mark.parametrize("widget", [*OVER_A_STUDY, widgets.training_view])
def test_an_older_ipywidgets_is_one_line(widget, trained, monkeypatch):
    monkeypatch.setattr(ipywidgets, "__version__", "7.8.1")
    found = widget(trained.folder)
    assert isinstance(found, Notice)
    assert found.told == (
        "ipywidgets 7.8.1 is too old; run pip install 'ipywidgets>=8.1', restart the kernel and reload the page"
    )
    bundle = found._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}


def test_a_notice_is_text_whatever_the_folder_is_called(tmp_path):
    found = widgets.heatmap_explorer(tmp_path / "<script>alert(1)</script>")
    assert "<script>" not in found._repr_mimebundle_()["text/html"]


def test_where_no_kernel_runs_the_picture_is_all_there_is(imported):
    explorer = widgets.heatmap_explorer(imported)
    assert not shared_parts.kernel_runs()
    bundle = explorer._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "image/png"}
    assert bundle["text/plain"].startswith("heatmap explorer: In the study: IoU 0.")
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.size[0] > 300
    assert repr(explorer) == f"<{bundle['text/plain']}>"


def test_in_a_kernel_the_picture_goes_along_for_readers_without_one(imported, monkeypatch):
    explorer = widgets.heatmap_explorer(imported)
    monkeypatch.setattr(getipython, "get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=object()))
    bundle = explorer._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"} == set(bundle)


def test_an_exported_notebook_shows_the_picture(imported, monkeypatch):
    nbconvert = pytest.importorskip("nbconvert")
    explorer = widgets.heatmap_explorer(imported)
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=object()))
    output = nbformat.v4.new_output("execute_result", explorer._repr_mimebundle_(), execution_count=1)
    cell = nbformat.v4.new_code_cell("explorer", outputs=[output], execution_count=1)
    html, _ = nbconvert.HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert f"data:image/png;base64,{base64.b64encode(explorer.png).decode()[:60]}" in html


def test_an_explorers_figure_can_be_saved_in_any_format(imported, tmp_path):
    explorer = widgets.heatmap_explorer(imported)
    explorer.figure.savefig(tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")


def test_no_pyplot_figure_is_left_behind(imported):
    import matplotlib.pyplot as plt

    widgets.heatmap_explorer(imported).threshold.value = 0.3
    assert not plt.get_fignums()


def test_pictures_have_words(imported):
    explorer = widgets.heatmap_explorer(imported)
    assert 'alt="Heatmap of alpha · anger · mean of all' in explorer.picture.value
    assert isinstance(explorer, Explorer)
