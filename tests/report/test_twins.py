"""The page of a twin study, from made-up tables: what it answers, what it marks, what it never hides."""

import re
from typing import Any

import lxml.html
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xfer.labels import BASIC, KEY
from xfer.report import guided, record, twin_exports, twins
from xfer.report.exports import latex
from xfer.report.page import render
from xfer.report.twin_figures import difference_plot, specificity_cells
from xfer.study.looking import GUIDED, MEASURES
from xfer.study.twin_study import ALL, DIFFERENCE_COLUMNS, FLOOR_COLUMNS, TWIN_COLUMNS
from xfer.training.guided import ABSENT_COLUMNS

ARMS = ["au", "none", "template", "shuffled"]
SPECIFICITY = {"au": 0.05, "none": 0.01, "template": 0.04, "shuffled": 0.07}
ENDS = {"none": (0.02, 0.06), "template": (-0.01, 0.03), "shuffled": (-0.04, -0.005)}


def twins_of(accuracy: float) -> pd.DataFrame:
    rows = []
    for arm in ARMS:
        for measure in ("accuracy", "macro_f1", *MEASURES):
            for form in ("value", "specificity") if measure in MEASURES else ("value",):
                value = accuracy if form == "value" and measure == "accuracy" else SPECIFICITY[arm]
                facts = (value - 0.01, value + 0.01, 0.123 if measure in GUIDED else np.nan, 0.25)
                for expression in (ALL, *BASIC):
                    rows.append(("net", arm, measure, form, expression, value, *facts, 8, 50, 300, ""))
    return pd.DataFrame(rows, columns=list(TWIN_COLUMNS))


def differences_of(safe: bool) -> pd.DataFrame:
    rows = []
    for second in ARMS[1:]:
        for measure, form in (("accuracy", "value"), ("macro_f1", "value"), ("iou", "specificity")):
            low, high = ENDS[second] if measure == "iou" else (-0.015 if safe else -0.05, 0.01)
            for expression in (ALL, *BASIC):
                said = str(safe) if measure == "accuracy" and expression == ALL else ""
                facts = ((low + high) / 2, low, high, low > 0 or high < 0, said, 8, 50, 300, "")
                rows.append(("net", "au", second, measure, form, expression, *facts))
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))


@pytest.fixture
def make(fake: Any) -> Any:
    """A function that makes a twin study without a folder."""
    study_class, masks_for = fake

    def made(
        *, accuracy: float = 0.8, safe: bool = True, seeds: int = 8, ablate: str = "", name: str = "synthetic"
    ) -> Any:
        masks = masks_for(BASIC)
        keys = [(arm, seed, e) for arm in ARMS for seed in ("0", "1") for e in BASIC]
        coords = {key: ["x"] * len(keys) for key in KEY}
        coords |= {"guide": [k[0] for k in keys], "seed": [k[1] for k in keys], "expression": [k[2] for k in keys]}
        coords |= {"model": ["net"] * len(keys), "target": coords["expression"], "outcome": ["all"] * len(keys)}
        values = np.random.default_rng(0).random((len(keys), *masks.shape[1:])).astype(np.float32)
        maps = xr.DataArray(values, {k: ("cell", np.array(v, object)) for k, v in coords.items()}, ("cell", "y", "x"))
        study = study_class(maps, masks, np.ones(masks.shape[1:], bool))
        study.config |= {
            "kind": "twins", "seeds": seeds, "ablate": ablate, "models": ["net"], "explainers": ["occlusion"],
            "draws": 500, "arms": {arm: {"control": arm} for arm in ARMS}, "seed": 3, "preset": "quick",
            "data": {"name": name, "faces": 1200, "subjects": 90, "expressions": dict.fromkeys(BASIC, 200)},
            "modules": {"last": "features.7"},
            "guide": {"weight": 4.0, "loss": "au_cosine", "layers": ["last"], "masks": "belharbi2024",
                      "schedule": "constant", "warm_up": 0.0, "output_stride": 0},
        }  # fmt: skip
        study.arms, study.pairs = ARMS, [("au", second) for second in ARMS[1:]]
        study.twins, study.differences = twins_of(accuracy), differences_of(safe)
        study.floors = pd.DataFrame(
            [(f, m, "value", ALL, 0.3) for f in ("uniform", "gaussian", "all_au", "mean") for m in MEASURES],
            columns=list(FLOOR_COLUMNS),
        )
        study.mean_taking_part = pd.DataFrame(
            [(arm, 89.5, 0.0, 10.5, *[0.0] * 3) for arm in ARMS if arm != "none"],
            columns=["guide", "guided_faces", *ABSENT_COLUMNS.values()],
        ).set_index("guide")
        study.majority = 0.3
        study.looking = pd.DataFrame({"face": ["f", "g"], "subject": ["s", "t"], "iou": [0.2, np.nan]})
        facts = {
            "model": "net",
            "fold": "0",
            "accuracy": accuracy,
            "linear": 0.5,
            "chance": 1 / 6,
            "failed": "",
            "checkpoint": "",
            "batch": 16,
        }
        study.networks = pd.DataFrame([{**facts, "guide": arm, "seed": s} for arm in ARMS for s in (0, 1)])
        return study

    return made


def said(study: Any, section: str) -> str:
    html = render("xfer guide", study.name, [getattr(twins, section)(study)])
    found = lxml.html.document_fromstring(html).xpath(f"//section[@aria-labelledby='{section}']")[0]
    return re.sub(r"\s+", " ", found.text_content())


def test_each_control_has_its_answer(make: Any) -> None:
    text = said(make(), "headline")
    assert "Guiding by Action Units made the network more specific: by 0.040 (0.020 to 0.060)." in text
    assert (
        "A map of the face with no expression in it may do as well: the difference is +0.010 (−0.010 to 0.030)." in text
    )
    assert "Another expression's Action Units do better: au is less specific by 0.022 (−0.040 to −0.005)." in text
    assert "It changes by −0.002 (−0.015 to 0.010) and is not inferior: the interval lies above −0.02." in text
    assert "that it is not inferior by more than 0.02 is not shown" in said(make(safe=False), "headline")
    assert "au is more specific than none by 0.040" in said(make(ablate="weight"), "headline")


def test_an_undefined_difference_is_called_so(make: Any) -> None:
    study = make()
    table, lost = study.differences, ["difference", "ci_low", "ci_high"]
    chosen = (table["measure"] == "iou") & (table["second"] == "template")
    table.loc[chosen, lost], table.loc[chosen, "reason"] = np.nan, "undefined for some seed"
    text = said(study, "headline")
    assert "au − template. The difference is undefined: undefined for some seed." in text
    assert "nan" not in text


def test_what_must_not_be_overlooked_is_a_note(make: Any) -> None:
    whole = said(make(name="lfw"), "headline")
    assert "same author" not in whole
    assert "recognises nothing" not in whole
    doubtful = said(make(accuracy=0.4, seeds=2), "headline")
    assert "than guessing: au, none, template, shuffled." in doubtful
    assert "With 2 trainings an interval over trainings is a guess" in doubtful
    assert "tests the method and the software" in doubtful
    assert "the intervals are over test people only" in said(make(seeds=1), "headline")


def test_the_rules_are_told(make: Any) -> None:
    text = said(make(), "rules")
    assert "Guided by 'belharbi2024', judged by 'ekman', which shares neither regions nor a codebook" in text
    assert "the layer that was guided: last (features.7)." in text
    assert "loss au cosine, layer last (features.7)." in text
    assert "2 test faces of 2 people, none of whom trained a network or chose an epoch; 1 of the faces" in text


def test_an_ablation_tells_what_its_arms_have_and_what_they_do_not_share(make: Any) -> None:
    study = make(ablate="codebook")
    study.config["arms"] = {
        "codebook-a": {"masks": "a", "layers": ["last"], "weight": 4.0},
        "codebook-b": {"masks": "b", "layers": ["last"], "weight": 4.0},
        "none": {"control": "none"},
    }
    assert "Guided by 'a', 'b', judged by 'ekman'" in said(study, "rules")
    assert "Weight of the guide 4, loss" in said(study, "rules")
    assert "the others were guided by other codebooks: no finding" in said(study, "looking")
    study = make(ablate="layer")
    study.config["arms"] = {"x": {"masks": "a", "layers": ["s.0"], "weight": 0.5}, "y": {"layers": ["s.10"]}}
    assert "the layer that was guided: s.0, s.10." in said(study, "rules")
    assert "ATT-COS at the layer that each arm was guided at, and of none at last (features.7), with" in said(
        study, "looking"
    )
    shares = make(ablate="data")
    assert "on the same faces in the same order, with one setting" not in said(shares, "headline")
    assert "on a quarter of the training people" in said(shares, "headline")
    assert "of one share of the people they see the same faces" in said(shares, "rules")


def test_who_was_not_guided_is_told_by_reason(make: Any) -> None:
    study = make()
    (_, table) = guided.taking_part(study).blocks
    assert table.head == ["arm", "in the term", "an expression without Action Units"]
    assert [[str(getattr(cell, "text", cell)) for cell in row] for row in table.rows] == [
        [arm, "89.5", "10.5"] for arm in ARMS if arm != "none"
    ]
    study.mean_taking_part = study.mean_taking_part.assign(absent_no_action_units=0.0)
    assert "Every training face took part." in guided.taking_part(study).blocks[-1].text
    study.mean_taking_part = study.mean_taking_part.iloc[:0]
    assert [block.text[:8] for block in guided.taking_part(study).blocks] == ["The logs"]


def test_accuracy_stands_beside_chance_and_the_commonest_expression(make: Any) -> None:
    study = make(accuracy=0.55)
    told = said(study, "recognition")
    assert re.search(r"chance\s*0\.167\s*the commonest expression, always\s*0\.300", told)
    assert twins._doubtful(study) == []
    study.majority = 0.6
    assert twins._doubtful(study) == ARMS


def test_the_side_of_an_end_is_seen(make: Any) -> None:
    study = make()
    whole = (study.differences["measure"] == "iou") & (study.differences["second"] == "none")
    study.differences.loc[whole, "ci_low"] = 0.0002
    assert "(0.0002 to 0.060)" in said(study, "headline")
    assert "0.0002 to 0.060" in said(study, "differences")


def test_masks_that_nobody_shows_are_not_called_used(make: Any) -> None:
    study = make()
    more = study.masks.sel(expression=["fear"]).assign_coords(expression=["contempt"])
    study.masks = xr.concat([study.masks, more], "expression")
    told = [block.text for block in record.left_out(study).blocks if hasattr(block, "text")]
    assert "Masks of expressions that no face of the data shows, which were not used: contempt." in told
    study.config["kind"] = "models"
    told = [block.text for block in record.left_out(study).blocks if hasattr(block, "text")]
    assert "Masks without heatmaps, used as other masks only: contempt." in told


def test_smaller_batches_are_no_secret(make: Any) -> None:
    study = make()
    assert "memory ran out" not in said(study, "headline")
    study.networks.loc[0, ["batch", "checkpoint"]] = 8, "net-au-s0-f0"
    assert "with smaller batches than the others. net-au-s0-f0: 8 faces, not 16." in said(study, "headline")


def test_floors_stand_beside_and_the_objective_is_called_one(make: Any) -> None:
    text = said(make(), "looking")
    where = "ATT-COS at the layer last (features.7) with the maps 'belharbi2024' that guide"
    assert f"{where}: the training objective" in text
    assert "−0.250" in text
    assert "Faces without a value, left out of the means: au 25.0%" in text
    assert "counts what is undefined as 0; with that: au 0.123" in text


def test_what_is_guided_and_what_is_the_objective_goes_by_the_loss(make: Any) -> None:
    told = {}
    for loss in ("au_cosine", "au_region", "cam", "harmonize"):
        study = make()
        study.config["guide"]["loss"] = loss
        text = said(study, "looking")
        told[loss] = [
            "the training objective" in part for part in text.split("ATT-COS at the layer")[1].split("CAM-COS")
        ]
        assert ("gradients at the pictures" in text) == (loss == "harmonize")
        assert ("never reads the gradients that were guided" in said(study, "rules")) == (loss == "harmonize")
        where = "on gradients at the pictures" if loss == "harmonize" else "at the layer last (features.7), with maps"
        assert f"weight 4, {where}" in twin_exports.methods(study)
    assert told == {
        "au_cosine": [True, False],
        "au_region": [False] * 2,
        "cam": [False, True],
        "harmonize": [False] * 2,
    }


def test_maps_are_averaged_over_seeds(make: Any) -> None:
    study = make()
    found = twins.over_seeds(study.leading, ARMS)
    own = [c for c in study.heatmaps if str(c.guide.values) == "none" and str(c.expression.values) == "fear"]
    np.testing.assert_allclose(
        found.sel(model="none", expression="fear"), np.mean([c.values for c in own], axis=0), rtol=1e-6
    )
    assert np.isnan(twins.over_seeds(study.leading, [*ARMS, "random"]).sel(model="random")).all()


def test_figures_draw_intervals_and_hatch_what_is_undefined() -> None:
    index = pd.MultiIndex.from_tuples([("au", "none"), ("au", "random")])
    table = pd.DataFrame({"difference": [0.1, np.nan], "ci_low": [0.05, np.nan], "ci_high": [0.2, np.nan]}, index)
    drawn = difference_plot(table, table, 0.02)
    assert [a.get_title(loc="left") for a in drawn.axes] == ["specificity (headline)", "accuracy"]
    low, high = drawn.axes[1].get_xlim()
    assert low < -0.02 < 0.2 < high
    cells = specificity_cells(pd.DataFrame({"fear": [0.1, np.nan]}, ["au", "none"]))
    assert "undefined" in {text.get_text() for text in cells.axes[0].texts}


def test_the_tables_of_a_paper_hold_the_numbers_of_the_page(make: Any) -> None:
    study = make(accuracy=0.81, safe=False)
    made = twin_exports.printed(study)
    arms, caption = made["twins"]
    assert arms["arm"].tolist() == ARMS
    assert arms["specificity"].tolist() == [SPECIFICITY[arm] for arm in ARMS]
    assert arms.loc[0, ["accuracy", "accuracy_ci_low", "accuracy_ci_high"]].tolist() == pytest.approx([0.81, 0.8, 0.82])
    assert "against the masks 'ekman', which judge" in caption
    table, _ = made["differences"]
    assert len(table) == 9
    leading = table[table["measure"] == "IoU, specificity"].set_index("second")
    assert {arm: (row["ci_low"], row["ci_high"]) for arm, row in leading.iterrows()} == ENDS
    assert leading["verdict"].tolist() == ["excludes 0", "includes 0", "excludes 0"]
    assert set(table.loc[table["measure"] == "accuracy", "verdict"]) == {"includes 0, not shown to be non-inferior"}
    floors, _ = made["floors"]
    assert floors.drop(columns="map").to_numpy().tolist() == [[0.3] * len(MEASURES)] * 4
    text = "\n".join(latex(*made["twins"], "tab:twins"))
    assert r"arm & accuracy & low & high & specificity & low & high & macro-F1 & IoU &" in text
    assert r"shuffled & 0.810 & 0.800 & 0.820 & 0.070 & 0.060 & 0.080 &" in text


def test_an_arm_that_failed_has_no_numbers_in_the_tables_of_a_paper(make: Any) -> None:
    study = make()
    study.twins = study.twins[study.twins["guide"] != "template"]
    arms, _ = twin_exports.printed(study)["twins"]
    assert arms.set_index("arm").loc["template"].isna().all()


def test_methods_say_what_was_run(make: Any) -> None:
    text = twin_exports.methods(make(name="lfw"))
    for part in (
        "net was trained 8 times (preset 'quick', seeds 3 to 10) on lfw: 1,200 faces of 90 people",
        "they differ in the map that guides: au (the AU map of the face's expression); none (no map: plain training);",
        "('au_cosine'; Belharbi et al. 2024, doi:10.48550/arXiv.2402.00281), weight 4, at the layer last (features.7)",
        "explained 1 of 2 test faces of 2 people",
        "against the masks 'ekman'",
        "Owen 2007, doi:10.1214/07-AOAS122",
        "with 500 draws",
        "lies above −0.02",
    ):
        assert part in text
    assert "same author" not in text
    one = twin_exports.methods(make(seeds=1, ablate="weight"))
    assert "trained once (preset 'quick', seed 3)" in one
    assert "they differ in one setting of the guide (weight): au, none, template and shuffled." in one
    assert "people only" in one
    assert "same author" in one
    assert "drawn anew for every seed" in twin_exports.methods(make(ablate="data"))
