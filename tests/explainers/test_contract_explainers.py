"""One suite for every registered explainer: what it declares must hold.

A new explainer is tested by being registered. Not tested here: the values themselves (see test_cams).
"""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from xfer.explainers import EXPLAINERS, Explainer, attribute

EXPECTED = {"grad_cam", "grad_cam_plus_plus", "hires_cam", "xgrad_cam", "layer_cam", "element_wise_grad_cam"}


class Interruption(BaseException):
    """Raised in the middle of a pass."""


def test_the_six_cams_are_there() -> None:
    assert set(EXPLAINERS) >= EXPECTED


def test_it_declares_its_source_and_formula(explainer: Explainer) -> None:
    assert "doi:" in explainer.reference or "https://" in explainer.reference
    assert explainer.formula
    assert (explainer.function.__doc__ or "").strip()


def test_shape_and_type(explainer: Explainer, small: nn.Module, images: torch.Tensor) -> None:
    for dtype in (torch.float64, torch.float32):
        maps = attribute(small.to(dtype), images, explainer.name, layer="second")[explainer.name]
        assert maps.shape == (4, 3, 6, 5)
        assert maps.dtype == dtype
        assert not maps.requires_grad
        assert maps.isfinite().all()


def test_it_is_signed_where_it_says_so(explainer: Explainer, small: nn.Module, images: torch.Tensor) -> None:
    maps = attribute(small, images, explainer.name, layer="third")[explainer.name]
    assert bool((maps < 0).any()) == explainer.signed


def test_the_model_is_the_same_afterwards(
    explainer: Explainer, small: nn.Module, images: torch.Tensor, snapshot: Callable
) -> None:
    small.drop.eval()
    small.first.weight.requires_grad_(False)
    small.head.bias.grad = torch.ones_like(small.head.bias)
    before = snapshot(small)
    attribute(small, images, explainer.name, layer="second")
    assert repr(snapshot(small)) == repr(before)


@pytest.mark.parametrize("where", ["first", "third", "backward"])
def test_the_model_is_the_same_after_an_exception(
    explainer: Explainer, where: str, small: nn.Module, images: torch.Tensor, snapshot: Callable
) -> None:
    def fail(*_: object) -> None:
        raise Interruption

    def fail_backward(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        output.register_hook(fail)

    if where == "backward":
        small.third.register_forward_hook(fail_backward)
    else:
        small.get_submodule(where).register_forward_hook(fail)
    before = snapshot(small)
    with pytest.raises(Interruption):
        attribute(small, images, explainer.name, layer="second")
    assert snapshot(small) == before
    assert torch.is_grad_enabled()


def test_batches_change_nothing(explainer: Explainer, small: nn.Module, images: torch.Tensor) -> None:
    whole = attribute(small, images, explainer.name, layer="second")[explainer.name]
    singly = attribute(small, images, explainer.name, layer="second", batch_size=1)[explainer.name]
    torch.testing.assert_close(singly, whole, rtol=1e-10, atol=1e-14)


def test_asking_for_a_class_gives_its_column(explainer: Explainer, small: nn.Module, images: torch.Tensor) -> None:
    every = attribute(small, images, explainer.name, layer="second")[explainer.name]
    own = attribute(small, images, explainer.name, [2, 0, 1, 2], layer="second")[explainer.name]
    torch.testing.assert_close(own[:, 0], every[range(4), [2, 0, 1, 2]], rtol=1e-10, atol=1e-14)


def test_methods_do_not_disturb_each_other(explainer: Explainer, small: nn.Module, images: torch.Tensor) -> None:
    together = attribute(small, images, "all", layer="second")
    assert list(together) == list(EXPLAINERS)
    alone = attribute(small, images, explainer.name, layer="second")[explainer.name]
    assert torch.equal(alone, together[explainer.name])


def test_mirrored_features_give_mirrored_maps(explainer: Explainer) -> None:
    """A network without a sense of place sees a mirrored face as a mirrored map."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Tanh(), nn.Conv2d(6, 6, 1), nn.GELU(), nn.AdaptiveAvgPool2d(1))
    model = nn.Sequential(*model, nn.Flatten(), nn.Linear(6, 3)).double()
    images = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    maps = attribute(model, images, explainer.name, layer="1")[explainer.name]
    mirrored = attribute(model, images.flip(-1), explainer.name, layer="1")[explainer.name]
    torch.testing.assert_close(mirrored.flip(-1), maps, rtol=1e-9, atol=1e-13)
