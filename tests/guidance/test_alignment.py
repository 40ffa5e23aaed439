"""The published cosines and what they give for nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from xfer.guidance.alignment import FLOORS, attention_cosine, cam_cosine, class_maps, floors
from xfer.labels import BASIC

CODE = "belharbi2024_code"


@pytest.fixture(scope="module")
def mean_face(shared: Path) -> np.ndarray:
    """The mean face of a 224 px crop on which the published numbers were computed."""
    return np.loadtxt(shared / "data" / "mean_face_68_224px.csv", delimiter=",", skiprows=1)[:, 1:]


def slow_cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


def test_published_floors(mean_face: np.ndarray) -> None:
    maps = class_maps(CODE, BASIC, mean_face, 224, softened=True)
    found = {
        name: float(attention_cosine(torch.from_numpy(floor).expand(6, -1, -1), maps).mean())
        for name, floor in floors(CODE, BASIC, mean_face, 224, softened=True).items()
    }
    assert found == pytest.approx({"uniform": 0.476, "gaussian": 0.587, "all_au": 0.724, "mean": 0.785}, abs=0.01)


@pytest.mark.parametrize(
    ("one", "other", "published"),
    [
        ("surprise", "fear", 0.92),
        ("anger", "sadness", 0.75),
        ("happiness", "sadness", 0.72),
        ("happiness", "surprise", 0.18),
    ],
)
def test_published_cosines_of_maps(one: str, other: str, published: float, mean_face: np.ndarray) -> None:
    maps = class_maps(CODE, (one, other), mean_face, 224, softened=True)
    assert float(attention_cosine(maps[:1], maps[1:])) == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize("softened", [False, True])
@pytest.mark.parametrize("source", ["belharbi2024", "ekman", "xfer/emfacs"])
def test_floors_know_no_expression(source: str, softened: bool, face: Tensor) -> None:
    classes = ("happiness", "neutral", "fear", "anger")
    points = face.numpy() * 112
    found = floors(source, classes, points, 112, softened=softened)
    maps = class_maps(source, classes, points, 112, softened=softened)
    assert tuple(found) == FLOORS
    assert maps.isfinite().all(2).all(1).tolist() == [True, False, True, True]
    for name, floor in found.items():
        assert floor.shape == (112, 112)
        assert floor.dtype == np.float32
        assert floor.max() == pytest.approx(1.0, abs=1e-3)
        assert (floor.min() == 0) == (name in ("all_au", "mean"))
    mean = maps[[0, 2, 3]].mean(0).numpy()
    np.testing.assert_allclose(found["mean"], (mean - mean.min()) / (mean.max() - mean.min()), atol=1e-6)
    union = maps[[0, 2, 3]].amax(0).numpy()
    assert np.minimum(found["all_au"], union).sum() > 0.97 * union.sum()
    y, x = np.unravel_index(found["gaussian"].argmax(), (112, 112))
    assert (x, y) == (56, pytest.approx(62.5, abs=0.5))


def test_attention_cosine_by_its_definition(rng: np.random.Generator) -> None:
    attention, maps = rng.normal(size=(4, 7, 7)), rng.random((4, 7, 7))
    attention[3] += 10
    found = attention_cosine(torch.from_numpy(attention), torch.from_numpy(maps))
    for one, other, value in zip(attention, maps, found.tolist(), strict=True):
        assert value == pytest.approx(slow_cosine(one - min(one.min(), 0), other), rel=1e-12)


def test_cam_cosine_by_its_definition(rng: np.random.Generator) -> None:
    cams, maps = rng.normal(size=(4, 7, 7)), rng.random((4, 7, 7))
    found = cam_cosine(torch.from_numpy(cams * 5 - 3), torch.from_numpy(maps))
    for one, other, value in zip(cams, maps, found.tolist(), strict=True):
        assert value == pytest.approx(slow_cosine((one - one.min()) / np.ptp(one), other), rel=1e-12)


def test_small_attention_is_brought_to_the_maps(rng: np.random.Generator) -> None:
    small = torch.from_numpy(rng.random((2, 4, 4)))
    large = torch.nn.functional.interpolate(small[:, None], (8, 8), mode="bilinear", align_corners=False)[:, 0]
    maps = torch.from_numpy(rng.random((2, 8, 8)))
    torch.testing.assert_close(attention_cosine(small, maps), attention_cosine(large, maps))


@pytest.mark.parametrize("score", [attention_cosine, cam_cosine])
def test_undefined_is_nan_and_0_only_where_the_study_has_it(score: object) -> None:
    blank, maps = torch.zeros(3, 4, 4), torch.rand(3, 4, 4)
    blank[1, 0, 0], maps[1], blank[2] = 1.0, torch.nan, torch.nan
    assert score(blank, maps).isnan().all()  # type: ignore[operator]
    assert score(blank, maps, published=True).tolist() == [0.0] * 3  # type: ignore[operator]
