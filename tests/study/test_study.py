"""A study read back from its folder: the tables are the definitions, and damage is named."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import xfer
from xfer import scoring
from xfer.errors import InputError
from xfer.labels import BASIC
from xfer.study import Study

FOLDS = ("CV1", "CV2")
MODELS = ("alpha", "beta", "gamma")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 3 networks x 2 folds x 6 expressions of noise, one map of them constant."""
    place = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(7)
    (place / "maps").mkdir()
    (place / "gt").mkdir()
    for i, expression in enumerate(BASIC):
        mask = np.zeros((20, 16), np.float32)
        mask[2 * i : 2 * i + 7, 2 : 6 + i] = 1
        np.save(place / "gt" / f"{expression}.npy", mask)
        for model in MODELS:
            for fold in FOLDS:
                constant = model == "gamma" and expression == "fear"
                noise = np.zeros((20, 16)) if constant else rng.random((20, 16)) + mask * rng.random()
                np.save(place / "maps" / f"{model}_{fold}_{expression}.npy", noise.astype(np.float32))
    return _compare(place).folder


def _compare(place: Path, out: str = "study", **options: object) -> Study:
    return xfer.compare(
        heatmaps=place / "maps",
        pattern="{model}_{fold}_{expression}.npy",
        mask_pattern="{expression}.npy",
        out=place / out,
        **{"masks": place / "gt", **options},
    )


@pytest.fixture(scope="module")
def study(home: Path) -> Study:
    return Study(home)


def test_heatmaps_come_back_as_they_were(study: Study, home: Path) -> None:
    assert study.heatmaps.dims == ("cell", "y", "x")
    assert study.heatmaps.sizes["cell"] == 36
    stored = np.load(home.parent / "maps" / "beta_CV2_anger.npy")
    np.testing.assert_array_equal(study.heatmap(model="beta", fold="CV2", expression="anger"), stored)


def test_a_key_must_pick_one_map(study: Study) -> None:
    with pytest.raises(InputError, match=r"2 heatmaps fit \{'model': 'beta', .*\}; name exactly one"):
        study.heatmap(model="beta", expression="anger")
    with pytest.raises(InputError, match="'modle' is no part of a heatmap's key, which is model, guide"):
        study.heatmap(modle="beta")


def test_scores_csv_and_parquet_are_the_same_table(study: Study) -> None:
    csv = pd.read_csv(study.folder / "scores.csv", keep_default_na=False, na_values={"value": [""]})
    assert list(csv.columns) == list(study.scores.columns)
    assert list(csv.columns)[: len(scoring.COLUMNS)] == list(scoring.COLUMNS)
    np.testing.assert_array_equal(csv["value"].to_numpy(), study.scores["value"].to_numpy())
    assert csv["reason"].tolist() == study.scores["reason"].tolist()


def test_table_is_the_mean_over_folds(study: Study) -> None:
    iou = study.scores[(study.scores["metric"] == "iou") & (study.scores["expression"] == "anger")]
    own = iou[(iou["mask_expression"] == "anger") & (iou["model"] == "alpha")]
    assert len(own) == 2
    assert study.table().loc["alpha", "anger"] == pytest.approx(own["value"].mean(), rel=1e-12)
    assert np.isnan(study.table().loc["gamma", "fear"])


def test_constant_maps_are_left_out_of_trees_only_where_they_are_constant(study: Study) -> None:
    assert set(study.tree("fear").leaves) == {"alpha", "beta"}
    assert set(study.tree("anger").leaves) == set(MODELS)
    assert study.model_correlations("fear").loc["gamma"].isna().all()
    assert set(study.clusters["expression"]) == set(BASIC)
    assert len(study.clusters) == 17


def test_correlations_are_pearson_of_fold_mean_maps(study: Study) -> None:
    one, two = (
        np.mean([study.heatmap(model=m, fold=f, expression="anger") for f in FOLDS], axis=0) for m in ("alpha", "beta")
    )
    expected = np.corrcoef(one.ravel(), two.ravel())[0, 1]
    assert study.model_correlations("anger").loc["alpha", "beta"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("no_page")
def test_pooling_compares_both_orders(home: Path, tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    for path in (home.parent / "maps").glob("*"):
        if "gamma" not in path.name:
            (tmp_path / "maps" / path.name).write_bytes(path.read_bytes())
    study = _compare(tmp_path, masks=home.parent / "gt", metrics="iou")
    pooling = study.pooling()
    assert pooling is not None
    assert set(pooling["mean_of_folds"]) == {"alpha", "beta"}
    again = xfer.score(study.pooled, study.masks, metrics=["iou"], threshold="otsu")
    assert pooling["pooled_map"]["alpha"] == pytest.approx(scoring.table(again).loc["alpha"].mean(), rel=1e-12)


def test_chance_is_the_expected_overlap_at_the_mean_area(study: Study) -> None:
    from skimage.filters import threshold_otsu

    maps = [study.heatmap(model=m, fold=f, expression="anger") for m in MODELS for f in FOLDS]
    areas = [np.mean(m > threshold_otsu(m, 4096)) for m in maps]
    p, q = float((study.masks.sel(expression="anger") >= 0.5).mean()), np.mean(areas)
    assert study.chance()["anger"] == pytest.approx(p * q / (p + q - p * q), abs=0.01)


def test_provenance_names_no_place_and_no_person(study: Study) -> None:
    text = (study.folder / "provenance.json").read_text() + (study.folder / "study.toml").read_text()
    assert str(Path.home()) not in text
    assert str(study.folder.parent) not in text
    assert study.provenance["versions"]["numpy"] == np.__version__
    assert study.provenance["config"] == study.config


def test_a_folder_that_is_no_study_or_is_unfinished(tmp_path: Path, home: Path) -> None:
    with pytest.raises(InputError, match=r"is not a study folder \(no study.toml\); 'xfer compare' makes one"):
        Study(tmp_path)
    (tmp_path / "study.toml").write_bytes((home / "study.toml").read_bytes())
    with pytest.raises(InputError, match=r"is unfinished \(scores.parquet is missing\)"):
        _ = Study(tmp_path).scores


@pytest.mark.usefixtures("no_page")
def test_an_interrupted_study_is_finished_by_the_same_call(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home.parent, tmp_path / "copy")
    place = tmp_path / "copy"
    wanted = (place / "study" / "scores.csv").read_bytes()
    for name in ("scores.parquet", "provenance.json", "report.html", "clusters.csv"):
        (place / "study" / name).unlink()
    (place / "study" / "scores.csv").write_text("half")
    _compare(place)
    assert (place / "study" / "scores.csv").read_bytes() == wanted
    assert (place / "study" / "report.html").is_file()


@pytest.mark.parametrize("name", ["scores.parquet", "provenance.json", "masks.npz", "clusters.csv"])
@pytest.mark.parametrize("content", [b"", b"junk"])
def test_damage_is_named_and_mended_by_the_same_call(home: Path, tmp_path: Path, name: str, content: bytes) -> None:
    place = tmp_path / "copy"
    shutil.copytree(home.parent, place)
    whole = (place / "study" / name).read_bytes()
    (place / "study" / name).write_bytes(content)
    if name != "clusters.csv" or not content:
        with pytest.raises(InputError, match=f"{name}: is damaged"):
            Study(place / "study").report()
    _compare(place)
    if name != "provenance.json":
        assert (place / "study" / name).read_bytes() == whole


def test_a_study_toml_that_lacks_keys_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("format = 1\n")
    with pytest.raises(InputError, match=r"study\.toml: lacks kind, masks, metrics"):
        Study(tmp_path)


def test_fewer_expressions_than_masks_are_compared_as_they_are(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "copy"
    shutil.copytree(home.parent, place)
    for path in (place / "maps").glob("*"):
        if not path.stem.endswith(("anger", "sadness")):
            path.unlink()
    study = _compare(place, out="few")
    assert list(study.chance().index) == ["anger", "sadness"]
    assert study.table().shape == (3, 2)
    assert study.swap().shape == (2, 6)


def test_chance_counts_no_constant_map(study: Study) -> None:
    defined = [study.heatmap(model=m, fold=f, expression="fear") for m in ("alpha", "beta") for f in FOLDS]
    scores = xfer.score(study.heatmaps, study.masks, metrics=["precision", "recall"])
    rows = scores[(scores["expression"] == "fear") & (scores["mask_expression"] == "fear")]
    values = rows.pivot_table("value", ["model", "fold"], "metric").dropna()
    p = float((study.masks.sel(expression="fear") >= 0.5).mean())
    q = float((p * values["recall"] / values["precision"]).mean())
    assert len(defined) == len(values)
    assert study.chance()["fear"] == pytest.approx(p * q / (p + q - p * q), rel=1e-9)


def test_pooling_needs_iou_and_whole_means(home: Path, tmp_path: Path) -> None:
    assert Study(home).pooling() is None  # gamma's fear is constant
    place = tmp_path / "copy"
    shutil.copytree(home.parent, place)
    study = _compare(place, out="pearson", metrics="pearson")
    assert study.pooling() is None
    assert (study.folder / "report.html").is_file()


@pytest.mark.usefixtures("no_page")
def test_what_emd_is_measured_in_is_part_of_the_study(home: Path, tmp_path: Path) -> None:
    _compare(home.parent, out=str(tmp_path / "s"), metrics="emd")
    with pytest.raises(InputError, match="belongs to another study"):
        _compare(home.parent, out=str(tmp_path / "s"), metrics="nss")
    assert "inter_ocular" in Study(tmp_path / "s").config


def test_one_explainer_at_a_time(home: Path, tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    for path in (home.parent / "maps").glob("*CV1*"):
        for explainer in ("lime", "rise"):
            (tmp_path / "maps" / path.name.replace("CV1", explainer)).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"several values of explainer \(lime, rise\); compare one at a time"):
        xfer.compare(heatmaps=tmp_path / "maps", pattern="{model}_{explainer}_{expression}.npy", out=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_two_sources_of_one_name_are_refused(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home.parent / "gt", tmp_path / "gt")
    with pytest.raises(InputError, match="--masks names two sources 'gt'; give their folders or files different names"):
        _compare(home.parent, out=str(tmp_path / "s"), masks=[home.parent / "gt", tmp_path / "gt"])
