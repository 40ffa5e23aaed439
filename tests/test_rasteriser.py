"""The rasteriser against closed forms, plain re-derivations and reference libraries."""

import math

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon as skimage_polygon

from xfer import rasteriser
from xfer.errors import InputError
from xfer.rasteriser import draw, outline, read_shapes, rescale

SIZE = 120
BLOCK = 16
"""Canvases are 224 px; what is compared pixel by pixel lies in their first 120, in 16 x 16 parts of a pixel."""


def face(*places, eyes=(10.0, 110.0), row=60.0):
    """68 landmarks with the outer eye corners 100 px apart and the given places at ids 0, 1, 2, ..."""
    points = np.full((68, 2), 60.0)
    points[36], points[45] = (eyes[0], row), (eyes[1], row)
    points[39], points[42] = (40.0, row), (80.0, row)
    points[: len(places)] = places
    return points


def shapes(*tables, points=68):
    return read_shapes(list(tables), points=points, where="demo.toml: [AU4]")


def ellipse(a, b, **more):
    return shapes({"kind": "ellipse", "center": 0, "radius": [a, b], **more})


def polygon(count):
    return shapes({"kind": "polygon", "points": list(range(count))})


STAR = np.array([[60, 8], [72, 45], [110, 46], [80, 68], [92, 108], [60, 84], [27, 107], [41, 67], [9, 44], [48, 45]])
ARROW = np.array([[20.3, 30.7], [100.2, 58.1], [21.9, 95.4], [44.6, 59.3]])


# ------------------------------------------------------------------------------------------ closed forms


@pytest.mark.parametrize(("radius", "softness"), [(0.3, 0.0), (0.3, 0.1), (0.2, 0.3)])
def test_circle_has_the_volume_of_its_ramp(radius, softness):
    drawn = draw(ellipse(radius, radius), face((60.2, 59.7)), height=224, width=224, softness=softness)
    ramp = max(100 * softness, 1)
    assert drawn.sum() == pytest.approx(math.pi * ((100 * radius) ** 2 + ramp**2 / 12), rel=2e-4)


@pytest.mark.parametrize("turn", [0.0, 0.4, 1.2])
def test_ellipse_has_the_area_of_its_axes_at_any_angle(turn):
    points = face((60.0, 60.0))
    points[[36, 45]] = 60 + 50 * np.array([[-math.cos(turn), -math.sin(turn)], [math.cos(turn), math.sin(turn)]])
    drawn = draw(ellipse(0.4, 0.15), points, height=224, width=224, axes="face")
    assert drawn.sum() == pytest.approx(math.pi * 40 * 15, rel=1e-3)


@pytest.mark.parametrize("corners", [STAR, ARROW, ARROW[:3]])
def test_polygon_has_the_shoelace_area(corners):
    x, y = corners.T
    area = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2
    drawn = draw(polygon(len(corners)), face(*corners), height=224, width=224)
    assert drawn.sum() == pytest.approx(area, rel=2e-3)


@pytest.mark.parametrize("fall", [0.0, 0.56, 1.0])
def test_diamond_has_the_volume_of_its_pyramid(fall):
    diamond = shapes({"kind": "diamond", "center": 0, "radius": 0.2, "fall": fall})
    drawn = draw(diamond, face((60.0, 60.0)), height=224, width=224)
    assert drawn.sum() == pytest.approx(40 * 40 * (1 - fall / 2), rel=2e-3)
    assert drawn[60, 60] == 1.0
    assert drawn[60, 70] == pytest.approx(1 - fall * 10 / 40, abs=1e-6)
    assert drawn[60, 81] == 0.0


def test_union_is_the_maximum():
    discs = [{"kind": "ellipse", "center": i, "radius": [0.2, 0.2]} for i in (0, 1)]
    points = face((50.0, 60.0), (70.0, 60.0))
    one, two = (draw(shapes(disc), points, height=224, width=224) for disc in discs)
    np.testing.assert_array_equal(draw(shapes(*discs), points, height=224, width=224), np.maximum(one, two))


# ----------------------------------------------------------------------- slow re-derivations, references


def covered(inside):
    """The share of 16 x 16 points of each pixel for which ``inside(x, y)``."""
    fine = (np.arange(SIZE * BLOCK) + 0.5) / BLOCK - 0.5
    hard = inside(fine[None, :], fine[:, None]).astype(float)
    return hard.reshape(SIZE, BLOCK, SIZE, BLOCK).mean((1, 3))


def test_ellipse_covers_what_subpixels_say():
    cos, sin = math.cos(0.3), math.sin(0.3)

    def inside(x, y):
        u, v = (x - 58.3) * cos + (y - 61.9) * sin, (y - 61.9) * cos - (x - 58.3) * sin
        return (u / 35) ** 2 + (v / 12) ** 2 <= 1

    points = face((58.3, 61.9))
    points[[36, 45]] = 60 + 50 * np.array([[-cos, -sin], [cos, sin]])
    drawn = draw(ellipse(0.35, 0.12), points, height=224, width=224, axes="face")
    assert np.abs(drawn[:SIZE, :SIZE] - covered(inside)).max() < 0.06


def test_diamond_covers_what_subpixels_say():
    drawn = draw(
        shapes({"kind": "diamond", "center": 0, "radius": 0.2, "fall": 0.5}),
        face((58.3, 61.9)),
        height=224,
        width=224,
    )
    share = covered(lambda x, y: (abs(x - 58.3) <= 20) & (abs(y - 61.9) <= 20))
    x, y = np.arange(SIZE)[None, :], np.arange(SIZE)[:, None]
    expected = share * (1 - 0.5 * (abs(x - 58.3) + abs(y - 61.9)) / 40)
    assert np.abs(drawn[:SIZE, :SIZE] - expected).max() < 0.04


@pytest.mark.parametrize("corners", [STAR, ARROW])
def test_polygon_covers_what_subpixels_say(corners):
    drawn = draw(polygon(len(corners)), face(*corners), height=224, width=224)
    shape = shapely.Polygon(corners)
    difference = np.abs(
        drawn[:SIZE, :SIZE] - covered(lambda x, y: shapely.contains_xy(shape, *np.broadcast_arrays(x, y)))
    )
    off = np.argwhere(difference > 0.09)[:, ::-1]
    assert len(off) < 2 * len(corners)
    away = np.linalg.norm(off[:, None] - corners, axis=-1).min(1)
    assert (away < 3).all(), "a distance is not an area only at the tips of sharp corners"


@pytest.mark.parametrize("corners", [STAR, STAR[::-1], ARROW, ARROW[:3]])
@pytest.mark.parametrize("softness", [0.0, 0.03, 0.2])
def test_polygon_is_the_ramp_over_shapelys_signed_distance(corners, softness):
    drawn = draw(polygon(len(corners)), face(*corners), height=224, width=224, softness=softness)
    shape = shapely.Polygon(corners)
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    distance = shapely.distance(shapely.boundary(shape), shapely.points(x, y))
    signed = np.where(shapely.contains_xy(shape, x, y), -distance, distance)
    np.testing.assert_allclose(drawn[:SIZE, :SIZE], np.clip(0.5 - signed / max(100 * softness, 1), 0, 1), atol=2e-6)


def test_polygon_half_level_is_scikit_images_polygon():
    drawn = draw(polygon(4), face(*ARROW), height=224, width=224)
    expected = np.zeros((SIZE, SIZE), bool)
    expected[skimage_polygon(ARROW[:, 1], ARROW[:, 0], (SIZE, SIZE))] = True
    np.testing.assert_array_equal(drawn[:SIZE, :SIZE] > 0.5, expected)


def test_crossing_sides_follow_the_even_odd_rule():
    angles = 0.1 + np.arange(5) * 4 * math.pi / 5
    drawn = draw(polygon(5), face(*(60 + 50 * np.stack([np.sin(angles), np.cos(angles)], -1))), height=224, width=224)
    assert drawn[60, 60] == 0.0, "the middle of a pentagram is inside twice"
    assert drawn.max() == 1.0


@pytest.mark.parametrize(("radii", "softness", "bound"), [((0.3, 0.3), 0.2, 1e-4), ((0.4, 0.2), 0.06, 0.015)])
def test_ellipse_ramp_follows_the_distance_to_the_outline(radii, softness, bound):
    drawn = draw(ellipse(*radii), face((60.0, 60.0)), height=224, width=224, softness=softness)
    angle = np.linspace(0, 2 * math.pi, 2_000)
    rim = shapely.LinearRing(60 + 100 * np.stack([radii[0] * np.cos(angle), radii[1] * np.sin(angle)], -1))
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    distance = shapely.distance(rim, shapely.points(x, y))
    inside = ((x - 60) / radii[0]) ** 2 + ((y - 60) / radii[1]) ** 2 < 100**2
    expected = np.clip(0.5 + np.where(inside, distance, -distance) / (100 * softness), 0, 1)
    assert np.abs(drawn[:SIZE, :SIZE] - expected).max() < bound


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 9), st.sampled_from([1.0, 4.0, 11.0]))
def test_scanline_is_the_plain_polygon(seed, corners, ramp):
    rng = np.random.default_rng(seed)
    places = rng.uniform(-10, 40, (2, corners, 2)).round(rng.integers(0, 3))
    fast = outline.polygons(places, np.full(2, ramp), 24, 30)
    x, y = np.arange(30.0)[None, :], np.arange(24.0)[:, None]
    for drawn, ends in zip(fast, places, strict=True):
        plain = rasteriser.coverage.polygon(np, x, y, ramp, *ends.ravel().tolist())
        np.testing.assert_allclose(drawn, plain, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(14, 60), st.integers(14, 60))
def test_a_canvas_of_any_size_holds_the_area(height, width):
    points = face((60.0, 60.0)) - 20
    points = rescale(points, min(height, width) / 80)
    drawn = draw(ellipse(0.2, 0.1), points, height=height, width=width)
    assert drawn.shape == (height, width)
    assert drawn.sum() == pytest.approx(math.pi * 20 * 10 * (min(height, width) / 80) ** 2, rel=0.02)


def test_rescale_keeps_pixel_edges():
    corners = np.array([[-0.5, -0.5], [223.5, 223.5]])
    assert rescale(corners, 28 / 224).tolist() == [[-0.5, -0.5], [27.5, 27.5]]
    assert torch.equal(rescale(torch.tensor(corners), 2.0), torch.tensor([[-0.5, -0.5], [447.5, 447.5]]).double())


# ------------------------------------------------------------------------------------- edges, errors


@pytest.mark.parametrize(
    "corners",
    [
        [[50.0, 50.0]] * 3,
        [[10.0, 10.0], [50.0, 50.0], [90.0, 90.0]],
        [[20.5, 30.0], [90.1, 30.0], [40.0, 30.0]],
    ],
)
def test_a_polygon_without_area_draws_nothing(corners):
    assert draw(polygon(3), face(*corners), height=224, width=224).max() == 0.0


def test_an_ellipse_without_area_draws_nothing_and_a_floor_gives_it_one():
    radius = {"half_gap": [0, 1]}
    flat = shapes({"kind": "ellipse", "center": 0, "radius": [0.2, radius]})
    points = face((50.0, 60.0), (70.0, 60.0))
    assert draw(flat, points, height=224, width=224).max() == 0.0
    floored = shapes({"kind": "ellipse", "center": 0, "radius": [0.2, {**radius, "floor": 0.05}]})
    assert draw(floored, points, height=224, width=224).sum() == pytest.approx(math.pi * 20 * 5, rel=5e-3)


def test_the_device_path_leaves_out_only_the_face_without_area(monkeypatch):
    flat = shapes({"kind": "ellipse", "center": 0, "radius": [0.2, {"half_gap": [0, 1]}]})
    points = torch.tensor(np.stack([face((50.0, 60.0), (50.0, 60.0)), face((50.0, 60.0), (50.0, 80.0))]))
    expected = draw(flat, points, height=224, width=224).numpy()
    monkeypatch.setattr(rasteriser, "_canvas", lambda given: (given.numpy(), torch.zeros))
    np.testing.assert_allclose(draw(flat, points, height=224, width=224).numpy(), expected, atol=1e-5)
    assert (expected.max((1, 2)) == [0, 1]).all()


def test_half_gap_takes_the_distance_along_its_own_axis():
    radius = [{"half_gap": [0, 1]}, {"half_gap": [0, 1], "plus": 0.02}]
    drawn = draw(
        shapes({"kind": "ellipse", "center": [0, 1], "radius": radius}),
        face((40.0, 50.0), (80.0, 70.0)),
        height=224,
        width=224,
    )
    assert drawn.sum() == pytest.approx(math.pi * 20 * 12, rel=2e-3)
    assert (drawn[60] > 0.5).sum() == 39
    assert (drawn[:, 60] > 0.5).sum() == 23


@pytest.mark.parametrize("place", [(-200.0, 60.0), (60.0, 900.0)])
def test_a_shape_off_the_canvas_draws_nothing(place):
    corners = np.array(place) + ARROW
    for shape in (
        ellipse(0.2, 0.2),
        polygon(4),
        shapes({"kind": "diamond", "center": 0, "radius": 0.2, "fall": 0.5}),
    ):
        assert draw(shape, face(*corners), height=224, width=224).max() == 0.0


def test_units_measure_outer_or_inner_corners_on_every_point_set():
    mesh = np.full((478, 2), 60.0)
    mesh[[33, 133, 362, 263]] = [(10, 60), (40, 60), (80, 60), (110, 60)]
    for points in (face((60.0, 60.0)), mesh[:468], mesh):
        for unit, size in (("inter_ocular", 100), ("inner_canthi", 40)):
            drawn = draw(ellipse(0.3, 0.3), points, height=224, width=224, unit=unit)
            assert drawn.sum() == pytest.approx(math.pi * (0.3 * size) ** 2, rel=2e-3)


def test_drawing_refuses_what_it_does_not_know():
    def message(shapes_, points, **options):
        with pytest.raises(InputError) as error:
            draw(shapes_, points, height=10, width=10, **options)
        return str(error.value)

    disc, points = ellipse(0.1, 0.1), face((5.0, 5.0))
    assert message(disc, points, unit="iod") == "'unit' must be one of inter_ocular, inner_canthi; got 'iod'"
    assert message(disc, points, axes="fase") == "'axes' must be one of image, face; got 'fase' (did you mean 'face'?)"
    assert message(disc, points[:49]) == (
        "landmarks must be (..., point, 2) with 68, 89, 468, 478 points; got shape (49, 2)"
    )
    high = shapes({"kind": "ellipse", "center": 80, "radius": [0.1, 0.1]}, points=89)
    assert message(high, points) == "a shape uses landmark 80; the faces have 68 points"


@pytest.mark.parametrize(
    "drawn_as",
    [
        ellipse(0.3, 0.1),
        shapes({"kind": "diamond", "center": 0, "radius": 0.3, "fall": 0.6}),
        polygon(4),
    ],
)
def test_small_canvases_drawn_all_faces_at_once_are_corners_of_large_ones(drawn_as):
    faces = np.stack([face(*(ARROW + shift)) for shift in (0.0, 7.3, -12.1)])
    faces[1, 5] = np.nan
    small = draw(drawn_as, faces, height=SIZE, width=SIZE, sharp=1)
    large = draw(drawn_as, faces, height=224, width=224)
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, large[:, :SIZE, :SIZE], atol=2e-5)
    on_torch = draw(drawn_as, torch.from_numpy(faces), height=SIZE, width=SIZE, sharp=1)
    np.testing.assert_array_equal(on_torch.numpy(), small)


def test_a_finer_canvas_asked_for_is_averaged():
    points = face((60.2, 59.7))
    fine = draw(ellipse(0.3, 0.1), rescale(points, 2), height=2 * SIZE, width=2 * SIZE, sharp=1)
    coarse = draw(ellipse(0.3, 0.1), points, height=SIZE, width=SIZE, sharp=2 * SIZE)
    np.testing.assert_allclose(coarse, fine.reshape(SIZE, 2, SIZE, 2).mean((1, 3)), atol=1e-6)
