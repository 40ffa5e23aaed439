"""The frame: symmetry, triangulation, support, digest."""

from itertools import pairwise

import numpy as np
import pytest

from xfer import geometry

FRAME = geometry.load_frame("xfer")
DIGEST = "02ec0b14b3ffaccd608b6c0769e9d053315177ea43b40b7054bdfe9bf68e96f7"


def reflect(points: np.ndarray) -> np.ndarray:
    return points * [-1, 1] + [FRAME.width - 1, 0]


@pytest.fixture(scope="module")
def least_weight() -> np.ndarray:
    """The smallest barycentric weight of each pixel centre in each triangle, from areas: (y, x, T)."""
    y, x = np.indices((FRAME.height, FRAME.width))[..., None]
    least = np.full((FRAME.height, FRAME.width, len(FRAME.triangles)), np.inf)
    doubled = geometry.doubled_areas(FRAME.points, FRAME.triangles)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        (x0, y0), (x1, y1) = (
            FRAME.points[FRAME.triangles[:, start]].T,
            FRAME.points[FRAME.triangles[:, end]].T,
        )
        np.minimum(least, ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) / doubled, out=least)
    return least


def test_the_frame_is_the_one_results_were_computed_on():
    assert (FRAME.name, FRAME.height, FRAME.width) == ("xfer", 275, 224)
    assert FRAME.points.shape == (89, 2)
    assert FRAME.mesh.shape == (468, 2)
    assert FRAME.digest == DIGEST
    assert geometry.load_frame("xfer") is FRAME
    assert "xfer" in geometry.frame_names()


def test_digest_covers_geometry_and_not_the_name():
    facts = {k: getattr(FRAME, k) for k in ("height", "width", "points", "triangles", "support")}
    same = geometry.CanonicalFrame(name="other", title="other", **facts)
    moved = geometry.CanonicalFrame("xfer", "", **(facts | {"points": FRAME.points + 1e-9}))
    cut = geometry.CanonicalFrame("xfer", "", **(facts | {"support": np.zeros((275, 224), bool)}))
    assert same.digest == FRAME.digest
    assert len({FRAME.digest, moved.digest, cut.digest}) == 3


def test_a_frame_cannot_be_changed_in_place():
    for array in (FRAME.points, FRAME.triangles, FRAME.support, FRAME.mesh, geometry.mirror(68)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_points_mesh_support_and_triangles_are_exactly_symmetric():
    pairs = geometry.mirror(89)
    assert np.array_equal(reflect(FRAME.points)[pairs], FRAME.points)
    assert np.array_equal(reflect(FRAME.mesh)[geometry.mirror(468)], FRAME.mesh)
    assert np.array_equal(FRAME.support, FRAME.support[:, ::-1])
    triangles = {frozenset(t) for t in FRAME.triangles.tolist()}
    assert {frozenset(pairs[list(t)].tolist()) for t in triangles} == triangles


def test_corners_are_the_outer_pixel_centres():
    assert FRAME.points[85:].tolist() == [[0, 0], [0, 274], [223, 0], [223, 274]]


def test_forehead_runs_left_to_right_above_brows_and_jaw():
    forehead = FRAME.points[68:85]
    assert (np.diff(forehead[:, 0]) > 0).all()
    assert (np.diff(forehead[:9, 1]) < 0).all()
    assert forehead[4:13, 1].max() < FRAME.points[17:27, 1].min()
    assert (forehead[:, 1] < FRAME.points[0, 1]).all()
    assert (forehead >= 0).all()


def test_the_68_points_lie_on_the_mesh():
    on_mesh = FRAME.mesh[list(geometry.IBUG_FROM_MESH)]
    assert np.abs(on_mesh - FRAME.points[:68]).max() == 0


def test_every_triangle_is_positive_and_they_fill_the_canvas():
    areas = geometry.doubled_areas(FRAME.points, FRAME.triangles) / 2
    assert areas.min() > 5
    assert areas.sum() == 223 * 274
    assert len(FRAME.triangles) == 2 * 89 - 2 - 4
    assert set(FRAME.triangles.ravel()) == set(range(89))


def test_every_pixel_is_in_exactly_one_triangle(least_weight):
    assert (least_weight > -1e-12).any(axis=-1).all()
    assert (least_weight > 1e-12).sum(axis=-1).max() == 1


def in_circle(points: np.ndarray, triangle: list[int], other: int) -> float:
    """Positive where `other` lies in the circle through a clockwise triangle."""
    d = points[triangle] - points[other]
    return np.linalg.det(np.column_stack([d, (d**2).sum(axis=1)]))


def test_each_half_is_the_constrained_delaunay_triangulation_that_keeps_the_inner_lips():
    """Its definition: an edge is kept by decree, or neither neighbour lies in the other's circle."""
    left = [t for t in FRAME.triangles.tolist() if (FRAME.points[t, 0] <= 111.5).all()]
    assert len(left) == (len(FRAME.triangles) - 2) / 2
    sharing: dict[frozenset, list] = {}
    for t in left:
        for edge in pairwise([*t, t[0]]):
            sharing.setdefault(frozenset(edge), []).append(t)
    lips = {frozenset(edge) for edge in pairwise([62, 61, 60, 67, 66])}
    assert lips <= set(sharing)
    for edge, pair in sharing.items():
        if len(pair) == 2 and edge not in lips:
            (other,) = set(pair[1]) - edge
            assert in_circle(FRAME.points, pair[0], other) < 1e-6, edge
    midline = [76, 27, 28, 29, 30, 33, 51, 62, 66, 57, 8]
    assert {frozenset(edge) for edge in pairwise(midline)} <= {e for e, pair in sharing.items() if len(pair) == 1}


def test_outline_of_the_face_is_made_of_edges():
    edges = {frozenset(e) for t in FRAME.triangles.tolist() for e in pairwise([*t, t[0]])}
    outline = geometry.OUTLINE
    eyes_and_lips = [range(36, 42), range(42, 48), range(48, 60), range(60, 68), outline]
    for loop in eyes_and_lips:
        assert {frozenset(e) for e in pairwise([*loop, loop[0]])} <= edges


def test_support_is_what_the_triangles_inside_the_outline_cover(least_weight):
    face = (FRAME.triangles < 85).all(axis=1)
    deepest = least_weight[..., face].max(axis=-1)
    clear = np.abs(deepest) > 1e-9
    assert clear.mean() > 0.999
    assert np.array_equal(FRAME.support[clear], deepest[clear] > 0)


def test_inside_a_rectangle_and_a_notched_polygon():
    rectangle = np.array([[0.5, 0.5], [3.5, 0.5], [3.5, 2.5], [0.5, 2.5]])
    expected = np.zeros((4, 5), bool)
    expected[1:3, 1:4] = True
    assert np.array_equal(geometry.inside(rectangle, 4, 5), expected)
    notch = np.array([[-0.5, -0.5], [4.5, -0.5], [4.5, 3.5], [2.0, 0.4], [-0.5, 3.5]])
    assert geometry.inside(notch, 4, 5)[:, 2].tolist() == [True, False, False, False]


@pytest.mark.parametrize("n", [68, 89, 468])
def test_mirror_is_an_involution(n):
    pairs = geometry.mirror(n)
    assert sorted(pairs) == list(range(n))
    assert np.array_equal(pairs[pairs], np.arange(n))


def test_mirror_of_the_mesh_agrees_with_that_of_the_points():
    ids = np.array(geometry.IBUG_FROM_MESH)
    assert np.array_equal(geometry.mirror(468)[ids], ids[geometry.mirror(68)])
    assert geometry.mirror(89)[:68].tolist() == list(geometry.IBUG_MIRROR)


def test_a_lopsided_shape_cannot_be_paired():
    with pytest.raises(ValueError, match="not symmetric enough"):
        geometry.reflection_pairs(np.array([[0.0, 0.0], [1.0, 0.0], [1.2, 0.0], [5.0, 0.0]]))
