import numpy as np
import pytest

from xfer import datasets
from xfer.errors import InputError

NAMES = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")


def sequence(root, picture, subject, number, frames, code=None):
    for frame in range(1, frames + 1):
        picture(root / "cohn-kanade-images" / subject / number / f"{subject}_{number}_{frame:08d}.png")
    if code is not None:
        labels = root / "Emotion" / subject / number
        labels.mkdir(parents=True)
        (labels / f"{subject}_{number}_{frames:08d}_emotion.txt").write_text(f"   {code:.7e}\n")


def test_first_frame_is_neutral_and_the_last_are_the_expression(tmp_path, picture):
    sequence(tmp_path, picture, "S005", "001", 11, 3)
    dataset = datasets.open(f"ck_plus:{tmp_path}")
    assert [(s.id[-6:], s.expression, s.time) for s in dataset.samples] == [
        ("01.png", "neutral", 0.0),
        ("09.png", "disgust", pytest.approx(8 / 30)),
        ("10.png", "disgust", pytest.approx(9 / 30)),
        ("11.png", "disgust", pytest.approx(10 / 30)),
    ]
    assert {s.subject for s in dataset.samples} == {"S005"}
    assert dataset.samples[0].extra == {"sequence": "S005/001"}
    assert dataset.summary()[-1] == "7 faces left out: neither the first frame nor one of the last 3"
    assert len(datasets.open(f"ck_plus:{tmp_path}", peaks=1)) == 2
    with pytest.raises(InputError, match="peaks: at least 1 frame shows the expression; got 0"):
        datasets.open(f"ck_plus:{tmp_path}", peaks=0)


def test_time_goes_by_number_not_by_name(tmp_path, picture):
    sequence(tmp_path, picture, "S005", "001", 2, 7)
    folder = tmp_path / "cohn-kanade-images" / "S005" / "001"
    (folder / "S005_001_00000002.png").rename(folder / "S005_001_10.png")
    (folder / "S005_001_00000001.png").rename(folder / "S005_001_9.png")
    found = datasets.open(f"ck_plus:{tmp_path}").samples
    assert [(s.expression, s.time) for s in found] == [("neutral", 0.0), ("surprise", pytest.approx(1 / 30))]


def test_codes(tmp_path, picture):
    for code in range(8):
        sequence(tmp_path, picture, f"S{code:03d}", "002", 4, code)
    dataset = datasets.open(f"ck_plus:{tmp_path}", peaks=1)
    assert [s.expression for s in dataset.samples[1::2]] == list(NAMES)


def test_short_sequences_keep_their_neutral_frame(tmp_path, picture):
    sequence(tmp_path, picture, "S005", "001", 3, 1)
    assert [s.expression for s in datasets.open(f"ck_plus:{tmp_path}").samples] == ["neutral", "anger", "anger"]


def test_unlabelled_sequences_and_strange_files_are_listed(tmp_path, picture):
    sequence(tmp_path, picture, "S005", "001", 2, 1)
    sequence(tmp_path, picture, "S005", "002", 2)
    sequence(tmp_path, picture, "S006", "001", 2, 12)
    picture(tmp_path / "cohn-kanade-images" / "S007" / "001" / "frame1.png")
    dataset = datasets.open(f"ck_plus:{tmp_path}")
    assert [s.id for s in dataset.samples] == [
        "S005/001/S005_001_00000001.png", "S005/001/S005_001_00000002.png", "S006/001/S006_001_00000001.png",
    ]  # fmt: skip
    assert dataset.dropped == (
        ("S005/002/S005_002_00000001.png", "its sequence has no emotion label"),
        ("S005/002/S005_002_00000002.png", "its sequence has no emotion label"),
        ("S006/001/S006_001_00000002.png", "label '12' is none of its expressions"),
        ("S007/001/frame1.png", "is not named as S005_001_00000011.png"),
    )


def test_landmarks_and_action_units(tmp_path, picture):
    sequence(tmp_path, picture, "S005", "001", 2, 3)
    points = np.arange(136.0).reshape(68, 2) / 3
    for folder in ("Landmarks", "FACS"):
        (tmp_path / folder / "S005" / "001").mkdir(parents=True)
    landmarks = tmp_path / "Landmarks" / "S005" / "001"
    (landmarks / "S005_001_00000002_landmarks.txt").write_text("".join(f"   {x:.7e}   {y:.7e}\n" for x, y in points))
    (landmarks / "S005_001_00000001_landmarks.txt").write_text("1 2\n")
    (tmp_path / "FACS" / "S005" / "001" / "S005_001_00000002_facs.txt").write_text(
        "   9.0000000e+00   5.0000000e+00\n   1.7000000e+01   0.0000000e+00\n"
    )
    first, last = datasets.open(f"ck_plus:{tmp_path}").samples
    assert first.landmarks is None
    np.testing.assert_allclose(last.landmarks, points, rtol=1e-6)
    assert last.extra == {"sequence": "S005/001", "AU9": "5", "AU17": "0"}


def test_the_copy_in_folders_keeps_its_subjects(tmp_path, picture):
    picture(tmp_path / "anger" / "S010_004_00000017.png")
    picture(tmp_path / "contempt" / "S138_008_00000007.png")
    dataset = datasets.open(f"ck_plus:{tmp_path}")
    assert [(s.expression, s.subject) for s in dataset.samples] == [("anger", "S010"), ("contempt", "S138")]
