"""The engine: what is hidden, in which batches, and each method against its definition, captum and the library lime."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from captum import attr as captum
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers import attribute, explain, trace
from xfer.explainers.designs import DESIGNS, generator
from xfer.explainers.families import Look
from xfer.explainers.kernel_shap import shapley_coefficients
from xfer.explainers.lime import lime_coefficients
from xfer.explainers.perturbation import Perturbation, Scene
from xfer.explainers.surrogates import shapley

FAMILY = ["lime", "kernel_shap", "occlusion", "feature_ablation", "rise"]


def explained(model: nn.Module, images: Tensor, names: str | list[str], **settings: Any) -> dict[str, Tensor]:
    """Maps with few samples of the grid's segments, unless told otherwise."""
    options = {"samples": 40, "segments": "grid", "pieces": 6, "output": "logit", **settings}
    return attribute(model, images, names, batch_size=settings.pop("batch", 32), settings={"perturbation": options})


def scene(
    model: nn.Module, images: Tensor, batch_size: int = 7, methods: tuple[str, ...] = (), **options: Any
) -> Scene:
    """A scene of some faces, all three classes."""
    model.eval()
    with torch.no_grad():
        logits = model(images)
    classes = torch.arange(3).expand(len(images), -1)
    settings = Perturbation(**{"samples": 40, "segments": "grid", "pieces": 6, "output": "logit", **options})
    return Scene(Look(model, images, logits, classes, 0, batch_size), settings, methods)


def masked(image: Tensor, labels: Tensor, row: Tensor, hidden: float = 0.0) -> Tensor:
    """An image of which some players are hidden, pixel by pixel."""
    out = image.clone()
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            if not row[labels[y, x]]:
                out[:, y, x] = hidden
    return out


@torch.no_grad()
def test_the_network_sees_what_the_rows_say(small: nn.Module, images: Tensor) -> None:
    stage = scene(small, images, batch_size=7)
    rows = torch.stack([DESIGNS["coin"].rows(6, 9, generator(face)) for face in range(4)])
    found = stage.coalitions(rows, [9, 4, 1, 9])
    for face, count in enumerate([9, 4, 1, 9]):
        seen = torch.stack([masked(images[face], stage.players.parts[face], row) for row in rows[face, :count]])
        torch.testing.assert_close(found[face, :count], small(seen), rtol=1e-12, atol=1e-14)
        assert (found[face, count:] == 0).all()
    probabilities = scene(small, images, output="probability").coalitions(rows)
    torch.testing.assert_close(probabilities[0], scene(small, images).coalitions(rows)[0].softmax(1))


def test_batches_are_full_and_no_larger(small: nn.Module, images: Tensor) -> None:
    seen: list[int] = []
    small.first.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    scene(small, images, batch_size=7).coalitions(torch.ones(4, 9, 6, dtype=torch.bool))
    assert seen[1:] == [7, 7, 7, 7, 7, 1]


def test_soft_parts_mix(small: nn.Module, images: Tensor) -> None:
    soft = torch.rand(4, 2, 12, 10, dtype=torch.float64)
    soft = soft / soft.sum(1, keepdim=True)
    stage = scene(small, images, segments=soft, baseline=(0.25, 0.5, 0.75))
    found = stage.coalitions(torch.tensor([[[True, False]]]).expand(4, -1, -1))
    base = torch.tensor([0.25, 0.5, 0.75]).double()[:, None, None]
    with torch.no_grad():
        expected = small(images * soft[:, :1] + base * soft[:, 1:])
    torch.testing.assert_close(found[:, 0], expected, rtol=1e-12, atol=1e-14)
    hard = (soft[:, 0] < 0.5).long()
    as_soft = torch.stack([1 - hard, hard], 1).double()
    maps = [explained(small, images, "kernel_shap", segments=each)["kernel_shap"] for each in (hard, as_soft)]
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-10, atol=1e-13)


def test_channels_last_is_kept(small: nn.Module, images: Tensor) -> None:
    seen: list[bool] = []
    small.first.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
    )
    last = images.to(memory_format=torch.channels_last)
    for given, options, expected in (
        (images, {"channels_last": False}, False),
        (last, {"channels_last": False}, True),
        (images, {}, True),
    ):
        stage = scene(small, given, **options)
        seen.clear()
        maps = stage.finished(lime_coefficients(stage))
        assert set(seen) == {expected}
    torch.testing.assert_close(maps, lime_coefficients(scene(small, images)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", FAMILY)
def test_batches_change_nothing(name: str, small: nn.Module, images: Tensor) -> None:
    whole = explained(small, images, name, baseline="noise")[name]
    assert whole.shape == (4, 3, 12, 10)
    options = {"samples": 40, "segments": "grid", "pieces": 6, "output": "logit", "baseline": "noise"}
    singly = attribute(small, images, name, batch_size=1, settings={"perturbation": options})[name]
    torch.testing.assert_close(singly, whole, rtol=1e-8, atol=1e-11)
    other = explained(small, images, name, baseline="noise", seed=1)[name]
    assert not torch.equal(other, whole)


def test_a_linear_game_is_recovered(images: Tensor) -> None:
    """On f = sum of pixels times weights every method that weighs players finds each player's own sum."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 10, 3)).double()
    labels = torch.arange(6).reshape(2, 3).repeat_interleave(6, 0).repeat_interleave(4, 1)[:, :10].expand(4, -1, -1)
    weights = model[1].weight.detach().reshape(3, 3, 12, 10)
    sums = torch.einsum("fcyx,tcyx->ftyx", images, weights)
    expected = torch.stack([(sums * (labels[0] == player)).sum((-2, -1)) for player in range(6)], -1)
    truth = expected.gather(2, labels.flatten(1)[:, None].expand(-1, 3, -1)).unflatten(2, (12, 10))
    maps = explained(model, images, ["lime", "kernel_shap", "feature_ablation"], segments=labels, alpha=1e-9)
    for found in maps.values():
        torch.testing.assert_close(found, truth, rtol=1e-6, atol=1e-8)


def test_few_players_get_exact_shapley_values(small: nn.Module, images: Tensor) -> None:
    stage = scene(small, images, samples=64)
    found = shapley_coefficients(stage)
    from xfer.explainers.designs import every_coalition

    values = stage.coalitions(every_coalition(6).expand(4, -1, -1))
    torch.testing.assert_close(found, shapley(values.mT).mT, rtol=1e-12, atol=1e-14)
    sampled = shapley_coefficients(scene(small, images, samples=63))
    assert not torch.equal(sampled, found)
    torch.testing.assert_close(sampled.sum(1), values[:, -1] - values[:, 0], rtol=1e-10, atol=1e-12)
    mixed = torch.zeros(4, 12, 10, dtype=torch.long)
    mixed[1:] = stage.players.parts[1:]
    mixed[0, 6:] = 1
    both = shapley_coefficients(scene(small, images, samples=10, segments=mixed))
    alone = shapley_coefficients(scene(small, images, samples=1000, segments=mixed))
    torch.testing.assert_close(both[0], alone[0], rtol=1e-10, atol=1e-13)
    assert (both[0, 2:] == 0).all()


@pytest.mark.parametrize("share", [True, False])
def test_a_face_of_one_player_beside_others(small: nn.Module, images: Tensor, share: bool) -> None:
    """As where a segmentation finds nothing: the one player has all, and the other faces' maps are their own."""
    labels = scene(small, images).players.parts.clone()
    labels[0] = 0
    names = ["lime", "kernel_shap"]
    maps = explained(small, images, names, segments=labels, samples=20, share=share)
    others = explained(small, images, names, samples=20, share=share)
    for name in names:
        assert maps[name].isfinite().all()
        torch.testing.assert_close(maps[name][1:], others[name][1:], rtol=1e-9, atol=1e-12)
    whole = explained(small, images, "feature_ablation", segments=labels)["feature_ablation"]
    torch.testing.assert_close(maps["kernel_shap"][0], whole[0], rtol=1e-10, atol=1e-12)


def test_shared_rows_serve_both_methods(small: nn.Module, images: Tensor) -> None:
    """LIME gains by KernelSHAP's rows; KernelSHAP still comes to the Shapley values, though pairs count for less."""
    truth = {
        lime_coefficients: lime_coefficients(scene(small, images, samples=20_000, batch_size=500)),
        shapley_coefficients: shapley_coefficients(scene(small, images, samples=64)),
    }

    def error(method: Callable[[Scene], Tensor], seed: int, **options: Any) -> float:
        stage = scene(small, images, methods=("lime", "kernel_shap"), samples=40, alpha=1e-6, seed=seed, **options)
        return (method(stage) - truth[method]).square().mean().sqrt().item()

    lime = [[error(lime_coefficients, seed, share=share) for seed in range(6)] for share in (True, False)]
    assert np.mean(lime[0]) < np.mean(lime[1])
    assert error(shapley_coefficients, 0, share=True) < 0.02 * truth[shapley_coefficients].abs().max()
    stage = scene(small, images, methods=("lime", "kernel_shap"), share=True)
    assert stage.bank("coin") is stage.bank("kernel")
    assert stage.bank("coin").rows.shape[1] == 80


def test_what_shared_rows_are_worth_is_told(small: nn.Module, images: Tensor) -> None:
    """With 120 pixels for players the designs differ so much that the other's rows add little, but take none away."""
    labels = torch.arange(120).view(1, 12, 10).expand(4, -1, -1)
    options = {"perturbation": {"samples": 60, "segments": labels, "share": True}}
    seen = trace(small, images, "lime,kernel_shap,rise", settings=options, batch_size=3)
    assert {name: each.shape for name, each in seen.effective.items()} == {"lime": (4,), "kernel_shap": (4,)}
    stage = scene(small, images, batch_size=3, methods=("lime", "kernel_shap"), segments=labels, samples=60, share=True)
    for name, design in (("lime", "coin"), ("kernel_shap", "kernel")):
        torch.testing.assert_close(seen.effective[name], stage.bank(design).effective(design))
    told = explain(small, images, "lime,kernel_shap", settings=options).attrs["effective"]
    low, high = (f"{number:.0f}" for number in (seen.effective["lime"].min(), seen.effective["lime"].max()))
    assert told.startswith(f"lime {low} to {high} rows a face; kernel_shap ")
    assert "effective" not in explain(small, images, "rise", settings=options).attrs


def test_feature_ablation_is_captums(small: nn.Module, images: Tensor) -> None:
    stage = scene(small, images, pieces=5, baseline=(0.1, 0.2, 0.3))
    found = explained(small.eval(), images, "feature_ablation", pieces=5, baseline=(0.1, 0.2, 0.3))["feature_ablation"]
    base = torch.tensor([0.1, 0.2, 0.3]).double()[None, :, None, None].expand_as(images)
    peer = captum.FeatureAblation(small)
    for target in range(3):
        expected = peer.attribute(images, base, target=target, feature_mask=stage.players.parts[:, None])
        torch.testing.assert_close(found[:, target], expected[:, 0].double(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("window", "stride"), [(4, 2), (5, 3), (3, 3)])
def test_occlusion_is_captums(window: int, stride: int, small: nn.Module, images: Tensor) -> None:
    found = explained(small.eval(), images, "occlusion", window=window, stride=stride)["occlusion"]
    peer = captum.Occlusion(small)
    for target in range(3):
        expected = peer.attribute(images, (3, window, window), strides=(3, stride, stride), target=target)
        torch.testing.assert_close(found[:, target], expected[:, 0].double(), rtol=1e-5, atol=1e-7)


def test_lime_is_captums_on_the_same_rows(small: nn.Module, images: Tensor) -> None:
    from captum._utils.models.linear_model import SkLearnRidge

    stage = scene(small, images)
    bank = stage.bank("coin")
    found = lime_coefficients(stage)

    def kernel(original: Tensor, perturbed: Tensor, row: Tensor, **_: Any) -> Tensor:
        distance = 1 - torch.nn.functional.cosine_similarity(row.double(), torch.ones(1, 6).double())
        return (-distance.square() / 0.0625).exp().sqrt()

    for face in range(4):
        rows = bank.rows[face]

        def perturb(original: Tensor, rows: Tensor = rows, **_: Any) -> Iterator[Tensor]:
            yield from rows[:, None].float()

        base = captum.LimeBase(
            small,
            SkLearnRidge(alpha=1.0),
            kernel,
            perturb,
            True,
            lambda row, original, face=face, **_: masked(original[0], stage.players.parts[face], row[0])[None],
            None,
        )
        for target in range(3):
            expected = base.attribute(images[face : face + 1], target=target, n_samples=len(rows))
            torch.testing.assert_close(found[face, :, target], expected[0].double(), rtol=1e-4, atol=1e-6)


def test_exact_shapley_values_are_captums(small: nn.Module, images: Tensor) -> None:
    stage = scene(small, images, pieces=4, samples=16)
    found = stage.players.paint(shapley_coefficients(stage))
    peer = captum.ShapleyValues(small)
    for target in range(2):
        expected = peer.attribute(images, target=target, feature_mask=stage.players.parts[:1, None])
        torch.testing.assert_close(found[:, target], expected[:, 0].double(), rtol=1e-5, atol=1e-7)


@torch.no_grad()
def test_rise_is_its_definition_less_the_mean(small: nn.Module, images: Tensor) -> None:
    from xfer.explainers.veils import Grids

    found = explained(small, images, "rise", samples=50, cells=3, keep=0.4)["rise"]
    grids = Grids.draw(images, 50, 3, 0.4, 0, 0)
    for face in range(4):
        masks = grids.seen(face, slice(0, 50))
        said = small.eval()(images[face] * masks[:, None])
        source = torch.einsum("rt,ryx->tyx", said, masks) / (50 * 0.4)
        mean = said.mean(0)[:, None, None] * masks.mean(0) / 0.4
        torch.testing.assert_close(found[face], source - mean, rtol=1e-9, atol=1e-12)


def test_rise_draws_the_masks_of_its_source() -> None:
    """Enlarge the grid by one cell, bilinearly, and cut out a window: the source in another way."""
    from xfer.explainers.veils import Grids

    grids = Grids.draw(torch.zeros(1, 3, 14, 10, dtype=torch.float64), 6, 4, 0.5, 0, 0)
    masks = grids.seen(0, slice(0, 6))
    pixel = (4, 3)
    for row in range(6):
        size = (5 * pixel[0], 5 * pixel[1])
        large = nn.functional.interpolate(grids.cells[0, row][None, None], size, mode="bilinear")[0, 0]
        down, right = (int(grids.shifts[0, row, axis] * pixel[axis]) for axis in (0, 1))
        torch.testing.assert_close(masks[row], large[down : down + 14, right : right + 10], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample": 3}, "'setting of perturbation' must be one of samples, segments"),
        ({"samples": 1}, "'samples' must be a whole number from 2; got 1"),
        ({"samples": 2.5}, "'samples' must be a whole number from 2; got 2.5"),
        ({"samples": None}, "'samples' must be a whole number from 2; got None"),
        ({"seed": -1}, "'seed' must be a whole number from 0; got -1"),
        ({"kernel_width": float("nan")}, "'kernel_width' must be above 0; got nan"),
        ({"baseline": (0.0, float("nan"), 0.0)}, "'baseline' has values that are not finite"),
        ({"std": 0.0}, "'mean' and 'std' must be finite and 'std' above 0; got 0.0 and 0.0"),
        ({"mean": [[0.5]]}, "'mean' and 'std' must be one number, or one a channel; got [[0.5]]"),
        ({"segments": "slik"}, "'segments' must be one of slic, grid, regions; got 'slik' (did you mean 'slic'?)"),
        ({"segments": "regions"}, "'segments' = 'regions' needs 'landmarks' (face, 68, 2), in px of the images"),
        ({"baseline": "blac"}, "'baseline' must be one of black, blur, noise; got 'blac' (did you mean 'black'?)"),
        ({"baseline": np.zeros((2, 2))}, "'baseline' must be one of black, blur, noise, a colour"),
        ({"baseline": np.zeros((3, 5, 5))}, "'baseline' of shape (3, 5, 5) does not fit images (4, 3, 12, 10)"),
        ({"output": "logits"}, "'output' must be one of probability, logit; got 'logits' (did you mean 'logit'?)"),
        ({"alpha": 0}, "'alpha' must be above 0; got 0"),
        ({"keep": 1.0}, "'keep' must lie between 0 and 1; got 1.0"),
        ({"landmarks": np.zeros((3, 68, 2))}, "'landmarks' is given for 3 faces; there are 4"),
        ({"segments": np.zeros((4, 3, 3), int)}, "'segments' must be labels (face, y, x) or soft parts"),
        ({"segments": torch.rand(4, 2, 12, 10)}, "soft parts must be at least 0 and add up to 1 at every pixel"),
        ({"window": 2, "stride": 3}, "'stride' must be at most 'window', 2 px, so that every pixel is covered; got 3"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str, small: nn.Module, images: Tensor) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        explained(small, images, "lime,occlusion", **options)


def test_the_model_is_the_same_after_an_exception(small: nn.Module, images: Tensor, snapshot: Callable) -> None:
    class Interruption(BaseException):
        pass

    def fail(*_: object) -> None:
        raise Interruption

    small.third.register_forward_hook(fail)
    before = snapshot(small)
    with pytest.raises(Interruption):
        explained(small, images, "lime")
    assert snapshot(small) == before


def test_a_processor_gets_few_large_images_at_once(small: nn.Module, images: Tensor, monkeypatch: Any) -> None:
    stage = scene(small, images, batch_size=9)
    assert stage.at_once == 9
    monkeypatch.setattr("xfer.explainers.perturbation.CPU_PIXELS", 6 * 120)
    assert stage.at_once == 6
    monkeypatch.setattr("xfer.explainers.perturbation.CPU_PIXELS", 120)
    assert stage.at_once == 4
    assert scene(small, images, batch_size=2).at_once == 2


def test_a_network_that_views_is_given_the_other_layout(images: Tensor) -> None:
    class View(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Conv2d(3, 2, 3), nn.Linear(160, 3)

        def forward(self, given: Tensor) -> Tensor:
            seen.append(given.is_contiguous())
            features = self.layer(given)
            return self.head(features.view(len(features), -1))

    seen: list[bool] = []
    torch.manual_seed(1)
    model = View().double()
    stage = scene(model, images, batch_size=4)
    found = lime_coefficients(stage)
    assert seen == [True, False, *[True] * 40]
    torch.testing.assert_close(found, lime_coefficients(scene(model, images, channels_last=False)))
