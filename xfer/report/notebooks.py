"""Notebooks that xfer writes for a user: the first look at a study, and a rater's page."""

import json
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

_TEMPLATES = Path(__file__).parent / "templates"
SETTINGS, STUDY = "study.toml", "study.ipynb"

_KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def settings_text() -> str:
    """The commented ``study.toml`` of ``xfer init``."""
    return (_TEMPLATES / SETTINGS).read_text(encoding="utf-8")


def study_notebook() -> str:
    """A notebook that runs the settings beside it and shows what came out, as JSON."""
    return _written(
        new_markdown_cell(
            "# Does the network look where people do?\n\nThis runs the settings of `study.toml` beside it. As they "
            "stand they train one network on drawn faces, some minutes on a processor. For your own faces change "
            "the next cell."
        ),
        new_code_cell(
            'changes = {}  # your faces: {"data": "folder:faces"} or {"data": "csv:labels.csv"}\n\n'
            "import xfer\n\n"
            f'settings = xfer.read_settings("{SETTINGS}") | changes'
        ),
        new_markdown_cell(
            "Interrupt the kernel at any time: what is finished is kept, and running the cell again goes on from there."
        ),
        new_code_cell("study = xfer.compare(**settings)\nstudy.folder"),
        new_markdown_cell(
            "**Read this first.** A heatmap of a network that does not recognise expressions explains nothing: compare "
            "its accuracy with that of a linear classifier on small grey pictures, and with chance."
        ),
        new_code_cell('study.networks[["model", "fold", "accuracy", "macro_f1", "linear", "chance", "failed"]]'),
        new_markdown_cell("What was left out, and why."),
        new_code_cell("study.dropped"),
        new_markdown_cell(
            "Agreement of each heatmap with its mask, and between chance (0) and the experts themselves (1)."
        ),
        new_code_cell('study.table("iou")'),
        new_code_cell("study.network_scores"),
        new_markdown_cell("The whole report, one offline file."),
        new_code_cell(
            "from pathlib import Path\n\nfrom IPython.display import HTML\n\n"
            "page = Path(study.report())\n"
            'HTML(f\'<a href="{page.as_posix()}" target="_blank">{page.as_posix()}</a>\')'
        ),
    )


def rater_notebook(data: str, rater: str) -> str:
    """The page on which a rater paints: one cell, its code folded away; it lies in the folder of the raters' files.

    Parameters
    ----------
    data : str
        With an absolute path, as `xfer.datasets.open` takes.
    rater : str
        The salted id.
    """
    call = f'widgets.annotate({json.dumps(data)}, rater={json.dumps(rater)}, out=".")'
    cell = new_code_cell(f"from xfer.report import widgets\n\n{call}")
    cell.metadata["jupyter"] = {"source_hidden": True}
    text = "# Welcome\n\nChoose **Run > Run All Cells** in the menu above; the first face appears below."
    return _written(new_markdown_cell(text), cell)


def _written(*cells: Any) -> str:
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return str(nbformat.writes(new_notebook(cells=[*cells], metadata=_KERNEL))) + "\n"
