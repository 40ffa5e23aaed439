"""What the page says of networks that the study trained."""

import re

import numpy as np
import pandas as pd
import pytest

from xfer.errors import InputError
from xfer.labels import BASIC
from xfer.report import agreement, outcomes, people, recognition, record
from xfer.report.page import build, sections
from xfer.study.recognition import SHOWN

TWO = ("fear", "anger")


def told(section):
    """The paragraphs, list entries and notes of a section, one a line."""
    lines = []
    for block in section.blocks:
        if block.kind == "text":
            lines.append(block.text)
        elif block.kind == "items":
            lines += [f"{lead} {text}" for lead, text in block.items]
        elif block.kind == "plot":
            lines.append(block.reading)
        elif block.kind == "table" and block.notes:
            lines += list(block.notes.values())
    return lines


def rows(section, index=0):
    """A table's rows as text, marks behind the numbers."""
    table = [b for b in section.blocks if b.kind == "table"][index]
    held = [[c if isinstance(c, str) else c.text + c.mark for c in row] for row in (*table.rows, *table.foot)]
    return [list(table.head), *held]


@pytest.fixture
def weak(make_trained):
    """A network near chance, one below the linear classifier, one that rarely sees fear, one on a coarse grid."""
    recall = {("guess", e): 0.2 for e in BASIC} | {("linear", e): 0.4 for e in BASIC} | {("sound", "fear"): 0.2}
    return make_trained(("guess", "coarse", "linear", "sound"), recall=recall, coarse=("coarse",), linear=0.45)


def test_warnings_are_in_plain_words(weak):
    section = recognition.warnings(weak)
    assert told(section)[1:] == [
        "linear: accuracy 0.400 is below that of the linear classifier on 24 x 24 grey pixels (0.450): the network "
        "learnt less than the plain pixels tell. Such a heatmap explains nothing, for any expression.",
        "guess: accuracy 0.200 on 180 test faces is not above guessing (0.167) by 3 standard errors, which would "
        "take 0.250. Such a heatmap explains nothing, for any expression.",
        "guess rarely recognises anger 0.20, disgust 0.20, fear 0.20, happiness 0.20, sadness 0.20, surprise 0.20 "
        "(recall under 0.30): such a heatmap explains nothing.",
        "sound rarely recognises fear 0.20 (recall under 0.30): such a heatmap explains nothing.",
        "coarse: not scored: layer 'last' has 2 x 2 cells, fewer than 4 x 4. A map of so few cells cannot tell parts "
        "of a face apart.",
    ]


def test_without_doubts_the_page_says_so(make_trained):
    (said,) = told(recognition.warnings(make_trained(expressions=TWO)))
    assert said.startswith("Every network is more than 3 standard errors above guessing")


def test_scores_of_heatmaps_that_explain_nothing_are_marked_everywhere(weak):
    table = {row[0]: row[1:] for row in rows(agreement.scores(weak))}
    assert all(cell.endswith("†‡") for cell in table["guess"][:-1])
    assert all(cell.endswith("†") for cell in table["linear"][:-1])
    assert [cell[-1] == "‡" for cell in table["sound"][:-1]] == [e == "fear" for e in BASIC]
    assert table["coarse"][:-1] == ["undefineda"] * 6
    notes = told(agreement.scores(weak))
    assert "network near chance or below the linear classifier: such a heatmap explains nothing." in notes
    assert "layer 'last' has 2 x 2 cells, fewer than 4 x 4" in notes
    accuracy = {row[0]: row[1] for row in rows(recognition.recognition(weak))}
    assert accuracy["guess"] == "0.200†"
    assert accuracy["sound"] == "0.700"


def test_headline_warns_and_puts_accuracy_beside_agreement(weak):
    section = agreement.headline(weak)
    facts = {meaning: value for value, meaning in section.blocks[0].figures}
    assert facts["accuracy, worst to best network (chance 0.167)"] == "0.200 to 0.800"
    means = weak.table().mean(axis=1)
    assert facts["mean IoU, lowest to highest network"] == f"{means.min():.3f} to {means.max():.3f}"
    assert facts["test faces of 20 subjects"] == "180"
    assert (
        "Some heatmaps explain nothing: all of linear and guess and 1 further cell of a rarely recognised "
        "expression. They are marked everywhere on this page; see 'Heatmaps that explain nothing'."
    ) in told(section)


def test_headline_tells_what_was_run(make_trained):
    study = make_trained(expressions=TWO, explainers=("grad_cam", "layer_cam"), folds=("1", "2"))
    assert (
        "3 networks were trained with the preset 'quick' (seed 0) on faces of 'folder:faces': 2,400 faces of 300 "
        "subjects showing fear and anger. In each of 2 folds other subjects were held out, so that every network was "
        "trained 2 times and each subject is tested once. The subjects of the test faces took no part in training, nor "
        "in choosing an epoch. Then grad cam and layer cam explained every test face, towards the true expression of "
        "each face, and the maps were put on one face frame and averaged per network and expression."
    ) in told(agreement.headline(study))


@pytest.mark.parametrize(("data", "cautions"), [("synthetic", 1), ("folder:synthetic", 0)])
def test_drawn_faces_are_cautioned_about(make_trained, data, cautions):
    said = " ".join(told(agreement.headline(make_trained(expressions=TWO, data=data))))
    assert said.count("faces and masks share an author") == cautions


def test_recognition_table_has_means_and_ranges_over_five_folds(make_trained):
    folds = tuple("12345")
    study = make_trained(("net",), TWO, folds)
    networks = study.networks.assign(accuracy=[0.5, 0.6, 0.7, 0.8, 0.9])
    study.networks = networks
    head, row, _ = rows(recognition.recognition(study))
    assert dict(zip(head, row, strict=True)) == {
        "network": "net", "accuracy": "0.700", "lowest fold": "0.500", "highest fold": "0.900", "macro-F1": "0.780",
        "linear classifier": "0.450", "chance": "0.500", "validation accuracy": "0.810", "test faces": "300",
    }  # fmt: skip
    made = {}
    for index in (1, 2):
        head, row = rows(recognition.recognition(study), index)
        made |= dict(zip(head, row, strict=True))
    assert made["kept epoch"] == "3, 4, 5, 6, 7"
    assert made["start"] == "from scratch (no ImageNet weights here)"
    assert made["grid"] == "8 x 8"
    assert made["parameters"] == "1,234,567"
    build(study)


def test_recall_table_marks_what_is_rarely_recognised(weak):
    table = {row[0]: row[1:] for row in rows(recognition.recognition(weak), 3)}
    assert table["sound"] == ["0.80", "0.80", "0.20‡", "0.80", "0.80", "0.80", "0.70"]


def test_networks_that_failed_are_named_with_their_reason(make_trained, page_of):
    failed = {"net_a": "ran out of <memory>", "net_b": "loss is not finite"}
    study = make_trained(expressions=TWO, failed=failed)
    page = page_of(study)
    assert "One network was trained" in page.said("headline")
    assert "2 of 3 networks failed and are not among the numbers: net_a, net_b." in page.said("headline")
    assert page.table("left-out")[1:] == [["net_a", "ran out of <memory>"], ["net_b", "loss is not finite"]]
    assert "Nothing of the networks that finished" in page.said("left-out")
    made = {row[0]: row[-1] for row in page.table("recognition", 2)}
    assert made["net_b"] == "failed: loss is not finite"
    assert not re.search(r"\bnan\b", re.sub(r'src="[^"]*"', "", page.html), re.IGNORECASE)


def test_an_unknown_accuracy_is_said_and_doubted(make_trained, page_of):
    study = make_trained(("net_a", "net_b"), TWO)
    at = study.networks["model"] == "net_a"
    study.networks.loc[at, ["accuracy", "macro_f1", "n_test", "validation_accuracy"]] = np.nan
    study.predictions = study.predictions[study.predictions["model"] != "net_a"]
    page = page_of(study)
    assert "net_a: its accuracy is not known (no labelled test face)" in page.said("doubts")
    assert not re.search(r"\bnan\b", re.sub(r'src="[^"]*"', "", page.html), re.IGNORECASE)


def test_expressions_without_a_mask_are_shown_and_not_scored(make_trained):
    study = make_trained(("net_a", "net_b"), (*TWO, "neutral"), unmasked=("neutral",))
    assert rows(agreement.scores(study))[0] == ["network", "anger", "fear", "mean"]
    dropped = record.left_out(study).blocks[0]
    assert dropped.title == ("Expressions without a mask in the source 'ekman': their heatmaps are shown, not scored.")
    assert [list(row) for row in dropped.rows] == [["neutral", "no mask"]]
    build(study)


def test_dropped_faces_are_counted_by_reason(make_trained):
    study = make_trained(expressions=TWO)
    lost = [("face", "", "no face found", 1234), ("expression", "contempt", "12 faces, fewer than 30", 12)]
    study.dropped = pd.DataFrame(lost, columns=["kind", "name", "reason", "n"])
    expression, face, said = record.left_out(study).blocks
    assert [list(r) for r in expression.rows] == [["contempt", "12 faces, fewer than 30"]]
    assert [list(r) for r in face.rows] == [["no face found", "1,234", ""]]
    assert said.text.startswith("Nothing of the networks that finished")


def test_pairs_have_their_correlation_and_few_faces_are_said(make_trained):
    recall = {("net_a", "fear"): 0.9, ("net_b", "fear"): 1.0}
    study = make_trained(("net_a", "net_b"), TWO, recall=recall)
    section = outcomes.outcomes(study)
    table = {row[0]: row[1:] for row in rows(section)}
    maps = {o: study.heatmaps[(study.heatmaps["outcome"] == o).values & (study.heatmaps["model"] == "net_a").values
                              & (study.heatmaps["expression"] == "fear").values
                              & (study.heatmaps["normalisation"] == "positive_l1").values].values[0].ravel()
            for o in ("correct", "incorrect")}  # fmt: skip
    assert table["net_a"][1] == f"{np.corrcoef(*maps.values())[0, 1]:.2f}c"
    assert table["net_b"][1] == "undefinedb"
    assert set(told(section)[1:]) == {
        "no incorrectly recognised faces.",
        "fewer than 5 faces behind one of the two maps: their correlation says little.",
    }


def test_faces_selected_by_the_answer_have_no_pairs(make_trained):
    (said,) = told(outcomes.outcomes(make_trained(expressions=TWO, selection="predicted")))
    assert said.endswith("faces were selected by what the network answered.")


def test_other_explainers_have_a_row_and_a_column(make_trained):
    study = make_trained(("net_a", "net_b"), TWO, explainers=("layer_cam", "grad_cam"))
    head, *body = rows(outcomes.explainers(study))
    assert head == ["network", "layer cam", "grad cam"]
    own = study.scores[(study.scores["metric"] == "iou") & (study.scores["mask_expression"] == study.scores.expression)]
    own = own[(own["outcome"] == "all") & (own["model"] == body[0][0])]
    assert body[0][1:] == [f"{own[own.explainer == e]['value'].mean():.4f}" for e in ("layer_cam", "grad_cam")]
    assert outcomes.explainers(make_trained(("net_a",), TWO)) is None


@pytest.mark.parametrize("faces", SHOWN)
def test_whose_faces_a_page_shows(make_trained, faces):
    study = make_trained(("net_a",), ("fear",))
    held = {section.id: section for section in sections(study, faces)}
    reading = held["heatmaps"].blocks[0].reading
    assert ("No face is shown beneath the maps" in reading) is (faces == "none")
    assert ("mean of the test faces" in reading) is (faces != "none")
    assert ("people" in held) is (faces == "all")
    if faces == "all":
        first, second = told(held["people"])
        assert "check that the licence of 'folder:faces' and the consent of the people shown permit it" in first
        assert second == "This study kept no heatmaps of single faces, so none are shown."


def test_another_word_for_faces_is_refused(make_trained):
    study = make_trained(("net_a",), ("fear",))
    with pytest.raises(
        InputError, match=r"'faces' must be one of mean, none, all; got 'mea' \(did you mean 'mean'\?\)"
    ):
        build(study, "mea")


def test_a_mean_face_of_few_people_is_cautioned_about(make_trained):
    study = make_trained(("net_a",), ("fear",), shown=8)
    few = people.few_people(study, people.mean_face(study, "mean"))
    assert few[0].text.startswith("The mean face is of 8 people only")
    assert people.few_people(study, None) == []
    study.mean_face = None
    assert people.mean_face(study, "mean") is None
    assert people.beneath(study, None) == ""
    build(study)


def test_one_network_and_one_expression_still_have_a_page(make_trained, page_of):
    page = page_of(make_trained(("net_a",), ("fear",)))
    assert "not above guessing (1.000)" in page.said("doubts")


def test_names_from_elsewhere_come_out_as_text(make_trained, page_of):
    bad = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{masks}")
    study = make_trained(bad, TWO, coarse=(bad[2],), recall={(bad[0], "fear"): 0.0, (bad[0], "anger"): 0.1})
    study.networks["start"] = study.networks["remarks"] = "<script>alert(2)</script>"
    study.config["preset"] = study.config["data"]["name"] = "<b>{x}</b>"
    page = page_of(study)
    assert len(page.xpath("//script[not(@type)]")) == 1
    assert page.xpath("//b") == []
    assert all(src.startswith("data:") for src in page.xpath("//img/@src"))
    assert {row[0] for row in page.table("recognition")} >= set(bad)
    assert f"{bad[0]} rarely recognises" in page.said("doubts")


def test_maps_from_files_have_none_of_these_sections(make_study):
    held = {section.id for section in sections(make_study(models=("a", "b"), expressions=TWO), "all")}
    assert held.isdisjoint({"doubts", "recognition", "curves", "outcomes", "explainers", "people"})
