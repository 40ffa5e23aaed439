"""Each CAM against a slow re-derivation from its definition, by full backward passes in float64.

Not tested here: how a network is cut (see test_shared_pass).
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from xfer.explainers import EXPLAINERS, Tap, attribute, trace


def activation_and_gradient(
    model: nn.Module, layer: str, image: torch.Tensor, target: int
) -> tuple[np.ndarray, np.ndarray]:
    """A and dY/dA (channel, y, x) of one face and class: plain hooks and a backward pass through everything."""
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(
        lambda module, inputs, output: kept.append(output.clone()) or kept[0].clone()
    )
    model.zero_grad()
    logits = model(image[None])
    handle.remove()
    kept[0].retain_grad()
    logits[0, target].backward()
    return kept[0].detach()[0].numpy(), kept[0].grad[0].numpy()


def grad_cam(A, G):
    return sum(G[k].mean() * A[k] for k in range(len(A)))


def grad_cam_plus_plus(A, G):
    total = np.zeros(A.shape[1:])
    for k in range(len(A)):
        weight = 0.0
        for g in G[k].flat:
            if g > 0:
                weight += g**2 / (2 * g**2 + A[k].sum() * g**3 + 1e-6) * g
        total += weight * A[k]
    return total


def hires_cam(A, G):
    return sum(G[k] * A[k] for k in range(len(A)))


def xgrad_cam(A, G):
    return sum((G[k] * A[k]).sum() / (A[k].sum() + 1e-7) * A[k] for k in range(len(A)))


def layer_cam(A, G):
    return sum(np.maximum(G[k], 0) * A[k] for k in range(len(A)))


def element_wise_grad_cam(A, G):
    return sum(np.maximum(G[k] * A[k], 0) for k in range(len(A)))


DEFINITIONS = {
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "hires_cam": hires_cam,
    "xgrad_cam": xgrad_cam,
    "layer_cam": layer_cam,
    "element_wise_grad_cam": element_wise_grad_cam,
}


@pytest.mark.parametrize("name", DEFINITIONS)
@pytest.mark.parametrize("layer", ["first", "second", "third"])
def test_every_face_and_class_equals_the_definition(
    name: str, layer: str, small: nn.Module, images: torch.Tensor
) -> None:
    maps = attribute(small, images, name, layer=layer, batch_size=3)[name]
    small.eval()
    for face in range(len(images)):
        for target in range(3):
            expected = DEFINITIONS[name](*activation_and_gradient(small, layer, images[face], target))
            np.testing.assert_allclose(maps[face, target].numpy(), expected, rtol=1e-10, atol=1e-13)


def tail_of(model: nn.Module, layer: str, image: torch.Tensor, target: int) -> tuple[Callable, torch.Tensor]:
    """The logit as a function of the layer's output (1, channel, y, x), and that output."""
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(
        lambda module, inputs, output: kept.append(output.clone())
    )
    model(image[None])
    handle.remove()

    def logit(activation: torch.Tensor) -> torch.Tensor:
        handle = model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: activation.clone())
        try:
            return model(image[None])[0, target]
        finally:
            handle.remove()

    return logit, kept[0].detach()


def channelwise(weights: torch.Tensor, activation: torch.Tensor) -> np.ndarray:
    """Channels weighted by the mean of the weights (1, channel, y, x)."""
    return sum(weights[0, k].mean() * activation[0, k] for k in range(activation.shape[1])).numpy()


@pytest.mark.parametrize("layer", ["first", "second", "third"])
def test_shapley_cam_equals_the_definition_by_a_hessian(layer: str, small: nn.Module, images: torch.Tensor) -> None:
    maps = attribute(small, images, "shapley_cam", layer=layer)["shapley_cam"]
    plain = attribute(small, images, "grad_cam", layer=layer)["grad_cam"]
    assert (maps - plain).abs().max() > 1e-3 * plain.abs().max()
    small.eval()
    for face in range(2):
        for target in range(3):
            logit, activation = tail_of(small, layer, images[face], target)
            gradient = torch.autograd.functional.jacobian(logit, activation)
            _, bent = torch.autograd.functional.hvp(logit, activation, activation)
            expected = channelwise(gradient - bent / 2, activation)
            np.testing.assert_allclose(maps[face, target].numpy(), expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("targets", ["all", "predicted", [[2, 1]]])
def test_finer_cam_explains_the_difference_to_the_nearest_class(
    targets: object, small: nn.Module, images: torch.Tensor
) -> None:
    seen = trace(small, images, "finer_cam", targets, layers=("second",))
    small.eval()
    for face in range(len(images)):
        for column, target in enumerate(seen.targets[face].tolist()):
            distance = [abs(float(each - seen.logits[face, target])) for each in seen.logits[face]]
            rival = min((k for k in range(3) if k != target), key=distance.__getitem__)
            logit, activation = tail_of(small, "second", images[face], target)
            other, _ = tail_of(small, "second", images[face], rival)
            gradient = torch.autograd.functional.jacobian(lambda a, f=logit, g=other: f(a) - g(a), activation)
            expected = channelwise(gradient, activation)
            np.testing.assert_allclose(
                seen.maps["second"]["finer_cam"][face, column].numpy(), expected, rtol=1e-9, atol=1e-13
            )


def test_layer_attention_is_the_mean_over_channels(small: nn.Module, images: torch.Tensor) -> None:
    """Of a layer whose gradients are not asked for, silent ones too."""
    maps = attribute(small, images, "layer_attention", layer="second")["layer_attention"]
    _, activation = tail_of(small.eval(), "second", images[1], 0)
    np.testing.assert_allclose(maps[1, 2], activation[0].mean(0), rtol=1e-12)


def test_cam_averages_to_the_logit_less_its_bias() -> None:
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU())
    head = nn.Linear(5, 4)
    model = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).double()
    images = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    maps = attribute(model, images, "cam,grad_cam", layer="0")
    with torch.no_grad():
        expected = torch.einsum("tk,nkyx->ntyx", head.weight, features(images))
        torch.testing.assert_close(maps["cam"], expected, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(maps["cam"].mean((2, 3)), model(images) - head.bias, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(maps["cam"], 42 * maps["grad_cam"], rtol=1e-12, atol=1e-14)


def test_a_head_that_averages_makes_methods_the_same() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4)
    ).double()
    maps = attribute(model, torch.randn(2, 3, 9, 9, dtype=torch.float64), layer="1")
    torch.testing.assert_close(maps["grad_cam"], maps["hires_cam"], rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(maps["grad_cam"], maps["shapley_cam"], rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(maps["layer_cam"], maps["element_wise_grad_cam"], rtol=1e-10, atol=1e-14)


def test_hires_cam_sums_to_the_logit_of_a_linear_tail() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(5 * 36, 4, bias=False)).double()
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    maps = attribute(model, images, "hires_cam", layer="1")["hires_cam"]
    torch.testing.assert_close(maps.sum((-2, -1)), model(images).detach(), rtol=1e-10, atol=1e-13)


def test_signs_follow_the_evidence() -> None:
    """Two cells, one channel: the first speaks for class 0, the second against it."""
    tap = Tap(torch.tensor([[[[[2.0, 3.0]]]]]), torch.tensor([[[[[1.0, -1.0]]]]]))
    values = {name: explainer(tap).flatten().tolist() for name, explainer in EXPLAINERS.items() if name in DEFINITIONS}
    assert values["hires_cam"] == [2.0, -3.0]
    assert values["grad_cam"] == [0.0, 0.0]
    assert values["layer_cam"] == [2.0, 0.0]
    assert values["element_wise_grad_cam"] == [2.0, 0.0]
    np.testing.assert_allclose(values["xgrad_cam"], [-0.4, -0.6], rtol=1e-6)
    np.testing.assert_allclose(values["grad_cam_plus_plus"], [2 / 7, 3 / 7], rtol=1e-6)
