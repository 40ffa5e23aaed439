"""Smoothing over augmented copies: the same as one copy after the other, in one batch."""

import re

import pytest
import pytorch_grad_cam as library
import torch
from torch import nn

from xfer.errors import InputError
from xfer.explainers import attribute, trace
from xfer.explainers.smoothing import augmented, averaged


def test_the_copies_are_those_of_grad_cam(small: nn.Module, images: torch.Tensor) -> None:
    """Maps of each copy, turned back and averaged: raw, where grad-cam averages what it has scaled to [0, 1]."""
    with library.GradCAM(small, [small.third]) as cam:
        transforms = list(cam.tta_transforms)
    expected = torch.stack(
        [
            transform.deaugment_mask(
                attribute(small, transform.augment_image(images), "grad_cam", layer="third")["grad_cam"]
            )
            for transform in transforms
        ]
    ).mean(0)
    found = attribute(small, images, "grad_cam", layer="third", smoothing="augmentation")["grad_cam"]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-13)


def test_all_copies_are_one_batch_of_bounded_size(small: nn.Module, images: torch.Tensor) -> None:
    calls: list[int] = []
    small.first.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    small.double()
    whole = attribute(small, images, "layer", layer="second", smoothing="augmentation,eigen")
    assert calls == [24]
    calls.clear()
    halves = attribute(small, images, "layer", layer="second", smoothing=["eigen", "augmentation"], batch_size=17)
    assert calls == [12, 12]
    for name, maps in whole.items():
        torch.testing.assert_close(halves[name], maps, rtol=1e-8, atol=1e-12)


def test_logits_and_predictions_are_those_of_the_face_itself(small: nn.Module, images: torch.Tensor) -> None:
    plain = trace(small, images, "grad_cam", "predicted", layers=("second",))
    smooth = trace(small, images, "grad_cam", "predicted", layers=("second",), smoothing="augmentation")
    torch.testing.assert_close(smooth.logits, plain.logits)
    assert torch.equal(smooth.targets, plain.targets)


def test_maps_come_back_the_right_way_round() -> None:
    images = torch.rand(2, 1, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(averaged(augmented(images)), images, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"smoothing": "augment"},
            "'smoothing' must be one of augmentation, eigen; got 'augment' (did you mean 'augmentation'?)",
        ),
        (
            {"smoothing": "augmentation", "batch_size": 5},
            "'batch_size' must be at least 6 for smoothing over 6 copies of a face; got 5",
        ),
    ],
)
def test_bad_input(options: dict, message: str, small: nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        attribute(small, images, layer="second", **options)
