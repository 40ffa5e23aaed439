"""Batches: order, changes to the faces, the losses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from xfer import geometry, training
from xfer.training import Settings
from xfer.training.batches import Batches, augment

PLAIN = Settings(size=32)


def batches(pixels: training.Pixels, settings: Settings, epoch: int | None) -> list[training.Batch]:
    return list(Batches(pixels, np.arange(20), settings, 8, None if epoch is None else lambda: epoch))


def test_every_face_once_in_an_order_of_the_epoch(pixels: training.Pixels) -> None:
    orders = [torch.cat([b.index for b in batches(pixels, PLAIN, epoch)]).tolist() for epoch in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == list(range(20))


def test_validation_is_in_order_unchanged_and_unweighted(pixels: training.Pixels, settings: Settings) -> None:
    found = batches(pixels, replace(settings, class_weights=True), None)
    assert torch.cat([b.index for b in found]).tolist() == list(range(20))
    assert torch.cat([b.images for b in found]).equal(pixels.images(range(20)).float() / 255)
    assert found[0].label_smoothing == 0
    assert found[0].class_weights.tolist() == [1] * 6


def test_a_single_face_is_no_training_batch(pixels: training.Pixels) -> None:
    for faces, training_batches, validation_batches in [(17, 2, 3), (18, 3, 3), (16, 2, 2)]:
        train = Batches(pixels, np.arange(faces), PLAIN, 8, lambda: 0)
        held = Batches(pixels, np.arange(faces), PLAIN, 8)
        assert len(train) == len(list(train)) == training_batches
        assert len(held) == len(list(held)) == validation_batches


def test_normalisation(pixels: training.Pixels) -> None:
    settings = Settings(size=32, mean=(0.5, 0.25, 0.125), std=(0.5, 0.25, 0.2))
    given = training.inputs(pixels, [3], settings)[0].double().numpy()
    raw = pixels.images([3])[0].double().numpy() / 255
    for channel, (mean, std) in enumerate(zip(settings.mean, settings.std, strict=True)):
        np.testing.assert_allclose(given[channel], (raw[channel] - mean) / std, atol=1e-6)


def test_classification_is_its_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    labels, weights, smoothing = torch.tensor([0, 1, 2, 2, 1]), torch.tensor([0.5, 2.0, 1.0]), 0.1
    none = torch.empty(0)
    batch = training.Batch(none, labels, none, none, weights, smoothing)
    targets = (1 - smoothing) * functional.one_hot(labels, 3).double() + smoothing / 3
    expected = -(targets * weights * logits.log_softmax(1)).sum() / weights[labels].sum()
    assert training.classification(logits, batch).item() == pytest.approx(expected.item(), rel=1e-12)


def dots(points: torch.Tensor, size: int) -> torch.Tensor:
    """A picture with a small round spot at every point."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    squares = [(x - px) ** 2 + (y - py) ** 2 for px, py in points]
    return torch.stack([torch.exp(-s / 8) for s in squares]).amax(0).expand(1, 3, size, size)


@pytest.mark.parametrize("changes", [{"flip": True}, {"rotation": 30}, {"shift": 0.1}, {"flip": True, "rotation": 20}])
def test_landmarks_move_with_the_face(changes: dict) -> None:
    size, generator = 64, torch.Generator().manual_seed(1)
    centres = torch.tensor([[20.0, 25], [40, 30], [30, 44]])
    points = torch.full((1, 68, 2), float("nan"))
    points[0, [0, 16, 8]] = centres
    names = [0, 16, 8]
    moved_once = False
    for _ in range(6):
        image, moved = augment(dots(centres, size), points, Settings(size=size, **changes), generator)
        for name in names:
            x, y = moved[0, name].tolist()
            brightest = int(image[0, 0, round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].argmax())
            assert (brightest // 5 - 2, brightest % 5 - 2) == pytest.approx((0, 0), abs=1)
        moved_once |= not torch.allclose(moved[0, names], points[0, names])
    assert moved_once


def test_a_mirrored_face_keeps_the_names_of_its_points() -> None:
    points = torch.from_numpy(np.random.default_rng(0).uniform(0, 31, (40, 68, 2))).float()
    images = torch.rand(40, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    out, moved = augment(images, points, Settings(size=32, flip=True), torch.Generator().manual_seed(0))
    mirrored = torch.tensor([torch.equal(a, b.flip(-1)) for a, b in zip(out, images, strict=True)])
    assert 10 < mirrored.sum() < 30
    assert out[~mirrored].equal(images[~mirrored])
    torch.testing.assert_close(moved[~mirrored], points[~mirrored])
    turned = points[mirrored][:, geometry.mirror(68).tolist()]
    torch.testing.assert_close(moved[mirrored], torch.stack([31 - turned[..., 0], turned[..., 1]], dim=-1))


def test_contrast_keeps_the_mean_and_no_change_changes_nothing() -> None:
    images = 0.3 + 0.4 * torch.rand(30, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    points = torch.zeros(30, 68, 2)
    same, _ = augment(images, points, PLAIN, torch.Generator().manual_seed(0))
    torch.testing.assert_close(same, images, atol=1e-5, rtol=0)
    other, _ = augment(images, points, replace(PLAIN, contrast=0.2), torch.Generator().manual_seed(0))
    torch.testing.assert_close(other.mean((1, 2, 3)), images.mean((1, 2, 3)))
    ratio = other.std((1, 2, 3)) / images.std((1, 2, 3))
    assert 0.8 <= ratio.min() < 0.9 < 1.1 < ratio.max() <= 1.2
