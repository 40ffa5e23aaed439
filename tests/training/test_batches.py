"""Batches: order, what a face brings with it, the losses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from xfer import training
from xfer.training import Settings
from xfer.training.batches import Batches

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


def test_progress_is_the_share_of_batches_that_came_before(pixels: training.Pixels) -> None:
    settings = Settings(size=32, epochs=3)
    told = [b.progress for epoch in range(3) for b in batches(pixels, settings, epoch)]
    assert told == pytest.approx([i / 9 for i in range(9)])
    assert batches(pixels, settings, 1)[0].to(torch.device("cpu")).progress == pytest.approx(1 / 3)
