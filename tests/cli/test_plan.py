"""``xfer plan``: the options of ``xfer compare``, what it refuses, and planned against actual as a user sees it."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import xfer
from xfer.cli import guide, plan, studies
from xfer.study import costs, folder, stages, twins
from xfer.study.costs import COLUMNS, Costs

Run = Callable[..., tuple[int, str, str]]
Check = Callable[..., None]

ROWS = [
    ("pictures", "", 600, 0.01, 6.0, 6.0, 100.0, 4.0, 0),
    ("networks", "", 2, 0.0, 60.0, 90.0, 900.0, 0.0, 0),
    ("songnet: training", "songnet", 100, 0.5, 55.0, 80.0, 800.0, 1.0, 2000),
]


@pytest.fixture
def planned() -> Costs:
    return Costs(pd.DataFrame(ROWS, columns=list(COLUMNS)), 600, 1, 2, "cpu", ("a note",))


def test_the_options_are_those_of_compare() -> None:
    """Declared once: a new option of compare or guide is one of plan, but for maps from files and where it runs."""
    of_compare, of_guide = (set(inspect.signature(each).parameters) for each in (studies.compare, guide.guide))
    of_plan = set(inspect.signature(plan.plan).parameters)
    assert of_plan - of_compare - of_guide == {"study", "all_gpus"}
    assert (of_compare | of_guide) - of_plan <= set(plan._NOT_PLANNED)
    assert {"models", "data", "explainers", "preset", "folds", "device", "draws", "out"} <= of_plan & of_compare


def test_options_reach_the_plan(run: Run, planned: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def plan_of(**options: Any) -> Costs:
        asked.update(options)
        return planned

    monkeypatch.setattr(xfer, "plan", plan_of)
    code, out, err = run("plan", "--models", "songnet", "--faces", "9000", "--workers", "8", "--samples", "50",
                         "--explainers", "lime", "--folds", "5")  # fmt: skip
    assert (code, err) == (0, "")
    wanted = {"models": "songnet", "faces": 9000, "workers": 8, "all_gpus": None, "explainers": "lime", "folds": 5}
    assert wanted.items() <= asked.items()
    assert asked["perturbation"] == {"samples": 50}
    assert set(asked) <= {
        *inspect.signature(costs_options()).parameters,
        "faces",
        "workers",
        "all_gpus",
        "progress",
        "models",
    }
    assert out == f"{planned}\n"
    assert "66 s on the wall, 1.6 min of processors, 0.9 GB of memory" in out
    assert "bottleneck: networks, 91% of the time, most of all songnet: training" in out
    assert out.endswith("a note\n")


def test_options_of_twins_reach_their_plan(run: Run, planned: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(xfer, "plan_guide", lambda **options: asked.update(options) or planned)
    code, out, err = run("plan", "guide", "songnet", "--faces", "9000", "--seeds", "3", "--controls", "au,none",
                         "--guide-weight", "2", "--workers", "4")  # fmt: skip
    assert (code, err, out) == (0, "", f"{planned}\n")
    wanted = {"model": "songnet", "faces": 9000, "workers": 4, "seeds": 3, "controls": ["au", "none"]}
    assert {**wanted, "guide_weight": 2.0, "all_gpus": None}.items() <= asked.items()
    known = {**inspect.signature(twins.settle).parameters, **inspect.signature(costs_options()).parameters}
    assert set(asked) <= {*known, "faces", "workers", "all_gpus", "progress"}


def test_a_file_of_settings_says_whose_pictures_are_shown_not_how_many_faces(
    run: Run, planned: Costs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(xfer, "plan", lambda **options: asked.update(options) or planned)
    (tmp_path / "study.toml").write_text('format = 1\nmodels = "songnet"\nfaces = "mean"\nengine = "ray"\ngpus = 0.5\n'
                                         "workers = 3\n")  # fmt: skip
    assert run("plan", "--config", "study.toml")[0] == 0
    assert (asked["models"], asked["faces"], asked["all_gpus"], asked["workers"]) == ("songnet", None, None, 3)
    assert run("plan", "--config", "study.toml", "--faces", "50")[0] == 0
    assert asked["faces"] == 50


def costs_options() -> Callable[..., Any]:
    from xfer.study.plan import settle

    return settle


def test_bad_input_is_one_line(run: Run, refused: Check, tmp_path: Path) -> None:
    refused(run("plan", "--models", "songnt"), "did you mean 'songnet'?")
    refused(run("plan", "--workers", "0"), "Invalid value for '--workers'")
    refused(run("plan", "--cores", "0"), "Invalid value for '--workers'")
    refused(run("plan", "--faces", "0"), "Invalid value for '--faces': must be a number of faces, 1 or more; got '0'")
    refused(run("plan", "--models", "songnet", "--all-gpus", "2", "--device", "cpu"), "--all-gpus 2", "measured on one")
    refused(run("plan", "--gpus", "0.5"), "--gpus 0.5: says what one network has; a plan is for all there are: --all-g")
    refused(run("plan", "guide"), "xfer plan guide: name the network, as in 'xfer plan guide resnet50'")
    refused(run("plan", "songnet", "mobilenetv3"), "mobilenetv3: networks are named with --models")
    refused(run("plan", "guide", "songnt"), "did you mean 'songnet'?")
    refused(run("plan", "guide", "songnet", "--folds", "5", "--per-face"),
            "--folds, --per-face: 'xfer guide', which is planned, has no such option")  # fmt: skip
    refused(run("plan", "--seeds", "8"), "--seeds: 'xfer compare', which is planned, has no such option")
    refused(run("plan", "--models", "songnet", "--data", "folder:nowhere"), "nowhere")
    refused(run("plan", "nowhere"), "nowhere: there is no such folder")
    refused(run("plan", tmp_path), "tells of no stage of a study")
    refused(run("plan", "--heatmaps", "maps"), "--heatmaps")
    assert list(tmp_path.iterdir()) == []


def test_planned_against_actual(run: Run, planned: Costs, tmp_path: Path) -> None:
    costs.write(tmp_path / "s", planned, {})
    lines = [
        {"stage": s, "seconds": wall, "processor_seconds": wall} for s, wall in (("pictures", 8), ("networks", 50))
    ]
    (tmp_path / "s" / stages.STAGES).write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, err = run("plan", "s")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[1] == ["pictures", "6.0", "8.0", "0.75", "6.0", "8.0"]
    assert rows[2] == ["networks", "60.0", "50.0", "1.20", "90.0", "50.0"]
    assert rows[3] == ["songnet:", "training", "55.0", "80.0"]
    assert rows[4] == ["total", "66.0", "58.0", "1.14", "96.0", "58.0"]
    assert folder.COSTS in {path.name for path in (tmp_path / "s").iterdir()}
