"""Networks with randomised weights: what they are, on which faces, where their heatmaps stand and where not."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import xfer
from xfer import datasets, models, training
from xfer.errors import TrainingError
from xfer.models.layers import heatmap_layer
from xfer.study import Study, computing, randomised, shards
from xfer.study.assembly import _continued
from xfer.training import Pixels, Settings

SIZE = 64
SETTINGS = Settings(size=SIZE, seed=3, mean=(0.5,) * 3, std=(0.25,) * 3, threads=1)
OPTIONS: dict[str, Any] = {
    "drawn": 72,
    "pretrained": "no",
    "metrics": "iou,pearson",
    "workers": 1,
    "randomised": 2,
    "draws": 19,
    "training": {"epochs": 1, "size": SIZE, "precision": "32"},
}


def compare(place: Path, names: str = "songnet_bn", **options: Any) -> Study:
    return xfer.compare(names, out=place / "study", **{**OPTIONS, **options})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("randomised")
    compare(place)
    return place


@pytest.fixture
def study(home: Path) -> Study:
    return Study(home / "study")


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    return training.read(datasets.open("synthetic", faces=48, size=SIZE), SIZE, workers=1)


def features(model: nn.Module, pixels: Pixels) -> torch.Tensor:
    """What the heatmap's layer gives for ten faces the network has not been calibrated on."""
    kept: list[torch.Tensor] = []
    hook = model.get_submodule(heatmap_layer(model, SIZE).name).register_forward_hook(lambda *a: kept.append(a[2]))
    with torch.inference_mode():
        model.eval()(training.inputs(pixels, range(38, 48), SETTINGS))
    hook.remove()
    return kept[0]


@pytest.mark.parametrize("name", ["vgg19_bn", "resnet50", "resnet101v2"])
def test_normalisation_is_fitted_to_faces(name: str, pixels: Pixels) -> None:
    """A fresh network in evaluation mode hands on values of any size; a calibrated one keeps them near 1."""
    model = randomised.network(name, pixels, range(30), SETTINGS, 7, "cpu")
    assert not any(m.training for m in model.modules())
    assert 0.05 < float(features(model, pixels).std()) < 20
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.momentum is not None and m.running_mean.any() for m in norms)


def test_no_branch_is_silent(pixels: Pixels) -> None:
    fresh = models.build("mobilenetv3", 6, size=SIZE, seed=7)
    silent = [n for n, m in fresh.named_modules() if isinstance(m, nn.BatchNorm2d) and not m.weight.any()]
    assert silent, "the network starts with branches at zero"
    model = randomised.network("mobilenetv3", pixels, range(30), SETTINGS, 7, "cpu")
    assert all(model.get_submodule(n).weight.any() for n in silent)
    same = dict(fresh.named_parameters())
    kept = [n for n, p in model.named_parameters() if torch.equal(p, same[n])]
    assert len(kept) == len(same) - len(silent), "all else is as the network is built"


def test_the_seed_fixes_the_weights_and_is_no_studys(pixels: Pixels) -> None:
    def weights(seed: int) -> torch.Tensor:
        return features(randomised.network("songnet_bn", pixels, range(30), SETTINGS, seed, "cpu"), pixels)

    assert torch.equal(weights(5), weights(5))
    assert not torch.equal(weights(5), weights(6))
    seeds = {randomised.seed_of(s, d) for s in range(20) for d in range(1, 20)}
    assert len(seeds) == 380
    assert min(seeds) > 1000


def test_faces_are_few_of_each_expression_and_have_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = datasets.open("synthetic", faces=72, size=SIZE)
    usable = np.ones(72, bool)
    usable[::5] = False
    monkeypatch.setattr(randomised, "FACES", 3)
    test = np.arange(10, 70)
    chosen = randomised.faces(dataset, test, usable, 1)
    assert (np.diff(chosen) > 0).all()
    assert usable[test[chosen]].all()
    assert pd.Series([dataset.samples[i].expression for i in test[chosen]]).value_counts().eq(3).all()
    monkeypatch.setattr(randomised, "FACES", 500)
    assert (randomised.faces(dataset, test, usable, 1) == np.flatnonzero(usable[test])).all(), "all, where they are few"
    monkeypatch.setattr(randomised, "FACES", 3)
    assert (randomised.faces(dataset, test, usable, 1) == chosen).all()
    assert (randomised.faces(dataset, test, usable, 2) != chosen).any()


def test_they_stand_in_the_nulls_and_nowhere_else(study: Study) -> None:
    seeds = {str(randomised.seed_of(0, draw)) for draw in (1, 2)}
    assert study.randomised is not None
    assert set(study.randomised.coords["seed"].values) == seeds
    assert set(study.heatmaps.coords["seed"].values) == {"0"}
    assert set(study.scores["seed"]) == {"0"}
    assert len(study.networks) == 1
    rows = study.nulls[study.nulls["null"] == "random_weights"]
    cells = rows[rows["metric"] == "pearson"]
    assert len(cells) == np.isfinite(study.leading.values).any(axis=(1, 2)).sum() > 0
    assert set(cells["n_draws"]) <= {1, 2}
    assert cells["p"].isna().all()
    assert set(cells["reason"]) <= {"2 values: a p-value takes 19 or more", "one value: a p-value takes 19 or more"}


def test_the_null_is_the_score_of_their_maps(study: Study) -> None:
    """Pearson by hand at full resolution; the table is at half."""
    assert study.randomised is not None
    rows = study.nulls[(study.nulls["null"] == "random_weights") & (study.nulls["metric"] == "pearson")]
    for row in rows.itertuples():
        maps = study.randomised.values[study.randomised.coords["expression"].values == row.expression]
        mask = study.masks.sel(expression=row.expression).values[study.support]
        by_hand = np.mean([np.corrcoef(m[study.support], mask)[0, 1] for m in maps])
        assert row.null_mean == pytest.approx(by_hand, abs=0.03)


def test_the_report_and_the_methods_tell_of_them(study: Study) -> None:
    page = (study.folder / "report.html").read_text()
    assert "randomised weights" in page
    assert "doi:10.48550/arXiv.1810.03292" in study.methods()
    assert "2 draws of weights" in study.methods()


@pytest.mark.usefixtures("no_page")
def test_a_draw_that_is_there_is_not_made_again(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(home / "study", tmp_path / "study")
    root = tmp_path / "study"
    kept = {p.name: p.read_bytes() for p in (root / "shards").iterdir()}
    facts = {p.stem: shards.read_facts(p) for p in (root / "shards").iterdir()}
    drawn = [name for name, fact in facts.items() if fact.get("randomised")]
    assert len(drawn) == 2
    (root / "shards" / f"{drawn[0]}.npz").unlink()
    monkeypatch.setattr("xfer.training.fitting._train", lambda *_: pytest.fail("a network is trained again"))
    compare(tmp_path, workers=2)
    assert {p.name: p.read_bytes() for p in (root / "shards").iterdir()} == kept
    lines = [json.loads(line) for line in (root / "units.jsonl").read_text().splitlines()]
    assert [line["unit"] for line in lines].count(drawn[0]) == 2
    monkeypatch.setattr(computing, "compute", lambda *_: pytest.fail("a unit is computed again"))
    compare(tmp_path)


def test_one_that_fails_costs_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise TrainingError("no such weights")

    monkeypatch.setattr("xfer.study.randomised.network", fail)
    study = compare(tmp_path, randomised=1)
    assert (study.networks["failed"] == "").all()
    notes = study.dropped.loc[study.dropped["kind"] == "note", "reason"].tolist()
    assert "songnet_bn-f0, randomised: no such weights" in notes
    reasons = set(study.nulls.loc[study.nulls["null"] == "random_weights", "reason"])
    assert reasons == {"no run with randomised weights"}


@pytest.mark.usefixtures("no_page")
def test_without_draws_no_network_is_randomised(tmp_path: Path) -> None:
    study = compare(tmp_path, draws=0)
    assert study.randomised is None
    assert len(list((study.folder / "shards").iterdir())) == 1


def test_a_pixel_no_face_shows_has_its_neighbours_value_and_many_have_none() -> None:
    support = np.ones((10, 10), bool)
    heatmap = np.arange(100.0).reshape(10, 10)
    heatmap[0, :3] = np.nan
    assert _continued(heatmap, support)[0, :3].tolist() == [10, 11, 12]
    heatmap[:3] = np.nan
    assert np.isnan(_continued(heatmap, support)[:3]).all()
