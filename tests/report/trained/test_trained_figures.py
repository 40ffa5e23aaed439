"""Figures of trained networks, read back from their artists."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from xfer.report import canvas, figures
from xfer.report.panels import blend


def lines(ax, gid):
    return [line.get_xydata().tolist() for line in ax.lines if line.get_gid() == gid]


@pytest.fixture
def accuracies():
    columns = ["accuracy", "low", "high", "linear", "chance"]
    return pd.DataFrame([[0.7, 0.6, 0.8, 0.5, 0.2], [0.3, 0.3, 0.3, 0.5, 0.2], [np.nan] * 3 + [0.5, 0.2]],
                        ["net_a", "net_b", "net_c"], columns)  # fmt: skip


def test_accuracy_chart_draws_accuracy_range_linear_classifier_and_chance(accuracies):
    ax = figures.accuracy_chart(accuracies, ["net_b"], 0.4).axes[0]
    assert lines(ax, "accuracy") == [[[0.7, 0.5]], [[0.3, 1.5]]]
    assert lines(ax, "range") == [[[0.6, 0.5], [0.8, 0.5]]]
    assert [line[0][0] for line in lines(ax, "linear")] == [0.5] * 3
    assert [line[0][0] for line in lines(ax, "chance")] == pytest.approx([0.2])
    assert [line[0][0] for line in lines(ax, "commonest")] == [0.4]
    assert [t.get_text() for t in ax.texts] == ["0.700", "0.300", "undefined"]
    hollow = [to_hex(line.get_color()) for line in ax.lines if line.get_gid() == "accuracy"]
    assert hollow == [canvas.BLUE, canvas.ORANGE]


def test_accuracy_key_names_only_what_is_drawn(accuracies):
    def key(fig):
        return [t.get_text() for t in fig.legends[0].get_texts()]

    assert key(figures.accuracy_chart(accuracies.iloc[1:2])) == ["network", "linear classifier", "chance"]
    assert "near chance or below linear" in key(figures.accuracy_chart(accuracies, ["net_b"]))
    figures.accuracy_chart(accuracies.iloc[2:])


@pytest.mark.parametrize("count", [1, 6, 8])
def test_confusion_cells_carry_counts_and_are_shaded_by_the_share_of_the_row(count):
    names = [f"e{i}" for i in range(count)]
    faces = np.arange(count * count).reshape(count, count)
    fig = figures.confusion_grid({"net_a": pd.DataFrame(faces, names, names)}, {"net_a": "0.50"})
    ax = fig.axes[0]
    drawn = [t.get_text() for t in ax.texts]
    if count == 1:
        assert drawn == []  # a row without faces has no share
        return
    assert drawn == [str(v) for v in faces.ravel()]
    shares = ax.collections[0].get_array().filled(np.nan)
    np.testing.assert_allclose(shares, faces / faces.sum(axis=1, keepdims=True))
    assert ax.get_title(loc="left") == "net_a 0.50"
    assert min(t.get_fontsize() for t in ax.texts) >= 5


def test_curves_mark_the_kept_epoch_of_each_fold_and_say_where_there_is_no_log():
    curves = pd.DataFrame(
        {
            "model": "a", "fold": ["1", "1", "2", "2"], "epoch": [1, 2, 1, 2], "train_loss": [2.0, 1.0, 2.0, np.nan],
            "validation_loss": [2.2, 1.5, 2.1, 1.4], "validation_accuracy": [0.3, 0.5, 0.6, 0.4],
        }
    )  # fmt: skip
    chosen = pd.DataFrame({"model": ["a", "a", "b"], "fold": ["1", "2", "1"], "epoch": [2.0, 1.0, np.nan]})
    fig = figures.training_curves(curves, ["a", "b"], chosen, 0.2)
    upper, lower, empty = fig.axes[:3]
    assert lines(upper, "chosen") == [[[2.0, 0.5]], [[1.0, 0.6]]]
    assert lines(upper, "validation_accuracy") == [[[1, 0.3], [2, 0.5]], [[1, 0.6], [2, 0.4]]]
    assert lines(lower, "validation_loss")[0] == [[1, 2.2], [2, 1.5]]
    assert [t.get_text() for t in empty.texts] == ["no log"]
    assert upper.get_ylim() == (0, 1)


def maps(values, model=("a",), expression=("fear",)):
    return xr.DataArray(
        values, dims=("model", "expression", "y", "x"), coords={"model": list(model), "expression": list(expression)}
    )


MASKS = xr.DataArray(np.eye(8)[None] > 0, dims=("expression", "y", "x"), coords={"expression": ["fear"]}).astype(float)


def test_pairs_print_the_faces_behind_each_map_and_few_in_orange():
    one, none = np.random.default_rng(0).random((1, 1, 8, 8)), np.full((1, 1, 8, 8), np.nan)
    ax = figures.outcome_pairs(maps(one), maps(none), np.array([[[4.0, 0.0]]]), MASKS, few=5).axes[0]
    colours = {t.get_text(): to_hex(t.get_color()) for t in ax.texts}
    assert colours["4"] == colours["0"] == canvas.ORANGE
    assert {"none", "right", "wrong"} <= set(colours)
    enough = figures.outcome_pairs(maps(one), maps(one), np.array([[[5.0, np.nan]]]), MASKS, few=5).axes[0]
    colours = {t.get_text(): to_hex(t.get_color()) for t in enough.texts}
    assert colours["5"] == colours["?"] == canvas.INK


def test_grid_frames_doubtful_maps_and_says_why():
    held = maps(np.random.default_rng(0).random((1, 2, 8, 8)), expression=("fear", "anger"))
    doubts = np.array([["recall 0.10", ""]], dtype=object)
    ax = figures.heatmap_grid(held, MASKS, notes=np.array([["IoU 0.1", "no mask"]]), doubts=doubts).axes[0]
    framed = [p for p in ax.patches if p.get_gid() == "doubt"]
    assert len(framed) == 2  # the map and the legend's
    said = [t.get_text() for t in ax.texts]
    assert {"recall 0.10", "explains nothing", "IoU 0.1", "no mask"} <= set(said)
    sound = figures.heatmap_grid(held, MASKS, doubts=np.array([["", ""]], dtype=object)).axes[0]
    assert not [p for p in sound.patches if p.get_gid() == "doubt"]
    assert "explains nothing" not in [t.get_text() for t in sound.texts]


def test_without_a_face_a_map_is_drawn_as_it_is_and_with_one_in_colours_over_it():
    held = maps(np.random.default_rng(0).random((1, 1, 8, 8)))
    plain = figures.heatmap_grid(held, MASKS).axes[0].images[0]
    np.testing.assert_array_equal(plain.get_array(), held.values[0, 0])
    face = np.ones((8, 8, 4))
    over = figures.heatmap_grid(held, MASKS, face=face).axes[0].images[0]
    low, high = float(held.min()), float(held.max())
    np.testing.assert_allclose(over.get_array(), blend(held.values[0, 0], (low, high), face))


def test_a_face_shows_where_the_map_is_low_and_not_where_it_is_transparent():
    face = np.ones((1, 3, 4))
    face[0, 1, 3] = 0
    zero = blend(np.zeros((1, 3)), (0.0, 1.0), face)
    assert zero[0, 0].mean() > 0.5
    np.testing.assert_allclose(zero[0, 1], canvas.HEAT(0.0)[:3])
    flat = blend(np.full((9, 9), np.nan), (0.0, 1.0), np.ones((9, 9, 4)))
    assert (flat == 0.55).all()
    top = blend(np.ones((9, 9)), (0.0, 1.0), np.ones((9, 9, 4)))
    np.testing.assert_allclose(top, np.broadcast_to(canvas.HEAT(1.0)[:3], top.shape), atol=1e-12)
