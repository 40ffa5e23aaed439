"""Surrogates against plain float64 solves, scikit-learn, the library lime and captum's LimeBase on the same rows."""

from itertools import permutations
from math import comb, factorial

import numpy as np
import pytest
import torch
from lime.lime_base import LimeBase
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances
from torch import Tensor

from xfer.explainers.designs import DESIGNS, every_coalition, generator
from xfer.explainers.surrogates import (
    coin_moments,
    cosine_kernel,
    kernel_moments,
    ridge,
    shapley,
    shapley_regression,
)

FACES, ROWS, PLAYERS, TARGETS = 3, 60, 7, 4


@pytest.fixture
def game() -> tuple[Tensor, Tensor, Tensor]:
    """Rows, values and weights of some faces."""
    chance = torch.Generator().manual_seed(8)
    rows = torch.stack([DESIGNS["coin"].rows(PLAYERS, ROWS, generator(0, face)) for face in range(FACES)])
    values = torch.rand(FACES, ROWS, TARGETS, generator=chance, dtype=torch.float64)
    return rows, values, torch.rand(FACES, ROWS, generator=chance, dtype=torch.float64)


def test_ridge_is_a_plain_solve(game: tuple[Tensor, Tensor, Tensor]) -> None:
    rows, values, weights = game
    coefficients, intercepts = ridge(rows, values, weights, 1.5)
    for face in range(FACES):
        design = np.column_stack([np.ones(ROWS), rows[face].numpy()])
        shrink = np.diag([0.0] + [1.5] * PLAYERS)
        scaled = design * weights[face].numpy()[:, None]
        plain = np.linalg.solve(design.T @ scaled + shrink, scaled.T @ values[face].numpy())
        np.testing.assert_allclose(coefficients[face], plain[1:], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(intercepts[face], plain[0], rtol=1e-9)
        model = Ridge(alpha=1.5).fit(rows[face].numpy(), values[face].numpy(), sample_weight=weights[face].numpy())
        np.testing.assert_allclose(coefficients[face].T, model.coef_, rtol=1e-9, atol=1e-12)


def test_lime_base_of_the_library(game: tuple[Tensor, Tensor, Tensor]) -> None:
    rows, values, _ = game
    kernel = cosine_kernel(rows.sum(2), torch.tensor(PLAYERS), 0.25)
    coefficients, intercepts = ridge(rows, values, kernel, 1.0)
    base = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)), random_state=0)
    for face in range(FACES):
        data = rows[face].numpy().astype(int)
        distances = pairwise_distances(data, data[:1], metric="cosine").ravel()
        np.testing.assert_allclose(kernel[face], base.kernel_fn(distances), rtol=1e-7)
        for target in range(TARGETS):
            intercept, found, _, _ = base.explain_instance_with_data(
                data, values[face].numpy(), distances, target, PLAYERS, feature_selection="none"
            )
            expected = [value for _, value in sorted(found)]
            np.testing.assert_allclose(coefficients[face, :, target], expected, rtol=1e-6, atol=1e-9)
            assert intercepts[face, target].item() == pytest.approx(intercept, rel=1e-6)


def test_a_player_that_never_changes_gets_nothing(game: tuple[Tensor, Tensor, Tensor]) -> None:
    rows, values, weights = game
    rows[1, :, 5] = False
    coefficients, _ = ridge(rows, values, weights, 1.0)
    assert (coefficients[1, 5] == 0).all()
    fewer, _ = ridge(rows[1:2, :, [0, 1, 2, 3, 4, 6]], values[1:2], weights[1:2], 1.0)
    torch.testing.assert_close(coefficients[1:2, [0, 1, 2, 3, 4, 6]], fewer, rtol=1e-10, atol=1e-13)


def test_shapley_regression_is_a_plain_constrained_solve(game: tuple[Tensor, Tensor, Tensor]) -> None:
    rows, values, weights = game
    whole, nothing = values[:, 0], values[:, 1] / 3
    rows[2, :, 4:] = False
    players = torch.tensor([PLAYERS, PLAYERS, 4])
    found = shapley_regression(rows, values, weights, whole, nothing, players)
    for face, count in enumerate(players.tolist()):
        design, scale = rows[face, :, :count].double().numpy(), weights[face].numpy()[:, None]
        system = np.zeros((count + 1, count + 1))
        system[:count, :count] = design.T @ (scale * design)
        system[:count, count] = system[count, :count] = 1
        right = np.vstack(
            [design.T @ (scale * (values[face] - nothing[face]).numpy()), (whole - nothing)[face].numpy()[None]]
        )
        np.testing.assert_allclose(found[face, :count], np.linalg.solve(system, right)[:count], rtol=1e-6, atol=1e-10)
        assert (found[face, count:] == 0).all()


def test_shapley_values_are_the_mean_over_orders() -> None:
    players = 4
    values = torch.rand(3, 2**players, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = torch.zeros(3, players, dtype=torch.float64)
    for order in permutations(range(players)):
        before = 0
        for player in order:
            expected[:, player] += values[:, before | 1 << player] - values[:, before]
            before |= 1 << player
    torch.testing.assert_close(shapley(values), expected / factorial(players), rtol=1e-12, atol=1e-14)


def test_the_regression_over_every_coalition_gives_shapley_values() -> None:
    players = 5
    rows = every_coalition(players)
    values = torch.rand(1, 2**players, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    sizes = rows.sum(1).tolist()
    kernel = [0.0 if s in (0, players) else (players - 1) / (comb(players, s) * s * (players - s)) for s in sizes]
    found = shapley_regression(
        rows[None],
        values[..., None],
        torch.tensor([kernel], dtype=torch.float64),
        values[:, -1:],
        values[:, :1],
        torch.tensor([players]),
    )
    torch.testing.assert_close(found[..., 0], shapley(values), rtol=1e-9, atol=1e-12)


def test_one_player_gets_everything() -> None:
    rows = torch.tensor([[[True], [False]]])
    values = torch.tensor([[[3.0], [1.0]]])
    found = shapley_regression(rows, values, torch.ones(1, 2), values[:, 0], values[:, 1], torch.tensor([1]))
    assert found.item() == pytest.approx(2.0)
    assert shapley(torch.tensor([1.0, 3.0])).tolist() == [2.0]


def test_moments_are_sums_over_every_coalition() -> None:
    players = 6
    rows = every_coalition(players).double()
    kernel = cosine_kernel(rows.sum(1), torch.tensor(players), 0.4)
    moments = [kernel.mean(), (kernel * rows[:, 2]).mean(), (kernel * rows[:, 1] * rows[:, 4]).mean()]
    np.testing.assert_allclose(coin_moments(players, 0.4), moments, rtol=1e-12)
    chance = DESIGNS["kernel"].log_chance(players)[rows.sum(1).long()].exp()
    assert chance.sum().item() == pytest.approx(1.0)
    assert kernel_moments(players) == pytest.approx((chance * rows[:, 1] * rows[:, 4]).sum().item())
