"""What each control holds fixed and what it changes."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from xfer import geometry
from xfer.guidance import Guide, Maps
from xfer.guidance.atlas import Atlas
from xfer.guidance.controls.random import blob
from xfer.guidance.controls.shuffled import derangement
from xfer.guidance.likeness import likeness
from xfer.labels import BASIC

Faces = Callable[..., Tensor]
ALL = torch.arange(6)


def maps_of(control: str, faces: Tensor, seed: int = 0, source: str = "belharbi2024") -> Tensor:
    return Maps(Guide(control=control, seed=seed, masks=source), BASIC).maps(faces, ALL, 112, 28, 28)


def test_the_template_is_the_same_for_every_class(face: Tensor) -> None:
    points = (face * 112).expand(6, -1, -1)
    template, own = maps_of("template", points), maps_of("au", points)
    mean = own.double().mean(0)
    wanted = (mean - mean.min()) / (mean.max() - mean.min())
    for one in template:
        torch.testing.assert_close(one.double(), wanted, atol=1e-6, rtol=0)


def test_shuffled_gives_each_class_the_map_of_another(face: Tensor) -> None:
    points = (face * 112).expand(6, -1, -1)
    own, alike = maps_of("au", points), likeness(Atlas("belharbi2024", BASIC))
    seen = set()
    for seed in range(5):
        shuffled = maps_of("shuffled", points, seed)
        others = [int((own - one).abs().amax((1, 2)).argmin()) for one in shuffled]
        torch.testing.assert_close(shuffled, own[others])
        assert sorted(others) == list(range(6))
        assert all(i != other and alike[i, other] <= 0.7 for i, other in enumerate(others))
        seen.add(tuple(others))
    assert len(seen) == 5


def count(alike: np.ndarray) -> int:
    """Allowed derangements, as the permanent of the matrix of allowed pairs by its definition."""
    return sum(all(i != j and alike[i, j] <= 0.7 for i, j in enumerate(p)) for p in permutations(range(len(alike))))


def test_maps_that_the_study_found_alike_never_stand_for_each_other() -> None:
    alike = likeness(Atlas("belharbi2024_code", BASIC))
    for one, other in (("surprise", "fear"), ("anger", "sadness"), ("happiness", "sadness")):
        assert alike[BASIC.index(one), BASIC.index(other)] > 0.7
    assert count(alike) > 8


@pytest.mark.parametrize("source", ["belharbi2024", "ekman", "xfer/emfacs", "facs1978", "ck_plus"])
def test_six_expressions_of_a_published_source_can_be_shuffled(source: str) -> None:
    assert derangement(likeness(Atlas(source, BASIC)), 0) is not None


def test_random_is_one_blob_on_the_face_as_large_as_the_class_map(face: Tensor) -> None:
    frame, atlas = geometry.load_frame(), Atlas("belharbi2024", BASIC)
    for label, own in enumerate(atlas.on_the_mean_face):
        drawn = blob(frame, float(own.sum()), [0, label])
        assert drawn.sum() == pytest.approx(float(own.sum()), rel=0.02)
        assert drawn.max() == pytest.approx(1.0, abs=0.02)
        assert (drawn * frame.support).sum() > 0.9 * drawn.sum()
    points = (face * 112).expand(6, -1, -1)
    first, again, other = (maps_of("random", points, seed) for seed in (3, 3, 4))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert ((first - other).abs().mean((1, 2)) > 0.01).all()
    assert len({tuple(one.flatten().tolist()) for one in first}) == 6


def test_a_class_keeps_its_blob_whatever_the_other_classes(face: Tensor) -> None:
    points = (face * 112)[None]
    few = Maps(Guide(control="random"), ("neutral", "fear")).maps(points, torch.tensor([1]), 112, 28, 28)
    torch.testing.assert_close(few[0], maps_of("random", points.expand(6, -1, -1))[BASIC.index("fear")])


def test_random_turns_and_grows_with_the_face(face: Tensor) -> None:
    points = (face * 112).expand(6, -1, -1)
    turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    turned = (points - 55.5) @ turn.T + 55.5
    upright = maps_of("random", points)
    torch.testing.assert_close(maps_of("random", turned), upright.rot90(1, (1, 2)), atol=1e-3, rtol=0)
    smaller = (points - 55.5) / 2 + 55.5
    assert maps_of("random", smaller).mean() == pytest.approx(float(upright.mean()) / 4, rel=0.1)


def test_a_long_list_of_alike_maps_is_told_quickly() -> None:
    alike = np.full((12, 12), 0.9)
    alike[:11, 11] = alike[11, :11] = 0.1
    assert derangement(alike, 0) is None
