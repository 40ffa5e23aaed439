"""Inspecting a data set: exact counts, planted copies, a second annotator, landmarks from four sources."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.metrics import cohen_kappa_score

from xfer import geometry, landmarking
from xfer.datasets import Dataset, FaceSample, ImageError
from xfer.errors import InputError
from xfer.inspection import SAME, agreements, choose, cohens_kappa, inspect
from xfer.inspection.copies import fingerprint, identical, near_copies, similarity
from xfer.inspection.looking import NOT_LOOKED_FOR, TURNED

FRAME = geometry.load_frame()
POINTS = FRAME.points[:68]


def picture(seed: int, height: int = 275, width: int = 224) -> np.ndarray:
    """A smooth random texture, uint8 (y, x, 3); the frame's own landmarks lie on it."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((height, width, 3)), (5, 5, 0))
    return (128 + 40 * noise / noise.std()).clip(0, 255).astype(np.uint8)


def face(name: str, image: np.ndarray, expression: str | None = "anger", points=POINTS, **facts) -> FaceSample:
    facts = {"subject": name} | facts
    return FaceSample(name, lambda: image, expression, landmarks=points, **facts)


def recompressed(image: np.ndarray, quality: int = 40) -> np.ndarray:
    held = io.BytesIO()
    Image.fromarray(image).save(held, "JPEG", quality=quality)
    return np.asarray(Image.open(held))


def reduced(image: np.ndarray, by: float) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((int(image.shape[1] * by), int(image.shape[0] * by))))


MIRROR = geometry.mirror(68)


def mirrored(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(image[:, ::-1]), ([image.shape[1] - 1, 0] + POINTS * [-1, 1])[MIRROR]


@pytest.fixture(scope="module")
def planted() -> Dataset:
    """Twelve different pictures in two splits, six copies of them, one picture that cannot be read, one unmarked."""
    originals = [picture(seed) for seed in range(12)]
    names = ["anger", "happiness", "neutral"]
    samples = [
        face(f"o{i}", image, names[i % 3], split="train" if i < 6 else "test") for i, image in enumerate(originals)
    ]
    small = originals[2]
    flip, flipped_points = mirrored(originals[4])
    samples += [
        face("equal", originals[0].copy(), "anger", subject="o0", split="train"),
        face("jpeg", recompressed(originals[1]), "happiness", split="test"),
        face("half", reduced(small, 0.5), "neutral", (POINTS + 0.5) * 0.5 - 0.5, subject="o2", split="train"),
        face("crop", originals[3][8:, 6:-3].copy(), "happiness", POINTS - [6, 8], subject="o3", split="train"),
        face("flip", flip, "happiness", flipped_points, subject="o4", split="train"),
        face("named", recompressed(originals[7], 60), "happiness", subject="somebody else", split="test"),
    ]

    def unreadable():
        raise ImageError("x.jpg", "is an empty file")

    samples.append(FaceSample("broken", unreadable, "anger", subject="o1", split="train"))
    samples.append(face("unmarked", picture(99), None, None, split="train"))
    return Dataset("planted", tuple(samples))


@pytest.fixture(scope="module")
def found(planted):
    return inspect(planted, landmarker=None, workers=2)


def test_counts_are_exact(found):
    table = found.counts()
    assert table.index.tolist() == ["anger", "happiness", "neutral", ""]
    assert table["train"].tolist() == [4, 4, 3, 1]
    assert table["test"].tolist() == [2, 4, 2, 0]
    assert table["faces"].tolist() == [6, 8, 5, 1]
    assert table["subjects"].tolist() == [5, 7, 4, 1]
    assert found.shared_subjects() == {}


def test_every_planted_copy_is_found_and_nothing_else(found):
    pairs = {(r.first, r.second): r for r in found.copies.itertuples()}
    wanted = {("o0", "equal"), ("o1", "jpeg"), ("o2", "half"), ("o3", "crop"), ("o4", "flip"), ("o7", "named")}
    assert set(pairs) == wanted
    assert pairs["o0", "equal"].kind == "identical"
    assert pairs["o0", "equal"].similarity == 1
    assert pairs["o4", "flip"].kind == "mirrored"
    assert {p for p in pairs if pairs[p].kind == "near"} == wanted - {("o0", "equal"), ("o4", "flip")}
    assert {p for p in pairs if pairs[p].splits} == {("o1", "jpeg")}
    assert {p for p in pairs if pairs[p].subjects} == {("o1", "jpeg"), ("o7", "named")}
    assert {p for p in pairs if pairs[p].expressions} == {("o3", "crop")}


def test_pairs_that_do_harm_are_shown_first(found):
    assert (found.twins[0][0].id, found.twins[0][1].id) == ("o1", "jpeg")
    assert len(found.twins) == 6


def test_a_face_without_landmarks_has_its_reason(found):
    reasons = found.faces.set_index("id")["reason"]
    assert reasons["broken"] == "is an empty file"
    assert reasons["unmarked"] == NOT_LOOKED_FOR
    assert (reasons.drop(["broken", "unmarked"]) == "").all()
    assert [p.id for p in found.missed] == ["unmarked"]
    assert found.missed[0].points is None


def test_sizes_and_roll_come_from_picture_and_landmarks(found):
    row = found.faces.set_index("id").loc["half"]
    assert (row["width"], row["height"]) == (112, 137)
    assert row["inter_ocular"] == pytest.approx(geometry.inter_ocular(FRAME.points) / 2)
    assert row["roll"] == pytest.approx(0, abs=1e-4)
    assert np.isnan([row["yaw"], row["pitch"]]).all()


def test_a_turned_head_has_the_roll_of_its_eye_line():
    turned = geometry.apply(np.array([[0.8, -0.6, 100.0], [0.6, 0.8, 40.0]]), POINTS)
    found = inspect(Dataset("d", (face("a", picture(0, 500, 500), points=turned),)), landmarker=None, workers=1)
    assert found.faces["roll"][0] == pytest.approx(np.degrees(np.arctan2(0.6, 0.8)), abs=1e-3)


def test_the_mean_face_is_the_mean_of_the_warped_pictures():
    images = [picture(1), picture(2)]
    found = inspect(Dataset("d", tuple(face(str(i), im) for i, im in enumerate(images))), landmarker=None, workers=1)
    mean = found.means.sel(expression="anger").values
    inside = np.isfinite(mean).all(axis=-1)
    assert inside[FRAME.support].all()
    expected = np.mean(images, axis=0) / 255
    assert np.abs(mean - expected)[inside].max() < 1e-4
    assert found.in_mean().to_dict() == {"anger": 2}


def test_a_face_beyond_the_picture_counts_where_it_is_seen():
    whole, other = picture(1) / 255, picture(2) / 255
    samples = (face("a", picture(1)), face("b", picture(2)[80:].copy(), points=POINTS - [0, 80]))
    found = inspect(Dataset("d", samples), landmarker=None, workers=1)
    mean = found.means.values[0]
    np.testing.assert_allclose(mean[40:79, 60:160], whole[40:79, 60:160], atol=1e-4)
    np.testing.assert_allclose(mean[81:250, 60:160], ((whole + other) / 2)[81:250, 60:160], atol=1e-4)


def test_a_face_turned_over_is_left_out_of_the_mean_and_says_so():
    folded = POINTS.copy()
    folded[27:36, 0] = 2 * POINTS[16, 0] - POINTS[27:36, 0]
    found = inspect(Dataset("d", (face("a", picture(0), points=folded),)), landmarker=None, workers=1)
    assert found.faces["left_out"].tolist() == [TURNED]
    assert found.faces["reason"].tolist() == [""]
    assert found.means.sizes["expression"] == 0
    assert found.in_mean().to_dict() == {"anger": 0}


def test_the_answer_does_not_depend_on_threads(planted, found):
    again = inspect(planted, landmarker=None, workers=1)
    pd.testing.assert_frame_equal(again.faces, found.faces)
    pd.testing.assert_frame_equal(again.copies, found.copies)
    np.testing.assert_array_equal(again.means.values, found.means.values)
    assert [p.id for p in again.sheet] == [p.id for p in found.sheet]


def test_progress_counts_every_face(planted):
    told, steps = [], []

    def stage(what, n):
        told.append((what, n))
        return lambda: steps.append(1)

    inspect(planted, landmarker=None, workers=1, progress=stage)
    assert told == [("faces", 20)]
    assert len(steps) == 20


def table(rows: list[tuple[str, int, int, str]]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["file", "width", "height", "reason"])
    points = pd.DataFrame(np.tile(POINTS.ravel(), (len(rows), 1)), columns=list(landmarking.POINTS))
    made = pd.concat([made, points], axis=1)
    return made.assign(yaw=7.0, pitch=-3.0, roll=1.0, confidence=0.9, n_faces=2, landmarker="mediapipe")


def test_a_table_of_landmarks_is_taken_as_it_is():
    dataset = Dataset("d", tuple(face(n, picture(i), points=None) for i, n in enumerate("abcd")))
    given = table([("a", 224, 275, ""), ("b", 224, 275, "no face"), ("c", 99, 275, "")])
    found = inspect(dataset, given, workers=1)
    assert found.faces["reason"].tolist() == [
        "", "no face", "its landmarks are for a picture of 99 x 275 px", "not in the table of landmarks",
    ]  # fmt: skip
    assert found.faces.loc[0, ["yaw", "pitch", "roll"]].tolist() == [7.0, -3.0, 1.0]
    assert found.faces["several"].tolist() == [True, True, True, False]
    assert found.landmarker == "a table of landmarks (mediapipe)"


def test_landmarks_for_another_size_are_refused():
    found = inspect(Dataset("d", (face("a", picture(0), points=POINTS * 9),)), landmarker=None, workers=1)
    assert "they are for another size" in found.faces["reason"][0]


def test_an_unknown_landmarker_and_mask_source_are_told():
    dataset = Dataset("d", (face("a", picture(0), points=None),))
    with pytest.raises(InputError, match="landmarker"):
        inspect(dataset, landmarker="nobody", workers=1)
    with pytest.raises(InputError, match="nothing"):
        inspect(dataset, landmarker=None, masks="nothing", workers=1)


def test_published_landmarks_need_no_landmarker():
    found = inspect(Dataset("d", (face("a", picture(0)),)), landmarker="onnx:missing.onnx", workers=1)
    assert found.landmarker == "published with the data"


def test_the_contact_sheet_spreads_over_expressions_and_keeps_to_its_seed():
    labels = ["anger"] * 50 + ["fear"] * 3 + [None] * 20
    dataset = Dataset("d", tuple(face(str(i), np.zeros(()), e) for i, e in enumerate(labels)))
    places = choose(dataset, 23, seed=3)
    assert [sum(labels[p] == e for p in places) for e in ("anger", "fear", None)] == [10, 3, 10]
    assert choose(dataset, 23, seed=3) == places != choose(dataset, 23, seed=4)
    assert sorted(choose(dataset, 1000, seed=0)) == list(range(73))


def rated(pairs: list[tuple[str | None, str]], column: str = "second") -> list[FaceSample]:
    return [FaceSample(str(i), np.zeros, a, extra={column: b, "age": "31"}) for i, (a, b) in enumerate(pairs)]


def test_a_second_annotator_is_recognised_by_what_the_cells_say():
    pairs = [("anger", "Angry"), ("anger", "fear"), ("happiness", "happy"), ("happiness", ""), (None, "fear")]
    (found,) = agreements(rated(pairs))
    assert found.column == "second"
    assert (found.n, found.unread) == (3, 0)
    assert found.agreed == pytest.approx(2 / 3)
    assert found.table.index.tolist() == found.table.columns.tolist() == ["anger", "fear", "happiness"]
    assert found.table.to_numpy().tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_a_few_unreadable_cells_are_counted_and_many_make_it_no_annotator():
    assert agreements(rated([("anger", "anger")] * 19 + [("anger", "??")]))[0].unread == 1
    assert agreements(rated([("anger", "anger")] * 8 + [("anger", "tall")] * 2)) == ()
    assert agreements(rated([("anger", "")])) == ()


def test_kappa_is_that_of_scikit_learn(rng):
    for k in (2, 3, 6):
        first = rng.integers(k, size=200)
        second = np.where(rng.random(200) < 0.6, first, rng.integers(k, size=200))
        counts = np.zeros((k, k), int)
        np.add.at(counts, (first, second), 1)
        assert cohens_kappa(counts)[0] == pytest.approx(cohen_kappa_score(first, second), rel=1e-10)


def test_the_interval_is_that_of_the_delta_method(rng):
    counts = rng.integers(1, 30, (4, 4)) + 20 * np.eye(4, dtype=int)

    def kappa(p: np.ndarray) -> float:
        p = p / p.sum()
        chance = p.sum(0) @ p.sum(1)
        return (np.trace(p) - chance) / (1 - chance)

    n, p, step = counts.sum(), counts / counts.sum(), 1e-6
    slope = np.array([(kappa(p + step * e) - kappa(p - step * e)) / (2 * step) for e in np.eye(16).reshape(16, 4, 4)])
    flat = p.ravel()
    error = np.sqrt((slope @ (np.diag(flat) - np.outer(flat, flat)) @ slope) / n)
    value, low, high = cohens_kappa(counts)
    assert (high - low) / 2 == pytest.approx(1.959964 * error, rel=1e-6)
    assert (high + low) / 2 == pytest.approx(value)


def test_kappa_of_a_single_label_is_undefined():
    assert np.isnan(cohens_kappa(np.array([[9]]))).all()


def test_a_print_does_not_change_with_size_place_or_turn():
    image = picture(5, 400, 400)
    at = POINTS + np.array([60, 50])
    reference = fingerprint(image, at, FRAME).astype(float)
    by = 0.6
    small = fingerprint(reduced(image, by), (at + 0.5) * by - 0.5, FRAME)
    turned = np.asarray(Image.fromarray(image).transpose(Image.Transpose.ROTATE_90))
    upright = fingerprint(turned, np.stack([at[:, 1], 399 - at[:, 0]], axis=1), FRAME)
    assert np.abs(small - reference).mean() < 2
    assert np.abs(upright - reference).mean() < 1


def test_prints_reach_over_the_picture_edge_without_a_black_border():
    bright = np.full((80, 80, 3), 200, np.uint8)
    assert (fingerprint(bright, POINTS - [70, 90], FRAME) == 200).all()


def test_similarity_is_one_for_a_shifted_copy_and_low_for_another_picture(rng):
    field = gaussian_filter(rng.standard_normal((3, 60, 60)), (0, 2, 2)) * 400 + 128
    fixed, moved = field[:, 10:42, 10:42], field[:, 11:43, 9:41]
    assert (similarity(fixed, moved) > SAME).all()
    assert (similarity(fixed, moved[[1, 2, 0]]) < 0.5).all()


def test_a_change_in_one_part_keeps_two_prints_apart(rng):
    fixed = gaussian_filter(rng.standard_normal((1, 32, 32)), (0, 2, 2)) * 400 + 128
    changed = fixed.copy()
    changed[:, 20:30, 8:24] = changed[:, 20:30, 8:24][:, ::-1, ::-1]
    assert similarity(fixed, fixed)[0] == pytest.approx(1)
    assert similarity(fixed, changed)[0] < SAME


def test_blank_prints_are_like_nothing():
    assert near_copies(np.full((4, 32, 32), 77, np.uint8)) == []
    assert near_copies(np.empty((0, 32, 32), np.uint8)) == []


def test_copies_are_found_across_blocks(monkeypatch, rng):
    prints = (gaussian_filter(rng.standard_normal((23, 32, 32)), (0, 2, 2)) * 400 + 128).clip(0, 255).astype(np.uint8)
    prints[17], prints[22] = prints[2], prints[5][:, ::-1]
    monkeypatch.setattr("xfer.inspection.copies._BLOCK", 4)
    assert {(c.first, c.second, c.mirrored) for c in near_copies(prints)} == {(2, 17, False), (5, 22, True)}


def test_equal_digests_are_linked_to_the_first():
    assert identical([b"a", b"", b"b", b"a", b"", b"a"]) == [(0, 3), (0, 5)]


def test_different_people_are_never_called_the_same_photograph(shared, monkeypatch):
    from xfer import datasets

    monkeypatch.setenv("XFER_ASSETS", str(shared / "models"))
    data = datasets.open(f"csv:{shared / 'data/london/labels.csv'}", expressions=["neutral"])
    found = inspect(replace(data, samples=data.samples[:30]), workers=2)
    assert found.copies.empty
    assert (found.faces["reason"] == "").all()
