"""Designs: how coalitions are drawn, and what rows of one are worth to another."""

import re

import pytest
import torch

from xfer.errors import InputError
from xfer.explainers.designs import DESIGNS, Bank, every_coalition, generator, kernel_sizes


def test_the_first_rows() -> None:
    coin = DESIGNS["coin"].rows(9, 400, generator(1))
    assert coin[0].all()
    assert coin.shape == (400, 9)
    assert abs(coin[1:].float().mean().item() - 0.5) < 0.03
    kernel = DESIGNS["kernel"].rows(9, 401, generator(1))
    assert kernel[0].all()
    assert not kernel[1].any()
    assert torch.equal(kernel[3:400:2], ~kernel[2:400:2])


def test_sizes_follow_the_shapley_kernel() -> None:
    players, rows = 6, 20_000
    drawn = DESIGNS["kernel"].rows(players, rows, generator(4))[2:]
    share = torch.bincount(drawn.sum(1), minlength=players)[1:].double() / len(drawn)
    assert (share - kernel_sizes(players)).abs().max() < 0.015
    assert (drawn.double().mean(0) - 0.5).abs().max() < 1e-12


@pytest.mark.parametrize("design", DESIGNS.values(), ids=lambda design: design.name)
def test_chances_of_all_coalitions_add_up_to_one(design: object) -> None:
    sizes = every_coalition(5).sum(1)
    assert design.log_chance(5)[sizes].exp().sum().item() == pytest.approx(1.0)


def _bank(designs: tuple[str, ...], players: tuple[int, ...] = (6, 4), samples: int = 3000) -> Bank:
    rows = Bank.draw(players, designs, samples, seed=3, start=0)
    return Bank(rows, players, designs, samples, torch.zeros(len(players), rows.shape[1], 1))


def test_faces_are_drawn_the_same_in_any_batch() -> None:
    together = Bank.draw((6, 4, 5), ("coin", "kernel"), 50, seed=3, start=0)
    alone = Bank.draw((5,), ("coin", "kernel"), 50, seed=3, start=2)
    assert torch.equal(together[2:, :, :5], alone)
    assert not together[1, :, 4:].any()
    assert not torch.equal(together[0], together[2])


def test_rows_of_the_own_design_weigh_one() -> None:
    for name in DESIGNS:
        bank = _bank((name,), samples=40)
        torch.testing.assert_close(bank.weights(name), torch.ones(2, 40, dtype=torch.float64))
        torch.testing.assert_close(bank.effective(name), torch.full((2,), 40.0 - DESIGNS[name].fixed).double())


@pytest.mark.parametrize("name", list(DESIGNS))
def test_weighted_rows_have_the_mean_of_the_design(name: str) -> None:
    """The mean size of a pair product over weighted rows of both designs is the design's own."""
    bank = _bank(("coin", "kernel"), samples=40_000)
    weights = bank.weights(name)
    other = next(each for each in DESIGNS if each != name)
    fixed_other = bank.designs.index(other) * bank.samples
    assert (weights[:, fixed_other] == 0).all()
    assert (weights[:, bank.designs.index(name) * bank.samples] == 1).all()
    drawn = weights.masked_fill(bank.fixed, 0)
    for face, players in enumerate(bank.players):
        every = every_coalition(players)
        chance = DESIGNS[name].log_chance(players)[every.sum(1)].exp()
        expected = (chance * (every[:, 0] & every[:, 1]) * every.sum(1)).sum()
        rows = bank.rows[face]
        found = (drawn[face] * (rows[:, 0] & rows[:, 1]) * rows.sum(1)).sum() / drawn[face].sum()
        assert found.item() == pytest.approx(expected.item(), rel=0.03)
    assert (bank.effective(name) > bank.samples - 2).all(), "the other design's rows must not make it worse"


def test_no_such_design() -> None:
    message = "'design' must be one of coin, kernel; got 'coins' (did you mean 'coin'?)"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Bank.draw((3,), ("coins",), 10, 0, 0)
