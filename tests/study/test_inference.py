"""Intervals, nulls, ceilings and anchored scores of a study, against slow re-derivations and made-up truths."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import xfer
from xfer import masks
from xfer.errors import InputError
from xfer.nulls.canvas import coarsen_masks
from xfer.progress import silent
from xfer.statistics.estimates import Estimate, estimate, mean_estimate
from xfer.statistics.scores import SCORES
from xfer.study import Study, contrasts, inference
from xfer.study.contrasts import mean_score
from xfer.study.units import BLOCKS, FOLDS, from_folds

EXPRESSIONS = ("anger", "fear", "happiness")
HEADLINE = {("iou", "area"), ("iou", "otsu"), ("pearson", ""), ("energy_inside", "")}


@pytest.fixture(scope="module")
def drawn() -> Any:
    return masks.load("ekman").sel(expression=list(EXPRESSIONS))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, drawn: Any) -> Study:
    """Maps of four networks on five folds: the first two see the masks, the others noise of their own."""
    place = tmp_path_factory.mktemp("maps")
    noise = np.random.default_rng(5)
    for number, model in enumerate(("seeing", "sighted", "blind", "blinded")):
        for e, expression in enumerate(EXPRESSIONS):
            own = noise.random(drawn.shape[1:])
            for fold in range(5):
                heatmap = (1.5 * drawn.values[e] if number < 2 else own) + 0.6 * noise.random(drawn.shape[1:])
                np.save(place / f"{model}_CV{fold}_{expression}.npy", heatmap.astype("float32"))
    return xfer.compare(
        heatmaps=place, pattern="{model}_{fold}_{expression}.npy", masks="ekman", allow_missing=True,
        metrics="iou,pearson,energy_inside", draws=40, out=place.parent / "study",
    )  # fmt: skip


def test_every_leading_cell_and_headline_metric_has_a_row(study: Study) -> None:
    table = study.inference
    assert len(table) == 4 * 3 * 4
    assert set(zip(table["metric"], table["threshold"], strict=True)) == HEADLINE
    assert set(table["fold"]) == {"all"}
    assert study.unit_level == FOLDS


def test_an_estimate_is_that_of_the_fold_maps(study: Study, drawn: Any) -> None:
    """By hand: fold maps and mask at half resolution, `statistics.estimate` on the pixels of the support."""
    units = from_folds(study)
    rows = study.inference.set_index(["model", "expression", "metric", "threshold"])
    half = coarsen_masks(drawn.sel(expression="fear").values, study.support, 2)
    found = estimate(units.maps(("seeing", "fear")), half, "pearson", support=units.inside, draws=40)
    row = rows.loc[("seeing", "fear", "pearson", "")]
    assert row["corrected"] == pytest.approx(found.corrected, abs=1e-6)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((found.ci_low, found.ci_high), abs=1e-6)


def test_seeing_networks_beat_chance_and_blind_ones_do_not(study: Study) -> None:
    rows = study.inference[study.inference["metric"] == "pearson"].set_index("model")
    assert (rows.loc[["seeing", "sighted"], "p"] <= 0.05).all()
    assert (rows.loc[["blind", "blinded"], "p"] > 0.05).mean() >= 0.5
    assert (rows.loc[["seeing"], "anchored"] > 1).all(), "better than other experts' masks"


def test_anchored_is_linear_between_null_and_ceiling(study: Study) -> None:
    rows = study.inference.dropna(subset=["anchored", "corrected"])
    expected = (rows["corrected"] - rows["null_mean"]) / (rows["ceiling"] - rows["null_mean"])
    np.testing.assert_allclose(rows["anchored"].astype(float), expected.astype(float), atol=1e-9)
    assert len(rows)


def test_what_is_missing_says_why(study: Study) -> None:
    rows = study.inference
    assert (rows.loc[rows["ci_low"].isna(), "reason"] != "").all()
    assert (rows.loc[rows["anchored"].isna(), "anchored_reason"] != "").all()


@pytest.mark.usefixtures("no_page")
def test_scores_carry_what_their_cell_means(study: Study, tmp_path: Path) -> None:
    """One fold: the row of a cell's own mask has the columns, its controls have none."""
    for expression, mask in zip(EXPRESSIONS, masks.load("ekman").sel(expression=list(EXPRESSIONS)).values, strict=True):
        np.save(tmp_path / f"one_{expression}.npy", mask + np.random.default_rng(1).random(mask.shape))
    one = xfer.compare(
        heatmaps=tmp_path, pattern="{model}_{expression}.npy", masks="ekman", metrics="iou,pearson", draws=20,
        out=tmp_path / "study",
    )  # fmt: skip
    own = one.scores["mask_expression"] == one.scores["expression"]
    headline = own & one.scores["metric"].isin(["iou", "pearson"])
    assert (one.scores["p"].notna() == headline).all()
    assert set(one.scores.loc[headline, "interval_reason"]) == {"1 unit: no interval"}
    assert one.comparisons.empty
    assert one.clades.empty


def test_the_difference_of_two_networks_is_that_of_their_scores(study: Study) -> None:
    networks = study.network_scores
    area = networks[(networks["metric"] == "iou") & (networks["threshold"] == "area")].set_index("model")["half_value"]
    for row in study.comparisons.itertuples():
        assert row.difference == pytest.approx(area[row.first] - area[row.second], abs=1e-6)
    assert study.comparisons["m"].tolist() == [6] * 6
    assert (study.comparisons["p_holm"] >= study.comparisons["p"]).all()


def test_the_interval_of_a_pair_is_that_of_the_difference_of_means(study: Study, drawn: Any) -> None:
    """By hand: estimates of both networks' fold maps with one seed, averaged over expressions, draws subtracted."""
    units, row = from_folds(study), study.comparisons.set_index(["first", "second"]).loc[("blind", "seeing")]
    masks_half = dict(zip(EXPRESSIONS, coarsen_masks(drawn.values, study.support, 2), strict=True))
    means = [
        np.mean([
            estimate(units.maps((model, e)), masks_half[e], "area_iou", support=units.inside, draws=40).draws
            for e in EXPRESSIONS
        ], axis=0)
        for model in ("blind", "seeing")
    ]  # fmt: skip
    assert row["corrected"] == pytest.approx(float(np.mean(means[0] - means[1])), abs=1e-6)
    assert row["ci_low"] < row["corrected"] < row["ci_high"]
    assert row["ci_high"] < 0
    assert row["interval_reason"] == ""


def test_networks_that_lack_units_are_compared_on_the_same_ones(study: Study, drawn: Any) -> None:
    """A network without one fold's map: aligned, the draws are in step and the interval is nearly the whole one's."""
    whole = from_folds(study)
    truth = {"fear": coarsen_masks(drawn.sel(expression="fear").values, study.support, 2)}
    keys = [("seeing", "fear"), ("blind", "fear")]
    less = {**whole.rows, keys[0]: whole.rows[keys[0]][1:]}
    names = {**whole.names, keys[0]: whole.names[keys[0]][1:]}
    found = contrasts.pairs(keys, replace(whole, rows=less, names=names), truth, {}, 200, 0, silent).iloc[0]
    full = contrasts.pairs(keys, whole, truth, {}, 200, 0, silent).iloc[0]
    assert found["interval_reason"] == ""
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((full["ci_low"], full["ci_high"]), abs=0.1)


def test_an_expression_without_a_score_takes_no_part(study: Study, drawn: Any) -> None:
    """A map that one fold lacks is undefined in the mean and not scored, though the other folds could be resampled."""
    whole = from_folds(study)
    truth = {e: coarsen_masks(drawn.sel(expression=e).values, study.support, 2) for e in ("fear", "anger")}
    scored = [("seeing", "fear"), ("blind", "fear"), ("blind", "anger")]
    found = contrasts.pairs(scored, whole, truth, {}, 40, 0, silent)
    alone = contrasts.pairs(scored[:2], whole, {"fear": truth["fear"]}, {}, 40, 0, silent)
    pd.testing.assert_frame_equal(found, alone)


def test_one_subject_is_one_unit_and_nothing_is_made_up(study: Study, drawn: Any) -> None:
    whole = from_folds(study)
    truth = {"fear": coarsen_masks(drawn.sel(expression="fear").values, study.support, 2)}
    keys = [("seeing", "fear"), ("blind", "fear")]
    one = replace(
        whole, level=BLOCKS, rows={k: whole.rows[k][:1] for k in keys}, names=dict.fromkeys(keys, ("0/0",))
    )  # fmt: skip
    found = contrasts.pairs(keys, one, truth, {}, 40, 0, silent).iloc[0]
    assert found["reason"] == "1 unit: nothing to permute"
    assert found["interval_reason"] == "fear: 1 unit: no interval"
    assert found[["difference", "p", "p_holm", "corrected", "ci_low", "ci_high"]].isna().all()


def test_networks_have_p_of_their_mean(study: Study) -> None:
    rows = study.network_scores
    assert (rows["p_reason"] == "").all()
    assert (rows["m"] == 4).all()
    assert (rows["p_holm"] >= rows["p"]).all()
    pearson = rows[rows["metric"] == "pearson"].set_index("model")["p"]
    assert (pearson[["seeing", "sighted"]] == 1 / 41).all(), "the least that 40 draws can give"
    assert (pearson[["blind", "blinded"]] > 0.05).all()


def test_a_network_is_the_mean_over_its_expressions(study: Study) -> None:
    cells = study.inference.groupby(["model", "metric", "threshold"])[["value", "corrected", "null_mean"]].mean()
    networks = study.network_scores.set_index(["model", "metric", "threshold"])[["value", "corrected", "null_mean"]]
    both = networks.dropna().astype(float)
    pd.testing.assert_frame_equal(both, cells.astype(float).loc[both.index], rtol=1e-9)


def test_trees_of_noise_have_no_support_where_networks_agree_they_have(study: Study) -> None:
    joins = study.clades[study.clades["expression"] == "fear"].set_index("members")["support"]
    assert joins["seeing sighted"] == 1
    assert study.cophenetic("fear").keys() == {"average", "complete", "single"}
    agreement = study.fold_agreement("fear")
    assert len(agreement) == 10
    assert (agreement["adjusted_rand"] <= 1).all()


def test_choices_that_could_change_the_winner_are_told(study: Study) -> None:
    assert set(study.winners()) == {"threshold", "order of pooling"}
    shares = study.variance("pearson").table.set_index("factor")["eta"]
    assert shares["network"] > 0.5
    assert shares.sum() == pytest.approx(1)


def test_without_draws_nothing_is_said_of_chance(study: Study, tmp_path: Path) -> None:
    plain = xfer.compare(heatmaps=study.folder / "heatmaps.zarr", masks="ekman", draws=0, out=tmp_path / "s")
    assert plain.inference.empty
    assert plain.nulls.empty
    assert "p" not in plain.scores
    assert (plain.folder / "report.html").is_file()


@pytest.mark.parametrize("draws", [-1, 5])
def test_too_few_draws_are_one_line(draws: int, study: Study, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        xfer.compare(heatmaps=study.folder / "heatmaps.zarr", masks="ekman", draws=draws, out=tmp_path / "s")
    assert str(error.value) == f"--draws {draws}: give at least 19, or 0 for neither intervals nor p-values"


@pytest.mark.usefixtures("no_page")
def test_the_same_draws_give_the_same_bytes(study: Study, tmp_path: Path) -> None:
    again = xfer.compare(
        heatmaps=study.folder / "heatmaps.zarr", masks="ekman", metrics="iou,pearson,energy_inside", draws=40,
        out=tmp_path / "s",
    )  # fmt: skip
    for name in ("inference.parquet", "nulls.parquet", "comparisons.parquet"):
        pd.testing.assert_frame_equal(pd.read_parquet(again.folder / name), pd.read_parquet(study.folder / name))


def test_a_mean_with_an_undefined_part_is_undefined_and_says_which() -> None:
    parts = {"fear": Estimate(0.2, 0.2), "anger": Estimate(np.nan, reason="constant heatmap")}
    assert mean_estimate(parts).reason == "anger: constant heatmap"


def test_mean_score_is_the_mean_over_the_parts(rng: np.random.Generator) -> None:
    maps, truth = rng.random((3, 20)), (rng.random(20) > 0.5).astype(float)
    halves = [SCORES["area_iou"](maps[:, part], truth[part]) for part in (slice(10), slice(10, 20))]
    np.testing.assert_allclose(mean_score(2, "area_iou")(maps, truth), np.mean(halves, axis=0))


Drawing = Callable[[str, int, int], np.ndarray | None]


def of_files(place: Path, draw: Drawing, drawn: Any, models: str = "abc", folds: int = 5) -> Study:
    """A study of maps in files, (model, fold, expression) -> map; None where there is none."""
    place.mkdir()
    for model, fold, e in product(models, range(folds), range(2)):
        if (heatmap := draw(model, fold, e)) is not None:
            np.save(place / f"{model}_CV{fold}_{EXPRESSIONS[e]}.npy", heatmap.astype("float32"))
    return xfer.compare(
        heatmaps=place, pattern="{model}_{fold}_{expression}.npy", masks="ekman", allow_missing=True, metrics="pearson",
        draws=19, out=place.parent / "study",
    )  # fmt: skip


@pytest.fixture
def noisy(drawn: Any) -> Drawing:
    """Maps that resemble their mask, each with noise of its own."""

    def draw(model: str, fold: int, e: int) -> np.ndarray:
        noise = np.random.default_rng([ord(model), fold, e])
        return drawn.values[e] + 4 * noise.random(drawn.shape[1:])

    return draw


@pytest.mark.usefixtures("no_page")
def test_one_network_has_no_pair_and_no_other_network(noisy: Drawing, drawn: Any, tmp_path: Path) -> None:
    study = of_files(tmp_path / "maps", noisy, drawn, "a")
    assert study.comparisons.empty
    assert study.network_scores["m"].tolist() == [1]
    assert set(study.nulls.loc[study.nulls["null"] == "other_networks", "reason"]) == {"no other network"}


@pytest.mark.usefixtures("no_page")
def test_two_folds_have_no_interval_of_a_pair(noisy: Drawing, drawn: Any, tmp_path: Path) -> None:
    study = of_files(tmp_path / "maps", noisy, drawn, "ab", folds=2)
    (pair,) = study.comparisons.itertuples()
    assert pair.interval_reason == "anger: 2 units: no interval"
    assert np.isnan([pair.corrected, pair.ci_low, pair.ci_high]).all()
    assert pair.p == 0.5 or pair.p == 1, "two folds can be swapped in two ways"


def test_identical_maps_have_no_interval(noisy: Drawing, drawn: Any, tmp_path: Path) -> None:
    """Network a's folds are one map copied; b and c are one network under two names."""
    study = of_files(
        tmp_path / "maps", lambda m, f, e: noisy("a", 0, e) if m == "a" else noisy("b", f, e), drawn
    )  # fmt: skip
    rows = study.inference[study.inference["model"] == "a"]
    assert set(rows["reason"]) == {"the maps of all 5 units are identical: no interval"}
    assert rows[["ci_low", "ci_high", "corrected"]].isna().all(axis=None)
    assert rows["p"].notna().all(), "chance asks nothing of other faces"
    twins = study.comparisons.set_index(["first", "second"]).loc[("b", "c")]
    assert (twins["difference"], twins["p"]) == (0, 1)
    assert twins["interval_reason"] == "the same difference in every draw: no interval"
    assert np.isnan(twins["ci_low"])


def test_an_expression_without_maps_and_a_constant_one(noisy: Drawing, drawn: Any, tmp_path: Path) -> None:
    """Network a has no map of fear, b a flat one of anger: both are told, and pairs use what they share."""

    def draw(model: str, fold: int, e: int) -> np.ndarray | None:
        if (model, e) == ("a", 1):
            return None
        return np.ones(drawn.shape[1:]) if (model, e) == ("b", 0) else noisy(model, fold, e)

    study = of_files(tmp_path / "maps", draw, drawn)
    networks = study.network_scores.set_index("model")
    assert networks["n_expressions"].to_dict() == {"a": 1, "b": 2, "c": 2}
    assert networks.loc["b", "reason"] == networks.loc["b", "p_reason"] == "anger: constant heatmap"
    assert networks.loc["b", ["corrected", "ci_low", "p", "p_holm"]].isna().all()
    assert networks.loc["a", "reason"] == networks.loc["a", "p_reason"] == "no heatmap of fear"
    assert networks.loc["a", ["value", "corrected", "anchored", "p"]].isna().all()
    assert networks.loc["c", "m"] == 1, "it alone is tested"
    pairs = study.comparisons.set_index(["first", "second"])
    assert pairs.loc[("a", "b"), "reason"] == "constant heatmap"
    assert pairs.loc[("a", "b"), "interval_reason"] == "anger: constant heatmap"
    assert pairs.loc[("a", "c"), "interval_reason"] == ""


def test_maps_that_are_not_finite_are_refused_in_one_line(noisy: Drawing, drawn: Any, tmp_path: Path) -> None:
    def draw(model: str, fold: int, e: int) -> np.ndarray:
        heatmap = noisy(model, fold, e)
        heatmap[100:150, 80:120] = np.nan
        return heatmap

    with pytest.raises(InputError, match=r"a_CV0_anger.npy: 2000 of 61600 values are NaN or infinite"):
        of_files(tmp_path / "maps", draw, drawn, "a")


def test_a_score_that_is_nan_has_neither_interval_nor_p(drawn: Any) -> None:
    """Blocks whose maps are not finite, from shards: no crash, the reason, no number."""
    maps = np.random.default_rng(0).random((5, 20, 20)).astype(np.float32)
    maps[2, 3, 3] = np.nan
    mask = np.zeros((20, 20), np.float32)
    mask[5:9, 5:9] = 1
    found = estimate(maps, mask, "pearson")
    assert found.reason == "heatmap not finite"
    assert np.isnan([found.value, found.corrected, found.ci_low]).all()


def test_ceilings_are_of_the_other_experts(study: Study) -> None:
    table = study.ceilings
    assert set(table["mask"]) == {"ekman"}
    for row in table.itertuples():
        assert "ekman" not in row.sources.split(", ")
        assert set(row.sources.split(", ")) | set(filter(None, row.left_out.split(", "))) <= set(inference.EXPERTS)


def test_tags_that_divide_the_networks_are_tested(tmp_path: Path, drawn: Any) -> None:
    """Pretrained networks of the study see the mask, the others one noise: both tests give the least p there is."""
    noise = np.random.default_rng(3)
    other = noise.random(drawn.shape[1:])
    for model in ("VGG16", "ResNet50", "MobileNetV3Large", "AlexNet", "SongNet", "WeiNet", "unheard_of"):
        for expression, mask in zip(EXPRESSIONS, drawn.values, strict=True):
            seen = mask if model in ("VGG16", "ResNet50", "MobileNetV3Large") else other
            np.save(tmp_path / f"{model}_{expression}.npy", seen + 0.3 * noise.random(mask.shape))
    study = xfer.compare(
        heatmaps=tmp_path, pattern="{model}_{expression}.npy", masks="ekman", metrics="iou", draws=0,
        allow_missing=True, out=tmp_path / "study",
    )  # fmt: skip
    tests = study.tag_tests().set_index(["tag", "test"])
    assert {"pretrained", "small"} <= set(tests.index.get_level_values("tag"))
    pretrained = tests.loc["pretrained"]
    assert (pretrained["p"] == pretrained["smallest"]).all()
    assert pretrained["smallest"].iloc[0] == pytest.approx(1 / 35)
    assert (tests["tagged"].loc["pretrained"] == 3).all()
    tags = tests.index.get_level_values("tag").nunique()
    assert (tests["m"] == tags).all(), "each test is adjusted over the tags"
    for _, rows in tests.groupby(level="test"):
        least = rows["p"].min()
        assert rows.loc[rows["p"] == least, "p_holm"].min() == pytest.approx(min(1, tags * least))
    assert "Do kinds of networks look alike?" in (study.folder / "report.html").read_text()
