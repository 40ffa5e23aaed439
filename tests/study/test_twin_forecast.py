"""What twins will cost: the arithmetic with made-up unit costs, and a tiny real plan."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import xfer
from xfer.errors import InputError
from xfer.study import costs, folder, pilot
from xfer.study.dealing import Fold
from xfer.study.looking import MEASURES, others
from xfer.study.pilot import Pilot
from xfer.study.rehearsal import Line
from xfer.study.trial import Tried
from xfer.study.twin_forecast import TwinForecast
from xfer.study.twin_rehearsal import TwinRehearsed, tiled
from xfer.study.twins import TwinPlan, settle

TINY: dict[str, Any] = {
    "controls": ["au", "none"], "seeds": 3, "drawn": 72, "explained": 2, "pretrained": "no", "draws": 60,
    "training": {"epochs": 2, "precision": "32", "batch": 16},
}  # fmt: skip


def both(seconds: float) -> np.ndarray:
    """On the wall, and twice as much of processors."""
    return np.array([seconds, 2 * seconds])


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> TwinPlan:
    return settle("songnet", out=tmp_path_factory.mktemp("chosen") / "study", **TINY)


def forecast(chosen: TwinPlan, scale: float = 1, workers: int = 1) -> TwinForecast:
    """48 training, 6 validation, 18 test faces; a step takes 2 s guided and 1 s without, a face explained .5 s."""
    ends, line = np.arange(72), Line(both(1), both(0.1))
    of_all = {"start": both(3), "turn": both(1), "end": both(4), "face": both(0.5), "rest": both(2), "batch": 16}
    facts = {"forwards": 50.0, "memory_mb": 100.0, "checkpoint_mb": 7.0, "shard_mb": 2.0}
    tried = {arm: Tried(0.0, both(6), step=both(step), **of_all, **facts) for arm, step in (("au", 2), ("none", 1))}
    rehearsed = TwinRehearsed(Line(both(1), both(0.5)), Line(both(2), both(0.1)), Line(both(3), both(0.2)), 4, 0.01, 5)
    folds = (Fold("0", ends[:48], ends[48:54], ends[54:]),)
    made = Pilot(folds, line, line, both(0.01), line, tried, {}, {}, both(6), rehearsed, 50.0, 0.001)
    return TwinForecast(chosen.plan, made, both(5), scale, workers, 1, chosen)


def test_twins_are_arms_times_seeds(chosen: TwinPlan) -> None:
    found = forecast(chosen).costs()
    table = found.stages.set_index("stage")
    # 2 epochs of 3 batches, a turn between them, 6 validation faces of a third of a step each in each
    training = {step: 3 + 2 * 3 * step + 1 + 2 * 6 * step / 3 / 16 + 4 for step in (2, 1)}
    # 12 faces explained, 6 predicted
    heatmaps = {step: 2 + 12 * 0.5 + 6 * step / 3 / 16 for step in (2, 1)}
    assert table.loc["songnet: training", "total_s"] == pytest.approx(3 * sum(training.values()))
    assert table.loc["songnet: heatmaps", "total_s"] == pytest.approx(3 * sum(heatmaps.values()))
    assert table.loc["networks", "total_s"] == pytest.approx(6 + 3 * sum([*training.values(), *heatmaps.values()]))
    assert table.loc["networks", "unit_s"] == pytest.approx(training[2] + heatmaps[2])
    assert table.loc["songnet: training", ["units", "disk_mb", "forwards"]].tolist() == [36, 42, 6 * 2 * 54]
    assert table.loc["songnet: heatmaps", ["units", "disk_mb", "forwards"]].tolist() == [72, 12, 6 * (12 * 50 + 6)]
    assert table.loc["scores", ["total_s", "disk_mb"]].tolist() == pytest.approx([1 + 6 * 0.5, 6 * 4 + 6 * 18 * 0.01])
    assert table.loc["intervals", "total_s"] == pytest.approx(2 + 60 * 0.1)
    assert table.loc["report", "total_s"] == pytest.approx(3 + 6 * 0.2)
    assert found.processor == pytest.approx(2 * found.total)
    assert "2 arms x 3 seeds, each arm tried once" in str(found)
    assert found.bottleneck.endswith("more workers help")


def test_twins_are_worked_on_side_by_side(chosen: TwinPlan) -> None:
    one, six = (forecast(chosen, 1, workers).costs().stages.set_index("stage") for workers in (1, 6))
    assert six.loc["networks", "total_s"] == pytest.approx(6 + one.loc["networks", "unit_s"])
    assert "more machines like this one are taken for granted" in str(forecast(chosen, 1, 6).costs())
    assert forecast(chosen, 1, 6).costs().bottleneck.endswith("more workers do not help")


def test_more_faces_make_all_but_the_explained_more(chosen: TwinPlan) -> None:
    one, ten = (forecast(chosen, scale).costs().stages.set_index("stage") for scale in (1, 10))
    assert ten.loc["intervals", "total_s"] == pytest.approx(10 * one.loc["intervals", "total_s"])
    assert ten.loc["songnet: training", "units"] == 10 * one.loc["songnet: training", "units"]
    assert ten.loc["songnet: heatmaps", "units"] == 72


def test_a_tiled_table_has_as_many_seeds_faces_and_people(rng: np.random.Generator) -> None:
    measures = [*MEASURES, *map(others, MEASURES)]
    rows = [(arm, 0, f, "s", ("fear", "anger")[i % 2], "fear", *rng.random(len(measures)))
            for arm in ("au", "none") for i, f in enumerate("abcabc")]  # fmt: skip
    names = ["guide", "seed", "face", "subject", "expression", "predicted", *measures]
    found = tiled(pd.DataFrame(rows, columns=names), (4, 5, 6), 20, 8, 12)
    assert len(found) == 2 * 3 * 20
    assert found.groupby(["guide", "seed"])["face"].nunique().tolist() == [20] * 6
    assert found["subject"].nunique() == 8
    assert found.groupby("face")["expression"].nunique().max() == 1
    assert found.groupby(["guide", "seed"])["iou"].count().tolist() == [12] * 6


def test_what_guide_refuses_is_refused() -> None:
    with pytest.raises(InputError, match="--controls lacks none"):
        xfer.plan_guide("songnet", **{**TINY, "controls": ["au"]})
    with pytest.raises(InputError, match="--workers must be 1 or more; got 0"):
        xfer.plan_guide("songnet", workers=0, **TINY)


def test_a_tiny_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every arm is tried, the plan is kept in the folder of the study that it is of, and nothing else is there."""
    monkeypatch.setattr(pilot, "FACES", {"train": 12, "validation": 6, "test": 6})
    monkeypatch.setattr(pilot, "SECONDS", 2.0)
    steps: list[str] = []
    home = tmp_path / "study"
    found = xfer.plan_guide("songnet", out=home, workers=1, progress=lambda s, n: lambda: steps.append(s), **TINY)
    table = found.stages.set_index("stage")
    assert table.index.tolist() == [
        "options", "landmarks", "pictures", "linear classifier", "mean face", "networks", "songnet: training",
        "songnet: heatmaps", "scores", "intervals", "report",
    ]  # fmt: skip
    assert (table.loc[table.index != "landmarks", "total_s"] > 0).all()
    assert table.loc["networks", "units"] == 6
    assert table.loc["songnet: heatmaps", "units"] == 6 * 12
    assert table.loc["songnet: heatmaps", "forwards"] > 6 * 12 * 40
    assert steps == ["measuring"] * 5
    assert [path.name for path in home.iterdir()] == [folder.COSTS]
    assert costs.read(home) is not None
    with folder.claim(home, settle("songnet", out=home, **TINY).plan.config):
        assert costs.planned_seconds(home)["songnet"] == pytest.approx(
            table.loc[["songnet: training", "songnet: heatmaps"], "total_s"].sum()
        )
