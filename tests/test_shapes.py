"""Reading shapes: what the tables mean, and every slip in them by its message."""

import math

import pytest

from xfer.errors import InputError
from xfer.rasteriser import read_shapes
from xfer.rasteriser.shapes import Diamond, Ellipse, Point, Polygon, Radius

DISC = {"kind": "ellipse", "center": 0, "radius": [0.1, 0.1]}
LOZENGE = {"kind": "diamond", "center": 0, "radius": 0.1, "fall": 0.5}
BAD_SHAPES = [
    ("disc", "must be a table with 'kind'; got 'disc'"),
    ({"center": 0}, "missing key 'kind' (one of ellipse, diamond, polygon)"),
    (
        {**DISC, "kind": "elipse"},
        "'kind' must be one of ellipse, diamond, polygon; got 'elipse' (did you mean 'ellipse'?)",
    ),
    ({**DISC, "kind": 3}, "'kind' must be one of ellipse, diamond, polygon; got 3"),
    ({"kind": "ellipse", "centre": 0, "radius": [0.1, 0.1]}, "unknown key 'centre' (did you mean 'center'?)"),
    ({**DISC, "zzz": 1}, "unknown key 'zzz'"),
    ({"kind": "ellipse", "center": 0}, "missing key 'radius'"),
    ({"kind": "polygon"}, "missing key 'points'"),
    ({"kind": "diamond", "center": 0, "radius": 0.1}, "missing key 'fall'"),
    ({**DISC, "mirror": 1}, "'mirror' must be true or false; got 1"),
    ({**DISC, "radius": 0.1}, "'radius' of an ellipse must be a list of two; got 0.1"),
    ({**DISC, "radius": [0.1, 0.0]}, "'radius' must be greater than 0; got 0"),
    ({**DISC, "radius": [0.1, "wide"]}, "'radius' must be a finite number; got 'wide'"),
    ({**DISC, "radius": [0.1, math.nan]}, "'radius' must be a finite number; got nan"),
    ({**DISC, "radius": [0.1, {"half_gaps": [1, 2]}]}, "unknown key 'half_gaps' (did you mean 'half_gap'?)"),
    ({**DISC, "radius": [0.1, {"floor": 0.1}]}, "missing key 'half_gap'"),
    ({**DISC, "radius": [0.1, {"half_gap": [1]}]}, "'half_gap' must be two landmark ids; got [1]"),
    (
        {**DISC, "radius": [0.1, {"half_gap": [1, 2], "plus": True}]},
        "'plus' must be a finite number; got True",
    ),
    ({**DISC, "offset": 0.1}, "'offset' must be a list of two numbers; got 0.1"),
    ({**DISC, "center": 68}, "'center' must be landmark ids from 0 to 67; got 68"),
    ({**DISC, "center": [3, -1]}, "'center' must be landmark ids from 0 to 67; got -1"),
    ({**DISC, "center": 1.5}, "'center' must be a landmark id or a list of ids; got 1.5"),
    ({**DISC, "center": []}, "'center' must be a landmark id or a list of ids; got []"),
    ({**DISC, "center": {"x": 1}}, "missing key 'y'"),
    ({**DISC, "center": {"x": 1, "y": 99}}, "'center.y' must be landmark ids from 0 to 67; got 99"),
    ({**LOZENGE, "fall": 1.5}, "'fall' must lie in [0, 1]; got 1.5"),
    (
        {"kind": "polygon", "points": [1, 2]},
        "'points' of a polygon must be a list of at least three; got [1, 2]",
    ),
]


def read(*tables, points=68):
    return read_shapes(list(tables), points=points, where="demo.toml: [AU4]")


def test_tables_become_shapes_and_mirrored_twins():
    corner = {"kind": "ellipse", "center": {"x": [31], "y": 29, "offset": [0.1, 0.2]}, "offset": [0.05, -0.1]}
    left, right = read({**corner, "radius": [0.2, {"half_gap": [36, 39], "plus": 0.1, "floor": 0.3}], "mirror": True})
    radius = Radius(plus=0.2), Radius(plus=0.1, floor=0.3, half_gap=(36, 39))
    assert left == Ellipse(Point((31,), (29,), pytest.approx((0.15, 0.1))), radius)
    twin = Radius(plus=0.2), Radius(plus=0.1, floor=0.3, half_gap=(45, 42))
    assert right == Ellipse(Point((35,), (29,), pytest.approx((-0.15, 0.1))), twin)


def test_every_kind_has_a_twin_on_every_point_set():
    assert read({**LOZENGE, "center": [17, 36], "mirror": True})[1] == Diamond(
        Point((26, 45), (26, 45), (-0.0, 0.0)), Radius(plus=0.1), 0.5
    )
    assert read({"kind": "polygon", "points": [68, 0, 85], "mirror": True}, points=89)[1] == Polygon(
        tuple(Point((i,), (i,), (-0.0, 0.0)) for i in (84, 16, 87))
    )
    mesh = read({"kind": "polygon", "points": [33, 133, 61], "mirror": True}, points=468)[1]
    assert [point.x for point in mesh.points] == [(263,), (362,), (291,)]


@pytest.mark.parametrize(("table", "message"), BAD_SHAPES)
def test_a_slip_in_a_shape_is_named(table, message):
    with pytest.raises(InputError) as error:
        read_shapes([DISC, table], points=68, where="demo.toml: [AU4]")
    assert str(error.value) == f"demo.toml: [AU4] shape 2: {message}"


@pytest.mark.parametrize("tables", [[], {"kind": "ellipse"}, 3])
def test_shapes_must_be_a_list(tables):
    with pytest.raises(InputError) as error:
        read_shapes(tables, points=68, where="demo.toml: [AU4]")
    assert str(error.value) == f"demo.toml: [AU4]: 'shapes' must be a list of at least one table; got {tables!r}"
