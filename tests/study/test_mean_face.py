"""The mean face: a slow mean of the warped faces, everybody once, nobody recognisable."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xfer import datasets, geometry, training, warping
from xfer.datasets import Dataset, FaceSample
from xfer.study.mean_face import LEAST, mean_face, write_mean_face
from xfer.study.recognition import MEAN_FACE

FRAME = geometry.load_frame("xfer")


@pytest.fixture(scope="module")
def faces() -> Dataset:
    return datasets.open("synthetic", faces=60, size=48, seed=7)


@pytest.fixture(scope="module")
def pixels(faces: Dataset) -> training.Pixels:
    return training.read(faces, 48, workers=1)


def test_the_mean_of_people(faces: Dataset) -> None:
    # ten people, the first with six faces, the others with one; of most of them only the middle is there
    chosen = [*range(6), *range(6, 60, 6)]
    boxes = np.where(np.arange(60)[:, None] < 50, [10, 10, 38, 38], [0, 0, 48, 48])
    pixels = training.read(faces, 48, boxes=boxes, workers=1)
    found, why = mean_face(pixels, chosen, FRAME)
    assert why == ""
    people = []
    for group in ([*range(6)], *([i] for i in range(6, 60, 6))):
        points = torch.from_numpy(pixels.landmarks[group]).double()
        warped = warping.to_frame(pixels.images(group).double() / 255, points, FRAME)
        assert warped.kept.all()
        people.append(warped.values.numpy())
    weight = np.concatenate([np.full(len(p), 1 / len(p)) for p in people])[:, None, None]
    values = np.concatenate(people)
    seen = np.isfinite(values[:, 0]) * weight
    alpha = seen.sum(axis=0) / 10
    colour = (np.nan_to_num(values) * seen[:, None]).sum(axis=0) / np.maximum(seen.sum(axis=0), 1e-9)
    enough = alpha * 10 >= LEAST / 2
    assert not enough.all()
    np.testing.assert_allclose(found[..., 3], np.where(enough, alpha, 0), atol=1e-6)
    np.testing.assert_allclose(found[..., :3], np.moveaxis(np.where(enough, colour, 0), 0, -1), atol=1e-5)


def test_one_colour_gives_that_colour() -> None:
    # landmarks of the template itself, the picture as large as the frame: all of it is seen
    points = FRAME.points[:68] * [224 / 224, 224 / 275]
    grey = np.full((224, 224, 3), [51, 102, 204], np.uint8)
    samples = tuple(FaceSample(str(i), lambda: grey, "fear", str(i), landmarks=points) for i in range(LEAST))
    pixels = training.read(Dataset("grey", samples), 224, workers=1)
    found, _ = mean_face(pixels, range(LEAST), FRAME)
    middle = found[100:200, 80:140]
    np.testing.assert_allclose(middle, np.broadcast_to(np.array([0.2, 0.4, 0.8, 1.0]), middle.shape), atol=1e-6)


@pytest.mark.parametrize("chosen", [range(6 * (LEAST - 1)), []])
def test_too_few_people_give_none(pixels: training.Pixels, chosen: range) -> None:
    found, why = mean_face(pixels, chosen, FRAME)
    assert found is None
    assert why == (
        f"{len(chosen) // 6} people can be put into the frame; a mean of fewer than 8 could show one of them"
    )


def test_faces_without_landmarks_or_pictures_are_left_out(faces: Dataset, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    samples = list(faces.samples)
    samples[0] = replace(samples[0], landmarks=None)
    samples[1] = replace(samples[1], source=tmp_path / "empty.png")
    # turned over: no face can look like that
    samples[2] = replace(samples[2], landmarks=samples[2].landmarks[:, ::-1])
    pixels = training.read(replace(faces, samples=tuple(samples)), 48, workers=1)
    steps = []
    found, _ = mean_face(pixels, range(60), FRAME, lambda what, n: steps.append((what, n)) or (lambda: None))
    assert steps == [("mean face", 58)]
    without, _ = mean_face(pixels, range(3, 60), FRAME)
    # the weight of the face turned over is gone with it, three of the first person's four count
    inside = (found[..., 3] == 1 - 0.25 / 10) | (found[..., 3] > 0.97)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(found[inside], without[inside], atol=0.03)


def test_the_picture_on_disk(pixels: training.Pixels, tmp_path: Path) -> None:
    found, _ = mean_face(pixels, range(60), FRAME)
    write_mean_face(tmp_path, found)
    with Image.open(tmp_path / MEAN_FACE) as image:
        assert image.mode == "RGBA"
        assert image.size == (224, 275)
        assert image.text == {"format": "1"}
        np.testing.assert_allclose(np.asarray(image) / 255, found, atol=0.5 / 255 + 1e-6)
    assert [p.name for p in tmp_path.iterdir()] == [MEAN_FACE]
