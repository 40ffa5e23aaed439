"""Planted cues: networks that rely on a cue and ones that do not, scores with known answers, one real training."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from xfer.errors import InputError
from xfer.study.planted import ALL, Planted, check, plant, scores, standings


class Corner(nn.Module):
    """Class 1 by the brightness of the upper left 4 x 4 px, class 0 without it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 12, 12))
        self.weight.data[:, :4, :4] = 1.0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        odds = (images * self.weight).sum((1, 2, 3)) - 10
        return torch.stack([-odds, odds], 1)


@pytest.fixture
def planted() -> Planted:
    images = torch.rand(16, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 0.05
    labels = np.arange(16) % 2
    images[labels == 1, :, :4, :4] += 0.9
    masks = np.zeros((16, 12, 12), bool)
    masks[:, :4, :4] = True
    predicted = labels.copy()
    predicted[0] = 1
    return Planted("patch", Corner(), images, labels, masks, predicted, 0.94, 0.5, 0.5)


def test_a_map_inside_the_cue_scores_one(planted: Planted) -> None:
    table = scores(planted, "saliency", explained=12)
    saliency = table[table.explainer == "saliency"]
    assert saliency.score.tolist() == pytest.approx([1.0] * 24)
    assert saliency.chance.tolist() == pytest.approx([16 / 144] * 24)
    assert saliency.groupby("metric").face.count().to_dict() == {"energy_inside": 12, "rank_accuracy": 12}


def test_what_does_not_apply_is_told(planted: Planted) -> None:
    table = scores(planted, "attention_rollout")
    assert table.score.isna().all()
    assert table.reason[0].startswith("attention_rollout does not apply to Corner: ")


def test_standings_are_means_over_faces_best_first(planted: Planted) -> None:
    facts = {"cue": "patch", "metric": "rank_accuracy", "chance": 0.2, "reason": ""}
    low, high = np.linspace(0.1, 0.3, 12), np.linspace(0.5, 0.9, 12)
    parts = [
        pd.DataFrame({**facts, "explainer": n, "face": range(12), "score": v}) for n, v in (("a", low), ("b", high))
    ]
    table = standings(pd.concat(parts), [planted]).set_index(["cue", "explainer"])
    assert table.loc[("patch", "b"), "score"] == pytest.approx(0.7)
    assert table.loc[("patch", "b"), "ci_low"] < 0.7 < table.loc[("patch", "b"), "ci_high"]
    assert table.loc[(ALL, "b"), "score"] == pytest.approx((0.7 - 0.2) / 0.8)
    assert table.loc[(ALL, "a"), "score"] == pytest.approx(0.0, abs=1e-12)
    assert table.loc[ALL].index.tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, ""),
        ({"without": 0.56}, "not relied on: accuracy without it 0.56, chance 0.50"),
        ({"accuracy": 0.7}, "not learnt: accuracy 0.70, chance 0.50"),
    ],
)
def test_only_a_network_that_relies_on_the_cue_counts(planted: Planted, facts: dict[str, float], reason: str) -> None:
    other = replace(planted, **facts)
    assert other.reason == reason
    table = standings(scores(other, "saliency"), [other])
    assert table.counted.tolist() == [not reason] * len(table)
    assert (ALL in set(table.cue)) == (not reason)
    assert set(table.reason) <= {reason, "constant values"}


def test_a_network_learns_the_background_and_nothing_else() -> None:
    found = plant("background", classes=2, faces=120, tested=40, size=24, epochs=6, seed=1)
    assert found.accuracy > 0.9
    assert found.without < 0.75
    assert found.images.shape == (40, 3, 24, 24)
    assert 0.2 < found.masks.mean() < 0.7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cue": "nose"}, "'cue' must be one of background, brows, mouth, patch; got 'nose'"),
        ({"cue": "patch", "classes": 1}, "a planted cue needs 2 to 6 classes, 20 faces of each to learn from and one "
                                         "of each to test; got 1 classes, 1500 and 240 faces"),
    ],
)  # fmt: skip
def test_bad_input(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        plant(**given)
    assert str(refusal.value) == message
    if given["cue"] == "nose":
        with pytest.raises(InputError, match="'cue' must be one of"):
            check(["nose"], "saliency")
