"""Which networks are near chance, what is rarely recognised: closed forms."""

import numpy as np
import pandas as pd
import pytest

from xfer.labels import BASIC
from xfer.report import trained
from xfer.report.outcomes import correlations


def test_results_are_means_over_folds_best_first():
    networks = pd.DataFrame(
        {
            "model": ["b", "a", "a", "c"], "failed": ["", "", "", "no memory"], "accuracy": [0.9, 0.4, 0.6, np.nan],
            "macro_f1": [0.8, 0.3, 0.5, np.nan], "linear": [0.5, 0.4, 0.5, np.nan], "chance": [0.25] * 4,
            "validation_accuracy": [0.9, 0.5, 0.7, np.nan], "n_test": [100, 40, 60, np.nan],
        }
    )  # fmt: skip
    table = trained.results(networks)
    assert list(table.index) == ["b", "a"]
    assert table.loc["a", ["accuracy", "low", "high", "n_test", "folds"]].tolist() == [0.5, 0.4, 0.6, 100, 2]
    assert table.loc["a", "linear"] == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("accuracy", "linear", "chance", "n", "common", "kind"),
    [
        (0.32, 0.1, 0.2, 100, np.nan, "chance"),  # 0.2 + 3 * sqrt(0.2 * 0.8 / 100) = 0.32
        (0.33, 0.1, 0.2, 100, np.nan, ""),
        (0.33, 0.34, 0.2, 100, np.nan, "linear"),
        (0.55, 0.1, 0.2, 100, 0.5, "chance"),  # always the most frequent expression: 0.5 + 0.15
        (0.66, 0.1, 0.2, 100, 0.5, ""),
        (np.nan, 0.1, 0.2, 100, np.nan, "unknown"),
        (0.9, 0.1, 0.2, 0, np.nan, "unknown"),
        (0.9, np.nan, 0.2, 100, np.nan, ""),
    ],
)
def test_verdict_on_a_network(accuracy, linear, chance, n, common, kind):
    assert trained.verdict(accuracy, linear, chance, n, common).kind == kind


@pytest.fixture
def predictions():
    shown = ["fear", "fear", "fear", "anger", "neutral"]
    said = ["fear", "anger", "anger", "anger", "anger"]
    return pd.DataFrame({"model": "a", "expression": shown, "predicted": said, "p_sadness": 0.0})


def test_confusion_counts_true_rows_and_predicted_columns(predictions):
    counts = trained.confusions(predictions)["a"]
    assert list(counts.index) == list(counts.columns) == ["anger", "fear", "sadness", "neutral"]
    assert counts.to_numpy().tolist() == [[1, 0, 0, 0], [2, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]


def test_recall_is_the_diagonal_share_and_undefined_without_faces(predictions):
    recall = trained.recalls(predictions).loc["a"]
    np.testing.assert_allclose(recall.to_numpy(), [1, 1 / 3, np.nan, 0])


def test_the_most_frequent_expression_is_what_guessing_reaches(predictions):
    assert trained.commonest(predictions).to_dict() == {"a": 0.6}


def test_doubts_of_a_study(make_trained):
    recall = {("net_a", e): 0.2 for e in BASIC} | {("net_b", "fear"): 0.1}
    study = make_trained(recall=recall, coarse=("net_c",), linear=0.4)
    found = trained.doubts(study)
    assert list(found.networks) == ["net_a"]
    assert found.expressions == {("net_a", e): 0.2 for e in BASIC} | {("net_b", "fear"): 0.1}
    assert list(found.coarse) == ["net_c"]
    assert [found.mark("net_a", "fear"), found.mark("net_b", "fear"), found.mark("net_b", "anger")] == ["†‡", "‡", ""]
    assert [found.note("net_a", "fear"), found.note("net_b", "fear"), found.note("net_b", "anger")] == [
        "near chance", "recall 0.10", "",
    ]  # fmt: skip


def test_maps_from_files_raise_no_doubts(make_study):
    assert trained.doubts(make_study()) == trained.Doubts()


def test_correlations_are_those_of_numpy_over_the_finite_support():
    draw = np.random.default_rng(0)
    one, other = draw.random((2, 3, 4, 5)), draw.random((2, 3, 4, 5))
    support = draw.random((4, 5)) > 0.3
    one[0, 0][support.nonzero()[0][0], support.nonzero()[1][0]] = np.nan
    other[1, 2] = 7.0
    found = correlations(one, other, support)
    known = support & np.isfinite(one[0, 0])
    assert found[0, 0] == pytest.approx(np.corrcoef(one[0, 0][known], other[0, 0][known])[0, 1])
    assert found[1, 1] == pytest.approx(np.corrcoef(one[1, 1][support], other[1, 1][support])[0, 1])
    assert np.isnan(found[1, 2])
