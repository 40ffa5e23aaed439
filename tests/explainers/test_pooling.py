"""Pooling: unbiased estimates from few coalitions, the bias of the positive part, rounds, budgets and errors."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers import attribute
from xfer.explainers.designs import DESIGNS, every_coalition, generator, paired
from xfer.explainers.evidence import ESTIMATES, Evidence
from xfer.explainers.perturbation import Perturbation
from xfer.explainers.pooled_maps import Pooled, cross_fitted
from xfer.explainers.pooling import pooled
from xfer.explainers.surrogates import cosine_kernel, ridge, shapley
from xfer.geometry import load_frame
from xfer.warping import to_frame

PLAYERS, FACES = 5, 3000
SETTINGS = Perturbation(samples=200)


def game() -> Tensor:
    """What a network says to every coalition: main effects, two of them none, interactions and a constant."""
    rows = every_coalition(PLAYERS).double()
    effects = torch.tensor([0.5, 0.0, -0.3, 0.0, 0.1]).double()
    return 2.0 + rows @ effects + 0.4 * rows[:, 0] * rows[:, 2] - 0.2 * rows[:, 4] * rows[:, 0] * rows[:, 1]


def estimated(method: str, samples: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Coefficients (face, player) of many faces that play one game: of all coalitions, and of both halves."""
    estimate, values = ESTIMATES[method], game()
    drawn = DESIGNS[estimate.design].draw(PLAYERS, FACES * samples, generator(seed))
    rows = paired(drawn[::2]).unflatten(0, (FACES, samples))
    said = values[(rows.long() << torch.arange(PLAYERS)).sum(2)][..., None]
    weights = estimate.weights(rows.sum(2), torch.tensor([[PLAYERS]]), SETTINGS)
    centred = rows.double() - estimate.centre(PLAYERS, SETTINGS)
    half = samples // 2
    one, two = (
        Evidence.of(centred[:, part], said[:, part], weights[:, part]) for part in (slice(half), slice(half, samples))
    )
    gains = (values[-1:].expand(FACES, 1), values[:1].expand(FACES, 1))
    solved = (estimate.solve(each, (PLAYERS,) * FACES, gains, SETTINGS)[..., 0] for each in (one + two, one, two))
    return next(solved), next(solved), next(solved)


def truth(method: str) -> Tensor:
    """What the full recipe comes to with endless coalitions of the same weight."""
    if method == "kernel_shap":
        return shapley(game())
    rows = every_coalition(PLAYERS)
    kernel = cosine_kernel(rows.sum(1), torch.tensor(PLAYERS), SETTINGS.kernel_width)
    weights = kernel * (SETTINGS.samples - 1) / len(rows)
    weights[-1] += 1
    return ridge(rows[None], game()[None, :, None], weights[None], SETTINGS.alpha)[0][0, :, 0]


@pytest.mark.parametrize("method", ESTIMATES)
@pytest.mark.parametrize("samples", [8, 20])
def test_few_coalitions_are_not_biased(method: str, samples: int) -> None:
    for found in estimated(method, samples):
        error = found.std(0) / FACES**0.5
        assert ((found.mean(0) - truth(method)).abs() < 4.5 * error + 1e-9).all()
        assert (error < 0.03).all()


@pytest.mark.parametrize("method", ESTIMATES)
def test_halves_tell_the_standard_error(method: str) -> None:
    whole, one, two = estimated(method, 16)
    spread = ((one - two) / 2).square().mean(0).sqrt()
    assert (spread / whole.std(0) - 1).abs().max() < 0.2
    assert np.corrcoef(one[:, 0], two[:, 0])[0, 1] == pytest.approx(0, abs=0.06)


def test_the_positive_part_is_biased_and_the_cross_fitted_one_less() -> None:
    """Noise makes up most of the positive part of players that do nothing; cross-fitted it makes up next to none."""
    none = (truth("kernel_shap").abs() < 1e-12).nonzero().flatten()
    assert len(none)
    curve = []
    for samples in (8, 16, 32):
        whole, one, two = estimated("kernel_shap", samples)
        expected = truth("kernel_shap").clamp_min(0)
        plain, corrected = whole.clamp_min(0).mean(0), cross_fitted(one, two).mean(0)
        curve.append((plain - expected).sum().item())
        assert (corrected - expected).abs().sum() < 0.6 * (plain - expected).abs().sum()
        assert (corrected - expected)[none].abs().max() < 0.25 * (plain - expected)[none].abs().max()
    assert curve[0] > curve[1] > curve[2] > 0


def test_more_players_than_coalitions_are_sound() -> None:
    rows = paired(torch.rand(4, 12, generator=generator(1)) < 0.5)
    said = rows.double().sum(1)[None, :, None]
    for name, estimate in ESTIMATES.items():
        weights = estimate.weights(rows[None].sum(2), torch.tensor([[12]]), SETTINGS)
        evidence = Evidence.of(rows[None].double() - estimate.centre(12, SETTINGS), said, weights)
        found = estimate.solve(evidence, (12,), (torch.tensor([[12.0]]), torch.zeros(1, 1)), SETTINGS)
        assert found.isfinite().all(), name


@pytest.fixture
def faces() -> dict[str, Any]:
    """A network, six faces of 55 x 45 px, their landmarks, and labels."""
    torch.manual_seed(4)
    layers = [nn.Conv2d(3, 6, 5, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(96, 3)]
    model = nn.Sequential(*layers).double()
    images = torch.rand(6, 3, 55, 45, dtype=torch.float64)
    points = np.stack([load_frame().points[:68] / 5] * 6)
    return {"model": model, "images": images, "landmarks": points, "targets": "all"}


OPTIONS = {"segments": "grid", "pieces": 6, "output": "logit", "samples": 240}


def correlation(found: Tensor, expected: Tensor) -> float:
    known = expected.isfinite() & found.isfinite()
    return float(np.corrcoef(found[known], expected[known])[0, 1])


def test_the_map_is_that_of_the_full_recipe(faces: dict[str, Any]) -> None:
    for method in ESTIMATES:
        found = pooled(**faces, method=method, settings=OPTIONS, tolerance=0.05)
        settings = {"perturbation": {**OPTIONS, "samples": 2000 if method == "lime" else 64}}
        full = attribute(faces["model"], faces["images"], method, settings=settings)[method]
        points = torch.from_numpy(faces["landmarks"])
        expected = to_frame(full, points, load_frame(), size=(55, 45)).values.mean(0)
        for target in range(3):
            assert correlation(found.signed[target], expected[target]) > 0.98
        known = expected.isfinite()
        off = (found.signed - expected)[known].square().mean().sqrt()
        assert off < 4 * found.error[known].square().mean().sqrt()
        assert found.faces == 6
        assert found.rounds[-1].samples == 16 * 2 ** (len(found.rounds) - 1) or found.stopped == "samples"


def test_rounds_stop_for_the_reason_they_say(faces: dict[str, Any]) -> None:
    every = pooled(**faces, settings=OPTIONS, tolerance=0.0)
    assert every.stopped == "samples"
    assert [each.samples for each in every.rounds] == [16, 32, 64, 128, 240]
    assert [each.forwards for each in every.rounds] == [6 * (1 + n) for n in (16, 32, 64, 128, 240)]
    errors = [each.error for each in every.rounds]
    assert errors[-1] < 0.5 * errors[0]
    loose = pooled(**faces, settings=OPTIONS, tolerance=errors[2] * 1.0001)
    assert loose.stopped == "tolerance"
    assert loose.rounds == tuple(each for each in every.rounds[: len(loose.rounds)])
    few = pooled(**faces, settings=OPTIONS, tolerance=0.0, budget=6 * 50)
    assert few.stopped == "budget"
    assert few.rounds[-1].samples == 48
    assert few.rounds[-1].forwards <= 300


def test_no_pair_of_coalitions_is_asked_twice(faces: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """With twelve players, pairs that are drawn one by one hardly ever agree."""
    asked: list[Tensor] = []
    plain = Evidence.of.__func__

    def noted(kind: type[Evidence], centred: Tensor, *others: Tensor) -> Evidence:
        asked.append(centred.sign())
        return plain(kind, centred, *others)

    monkeypatch.setattr(Evidence, "of", classmethod(noted))
    for method in ESTIMATES:
        asked.clear()
        pooled(**faces, method=method, settings={**OPTIONS, "pieces": 12}, tolerance=9.0)
        both = torch.cat(asked, 1)
        assert both.shape[1] == 16
        assert min(len(face.unique(dim=0)) for face in both) > 12, method


def test_batches_change_nothing(faces: dict[str, Any]) -> None:
    for method in ESTIMATES:
        maps = [
            pooled(**faces, method=method, settings=OPTIONS, tolerance=0.0, budget=220, batch_size=size)
            for size in (1, 4)
        ]
        for kind in ("signed", "positive", "corrected", "error"):
            one, four = (getattr(each, kind) for each in maps)
            torch.testing.assert_close(one, four, rtol=1e-5, atol=1e-7, equal_nan=True)


def test_faces_without_landmarks_or_turned_away_are_left_out(faces: dict[str, Any]) -> None:
    faces["landmarks"][2, 40] = np.nan
    faces["landmarks"][4, :, 0] *= -1
    found = pooled(**faces, settings=OPTIONS, tolerance=0.0, budget=200)
    assert (found.faces, found.left_out) == (4, (2, 4))
    others = {**faces, "landmarks": faces["landmarks"][[0, 1]], "images": faces["images"][[0, 1]]}
    two: Pooled = pooled(**others, settings=OPTIONS, tolerance=9.0)
    assert two.faces == 2
    with pytest.raises(InputError, match=r"^every face is turned too far to be brought to the frame$"):
        pooled(**{**faces, "landmarks": faces["landmarks"][[4] * 6]}, settings=OPTIONS)


def test_regions_of_action_units_are_the_same_players_on_all_faces(faces: dict[str, Any]) -> None:
    found = pooled(**faces, method="kernel_shap", settings={"segments": "regions", "samples": 40}, tolerance=9.0)
    inside = load_frame().support
    assert found.signed[:, torch.from_numpy(np.array(inside))].isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "rise"}, "'method' must be one of lime, kernel_shap; got 'rise'"),
        ({"start": 4}, "'start' must be at least 8 coalitions a face; got 4"),
        ({"budget": 50}, "'budget' must be at least 54 images for 6 faces; got 50"),
        ({"landmarks": np.zeros((5, 68, 2))}, "'landmarks' must be (6, 68, 2), one face to an image; got (5, 68, 2)"),
        ({"landmarks": np.full((6, 68, 2), np.nan)}, "no face has finite landmarks: none can be brought to the frame"),
        ({"settings": {"samples": 4}}, "'samples' must be at least 8 to pool; got 4"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str, faces: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        pooled(**{**faces, **change})
