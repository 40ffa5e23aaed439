"""EMD against SciPy's linear programme, closed forms, and area averaging by brute force."""

import math

import numpy as np
import pytest
from scipy.optimize import linprog

from xfer.metrics.transport import averaging, emd


def by_linear_programme(heatmap: np.ndarray, mask: np.ndarray) -> float:
    """The transport problem between pixels, distances in px, by HiGHS."""
    supply, demand = (np.clip(m, 0, None).ravel() / np.clip(m, 0, None).sum() for m in (heatmap, mask))
    places = [(y, x) for y in range(heatmap.shape[0]) for x in range(heatmap.shape[1])]
    cost = [math.dist(a, b) for a in places for b in places]
    n = len(places)
    rows, columns = np.kron(np.eye(n), np.ones(n)), np.kron(np.ones(n), np.eye(n))
    solution = linprog(
        cost, A_eq=np.vstack([rows, columns])[:-1], b_eq=np.concatenate([supply, demand])[:-1], method="highs"
    )
    return float(solution.fun)


@pytest.mark.parametrize("signed", [False, True])
def test_emd_is_the_linear_programmes_at_6_by_5(signed: bool, rng: np.random.Generator) -> None:
    heatmap, mask = rng.random((6, 5)) - signed * 0.5, np.clip(rng.normal(0.3, 0.4, (6, 5)), 0, 1)
    expected = by_linear_programme(heatmap, mask) / 2.5
    assert float(emd(heatmap, mask, inter_ocular=2.5, grid=(6, 5))) == pytest.approx(expected, rel=1e-10)


def test_one_cell_to_the_side_is_one_cell_width() -> None:
    heatmap, mask = np.zeros((275, 224)), np.zeros((275, 224))
    heatmap[:, 0:22] = 1
    mask[:, 45:66] = 1
    shift = float(emd(heatmap, mask, inter_ocular=100.0))
    assert shift == pytest.approx(2 * 22.4 / 100, rel=1e-2)
    assert float(emd(heatmap, mask)) == pytest.approx(shift * 100 / 224, rel=1e-12)


def test_pixels_outside_the_support_carry_no_mass() -> None:
    support = np.ones((12, 10), bool)
    support[:, 5:] = False
    heatmap, mask = np.zeros((12, 10)), np.zeros((12, 10))
    heatmap[3, 2] = mask[3, 4] = 1
    heatmap[:, 5:] = np.nan
    mask[:, 5:] = 1
    assert float(emd(heatmap, mask, support=support, inter_ocular=1.0)) == pytest.approx(2.0, rel=1e-12)


def test_moving_everything_back_costs_the_same(rng: np.random.Generator) -> None:
    a, b = rng.random((12, 10)), rng.random((12, 10))
    assert float(emd(a, b)) == pytest.approx(float(emd(b, a)), rel=1e-10)


@pytest.mark.parametrize(("pixels", "cells"), [(275, 12), (224, 10), (12, 12), (5, 6), (24, 12)])
def test_averaging_is_that_of_finely_repeated_pixels(pixels: int, cells: int, rng: np.random.Generator) -> None:
    values = rng.random(pixels)
    expected = np.repeat(values, cells).reshape(cells, pixels).mean(axis=1)
    np.testing.assert_allclose(averaging(pixels, cells) @ values, expected, rtol=1e-12)
