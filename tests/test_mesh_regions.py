"""The region file `mesh`: Action Units as outlines on the 468 points of the face mesh."""

import json
import tomllib

import numpy as np
import pytest
import shapely

from xfer import geometry, labels, masks
from xfer.masks import regions

LEFT_OVER = {"AU11", "AU20", "AU26"}
"""The third party gives every mesh triangle to one AU only; these are left with strips at the ear and the jaw."""

MESH = regions.load("mesh")
CODES = tuple(MESH.action_units)

OUTER_EYES = (33, 263)
FACTS = {
    "AU1": ([107, 66, 151], [168, 70]),
    "AU2": ([105, 63], [9, 107]),
    "AU4": ([8, 55], [151, 159, 197]),
    "AU5": ([159], [8, 119]),
    "AU6": ([117, 118, 119], [159, 205]),
    "AU7": ([23, 24], [105, 101]),
    "AU9": ([6, 197, 195], [4, 205]),
    "AU10": ([164, 203], [14, 50]),
    "AU11": ([203], [164, 187]),
    "AU12": ([205, 216], [164, 17]),
    "AU13": ([206], [164, 43]),
    "AU14": ([57, 212], [164, 205]),
    "AU15": ([43, 202], [17, 205]),
    "AU16": ([15, 16, 17], [0, 200]),
    "AU17": ([18, 200, 199], [0, 14]),
    "AU18": ([13, 61, 0], [205, 200]),
    "AU20": ([57, 212, 214], [17, 205]),
    "AU22": ([13, 61, 0], [205, 200]),
    "AU23": ([13, 14, 78], [164, 18]),
    "AU24": ([13, 14, 78], [164, 18]),
    "AU25": ([13, 14], [61, 164]),
    "AU26": ([14, 18, 200], [164, 205]),
    "AU27": ([14, 57, 200], [164, 205]),
    "AU43": ([145, 159], [105, 119]),
}
"""Vertices well inside or on the outline, and vertices outside, on the viewer's left or the midline."""


@pytest.fixture(scope="module")
def mesh() -> np.ndarray:
    return geometry.load_frame("xfer").mesh


def outlines(code: str) -> list[list[int]]:
    return [[point.x[0] for point in shape.points] for shape in MESH.action_units[code].shapes]


def region(code: str, mesh: np.ndarray) -> shapely.Geometry:
    return shapely.union_all([shapely.Polygon(mesh[ids]) for ids in outlines(code)])


def test_covers_every_action_unit_of_the_facs_table():
    facs = tomllib.loads((geometry.data_folder() / "facs.toml").read_text(encoding="utf-8"))
    assert set(CODES) == {code for code in facs if code.startswith("AU")}


@pytest.mark.parametrize("code", CODES)
def test_says_where_it_comes_from(code):
    muscle, sign = MESH.action_units[code].note.split(": ")
    assert MESH.action_units[code].evidence == "derived"
    assert muscle
    assert sign


@pytest.mark.parametrize("code", CODES)
def test_outlines_are_simple_and_on_the_mesh(code, mesh):
    for ids in outlines(code):
        assert len(set(ids)) == len(ids)
        assert max(ids) < MESH.drawing.points == geometry.MESH_POINTS
        assert shapely.Polygon(mesh[ids]).is_valid


@pytest.mark.parametrize("code", CODES)
def test_every_outline_has_its_mirrored_twin(code):
    swap = geometry.mirror(geometry.MESH_POINTS)
    found = {edges(ids) for ids in outlines(code)}
    assert {edges(swap[ids]) for ids in outlines(code)} == found


def edges(ids) -> frozenset[frozenset[int]]:
    return frozenset(frozenset((int(a), int(b))) for a, b in zip(ids, np.roll(ids, 1), strict=True))


def test_drawn_on_the_frame_it_is_symmetric(mesh):
    maps = masks.action_units("mesh", mesh, height=geometry.HEIGHT, width=geometry.WIDTH)
    assert maps.shape == (len(CODES), geometry.HEIGHT, geometry.WIDTH)
    assert (maps.max(axis=(1, 2)) == 1).all()
    np.testing.assert_allclose(maps, maps[:, :, ::-1], atol=1e-5)


@pytest.mark.parametrize("code", CODES)
def test_stands_where_the_skin_moves(code, mesh):
    inside, outside = FACTS[code]
    drawn = region(code, mesh)
    eyes = np.linalg.norm(np.subtract(*mesh[list(OUTER_EYES)]))
    assert all(drawn.distance(shapely.Point(mesh[i])) < 1e-9 * eyes for i in inside)
    assert all(drawn.distance(shapely.Point(mesh[i])) > 0.01 * eyes for i in outside)


@pytest.mark.parametrize(("upper", "lower"), [("AU1", "AU4"), ("AU5", "AU7"), ("AU7", "AU6"), ("AU12", "AU15"),
                                              ("AU10", "AU16"), ("AU16", "AU17"), ("AU25", "AU26")])  # fmt: skip
def test_one_region_is_above_the_other(upper, lower, mesh):
    assert region(upper, mesh).centroid.y < region(lower, mesh).centroid.y


def test_agrees_roughly_with_a_third_party(mesh, shared):
    folder = shared / "data" / "face_mesh_maps"
    theirs = json.loads((folder / "au_region_map.json").read_text())["regions"]
    triangles = json.loads((folder / "canonical_face_tessellation.json").read_text())["triangles"]
    eyes = np.linalg.norm(np.subtract(*mesh[list(OUTER_EYES)]))
    left = shapely.box(-1e4, -1e4, mesh[9, 0], 1e4)
    far = {}
    for code in CODES:
        entry = theirs.get(f"AU{labels.au_number(code):02d}")
        if entry is None:
            continue
        other = shapely.union_all([shapely.Polygon(mesh[triangles[t]]) for t in entry["triangles"]])
        ours = region(code, mesh)
        iou = ours.intersection(other).area / ours.union(other).area
        far[code] = ours.intersection(left).centroid.distance(other.intersection(left).centroid) / eyes
        print(f"{code:5s} IoU {iou:.2f}  centroids of the left halves {far[code]:.2f} IOD apart")
    assert len(far) >= 15
    assert {code for code, distance in far.items() if distance > 0.35} <= LEFT_OVER
