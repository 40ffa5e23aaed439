"""Curves on networks whose answer to every removal is known, and the imputation against grad-cam's."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from torch import nn

from xfer.errors import InputError
from xfer.explainers.trust import areas, deletion, insertion, road
from xfer.explainers.trust.imputation import imputed


class Counting(nn.Module):
    """Says class 1 with the odds of the summed brightness of the left half."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        odds = images[..., :4].sum((1, 2, 3))
        return torch.stack([torch.zeros_like(odds), odds], 1)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.full((2, 1, 4, 8), 0.25)


@pytest.fixture
def maps() -> dict[str, np.ndarray]:
    left = np.zeros((2, 4, 8))
    left[..., :4] = 1.0
    return {"left": left, "right": 1 - left}


def sigmoid(odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-odds))


def test_deletion_follows_the_map(images: torch.Tensor, maps: dict[str, np.ndarray]) -> None:
    shares = [0, 0.25, 0.5, 0.75, 1]
    curves = deletion(Counting(), images, maps, 1, shares=shares, batch_size=3)
    wide = curves.pivot_table(index="share", columns=["explainer", "face"], values="probability")
    expected = sigmoid(np.array([4, 2, 0, 0, 0]) * 1.0)
    np.testing.assert_allclose(wide["left"][0], expected, rtol=1e-6)
    np.testing.assert_allclose(wide["left"][1], expected, rtol=1e-6)
    np.testing.assert_allclose(wide["right"][0], sigmoid(np.array([4, 4, 4, 2, 0]) * 1.0), rtol=1e-6)
    found = areas(curves).set_index(["explainer", "face"])["area"]
    assert found["left", 0] == pytest.approx(np.trapezoid(expected, shares), rel=1e-6)
    assert found["left", 0] < found["right", 0]


def test_insertion_is_deletion_backwards(images: torch.Tensor, maps: dict[str, np.ndarray]) -> None:
    curves = insertion(Counting(), images, maps, [1, 1], shares=[0, 0.5, 1], baseline="black")
    left = curves[(curves.explainer == "left") & (curves.face == 0)]
    np.testing.assert_allclose(left.probability, sigmoid(np.array([0.0, 4.0, 4.0])), rtol=1e-6)


def test_a_constant_map_orders_nothing(images: torch.Tensor) -> None:
    curves = deletion(Counting(), images, {"flat": np.ones((2, 4, 8))}, 1)
    assert curves.probability.isna().all()
    assert set(curves.reason) == {"constant map"}
    assert areas(curves).area.isna().all()


def test_equal_pixels_go_in_an_order_of_the_seed(images: torch.Tensor, maps: dict[str, np.ndarray]) -> None:
    options = {"shares": [0, 0.1, 0.3], "baseline": "noise"}
    first, again, other = (deletion(Counting(), images, maps, 1, seed=seed, **options) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_road_removes_either_end_first(images: torch.Tensor, maps: dict[str, np.ndarray]) -> None:
    """Bright on the left, black on the right: without its left half the picture is black all over."""
    pictures = images.clone()
    pictures[..., 4:] = 0.0
    curves = road(Counting(), pictures, {"left": maps["left"]}, 1, shares=[0.0, 0.5], noise=0.0)
    at_half = curves[curves.share == 0.5].set_index(["curve", "face"])["probability"]
    np.testing.assert_allclose(at_half["road_most"], 0.5, atol=1e-6)
    np.testing.assert_allclose(at_half["road_least"], sigmoid(np.array(4.0)), rtol=1e-6)
    found = areas(curves).set_index(["curve", "face"])["area"]
    assert found["road", 0] == pytest.approx((found["road_least", 0] - found["road_most", 0]) / 2)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_imputation_is_grad_cams(share: float, rng: np.random.Generator) -> None:
    image = rng.random((3, 9, 7), dtype=np.float32)
    removed = rng.random((9, 7)) < share
    removed[4, 3] = False
    kept = torch.from_numpy((~removed).astype(np.float32))
    theirs = NoisyLinearImputer(noise=0)(torch.from_numpy(image), kept) if removed.any() else torch.from_numpy(image)
    np.testing.assert_allclose(imputed(image, removed, noise=0), theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_imputed_pixels_are_their_neighbours_mean(rng: np.random.Generator) -> None:
    image, removed = rng.random((1, 6, 5)), rng.random((6, 5)) < 0.6
    made = imputed(image, removed, noise=0)[0]
    padded = np.pad(made, 1, constant_values=np.nan)
    weights = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
    for y, x in zip(*np.nonzero(removed), strict=True):
        around = padded[y : y + 3, x : x + 3]
        there = np.isfinite(around)
        assert made[y, x] == pytest.approx((around[there] * weights[there]).sum() / weights[there].sum(), rel=1e-10)


def test_noise_is_of_the_seed(rng: np.random.Generator) -> None:
    image, removed = rng.random((1, 40, 40)), np.arange(1600).reshape(40, 40) % 2 == 1
    made, plain = imputed(image, removed, 0.1, np.random.default_rng(1)), imputed(image, removed, 0)
    assert (made - plain)[0][removed].std() == pytest.approx(0.1, rel=0.1)
    assert np.array_equal(made[0][~removed], image[0][~removed])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": [1, 1, 1]}, "'targets' must be one class, or one for each of 2 faces; got the shape (3,)"),
        ({"shares": [0.5]}, "'shares' must be at least two ascending numbers in [0, 1]"),
        ({"maps": {"a": np.ones((3, 4, 8))}}, "'maps' must hold one map for each of 2 images"),
        ({"maps": {"a": np.ones((2, 3, 4, 8))}}, "maps of 'a' must be (face, y, x), one class a face; "
                                                 "got the shape (2, 3, 4, 8)"),
        ({"maps": {"a": np.ones((2, 4, 8)), "b": np.ones((1, 4, 8))}}, "'maps' must hold maps of the same faces; "
                                                                      "got [1, 2] faces"),
    ],
)  # fmt: skip
def test_bad_input(change: dict[str, object], message: str, images: torch.Tensor, maps: dict[str, np.ndarray]) -> None:
    given = {"maps": maps, "targets": 1} | change
    with pytest.raises(InputError) as refusal:
        deletion(Counting(), images, **given)
    assert str(refusal.value) == message


def test_road_must_leave_something(images: torch.Tensor, maps: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match="'shares' of road must be below 1, something must stay; got 1"):
        road(Counting(), images, maps, 1, shares=[0.5, 1])
