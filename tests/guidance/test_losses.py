"""Each loss against a slow derivation in float64, and what its gradient does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch import Tensor, nn

from xfer.guidance import LOSSES
from xfer.guidance.losses import Seen, gradients, unlike

Draw = Callable[[int, int], Tensor]
FACES, CHANNELS, GRID, SIZE = 3, 4, 6, 24


class Small(nn.Module):
    """A convolution of stride 4, a smooth function, global pooling, a linear layer; float64."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 4, stride=4)
        self.head = nn.Linear(CHANNELS, 5)
        self.double()

    def layer(self, images: Tensor) -> Tensor:
        return torch.nn.functional.softplus(self.conv(images)) - 0.3

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layer(images).mean((2, 3)))


@pytest.fixture
def maps() -> Draw:
    """Fixed maps of any grid."""

    def draw(height: int, width: int) -> Tensor:
        generator = torch.Generator().manual_seed(height)
        drawn = torch.rand(FACES, height, width, generator=generator)
        return drawn.sub_(drawn.amin((1, 2), keepdim=True)).div_(drawn.amax((1, 2), keepdim=True))

    return draw


LABELS = torch.tensor([4, 0, 2])


def look(model: nn.Module, images: Tensor, logits: Tensor, layers: tuple[Tensor, ...], draw: Draw) -> Seen:
    """What a loss sees of three faces with `LABELS`."""
    return Seen(model, images, LABELS, logits, layers, draw, lambda: gradients(logits, LABELS, layers))


@pytest.fixture
def seen(maps: Draw) -> Seen:
    torch.manual_seed(5)
    model = Small()
    images = torch.randn(FACES, 3, SIZE, SIZE, dtype=torch.float64, requires_grad=True)
    layer = model.layer(images)
    return look(model, images, model.head(layer.mean((2, 3))), (layer,), maps)


def slow_cosine(one: np.ndarray, other: np.ndarray) -> float:
    dot = sum(a * b for a, b in zip(one.ravel(), other.ravel(), strict=True))
    return float(dot / np.sqrt(sum(a * a for a in one.ravel())) / np.sqrt(sum(b * b for b in other.ravel())))


def slow_au_cosine(seen: Seen, face: int) -> float:
    layer, map_ = seen.activations[0][face].detach().numpy(), seen.draw(GRID, GRID)[face].double().numpy()
    attention = np.array([[sum(layer[:, y, x]) / CHANNELS for x in range(GRID)] for y in range(GRID)])
    return 1 - slow_cosine(attention, map_)


def slow_au_region(seen: Seen, face: int) -> float:
    layer, map_ = seen.activations[0][face].detach().numpy(), seen.draw(GRID, GRID)[face].double().numpy()
    cells = [(y, x) for y in range(GRID) for x in range(GRID)]
    energy = {cell: sum(layer[k][cell] ** 2 for k in range(CHANNELS)) for cell in cells}
    return 1 - sum(energy[cell] * map_[cell] for cell in cells) / sum(energy.values())


def slow_cam(seen: Seen, face: int) -> float:
    layer, map_ = seen.activations[0][face].detach().numpy(), seen.draw(GRID, GRID)[face].double().numpy()
    weights = seen.model.head.weight[seen.labels[face]].detach().numpy()  # type: ignore[union-attr,index]
    return 1 - slow_cosine(sum(weights[k] * layer[k] for k in range(CHANNELS)), map_)


def cut(map_: np.ndarray) -> np.ndarray:
    spread = np.sqrt(((map_ - map_.mean()) ** 2).mean() + 1e-10) + 1e-5
    return np.maximum((map_ - map_.mean()) / spread, 0)


def slow_harmonize(seen: Seen, face: int) -> float:
    step = 1e-5
    gradient = np.zeros((3, SIZE, SIZE))
    with torch.no_grad():
        for place in np.ndindex(3, SIZE, SIZE):
            pair = seen.images[face].detach().repeat(2, 1, 1, 1)
            pair[(0, *place)] += step
            pair[(1, *place)] -= step
            up, down = seen.model(pair)[:, seen.labels[face]]
            gradient[place] = (up - down) / (2 * step)
    saliency = gradient.mean(0)
    saliency, map_ = cut(saliency / abs(saliency).max()), cut(seen.draw(SIZE, SIZE)[face].double().numpy())
    map_ = map_ / map_.max() * saliency.max()
    kernel, levels = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256, []
    for level in range(5):
        if level:
            saliency, map_ = (convolve2d(one, kernel, mode="same")[::2, ::2] for one in (saliency, map_))
        levels.append(((saliency - map_) ** 2).mean())
    return float(np.mean(levels))


SLOW: dict[str, Callable[[Seen, int], float]] = {
    "au_cosine": slow_au_cosine,
    "au_region": slow_au_region,
    "cam": slow_cam,
    "harmonize": slow_harmonize,
}


def test_every_loss_is_derived_here() -> None:
    assert set(SLOW) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_by_its_definition(name: str, seen: Seen) -> None:
    found = LOSSES[name].function(seen)
    assert found.shape == (FACES,)
    assert found.dtype == torch.float64
    expected = [SLOW[name](seen, face) for face in range(FACES)]
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5 if name == "harmonize" else 1e-10)


@pytest.mark.parametrize("name", ["au_cosine", "au_region", "cam"])
def test_gradient_is_the_slope_of_the_loss(name: str, seen: Seen) -> None:
    model: Any = seen.model

    def term(weight: Tensor) -> Tensor:
        images = seen.images.detach().requires_grad_()
        layer = torch.nn.functional.softplus(torch.nn.functional.conv2d(images, weight, model.conv.bias, 4)) - 0.3
        logits = model.head(layer.mean((2, 3)))
        now = look(model, images, logits, (layer,), seen.draw)
        return LOSSES[name].function(now).mean()

    weight = model.conv.weight.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(term(weight), weight)
    assert gradient.isfinite().all()
    direction = torch.randn(weight.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    step = 1e-6
    with torch.enable_grad():
        up, down = (float(term(weight.detach() + sign * step * direction).detach()) for sign in (1, -1))
    assert float((gradient * direction).sum()) == pytest.approx((up - down) / (2 * step), rel=1e-4)


@pytest.mark.parametrize("name", ["au_cosine", "au_region"])
def test_attention_that_is_the_map_costs_nothing(name: str, seen: Seen) -> None:
    region = torch.zeros(FACES, GRID, GRID)
    region[:, 1:3, 2:5] = 1
    perfect = look(seen.model, seen.images, seen.logits, (region[:, None].repeat(1, 7, 1, 1),), lambda h, w: region)
    torch.testing.assert_close(LOSSES[name].function(perfect), torch.zeros(FACES), atol=1e-6, rtol=0)
    outside = look(seen.model, seen.images, seen.logits, (1 - region[:, None],), lambda h, w: region)
    torch.testing.assert_close(LOSSES[name].function(outside), torch.ones(FACES))


def test_a_gradient_that_is_the_map_costs_nothing(seen: Seen) -> None:
    images = torch.rand(FACES, 3, SIZE, SIZE, requires_grad=True)
    map_ = seen.draw(SIZE, SIZE)
    logits = (images * map_[:, None]).sum((1, 2, 3))[:, None].expand(-1, 5) * 1e-9
    perfect = look(seen.model, images, logits, (), seen.draw)
    torch.testing.assert_close(LOSSES["harmonize"].function(perfect), torch.zeros(FACES), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["au_cosine", "au_region", "cam"])
def test_layers_are_averaged(name: str, seen: Seen) -> None:
    model: Any = seen.model
    images = seen.images
    first = model.conv(images)
    layer = torch.nn.functional.softplus(first) - 0.3
    logits = model.head(layer.mean((2, 3)))
    alone = [LOSSES[name].function(look(model, images, logits, (one,), seen.draw)) for one in (first, layer)]
    both = LOSSES[name].function(look(model, images, logits, (first, layer), seen.draw))
    torch.testing.assert_close(both, sum(alone) / 2)


@pytest.mark.parametrize("name", LOSSES)
def test_a_silent_network_has_no_term_and_no_gradient(name: str, seen: Seen) -> None:
    model: Any = Small()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    images = seen.images.detach().requires_grad_()
    layer = (torch.nn.functional.softplus(model.conv(images)) - np.log(2)) * (0 if name != "harmonize" else 1)
    logits = model.head(layer.mean((2, 3)))
    terms = LOSSES[name].function(look(model, images, logits, (layer,), seen.draw))
    assert terms.isnan().all()
    finite = torch.where(terms.isfinite(), terms, 0.0).sum() + logits.sum()
    finite.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["au_cosine", "au_region"])
def test_attention_that_is_not_finite_is_not_passed_over_in_silence(name: str, wrong: float, seen: Seen) -> None:
    layer = torch.rand(FACES, 7, GRID, GRID)
    layer[1, 0, 0, 0] = wrong
    terms = LOSSES[name].function(look(seen.model, seen.images, seen.logits, (layer,), seen.draw))
    assert terms.isinf().nonzero().flatten().tolist() == [1]
    assert not terms.isnan().any()


def test_a_gradient_that_is_not_finite_is_not_passed_over_in_silence(seen: Seen) -> None:
    images = torch.rand(FACES, 3, SIZE, SIZE, requires_grad=True)
    with torch.no_grad():
        images[1] = 0
    logits = images.sqrt().sum((1, 2, 3))[:, None].expand(-1, 5)
    terms = LOSSES["harmonize"].function(look(seen.model, images, logits, (), seen.draw))
    assert terms.isinf().nonzero().flatten().tolist() == [1]


def test_unlike_is_scale_free_however_small_the_values() -> None:
    drawn, wanted = torch.rand(2, 5, 5), torch.rand(2, 5, 5)
    torch.testing.assert_close(unlike(drawn * 1e-30, wanted), unlike(drawn, wanted))
