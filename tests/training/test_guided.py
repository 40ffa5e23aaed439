"""Guided training: the term as defined, faces that take no part, and a loop that goes on as it does without a guide."""

from collections.abc import Callable
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from xfer import training
from xfer.errors import InputError
from xfer.guidance import Guide, Maps
from xfer.labels import BASIC
from xfer.training import GuidedLoss, Settings, TrainingError, loop, weights
from xfer.training.batches import Batches
from xfer.training.guided import guide_digest

GUIDE = Guide(weight=2.0, layers=("0",))
"""On the tiny network's convolution, 15 x 15 cells."""


def batch_of(pixels: training.Pixels, settings: Settings, **changes: object) -> training.Batch:
    return replace(next(iter(Batches(pixels, np.arange(8), settings, 8))), **changes)  # type: ignore[arg-type]


def plain(model: nn.Module, batch: training.Batch) -> float:
    return float(training.cross_entropy(model, batch).detach())


@pytest.fixture
def still(network: Callable) -> nn.Module:
    """The tiny network in evaluation mode: nothing is drawn at random."""
    return network().eval()


@pytest.fixture
def batch(pixels: training.Pixels, settings: Settings) -> training.Batch:
    return batch_of(pixels, settings)


def test_the_loss_is_its_definition(still: nn.Module, batch: training.Batch) -> None:
    """Cross entropy and the weight times the mean of 1 - cosine of a layer's channel mean and the map, face by face."""
    loss = GuidedLoss(still, GUIDE, BASIC, 32)
    found = float(loss(still, batch).detach())
    attention = still[0](batch.images).detach().double().mean(dim=1).numpy()
    maps = Maps(GUIDE, BASIC).maps(batch.landmarks, batch.labels, 32, 15, 15).double().numpy()
    terms = [1 - (a * m).sum() / np.sqrt((a**2).sum() * (m**2).sum()) for a, m in zip(attention, maps, strict=True)]
    assert found == pytest.approx(plain(still, batch) + 2 * np.mean(terms), rel=1e-5)
    assert loss.told == (pytest.approx(np.mean(terms), rel=1e-5), 8)


def test_the_weight_follows_the_progress_of_the_training(still: nn.Module, batch: training.Batch) -> None:
    loss = GuidedLoss(still, replace(GUIDE, schedule="linear", warm_up=0.5), BASIC, 32)
    for progress, weight in [(0.0, 0.0), (0.25, 1.0), (0.5, 2.0), (0.75, 1.0)]:
        value = float(loss(still, replace(batch, progress=progress)).detach())
        assert value == pytest.approx(plain(still, batch) + weight * loss.told[0], rel=1e-5)


def test_faces_without_landmarks_take_no_part(still: nn.Module, batch: training.Batch) -> None:
    landmarks = batch.landmarks.clone()
    landmarks[:3] = torch.nan
    few = replace(batch, landmarks=landmarks)
    loss = GuidedLoss(still, GUIDE, BASIC, 32)
    value = loss(still, few)
    assert loss.told[1] == 5
    assert {why: n for why, n in loss.absent.items() if n} == {"no_landmarks": 3}
    assert float(value.detach()) == pytest.approx(plain(still, batch) + 2 * loss.told[0], rel=1e-5)
    value.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in still.parameters())


def test_a_batch_without_any_has_the_plain_loss(still: nn.Module, batch: training.Batch) -> None:
    loss = GuidedLoss(still, GUIDE, BASIC, 32)
    value = loss(still, replace(batch, landmarks=torch.full_like(batch.landmarks, torch.nan)))
    assert float(value.detach()) == plain(still, batch)
    assert isnan(loss.told[0])
    assert loss.told[1] == 0
    value.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in still.parameters())


def test_neutral_faces_take_no_part(still: nn.Module, batch: training.Batch) -> None:
    loss = GuidedLoss(still, GUIDE, ("neutral", *BASIC[:5]), 32)
    loss(still, batch)
    assert loss.told[1] == int((batch.labels != 0).sum()) < 8
    assert loss.absent["no_action_units"] == int((batch.labels == 0).sum())


def test_the_log_counts_who_took_no_part_by_reason(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    landmarks = pixels.landmarks.copy()
    landmarks[pixels.rows(parts[0][:3])] = np.nan
    renamed = replace(pixels, classes=("neutral", *BASIC[1:]), landmarks=landmarks)
    log = fit(network(), renamed, parts, settings, GUIDE).log
    neutral = int((pixels.labels[pixels.rows(parts[0][3:])] == 0).sum())
    assert neutral > 0
    assert log["absent_no_landmarks"].tolist() == [3] * 3
    assert log["absent_no_action_units"].tolist() == [neutral] * 3
    assert log["guided_faces"].tolist() == [len(parts[0]) - 3 - neutral] * 3
    assert (log[["absent_outside", "absent_no_map", "absent_silent"]] == 0).all(axis=None)


def fit(model: nn.Module, pixels: training.Pixels, parts: tuple, settings: Settings, guide: Guide, **options):
    loss = GuidedLoss(model, guide, pixels.classes, settings.size)
    return training.fit(model, pixels, *parts, settings, loss=loss, **options)


def test_weight_0_is_plain_training_to_the_byte(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    guided = fit(network(), pixels, parts, settings, replace(GUIDE, weight=0.0))
    alone = training.fit(network(), pixels, *parts, settings)
    assert all(torch.equal(guided.state[name], alone.state[name]) for name in alone.state)
    shared = ["epoch", "train_loss", "validation_loss", "validation_accuracy", "lr"]
    pd.testing.assert_frame_equal(guided.log[shared], alone.log[shared], check_exact=True)
    assert guided.log["guided_faces"].tolist() == [len(parts[0])] * 3
    assert alone.log["guided_faces"].tolist() == [0] * 3
    assert alone.log["guide_term"].isna().all()


def test_the_network_learns_to_look(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    guided, alone = (
        fit(network(), pixels, parts, settings, replace(GUIDE, weight=w)).log["guide_term"] for w in (8.0, 0.0)
    )
    assert guided.iloc[-1] < guided.iloc[0]
    assert guided.iloc[-1] < alone.iloc[-1]


class Killed(BaseException):
    """Ends a run where a kill would."""


SCHEDULED = replace(GUIDE, schedule="cosine", warm_up=0.3)


@pytest.fixture(scope="module")
def changing(settings: Settings) -> Settings:
    """With every schedule and change that needs to be taken up where it was."""
    more = {"optimiser": "sgd_nesterov", "schedule": "step", "step_epochs": 1}
    return settings.change(**more, crop=0.2, grey=0.2, colour=0.5, erasing=0.5)


@pytest.fixture(scope="module")
def undisturbed(pixels: training.Pixels, parts: tuple, changing: Settings, network: Callable, tmp_path_factory):
    place = tmp_path_factory.mktemp("undisturbed")
    return fit(network(), pixels, parts, changing, SCHEDULED, folder=place)


@pytest.mark.parametrize("last", [2, 6])
def test_a_killed_guided_training_ends_with_the_bytes_of_an_undisturbed_one(
    pixels: training.Pixels,
    parts: tuple,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changing: Settings,
    undisturbed: training.Fitted,
    network: Callable,
    last: int,
) -> None:
    real, writes = weights.put, 0

    def counting(path: Path, write: Callable) -> None:
        nonlocal writes
        writes += 1
        if writes == last:
            raise Killed
        real(path, write)

    monkeypatch.setattr(weights, "put", counting)
    monkeypatch.setattr(loop, "put", counting)
    with pytest.raises(Killed):
        fit(network(), pixels, parts, changing, SCHEDULED, folder=tmp_path)
    resumed = fit(network(), pixels, parts, changing, SCHEDULED, folder=tmp_path)
    assert resumed.digest == undisturbed.digest
    told = [log.drop(columns="seconds") for log in (resumed.log, undisturbed.log)]
    pd.testing.assert_frame_equal(*told, check_exact=True)
    assert resumed.log["lr"].tolist() == pytest.approx([3e-3, 2.7e-3, 2.43e-3])


def test_another_guide_is_another_training(
    pixels: training.Pixels, parts: tuple, tmp_path: Path, settings: Settings, network: Callable
) -> None:
    changed = settings.change(epochs=1)
    guides = [GUIDE, replace(GUIDE, weight=1.0), replace(GUIDE, masks="ekman"), GUIDE]
    digests = [fit(network(), pixels, parts, changed, guide, folder=tmp_path).digest for guide in guides]
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3
    assert len({guide_digest(guide) for guide in guides}) == 3


def test_facts_go_with_the_weights(
    pixels: training.Pixels, parts: tuple, tmp_path: Path, settings: Settings, network: Callable
) -> None:
    fitted = fit(
        network(), pixels, parts, replace(settings, epochs=1), GUIDE, folder=tmp_path, facts={"guide": GUIDE.config()}
    )
    assert fitted.path is not None
    facts = training.read_weights(fitted.path)[1]
    assert Guide.from_config(facts["guide"]) == GUIDE
    assert facts["classes"] == list(pixels.classes)


def test_a_loss_that_is_not_finite_names_the_batch(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    with pytest.raises(TrainingError) as told:
        fit(network(), pixels, parts, settings, replace(GUIDE, weight=1e300), name="tiny")
    assert str(told.value) == (
        "tiny: the loss is inf in epoch 1, batch 1; lower the guide's weight or the learning rate, or train in "
        "precision 32"
    )


def test_attention_that_is_not_finite_is_a_loss_that_is_not(still: nn.Module, batch: training.Batch) -> None:
    """Though the logits are: of a layer whose other channels alone go on."""

    class Branch(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.cat([images, torch.where(images > 0, images, torch.nan)[:, :1]], 1)

    class Front(nn.Module):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            return maps[:, :3]

    model = nn.Sequential(Branch(), Front(), still).eval()
    loss = GuidedLoss(model, replace(GUIDE, layers=("0",)), BASIC, 32)
    assert model(batch.images).isfinite().all()
    assert not loss(model, batch).isfinite()


def test_landmarks_of_pictures_of_another_size(still: nn.Module, batch: training.Batch) -> None:
    loss = GuidedLoss(still, GUIDE, BASIC, 32)
    with pytest.raises(InputError) as told:
        loss(still, replace(batch, landmarks=batch.landmarks * 7))
    assert str(told.value) == (
        "the landmarks of 8 of 8 faces lie outside their images of 32 px; they must be (x, y) in px of these images"
    )


def test_landmarks_of_smaller_pictures_are_refused_before_training(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    smaller = replace(pixels, landmarks=pixels.landmarks / 2)
    with pytest.raises(InputError) as told:
        fit(network(), smaller, parts, settings, GUIDE, name="tiny")
    first = pixels.ids[pixels.rows(parts[0])[0]]
    assert str(told.value) == (
        f"tiny: the landmarks of most training faces, as of {first!r}, lie in the upper left of their pictures: "
        "they are for smaller ones"
    )


def test_pictures_of_another_size(still: nn.Module, batch: training.Batch) -> None:
    loss = GuidedLoss(still, GUIDE, BASIC, 48)
    with pytest.raises(InputError, match=r"^the guide is made for images of 48 px; got 32 x 32$"):
        loss(still, batch)


def test_a_layer_that_is_not_there(still: nn.Module) -> None:
    with pytest.raises(InputError, match=r"'layer7'"):
        GuidedLoss(still, replace(GUIDE, layers=("layer7",)), BASIC, 32)
