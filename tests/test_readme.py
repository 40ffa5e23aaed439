"""The README: its lines parse, its Python runs or names what is there, tables, links and pictures are true."""

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from PIL import Image

from tests import readme_tables
from xfer.cli import app
from xfer.report import notebooks
from xfer.study import Study

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.M | re.S)
LINES = [line for kind, block in BLOCKS if kind == "bash" for line in block.splitlines()]
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.M | re.S)
PYTHON = [block for kind, block in BLOCKS if kind == "python"]
WHOLE = [block for block in PYTHON if "reports/" not in block and "path/to" not in block]
"""Those that need nothing but themselves."""
KNOWN = {"study": Study}
"""What a variable of the README is."""


def said() -> Iterator[tuple[str, bool]]:
    """Every command line of xfer, and whether it stands in a block, where it must be complete."""
    for line in LINES:
        for part in line.split("&&"):
            if part.strip().startswith("xfer "):
                yield part.strip(), True
    for kind, block in BLOCKS:
        if kind == "yaml":
            yield yaml.safe_load(block)["spec"]["entrypoint"], True
    for inline in re.findall(r"`(xfer [^`]+)`", PROSE):
        yield " ".join(inline.split()), False


def parse(line: str, complete: bool) -> None:
    """Read a command line as xfer does, and run nothing."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(re.sub(r"\s+#.*", "", line))[1:]
    context: Any = command.context_class(command)
    while hasattr(command, "resolve_command") and words:
        _, command, words = command.resolve_command(context, words)
        context = command.context_class(command, parent=context)
    if complete or words:
        try:
            command.make_context("xfer", list(words))
        except typer.BadParameter as error:
            if complete or type(error).__name__ != "MissingParameter":
                raise


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that ``xfer init`` makes: a line of the README reads its settings."""
    (tmp_path / notebooks.SETTINGS).write_text(notebooks.settings_text(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("line", "complete"), list(said()))
def test_every_command_line_parses(line: str, complete: bool, settings: None) -> None:
    parse(line, complete)


@pytest.mark.parametrize(
    "line", ["xfer compare --modells all", "xfer explain net", "xfer mask list", "xfer train --seed x a"]
)
def test_a_command_line_that_is_wrong_does_not_parse(line: str) -> None:
    with pytest.raises(typer.BadParameter.__mro__[1]):  # typer keeps its own copy of click
        parse(line, complete=True)


def test_the_two_lines_that_others_copy_stand_alone() -> None:
    lines = TEXT.splitlines()
    assert "python -m pip install -e . && xfer compare --models all" in lines
    assert "python -m pip install -e '.[dev]' && pytest" in lines


@pytest.mark.parametrize("code", WHOLE)
def test_python_that_needs_nothing_else_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("code", PYTHON)
def test_python_names_what_is_there(code: str) -> None:
    for thing, names, call in named(ast.parse(code)):
        for name in names:
            assert hasattr(thing, name), f"{thing} has no {name}"
            thing = getattr(thing, name)
        if call and str(getattr(thing, "__module__", "")).startswith("xfer"):
            signature = inspect.signature(thing)
            keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
            first = (None,) * (len(call.args) + inspect.isfunction(thing) * ("self" in signature.parameters))
            signature.bind_partial(*first, **keywords)


def named(tree: ast.Module) -> Iterator[tuple[Any, list[str], ast.Call | None]]:
    """Attributes of what is imported or `KNOWN`, with the call they stand in."""
    things: dict[str, Any] = dict(KNOWN)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            things |= {(name.asname or name.name).split(".")[0]: import_module(name.name) for name in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            things |= {name.name: _found(node.module, name.name) for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            *names, root = _chain(node)
            if root in things and things[root] is not None and not inspect.isfunction(things[root]):
                yield things[root], names[::-1], calls.get(id(node))


def _found(module: str, name: str) -> Any:
    there = import_module(module)
    return getattr(there, name) if hasattr(there, name) else import_module(f"{module}.{name}")


def _chain(node: ast.AST) -> list[str]:
    """``a.b.c`` as c, b, a; an empty name where it begins with something else."""
    if isinstance(node, ast.Attribute):
        return [node.attr, *_chain(node.value)]
    return [node.id if isinstance(node, ast.Name) else ""]


def test_the_tables_are_those_of_the_registries() -> None:
    assert readme_tables.written(TEXT) == TEXT, f"README.md is out of date: run '{readme_tables.COMMAND}'"


@pytest.mark.parametrize("table", readme_tables.TABLES)
def test_every_row_of_a_table_says_what_it_is_and_where_from(table: str) -> None:
    (inside,) = re.findall(rf"^<!-- {table} -->$(.*?)^<!-- /{table} -->$", TEXT, re.M | re.S)
    heads, _, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in inside.split("\n") if line)
    assert len(rows) > 10
    for row in rows:
        assert len(row) == len(heads)
        assert row[0].startswith("`")
        assert row[-1]


def test_links_lead_somewhere() -> None:
    heads = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", TEXT, re.M)}
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    for link in links:
        if link.startswith("#"):
            assert link[1:] in heads, link
        elif not link.startswith("https://"):
            assert (ROOT / link).exists(), link
    for place in re.findall(r"`(tests/[\w/]+\.\w+|\.ci/run|\.pictures/\w+\.py)`", TEXT):
        assert (ROOT / place).is_file(), place


def test_pictures_are_small_are_told_in_words_and_are_all_shown() -> None:
    shown = re.findall(r'<img src="(\.pictures/\w+\.png)" width="(\d+)" alt="([^"]+)">', TEXT)
    assert len(shown) == TEXT.count("<img")
    assert {ROOT / path for path, _, _ in shown} == set((ROOT / ".pictures").glob("*.png"))
    for path, width, words in shown:
        assert (ROOT / path).stat().st_size <= 150_000, f"{path} is too large: python .pictures/make.py"
        with Image.open(ROOT / path) as picture:
            assert picture.width >= int(width)
        assert len(words) > 20
