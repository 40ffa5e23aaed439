"""The regions against ICT's face kit, whose blendshapes nobody here drew; ``benchmarks/ict.py`` measures all of it."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.ict import face as ict
from tests.ict import fit
from xfer import geometry, masks
from xfer.masks import regions

SIZE = 128


@pytest.fixture(scope="module")
def kit(shared: Path) -> ict.Kit:
    return ict.load(shared / "data" / "ict_facekit" / "ict_facekit.npz")


@pytest.fixture(scope="module")
def crowd() -> list[ict.Person]:
    return ict.people(2)


def test_rasterise_equals_a_search_per_pixel(rng):
    seen, triangles, size = rng.uniform(-4, 24, (30, 3)), np.arange(30).reshape(10, 3), 20
    which, weights = ict.rasterise(seen, triangles, size)
    for y in range(size):
        for x in range(size):
            heights = {}
            for t, corners in enumerate(seen[triangles]):
                share = np.linalg.solve(np.vstack([corners[:, :2].T, np.ones(3)]), [x, y, 1.0])
                clockwise_on_screen = np.linalg.det(np.vstack([corners[:, :2].T, np.ones(3)])) > 0
                if (share >= 0).all() and not clockwise_on_screen:
                    heights[t] = share @ corners[:, 2]
            expected = max(heights, key=heights.__getitem__) if heights else -1
            assert which[y, x] == expected
            if heights:
                np.testing.assert_allclose(weights[y, x] @ seen[triangles[expected], 2], heights[expected], rtol=1e-9)


def test_landmarks_project_where_they_should(kit, crowd):
    points = ict.landmarks(kit, crowd[0], size=SIZE)
    mirrored = points[list(geometry.IBUG_MIRROR)] * [-1, 1] + [SIZE - 1, 0]
    np.testing.assert_allclose(points, mirrored, atol=0.05)
    for person in crowd:
        points = ict.landmarks(kit, person, size=SIZE)
        assert (np.diff(points[[0, 36, 39, 27, 42, 45, 16], 0]) > 0).all(), "eye corners from left to right"
        assert (np.diff(points[[19, 37, 30, 33, 51, 57, 8], 1]) > 0).all(), "brow to chin from top to bottom"
        assert 0.24 * SIZE < geometry.inter_ocular(points) < 0.30 * SIZE


def test_a_head_that_turns_right_shows_its_nose_farther_right(kit, crowd):
    nose, eyes = 30, [36, 45]
    ahead, right = (ict.landmarks(kit, crowd[0], size=SIZE, yaw=yaw) for yaw in (0.0, 20.0))
    assert ahead[nose, 0] == pytest.approx(ahead[eyes, 0].mean(), abs=0.05)
    assert right[nose, 0] - right[eyes, 0].mean() > 0.02 * SIZE


def test_pictures_are_faces_before_a_background(kit, crowd):
    picture = ict.render(kit, crowd[0], size=SIZE).astype(int)
    points = np.rint(ict.landmarks(kit, crowd[0], size=SIZE)).astype(int)
    background = np.rint(255 * np.array(ict.BACKGROUND))
    assert (picture[0, 0] == background).all()
    assert not (picture[points[:, 1], points[:, 0]] == background).all(axis=1).any()
    x, y = (points[57] + points[66]) // 2
    cheek = picture[points[33, 1], points[36, 0]]
    assert picture[y, x, 0] / picture[y, x, 1] > 1.3 * cheek[0] / cheek[1], "lips are redder than cheeks"


def test_displacement_equals_the_way_of_a_landmark(kit, crowd):
    drop = {"jawOpen": 0.3}
    moved = ict.displacement(kit, crowd[1], drop, SIZE)
    rest, after = (ict.landmarks(kit, crowd[1], shown, SIZE) for shown in ({}, drop))
    way = np.hypot(*(after - rest).T) / geometry.inter_ocular(rest)
    for point in (6, 8, 10, 30, 33, 57):
        x, y = np.rint(rest[point]).astype(int)
        assert moved[y, x] == pytest.approx(way[point], rel=0.05, abs=0.002)


def test_motion_counts_what_arrives(kit, crowd):
    blink = fit.weights(kit, "AU43")
    points = ict.landmarks(kit, crowd[0], size=SIZE)
    x, y = np.rint(points[36:42].mean(axis=0)).astype(int)
    assert ict.displacement(kit, crowd[0], blink, SIZE)[y, x] < 0.01, "the eyeball rests"
    assert fit.motion(kit, crowd[0], blink, SIZE)[y, x] > 0.05, "the lid comes down before it"


def test_overlap_and_auc_equal_their_definitions(rng):
    region, moved = rng.random(500) < 0.2, rng.integers(0, 20, 500).astype(float)
    assert fit.auc(region, moved) == pytest.approx(roc_auc_score(region, moved), rel=1e-10)
    distinct = moved + rng.random(500)
    most = distinct > np.sort(distinct)[-region.sum() - 1]
    assert fit.overlap(region, distinct) == pytest.approx((region & most).sum() / (region | most).sum())
    assert fit.overlap(most, distinct) == 1.0
    assert np.isnan([fit.overlap(np.zeros(3, bool), distinct[:3]), fit.auc(np.ones(3, bool), distinct[:3])]).all()


@pytest.fixture(scope="module")
def scores(kit, crowd) -> dict[str, np.ndarray]:
    """IoU, chance, AUC, and the AUC of the region turned upside down, mean over people."""
    source = regions.load("xfer")
    rows: dict[str, list[tuple[float, ...]]] = {code: [] for code in fit.UNITS}
    for person in crowd:
        points, inner = ict.landmarks(kit, person, size=SIZE), fit.support(kit, person, SIZE)
        drawn = masks.action_units(source, points, height=SIZE, width=SIZE) >= masks.REGION
        maps = dict(zip(source.action_units, drawn, strict=True))
        upside_down = inner.nonzero()[0].min() + inner.nonzero()[0].max() - np.arange(SIZE)
        for code in fit.UNITS:
            moved, own = fit.motion(kit, person, fit.weights(kit, code), SIZE)[inner], maps[code][inner]
            turned = maps[code][np.clip(upside_down, 0, SIZE - 1)][inner]
            rows[code].append((fit.overlap(own, moved), fit.chance(own), fit.auc(own, moved), fit.auc(turned, moved)))
    return {code: np.mean(values, axis=0) for code, values in rows.items()}


def test_pixels_of_our_regions_move_more_than_others(scores):
    aucs = {code: row[2] for code, row in scores.items()}
    assert all(value > 0.55 for value in aucs.values()), aucs
    assert sum(value > 0.75 for value in aucs.values()) >= 16, aucs
    assert np.mean(list(aucs.values())) > 0.85


def test_our_regions_overlap_what_moves_far_beyond_chance(scores):
    iou, chance = np.mean(list(scores.values()), axis=0)[:2]
    assert iou > 0.35
    assert iou > 6 * chance


def test_regions_turned_upside_down_fit_worse(scores):
    assert sum(row[2] > row[3] + 0.2 for row in scores.values()) >= 15
