"""Drawing whole faces: symmetry, movement, resolution, kinds of arrays, batches."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xfer import geometry, rasteriser
from xfer.rasteriser import draw, read_shapes, rescale


def random_faces(seed, count=1, spread=1.5):
    """Plausible faces on a 224 px canvas: the canonical one turned, moved, scaled and shaken."""
    rng = np.random.default_rng(seed)
    points = geometry.load_frame("xfer").points[:68]
    points = points - points.mean(0)
    angle, scale = rng.uniform(-0.6, 0.6, count), rng.uniform(0.5, 0.9, count)
    turn = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], -1).reshape(count, 2, 2)
    places = scale[:, None, None] * points @ turn + rng.uniform(90, 130, (count, 1, 2))
    return places + rng.normal(0, spread, places.shape)


EVERY_KIND = read_shapes(
    [
        {"kind": "ellipse", "center": 41, "offset": [-0.05, 0.2], "radius": [0.2, 0.1], "mirror": True},
        {
            "kind": "ellipse",
            "center": {"x": [48, 54], "y": [51, 57]},
            "radius": [{"half_gap": [48, 54]}, {"half_gap": [51, 57], "plus": 0.05, "floor": 0.1}],
        },
        {"kind": "diamond", "center": 21, "offset": [0.0, -0.2], "radius": 0.15, "fall": 0.56, "mirror": True},
        {
            "kind": "polygon",
            "points": [4, 48, 59, {"x": 6, "y": [5, 6], "offset": [0.02, -0.03]}],
            "mirror": True,
        },
        {"kind": "polygon", "points": [20, 21, 22, 23, 27]},
    ],
    points=68,
    where="demo.toml: [AU4]",
)
OPTIONS = list(product(("inter_ocular", "inner_canthi"), ("image", "face"), (0.0, 0.07)))


@pytest.mark.parametrize(("unit", "axes", "softness"), OPTIONS)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_mirrored_face_has_mirrored_maps(unit, axes, softness, seed):
    points = random_faces(seed)
    mirrored = (points * [-1, 1] + [223, 0])[:, geometry.mirror(68)]
    options = {"height": 224, "width": 224, "unit": unit, "axes": axes, "softness": softness}
    there = draw(EVERY_KIND, points, **options)
    np.testing.assert_allclose(draw(EVERY_KIND, mirrored, **options), there[:, :, ::-1], atol=1e-4)
    assert there.max() > 0.5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-90, 90), st.integers(-90, 90))
def test_a_moved_face_has_moved_maps(seed, right, down):
    points = random_faces(seed)
    plain = draw(EVERY_KIND, points + 100, height=420, width=430, softness=0.05)
    moved = draw(EVERY_KIND, points + 100 + [right, down], height=420, width=430, softness=0.05)
    np.testing.assert_allclose(
        moved[:, 95:325, 95:335], plain[:, 95 - down : 325 - down, 95 - right : 335 - right], atol=1e-4
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_turned_face_has_turned_maps(seed):
    points = random_faces(seed)
    turned = np.stack([223 - points[..., 1], points[..., 0]], axis=-1)
    options = {"height": 224, "width": 224, "axes": "face", "softness": 0.05}
    level = draw(_without_table_points(), points, **options)
    np.testing.assert_allclose(
        draw(_without_table_points(), turned, **options), np.rot90(level, -1, axes=(1, 2)), atol=1e-4
    )


def _without_table_points():
    """A point whose x and y come from different landmarks is tied to the image, so it does not turn."""
    return tuple(s for i, s in enumerate(EVERY_KIND) if i not in (2, 5, 6))


def averaged(fine, factor):
    faces, height, width = fine.shape
    return fine.reshape(faces, height // factor, factor, width // factor, factor).mean((2, 4))


@pytest.mark.parametrize("softness", [0.0, 0.08])
@pytest.mark.parametrize("side", [112, 56, 28, 14])
def test_a_layers_map_is_the_average_of_the_photographs(softness, side):
    points = random_faces(7, 8)
    fine = draw(EVERY_KIND, points, height=224, width=224, softness=softness)
    coarse = draw(EVERY_KIND, rescale(points, side / 224), height=side, width=side, softness=softness)
    np.testing.assert_allclose(coarse, averaged(fine, 224 // side), atol=1e-5)


@pytest.mark.parametrize(("softness", "largest", "mean"), [(0.0, 0.3, 3e-4), (0.08, 0.04, 2e-4)])
def test_a_face_of_twice_the_size_averages_to_the_same_map(softness, largest, mean):
    points = random_faces(7, 8)
    large = draw(EVERY_KIND, rescale(points, 2), height=448, width=448, softness=softness)
    error = np.abs(averaged(large, 2) - draw(EVERY_KIND, points, height=224, width=224, softness=softness))
    assert error.max() < largest, "the tips of hard-edged polygons differ most"
    assert error.mean() < mean


@pytest.mark.parametrize(("unit", "axes", "softness"), OPTIONS)
def test_numpy_torch_and_the_device_path_agree(unit, axes, softness, monkeypatch):
    points = random_faces(3, 5)
    points[2, 4] = np.nan
    options = {"height": 200, "width": 224, "unit": unit, "axes": axes, "softness": softness}
    expected = draw(EVERY_KIND, points, **options)
    assert expected.dtype == np.float32
    same = draw(EVERY_KIND, torch.tensor(points, requires_grad=True), **options)
    assert same.dtype == torch.float32
    assert not same.requires_grad
    np.testing.assert_array_equal(same.numpy(), expected)

    monkeypatch.setattr(rasteriser, "_canvas", lambda given: (given.numpy(), torch.zeros))
    device = draw(EVERY_KIND, torch.tensor(points), **options)
    np.testing.assert_allclose(device.numpy(), expected, atol=5e-4)


def test_the_device_path_averages_small_canvases_too(monkeypatch):
    points = rescale(random_faces(3, 5), 1 / 8)
    expected = draw(EVERY_KIND, points, height=28, width=28)
    monkeypatch.setattr(rasteriser, "_canvas", lambda given: (given.numpy(), torch.zeros))
    np.testing.assert_allclose(draw(EVERY_KIND, torch.tensor(points), height=28, width=28).numpy(), expected, atol=5e-4)


def test_faces_of_a_batch_do_not_touch_each_other():
    points = random_faces(11, 70).reshape(7, 10, 68, 2)
    points[0, 0] *= 0.2
    together = draw(EVERY_KIND, points, height=100, width=150)
    assert together.shape == (7, 10, 100, 150)
    for i, j in ((0, 0), (3, 4), (6, 9)):
        np.testing.assert_allclose(together[i, j], draw(EVERY_KIND, points[i, j], height=100, width=150), atol=1e-6)
    assert draw(EVERY_KIND, points[:0, 0], height=100, width=150).shape == (0, 100, 150)


def test_a_face_without_landmarks_or_unit_is_nan_and_alone():
    points = np.stack([random_faces(1)[0]] * 4)
    points[1, 50, 0] = np.nan
    points[2, 50, 1] = np.inf
    points[3, 45] = points[3, 36]
    drawn = draw(EVERY_KIND, points, height=224, width=224)
    assert np.isnan(drawn[1:]).all()
    np.testing.assert_array_equal(drawn[0], draw(EVERY_KIND, points[0], height=224, width=224))
