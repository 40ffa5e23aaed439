"""Which map a face gets, and that it follows the face."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.guidance.conftest import CLASSES
from xfer import geometry, masks
from xfer.errors import InputError
from xfer.guidance import CONTROLS, Guide, Maps
from xfer.guidance.atlas import Atlas
from xfer.labels import BASIC

Faces = Callable[..., Tensor]
DRAWN = [name for name in CONTROLS if name != "none"]


def drawn(
    control: str, landmarks: Tensor, labels: Tensor, grid: int, size: int = 32, source: str = "belharbi2024"
) -> Tensor:
    return Maps(Guide(control=control, masks=source), CLASSES).maps(landmarks, labels, size, grid, grid)


@pytest.mark.parametrize("control", DRAWN)
def test_maps_go_from_0_to_1_and_neutral_takes_no_part(control: str, faces: Faces, labels: Tensor) -> None:
    maps = drawn(control, faces(5), labels, 14)
    assert maps.dtype == torch.float32
    assert maps.shape == (5, 14, 14)
    assert maps[3].isnan().all()
    taking = maps[labels != 3]
    assert taking.amin((1, 2)).tolist() == [0.0] * 4
    assert taking.amax((1, 2)).tolist() == [1.0] * 4


@pytest.mark.parametrize("control", DRAWN)
def test_faces_without_landmarks_take_no_part(control: str, faces: Faces, labels: Tensor) -> None:
    landmarks = faces(5)
    landmarks[1, 7, 0] = torch.nan
    landmarks[2] = torch.nan
    maps = drawn(control, landmarks, labels, 14)
    assert maps.isfinite().all(2).all(1).tolist() == [True, False, False, False, True]
    whole = drawn(control, faces(5), labels, 14)
    torch.testing.assert_close(maps[[0, 4]], whole[[0, 4]])


def test_a_batch_without_faces_or_without_landmarks_is_no_error(faces: Faces) -> None:
    assert drawn("au", faces(0), torch.zeros(0, dtype=torch.long), 7).shape == (0, 7, 7)
    assert drawn("au", faces(2) * torch.nan, torch.tensor([0, 1]), 7).isnan().all()


@pytest.mark.parametrize("source", ["belharbi2024", "ekman", "xfer/emfacs"])
def test_large_maps_are_the_source_own_masks(source: str, faces: Faces) -> None:
    landmarks = faces(3, 240)
    maps = drawn("au", landmarks, torch.tensor([0, 1, 2]), 240, 240, source)
    entry = masks.source(source)
    whole = masks.expression_masks(landmarks.numpy(), entry, height=240, width=240)
    for label in range(3):
        own = whole[label, entry.expressions.index(CLASSES[label])]
        own = (own - own.min()) / (own.max() - own.min())
        np.testing.assert_allclose(maps[label].numpy(), own, atol=1e-4)


@pytest.mark.parametrize("grid", [7, 14, 28])
def test_maps_of_small_grids_are_averages_of_large_ones(grid: int, faces: Faces) -> None:
    landmarks, labels = faces(3, 224), torch.tensor([0, 1, 2])
    small, large = (drawn("au", landmarks, labels, side, 224) for side in (grid, 224))
    pooled = torch.nn.functional.avg_pool2d(large[:, None], 224 // grid)[:, 0]
    pooled = (pooled - pooled.amin((1, 2), keepdim=True)) / (pooled.amax((1, 2)) - pooled.amin((1, 2)))[:, None, None]
    assert (small - pooled).abs().mean() < 0.01
    assert (small - pooled).abs().max() < 0.15


@pytest.mark.parametrize("control", DRAWN)
def test_maps_move_with_the_face(control: str, faces: Faces) -> None:
    landmarks, labels = faces(3, 224), torch.tensor([0, 1, 2])
    there = drawn(control, landmarks + torch.tensor([16.0, -8.0]), labels, 28, 224)
    here = drawn(control, landmarks, labels, 28, 224)
    torch.testing.assert_close(there[:, 4:24, 6:26], here[:, 5:25, 4:24], atol=1e-4, rtol=0)


def test_maps_of_a_mirrored_face_are_mirrored(faces: Faces) -> None:
    classes = BASIC
    landmarks, labels = faces(6, 224), torch.arange(6)
    flipped = landmarks[:, geometry.mirror(68).tolist()] * torch.tensor([-1.0, 1.0]) + torch.tensor([223.0, 0.0])
    for control in ("au", "template", "shuffled"):
        maps = Maps(Guide(control=control, masks="xfer/emfacs"), classes)
        one, other = maps.maps(landmarks, labels, 224, 28, 28), maps.maps(flipped, labels, 224, 28, 28)
        torch.testing.assert_close(one.flip(-1), other, atol=2e-3, rtol=0)


def test_a_map_wholly_outside_the_image_takes_no_part(face: Tensor) -> None:
    points = torch.stack([face * 56, face * 56 + 500])
    maps = Atlas("belharbi2024", CLASSES).draw(points, torch.tensor([2, 2]), 56, 56)
    assert maps.isfinite().all(2).all(1).tolist() == [True, False]


def test_a_single_face_outside_its_image_takes_no_part(faces: Faces) -> None:
    points = faces(3, 224)
    points[1] += 500
    assert drawn("au", points, torch.tensor([0, 1, 2]), 14, 224).isfinite().all((1, 2)).tolist() == [True, False, True]


def test_two_faces_outside_their_images_say_nothing_of_all_others(faces: Faces) -> None:
    """A process that trains with others sees few faces at a time."""
    assert drawn("au", faces(2, 224) + 500, torch.tensor([0, 1]), 14, 224).isnan().all()


def test_landmarks_of_another_image_are_refused(faces: Faces) -> None:
    with pytest.raises(InputError) as error:
        drawn("au", faces(3, 224), torch.tensor([0, 1, 2]), 14, 32)
    assert str(error.value) == (
        "the landmarks of 3 of 3 faces lie outside their images of 32 px; they must be (x, y) in px of these images"
    )


def test_landmarks_of_a_smaller_image_are_refused_where_there_are_many(faces: Faces) -> None:
    """A few small faces may lie in one corner, all of many do not."""
    with pytest.raises(InputError) as error:
        drawn("au", faces(9, 112), torch.arange(9) % 3, 14, 224)
    assert str(error.value) == (
        "the landmarks of 9 of 9 faces lie in the upper left quarter of their images of 224 px; "
        "they must be (x, y) in px of these images"
    )
    assert drawn("au", faces(7, 112), torch.arange(7) % 3, 14, 224).isfinite().all()
    points = faces(9, 112)
    points[4] += 100
    assert drawn("au", points, torch.arange(9) % 3, 14, 224).isfinite().all()


@pytest.mark.parametrize(
    ("guide", "classes", "message"),
    [
        (
            Guide(),
            ("fear", "contempt", "awed"),
            "masks 'belharbi2024' have no answer for contempt, awed; they know anger, disgust, fear, happiness, "
            "sadness, surprise, neutral: leave those faces out, or guide by another source",
        ),
        (Guide(), ("neutral",), "masks 'belharbi2024' have no Action Units for any of neutral"),
        (
            Guide(masks="mesh/emfacs"),
            ("fear",),
            "masks 'mesh/emfacs' are drawn on the face mesh; a guide needs a source on 68 landmarks",
        ),
        (Guide(control="none"), ("fear",), "the control 'none' has no maps"),
        (
            Guide(control="shuffled"),
            ("fear", "surprise"),
            "the control 'shuffled' needs a derangement of fear, surprise in which no map of 'belharbi2024' stands "
            "for one whose cosine with it is above 0.7; there is none: leave the control out, or change the masks",
        ),
    ],
)
def test_what_cannot_guide_is_told(guide: Guide, classes: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError) as error:
        Maps(guide, classes)
    assert str(error.value) == message
    assert "\n" not in message
