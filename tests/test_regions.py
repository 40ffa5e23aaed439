"""The region files drawn on faces: symmetry, the published numbers, and where a FACS coder would look."""

from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter, zoom

from xfer import geometry
from xfer.masks import facs, regions
from xfer.rasteriser import rescale

SLIPS = {("belharbi2024", "AU17"), ("belharbi2024", "AU20")}
"""Regions that lie on one side, or not alike on both, in the source itself."""

IBUG = ("belharbi2024", "jaanet", "xfer")
EVERY = [(name, code) for name in IBUG for code in regions.load(name).action_units]


@pytest.fixture(scope="module")
def level_face():
    """The canonical frame's 68 points: symmetric, eyes level, on its own canvas."""
    return geometry.load_frame("xfer").points[:68]


@pytest.fixture(scope="module")
def mean_face(shared):
    """The mean face of a 224 px crop on which the published numbers were computed."""
    return np.loadtxt(shared / "data" / "mean_face_68_224px.csv", delimiter=",", skiprows=1)[:, 1:]


def maps(name, points, height=275, width=224):
    source = regions.load(name)
    return {
        code: source.drawing.draw(region.shapes, points, height=height, width=width)
        for code, region in source.action_units.items()
    }


@pytest.fixture(scope="module")
def drawn(level_face):
    return {(name, code): m for name in IBUG for code, m in maps(name, level_face).items()}


@pytest.mark.parametrize(("name", "code"), EVERY)
def test_region_is_drawn_inside_the_canvas(name, code, drawn):
    one = drawn[name, code]
    assert one.max() == pytest.approx(1.0, abs=0.02)
    assert 0.002 < (one >= 0.5).mean() < 0.15
    assert max(one[0].max(), one[:, 0].max(), one[:, -1].max()) == 0.0


@pytest.mark.parametrize(("name", "code"), EVERY)
def test_region_is_symmetric_on_a_symmetric_face(name, code, drawn):
    one = drawn[name, code]
    symmetric = np.abs(one - one[:, ::-1]).max() < 1e-3
    assert symmetric == ((name, code) not in SLIPS)


def test_every_source_answers_for_known_units():
    assert set(IBUG) <= set(regions.names())
    assert set(regions.load("xfer").action_units) == set(facs.action_units())
    numbers = (1, 2, 4, 6, 7, 9, 10, 12, 14, 15, 17, 23, 24, 25, 26)
    assert list(regions.load("jaanet").action_units) == [f"AU{number}" for number in numbers]
    assert len(regions.load("belharbi2024").action_units) == 20


@pytest.mark.parametrize("name", IBUG)
def test_derived_regions_say_why(name):
    for code, region in regions.load(name).action_units.items():
        assert region.evidence == ("derived" if name == "xfer" else "source"), code
        assert region.note or name != "xfer", code
        assert "doi:" in region.reference or "ISBN" in region.reference


# ----------------------------------------------------------------------------------------- belharbi2024

AUS = {
    "happiness": (6, 12, 25),
    "surprise": (1, 2, 5, 26, 27),
    "fear": (1, 2, 4, 5, 20, 25, 26, 27),
    "anger": (4, 5, 7, 10, 17, 23, 24, 25, 26),
    "disgust": (9, 5, 16, 17, 25, 26),
    "sadness": (1, 4, 6, 15, 17),
}
"""The codebook of the study's code, with AU5 where its figure means AU10."""


def stretched(one):
    return (one - one.min()) / (one.max() - one.min())


def cosine(one, other):
    return (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())


@pytest.fixture(scope="module")
def published_maps(mean_face):
    """The six expressions and the union of all units: 28 x 28, 3 x 3 blur, back to 224, maximum, min-max."""
    small = maps("belharbi2024", rescale(mean_face, 28 / 224), 28, 28)
    blurred = {
        code: zoom(uniform_filter(one.astype(float), 3, mode="mirror"), 8, order=1, mode="nearest", grid_mode=True)
        for code, one in small.items()
    }
    expressions = {
        name: stretched(np.max([blurred[f"AU{number}"] for number in numbers], axis=0)) for name, numbers in AUS.items()
    }
    return expressions, stretched(np.max(list(blurred.values()), axis=0))


def test_trivial_floors_of_the_published_cosine(published_maps):
    expressions, everything = published_maps
    y, x = np.mgrid[:224, :224]
    floors = {
        "uniform": np.ones((224, 224)),
        "gaussian": np.exp(-((x - 112) ** 2 + (y - 125) ** 2) / (2 * 45**2)),
        "all units": everything,
        "mean of six": np.mean(list(expressions.values()), axis=0),
    }
    found = {name: np.mean([cosine(floor, one) for one in expressions.values()]) for name, floor in floors.items()}
    published = {"uniform": 0.476, "gaussian": 0.587, "all units": 0.724, "mean of six": 0.785}
    assert found == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize(
    ("one", "other", "published"),
    [
        ("surprise", "fear", 0.92),
        ("anger", "sadness", 0.75),
        ("happiness", "sadness", 0.72),
        ("happiness", "surprise", 0.18),
    ],
)
def test_cosines_of_the_published_maps(published_maps, one, other, published):
    expressions, _ = published_maps
    assert cosine(expressions[one], expressions[other]) == pytest.approx(published, abs=0.01)


def test_belharbi_sizes_are_the_pixels_of_the_code(mean_face):
    drawn = maps("belharbi2024", mean_face, 260, 224)
    for code, axes in {"AU2": (28, 22.4), "AU6": (22.4, 22.4), "AU12": (20, 20), "AU14": (20, 20)}.items():
        assert drawn[code].sum() == pytest.approx(2 * np.pi * axes[0] * axes[1], rel=2e-3), code
    y, x = np.nonzero(drawn["AU6"][:, :112] > 0.5)
    assert (x.mean(), y.mean()) == pytest.approx((70, 107 + 224 / 6), abs=0.1)
    y, x = np.nonzero(drawn["AU14"][:, :112] > 0.5)
    assert (x.mean(), y.mean()) == pytest.approx((61, 181), abs=0.1)


def test_units_that_a_source_merges_share_their_map(drawn):
    for name, codes in (
        ("belharbi2024", ("AU23", "AU24", "AU26", "AU27")),
        ("belharbi2024", ("AU12", "AU15")),
        ("belharbi2024", ("AU7", "AU43")),
        ("jaanet", ("AU12", "AU14", "AU15")),
        ("jaanet", ("AU23", "AU24", "AU25")),
        ("jaanet", ("AU17", "AU26")),
    ):
        for code in codes[1:]:
            np.testing.assert_array_equal(drawn[name, codes[0]], drawn[name, code])


# ----------------------------------------------------------------------------------------------- jaanet


@pytest.mark.parametrize(
    ("code", "landmark", "down"),
    [
        ("AU1", 21, -1 / 2), ("AU2", 18, -1 / 3), ("AU4", 19, 1 / 3), ("AU6", 41, 1), ("AU7", 38, 0),
        ("AU9", 32, -1 / 2), ("AU10", 61, 0), ("AU12", 48, 0), ("AU17", 56, 1 / 2), ("AU23", 51, 0),
    ],
)  # fmt: skip
def test_jaanet_peaks_at_its_centres(code, landmark, down, drawn, level_face):
    gap = level_face[42, 0] - level_face[39, 0]
    peaks = np.argwhere(drawn["jaanet", code] > drawn["jaanet", code].max() - 0.02)[:, ::-1]
    expected = level_face[landmark] + [0, down * gap]
    assert np.linalg.norm(peaks - expected, axis=1).min() < 1


# ------------------------------------------------------------------------------------------------- xfer


def overlap(one, other):
    one, other = one >= 0.5, other >= 0.5
    return (one & other).sum() / (one | other).sum()


def test_no_two_units_of_xfer_share_a_region(drawn):
    for one, other in combinations(regions.load("xfer").action_units, 2):
        assert overlap(drawn["xfer", one], drawn["xfer", other]) < 0.7, (one, other)


@pytest.mark.parametrize(
    ("one", "other", "most"),
    [
        ("AU12", "AU14", 0.3), ("AU12", "AU15", 0.1), ("AU12", "AU20", 0.3), ("AU12", "AU13", 0.45),
        ("AU14", "AU15", 0.4), ("AU14", "AU20", 0.5), ("AU15", "AU20", 0.3), ("AU23", "AU24", 0.5),
        ("AU26", "AU27", 0.5), ("AU17", "AU26", 0.6), ("AU6", "AU7", 0.05), ("AU9", "AU10", 0.1),
        ("AU5", "AU7", 0.15), ("AU1", "AU2", 0.05), ("AU1", "AU4", 0.4), ("AU24", "AU25", 0.5),
    ],
)  # fmt: skip
def test_units_that_other_sources_merge_lie_apart(one, other, most, drawn):
    assert overlap(drawn["xfer", one], drawn["xfer", other]) < most


def middle(one):
    """Mean distance from the midline and mean height of a map, px."""
    y, x = np.mgrid[: one.shape[0], : one.shape[1]]
    return (one * abs(x - (one.shape[1] - 1) / 2)).sum() / one.sum(), (one * y).sum() / one.sum()


def test_xfer_lies_where_the_muscle_pulls(drawn, level_face):
    side, height = {}, {}
    for code in regions.load("xfer").action_units:
        side[code], height[code] = middle(drawn["xfer", code])
    corner, brow, nose = level_face[48, 1], level_face[19:25, 1].mean(), level_face[30, 1]
    for order in (
        ("AU1", "AU4", "AU5", "AU7", "AU6", "AU11", "AU12", "AU14", "AU15"),
        ("AU2", "AU43", "AU9", "AU10", "AU24", "AU16", "AU17"),
    ):
        assert sorted(order, key=height.__getitem__) == list(order)
    assert max(height["AU1"], height["AU2"]) < brow
    assert height["AU12"] < corner < height["AU15"]
    assert height["AU9"] < nose < height["AU10"]
    assert side["AU1"] < side["AU4"] < side["AU2"]
    assert side["AU13"] < side["AU12"]
    assert side["AU14"] < side["AU20"]
    assert (drawn["xfer", "AU27"] >= 0.5).sum() > 1.5 * (drawn["xfer", "AU26"] >= 0.5).sum()


def test_regions_hold_on_real_faces(shared):
    files = sorted((shared / "data" / "helen_landmarks").glob("*.pts"))[:40]
    faces = np.stack([np.loadtxt(file, skiprows=3, max_rows=68) for file in files]) - 1
    size = faces.max(1) - faces.min(1)
    faces = (faces - faces.min(1, keepdims=True)) / size.max(1)[:, None, None] * 120 + 50
    for name in IBUG:
        for code, drawn in maps(name, faces, 224, 224).items():
            assert (drawn.max((1, 2)) > 0.5).all(), (name, code)
            assert drawn.min() == 0, (name, code)
            assert drawn.max() <= 1, (name, code)
