"""One suite for every registered explainer: what it declares must hold on the network of its family.

A new explainer is tested by being registered; a family's network is in `subjects`. Not tested here: the values
themselves (see test_cams, test_eigen, test_attention).
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.explainers.subjects import Subject
from xfer.explainers import EXPLAINERS, FAMILIES, LAYER, NEEDS, Explainer, attribute, trace

EXPECTED = {
    *("grad_cam", "grad_cam_plus_plus", "hires_cam", "xgrad_cam", "layer_cam", "element_wise_grad_cam", "eigen_cam"),
    *("eigen_grad_cam", "kpca_cam", "shapley_cam", "finer_cam", "cam", "layer_attention"),
    *("attention_rollout", "gradient_attention_rollout"),
}


class Interruption(BaseException):
    """Raised in the middle of a pass."""


def maps_of(explainer: Explainer, subject: Subject, targets: object = "all", batch_size: int = 32) -> torch.Tensor:
    """The explainer's maps of its subject."""
    options = {"layer": subject.layer, "batch_size": batch_size, "settings": subject.settings}
    return attribute(subject.model, subject.images, explainer.name, targets, **options)[explainer.name]


def test_the_methods_are_there() -> None:
    assert set(EXPLAINERS) >= EXPECTED


def test_it_declares_its_source_and_formula(explainer: Explainer) -> None:
    assert "doi:" in explainer.reference or "https://" in explainer.reference
    assert explainer.formula
    assert (explainer.function.__doc__ or "").strip()
    assert explainer.family == LAYER or explainer.family in FAMILIES
    assert set(explainer.needs) <= set(NEEDS)


def test_shape_and_type(explainer: Explainer, subject: Subject) -> None:
    for dtype in (torch.float64, torch.float32):
        subject.model.to(dtype)
        maps = maps_of(explainer, subject)
        assert maps.shape[:2] == (4, 3)
        assert maps.shape[2:] == (subject.grid or maps.shape[2:])
        assert maps.dtype == dtype
        assert not maps.requires_grad
        assert maps.isfinite().all()
        assert ((maps.amax((2, 3)) - maps.amin((2, 3))) > 1e-6 * maps.abs().amax()).any()


def test_it_is_signed_where_it_says_so(explainer: Explainer, subject: Subject) -> None:
    maps = maps_of(explainer, replace(subject, layer=subject.negative))
    assert bool((maps < 0).any()) == explainer.signed


def test_the_model_is_the_same_afterwards(explainer: Explainer, subject: Subject, snapshot: Callable) -> None:
    subject.model.get_submodule(subject.dropout).eval()
    first, *_, last = subject.model.parameters()
    first.requires_grad_(False)
    last.grad = torch.ones_like(last)
    before = snapshot(subject.model)
    maps_of(explainer, subject)
    assert repr(snapshot(subject.model)) == repr(before)


@pytest.mark.parametrize("where", ["early", "late", "backward"])
def test_the_model_is_the_same_after_an_exception(
    explainer: Explainer, where: str, subject: Subject, snapshot: Callable
) -> None:
    raised = []

    def fail(*_: object) -> None:
        raised.append(where)
        raise Interruption

    def fail_backward(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        if output.requires_grad:
            output.register_hook(fail)

    if where == "backward":
        subject.model.get_submodule(subject.late).register_forward_hook(fail_backward)
    else:
        subject.model.get_submodule(getattr(subject, where)).register_forward_hook(fail)
    before = snapshot(subject.model)
    with suppress(Interruption):
        maps_of(explainer, subject)
    assert raised or where == "backward"
    assert not raised or where != "backward" or explainer.needs
    assert snapshot(subject.model) == before
    assert torch.is_grad_enabled()


def test_batches_change_nothing(explainer: Explainer, subject: Subject) -> None:
    torch.testing.assert_close(
        maps_of(explainer, subject, batch_size=1), maps_of(explainer, subject), rtol=1e-9, atol=1e-13
    )


def test_asking_for_a_class_gives_its_column(explainer: Explainer, subject: Subject) -> None:
    every = maps_of(explainer, subject)
    own = maps_of(explainer, subject, [2, 0, 1, 2])
    torch.testing.assert_close(own[:, 0], every[range(4), [2, 0, 1, 2]], rtol=1e-9, atol=1e-13)


def test_methods_do_not_disturb_each_other(explainer: Explainer, subject: Subject) -> None:
    options = {"layers": (subject.layer,), "settings": subject.settings}
    seen = trace(subject.model, subject.images, explainer.family, **options)
    together = {name: maps for by in seen.maps.values() for name, maps in by.items()}
    family = {each.name for each in EXPLAINERS.values() if each.family == explainer.family}
    assert together.keys() | seen.left_out.keys() == family
    assert torch.equal(maps_of(explainer, subject), together[explainer.name])


def test_mirrored_features_give_mirrored_maps(cam: Explainer) -> None:
    """A network without a sense of place sees a mirrored face as a mirrored map."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Tanh(), nn.Conv2d(6, 6, 1), nn.GELU(), nn.AdaptiveAvgPool2d(1))
    model = nn.Sequential(*model, nn.Flatten(), nn.Linear(6, 3)).double()
    images = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    layer = "3" if cam.name == "cam" else "1"
    maps = attribute(model, images, cam.name, layer=layer)[cam.name]
    mirrored = attribute(model, images.flip(-1), cam.name, layer=layer)[cam.name]
    torch.testing.assert_close(mirrored.flip(-1), maps, rtol=1e-9, atol=1e-13)
