"""The codebook `ekman`: the six published Friesen and Ekman masks as landmark polygons."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image
from xarray import DataArray

from xfer import geometry, labels, masks
from xfer.masks import codebooks

AREA = {"anger": 25.0, "disgust": 23.5, "fear": 30.0, "happiness": 21.4, "sadness": 30.9, "surprise": 23.7}
"""Percent of the canvas, as measured on the published masks."""

EYES, BROWS, INNER_BROWS, CHEEKS = "eyes", "brows", "inner brows", "cheeks"
PLACES = {
    EYES: ([36, 37, 38, 39, 40, 41], [42, 43, 44, 45, 46, 47]),
    BROWS: ([19], [24]),
    INNER_BROWS: ([20, 21], [22, 23]),
    "temples": ([0, 17], [16, 26]),
    CHEEKS: ([2, 31], [14, 35]),
    "below the mouth corners": ([5, 48], [11, 54]),
    "glabella": ([21, 22, 27],),
    "middle of the forehead": ([76, 21, 22],),
    "nose tip": ([30],),
    "lip centre": ([51, 57],),
    "lower lip": ([57, 66],),
    "chin": ([8, 57],),
}
"""Each place is the mean of some points, on one or both sides of the face."""

FACTS = {
    "anger": {EYES: 1, BROWS: 1, "glabella": 1, "middle of the forehead": 1, "lip centre": 1, "chin": 1,
              CHEEKS: 0, "nose tip": 0, "temples": 0, "below the mouth corners": 0},
    "disgust": {"glabella": 1, "nose tip": 1, CHEEKS: 1,
                EYES: 0, BROWS: 0, "middle of the forehead": 0, "lower lip": 0, "chin": 0},
    "fear": {EYES: 1, BROWS: 1, "glabella": 1, "middle of the forehead": 1, CHEEKS: 1,
             "lip centre": 0, "nose tip": 0, "chin": 0, "temples": 0},
    "happiness": {EYES: 1, CHEEKS: 1, "below the mouth corners": 1,
                  "lip centre": 0, "nose tip": 0, "chin": 0, "glabella": 0, BROWS: 0},
    "sadness": {EYES: 1, INNER_BROWS: 1, "glabella": 1, "middle of the forehead": 1, CHEEKS: 1, "temples": 1,
                BROWS: 0, "lip centre": 0, "nose tip": 0, "chin": 0},
    "surprise": {EYES: 1, BROWS: 1, "lip centre": 1, "chin": 1,
                 "glabella": 0, "middle of the forehead": 0, "nose tip": 0, CHEEKS: 0},
}  # fmt: skip
"""What the study says of its masks: 1 inside, 0 outside."""


@pytest.fixture(scope="module")
def drawn() -> DataArray:
    return masks.load("ekman")


@pytest.fixture(scope="module")
def study(published: Path) -> DataArray:
    return masks.load("ekman", frame=published / "canonical_points_68.csv")


@pytest.fixture(scope="module")
def truth(published: Path) -> dict[str, np.ndarray]:
    files = (published / "masks").glob("*_gt.png")
    return {labels.expression(f.name.removesuffix("_gt.png")): np.asarray(Image.open(f))[..., 0] > 127 for f in files}


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("expression", labels.BASIC)
def test_overlaps_the_published_mask(study, truth, expression):
    overlap = iou(study.sel(expression=expression).values >= 0.5, truth[expression])
    print(f"{expression}: IoU {overlap:.4f}")
    assert overlap >= 0.97


@pytest.mark.parametrize("expression", labels.BASIC)
def test_is_the_published_mask_once_its_outline_is_filled_too(study, truth, expression):
    """The study's filled triangles include every pixel that an outline passes through: ours above 0."""
    overlap = iou(study.sel(expression=expression).values > 1e-4, truth[expression])
    print(f"{expression}: IoU with the outline {overlap:.4f}")
    assert overlap >= 0.99


def test_covers_the_published_share_of_the_canvas(study):
    percent = 100 * (study >= 0.5).mean(("y", "x"))
    for expression, area in AREA.items():
        assert float(percent.sel(expression=expression)) == pytest.approx(area, abs=0.8)


def test_has_ekmans_six(drawn):
    assert tuple(drawn["expression"].values) == labels.BASIC
    assert drawn.shape == (6, geometry.HEIGHT, geometry.WIDTH)
    assert float(drawn.min()) == 0
    assert float(drawn.max()) == 1


def test_is_symmetric_on_a_symmetric_face(drawn):
    np.testing.assert_allclose(drawn.values, drawn.values[:, :, ::-1], atol=1e-5)


@pytest.mark.parametrize(("expression", "place"), [(e, p) for e, facts in FACTS.items() for p in facts])
def test_covers_what_the_study_describes(drawn, expression, place):
    points = geometry.load_frame("xfer").points
    mask = drawn.sel(expression=expression).values
    for ids in PLACES[place]:
        x, y = np.rint(points[ids].mean(axis=0)).astype(int)
        assert mask[y, x] == FACTS[expression][place]


def test_masks_are_six_different_regions(drawn):
    overlaps = [iou(a, b) for a, b in itertools.combinations(drawn.values >= 0.5, 2)]
    assert min(overlaps) > 0
    assert max(overlaps) < 0.7


@pytest.mark.parametrize("expression", labels.BASIC)
def test_outlines_do_not_cross_themselves(expression):
    points = geometry.load_frame("xfer").points
    for shape in codebooks.load("ekman").expressions[expression].shapes:
        places = [(points[list(p.x), 0].mean(), points[list(p.y), 1].mean()) for p in shape.points]
        outline = shapely.Polygon(places)
        assert outline.is_valid, shapely.is_valid_reason(outline)
