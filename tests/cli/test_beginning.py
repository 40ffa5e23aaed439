"""The first five minutes: ``xfer init``, ``xfer doctor``, and a file of settings."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

import xfer
from xfer.cli import studies
from xfer.study import diagnosis

Run = Callable[..., tuple[int, str, str]]
Check = Callable[..., None]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What `xfer compare` was going to do."""
    found: list[dict] = []
    monkeypatch.setattr(studies, "_compare", found.append)
    return found


def test_init_writes_settings_and_a_notebook_and_says_how_to_run_them(run: Run) -> None:
    code, out, err = run("init", "mine")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "mine/study.toml",
        "mine/study.ipynb",
        "run it: cd mine && xfer compare --config study.toml",
        "or:     cd mine && jupyter lab study.ipynb",
    ]
    notebook = nbformat.read("mine/study.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert len(notebook.cells) <= 15
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert run("init", ".")[1].endswith("run it: xfer compare --config study.toml\nor:     jupyter lab study.ipynb\n")


def test_init_overwrites_nothing(run: Run, refused: Check) -> None:
    run("init", "mine")
    Path("mine/study.toml").write_text("mine")
    told = "mine/study.toml: is there already and is left as it is; give another folder"
    refused(run("init", "mine"), told)
    assert Path("mine/study.toml").read_text() == "mine"
    Path("file").write_text("")
    refused(run("init", "file/below"), "file/below: cannot be made (Not a directory); give another folder")


def test_every_line_that_is_off_is_valid_once_it_is_on(run: Run, asked: list[dict]) -> None:
    run("init", "mine")
    path = Path("mine/study.toml")
    lines = path.read_text().splitlines()
    on = [line.removeprefix("# ") if line.startswith("# ") and " = " in line.split('"')[0] else line for line in lines]
    path.write_text("\n".join(on))
    settings = xfer.read_settings(path)
    assert len(settings) >= 18
    assert run("compare", "--config", path)[0] == 0
    assert asked[0]["expressions"] == ["anger", "happiness", "surprise"]
    assert asked[0]["weights"] == ["resnet50=mine.safetensors"]
    assert (asked[0]["folds"], asked[0]["out"]) == (5, "reports/first")


def test_compare_takes_settings_from_the_file_and_the_line_wins(run: Run, asked: list[dict]) -> None:
    run("init", ".")
    assert run("compare", "--config", "study.toml")[0] == 0
    told = tomllib.loads(Path("study.toml").read_text())
    lists = {"explainers": "grad_cam", "masks": "ekman"}
    del told["format"]
    assert {name: asked[0][name] for name in told} == {**told, **lists}
    run("compare", "--config", "study.toml", "--models", "resnet50", "--seed", "4")
    assert (asked[1]["models"], asked[1]["seed"], asked[1]["data"]) == ("resnet50", 4, "synthetic")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('format = 1\nmodel = "x"\n', "unknown key 'model' (did you mean 'models'?)"),
        ("format = 1\nseed = 'x'\n", "Invalid value for '--seed'"),
        ("seed = 1\n", "the first line must be 'format = 1'; there is none"),
        ("format = 1\nseed = \n", "not TOML"),
        ('format = 1\nkind = "models"\n', "is the record of a study, not settings; 'xfer init DIR' writes settings"),
    ],
)
def test_slips_in_the_file_are_named(run: Run, refused: Check, text: str, told: str) -> None:
    Path("study.toml").write_text(text)
    refused(run("compare", "--config", "study.toml"), told)


def test_a_missing_file_is_named(run: Run, refused: Check) -> None:
    refused(run("compare", "--config", "none.toml"), "none.toml: no such file")


def test_the_doctor_names_what_is_missing_and_the_command_that_mends_it(run: Run, monkeypatch) -> None:
    there = dict.fromkeys(("ipywidgets", "nbformat"), "8.0")

    def version(name: str) -> str:
        if name == "ipywidgets":
            return "7.8.1"
        if name not in there:
            raise diagnosis.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(diagnosis, "version", version)
    monkeypatch.setattr(diagnosis.torch.cuda, "is_available", lambda: False)
    code, out, _ = run("doctor")
    assert code == 0
    lines, needed = out.splitlines(), "missing, notebooks and 'xfer annotate' need it"
    for line in (
        "ok  notebooks: nbformat 8.0",
        "--  ipywidgets 7.8.1: too old for the widgets; python -m pip install --upgrade 'ipywidgets>=8'",
        f"--  jupyterlab: {needed}; python -m pip install --upgrade 'jupyterlab>=4'",
        "ok  this folder can be written",
    ):
        assert line in lines


def test_the_doctor_looks_for_the_landmark_model(run: Run, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XFER_ASSETS", str(tmp_path))
    monkeypatch.setattr(
        diagnosis.assets, "verify", lambda: [diagnosis.assets.Finding(False, "face_landmarker: absent")]
    )
    mend = "xfer assets get face_landmarker"
    assert (
        f"--  landmark model: missing or damaged, needed for photographs without landmarks; {mend}\n"
        in run("doctor")[1]
    )


def test_the_doctor_fails_where_nothing_can_be_written(run: Run, monkeypatch) -> None:
    monkeypatch.setattr(diagnosis.os, "access", lambda path, how: False)
    code, out, _ = run("doctor")
    assert code == 1
    assert "!!  this folder cannot be written; cd to one that can, or use --out\n" in out
