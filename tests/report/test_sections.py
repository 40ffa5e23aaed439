"""What the sections say, of complete studies and of those with holes."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xfer.errors import InputError
from xfer.labels import BASIC
from xfer.report import controls
from xfer.report.reading import figure_names
from xfer.study import imported


def test_score_table_repeats_the_study(make_study, page_of):
    study = make_study()
    rows = page_of(study).table("scores")
    table = study.table()
    assert rows[0] == ["network", *BASIC, "mean"]
    order = table.mean(axis=1).sort_values(ascending=False).index
    assert [r[0] for r in rows[1:]] == [*order, "mean", "chance"]
    for row in rows[1:4]:
        expected = [*table.loc[row[0]], table.loc[row[0]].mean()]
        assert row[1:] == [f"{v:.4f}" for v in expected]
    assert rows[-2][-1] == f"{table.to_numpy().mean():.4f}"
    assert rows[-1][1:-1] == [f"{v:.4f}" for v in study.chance()]


def test_headline_names_counts_best_and_worst(make_study, page_of):
    study = make_study(folds=("CV1", "CV2"))
    said = page_of(study).said("headline")
    means = study.table().mean(axis=1)
    for part in (
        "networks3", "expressions6", "heatmaps in 2 folds36",
        f"best network, mean IoU {means.max():.4f}{means.idxmax()}",
        f"worst network, mean IoU {means.min():.4f}{means.idxmin()}",
        "from the source 'ekman'", "IoU at the threshold 'otsu'", "on the whole canvas and averaged over folds",
        "FACS agreement", "no test against smooth random maps",
    ):  # fmt: skip
        assert part in said


def test_support_smaller_than_the_canvas_is_stated(make_study, page_of):
    study = make_study()
    study.support[: len(study.support) // 5] = False
    said = page_of(study).said("headline")
    assert "inside the support, 80% of the canvas" in said


def human(study):
    """The study with its masks made by four raters, one of whom has no map of anger."""
    reasons = np.full((4, 6), "", dtype="U6")
    reasons[0, 0] = "no map"
    shares = np.zeros((4, 6, 2, 2))
    people = xr.DataArray(shares, {"reason": (("rater", "expression"), reasons)}, ("rater", "expression", "y", "x"))
    study.scores["mask"] = study.masks.name = "human:people"
    study.masks.attrs["left_out"] = "1 of 24 maps are missing or of no use: no map (1)"
    study.raters = {"human:people": people}
    return study


def test_masks_collected_from_people_are_never_called_facs(make_study, page_of):
    study = human(make_study())
    page = page_of(study)
    assert "It measures human alignment" in page.said("headline")
    assert "FACS" not in page.said("limits") + page.said("headline") + page.said("masks")
    assert "where 3 to 4 raters saw the expression" in page.said("masks")
    assert "for 'human:people', 1 of 24 maps are missing" in page.said("left-out")


def test_each_kind_of_masks_keeps_its_word_and_the_first_leads(make_study, page_of):
    study = human(make_study())
    study.others = (study.masks.rename("ekman"),)
    study.scores = pd.concat([study.scores, study.scores.assign(mask="ekman")])
    page = page_of(study)
    assert [row[:2] for row in page.table("sources")[1:]] == [
        ["human:people", "human alignment"],
        ["ekman", "FACS agreement"],
    ]
    assert "a mean over both would be neither" in page.said("sources")
    said = page.said("limits")
    assert said.index("Human alignment holds for these raters") < said.index("FACS agreement is not human alignment")


def test_metrics_table_has_a_row_per_metric_with_its_declared_facts(whole_page):
    results, facts = whole_page.table("metrics"), whole_page.table("metrics", 1)
    assert [r[0] for r in results[1:]] == ["IoU", "Pearson r"]
    assert facts[1][:3] == ["IoU", "0 to 1", "p·q / (p + q − p·q)"]
    assert facts[2][:3] == ["Pearson r", "−1 to 1", "0"]
    assert "doi:" in facts[1][3]


def test_specificity_says_for_how_many_expressions_the_own_mask_wins(make_study, page_of):
    study = make_study()
    said = page_of(study).said("specificity")
    swap = study.swap()
    won = [e for e in swap.index if swap.loc[e].idxmax() == e]
    assert f"The own mask fits best for {len(won)} of 6 expressions" in said
    for expression in set(swap.index) - set(won):
        best = swap.loc[expression].idxmax()
        assert f"{expression} ({best}: {swap.loc[expression, best]:.3f} against" in said


@pytest.mark.parametrize(
    ("pooled", "said"),
    [
        ({"a": 0.4, "b": 0.2}, "does not change the winner: a is best"),
        (
            {"a": 0.1, "b": 0.2},
            "changes the winner: b is best when one map over all folds is scored (IoU 0.2000), a when every",
        ),
        ({"a": 0.1, "b": float("nan")}, "does not change the winner: a is best"),
    ],
)
def test_pooling_says_whether_the_winner_changes(make_study, pooled, said):
    study = make_study(models=("a", "b"))
    study.pooling = lambda: {"mean_of_folds": {"a": 0.3, "b": 0.1}, "pooled_map": pooled, "winners": None}
    text, *notes, _ = controls.pooling(study).blocks
    assert said in text.text
    assert len(notes) == (2 if pooled["b"] > pooled["a"] else 1)


@pytest.mark.parametrize(("given", "notes"), [("", 1), ("digest", 0)])
def test_pooling_warns_of_stretched_maps_unless_the_pooled_ones_are_given(make_study, given, notes):
    study = make_study(folds=("CV1", "CV2"))
    study.config["pooled"] = given
    said = " ".join(b.text for b in controls.pooling(study).blocks if b.kind == "text")
    assert said.count("may rank the networks otherwise") == notes


def test_without_folds_there_is_no_pooling_section(make_study, page_of):
    page = page_of(make_study())
    assert page.xpath("//section[@aria-labelledby='pooling']") == []


def test_cut_lists_the_group_drawn_on_top_first(make_study, page_of):
    study = make_study(models=("net_a", "net_b", "net_c", "net_d"))
    rows = page_of(study).table("families")
    for expression, first, second in rows[1:]:
        leaves = study.tree(expression).leaves
        assert [*first.split(", "), *second.split(", ")] == list(leaves)
    assert len(rows) == 7


def test_undefined_scores_say_so_with_their_reason(make_study, page_of):
    study = make_study(constant=[("net_b", "fear")])
    page = page_of(study)
    row = next(r for r in page.table("scores") if r[0] == "net_b")
    assert row[1 + BASIC.index("fear")] == "undefineda"
    assert "a constant heatmap" in page.said("scores")
    assert ["net_b", "fear", "all", "constant heatmap", "iou, pearson"] in page.table("left-out")
    said = page.said("families")
    assert "Left out of the dendrogram of fear: the map of net_b is constant or not finite" in said
    assert len(page.section("families").xpath(".//img")) == 6
    assert not re.search(r"\bnan\b", re.sub(r'src="[^"]*"', "", page.html), re.IGNORECASE)


def test_a_network_without_any_score_does_not_break_the_page(make_study, page_of):
    study = make_study(constant=[("net_b", e) for e in BASIC])
    rows = page_of(study).table("scores")
    last = rows[3]
    assert last[0] == "net_b"
    assert last[1:] == ["undefineda"] * 6 + ["undefined"]


def test_a_study_without_any_score_still_has_a_page(make_study, page_of):
    study = make_study(constant=[(m, e) for m in ("net_a", "net_b", "net_c") for e in BASIC])
    page = page_of(study)
    assert "no cell has a score" in page.said("headline")
    assert "No expression has a defined score" in page.said("specificity")


def test_missing_heatmaps_are_named(make_study, page_of):
    study = make_study(folds=("CV1", "CV2"), missing=[("net_b", "fear")])
    page = page_of(study)
    assert "2 of 36 heatmaps are missing" in page.said("left-out")
    assert page.table("left-out")[1:] == [["net_b", "fear", "CV1"], ["net_b", "fear", "CV2"]]
    row = next(r for r in page.table("scores") if r[0] == "net_b")
    assert row[1 + BASIC.index("fear")] == "undefineda"
    assert "there is no such map" in page.said("scores")


def test_complete_studies_left_nothing_out(whole_page):
    assert "Nothing: every network has a map" in whole_page.said("left-out")


def test_long_lists_are_cut_and_counted(make_study, page_of):
    study = make_study(
        models=[f"net_{i:02}" for i in range(14)], constant=[(f"net_{i:02}", e) for i in range(14) for e in BASIC]
    )
    rows = page_of(study).table("left-out")
    assert len(rows) == 62
    assert rows[-1][0] == "and 24 more"


def test_one_network_has_no_dendrogram_and_says_so(make_study, page_of):
    page = page_of(make_study(models=("net_a",)))
    said = page.said("families")
    assert "There is one network only (net_a), so there is no dendrogram" in said
    assert page.section("families").xpath(".//img") == []


def test_one_expression_cannot_be_compared_and_says_so(make_study, page_of):
    page = page_of(make_study(expressions=("fear",)))
    assert "There is one expression only" in page.said("expressions")
    assert "There is one mask only" in page.said("specificity")
    assert len(page.section("families").xpath(".//img")) == 1


def test_errors_of_the_study_become_words(make_study, page_of):
    def refuse(*_):
        raise InputError("maps of <two> networks only")

    study = make_study()
    study.expression_correlations = refuse
    page = page_of(study)
    assert "maps of <two> networks only" in page.said("expressions")


def test_a_study_scored_without_iou_leads_with_its_first_metric(make_study, page_of):
    study = make_study()
    study.scores = study.scores[study.scores["metric"] == "pearson"]
    page = page_of(study)
    assert "The headline measure is Pearson r, computed" in page.said("headline")
    assert page.table("scores")[-1][0] == "mean"
    assert page.xpath("//section[@aria-labelledby='metrics']") == []


def test_other_mask_sources_are_compared(make_study, page_of):
    study = make_study()
    other = study.scores.assign(mask="emfacs", value=study.scores["value"] / 2)
    table = study.table()
    study.table = lambda metric="iou": table
    study.scores = pd.concat([study.scores, other])
    study.others = (study.masks.rename("emfacs"),)
    rows = page_of(study).table("sources")
    assert [r[0] for r in rows[1:]] == ["ekman", "emfacs"]
    assert float(rows[2][-1]) == pytest.approx(float(rows[1][-1]) / 2, abs=1e-4)


def test_many_networks_are_shown_in_several_pictures(make_study, page_of):
    study = make_study(models=[f"net_{i:02}" for i in range(14)], expressions=("fear", "anger"))
    page = page_of(study)
    assert len(page.section("heatmaps").xpath(".//img")) == 2


def test_long_names_are_shortened_alike_in_every_figure_and_explained(make_study, page_of):
    stem = "timm:vit_base_patch16_224.augreg{}_in21k_ft_in1k"
    study = make_study(models=("net", stem.format(2), stem.format("")), expressions=("fear", "anger"))
    rows = page_of(study).table("heatmaps")
    assert [r[0] for r in rows[1:]] == [stem.format(2), stem.format("")]
    shorts = [r[1] for r in rows[1:]]
    assert len(set(shorts)) == 2
    assert all(len(s) <= 26 for s in shorts)
    assert figure_names(study) == {"net": "net"} | dict(zip([r[0] for r in rows[1:]], shorts, strict=True))


def test_provenance_shows_versions_configuration_and_digests(whole_page):
    said = whole_page.said("provenance")
    for part in ("versions.numpy", "ab" * 32, "cd" * 32, "threshold"):
        assert part in said


@pytest.mark.usefixtures("no_page")
def test_published_study_is_small_and_says_what_is_known(published, tmp_path, page_of):
    study = imported.compare_heatmaps(
        published / "by_network",
        pattern="{model}_{expression}_heatmap.png",
        masks=published / "masks",
        mask_pattern="{expression}_gt.png",
        metrics=["iou"],
        out=tmp_path / "study",
    )
    page = page_of(study)
    assert len(page.html) < 8e6
    said = page.said("headline")
    assert "mean IoU over all cells0.2689" in said
    assert "best network, mean IoU 0.3269ResNet50" in said
    assert "worst network, mean IoU 0.2066AlexNet" in said
    assert "The own mask fits best for 1 of 6 expressions: disgust." in page.said("specificity")
    chance = [float(v) for v in page.table("scores")[-1][1:-1]]
    np.testing.assert_allclose(chance, [0.159, 0.148, 0.152, 0.112, 0.158, 0.142], atol=2e-3)
    rows = {r[0]: set(r[1].split(", ")) for r in page.table("families")[1:]}
    assert rows["anger"] == {"AlexNet"}
    small = {"AlexNet", "SilNet", "SongNet", "WeiNet"}
    assert all(rows[e] == small or len(rows[e]) == 8 for e in ("disgust", "happiness", "sadness", "surprise"))


def test_tags_that_divide_the_networks_are_tested(make_study, page_of):
    """Names of the registry have tags; the p of so few networks cannot be small, and the table says so."""
    names = ["vgg16", "resnet50", "alexnet", "songnet"]
    rows = page_of(make_study(models=names)).table("tags")
    assert rows[0][:3] == ["tag", "networks", "test"]
    assert [row[:3] for row in rows[1:3]] == [["pretrained", "2 of 4", "PERMANOVA"], ["pretrained", "2 of 4", "Mantel"]]
    assert not page_of(make_study()).xpath("//section[@aria-labelledby='tags']")
