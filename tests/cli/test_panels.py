import pytest
import typer

from tests.cli.conftest import Run
from xfer.cli import app, panels


@pytest.mark.parametrize(
    ("words", "headings"),
    [
        ((), ["Begin", "Studies", "Networks and heatmaps", "Faces and masks"]),
        (("compare",), [*panels._OPTIONS]),
        (("explain",), ["Arguments", "Options"]),
    ],
)
def test_help_has_headings(run: Run, words: tuple[str, ...], headings: list[str]) -> None:
    code, out, err = run(*words, "--help")
    assert (code, err) == (0, "")
    assert all(f" {heading} " in out for heading in headings)


def test_commands_stand_in_the_order_of_the_headings(run: Run) -> None:
    _, out, _ = run("--help")
    places = [out.index(f"│ {name} ") for names in panels._COMMANDS.values() for name in names]
    assert places == sorted(places)


def test_every_name_in_the_tables_is_there() -> None:
    root = panels.arrange(typer.main.get_command(app))
    assert set(root.commands) >= {name for names in panels._COMMANDS.values() for name in names}
    options = {option.name for command in panels._commands(root) for option in command.params}
    assert {name for names in panels._OPTIONS.values() for name in names} <= options


def test_a_command_that_no_heading_names_is_shown_still() -> None:
    root = typer.main.get_command(app)
    root.commands["new"] = root.commands["report"]  # type: ignore[attr-defined]
    assert [*panels.arrange(root).commands][-1] == "new"
