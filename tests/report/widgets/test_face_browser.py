"""The face browser: wrong answers first, maps that were kept, pictures where they are known."""

import shutil

import numpy as np
import pytest
from PIL import Image

from xfer.report.widgets import face_browser
from xfer.study import Study, faces
from xfer.study.kept_faces import SIDE, KeptFaces


@pytest.fixture
def browser(trained):
    return face_browser(trained)


def test_wrong_answers_come_first_the_surest_on_top(trained, browser):
    table = trained.predictions
    kept = KeptFaces(trained).table
    right = kept["right"].to_numpy()
    assert not right[: (~right).sum()].any()
    wrong = kept[~kept["right"]]["probability"].to_numpy()
    assert (np.diff(wrong) <= 0).all()
    for row in kept.head(5).itertuples():
        whole = table[table["face"] == row.face].iloc[0]
        assert row.probability == whole[f"p_{row.predicted}"] == max(whole[c] for c in table if c.startswith("p_"))
    assert browser.told.startswith(f"{len(kept)} faces, {len(wrong)} of them taken for something else")


def test_every_control_changes_the_picture(browser):
    seen = [browser.png]
    for control, value in (
        (browser.page, 2), (browser.explainer, "saliency"), (browser.strength, 0.1), (browser.landmarks, True),
        (browser.expression, "fear"),
    ):  # fmt: skip
        control.value = value
        seen.append(browser.png)
    assert len(set(seen)) == len(seen)
    assert browser.page.value == 1, "another choice starts at its first page"


def test_landmarks_lie_on_the_drawn_face(browser):
    browser.landmarks.value = True
    drawn = [c for ax in browser.figure.axes for c in ax.collections if c.get_gid() == "landmarks"]
    assert len(drawn) == min(8, len(browser.rows))
    browser.landmarks.value = False
    assert not [c for ax in browser.figure.axes for c in ax.collections if c.get_gid() == "landmarks"]


def test_a_drawn_face_is_drawn_again_as_it_was_seen(trained):
    kept = KeptFaces(trained)
    name = kept.table["face"].iloc[0]
    dataset = faces.open_faces("synthetic", faces=72, size=96, seed=trained.config["seed"])
    sample = next(s for s in dataset.samples if s.id == name)
    seen = kept.face(name)
    assert seen.picture.shape == (SIDE, SIDE, 3)
    small = seen.picture.reshape(96, 2, 96, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - sample.load()).mean() < 6
    np.testing.assert_allclose(seen.points, (np.asarray(sample.landmarks) + 0.5) * 2 - 0.5, atol=1e-3)


def test_the_map_is_the_one_that_was_kept(trained):
    kept, row = KeptFaces(trained), KeptFaces(trained).table.iloc[3]
    path = next((trained.folder / "maps").glob("*.npz"))
    with np.load(path) as stored:
        at = stored["face"].tolist().index(row.face)
        assert np.array_equal(kept.map(row.model, row.fold, row.face, "saliency"), stored["maps"][at, 1])


def test_without_pictures_maps_and_landmarks_are_left(trained, monkeypatch):
    monkeypatch.setitem(trained.config, "source", "photographs")
    browser = face_browser(trained)
    assert browser.told.endswith("pictures are not in a study folder: give data=... to see the faces")
    assert KeptFaces(trained).face(browser.rows["face"].iloc[0]).picture is None


def test_other_data_are_refused_by_name(trained, tmp_path):
    for expression in ("anger", "fear"):
        (tmp_path / expression).mkdir()
        Image.new("RGB", (32, 32)).save(tmp_path / expression / "one.png")
    told = face_browser(trained, data=f"folder:{tmp_path}").told
    assert told.startswith(f"folder:{tmp_path}: has no face '0000")
    assert told.endswith("which the study 'trained' has; give the data it was made with")


def test_a_study_without_single_maps_says_how_to_keep_them(imported):
    assert face_browser(imported).told.endswith("kept no maps of single faces; make it with per_face=True (--per-face)")


def test_damaged_maps_are_one_line(trained, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "copy")
    path = next((tmp_path / "copy" / "maps").glob("*.npz"))
    path.write_bytes(path.read_bytes()[:2000])
    told = face_browser(tmp_path / "copy").told
    assert told.startswith(f"{path}: is damaged (")
    assert told.endswith("delete it and run the study's 'xfer compare' line")
    assert "\n" not in told
    assert isinstance(Study(tmp_path / "copy"), Study)
