"""The faces of a study: what is refused, what is told of them, landmarks that resume, crops, the salted table."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xfer import datasets, geometry, landmarkers, landmarking
from xfer.datasets import Dataset
from xfer.errors import InputError
from xfer.landmarkers import Landmarking, Open
from xfer.study import faces
from xfer.study.dealing import assign
from xfer.study.recognition import FACES, LANDMARKS

POINTS = np.random.default_rng(3).uniform(4, 26, (68, 2))


class Scripted(Open):
    """Finds the same points everywhere, moved by the shade of the picture; nothing on black."""

    digest = "d1"

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def __call__(self, image: np.ndarray, file: Path | None = None) -> Landmarking:
        shade = int(image[0, 0, 0])
        if shade == 99:
            raise KeyboardInterrupt
        self._log.append(file.name if file else "drawn")
        return Landmarking(POINTS + shade / 100) if shade else Landmarking(None, "no face found", n_faces=0)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the scripted landmarker was asked, instead of any other; "opened" each time it was."""
    log: list[str] = []
    monkeypatch.setattr(landmarkers, "open", lambda name, **options: log.append("opened") or Scripted(log))
    return log


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    """Writes a csv data set of grey pictures; rows are (expression, subject) or (expression, subject, shade)."""

    def make(*rows: tuple, name: str = "set") -> str:
        (tmp_path / name).mkdir()
        lines = ["file,expression,subject"]
        for i, (expression, subject, *shade) in enumerate(rows):
            picture = np.full((30, 40, 3), shade[0] if shade else 10 + i % 80, np.uint8)
            Image.fromarray(picture).save(tmp_path / name / f"{i}.png")
            lines.append(f"{i}.png,{expression},{subject}")
        (tmp_path / name / "labels.csv").write_text("\n".join(lines))
        return f"csv:{tmp_path / name / 'labels.csv'}"

    return make


ROWS = [(e, f"s{i % 7}") for i, e in enumerate(["anger", "fear"] * 10 + ["happy"] * 3)]


class TestOpening:
    def test_drawn_faces(self) -> None:
        data = faces.open_faces("synthetic", faces=12, size=24, seed=5)
        assert data.counts() == dict.fromkeys(("anger", "disgust", "fear", "happiness", "sadness", "surprise"), 2)
        np.testing.assert_array_equal(
            data.samples[4].load(), datasets.open("synthetic", faces=12, size=24, seed=5).samples[4].load()
        )

    def test_drawn_faces_show_what_is_asked_for(self) -> None:
        data = faces.open_faces("synthetic", faces=12, size=24, expressions=["neutral", "happy"])
        assert data.counts() == {"happiness": 6, "neutral": 6}
        again = faces.open_faces("synthetic", faces=12, size=24, expressions=["happiness", "neutral"])
        assert faces.facts(again) == faces.facts(data)

    def test_rare_expressions_are_left_out_and_named(self, table: Callable[..., str]) -> None:
        data = faces.open_faces(table(*ROWS), min_faces=4, faces=99, size=48)
        assert data.counts() == {"anger": 10, "fear": 10}
        assert {d.reason for d in data.dropped} == {"happiness, fewer than 4 faces"}

    def test_thirty_faces_of_real_data_unless_asked(self, table: Callable[..., str]) -> None:
        rows = [(e, f"s{i % 9}") for i, e in enumerate(["anger"] * 30 + ["fear"] * 31 + ["sad"] * 29)]
        assert faces.open_faces(table(*rows)).expressions == ("anger", "fear")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"expressions": ["angr", "fear"]}, r"'expression' must be one of anger, .*'angr' \(did you mean 'anger'"),
            ({"expressions": ["happy", "happiness"]}, r"^--expressions: name at least two to tell apart; got happines"),
            ({"expressions": []}, r"^--expressions: name at least two to tell apart; got none$"),
            (
                {"expressions": ["fear", "sadness"]},
                r"set/labels.csv: no face shows sadness; there is anger 10, fear 10, happiness 3$",
            ),
            (
                {"expressions": ["fear", "happy"], "min_faces": 5},
                r"^csv:set/labels.csv: fear is left with at least 5 faces of fear 10, happiness 3; "
                r"two expressions are needed: --min-faces 3 keeps two$",
            ),
            ({}, r"labels.csv: nothing is left with at least 30 faces of anger 10, .*: --min-faces 10 keeps two$"),
        ],
    )
    def test_too_few_expressions(self, table: Callable[..., str], options: dict, message: str) -> None:
        with pytest.raises(InputError, match=message):
            faces.open_faces(table(*ROWS), **options)

    def test_one_expression_one_subject(self, table: Callable[..., str]) -> None:
        one = table(*[("fear", f"s{i}") for i in range(5)], name="one")
        with pytest.raises(
            InputError, match=r"^csv:one/labels.csv: every face shows fear; two expressions are needed$"
        ):
            faces.open_faces(one, min_faces=1)
        alone = table(*[(e, "me") for e in ("fear", "anger") * 3], name="alone")
        message = r"^csv:alone/labels.csv: all faces are of one subject, 'me'; a network is tested on people it did not"
        with pytest.raises(InputError, match=message):
            faces.open_faces(alone, min_faces=1)


class TestFacts:
    def test_they_tell_no_path_and_open_no_picture(
        self, table: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = faces.open_faces(table(*ROWS), min_faces=1)
        monkeypatch.setattr(Image, "open", None)
        told = faces.facts(data)
        assert told.pop("digest").isalnum()
        assert told == {
            "name": "csv-set-labels.csv",
            "faces": 23,
            "subjects": 7,
            "expressions": {"anger": 10, "fear": 10, "happiness": 3},
        }
        assert str(tmp_path) not in json.dumps(told)

    def test_the_digest_is_that_of_the_faces_wherever_they_lie(self, table: Callable[..., str]) -> None:
        data = faces.open_faces(table(*ROWS), min_faces=1)
        digest = faces.facts(data)["digest"]
        assert faces.facts(faces.open_faces(table(*ROWS, name="again"), min_faces=1))["digest"] == digest
        assert faces.facts(data.take(range(len(data))[::-1]))["digest"] == digest

    @pytest.mark.parametrize(
        "change",
        [{"id": "x"}, {"expression": "anger"}, {"subject": "s9"}, {"split": "test"}, {"landmarks": POINTS}],
        ids=lambda change: next(iter(change)),
    )
    def test_whatever_changes_changes_it(self, table: Callable[..., str], change: dict) -> None:
        data = faces.open_faces(table(*ROWS), min_faces=1)
        changed = replace(data, samples=(data.samples[0], replace(data.samples[1], **change), *data.samples[2:]))
        assert faces.facts(changed)["digest"] != faces.facts(data)["digest"]

    def test_another_file_or_other_drawn_faces_change_it(self, table: Callable[..., str]) -> None:
        data = faces.open_faces(table(*ROWS), min_faces=1)
        digest = faces.facts(data)["digest"]
        with data.samples[3].source.open("ab") as file:
            file.write(b"x")
        assert faces.facts(data)["digest"] != digest
        data.samples[3].source.unlink()
        assert faces.facts(data)["digest"] != digest
        drawn = [{}, {"seed": 1}, {"size": 25}, {"faces": 13}]
        opened = [faces.open_faces("synthetic", **{"faces": 12, "size": 24, **options}) for options in drawn]
        assert len({faces.facts(data)["digest"] for data in opened}) == 4


class TestLandmarks:
    def test_they_are_looked_for_once(self, table: Callable[..., str], tmp_path: Path, log: list[str]) -> None:
        data = faces.open_faces(table(*ROWS), min_faces=1)
        first = faces.landmarks(data, tmp_path)
        assert len(log) - log.count("opened") == 23
        assert list(first["file"]) == [s.id for s in data.samples]
        log.clear()
        again = faces.landmarks(data, tmp_path)
        assert set(log) == {"opened"}
        pd.testing.assert_frame_equal(again, first)
        pd.testing.assert_frame_equal(landmarking.read(tmp_path / LANDMARKS), first)

    def test_an_interrupted_run_goes_on(self, table: Callable[..., str], tmp_path: Path, log: list[str]) -> None:
        rows = [(e, f"s{i % 7}", 99 if i == 15 else 10 + i) for i, e in enumerate(["anger", "fear"] * 10)]
        data = faces.open_faces(table(*rows), min_faces=1)
        with pytest.raises(KeyboardInterrupt):
            faces.landmarks(data, tmp_path)
        known = set(landmarking.read(tmp_path / LANDMARKS)["file"])
        assert {f"{i}.png" for i in range(15)} <= known
        log.clear()
        Image.fromarray(np.full((30, 40, 3), 25, np.uint8)).save(data.samples[15].source)
        found = faces.landmarks(data, tmp_path)
        assert not set(log) & known
        assert (found["reason"] == "").all()

    def test_a_face_that_is_not_found_takes_no_part(
        self, table: Callable[..., str], tmp_path: Path, log: list[str]
    ) -> None:
        rows = [(e, f"s{i}", 0 if i == 1 else 50) for i, e in enumerate(["anger", "fear", "fear"])]
        found = faces.landmarks(faces.open_faces(table(*rows), min_faces=1), tmp_path)
        assert faces.reasons(found) == ["", "no landmarks: no face found", ""]
        assert np.isnan(faces.crops(found, "face")).all(axis=1).tolist() == [False, True, False]

    def test_published_ones_need_no_landmarker_and_no_picture(
        self, tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = faces.open_faces("synthetic", faces=12, size=24)
        monkeypatch.setattr(datasets.FaceSample, "load", None)
        found = faces.landmarks(data, tmp_path)
        assert log == []
        assert set(found["landmarker"]) == {"published"}
        assert (found[["width", "height"]] == 24).all(axis=None)
        np.testing.assert_array_equal(landmarking.points(found), np.stack([s.landmarks for s in data.samples]))
        pd.testing.assert_frame_equal(landmarking.read(tmp_path / LANDMARKS), found)

    def test_published_ones_of_files(self, table: Callable[..., str], tmp_path: Path, log: list[str]) -> None:
        data = faces.open_faces(table(*ROWS), min_faces=1)
        known = {0: POINTS, 4: POINTS + 1, 5: POINTS + 100}
        mixed = replace(data, samples=tuple(replace(s, landmarks=known.get(i)) for i, s in enumerate(data.samples)))
        mixed.samples[4].source.write_bytes(b"")
        found = faces.landmarks(mixed, tmp_path)
        assert list(found["file"]) == [s.id for s in data.samples]
        assert list(found["landmarker"][:6]) == ["published", *["mediapipe"] * 3, "published", "published"]
        assert found["reason"][4] == "is an empty file"
        assert "outside the picture of 40 x 30 px" in found["reason"][5]
        np.testing.assert_array_equal(landmarking.points(found)[0], POINTS.astype(np.float32))
        assert (found["width"][0], found["height"][0]) == (40, 30)
        assert len(found["sha256"][0]) == 64
        log.clear()
        pd.testing.assert_frame_equal(faces.landmarks(mixed, tmp_path), found)
        assert set(log) == {"opened"}

    def test_the_digest(self, table: Callable[..., str], tmp_path: Path, log: list[str]) -> None:
        found = faces.landmarks(faces.open_faces(table(*ROWS), min_faces=1), tmp_path)
        digest = faces.digest(found)
        assert faces.digest(found.sample(frac=1, random_state=0)) == digest
        for column, value in {"sha256": "0", "reason": "x", "x3": 1.0, "file": "y"}.items():
            changed = found.copy()
            changed.loc[5, column] = value
            assert faces.digest(changed) != digest
        assert faces.digest(landmarking.read(tmp_path / LANDMARKS)) == digest


def marks(points: np.ndarray, width: int, height: int) -> pd.DataFrame:
    """A table of landmarks of pictures of one size."""
    known = pd.DataFrame(np.float32(points).reshape(len(points), -1), columns=list(landmarking.POINTS))
    return known.assign(width=width, height=height)


class TestCrops:
    def test_a_face_with_room_around_it(self) -> None:
        # landmarks 80 wide and 100 high: a square of 140 around their middle, moved up by 12
        points = np.tile([[160.0, 150.0]], (68, 1))
        points[:4] = [[120, 150], [199, 150], [150, 100], [150, 200]]
        points[1, 0] = 200
        (box,) = faces.crops(marks(points[None], 400, 500), "face")
        np.testing.assert_allclose(box, [160.5 - 70, 150.5 - 12 - 70, 160.5 + 70, 150.5 - 12 + 70], atol=1e-4)

    @settings(max_examples=60)
    @given(
        st.integers(16, 300), st.integers(16, 300), st.floats(-20, 300), st.floats(-20, 300), st.floats(2, 400),
        st.floats(0.3, 1),
    )  # fmt: skip
    def test_a_square_inside_the_picture(self, width, height, x, y, extent, slim) -> None:
        points = np.array([x, y]) + np.linspace(0, 1, 68)[:, None] * [extent * slim, extent]
        (box,) = faces.crops(marks(points[None], width, height), "face")
        assert (box[:2] >= 0).all()
        assert (box[2:] - [width, height] < 1e-9).all()
        side = box[2:] - box[:2]
        assert side[0] == pytest.approx(side[1])
        assert side[0] == pytest.approx(min(1.4 * extent, width, height), rel=1e-4)

    def test_the_frame_lies_in_it(self) -> None:
        frame = geometry.load_frame("xfer")
        (box,) = faces.crops(marks(frame.points[None, :68] + 100, 600, 600), "face")
        on_face = frame.points[:85] + 100
        assert (on_face > box[:2]).all()
        assert (on_face < box[2:]).all()

    def test_whole_pictures(self) -> None:
        assert faces.crops(marks(POINTS[None], 40, 30), "whole") is None
        assert faces.default_crop("synthetic") == "whole"
        assert faces.default_crop("csv:labels.csv") == "face"

    def test_unknown(self) -> None:
        with pytest.raises(
            InputError, match=r"^'crop' must be one of whole, face; got 'fase' \(did you mean 'face'\?\)$"
        ):
            faces.crops(marks(POINTS[None], 40, 30), "fase")


class TestTable:
    @pytest.fixture
    def data(self, table: Callable[..., str]) -> Dataset:
        rows = [(e, f"anna{i // 3}", 0 if i == 1 else 50) for i, e in enumerate(["anger", "fear", "happy"] * 10)]
        return faces.open_faces(table(*rows), min_faces=1)

    def test_one_split(self, data: Dataset, tmp_path: Path, log: list[str]) -> None:
        found = faces.landmarks(data, tmp_path)
        dealt = assign(data, np.array(faces.reasons(found)) == "")
        made = faces.write_table(tmp_path, data, found, dealt)
        assert list(made) == ["id", "expression", "subject", "used", "reason", "split"]
        assert made["used"].tolist() == [i != 1 for i in range(30)]
        assert made["reason"][1] == "no landmarks: no face found"
        assert made["split"].tolist() == dealt.folds[0].part(30).tolist()
        assert not made["subject"].str.contains("anna").any()
        assert made.groupby("subject").size().tolist() == [3] * 10
        pd.testing.assert_frame_equal(faces.read_table(tmp_path), made, check_dtype=False)
        assert faces.read_table(tmp_path).attrs == {"format": 1}

    def test_folds(self, data: Dataset, tmp_path: Path, log: list[str]) -> None:
        found = faces.landmarks(data, tmp_path)
        dealt = assign(data, np.array(faces.reasons(found)) == "", 3)
        made = faces.write_table(tmp_path, data, found, dealt)
        assert list(made)[5:] == ["fold", "split_0", "split_1", "split_2"]
        assert made["fold"][1] == ""
        for fold in dealt.folds:
            assert np.flatnonzero(made["fold"] == fold.name).tolist() == fold.test.tolist()
            assert np.flatnonzero(made[f"split_{fold.name}"] == "validation").tolist() == fold.validation.tolist()

    def test_faces_left_out_by_a_published_split(self, data: Dataset, tmp_path: Path, log: list[str]) -> None:
        parts = ["train"] * 20 + ["test"] * 10
        shared = replace(data, samples=tuple(replace(s, split=p) for s, p in zip(data.samples, parts, strict=True)))
        found = faces.landmarks(shared, tmp_path)
        made = faces.write_table(tmp_path, shared, found, assign(shared, np.array(faces.reasons(found)) == ""))
        assert made["reason"][18:20].tolist() == ["its subject is tested"] * 2
        assert not made["used"][18:20].any()

    def test_names_stay_on_resuming_and_tell_nothing(self, data: Dataset, tmp_path: Path, log: list[str]) -> None:
        found = faces.landmarks(data, tmp_path)
        dealt = assign(data, range(30))
        first = faces.write_table(tmp_path, data, found, dealt)
        more = replace(data, samples=(*data.samples, replace(data.samples[0], id="new.png", subject="new")))
        again = faces.write_table(tmp_path, more, pd.concat([found, found[:1]]), dealt)
        assert again["subject"][:30].tolist() == first["subject"].tolist()
        assert again["subject"][30] not in set(first["subject"])
        (tmp_path / FACES).unlink()
        fresh = faces.write_table(tmp_path, data, found, dealt)
        assert not set(fresh["subject"]) & set(first["subject"])

    def test_damaged(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"faces\.parquet: is missing; run the study's 'xfer compare' line again$"):
            faces.read_table(tmp_path)
        (tmp_path / FACES).write_text("hello")
        with pytest.raises(InputError, match=r"faces\.parquet: is damaged \(.+\); run the study's 'xfer compare' line"):
            faces.read_table(tmp_path)
        pd.DataFrame({"id": ["a"]}).to_parquet(tmp_path / FACES)
        with pytest.raises(InputError, match=r"faces\.parquet: format None; this xfer reads format 1$"):
            faces.read_table(tmp_path)
