"""Human alignment from end to end: heatmaps against people's maps, with the raters' ceiling."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

import xfer
from xfer import cli
from xfer.statistics.raters import split_half_ceiling
from xfer.study import Study

SIZE = (34, 28)
RATERS = ("Zebulon", "Ysolde", "Xanthippe", "Wenceslas", "Valentina")
QUESTIONS = {("iou", "area"), ("iou", "otsu"), ("pearson", ""), ("energy_inside", "")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five raters (two of them without fear), two networks of three folds, and drawn masks."""
    home, rng = tmp_path_factory.mktemp("human"), np.random.default_rng(7)
    for name in ("people", "maps", "gt"):
        (home / name).mkdir()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for expression, (row, column) in {"anger": (9, 9), "fear": (22, 14)}.items():
        spot = np.exp(-((y - row) ** 2 + (x - column) ** 2) / 50)

        def noisy(amount: float, spot: np.ndarray = spot) -> np.ndarray:
            field = gaussian_filter(rng.standard_normal(SIZE), 2)
            return np.maximum(spot + 0.5 + amount * field / field.std(), 0)

        for rater in RATERS:
            if (rater, expression) not in {("Zebulon", "fear"), ("Ysolde", "fear")}:
                np.save(home / "people" / f"{rater}_{expression}.npy", noisy(0.1))
        for model, amount in (("seeing", 0.1), ("blind", 2.0)):
            for fold in range(3):
                np.save(home / "maps" / f"{model}_CV{fold}_{expression}.npy", noisy(amount))
        Image.fromarray((255 * (spot > 0.5)).astype(np.uint8)).save(home / "gt" / f"{expression}_gt.png")
    return home


def compared(place: Path, masks: str, out: str | Path, draws: int = 40) -> Study:
    return xfer.compare(
        heatmaps=place / "maps", pattern="{model}_{fold}_{expression}.npy", masks=masks, support="canvas",
        metrics="iou,pearson,energy_inside", draws=draws, out=place / out,
    )  # fmt: skip


@pytest.fixture(scope="module")
def study(place: Path) -> Study:
    return compared(place, f"human:{place / 'people'}", "study")


def test_the_ceiling_is_the_raters(study: Study) -> None:
    table = study.ceilings.set_index(["expression", "metric", "threshold"])
    assert {key[1:] for key in table.index} == QUESTIONS
    anger = table.loc["anger"]
    assert (anger["n"] == 5).all()
    assert (anger["low"] < anger["ceiling"]).all()
    assert (anger["high"] > anger["ceiling"]).all()
    assert anger["left_out"].eq("").all()
    shares = study.mask_sources.raters["human:people"].values[:, 0].reshape(5, -1)
    wanted = split_half_ceiling(shares, "pearson", seed=0)
    assert anger.loc[("pearson", ""), "ceiling"] == pytest.approx(wanted.corrected)


def test_scores_are_anchored_between_chance_and_raters(study: Study) -> None:
    rows = study.inference[study.inference["expression"] == "anger"].set_index(["model", "metric"])
    row = rows.loc[("seeing", "pearson")]
    assert row["anchored"] == pytest.approx(
        (row["corrected"] - row["null_mean"]) / (row["ceiling"] - row["null_mean"]), abs=1e-9
    )
    assert row["anchored_low"] < row["anchored"] < row["anchored_high"]


def test_too_few_raters_of_an_expression_are_a_nan_with_a_reason(study: Study) -> None:
    fear = study.ceilings[study.ceilings["expression"] == "fear"]
    assert fear[["ceiling", "low", "high"]].isna().all(axis=None)
    assert set(fear["reason"]) == {"3 raters: a split-half ceiling takes 4"}
    assert set(fear["left_out"]) == {"no map (2)"}
    rows = study.inference[study.inference["expression"] == "fear"]
    assert rows["anchored"].isna().all()
    assert set(rows["anchored_reason"]) == {"no ceiling: 3 raters: a split-half ceiling takes 4"}
    assert rows["value"].notna().all()


def test_the_page_and_the_methods_speak_of_people(study: Study) -> None:
    page, methods = (study.folder / "report.html").read_text(encoding="utf-8"), study.methods()
    assert "human alignment: agreement with maps collected from people" in page
    assert "FACS agreement: agreement with expert theory" not in page
    assert "2 of 10 maps are missing or of no use: no map (2)" in page
    assert "The scores measure human alignment" in methods
    assert "3 to 5 raters an expression" in methods
    assert "experts" not in methods


def test_no_rater_is_named_in_the_folder(study: Study) -> None:
    for path in (p for p in study.folder.rglob("*") if p.is_file()):
        text = path.read_bytes()
        assert not any(name.encode() in text for name in RATERS), path
    tables = (study.ceilings, study.inference, study.scores)
    assert not any(name in table.to_csv() for name in RATERS for table in tables)
    with np.load(study.folder / "masks.npz") as stored:
        told = " ".join(str(stored[name]) for name in stored if stored[name].dtype.kind == "U")
    assert not any(name in told for name in RATERS)


def test_other_maps_of_people_are_another_study(study: Study, place: Path, tmp_path: Path) -> None:
    other = tmp_path / "people"
    other.mkdir()
    for path in sorted((place / "people").iterdir()):
        np.save(other / path.name, np.load(path) ** 2)
    again = compared(place, f"human:{other}", tmp_path / "s", draws=0)
    assert again.config["mask_digests"] != study.config["mask_digests"]


def test_both_kinds_keep_their_words_and_the_first_leads(place: Path, tmp_path: Path) -> None:
    """Experts lead: people's masks are no second expert, so there is no ceiling."""
    both = compared(place, f"{place / 'gt'},human:{place / 'people'}", tmp_path / "s")
    page = (both.folder / "report.html").read_text(encoding="utf-8")
    assert "It measures FACS agreement" in page
    assert both.ceilings.empty
    assert set(both.scores["mask"]) == {"gt", "human:people"}
    assert "a mean over both would be neither" in page
    assert "The scores measure FACS agreement" in both.methods()


def test_the_command_line_says_what_scores_are(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["score", place / "maps", "--pattern", "{model}_{fold}_{expression}.npy", "--metrics", "pearson",
             "--support", "canvas", "--masks", f"{place / 'gt'},human:{place / 'people'}"]  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert not ended.value.code
    assert out.endswith("heatmaps on the canvas, FACS agreement with gt; human alignment with human:people\n")
    assert err == "human:people: 2 of 10 maps are missing or of no use: no map (2)\n"
    assert set(pd.read_csv("scores.csv")["mask"]) == {"gt", "human:people"}


def test_one_rater_makes_masks_and_no_ceiling(place: Path, tmp_path: Path) -> None:
    alone = tmp_path / "people" / "me"
    alone.mkdir(parents=True)
    for expression in ("anger", "fear"):
        np.save(alone / f"{expression}.npy", np.load(place / "people" / f"Valentina_{expression}.npy"))
    found = compared(place, f"human:{alone.parent}", tmp_path / "s")
    assert set(found.ceilings["reason"]) == {"1 rater: a split-half ceiling takes 4"}
    assert found.network_scores["anchored"].isna().all()
    assert "There is no ceiling (1 rater: a split-half ceiling takes 4)" in found.methods()
