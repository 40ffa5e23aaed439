"""Rules for every layer: captum on networks that it can do, completeness, and what is refused."""

import captum.attr
import pytest
import torch
from torch import nn

from tests.explainers import subjects
from xfer.errors import InputError
from xfer.explainers import attribute, explain
from xfer.explainers.steps import steps

CLOSE = {"rtol": 1e-10, "atol": 1e-13}
TARGETS = torch.tensor([2, 0, 1, 2])
PEERS = {
    "deep_lift": captum.attr.DeepLift,
    "guided_backpropagation": captum.attr.GuidedBackprop,
    "lrp": captum.attr.LRP,
}
POOL = nn.MaxPool2d


def plain() -> nn.Module:
    """A network whose steps captum itself can do."""
    torch.manual_seed(4)
    first = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())
    return nn.Sequential(*first, nn.AdaptiveAvgPool2d(2), nn.Conv2d(4, 3, 2), nn.Flatten()).double().eval()


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks:UserWarning")
@pytest.mark.filterwarnings("ignore:Setting backward hooks:UserWarning")
@pytest.mark.parametrize("name", ["deep_lift", "guided_backpropagation"])
def test_where_captum_can_it_is_captums(name: str) -> None:
    model, images = plain(), subjects.noise(12, 10)
    ours = attribute(model, images, name, TARGETS)[name]
    theirs = PEERS[name](model).attribute(images.requires_grad_(True), target=TARGETS)
    torch.testing.assert_close(ours[:, 0], theirs.detach().sum(1), **CLOSE)


def test_lrp_is_captums() -> None:
    """On convolutions and averages alone, since captum refuses a flattening."""
    torch.manual_seed(4)

    class Squeezed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 3, 3), nn.AdaptiveAvgPool2d(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.layers(images)[:, :, 0, 0]

    model, images = Squeezed().double().eval(), subjects.noise(12, 10)
    ours = attribute(model, images, "lrp", TARGETS)["lrp"]
    theirs = captum.attr.LRP(model).attribute(images.requires_grad_(True), target=TARGETS)
    torch.testing.assert_close(ours[:, 0], theirs.detach().sum(1), rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize(
    "pooled",
    [
        (nn.ReLU(), POOL(2)), (POOL(2),), (POOL(3, 2, 1),), (POOL(2), nn.ReLU()), (nn.ReLU(), nn.Tanh(), POOL(2)),
        (nn.ReLU(), nn.ConstantPad2d((0, 1, 0, 1), float("-inf")), POOL(3, 2)),
        (POOL(3, 2, 1), nn.Upsample(scale_factor=2), POOL(3, 2, 1)),
    ],
    ids=str,
)  # fmt: skip
def test_deep_lift_adds_up_through_max_pools(pooled: tuple[nn.Module, ...]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), *pooled, nn.Flatten(), nn.Linear(4 * 36, 3)).double().eval()
    images = torch.randn(3, 3, 12, 12, dtype=torch.float64)
    settings = {"gradient": {"baseline": (0.3, 0.1, 0.2)}}
    maps = attribute(model, images, "deep_lift", settings=settings)["deep_lift"]
    baseline = torch.tensor([0.3, 0.1, 0.2], dtype=torch.float64)[:, None, None].expand_as(images)
    with torch.no_grad():
        torch.testing.assert_close(maps.sum((2, 3)), model(images) - model(baseline), **CLOSE)


def test_deep_lift_adds_up_where_modules_are_reused() -> None:
    model, images = subjects.ruled(), subjects.noise(12, 10)
    maps = attribute(model, images, "deep_lift")["deep_lift"]
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(maps.sum((2, 3)), model(images) - model(0 * images), **CLOSE)


def test_lrp_behind_relus_is_image_times_gradient() -> None:
    """Ancona et al. 2018, proposition 1; residual, with functional and reused ReLUs."""
    maps = attribute(subjects.ruled(), subjects.noise(12, 10), "lrp,input_x_gradient")
    torch.testing.assert_close(maps["lrp"], maps["input_x_gradient"], rtol=1e-5, atol=1e-6)


def test_guided_backpropagation_is_its_definition() -> None:
    """ReLUs whose gradient is cut, written as a function."""

    class Guided(torch.autograd.Function):
        @staticmethod
        def forward(ctx, features):
            ctx.save_for_backward(features)
            return features.clamp_min(0)

        @staticmethod
        def backward(ctx, gradient):
            return gradient.clamp_min(0) * (ctx.saved_tensors[0] > 0)

    model, images = subjects.ruled().eval(), subjects.noise(12, 10)
    ours = attribute(model, images, "guided_backpropagation", TARGETS)["guided_backpropagation"][:, 0]
    leaf = images.requires_grad_(True)
    early = Guided.apply(model.norm(model.first(leaf)))
    late = model.pool(Guided.apply(model.second(early) + early))
    logits = model.head(Guided.apply(late - 0.1).flatten(1))
    (gradient,) = torch.autograd.grad(logits.gather(1, TARGETS[:, None]).sum(), leaf)
    torch.testing.assert_close(ours, gradient.sum(1), **CLOSE)


@pytest.mark.parametrize("name", list(PEERS))
def test_a_layer_without_a_rule_is_named(name: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(InputError) as refusal:
        attribute(model, torch.rand(1, 3, 8, 8), name)
    assert str(refusal.value) == f"{name} does not apply to Sequential: it has no rule for 'GELU' in '1'"


def test_a_function_without_a_rule_is_named(small: nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(InputError) as refusal:
        attribute(small, images, "deep_lift")
    assert str(refusal.value) == "deep_lift does not apply to Small: it has no rule for 'exp' in 'forward'"


def test_all_leaves_out_what_does_not_apply() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    maps = explain(model, torch.rand(1, 3, 8, 8), "gradient", settings={"gradient": {"steps": 2, "samples": 2}})
    assert not set(PEERS) & set(maps.explainer.values)
    assert len(maps.explainer) == 5
    assert "lrp does not apply to Sequential: it has no rule for 'GELU' in '1'" in maps.attrs["left_out"]


def test_a_network_that_cannot_be_taken_apart_is_refused(images: torch.Tensor) -> None:
    class Moody(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean((2, 3)) if images.mean() > 0 else images.amax((2, 3))

    with pytest.raises(InputError, match="lrp does not apply to Moody: Moody cannot be taken apart into steps: "):
        attribute(Moody(), images, "lrp")


def test_steps_share_memory_and_are_the_network() -> None:
    model, images = subjects.ruled().eval(), subjects.noise(12, 10)
    with torch.no_grad():
        double = steps(model, images, model(images))
        torch.testing.assert_close(double(images[:2]), model(images[:2]), **CLOSE)
    assert double.first.weight.data_ptr() == model.first.weight.data_ptr()
    assert sum(isinstance(module, nn.ReLU) for module in double.modules()) == 3
    assert not any(isinstance(module, nn.Dropout) for module in double.modules())


def test_hooks_of_others_see_the_network_only_when_it_runs() -> None:
    model, images = subjects.ruled(), subjects.noise(12, 10)
    seen = []
    model.first.register_forward_hook(lambda module, inputs, output: seen.append(output))
    attribute(model, images, "deep_lift,lrp,guided_backpropagation")
    assert len(seen) == 1
    assert type(seen[0]) is torch.Tensor
    assert len(seen[0]) == len(images)
