"""Figures of intervals, ranks and supports, read back from their artists."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from xfer.clustering import Tree
from xfer.report import canvas, figures
from xfer.report.trees import FAINT

LONG = "timm:vit_base_patch16_224.augreg_in21k_ft_in1k"
NUMBERS = (
    "value",
    "corrected",
    "ci_low",
    "ci_high",
    "null_mean",
    "ceiling",
    "anchored",
    "anchored_low",
    "anchored_high",
)


def by_id(ax, name):
    return [artist for artist in (*ax.lines, *ax.collections, *ax.patches, *ax.texts) if artist.get_gid() == name]


def inside(fig):
    """Whether every printed text and row label lies on the figure."""
    FigureCanvasAgg(fig)
    fig.canvas.draw()
    width, height = fig.canvas.get_width_height()
    drawn = [t for ax in fig.axes for t in (*ax.texts, *(ax.get_yticklabels() if ax.axison else ()))]
    texts = [t for t in drawn if t.get_text()]
    boxes = [t.get_window_extent(fig.canvas.get_renderer()) for t in texts]
    return all(b.x0 >= -1 and b.y0 >= -1 and b.x1 <= width + 1 and b.y1 <= height + 1 for b in boxes)


@pytest.fixture
def table():
    rows = [
        (0.3, 0.32, 0.28, 0.37, 0.15, 0.6, 0.35, 0.2, 0.5),
        (0.2, 0.21, np.nan, np.nan, 0.14, 0.6, 0.1, np.nan, np.nan),
    ]
    return pd.DataFrame(rows, ["net_a", "net_b"], NUMBERS)


def test_forest_draws_points_intervals_chance_and_ceiling_where_they_are(table):
    anchored, scores = figures.forest(table, "IoU").axes
    (points,) = by_id(scores, "point")
    np.testing.assert_allclose(points.get_xydata(), [[0.32, 0.5], [0.21, 1.5]])
    (lines,) = by_id(scores, "interval")
    (segment,) = lines.get_segments()
    np.testing.assert_allclose(segment, [[0.28, 0.5], [0.37, 0.5]])
    for name, values in (("null_mean", [0.15, 0.14]), ("ceiling", [0.6, 0.6]), ("raw", [0.3, 0.2])):
        np.testing.assert_allclose(by_id(scores, name)[0].get_xdata(), values)
    assert [by_id(anchored, name)[0].get_xdata()[0] for name in ("null", "ceiling")] == [0, 1]
    np.testing.assert_allclose(by_id(anchored, "point")[0].get_xdata(), [0.35, 0.1])
    assert scores.get_ylim() == (2, 0)


def test_forest_without_anchored_scores_has_one_panel(table):
    fig = figures.forest(table.assign(anchored=np.nan, ceiling=np.nan), "IoU")
    (ax,) = fig.axes
    assert by_id(ax, "ceiling") == []
    assert [t.get_text() for t in ax.get_yticklabels()] == ["net_a", "net_b"]


def test_forest_of_nothing_but_names_can_be_drawn(table):
    fig = figures.forest(table * np.nan, "IoU")
    fig.savefig(io.BytesIO(), format="svg")


def test_forest_and_ranks_hold_twelve_long_names(table):
    names = [f"{LONG}.{i}" for i in range(12)]
    assert inside(figures.forest(pd.concat([table] * 6).set_axis(names), "IoU"))
    assert inside(figures.critical_difference(pd.Series(np.linspace(1, 12, 12), names), 5.0))


def test_marked_matrix_prints_marks_in_bold_and_greys_cells():
    frame = pd.DataFrame([[0.1, -0.2], [0.5, np.nan]], ["a", "b"], ["fear", "anger"])
    marks = np.array([["", ""], ["*", ""]])
    (ax,) = figures.marked_matrix(frame, "anchored", marks=marks, plain=frame.to_numpy() < 0).axes
    texts = {t.get_text(): t.get_weight() for t in ax.texts}
    assert texts == {"0.10": "normal", "−0.20": "normal", "0.50*": "bold", "undefined": "normal"}
    (grey,) = by_id(ax, "plain")
    assert (grey.get_x(), grey.get_y()) == (1, 0)


def test_critical_difference_joins_who_is_not_told_apart():
    average = pd.Series({"worst": 3.9, "best": 1.0, "second": 1.5, "third": 3.6})
    (ax,) = figures.critical_difference(average, 0.9).axes
    bars = [line.get_xdata() for line in by_id(ax, "clique")]
    np.testing.assert_allclose(bars, [[0.96, 1.54], [3.56, 3.94]])
    np.testing.assert_allclose(by_id(ax, "cd")[0].get_xdata(), [1, 1.9])
    starts = sorted(line.get_xdata()[0] for line in by_id(ax, "network"))
    assert starts == [1.0, 1.5, 3.6, 3.9]
    printed = [t.get_text() for t in ax.texts]
    assert {"best 1.00", "second 1.50", "3.60 third", "3.90 worst", "critical difference 0.90"} <= set(printed)


def test_supported_greys_weak_clades_and_prints_their_support():
    linkage = np.array([[2, 3, 0.1, 2], [0, 1, 0.3, 2], [4, 5, 0.8, 4]])
    tree = Tree(("a", "b", "c", "d"), linkage, ("c", "d", "a", "b"), 0.9, "average")
    (ax, _) = figures.supported([("Fear", tree, np.array([0.97, 0.31, 1.0])), ("Anger", tree, np.full(3, np.nan))]).axes
    colour = {line.get_gid(): to_hex(line.get_color()) for line in ax.lines}
    assert colour == {"merge-0": canvas.INK, "merge-1": FAINT, "merge-2": canvas.INK}
    assert [t.get_text() for t in by_id(ax, "support")] == ["97", "31"]
    assert by_id(ax, "cut") == []
    assert ax.get_title(loc="left") == "Fear"


def test_supported_places_panels_apart():
    linkage = np.array([[0, 1, 0.3, 2]])
    tree = Tree(("a", "b"), linkage, ("a", "b"), np.nan, "average")
    fig = figures.supported([(str(i), tree, np.array([1.0])) for i in range(5)])
    boxes = [ax.get_position() for ax in fig.axes]
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[:i])
    assert inside(fig)


def test_variance_bars_have_the_length_of_the_shares():
    frame = pd.DataFrame(
        {"factor": ["network", "rest"], "omega": [0.2, 0.8], "ci_low": [0.1, np.nan], "ci_high": [0.3, np.nan]}
    )
    (ax,) = figures.variance_bars(frame).axes
    assert [bar.get_width() for bar in ax.patches] == [0.2, 0.8]
    assert len(by_id(ax, "interval")[0].get_segments()) == 1
