"""A face of one's own under the heatmaps: placed in memory, or one line that says why not."""

import contextlib
import dataclasses
import datetime
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xfer import assets, landmarkers
from xfer.datasets import synthetic
from xfer.errors import InputError
from xfer.landmarkers import Landmarking, Open
from xfer.report.widgets import heatmap_explorer
from xfer.report.widgets.explorer import plain


def upload(content: bytes, name: str = "me.png") -> tuple[dict[str, object], ...]:
    when = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    return (
        {
            "name": name,
            "type": "image/png",
            "size": len(content),
            "content": memoryview(content),
            "last_modified": when,
        },
    )


def encoded(picture: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


FACE = synthetic.Face(3, action_units={"AU12": 1.0})


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return synthetic.draw(FACE, 160)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A landmarker that answers what a test wants, whatever the picture; it sees pictures of any size."""
    said: dict[str, object] = {"n_faces": 1, "yaw": 0.0, "reason": ""}

    class Stub(Open):
        digest = ""

        def __call__(self, image: np.ndarray, file: Path | None = None) -> Landmarking:
            said["seen"] = image.shape
            if said["reason"]:
                return Landmarking(None, str(said["reason"]), n_faces=0)
            face = synthetic.Face(3, action_units={"AU12": 1.0}, yaw=float(said["yaw"]))
            points = synthetic.landmarks(face, min(image.shape[:2]))
            return Landmarking(points, n_faces=int(said["n_faces"]))

    monkeypatch.setattr(landmarkers, "open", lambda name: Stub())
    return said


@pytest.fixture
def explorer(imported):
    return heatmap_explorer(imported)


def test_ones_own_face_is_placed_and_nothing_of_the_file_is_kept(explorer, known, picture):
    before = explorer.png
    assert explorer.underlay.choice.options == ("drawn face", "none")
    explorer.underlay.upload.value = upload(encoded(picture))
    assert explorer.underlay.choice.value == "your own"
    assert plain(explorer.underlay.line.value) == "me.png is in place"
    assert explorer.png != before
    assert explorer.underlay.upload.value == ()
    own = explorer.underlay.picture
    assert own.shape == (*explorer.study.support.shape, 4)
    assert own[..., :3][explorer.study.support].std() > 0.05, "a face, not one colour"


def test_a_second_face_takes_the_place_of_the_first(explorer, known, picture):
    explorer.underlay.upload.value = upload(encoded(picture))
    first = explorer.png
    explorer.underlay.upload.value = upload(encoded(255 - picture), "other.png")
    assert explorer.png != first


def test_twelve_megapixels_are_looked_at_smaller(explorer, known, picture):
    large = np.asarray(Image.fromarray(picture).resize((4000, 3000)))
    explorer.underlay.upload.value = upload(encoded(large, "JPEG", quality=60), "large.jpg")
    assert known["seen"] == (768, 1024, 3)
    assert plain(explorer.underlay.line.value) == (
        "large.jpg is in place; 12.0 megapixels, looked at with 1024 px on the longer side"
    )


def test_of_three_faces_the_foremost_is_taken_and_told(explorer, known, picture):
    known["n_faces"] = 3
    explorer.underlay.upload.value = upload(encoded(picture))
    assert plain(explorer.underlay.line.value) == (
        "me.png is in place; 3 faces, the largest and most central one is taken"
    )


def test_without_a_face_one_line_says_so(explorer, known, picture):
    known["reason"] = "no face"
    before = explorer.png
    explorer.underlay.upload.value = upload(encoded(picture), "wall.png")
    assert plain(explorer.underlay.line.value) == (
        "wall.png: no face was found; one that looks at the camera and fills a quarter is best"
    )
    assert explorer.png == before
    assert explorer.underlay.choice.options == ("drawn face", "none")


def test_a_profile_cannot_be_placed(explorer, known, picture):
    known["yaw"] = 80.0
    explorer.underlay.upload.value = upload(encoded(picture))
    assert plain(explorer.underlay.line.value) == (
        "me.png: the face is turned too far to the side to be placed in the frame"
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"%PDF-1.7\n1 0 obj", "is not a picture of a format that is read"),
        (b"", "is an empty file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "is not a picture of a format that is read"),
    ],
)
def test_a_file_that_is_no_picture_is_named(explorer, content, why):
    explorer.underlay.upload.value = upload(content, "paper.pdf")
    assert plain(explorer.underlay.line.value) == f"paper.pdf: {why}"


def test_a_file_that_breaks_connections_is_refused(explorer):
    explorer.underlay.upload.value = upload(bytes(10_000_000), "scan.tif")
    assert plain(explorer.underlay.line.value) == "scan.tif: has 10 MB; save it as a JPEG of at most 9"


def test_names_from_files_are_text(explorer):
    explorer.underlay.upload.value = upload(b"", "<img src=x onerror=alert(1)>.png")
    assert "<img" not in explorer.underlay.line.value


def test_without_the_landmarkers_asset_the_line_says_how_to_get_it(explorer, picture, monkeypatch):
    def absent(name: str) -> Path:
        raise InputError("asset 'face_landmarker' is not here: run 'xfer assets get face_landmarker'")

    monkeypatch.setattr(assets, "find", absent)
    explorer.underlay.upload.value = upload(encoded(picture))
    assert "xfer assets get face_landmarker" in plain(explorer.underlay.line.value)


def test_where_the_frame_is_not_known_there_is_no_upload(imported, monkeypatch):
    monkeypatch.setitem(imported.masks.attrs, "frame", "elsewhere")
    explorer = heatmap_explorer(imported)
    assert explorer.underlay.choice.options == ("none",)
    assert explorer.underlay.upload not in explorer.underlay.controls
    given = heatmap_explorer(imported, frame="xfer")
    assert given.underlay.upload in given.underlay.controls


def test_a_frame_of_another_canvas_is_one_line(imported, monkeypatch):
    small = dataclasses.replace(imported.mask_sources, support=np.ones((55, 45), bool))
    monkeypatch.setitem(imported.__dict__, "mask_sources", small)
    told = heatmap_explorer(imported, frame="xfer").told
    assert told == "frame 'xfer' is 275 x 224, the heatmaps are 55 x 45"


def test_a_real_photograph_is_placed_by_mediapipe(explorer, shared, mediapipe, monkeypatch):
    monkeypatch.setattr(landmarkers, "open", lambda name: contextlib.nullcontext(mediapipe))
    photograph = sorted((shared / "data" / "london").rglob("*.jpg"))[0]
    explorer.underlay.upload.value = upload(photograph.read_bytes(), "person.jpg")
    assert explorer.underlay.choice.value == "your own"
    placed = explorer.underlay.picture
    assert placed[..., 3][explorer.study.support].mean() > 0.9
    skin = placed[150:170, 60:80, :3].mean(axis=(0, 1))
    assert skin[0] > skin[2], "a cheek is redder than blue"
