"""The notebooks: as they lie there and, with ``-m notebooks``, run from the first cell to the last in fast mode."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMES = [
    "01_quickstart", "02_masks_and_codebooks", "03_explaining_a_face", "04_guided_training", "05_comparing_networks",
    "06_statistics", "07_your_network_and_data", "08_peoples_maps",
]  # fmt: skip

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, 4)


def settings(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    return cell


def code(notebook: nbformat.NotebookNode) -> ast.Module:
    """All cells as one module, without magics."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return ast.parse("\n".join(re.sub(r"^%.*$", "", source, flags=re.M) for source in sources))


def test_there_is_one_for_each_subject() -> None:
    assert [path.stem for path in NOTEBOOKS] == NAMES


@every
def test_it_is_valid_short_and_carries_no_output(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert len(notebook.cells) <= 15
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in ran] == [[]] * len(ran)
    assert {cell.execution_count for cell in ran} == {None}
    assert "widgets" not in notebook.metadata


@every
def test_a_title_comes_first_then_the_settings(path: Path) -> None:
    title, second, *others = read(path).cells
    assert title.cell_type == "markdown"
    assert title.source.startswith("# ")
    assert second == settings(read(path))
    assert 'OUT = "../reports/' in second.source
    used = any("FAST" in cell.source for cell in others)
    assert used == ("\nFAST = False" in second.source)


@every
def test_code_is_explained_by_the_cell_above(path: Path) -> None:
    kinds = [cell.cell_type for cell in read(path).cells]
    assert re.search("code, code, code", ", ".join(kinds)) is None
    assert kinds[-1] == "markdown" or kinds[-2] == "markdown"


@every
def test_only_what_is_public_is_used(path: Path) -> None:
    private = []
    for node in ast.walk(code(read(path))):
        if isinstance(node, ast.ImportFrom):
            names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        else:
            names = [node.attr] if isinstance(node, ast.Attribute) else []
        private += [name for name in names if name.startswith("_") and not name.endswith("__")]
    assert private == []


@every
def test_links_lead_somewhere(path: Path) -> None:
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    linked = re.findall(r"\]\(([^)#]+)\)", text)
    assert [link for link in linked if "://" not in link and not (FOLDER / link).is_file()] == []


@pytest.mark.notebooks
@every
def test_it_runs_and_writes_where_it_says(path: Path, tmp_path: Path) -> None:
    notebook, before = read(path), set(FOLDER.iterdir())
    cell = settings(notebook)
    cell.source = cell.source.replace("FAST = False", "FAST = True").replace("../reports", tmp_path.as_posix())
    NotebookClient(
        notebook, timeout=1800, startup_timeout=600, iopub_timeout=120, kernel_name="python3",
        resources={"metadata": {"path": str(FOLDER)}},
    ).execute()  # fmt: skip
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"] == []
    said = [o.data.get("text/plain", "") for o in outputs if "data" in o]
    assert [text for text in said if "explorer: " in text and "cannot" in text] == []
    assert any("image/png" in o.data for o in outputs if "data" in o)
    assert any(tmp_path.iterdir())
    assert set(FOLDER.iterdir()) == before
