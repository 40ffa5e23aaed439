"""The published maps, and how alike they are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from xfer.guidance.atlas import Atlas
from xfer.guidance.likeness import likeness, softened_maps
from xfer.labels import BASIC
from xfer.metrics import METRICS
from xfer.nulls.trivial import trivial_maps

CODE = "belharbi2024_code"


@pytest.fixture(scope="module")
def published(shared: Path) -> Tensor:
    """The six maps on the mean face of a 224 px crop, on which the published numbers were computed."""
    points = np.loadtxt(shared / "data" / "mean_face_68_224px.csv", delimiter=",", skiprows=1)[:, 1:]
    return softened_maps(Atlas(CODE, BASIC), torch.from_numpy(points), 224)


@pytest.mark.parametrize(
    ("one", "other", "cosine"),
    [
        ("surprise", "fear", 0.92),
        ("anger", "sadness", 0.75),
        ("happiness", "sadness", 0.72),
        ("happiness", "surprise", 0.18),
    ],
)
def test_published_cosines_of_maps(one: str, other: str, cosine: float, published: Tensor) -> None:
    maps = published[BASIC.index(one)], published[BASIC.index(other)]
    assert float(METRICS["att_cos"](*maps)) == pytest.approx(cosine, abs=0.01)


def test_the_published_floor_of_the_mean_of_six(published: Tensor) -> None:
    floor = trivial_maps(published, published)["mean"]
    assert float(METRICS["att_cos"](floor, published).mean()) == pytest.approx(0.785, abs=0.01)


@pytest.mark.parametrize("source", ["belharbi2024", "ekman", "xfer/emfacs"])
def test_softened_maps_are_the_sharp_ones_out_of_focus(source: str, face: Tensor) -> None:
    classes = ("happiness", "neutral", "fear", "anger")
    atlas = Atlas(source, classes)
    soft = softened_maps(atlas, face * 112, 112)
    sharp = atlas.draw((face * 112).expand(4, -1, -1), torch.arange(4), 112, 112)
    assert soft[1].isnan().all()
    for label in (0, 2, 3):
        assert (float(soft[label].min()), float(soft[label].max())) == (0.0, 1.0)
        assert float(METRICS["pearson"](soft[label], sharp[label])) > 0.85


def test_likeness_is_a_cosine(face: Tensor) -> None:
    found = likeness(Atlas("belharbi2024", ("fear", "neutral", "surprise")))
    assert found.shape == (2, 2)
    np.testing.assert_allclose(np.diag(found), 1)
    assert found[0, 1] == found[1, 0] > 0.8
