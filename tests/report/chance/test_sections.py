"""What the sections on chance say: the study's numbers, their reasons, and nothing where there is nothing."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from xfer.nulls import NULLS
from xfer.report import chance, methods, nulls, rankings, standings, supports, variance
from xfer.report.page import render, sections

NAMED = ("anger", "disgust", "fear")
NAMES = ("chance", "cells", "nulls", "comparisons", "variance", "supports", "methods")
MAKERS = (
    chance.headline, chance.cells, nulls.nulls, rankings.comparisons, variance.variance, supports.supports,
    methods.section,
)  # fmt: skip


def shown(value, digits=3):
    return "undefined" if np.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def ends(low, high):
    return f"{shown(low)} to {shown(high)}"


def behind(value, low, high):
    return f"{shown(value)} ({ends(low, high)})"


@pytest.fixture(scope="module")
def tested(make_tested):
    return make_tested(folds=("CV1", "CV2"))


@pytest.fixture(scope="module")
def page(tested, page_of):
    return page_of(tested)


@pytest.fixture(scope="module")
def statistics_of(whole_page):
    """A function that builds the sections on chance alone and reads them back."""

    def build(study):
        made = [section for make in MAKERS if (section := make(study))]
        return type(whole_page)(render("xfer report", study.name, made))

    return build


def test_page_has_the_sections_after_the_scores(tested):
    ids = [section.id for section in sections(tested)]
    assert [name for name in ids if name in NAMES] == list(NAMES)
    assert ids.index("chance") == ids.index("scores") + 1
    assert ids.index("supports") == ids.index("families") + 1


@pytest.mark.parametrize("make", MAKERS)
def test_studies_without_statistics_have_no_such_section(make, make_study):
    assert make(make_study()) is None


@pytest.mark.parametrize("make", MAKERS)
def test_tables_without_rows_make_no_section(make, make_tested):
    study = make_tested()
    for name in ("inference", "network_scores", "nulls", "comparisons", "clades", "ceilings"):
        setattr(study, name, pd.DataFrame())
    assert make(study) is None


@pytest.mark.parametrize(
    "parts",
    [
        {"models": ("net_a",)}, {"models": ("net_a", "net_b")}, {"expressions": ("fear",)},
        {"models": ("net_a",), "expressions": ("fear",)}, {"folds": ("CV1", "CV2")},
        {"constant": [("net_a", "fear")]}, {"constant": [(m, e) for m in ("net_a", "net_b", "net_c") for e in NAMED]},
        {"missing": [("net_b", "fear")]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("level", ["blocks of subjects", ""])
def test_no_hole_in_a_study_stops_a_section(make_tested, parts, level):
    study = make_tested(level=level, anchored=level != "", **parts)
    for make in MAKERS:
        make(study)


def test_network_table_repeats_the_study(tested, page):
    rows, table = page.table("chance"), standings.networks(tested, "iou")
    assert rows[0] == [
        "network", "anchored (95% interval)", "corrected (95% interval)", "raw", "chance", "ceiling",
        "q ≤ .05 (least)", "p",
    ]  # fmt: skip
    assert "adjusted for 3 networks (Holm)" in page.said("chance")
    told = tested.network_scores[tested.network_scores["threshold"] == "otsu"].set_index("model")
    assert [r[0] for r in rows[1:]] == list(told["anchored"].sort_values(ascending=False).index)
    for name, *cells in rows[1:]:
        one = told.loc[name]
        assert cells[:5] == [
            behind(one.anchored, one.anchored_low, one.anchored_high),
            behind(one.corrected, one.ci_low, one.ci_high),
            shown(one.value), shown(one.null_mean), shown(one.ceiling),
        ]  # fmt: skip
        own = tested.inference.query("model == @name and threshold == 'otsu'")
        assert cells[5:] == [f"{(own.q <= 0.05).sum()} of 3 ({shown(own.q.min())})", shown(one.p_holm)]
        assert table.loc[name, "passed"] == (own.q <= 0.05).sum()


def test_cell_table_repeats_the_study(tested, page):
    rows = page.table("cells")
    own = tested.inference[tested.inference["threshold"] == "otsu"]
    assert len(rows) == len(own) + 1
    assert "q (9 tests)" in rows[0]
    for row, one in zip(rows[1:], own.itertuples(), strict=True):
        q = "< 0.001" if one.q < 0.0005 else shown(one.q)
        assert row == [
            one.model, one.expression, behind(one.anchored, one.anchored_low, one.anchored_high),
            behind(one.corrected, one.ci_low, one.ci_high), shown(one.value), shown(one.half_value),
            "0.150", "0.550", "< 0.001" if one.p < 0.0005 else shown(one.p), q, "0.90", "120",
        ]  # fmt: skip


def test_null_table_counts_what_each_null_lets_pass(tested, page):
    rows = {r[0]: r[1:] for r in page.table("nulls")[1:]}
    assert list(rows) == [standings.null_title(n) for n in sorted(NULLS, key=lambda n: not NULLS[n].primary)]
    own = tested.nulls[(tested.nulls["metric"] == "iou") & (tested.nulls["threshold"] == "otsu")]
    for name, some in own.groupby("null"):
        score, above, p, q, what = rows[standings.null_title(name)]
        assert score == shown(some["null_mean"].mean())
        assert above == f"{(some['value'] > some['null_mean']).sum()} of 9"
        assert NULLS[name].words in what
        assert NULLS[name].reference in what
        drawn = NULLS[name].kind == "draws" and name != "mirror"
        assert (p[:7], q[:7]) == (("2 of 9",) * 2 if drawn else ("no test",) * 2)


def test_random_pixels_are_an_expectation_and_never_a_test(page):
    said = page.said("nulls")
    (row,) = (r for r in page.table("nulls") if r[0] == "random pixels")
    assert row[3].startswith("no test")
    assert "an expectation is no test" in said
    assert "Random pixels are an expectation and never a test" in said


def test_nulls_that_score_higher_than_the_heatmaps_are_named(make_tested, statistics_of):
    study = make_tested()
    study.nulls = study.nulls.assign(null_mean=np.where(study.nulls["null"] == "centre_bias", 0.9, 0.01))
    said = statistics_of(study).said("nulls")
    assert "centre bias 0.900 (9 of 9 heatmaps are not above it)." in said
    assert "mirrored map 0.010 (" not in said


@pytest.mark.parametrize(
    ("beaten", "said"),
    [
        (0, "None of the 9 heatmaps beats smooth chance maps at a false discovery rate of .05 (IoU at the threshold "
            "'otsu', 9 tests)."),
        (1, "1 of the 9 heatmaps fits the mask better than smooth chance maps"),
        (2, "2 of the 9 heatmaps fit the mask better than smooth chance maps at a false discovery rate of .05"),
        (9, "All 9 heatmaps fit the mask better than smooth chance maps"),
    ],
)  # fmt: skip
def test_finding_stands_on_top_in_plain_words(make_tested, statistics_of, beaten, said):
    section = statistics_of(make_tested(beaten=beaten)).section("chance")
    assert said in section.xpath("string(./p[1])")


def test_draws_too_few_for_one_heatmap_to_pass_are_told(make_tested, statistics_of):
    study = make_tested(beaten=0)
    assert "draws no p is below" not in statistics_of(study).said("chance")
    study.nulls = study.nulls.assign(n_draws=20)
    said = statistics_of(study).said("chance")
    assert "With 20 draws no p is below 0.048: 9 heatmaps or more would have to reach that for one to pass" in said


def test_finding_names_the_expressions(make_tested, statistics_of):
    study = make_tested(beaten=3)
    passed = study.inference[(study.inference["threshold"] == "otsu") & (study.inference["q"] <= 0.05)]
    said = statistics_of(study).said("chance")
    for expression, count in passed.groupby("expression").size().items():
        assert f"{expression} {count}" in said


def test_scores_that_are_not_anchored_say_why_and_give_the_place_to_corrected_ones(make_tested, statistics_of):
    page = statistics_of(make_tested(anchored=False))
    assert "No score is anchored between chance and ceiling here (no ceiling: the masks' frame is not known)" in (
        page.said("chance")
    )
    assert page.table("chance")[0][:2] == ["network", "corrected (95% interval)"]
    assert "ceiling" not in page.table("chance")[0]
    assert "Noise-corrected IoU of every network" in page.said("cells")


def test_published_maps_of_one_fold_have_no_interval_and_say_so(make_tested, statistics_of):
    page = statistics_of(make_tested(level="", anchored=False))
    assert "so there are no intervals" in page.said("chance")
    assert "one map of a cell: nothing to resample" in page.said("chance")
    for row in page.table("chance")[1:]:
        assert row[1] == "undefineda"
    assert "No cell has an interval" in page.said("cells")


def test_undefined_cells_carry_their_reason(make_tested, statistics_of):
    page = statistics_of(make_tested(constant=[("net_b", "fear")]))
    (row,) = (r for r in page.table("cells") if r[:2] == ["net_b", "fear"])
    assert row[2:4] == ["undefineda", "undefineda"]
    assert "a constant heatmap" in page.said("cells")
    last = page.table("chance")[-1]
    assert last[0] == "net_b"
    assert last[1] == "undefineda"
    assert "constant heatmap" in page.said("chance")
    assert last[6].startswith("0 of 2 (")


def test_heatmaps_that_explain_nothing_carry_their_mark(make_tested, statistics_of, monkeypatch):
    doubtful = SimpleNamespace(mark=lambda model, expression="": "†" if model == "net_a" else "")
    monkeypatch.setattr(chance, "doubts", lambda study: doubtful)
    page = statistics_of(make_tested())
    for name, place in (("chance", 1), ("cells", 2)):
        for row in page.table(name)[1:]:
            assert row[place].endswith("†") == (row[0] == "net_a")
        assert "† " in page.said(name)


def test_pairs_repeat_the_study_and_count_their_tests(tested, page):
    rows = page.table("comparisons")
    assert "p, Holm (3 tests)" in rows[0]
    assert "1 of 3 pairs of networks differ in IoU at the threshold 'area' on the same blocks" in page.said(
        "comparisons"
    )
    first = tested.comparisons.iloc[0]
    assert rows[1] == [
        first["first"], first["second"], shown(first.corrected), ends(first.ci_low, first.ci_high),
        shown(first.difference), "0.80", "< 0.001", shown(first.p_holm),
        shown(first.p_bh), "30",
    ]  # fmt: skip


def test_pairs_of_too_few_units_are_told_apart_by_nothing(make_tested, statistics_of):
    study = make_tested(level="folds")
    study.comparisons = study.comparisons.assign(n=5)
    said = statistics_of(study).said("comparisons")
    assert "With 5 units the smallest possible p is 0.062, and Holm's correction multiplies it by up to 3" in said


def test_pairs_that_cannot_be_compared_say_why(make_tested, statistics_of):
    study = make_tested()
    gone = dict.fromkeys(("difference", "effect", "p", "p_holm", "p_bh"), np.nan)
    study.comparisons = study.comparisons.assign(**gone, m=0, reason="1 unit: nothing to permute")
    page = statistics_of(study)
    assert "No pair of networks could be compared" in page.said("comparisons")
    assert "a 1 unit: nothing to permute" in page.said("comparisons")


def test_ranking_repeats_its_test_and_its_warning(tested, page):
    found, said = tested.ranking("iou"), page.said("comparisons")
    assert f"χ² = {found.statistic:.2f}, p = {found.p:.3f}" in said
    assert found.warning in said
    (image,) = page.section("comparisons").xpath(".//img")
    for name, rank in found.average.items():
        assert f"{name} {rank:.2f}" in image.get("alt")


def test_two_networks_have_no_ranking_and_say_so(make_tested, statistics_of):
    said = statistics_of(make_tested(models=("net_a", "net_b"))).said("comparisons")
    assert "No ranking was tested: fewer than 3 networks." in said


def test_supports_count_branches_and_compare_folds(tested, page):
    rows = page.table("supports")
    assert rows[0][-2:] == ["Baker's gamma between folds", "adjusted Rand between folds"]
    assert [r[0] for r in rows[1:]] == list(NAMED)
    for row in rows[1:]:
        fits = tested.cophenetic(row[0])
        assert row[1:] == ["0 of 1", *(shown(fits[n], 2) for n in ("average", "complete", "single")), "0.40", "0.60"]
    assert "0 of 3 branches are in 50% or more of the trees drawn anew" in page.said("supports")


def test_supports_of_one_fold_compare_none(make_tested, statistics_of):
    assert len(statistics_of(make_tested()).table("supports")[0]) == 5


def test_variance_repeats_the_shares(tested, page):
    rows = page.table("variance")
    table = tested.variance("iou").table
    assert [r[0] for r in rows[1:]] == list(table["factor"])
    for row, one in zip(rows[1:], table.itertuples(), strict=True):
        assert row[3:] == [shown(one.omega), ends(one.ci_low, one.ci_high), shown(one.eta)]
    assert "leaving out one expression after the other" in page.said("variance")


def test_winners_say_whether_they_change(tested, page, make_tested, statistics_of):
    assert "Threshold: no, " in page.said("variance")
    study = make_tested()
    rows = study.inference[study.inference["metric"] == "iou"]
    lifted = rows.assign(value=rows["value"] + 5.0 * ((rows["model"] == "net_a") == (rows["threshold"] == "area")))
    changed = standings.matrix(lifted[lifted["threshold"] == "otsu"], "value").mean(axis=1).idxmax()
    from xfer.statistics.variance import winner_changes

    study.winners = lambda metric: {"threshold": winner_changes(lifted, "threshold")}
    assert f"Threshold: yes. net_a (area) and {changed} (otsu)." in statistics_of(study).said("variance")


def test_page_with_statistics_no_longer_says_that_there_are_none(page, whole_page):
    for name, words in (
        ("headline", "no test against smooth"),
        ("limits", "No null model"),
        ("limits", "No intervals"),
    ):
        assert words in whole_page.said(name)
        assert words not in page.said(name)
    assert "no support values" not in page.said("families")


def test_dangerous_names_come_out_as_text(make_tested, page_of):
    names = ("<script>alert(1)</script>", "=1+1", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}")
    study = make_tested(models=names)
    evil = "<b>why</b> & {masks}"
    study.inference = study.inference.assign(reason=evil, ci_low=np.nan)
    page = page_of(study)
    assert len(page.xpath("//script[not(@type)]")) == 1
    assert page.xpath("//b") == []
    assert {row[0] for row in page.table("chance")[1:]} == set(names)
    assert evil in page.said("cells")
