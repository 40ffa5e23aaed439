"""``xfer init`` and ``doctor``, and the file of settings that ``--config`` reads."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from xfer.cli.groups import ENGINE_OPTIONS
from xfer.errors import InputError

app = typer.Typer()

_APART = {"faces", *ENGINE_OPTIONS} - {"workers"}
"""Options of 'xfer compare' that say nothing to 'xfer plan', or something else."""
_SIGNS = {"good": "ok ", "optional": "-- ", "bad": "!! "}


def _settings(context: typer.Context, path: Path | None) -> Path | None:
    """Make the settings of a file the defaults of this command."""
    if path is not None:
        from xfer.study.settings import read_settings

        names = {str(parameter.name) for parameter in context.command.params} - {"config", "fresh", "help"}
        apart = _APART if context.command.name == "plan" else set()
        found = read_settings(path, names | apart)
        context.default_map = {name: _as_option(name, found[name]) for name in found.keys() - apart}
    return path


def _as_option(name: str, value: Any) -> Any:
    """Lists as the command line writes them."""
    many = isinstance(value, list) and name != "weights"
    return ",".join(map(str, value)) if many else value


Config = Annotated[
    Path | None,
    typer.Option(
        is_eager=True, callback=_settings, help="A study.toml as 'xfer init' writes it; other options win over it."
    ),
]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A folder, made if it is not there.")],
) -> None:
    """Write a commented study.toml and a notebook to begin with; both run as they are, on drawn faces."""
    from xfer.report import notebooks
    from xfer.study.folder import write_whole

    contents = {notebooks.SETTINGS: notebooks.settings_text(), notebooks.STUDY: notebooks.study_notebook()}
    for name in contents:
        if (folder / name).exists():
            raise InputError(f"{folder / name}: is there already and is left as it is; give another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); give another folder") from None
    for name, text in contents.items():
        write_whole(folder / name, partial(Path.write_text, data=text, encoding="utf-8"))
        print(folder / name)
    place = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    print(f"run it: {place}xfer compare --config {notebooks.SETTINGS}")
    print(f"or:     {place}jupyter lab {notebooks.STUDY}")


@app.command()
def doctor() -> None:
    """Say what is installed, and what is missing with the command that mends it."""
    from xfer.study.diagnosis import findings

    rows = findings()
    for state, line in rows:
        print(f"{_SIGNS[state]} {line}")
    if any(state == "bad" for state, _ in rows):
        raise typer.Exit(1)
