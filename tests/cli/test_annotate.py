"""``xfer annotate`` as a user meets it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
from filelock import FileLock

from xfer.annotation import Session, collect
from xfer.annotation.marks import Click
from xfer.annotation.order import PART
from xfer.annotation.parts import parts
from xfer.cli import annotate

Run = Callable[..., tuple[int, str, str]]
Check = Callable[..., None]
FEW = ("annotate", "synthetic", "--faces", "2", "--expressions", "anger,fear")
HOME = Path("reports/synthetic-raters")


def work(name: str) -> Session:
    """A rater who marks the mouth and does as the checks say."""
    session = Session(collect("synthetic", HOME), name)
    while not session.finished:
        session.seen = str(session.collection.label(session.task.face))
        asked = session.task.part if session.task.kind == PART else "mouth"
        for i in range(len(parts()[asked].shapes)):
            session.add(Click((asked, i)))
        session.save()
    session.close()
    return session


def test_a_rater_gets_a_notebook_without_the_name(run: Run) -> None:
    code, out, err = run(*FEW, "--rater", "Anna", "--no-lab")
    assert (code, err) == (0, "")
    (notebook,) = HOME.glob("*.ipynb")
    assert out.splitlines() == [
        f"{HOME}: 2 faces for every rater (anger 1, fear 1); 0 raters so far",
        f"jupyter lab {notebook}",
    ]
    read = nbformat.read(notebook, as_version=4)
    nbformat.validate(read)
    call = f'widgets.annotate("synthetic", rater="{notebook.stem}", out=".")'
    assert read.cells[1].source == f"from xfer.report import widgets\n\n{call}"
    assert "anna" not in notebook.read_text().casefold()
    assert not any(cell.get("outputs") for cell in read.cells)


def test_jupyterlab_is_started_on_it_or_the_line_that_installs_it_is_said(run: Run, monkeypatch) -> None:
    started: list[list[str]] = []

    def start(words: list[str]) -> subprocess.CompletedProcess[bytes]:
        started.append(words)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(annotate.subprocess, "run", start)
    monkeypatch.setattr(annotate, "find_spec", lambda name: object())
    assert run(*FEW, "--rater", "Anna")[0] == 0
    (notebook,) = HOME.glob("*.ipynb")
    assert started == [[sys.executable, "-m", "jupyterlab", str(notebook)]]
    monkeypatch.setattr(annotate, "find_spec", lambda name: None)
    _, out, _ = run("annotate", "synthetic", "--rater", "Anna")
    mend = "JupyterLab is missing: python -m pip install 'xfer-kit[notebook]'; then "
    assert out.splitlines()[-1] == f"{mend}jupyter lab {notebook}"
    assert len(started) == 1


def test_the_second_of_two_with_one_name_is_told(run: Run, refused: Check) -> None:
    run(*FEW, "--rater", "Anna", "--no-lab")
    session = work("Anna")
    _, out, _ = run("annotate", "synthetic", "--rater", "ANNA ", "--no-lab")
    assert "ANNA  has been here before: if that was you, go on; if not, stop and take another --rater\n" in out
    with FileLock(HOME / f".{session.rater}.jsonl.lock"):
        result = run("annotate", "synthetic", "--rater", "Anna", "--no-lab")
    assert result[0] == 2
    assert result[2] == (
        "xfer: --rater Anna: this name is painting in another window; if that is you, go on there, "
        "otherwise take another name\n"
    )


def test_maps_are_made_scored_and_said(run: Run) -> None:
    run(*FEW, "--rater", "Anna", "--no-lab")
    for name in ("Anna", "Bo", "Cy", "Di"):
        work(name)
    code, out, err = run("annotate", "synthetic", "--maps")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"8 maps of 4 raters; score against them with --masks human:{HOME}"
    assert "raters name the same expression: mean Cohen's kappa 1.00\n" in out
    assert "expression  raters  between  reliability" in out
    Path("maps").mkdir()
    for expression in ("anger", "fear"):
        np.save(f"maps/net_{expression}.npy", np.load(next(HOME.glob(f"*_{expression}.npy"))))
    words = ("--pattern", "{model}_{expression}.npy", "--masks", f"human:{HOME}", "--metrics", "iou")
    code, out, _ = run("score", "maps", *words)
    assert code == 0
    assert "human alignment with human:synthetic-raters" in out


def test_fresh_never_touches_raters_files(run: Run, refused: Check) -> None:
    run(*FEW, "--rater", "Anna", "--no-lab")
    session = work("Anna")
    before = {path: path.read_bytes() for path in HOME.iterdir()}
    Path("maps").mkdir()
    np.save("maps/net_anger.npy", np.ones((275, 224)))
    line = ("compare", "--heatmaps", "maps", "--pattern", "{model}_{expression}.npy", "--out", HOME)
    told = "holds files that xfer did not write; give a new folder with --out"
    for fresh in ((), ("--fresh",)):
        refused(run(*line, "--allow-missing", *fresh), told)
    assert {path: path.read_bytes() for path in HOME.iterdir()} == before
    assert json.loads(before[HOME / f"{session.rater}.jsonl"].splitlines()[0])["rater"] == session.rater


def test_bad_input(run: Run, refused: Check, tmp_path: Path) -> None:
    both = "say who marks the faces with --rater NAME, or make maps of the marks so far with --maps"
    refused(run("annotate", "synthetic"), both)
    refused(run("annotate", "synthetic", "--rater", "Anna", "--maps"), both)
    refused(run("annotate", "folder:nowhere", "--rater", "Anna"), "nowhere: ")
    code, _, err = run(*FEW, "--maps")
    assert (code, err) == (2, f"xfer: {HOME}: no map can be made; nobody has marked a face yet\n")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.toml").write_text("format = 1\n")
    refused(
        run(*FEW, "--rater", "Anna", "--out", "study"), "study: is a study; people's marks have a folder of their own"
    )
