"""Settings and presets."""

import pytest
import torch

from xfer.errors import InputError
from xfer.models import MODELS
from xfer.training import PRESETS, Settings, preset, variant
from xfer.training.optimiser import optimiser, schedule
from xfer.training.presets import FACES, VARIANTS
from xfer.training.settings import OPTIMISERS


def test_config_and_back() -> None:
    settings = preset("quick", "songnet", mean=(0.5, 0.5, 0.5), class_weights=True)
    config = settings.config()
    assert config["mean"] == [0.5, 0.5, 0.5]
    assert None not in config.values()
    assert Settings.from_config(config) == settings
    told = r"^'training setting' must be one of .*; got 'epoch' \(did you mean 'epochs'\?\)$"
    with pytest.raises(InputError, match=told):
        Settings.from_config({"size": 32, "epoch": 3})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"epochs": 0}, "training setting 'epochs' must be from 1 to 10000; got 0"),
        ({"lr": float("nan")}, "training setting 'lr' must be from 0 to 100; got nan"),
        ({"lr": 0.0}, "training settings 'lr', 'std' and 'validation' must be above 0"),
        ({"precision": "16"}, "'precision' must be one of 32, bf16; got '16' (did you mean 'bf16'?)"),
        ({"crop": 1.0}, "training setting 'crop' must be from 0 to 0.99; got 1.0"),
        ({"step_factor": -0.5}, "training setting 'step_factor' must be from 0 to 1; got -0.5"),
        ({"warm_up": 0.0}, "training setting 'warm_up' must be from 0.01 to 0.99; got 0.0"),
        ({"schedule": "cosine"}, "'schedule' must be one of one_cycle, constant, step; got 'cosine'"),
    ],
)  # fmt: skip
def test_refusals(wrong: dict, told: str) -> None:
    with pytest.raises(InputError) as caught:
        Settings(size=32, **wrong)
    assert str(caught.value) == told


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fit_the_networks(name: str) -> None:
    for network, spec in MODELS.items():
        assert preset(name, network).size >= spec.min_input
    known = {n for table in PRESETS.values() for n in table} - {""}
    assert known <= set(MODELS)
    with pytest.raises(InputError, match="'preset' must be one of quick, standard, paper, belharbi2024; got 'quik'"):
        preset("quik", "songnet")


def test_variants_are_networks_of_their_own() -> None:
    published = [n for n, spec in MODELS.items() if "published" in spec.tags]
    for name in PRESETS:
        chosen = [variant(name, n) for n in published]
        assert len(set(chosen)) == 12
        assert all(new in (old, f"{old}_bn") and new in MODELS for old, new in zip(published, chosen, strict=True))
    assert set(VARIANTS) | set(FACES) <= set(PRESETS)
    assert variant("quick", "timm:resnet18") == "timm:resnet18"
    with pytest.raises(InputError, match="'preset' must be one of quick, standard, paper, belharbi2024; got 'quik'"):
        variant("quik", "songnet")


def test_paper_sees_the_published_sizes() -> None:
    published = [n for n, spec in MODELS.items() if "published" in spec.tags]
    assert len(published) == 12
    assert {n: preset("paper", n).size for n in published} == {n: MODELS[n].input_size for n in published}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_take_a_step_down(name: str) -> None:
    model = torch.nn.Linear(3, 1)
    torch.nn.init.ones_(model.weight)
    chosen = optimiser(model, Settings(size=32, optimiser=name, lr=1e-2), fused=True)
    image = torch.ones(1, 3)
    before = model(image) ** 2
    before.backward()
    chosen.step()
    assert model(image) ** 2 < before


def test_wide_dense_layers_learn_more_slowly() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3), torch.nn.Linear(64, 32), torch.nn.Linear(32, 2))
    settings = Settings(size=32, lr=1e-2, wide=32)
    groups = optimiser(model, settings, fused=True).param_groups
    assert [(g["lr"], sum(p.numel() for p in g["params"])) for g in groups] == [(1e-2, 1792 + 66), (5e-3, 2080)]
    assert len(optimiser(model, settings.change(wide=0), fused=True).param_groups) == 1


def test_nesterov_is_its_definition() -> None:
    """v = .9 v + g; w -= lr (g + .9 v), Sutskever et al. 2013 as torch has it."""
    weight = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(weight.weight)
    chosen = optimiser(weight, Settings(size=32, optimiser="sgd_nesterov", lr=0.1, weight_decay=0.01), fused=False)
    w, v = 1.0, 0.0
    for _ in range(4):
        chosen.zero_grad()
        (weight.weight**2).sum().backward()
        chosen.step()
        g = 2 * w + 0.01 * w
        v = 0.9 * v + g
        w -= 0.1 * (g + 0.9 * v)
    assert weight.weight.item() == pytest.approx(w, rel=1e-5)


def test_steps_of_the_rate_come_with_the_epochs() -> None:
    settings = Settings(size=32, epochs=6, schedule="step", step_epochs=2, step_factor=0.5, optimiser="sgd", lr=0.8)
    chosen = optimiser(torch.nn.Linear(1, 1), settings, fused=False)
    rate = schedule(chosen, settings, steps=18)
    assert rate is not None
    told = []
    for _ in range(18):
        told.append(chosen.param_groups[0]["lr"])
        chosen.step()
        rate.step()
    assert told == pytest.approx([0.8] * 6 + [0.4] * 6 + [0.2] * 6)


def test_belharbi_is_the_published_training() -> None:
    found = preset("belharbi2024", "resnet50")
    assert (found.optimiser, found.lr, found.weight_decay) == ("sgd_nesterov", 0.002, 5e-4)
    assert (found.schedule, found.step_epochs, found.step_factor, found.epochs) == ("step", 4, 0.9, 20)
    assert (found.batch, found.size, found.crop, found.rotation, found.erasing) == (224, 224, 0.2, 6, 0.5)
