"""Figures read back from their artists: panels, labels, outlines, order, what is bold, what is undefined."""

import io
import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from xfer import geometry
from xfer.clustering import Tree
from xfer.errors import InputError
from xfer.report import canvas, figures
from xfer.report.panels import outline

LONG = "timm:vit_base_patch16_224.augreg_in21k_ft_in1k"


def words(fig):
    return [t.get_text() for ax in fig.axes for t in ax.texts] + [t.get_text() for t in fig.texts]


def ticks(labels):
    return [t.get_text() for t in labels]


def saved(fig, form="png"):
    held = io.BytesIO()
    fig.savefig(held, format=form, dpi=60)
    return held.getvalue()


def extents(fig, texts):
    """Bounding boxes of texts in pixels, as drawn."""
    fig.canvas.draw()
    renderer = fig.canvas.get_renderer()
    return [t.get_window_extent(renderer) for t in texts if t.get_text()]


def overlaps(boxes):
    return [
        (i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes[:i])
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5
    ]  # fmt: skip


def agg(fig):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(fig)
    return fig


def maps_of(models, expressions, size=(20, 16), seed=0):
    values = np.random.default_rng(seed).random((len(models), len(expressions), *size))
    coords = {"model": list(models), "expression": list(expressions)}
    return xr.DataArray(values, dims=("model", "expression", "y", "x"), coords=coords)


def masks_of(expressions, size=(20, 16)):
    values = np.zeros((len(expressions), *size))
    values[:, 4:10, 3:12] = 1
    return xr.DataArray(values, dims=("expression", "y", "x"), coords={"expression": list(expressions)})


@pytest.fixture
def tree():
    """Four leaves drawn c d a b: {c, d} join at 0.1, {a, b} at 0.3, both at 0.8."""
    linkage = np.array([[2, 3, 0.1, 2], [0, 1, 0.3, 2], [4, 5, 0.8, 4]])
    return Tree(("a", "b", "c", "d"), linkage, ("c", "d", "a", "b"), 0.913, "average")


def test_outline_runs_around_the_pixels_of_the_region():
    mask = np.zeros((30, 20))
    mask[10:20, 5:15] = 1
    (line,) = outline(mask)
    np.testing.assert_array_equal(line.min(axis=0), [4.5, 9.5])
    np.testing.assert_array_equal(line.max(axis=0), [14.5, 19.5])
    np.testing.assert_array_equal(line[0], line[-1])


def test_outline_at_the_border_is_closed_and_two_regions_have_two_lines():
    mask = np.zeros((10, 10))
    mask[:3, :3] = mask[7:, 7:] = 1
    lines = outline(mask)
    assert len(lines) == 2
    assert all((line[0] == line[-1]).all() for line in lines)
    assert min(line.min() for line in lines) == -0.5
    assert max(line.max() for line in lines) == 9.5


def test_outline_of_nothing_is_nothing():
    assert outline(np.zeros((4, 4))) == []


def test_grid_has_a_panel_per_map_and_names_rows_and_columns():
    fig = figures.heatmap_grid(maps_of(["net_b", "net_a"], ["fear", "happily_surprised"]), masks_of(["fear"]))
    images = [i for i in fig.axes[0].images if i.get_gid() == "heatmap"]
    assert len(images) == 4
    assert {"net_a", "net_b", "fear", "happily\nsurprised"} <= set(words(fig))
    top = {t.get_text(): t.get_position()[1] for t in fig.axes[0].texts}
    assert top["net_b"] < top["net_a"]


def test_grid_draws_the_outline_where_the_mask_is():
    fig = figures.heatmap_grid(maps_of(["net"], ["fear"]), masks_of(["fear"]))
    left, right, bottom, top = fig.axes[0].images[0].get_extent()
    line = fig.axes[0].collections[0].get_segments()[0]
    scale = np.array([right - left, bottom - top]) / [16, 20]
    pixels = (line - [left, top]) / scale - 0.5
    np.testing.assert_allclose(pixels.min(axis=0), [2.5, 3.5], atol=1e-9)
    np.testing.assert_allclose(pixels.max(axis=0), [11.5, 9.5], atol=1e-9)


def test_grid_keeps_the_aspect_of_the_canvas():
    fig = figures.heatmap_grid(maps_of(["net"], ["fear"]), masks_of(["fear"]))
    left, right, bottom, top = fig.axes[0].images[0].get_extent()
    assert (bottom - top) / (right - left) == pytest.approx(20 / 16)


@pytest.mark.parametrize(("scale", "same"), [("map", False), ("shared", True)])
def test_grid_states_its_colour_scale(scale, same):
    maps = maps_of(["a", "b"], ["fear"])
    maps[1] *= 5
    fig = figures.heatmap_grid(maps, masks_of(["fear"]), scale=scale)
    one, two = (i.norm for i in fig.axes[0].images if i.get_gid() == "heatmap")
    assert ((one.vmin, one.vmax) == (two.vmin, two.vmax)) is same
    stated = f"{float(maps.min()):.3g} to {float(maps.max()):.3g}, one scale for all"
    assert (stated if same else "lowest to highest value of each map") in words(fig)


def test_grid_refuses_another_scale():
    with pytest.raises(InputError, match=r"'scale' must be one of map, shared; got 'maps' \(did you mean 'map'\?\)"):
        figures.heatmap_grid(maps_of(["a"], ["fear"]), masks_of(["fear"]), scale="maps")


def test_grid_says_where_there_is_no_map_and_draws_a_constant_one():
    maps = maps_of(["a", "b"], ["fear"])
    maps[0] = np.nan
    maps[1] = 3.0
    fig = figures.heatmap_grid(maps, masks_of(["fear"]))
    assert words(fig).count("no map") == 1
    assert len([i for i in fig.axes[0].images if i.get_gid() == "heatmap"]) == 1
    saved(fig)


def test_grid_prints_notes_and_dots_the_support():
    support = np.zeros((20, 16), bool)
    support[2:18, 2:14] = True
    maps, masks = maps_of(["a"], ["fear"]), masks_of(["fear"])
    fig = figures.heatmap_grid(maps, masks, support=support, notes=np.array([["IoU 0.5"]]))
    assert "IoU 0.5" in words(fig)
    whole = figures.heatmap_grid(maps, masks, support=np.ones_like(support))
    assert len(fig.axes[0].collections) == len(whole.axes[0].collections) + 1


def test_grid_labels_do_not_overlap_with_twelve_long_names():
    names = [f"{LONG}.{i}" for i in range(12)]
    expressions = ["anger", "disgust", "happily_surprised", "disgustedly_surprised", "sadness", "fearfully_disgusted"]
    notes = np.full((12, 6), "IoU undefined")
    fig = agg(figures.heatmap_grid(maps_of(names, expressions), masks_of(expressions), notes=notes))
    boxes = extents(fig, fig.axes[0].texts)
    assert overlaps(boxes) == []
    width, height = fig.canvas.get_width_height()
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)


def test_masks_grid_states_the_share_of_the_scored_pixels():
    fig = figures.masks_grid(masks_of(["fear", "anger"]))
    assert words(fig).count(f"{6 * 9 / 320:.0%} of pixels") == 2
    support = np.zeros((20, 16), bool)
    support[4:10, 3:12] = True
    assert "100% of pixels" in words(figures.masks_grid(masks_of(["fear"]), support=support))


def test_a_face_is_drawn_through_the_points_beneath_masks():
    frame = geometry.load_frame()
    sketch = frame.points * 16 / frame.width
    for points, ends in ((sketch, 0), (sketch[:68], 16)):
        (drawn,) = (c for c in figures.masks_grid(masks_of(["fear"]), points=points).axes[0].collections)
        lines = [path.vertices for path in drawn.get_paths()]
        assert [len(line) for line in lines] == [35 if ends == 0 else 17, 5, 5, 4, 5, 7, 7, 13, 9]
        around = lines[0]
        assert (around[-1] == around[0]).all() == (ends == 0)
        left_eye, right_eye = lines[5][:-1].mean(axis=0), lines[6][:-1].mean(axis=0)
        assert left_eye[0] < right_eye[0]
        assert abs(left_eye[1] - right_eye[1]) < 0.02


@pytest.fixture
def table():
    return pd.DataFrame([[0.1, 0.4], [0.3, np.nan]], ["net_a", "net_b"], ["fear", "happily_surprised"])


def test_score_heat_prints_scores_means_and_chance(table):
    fig = figures.score_heat(table, chance=pd.Series({"fear": 0.05, "happily_surprised": 0.07}))
    printed = words(fig)
    assert printed.count("undefined") == 2
    assert printed[:3] == ["0.100", "0.400", "0.300"]
    assert printed[4:] == ["0.250", "undefined", "0.200", "0.400", "0.050", "0.070", "0.267", "0.060"]
    assert ticks(fig.axes[0].get_xticklabels()) == ["fear", "happily\nsurprised", "mean"]
    assert ticks(fig.axes[0].get_yticklabels()) == ["net_a", "net_b", "mean", "chance"]


@pytest.mark.parametrize(("up", "bold"), [(True, ["0.400", "0.300"]), (False, ["0.100", "0.400"])])
def test_score_heat_prints_the_best_of_a_column_in_bold(table, up, bold):
    fig = figures.score_heat(table, higher_is_better=up)
    assert [t.get_text() for t in fig.axes[0].texts if t.get_weight() == "bold"] == bold


def test_score_heat_without_any_score():
    fig = figures.score_heat(pd.DataFrame([[np.nan]], ["net"], ["fear"]))
    assert words(fig) == ["undefined"] * 4
    saved(fig)


def test_score_heat_labels_do_not_overlap():
    names = [f"{LONG}.{i}" for i in range(12)]
    expressions = ["anger", "disgust", "happily_surprised", "disgustedly_surprised", "sadness", "neutral"]
    frame = pd.DataFrame(np.full((12, 6), -0.123), names, expressions)
    fig = agg(figures.score_heat(frame))
    ax = fig.axes[0]
    assert overlaps(extents(fig, [*ax.get_xticklabels(), *ax.get_yticklabels(), *ax.texts])) == []


@pytest.fixture
def swap():
    frame = pd.DataFrame([[0.2, 0.5, 0.1], [0.3, 0.6, 0.2]], ["fear", "anger"], ["fear", "anger", "sadness"])
    return frame.rename_axis("expression")


def test_swap_matrix_frames_the_own_mask_and_marks_the_best_of_each_row(swap):
    ax = figures.swap_matrix(swap).axes[0]
    framed = [p for p in ax.patches if p.get_gid() == "own"]
    assert [(round(p.get_x()), round(p.get_y())) for p in framed] == [(0, 0), (1, 1)]
    assert all(isinstance(p, Rectangle) and to_hex(p.get_edgecolor()) == canvas.BLUE for p in framed)
    dots = [tuple(line.get_xydata()[0].astype(int)) for line in ax.lines if line.get_gid() == "best"]
    assert dots == [(1, 0), (1, 1)]
    assert [t.get_text() for t in ax.texts if t.get_weight() == "bold"] == ["0.500", "0.600"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("scored against the mask of", "heatmaps of")


def test_swap_matrix_marks_the_lowest_where_lower_is_better(swap):
    ax = figures.swap_matrix(swap, higher_is_better=False).axes[0]
    assert [t.get_text() for t in ax.texts if t.get_weight() == "bold"] == ["0.100", "0.200"]


def test_dendrogram_draws_the_leaves_in_order_and_the_merges_at_their_heights(tree):
    fig = figures.dendrogram(tree, "Fear")
    ax = fig.axes[0]
    assert ticks(ax.get_yticklabels()) == ["c", "d", "a", "b"]
    merges = {line.get_gid(): line.get_xydata() for line in ax.lines if "merge" in str(line.get_gid())}
    np.testing.assert_allclose(merges["merge-0"], [[0, 0.5], [0.1, 0.5], [0.1, 1.5], [0, 1.5]])
    np.testing.assert_allclose(merges["merge-1"], [[0, 2.5], [0.3, 2.5], [0.3, 3.5], [0, 3.5]])
    np.testing.assert_allclose(merges["merge-2"], [[0.1, 1], [0.8, 1], [0.8, 3], [0.3, 3]])
    assert ax.get_title(loc="left") == "Fear (cophenetic r = 0.91)"
    bottom, top = ax.get_ylim()
    assert bottom > top


def test_dendrogram_colours_the_two_groups_and_draws_the_cut_between_them(tree):
    ax = figures.dendrogram(tree).axes[0]
    colour = {line.get_gid(): line.get_color() for line in ax.lines}
    assert (colour["merge-0"], colour["merge-1"], colour["merge-2"]) == (canvas.BLUE, canvas.ORANGE, canvas.GREY)
    assert [t.get_color() for t in ax.get_yticklabels()] == [canvas.BLUE] * 2 + [canvas.ORANGE] * 2
    (cut,) = (line for line in ax.lines if line.get_gid() == "cut")
    assert cut.get_xdata()[0] == pytest.approx((0.3 + 0.8) / 2)


def test_dendrogram_of_two_networks_has_no_cut_and_an_undefined_fit():
    two = Tree(("a", "b"), np.array([[0, 1, 0.0, 2]]), ("b", "a"), float("nan"), "average")
    ax = figures.dendrogram(two).axes[0]
    assert ax.get_title(loc="left") == "cophenetic r undefined"
    assert [line.get_gid() for line in ax.lines] == ["merge-0"]
    assert [t.get_color() for t in ax.get_yticklabels()] == [canvas.BLUE, canvas.ORANGE]


@pytest.fixture
def correlations():
    r = np.array([[1, 0.7, 0.2, 0.1], [0.7, 1, 0.3, 0.2], [0.2, 0.3, 1, 0.9], [0.1, 0.2, 0.9, 1]])
    return pd.DataFrame(r, list("abcd"), list("abcd"))


def test_correlation_matrix_follows_the_order_given(correlations, tree):
    ax = figures.correlation_matrix(correlations, order=tree.leaves).axes[0]
    assert ticks(ax.get_xticklabels()) == ticks(ax.get_yticklabels()) == ["c", "d", "a", "b"]
    assert [t.get_text() for t in ax.texts[:4]] == ["1.00", "0.90", "0.20", "0.30"]


def test_correlation_matrices_share_a_scale_when_asked(correlations):
    one = figures.correlation_matrix(correlations, low=-0.5).axes[0].collections[0]
    assert one.get_clim() == (-0.5, 1.0)
    assert figures.correlation_matrix(correlations).axes[0].collections[0].get_clim() == (0.1, 1.0)


def test_large_correlation_matrix_has_no_numbers():
    names = [f"net_{i}" for i in range(30)]
    ax = figures.correlation_matrix(pd.DataFrame(np.eye(30), names, names)).axes[0]
    assert len(ax.texts) == 0


def test_family_aligns_the_matrix_with_the_tree(tree, correlations):
    trunk, matrix, _ = figures.family(tree, correlations, "Fear").axes
    assert ticks(trunk.get_yticklabels()) == ticks(matrix.get_xticklabels()) == ["c", "d", "a", "b"]
    assert trunk.get_position().y0 == pytest.approx(matrix.get_position().y0)
    assert trunk.get_position().y1 == pytest.approx(matrix.get_position().y1)
    assert trunk.get_ylim() == matrix.get_ylim()


def test_family_labels_do_not_overlap_with_twelve_long_names():
    names = tuple(sorted(f"{LONG}.{i:02}" for i in range(12)))
    linkage = np.array([[0, 1, 0.1, 2], *([11 + i, i + 1, 0.1 + 0.1 * i, i + 2] for i in range(1, 11))])
    tree = Tree(names, linkage, names, 0.8, "average")
    fig = agg(figures.family(tree, pd.DataFrame(np.eye(12), names, names), "Fear"))
    labels = [t for ax in fig.axes[:2] for t in (*ax.get_xticklabels(), *ax.get_yticklabels())]
    boxes = extents(fig, [*labels, fig.axes[0].xaxis.label])
    assert overlaps(boxes) == []
    width, height = fig.canvas.get_width_height()
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)


@pytest.mark.parametrize("name", [r"$x$", r"\frac{", "$", "a\x00b\n", "-->", "名前", "=1+1", ""])
def test_any_name_can_be_drawn(name, tree, correlations):
    fitted = Tree((name, "b", "c", "d"), tree.linkage, ("c", "d", name, "b"), 0.9, "average")
    frame = correlations.set_axis([name, "b", "c", "d"]).set_axis([name, "b", "c", "d"], axis=1)
    assert b"</svg>" in saved(figures.family(fitted, frame), "svg")
    assert b"</svg>" in saved(figures.score_heat(pd.DataFrame([[0.5]], [name], ["fear"])), "svg")
    saved(figures.heatmap_grid(maps_of([name], ["fear"]), masks_of(["fear"])))


def test_drawing_leaves_no_trace_in_matplotlib(tree, correlations):
    before = dict(mpl.rcParams)
    saved(figures.family(tree, correlations))
    assert dict(mpl.rcParams) == before


def test_drawing_needs_no_pyplot_and_no_display(tmp_path):
    code = (
        "import sys, pandas as pd\n"
        "from xfer.report import figures, page\n"
        "figures.score_heat(pd.DataFrame([[.5]], ['a'], ['fear'])).savefig(sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    headless = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")}
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    done = subprocess.run(command, env=headless, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_same_figure_gives_the_same_bytes(tree, correlations):
    from xfer.report.blocks import vector

    one, two = (vector(figures.family(tree, correlations), "alt") for _ in range(2))
    assert one == two
