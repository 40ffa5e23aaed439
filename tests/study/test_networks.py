"""A study of networks, from faces to scores: what is in the folder, what is kept, made again, refused."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import zarr

import xfer
from xfer import heatmaps
from xfer.errors import InputError, TrainingError
from xfer.labels import BASIC
from xfer.metrics import METRICS
from xfer.study import Study, computing, folder, parts, shards, unit
from xfer.study.loading import load_model
from xfer.study.recognition import CURVE_COLUMNS
from xfer.training import read_weights
from xfer.training.fitting import LOG

TINY: dict[str, Any] = {
    "drawn": 72,
    "pretrained": "no",
    "metrics": "iou,pearson",
    "workers": 1,
    "training": {"epochs": 1, "size": 64, "precision": "32"},
}
MODELS = "songnet,mobilenetv3"


def compare(place: Path, models: str = MODELS, **options: Any) -> Study:
    return xfer.compare(models, out=place / "study", **{**TINY, **options})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder around a study of two networks on 72 drawn faces."""
    place = tmp_path_factory.mktemp("networks")
    compare(place, explainers="hires_cam,grad_cam")
    return place


@pytest.fixture
def study(home: Path) -> Study:
    return Study(home / "study")


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    shutil.copytree(home / "study", tmp_path / "study")
    return tmp_path


def again(place: Path, **options: Any) -> Study:
    return compare(place, **{"explainers": "hires_cam,grad_cam", **options})


def whole(place: Path) -> dict[str, bytes]:
    """The files that the same command must write byte for byte."""
    root = place / "study"
    kept = [root / "scores.csv", *(root / "shards").iterdir(), *(root / "heatmaps.zarr").rglob("*")]
    return {str(p.relative_to(root)): p.read_bytes() for p in kept if p.is_file()}


def logged(place: Path) -> list[str]:
    return [json.loads(line)["unit"] for line in (place / "study" / "units.jsonl").read_text().splitlines()]


def test_the_key_of_every_heatmap_is_whole(study: Study) -> None:
    maps = study.heatmaps
    assert set(maps.coords["model"].values) == {"songnet", "mobilenetv3"}
    assert set(maps.coords["explainer"].values) == {"hires_cam", "grad_cam"}
    assert set(maps.coords["normalisation"].values) <= {"raw", "positive_l1"}
    assert set(maps.coords["outcome"].values) <= {"correct", "incorrect", "all"}
    assert (maps.coords["expression"].values == maps.coords["target"].values).all()
    assert "unknown" not in maps.coords["layer"].values
    assert set(study.leading.coords["explainer"].values) == {"hires_cam"}
    assert set(study.leading.coords["outcome"].values) == {"all"}


def test_maps_of_all_faces_are_the_mean_over_the_outcomes(study: Study, home: Path) -> None:
    """Weighted pixel by pixel by the faces that have a value there; every test face has exactly one outcome."""
    faces = study.predictions.assign(right=lambda t: t["expression"] == t["predicted"])
    for shard in map(shards.read, (home / "study" / "shards").iterdir()):
        model = shard.facts["model"]
        for expression in BASIC:
            chosen = {"explainer": "grad_cam", "expression": expression, "normalisation": "raw"}
            cells = shard.cells.loc[(shard.cells[list(chosen)] == pd.Series(chosen)).all(axis=1)]
            shown = faces[(faces["model"] == model) & (faces["expression"] == expression)]["right"]
            assert dict(zip(cells["outcome"], cells["n"], strict=True)) == {
                outcome: n for outcome, n in (("correct", shown.sum()), ("incorrect", (~shown).sum())) if n
            }
            parts = heatmaps.select(study.heatmaps, model=model, **chosen)
            by = dict(zip(parts.coords["outcome"].values, parts.values.astype(float), strict=True))
            n = shard.counts[cells.index]
            total = sum(np.nan_to_num(by[o]) * k for o, k in zip(cells["outcome"], n, strict=True))
            scale = np.abs(total).max()
            np.testing.assert_allclose(np.nan_to_num(by["all"]) * n.sum(axis=0), total, atol=1e-6 * scale)


def test_networks_table_agrees_with_the_predictions(study: Study) -> None:
    table = study.networks.set_index("model")
    for model, rows in study.predictions.groupby("model"):
        right = rows["expression"] == rows["predicted"]
        assert table.loc[model, "accuracy"] == pytest.approx(right.mean())
        assert table.loc[model, "n_test"] == len(rows)
    assert table["chance"].tolist() == pytest.approx([1 / 6] * 2)
    assert (table["failed"] == "").all()
    assert table["linear"].between(0, 1).all()
    assert table.loc["songnet", "grid"] == "8 x 8"
    assert table.loc["songnet", "coarse"] == ""
    assert table.loc["mobilenetv3", "start"] == "from scratch (--pretrained no)"


def test_every_stage_tells_what_it_took(study: Study) -> None:
    table = study.costs.set_index("stage")
    parts = [f"{name}: {part}" for name in MODELS.split(",") for part in ("training", "heatmaps")]
    whole = ["options", "landmarks", "pictures", "linear classifier", "mean face", "networks", "intervals", "scores",
             "report"]  # fmt: skip
    assert set(table.index) == {*whole, *parts, "total"}
    assert (table.loc[[*parts, "networks", "pictures", "report"], "actual_s"] > 0).all()
    assert table.loc["total", "actual_s"] == pytest.approx(table.loc[whole, "actual_s"].sum())
    assert table.loc[parts, "actual_s"].sum() <= table.loc["networks", "actual_s"]
    assert table["planned_s"].isna().all()


def test_a_network_of_the_study_is_found_by_its_name(study: Study) -> None:
    model, facts = load_model(f"{study.folder}#songnet")
    row = study.networks.set_index("model").loc["songnet"]
    assert facts.classes == tuple(study.predictions.columns[-6:].str.removeprefix("p_"))
    assert (facts.size, facts.layer) == (row["size"], row["layer"])
    state, told = read_weights(study.folder / "checkpoints" / f"{row['checkpoint']}.safetensors")
    assert all(tensor.equal(state[name]) for name, tensor in model.state_dict().items())
    assert tuple(told["classes"]) == facts.classes


def test_no_subject_is_tested_that_was_trained_on(study: Study) -> None:
    parts = study.faces.groupby("split")["subject"].agg(set)
    assert set(parts.index) == {"train", "validation", "test"}
    assert not parts["train"] & parts["test"]
    assert not parts["validation"] & parts["test"]
    assert set(study.predictions["subject"]) <= parts["test"]


def test_scores_say_how_many_faces_are_behind_them(study: Study) -> None:
    scores = study.scores
    assert set(scores["normalisation"]) == {"positive_l1"}
    faces = study.predictions.groupby(["model", "expression"]).size()
    own = scores[(scores["outcome"] == "all") & (scores["metric"] == "pearson") & (scores["explainer"] == "grad_cam")]
    for row in own.itertuples():
        assert 0 <= row.n <= faces[row.model, row.expression]
        assert (row.n == 0) == row.reason.startswith("none of ") == bool(np.isnan(row.value))
    assert (own["n"] > 0).any()


def test_a_score_is_the_metric_of_its_map(study: Study) -> None:
    row = study.leading_scores.query("metric == 'pearson' and mask_expression == expression").iloc[0]
    heatmap = heatmaps.select(study.leading, model=row["model"], expression=row["expression"]).values[0]
    mask = study.masks.sel(expression=row["expression"]).values
    value = np.corrcoef(heatmap[study.support], mask[study.support])[0, 1]
    assert row["value"] == pytest.approx(value, rel=1e-5)
    assert "pearson" in METRICS


def test_curves_have_the_columns_of_the_log(study: Study) -> None:
    assert ("model", "fold", *LOG) == CURVE_COLUMNS
    assert list(study.curves.columns) == list(CURVE_COLUMNS)
    assert set(study.curves["model"]) == {"songnet", "mobilenetv3"}


def test_no_mean_face_of_so_few_people(study: Study, home: Path) -> None:
    assert study.mean_face is None
    assert study.predictions["subject"].nunique() < 8


def test_no_place_and_no_person_is_told(study: Study, home: Path) -> None:
    for name in ("study.toml", "provenance.json", "report.html", "networks.csv", "units.jsonl"):
        text = (home / "study" / name).read_text()
        assert str(home) not in text
        assert str(Path.home()) + "/" not in text
    real = {s.subject for s in xfer_faces().samples}
    assert not real & set(study.faces["subject"])


def xfer_faces() -> Any:
    from xfer import datasets

    return datasets.open("synthetic", faces=72, size=96, seed=0)


@pytest.mark.usefixtures("no_page")
def test_a_finished_study_computes_nothing_again(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, lines = whole(copy), logged(copy)
    monkeypatch.setattr(computing, "compute", lambda *_: pytest.fail("a unit is computed again"))
    monkeypatch.setattr("xfer.study.gathering.read_sizes", lambda *_, **__: pytest.fail("pictures are read again"))
    again(copy)
    assert whole(copy) == before
    assert logged(copy) == lines


@pytest.mark.usefixtures("no_page")
def test_what_is_lost_is_made_again_byte_for_byte(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = whole(copy)
    shutil.rmtree(copy / "study" / "heatmaps.zarr")
    (copy / "study" / "scores.csv").unlink()
    again(copy)
    assert whole(copy) == before
    shard = sorted((copy / "study" / "shards").iterdir())[0]
    shard.write_bytes(shard.read_bytes()[:1000])
    monkeypatch.setattr("xfer.training.fitting._train", lambda *_: pytest.fail("a network is trained again"))
    again(copy)
    assert whole(copy) == before
    assert sorted(logged(copy)).count(shard.stem) == 2


@pytest.mark.usefixtures("no_page")
def test_workers_do_not_change_a_byte(home: Path, tmp_path: Path) -> None:
    again(tmp_path, workers=2)
    assert whole(tmp_path) == whole(home)


@pytest.mark.usefixtures("no_page")
def test_train_stops_after_training_and_compare_goes_on(home: Path, tmp_path: Path) -> None:
    options = {**TINY, "explainers": "hires_cam,grad_cam"}
    trained = xfer.train(MODELS, out=tmp_path / "study", **options)
    assert [t.model for t in trained] == MODELS.split(",")
    assert not any(t.failed for t in trained)
    assert all(t.weights.is_file() and 0 <= t.accuracy <= 1 and 0 < t.linear < 1 for t in trained)
    assert not (tmp_path / "study" / "shards").exists()
    study = again(tmp_path)
    assert whole(tmp_path) == whole(home)
    accuracies = dict(zip(study.networks["model"], study.networks["accuracy"], strict=True))
    assert {t.model: t.accuracy for t in trained} == pytest.approx(accuracies)


def test_a_failing_network_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = unit.training.fit

    def fit(model: Any, *rest: Any, name: str, **options: Any) -> Any:
        if name.startswith("songnet"):
            raise TrainingError("songnet: the loss is nan in epoch 1, batch 1")
        if name.startswith("weinet"):
            raise ZeroDivisionError("a slip of ours")
        return real(model, *rest, name=name, **options)

    monkeypatch.setattr(unit.training, "fit", fit)
    study = compare(tmp_path, "songnet,mobilenetv3,weinet")
    table = study.networks.set_index("model")
    assert table.loc["songnet", "failed"] == "songnet: the loss is nan in epoch 1, batch 1"
    assert table.loc["weinet", "failed"] == "ZeroDivisionError: a slip of ours"
    assert np.isnan(table.loc["songnet", "accuracy"])
    assert table.loc["mobilenetv3", "failed"] == ""
    assert set(study.heatmaps.coords["model"].values) == {"mobilenetv3"}
    lost = study.dropped[study.dropped["kind"] == "network"]
    assert set(lost["name"]) == {"songnet, fold 0", "weinet, fold 0"}
    monkeypatch.undo()
    mended = compare(tmp_path, "songnet,mobilenetv3,weinet")
    assert (mended.networks["failed"] == "").all()
    assert len(logged(tmp_path)) == 3


def test_no_network_at_all_is_an_error_that_keeps_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: Any, **__: Any) -> None:
        raise TrainingError("out of memory with 4 faces")

    monkeypatch.setattr(unit.training, "fit", fit)
    with pytest.raises(TrainingError, match="no network finished: songnet-f0: out of memory with 4 faces"):
        compare(tmp_path, "songnet")
    assert (tmp_path / "study" / "study.toml").is_file()


@pytest.mark.usefixtures("no_page")
def test_memory_that_runs_out_in_explaining_halves_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tried = unit.explain_faces, []

    def explain(*given: Any, batch_size: int, **options: Any) -> Any:
        tried.append(batch_size)
        if batch_size > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*given, batch_size=batch_size, **options)

    monkeypatch.setattr(unit, "explain_faces", explain)
    study = compare(tmp_path, "songnet", training={**TINY["training"], "batch": 32})
    assert tried == [32, 16, 8]
    remark = study.networks.loc[0, "remarks"]
    assert remark == "memory ran out with 32 faces explained at a time; explained 8 at a time"


def test_another_configuration_in_the_folder_is_told(copy: Path) -> None:
    with pytest.raises(InputError) as told:
        again(copy, seed=3, explainers="grad_cam")
    text = str(told.value)
    assert "belongs to another study" in text
    assert "explainers: ['hires_cam', 'grad_cam'] there" in text
    assert "networks.songnet.seed: 0 there, 3 now" in text
    assert "--fresh" in text


def test_coarse_grids_are_not_scored(tmp_path: Path) -> None:
    study = compare(tmp_path, "resnet50,songnet", training={**TINY["training"], "size": 64}, drawn=48)
    table = study.networks.set_index("model")
    if table.loc["resnet50", "coarse"] == "":
        assert min(map(int, table.loc["resnet50", "grid"].split(" x "))) >= 4
    coarse = study.scores[study.scores["model"].isin(study.coarse)]
    assert coarse["value"].isna().all()
    assert (coarse["reason"] != "").all()


def test_folds_are_tested_once_each_and_pooled(tmp_path: Path) -> None:
    study = compare(tmp_path, "songnet", folds=2, drawn=96)
    assert sorted(study.networks["fold"]) == ["0", "1"]
    assert study.predictions["face"].is_unique
    assert len(study.predictions) == 96
    assert set(study.pooled.coords["fold"].values) == {"all"}
    assert study.mean_face is not None
    assert study.mean_face.shape == (275, 224, 4)
    assert 0 < study.mean_face[..., 3].mean() <= 1


def test_the_published_protocol_selects_by_prediction(tmp_path: Path) -> None:
    options = {"preset": "paper", "per_class": 2, "drawn": 60, "folds": 2}
    study = compare(tmp_path, "songnet", training={"epochs": 2, "size": 64}, **options)
    assert study.config["selection"] == "predicted"
    assert study.config["networks"]["songnet"]["optimiser"] == "rmsprop"
    assert set(study.heatmaps.coords["outcome"].values) == {"all"}
    cells = [shards.read(path).cells for path in (tmp_path / "study" / "shards").iterdir()]
    assert pd.concat(cells)["n"].max() <= 2
    assert set(study.heatmaps.coords["expression"].values) <= set(study.predictions["predicted"])


@pytest.mark.usefixtures("no_page")
def test_maps_of_single_faces_on_request(tmp_path: Path) -> None:
    compare(tmp_path, "songnet", per_face=True)
    (path,) = (tmp_path / "study" / "maps").iterdir()
    with np.load(path, allow_pickle=False) as kept:
        assert kept["maps"].shape == (len(kept["face"]), 1, 8, 8)
        assert kept["maps"].dtype == np.float32


def test_the_store_is_format_one(home: Path) -> None:
    assert zarr.open_group(home / "study" / "heatmaps.zarr", mode="r").attrs["format"] == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "quik"}, "did you mean 'quick'"),
        ({"device": "gpu"}, "'--device' must be one of auto, cpu, cuda"),
        ({"explainers": "gradcam"}, "did you mean 'grad_cam'"),
        ({"masks": "ekmann"}, "ekman"),
        ({"expressions": ["anger", "angst"]}, "'expression' must be one of"),
        ({"expressions": ["anger"]}, "name at least two"),
        ({"training": {"size": 16}}, "needs faces of at least"),
        ({"weights": ["songnet"]}, "write NAME=FILE.safetensors"),
        ({"weights": ["alexnet=x.safetensors"]}, "the run has no network 'alexnet'"),
        ({"randomised": -1}, "--randomised -1: say how many times weights are drawn, or 0 for not at all"),
        ({"folds": 1000}, "1000 folds need at least 1000 subjects"),
        ({"threshold": "otsuu"}, "otsu"),
        ({"linkage": "ward"}, "linkage"),
        ({"data": "csv:/nowhere/x.csv"}, "nowhere/x.csv"),
    ],
)
def test_bad_input_is_one_line_before_any_work(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as told:
        compare(tmp_path, "songnet", **options)
    assert words in str(told.value)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "study" / "checkpoints").exists()


@pytest.mark.usefixtures("no_page")
def test_a_fold_explained_in_parts_has_the_same_heatmaps_and_scores(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "FACES", 6)
    told: Counter[str] = Counter()
    options = {"explainers": "hires_cam,grad_cam", "progress": lambda stage, n: lambda: told.update([stage])}
    found = compare(tmp_path, "songnet", **options)
    alone = study.heatmaps.isel(cell=study.heatmaps.model.values == "songnet")
    np.testing.assert_allclose(found.heatmaps.values, alone.values, rtol=1e-5, atol=1e-9)
    lines = [json.loads(line) for line in (tmp_path / "study" / "units.jsonl").read_text().splitlines()]
    count = sum(line["until"] == "part" for line in lines)
    assert count > 1
    assert [line["until"] for line in lines] == ["weights", *["part"] * count, "heatmaps"]
    assert found.networks["accuracy"].tolist() == study.networks.query("model == 'songnet'")["accuracy"].tolist()
    assert not (tmp_path / "study" / folder.PARTIALS).exists()
    assert told["songnet-f0: heatmaps"] == found.networks.loc[0, "n_test"]
    before = whole(tmp_path)
    next((tmp_path / "study" / "shards").iterdir()).unlink()
    compare(tmp_path, "songnet", **options)
    assert whole(tmp_path) == before
    again = (tmp_path / "study" / "units.jsonl").read_text()
    assert (again.count('"weights"'), again.count('"part"')) == (1, 2 * 2 * count), "trained once"
