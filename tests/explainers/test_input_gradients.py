"""Gradients with respect to pixels: closed forms, captum, a slow derivation, settings."""

from collections.abc import Callable
from unittest import mock

import captum.attr
import pytest
import torch
from torch import nn

from tests.explainers import subjects
from xfer.errors import InputError
from xfer.explainers import attribute
from xfer.explainers.designs import generator
from xfer.explainers.path_gradients import COPIES, path

CLOSE = {"rtol": 1e-10, "atol": 1e-13}
TARGETS = torch.tensor([2, 0, 1, 2])


def linear() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 5, 3)).double()


def of_captum(
    make: Callable[[nn.Module], captum.attr.Attribution], model: nn.Module, **options: object
) -> torch.Tensor:
    """captum's attributions (face, y, x) for TARGETS."""
    images = subjects.noise(12, 10).requires_grad_(True)
    return make(model.eval()).attribute(images, target=TARGETS, **options).detach().sum(1)


@pytest.mark.parametrize("model", [subjects.small, subjects.ruled])
def test_plain_gradients_are_captums(model: Callable[[], nn.Module]) -> None:
    ours = attribute(model(), subjects.noise(12, 10), "saliency,input_x_gradient", TARGETS)
    torch.testing.assert_close(ours["saliency"][:, 0], of_captum(captum.attr.Saliency, model()), **CLOSE)
    torch.testing.assert_close(ours["input_x_gradient"][:, 0], of_captum(captum.attr.InputXGradient, model()), **CLOSE)


@pytest.mark.parametrize("baseline", ["black", (0.2, 0.4, 0.6)])
def test_integrated_gradients_are_captums(small: nn.Module, images: torch.Tensor, baseline: object) -> None:
    """To single precision, in which captum keeps the weights of the points."""
    settings = {"gradient": {"steps": 9, "baseline": baseline}}
    ours = attribute(small, images, "integrated_gradients", TARGETS, settings=settings, batch_size=5)
    colour = torch.tensor(baseline if baseline != "black" else (0, 0, 0), dtype=torch.float64)[:, None, None]
    options = {"baselines": colour.expand_as(images), "n_steps": 9}
    theirs = of_captum(captum.attr.IntegratedGradients, small, **options)
    torch.testing.assert_close(ours["integrated_gradients"][:, 0], theirs, rtol=1e-6, atol=1e-8)


def noise(seed: int, samples: int, images: torch.Tensor) -> torch.Tensor:
    """What path_gradients draws: (copy, face, channel, y, x)."""
    drawn = torch.empty(samples, *images.shape, dtype=images.dtype)
    for copy in range(samples):
        for face in range(len(images)):
            drawn[copy, face].normal_(generator=generator(seed, face, copy, COPIES))
    return drawn


def test_smooth_grad_is_captums_with_the_same_noise(small: nn.Module, images: torch.Tensor) -> None:
    settings = {"gradient": {"samples": 4, "noise": 0.3, "seed": 7}}
    ours = attribute(small, images, "smooth_grad", "all", settings=settings)["smooth_grad"]
    drawn = noise(7, 4, images)
    for face in range(len(images)):
        one = images[face : face + 1]
        spread = 0.3 * float(one.max() - one.min())
        with mock.patch("captum.attr._core.noise_tunnel.torch.normal", return_value=spread * drawn[:, face]):
            tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(small.eval()))
            theirs = tunnel.attribute(one.clone(), nt_samples=4, stdevs=spread, target=1, abs=False)
        torch.testing.assert_close(ours[face, 1], theirs[0].sum(0), **CLOSE)


def test_gradient_shap_is_its_definition(small: nn.Module, images: torch.Tensor) -> None:
    settings = {"gradient": {"samples": 3, "noise": 0.2, "seed": 5, "baseline": (0.1, 0.0, 0.3)}}
    ours = attribute(small, images, "gradient_shap", TARGETS, settings=settings, batch_size=3)["gradient_shap"][:, 0]
    baseline = torch.tensor([0.1, 0.0, 0.3], dtype=torch.float64)[:, None, None].expand(3, 12, 10)
    drawn = noise(5, 3, images)
    small.eval()
    for face, target in enumerate(TARGETS):
        found = torch.zeros(12, 10, dtype=torch.float64)
        spread = 0.2 * (images[face].max() - images[face].min())
        for copy in range(3):
            way = images[face] + spread * drawn[copy, face] - baseline
            place = torch.rand((), dtype=torch.float64, generator=generator(5, face, copy, COPIES + 1))
            point = (baseline + place * way).requires_grad_(True)
            (slope,) = torch.autograd.grad(small(point[None])[0, target], point)
            found += (slope * way).sum(0) / 3
        torch.testing.assert_close(ours[face], found, **CLOSE)


def test_on_a_linear_network_paths_are_image_times_gradient() -> None:
    model, images = linear(), torch.randn(2, 3, 6, 5, dtype=torch.float64)
    settings = {"gradient": {"steps": 1}}
    maps = attribute(model, images, "integrated_gradients,input_x_gradient,saliency,smooth_grad", settings=settings)
    weights = model[1].weight.detach().unflatten(1, (3, 6, 5))
    torch.testing.assert_close(maps["integrated_gradients"], maps["input_x_gradient"], **CLOSE)
    torch.testing.assert_close(maps["input_x_gradient"], (weights * images[:, None]).sum(2), **CLOSE)
    torch.testing.assert_close(maps["saliency"], weights.abs().sum(1).expand(2, 3, 6, 5), **CLOSE)
    torch.testing.assert_close(maps["smooth_grad"], weights.sum(1).expand(2, 3, 6, 5), **CLOSE)


def test_integrated_gradients_add_up(images: torch.Tensor) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3))
    model = model.double().eval()
    settings = {"gradient": {"steps": 40}}
    maps = attribute(model, images, "integrated_gradients", settings=settings)["integrated_gradients"]
    with torch.no_grad():
        change = model(images) - model(torch.zeros_like(images))
    torch.testing.assert_close(maps.sum((2, 3)), change, rtol=1e-8, atol=1e-10)


def test_the_path_is_gauss_and_legendres() -> None:
    positions, weights = path(5)
    for power in range(10):
        assert float((weights * positions**power).sum()) == pytest.approx(1 / (power + 1), rel=1e-12)


def test_noise_leaves_the_global_generator_alone(small: nn.Module, images: torch.Tensor) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    attribute(small, images, "smooth_grad,gradient_shap", settings={"gradient": {"samples": 2}})
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stepps": 3}, "'setting of gradient' must be one of baseline, mean, std, steps, samples, noise, epsilon, "
                        "seed; got 'stepps' (did you mean 'steps'?)"),
        ({"steps": 0}, "setting 'steps' of 'gradient' must be a whole number from 1; got 0"),
        ({"noise": -0.1}, "setting 'noise' of 'gradient' must be 0 or more; got -0.1"),
    ],
)  # fmt: skip
def test_bad_settings_are_refused_before_any_work(settings: dict[str, object], message: str) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    model = linear()
    model.register_forward_hook(fail)
    with pytest.raises(InputError) as refusal:
        attribute(model, torch.zeros(1, 3, 6, 5).double(), "saliency", settings={"gradient": settings})
    assert str(refusal.value) == message


def test_a_network_that_cuts_gradients_is_refused() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(12, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(images.detach().flatten(1))

    with pytest.raises(InputError, match="no logit depends on the image"):
        attribute(Cut(), torch.zeros(1, 3, 2, 2), "saliency")
