"""The folder of raters' files: begun once, reopened as it was, never another's."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xfer.annotation import Collection, collect
from xfer.annotation.collection import SALT, SIDE
from xfer.datasets import synthetic
from xfer.errors import InputError
from xfer.geometry import inter_ocular


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two wide pictures with a drawn face low on the right, their landmarks beside them, and one of nobody."""
    for i, face in enumerate(synthetic.synthetic(2, 96, expressions=("anger", "fear")).samples):
        folder = tmp_path / "faces" / str(face.expression)
        folder.mkdir(parents=True)
        canvas = Image.new("RGB", (300, 200), "blue")
        canvas.paste(Image.fromarray(face.load()), (150, 60))
        canvas.save(folder / f"{i}.png")
        assert face.landmarks is not None
        rows = [f"{k},{x + 150},{y + 60}" for k, (x, y) in enumerate(face.landmarks, start=1)]
        (folder / f"{i}.csv").write_text("\n".join(["point,x,y", *rows]))
    Image.new("RGB", (64, 64), "red").save(tmp_path / "faces" / "fear" / "nobody.png")
    return tmp_path / "faces"


def test_every_expression_gets_as_many_faces_and_labels_are_known_to_the_folder_alone(collection: Collection) -> None:
    assert collection.dataset.counts() == dict.fromkeys(collection.expressions, 1)
    assert collection.summary() == [
        f"{collection.home}: 6 faces for every rater "
        "(anger 1, disgust 1, fear 1, happiness 1, sadness 1, surprise 1); 0 raters so far"
    ]


def test_what_a_folder_began_with_is_kept_and_other_faces_are_refused(collection: Collection) -> None:
    home = collection.home
    assert collect("synthetic", home).settings == collection.settings
    for other, told in {"seed": "seed: 0 there, 1 now", "faces": "faces: 6 there, 7 now"}.items():
        with pytest.raises(
            InputError, match=re.escape(f"{home}: holds raters' marks on other faces ({told}); give the")
        ):
            collect("synthetic", home, **{other: 1 if other == "seed" else 7})


def test_a_study_and_a_stranger_s_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.toml").write_text("format = 1\n")
    with pytest.raises(InputError, match="is a study; people's marks have a folder of their own, give it with --out"):
        collect("synthetic", tmp_path / "study", faces=6)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("")
    with pytest.raises(InputError, match="holds files that are no raters'; give a new folder with --out"):
        collect("synthetic", tmp_path / "mine", faces=6)
    with pytest.raises(InputError, match="--faces 0: show at least one face"):
        collect("synthetic", tmp_path / "new", faces=0)


def test_other_formats_and_damage_are_named(collection: Collection) -> None:
    path = collection.home / "annotation.toml"
    path.write_text('format = 2\nkind = "annotation"\n')
    with pytest.raises(InputError, match="format 2; this xfer reads raters' files of format 1"):
        collect("synthetic", collection.home)
    path.write_text("format = ")
    with pytest.raises(InputError, match="damaged"):
        collect("synthetic", collection.home)


def test_ids_are_salted_alike_for_every_spelling_and_tell_nothing(tmp_path: Path, collection: Collection) -> None:
    first = collection.rater_id("Anna")
    assert re.fullmatch("[0-9a-f]{12}", first)
    assert first == collection.rater_id(" anna ") == collection.rater_id(first)
    assert first != collection.rater_id("Anne")
    assert first != collect("synthetic", tmp_path / "others", faces=6).rater_id("Anna")
    with pytest.raises(InputError, match="--rater: an empty name"):
        collection.rater_id("  ")
    assert "anna" not in "".join(p.name + p.read_text(errors="ignore") for p in collection.home.iterdir()).casefold()


def test_without_the_salt_names_lead_nowhere_and_ids_still_do(collection: Collection) -> None:
    known = collection.rater_id("Anna")
    collection.path(known).write_text("")
    (collection.home / SALT).unlink()
    with pytest.raises(InputError, match="is missing, so no name leads to a rater's file; give the id as --rater"):
        collection.rater_id("Anna")
    assert collection.rater_id(known) == known


def test_landmarks_follow_the_picture_onto_the_canvas(collection: Collection) -> None:
    sample = collection.dataset.samples[2]
    shown = collection.shown(sample.id)
    picture, points = sample.load(), sample.landmarks
    assert shown.picture.shape == (SIDE, SIDE, 3)
    assert points is not None
    scale = SIDE / picture.shape[0]
    np.testing.assert_allclose(shown.points, (points + 0.5) * scale - 0.5, atol=1e-4)


def test_photographs_are_shown_as_networks_see_them(photographs: Path, tmp_path: Path) -> None:
    collection = collect(f"folder:{photographs}", tmp_path / "people", landmarker="points")
    assert [s.id for s in collection.dataset.samples] == ["anger/0.png", "fear/1.png"]
    assert collection.summary()[1:] == [
        "1 faces cannot be shown: no landmarks: no landmarks beside it (*.pts or *.csv)"
    ]
    shown = collection.shown("anger/0.png")
    assert shown.picture.shape == (SIDE, SIDE, 3)
    assert ((shown.points > 0) & (shown.points < SIDE)).all()
    assert inter_ocular(shown.points) > SIDE / 5
    blue = (shown.picture == [0, 0, 255]).all(axis=-1)
    assert blue.mean() < 0.5


def test_landmarks_are_found_once(photographs: Path, tmp_path: Path) -> None:
    collection = collect(f"folder:{photographs}", tmp_path / "people", landmarker="points")
    for beside in photographs.rglob("*.csv"):
        beside.unlink()
    again = collect(f"folder:{photographs}", tmp_path / "people", landmarker="points")
    np.testing.assert_array_equal(again.points("fear/1.png"), collection.points("fear/1.png"))


def test_data_that_changed_are_refused(photographs: Path, tmp_path: Path) -> None:
    collect(f"folder:{photographs}", tmp_path / "people", landmarker="points")
    Image.new("RGB", (70, 70), "red").save(photographs / "anger" / "more.png")
    with pytest.raises(
        InputError, match=re.escape("on other faces (the data have changed); give the options and data")
    ):
        collect(f"folder:{photographs}", tmp_path / "people", landmarker="points")


def test_no_face_to_show_says_why(photographs: Path, tmp_path: Path) -> None:
    for beside in photographs.rglob("*.csv"):
        beside.unlink()
    with pytest.raises(InputError, match=r"faces: none of its 3 faces has landmarks; .*: no landmarks beside it"):
        collect(f"folder:{photographs}", tmp_path / "people", landmarker="points")
