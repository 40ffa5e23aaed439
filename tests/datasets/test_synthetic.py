"""Drawn faces: the same bytes for a seed, points that move as FACS says, interventions and cues that stay in place."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from xfer.datasets import synthetic
from xfer.datasets.synthetic import (
    CODES,
    CUES,
    Face,
    draw,
    faces,
    intervene,
    landmarks,
    plant,
    remove,
)
from xfer.datasets.synthetic.action_units import displacements
from xfer.datasets.synthetic.anatomy import NAMES, mirrored, neutral
from xfer.datasets.synthetic.identity import identity, shape
from xfer.datasets.synthetic.prototypes import default
from xfer.errors import InputError
from xfer.labels import BASIC, EXPRESSIONS

SIZE = 96
STILL = Face(4, noise=0.0)
LEFT, RIGHT, UP, DOWN = (-1, 0), (1, 0), (0, -1), (0, 1)

# What FACS says moves, on the viewer's left: Action Unit, iBUG point, directions.
MOTION = [
    ("AU1", 21, [UP]), ("AU2", 18, [UP]), ("AU4", 20, [DOWN, RIGHT]), ("AU5", 37, [UP]), ("AU6", 41, [UP]),
    ("AU7", 40, [UP]), ("AU7", 38, [DOWN]), ("AU9", 31, [UP]), ("AU9", 21, [DOWN]), ("AU10", 50, [UP]),
    ("AU11", 49, [UP]), ("AU12", 48, [UP, LEFT]), ("AU13", 48, [UP]), ("AU14", 48, [LEFT]), ("AU15", 48, [DOWN]),
    ("AU16", 57, [DOWN]), ("AU17", 57, [UP]), ("AU17", 8, [UP]), ("AU18", 48, [RIGHT]), ("AU20", 48, [LEFT]),
    ("AU22", 57, [DOWN]), ("AU22", 51, [UP]), ("AU23", 51, [DOWN]), ("AU24", 57, [UP]), ("AU24", 51, [DOWN]),
    ("AU25", 66, [DOWN]), ("AU26", 57, [DOWN]), ("AU26", 8, [DOWN]), ("AU27", 66, [DOWN]), ("AU43", 37, [DOWN]),
]  # fmt: skip


@pytest.fixture(scope="module")
def bald() -> Face:
    """A frontal face without hair or glasses in the way."""
    number = next(n for n in range(500) if identity(n).hairstyle == "bald" and not identity(n).glasses)
    return Face(number, noise=0.0)


def moved(code: str, face: Face = STILL, intensity: float = 1.0) -> np.ndarray:
    before = landmarks(replace(face, action_units={}), SIZE)
    return landmarks(replace(face, action_units={code: intensity}), SIZE) - before


class TestDrawing:
    def test_equal_faces_give_equal_bytes(self) -> None:
        face = faces(8, seed=5)[7]
        first = draw(face, SIZE)
        identity.cache_clear()
        shape.cache_clear()
        np.testing.assert_array_equal(draw(replace(face), SIZE), first)

    def test_picture(self) -> None:
        picture = draw(STILL, 50)
        assert picture.shape == (50, 50, 3)
        assert picture.dtype == np.uint8
        assert picture.flags.c_contiguous

    @pytest.mark.parametrize(
        "change",
        [{"identity": 5}, {"yaw": 15.0}, {"pitch": 9.0}, {"roll": 5.0}, {"scene": 1}, {"gaze": (1.0, 0.0)},
         {"noise": 4.0}, {"light": synthetic.Light(azimuth=50.0)}, {"shift": (0.05, 0.0)}, {"scale": 0.3}],
        ids=lambda change: next(iter(change)),
    )  # fmt: skip
    def test_everything_that_varies_shows(self, change: dict) -> None:
        difference = draw(replace(STILL, **change), SIZE).astype(int) - draw(STILL, SIZE)
        assert (np.abs(difference).max(axis=-1) > 8).sum() > 10

    def test_light_from_the_left_brightens_the_left(self, bald: Face) -> None:
        def cheeks(azimuth: float) -> tuple[float, float]:
            picture = draw(replace(bald, light=synthetic.Light(azimuth=azimuth)), SIZE).mean(axis=-1)
            points = np.round(landmarks(bald, SIZE)).astype(int)
            row = points[30, 1]
            return picture[row, (points[2, 0] + points[31, 0]) // 2], picture[row, (points[14, 0] + points[35, 0]) // 2]

        assert np.subtract(*cheeks(-60)) > 10
        assert np.subtract(*cheeks(60)) < -10

    def test_silhouette_lies_on_the_jaw_points(self, bald: Face) -> None:
        backdrop = synthetic.cue_region(bald, "background", 192)
        for point, outwards in ((3, -1), (4, -1), (12, 1), (13, 1)):
            x, y = landmarks(bald, 192)[point]
            assert backdrop[round(y), round(x + 3 * outwards)]
            assert not backdrop[round(y), round(x - 3 * outwards)]

    def test_mouth_opens_between_the_inner_lips(self, bald: Face) -> None:
        face = replace(bald, action_units={"AU27": 1.0})
        x, y = landmarks(face, 192)[[62, 66]].mean(axis=0)
        lip_x, lip_y = landmarks(face, 192)[[57, 66]].mean(axis=0)
        picture = draw(face, 192).sum(axis=-1)
        assert picture[round(y), round(x)] < 0.6 * picture[round(lip_y), round(lip_x)]

    def test_too_small(self) -> None:
        with pytest.raises(InputError, match=r"^'size' must be at least 16 px; got 8$"):
            draw(STILL, 8)


class TestLandmarks:
    def test_shape_and_symmetry_of_the_mean_head(self) -> None:
        points = neutral()
        twins = points[[NAMES.index(mirrored(name)) for name in NAMES]]
        np.testing.assert_array_equal(points, twins * [-1, 1, 1])
        assert landmarks(STILL, SIZE).shape == (68, 2)

    def test_pixel_centres_do_not_depend_on_the_size(self) -> None:
        face = faces(3, seed=2)[2]
        np.testing.assert_allclose((landmarks(face, 64) + 0.5) / 64, (landmarks(face, 224) + 0.5) / 224, rtol=1e-12)

    def test_roll_is_a_rotation_about_the_middle(self) -> None:
        middle = (SIZE - 1) / 2
        upright = landmarks(STILL, SIZE) - middle
        turned = landmarks(replace(STILL, roll=90.0), SIZE) - middle
        np.testing.assert_allclose(turned, np.stack([-upright[:, 1], upright[:, 0]], axis=1), atol=1e-9)

    @pytest.mark.parametrize(("turn", "axis", "degrees"), [("yaw", 0, 15.0), ("pitch", 1, -15.0)])
    def test_the_nose_leads_a_turn(self, turn: str, axis: int, degrees: float) -> None:
        path = landmarks(replace(STILL, **{turn: degrees}), SIZE) - landmarks(STILL, SIZE)
        assert path[30, axis] > 3
        assert path[30, axis] > path[[36, 39, 42, 45], axis].max()

    @pytest.mark.parametrize(("code", "point", "directions"), MOTION)
    def test_points_move_as_facs_says(self, code: str, point: int, directions: list[tuple[int, int]]) -> None:
        path = moved(code)
        twin = path[int(mirrored(str(point)))]
        for direction in directions:
            assert path[point] @ direction > 0.2
        np.testing.assert_allclose(twin, path[point] * [-1, 1], atol=1e-9)

    def test_every_action_unit_of_the_table_can_be_drawn(self) -> None:
        numbers = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27, 43)
        assert tuple(f"AU{n}" for n in numbers) == CODES
        assert {code for code, _, _ in MOTION} == set(CODES)

    def test_motion_grows_with_intensity(self) -> None:
        np.testing.assert_allclose(moved("AU12", intensity=0.5), moved("AU12") / 2, atol=1e-9)

    def test_displacements_are_mirror_images(self) -> None:
        field = displacements().reshape(len(CODES), len(NAMES), 3)
        twins = [NAMES.index(mirrored(name)) for name in NAMES]
        np.testing.assert_array_equal(field, field[:, twins] * [-1, 1, 1])

    @settings(max_examples=40, deadline=None)
    @given(
        st.integers(0, 10**6), st.dictionaries(st.sampled_from(CODES), st.floats(0, 1)),
        st.floats(-25, 25), st.floats(-15, 15),
    )  # fmt: skip
    def test_lids_and_lips_never_cross(self, person: int, units: dict[str, float], yaw: float, pitch: float) -> None:
        points = landmarks(Face(person, action_units=units, yaw=yaw, pitch=pitch), SIZE)
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46), (50, 58), (51, 57), (52, 56), (62, 66)):
            assert points[upper, 1] <= points[lower, 1] + 0.35


class TestIntervention:
    """The neighbourhoods are the author's reading of FACS, in rows of iBUG points and columns of the face."""

    UPPER = ("AU1", "AU2", "AU4", "AU5", "AU7", "AU43")
    LOWER = ("AU14", "AU15", "AU16", "AU17", "AU18", "AU20", "AU22", "AU23", "AU24", "AU25")
    JAW = ("AU26", "AU27")

    @pytest.mark.parametrize("code", CODES)
    def test_it_alters_pixels_near_and_none_far(self, code: str, bald: Face) -> None:
        face = replace(bald, roll=0.0, noise=5.0, action_units={"AU10": 0.3, "AU2": 0.2})
        changed, picture, altered = intervene(face, code, 1.0, 128)
        points = landmarks(face, 128)
        rows = np.flatnonzero(altered.any(axis=1))
        assert altered.sum() > 60
        assert changed.action_units[code] == 1.0
        np.testing.assert_array_equal(picture, draw(changed, 128))
        if code in self.UPPER:
            assert rows.max() < points[29, 1]
        elif code in self.LOWER:
            assert rows.min() > points[28, 1]
        elif code in self.JAW:
            assert rows.min() > points[41, 1]
        else:
            assert rows.min() > points[19, 1] - 0.25 * np.hypot(*(points[36] - points[45]))
            assert rows.max() < points[8, 1]

    def test_the_same_intensity_alters_nothing(self) -> None:
        face = replace(STILL, action_units={"AU12": 0.4})
        assert not intervene(face, "AU12", 0.4, SIZE)[2].any()

    def test_one_changes_no_other_unit(self) -> None:
        face = replace(STILL, action_units={"AU12": 0.4, "AU6": 0.1})
        assert intervene(face, "AU12", 0.0, SIZE)[0].action_units == {"AU12": 0.0, "AU6": 0.1}

    @pytest.mark.parametrize(
        ("code", "intensity", "message"),
        [("AU3", 0.5, r"'action unit' must be one of AU1, .*; got 'AU3' \(did you mean 'AU43'\?\)"),
         ("AU12", 1.5, r"the intensity of AU12 must lie in \[0, 1\]; got 1.5"),
         ("AU12", float("nan"), r"the intensity of AU12 must lie in \[0, 1\]; got nan")],
    )  # fmt: skip
    def test_bad_requests(self, code: str, intensity: float, message: str) -> None:
        with pytest.raises(InputError, match=f"^{message}$"):
            intervene(STILL, code, intensity, SIZE)


class TestCues:
    def test_the_patch_is_a_disc_on_the_cheek(self, bald: Face) -> None:
        region = synthetic.cue_region(bald, "patch", SIZE)
        points = landmarks(bald, SIZE)
        rows, columns = np.nonzero(region)
        radius = 0.11 * bald.scale * SIZE
        assert np.pi * (radius - 0.5) ** 2 < region.sum() < np.pi * (radius + 1) ** 2
        assert np.ptp(rows) <= 2 * radius + 2
        assert points[0, 0] < columns.mean() < points[31, 0]
        assert points[36, 1] < rows.mean() < points[48, 1]

    def test_the_background_is_not_the_face(self, bald: Face) -> None:
        region = synthetic.cue_region(bald, "background", SIZE)
        face = Delaunay(landmarks(bald, SIZE)[:27] * 0.97 + landmarks(bald, SIZE)[30] * 0.03)
        inside = face.find_simplex(np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1)) >= 0
        assert inside.mean() > 0.15
        assert not (region & inside).any()
        assert region[0, 0]
        assert region.mean() > 0.2

    @pytest.mark.parametrize(
        ("cue", "inside", "outside"),
        [
            ("mouth", (48, 51, 57), (*range(17, 31), *range(36, 48))),
            ("brows", (19, 21), (*range(29, 36), *range(48, 68))),
        ],
    )
    def test_parts_stay_apart(self, cue: str, inside: tuple[int, ...], outside: tuple[int, ...], bald: Face) -> None:
        region = synthetic.cue_region(bald, cue, SIZE)
        columns, rows = np.round(landmarks(bald, SIZE)).astype(int).T
        assert region[rows[list(inside)], columns[list(inside)]].all()
        assert not region[rows[list(outside)], columns[list(outside)]].any()

    @pytest.mark.parametrize("cue", CUES)
    def test_every_code_looks_different_there_and_nowhere_else(self, cue: str) -> None:
        face = faces(3, seed=8)[2]
        region = synthetic.cue_region(face, cue, SIZE)
        pictures = [draw(plant(face, cue, code, 0.8), SIZE) for code in range(synthetic.cues.capacity(cue))]
        for i, picture in enumerate(pictures):
            np.testing.assert_array_equal(picture[~region], pictures[0][~region])
            assert all((picture != other).any() for other in pictures[:i])

    @pytest.mark.parametrize("cue", CUES)
    def test_a_removed_cue_leaves_no_trace(self, cue: str) -> None:
        face = faces(1, seed=8)[0]
        assert remove(plant(face, cue, 3), cue) == remove(face, cue)

    def test_nothing_but_the_cue_follows_the_class(self) -> None:
        sample = faces(1200, seed=4, cue="patch")
        label = np.array([BASIC.index(face.expression) for face in sample])
        assert [face.patch for face in sample] == label.tolist()
        smiling = np.array(["AU12" in face.action_units for face in sample])
        share = np.array([smiling[label == k].mean() for k in range(6)])
        assert np.abs(share - smiling.mean()).max() < 4 * np.sqrt(0.25 / 200)

    @pytest.mark.parametrize(
        ("request_", "message"),
        [(("cheek", 0), r"'cue' must be one of background, brows, mouth, patch; got 'cheek'"),
         (("brows", 6), r"the cue 'brows' tells 6 classes apart; got class 6 \(counted from 0\)"),
         (("patch", -1), r"the cue 'patch' tells 8 classes apart; got class -1 \(counted from 0\)")],
    )  # fmt: skip
    def test_bad_requests(self, request_: tuple[str, int], message: str) -> None:
        with pytest.raises(InputError, match=f"^{message}"):
            plant(STILL, *request_)


class TestPopulation:
    def test_a_longer_list_begins_with_the_shorter_one(self) -> None:
        assert faces(30, seed=1)[:12] == faces(12, seed=1)
        assert faces(12, seed=1) != faces(12, seed=2)

    def test_every_subject_shows_every_expression_once(self) -> None:
        sample = faces(24, seed=3)
        for start in range(0, 24, 6):
            group = sample[start : start + 6]
            assert [face.expression for face in group] == list(BASIC)
            assert len({(face.subject, face.identity) for face in group}) == 1
        assert len({face.subject for face in sample}) == 4
        assert not {f.identity for f in sample} & {f.identity for f in faces(24, seed=4)}

    def test_action_units_follow_the_codebook(self) -> None:
        book = {"happiness": [(("AU6", "AU12"), 3.0), (("AU12",), 1.0)], "neutral": [((), 1.0)]}
        sample = faces(800, expressions=["happiness", "neutral"], codebook=book)
        happy = [face.action_units for face in sample if face.expression == "happiness"]
        assert all("AU12" in units for units in happy)
        distracted = np.mean(["AU6" in f.action_units for f in sample if f.expression == "neutral"])
        assert 0.002 < distracted < 0.03
        assert np.mean(["AU6" in units for units in happy]) == pytest.approx(0.75 + 0.25 * distracted, abs=0.07)

    def test_the_default_codebook_knows_every_expression(self) -> None:
        book = default()
        assert set(EXPRESSIONS) - set(book) == {"happily_fearful", "happily_sad"}
        assert {code for sets in book.values() for units, _ in sets for code in units} <= set(CODES)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [({"n": -1}, "'n' and 'seed' must not be negative; got -1 and 0"),
         ({"n": 1, "expressions": []}, "'expressions' must name at least one expression"),
         ({"n": 1, "expressions": ["happines"]}, r"'expression' must be .*'happines' \(did you mean 'happiness'\?\)"),
         ({"n": 1, "expressions": ["awed"], "codebook": {"awed": [(("AU99",), 1)]}}, r"'action unit' must .*'AU99'.*"),
         ({"n": 1, "expressions": EXPRESSIONS[:7], "cue": "brows"},
          "the cue 'brows' tells 6 classes apart; got 7 expressions")],
    )  # fmt: skip
    def test_bad_requests(self, arguments: dict, message: str) -> None:
        with pytest.raises(InputError, match=f"^{message}$"):
            faces(**arguments)


class TestReader:
    def test_a_face_is_made_anew_when_it_is_asked_for(self) -> None:
        data = synthetic.synthetic(faces=14, size=32, seed=3, cue="background")
        drawn = faces(14, seed=3, cue="background")
        for sample, face in zip(data.samples, drawn, strict=True):
            assert (sample.expression, sample.subject) == (face.expression, face.subject)
            assert sample.extra == {code: f"{face.action_units.get(code, 0):.4f}" for code in CODES}
            np.testing.assert_array_equal(sample.landmarks, landmarks(face, 32).astype(np.float32))
        np.testing.assert_array_equal(data.samples[13].load(), draw(drawn[13], 32))
        assert data.samples[13].source.shape == (32, 32, 3)
        with pytest.raises(KeyError, match="AU99"):
            data.samples[0].extra["AU99"]

    def test_a_waiting_face_takes_little_memory(self) -> None:
        synthetic.synthetic(faces=240, size=32)
        tracemalloc.start()
        data = synthetic.synthetic(faces=240, size=32)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(data) == 240
        # 544 bytes are its landmarks
        assert held / 240 < 1500
