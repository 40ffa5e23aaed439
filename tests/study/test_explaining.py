"""A unit of explaining, against faces taken one by one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from xfer import datasets, explainers, geometry, training
from xfer.errors import InputError
from xfer.heatmaps.normalisations import positive_l1
from xfer.models.layers import Layer, layer_at
from xfer.study import explaining, sums
from xfer.study.explaining import Explained, explain_faces
from xfer.training import Pixels, Settings
from xfer.warping import to_frame

FACES, SIZE = 24, 64
SETTINGS = Settings(size=SIZE, seed=3, mean=(0.5,) * 3, std=(0.25,) * 3)
FACTS = {"model": "net", "guide": "none", "seed": "3", "fold": "1"}
METHODS = ("grad_cam", "layer_cam")
FRAME = geometry.load_frame("xfer")
BLOCKS = np.arange(FACES) % 3


def build() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 7, stride=8, padding=3), nn.BatchNorm2d(8), nn.Tanh(), nn.Dropout(0.5), nn.Flatten()
        )
        return net.append(nn.Linear(8 * 64, 6))


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    return training.read(datasets.open("synthetic", faces=FACES, size=SIZE), SIZE, workers=1)


@pytest.fixture
def unit(pixels: Pixels) -> Callable[..., Explained]:
    def explain(test: Any = range(FACES), net: nn.Module | None = None, **changes: Any) -> Explained:
        net = net or build()
        layer = Layer("2", (8, 8), "map")
        given = {"layer": layer, "blocks": BLOCKS[: len(test)], "frame": FRAME, "facts": FACTS, "explainers": METHODS}
        return explain_faces(net, pixels, test, SETTINGS, **(given | changes))

    return explain


def one_by_one(pixels: Pixels, targets: np.ndarray, method: str, normalisation: str) -> np.ndarray:
    """Every face's map in the frame: explained alone, warped alone, normalised alone in float64."""
    net, found = build(), []
    for face in range(FACES):
        image = (pixels.images([face]).float() / 255 - 0.5) / 0.25
        maps = explainers.attribute(net, image, method, [int(targets[face])], layer="2")[method]
        points = torch.from_numpy(pixels.landmarks[[face]]).double()
        warped = to_frame(maps[:, 0, None], points, FRAME, size=(SIZE, SIZE))
        assert warped.kept.all()
        found.append(warped.values[0, 0].double().numpy())
    maps = np.stack(found)
    return positive_l1(maps) if normalisation == "positive_l1" else maps


@pytest.mark.parametrize("normalisation", sums.STREAMED)
@pytest.mark.parametrize("selection", explaining.SELECTIONS)
def test_maps_are_the_means_of_single_faces(
    unit: Callable[..., Explained], pixels: Pixels, selection: str, normalisation: str
) -> None:
    found = unit(selection=selection, batch_size=5)
    predicted = np.array([pixels.classes.index(name) for name in found.predictions["predicted"]])
    targets = predicted if selection == "predicted" else pixels.labels
    outcome = np.where(predicted == pixels.labels, "correct", "incorrect")
    maps, table = sums.heatmaps([found.sums])
    assert set(table["outcome"]) == ({"correct", "incorrect", "all"} if selection == "true" else {"all"})
    for method in METHODS:
        single = one_by_one(pixels, targets, method, normalisation)
        rows = table[(table["explainer"] == method) & (table["normalisation"] == normalisation)]
        assert set(rows["expression"]) == {pixels.classes[t] for t in targets}
        for i, row in rows.iterrows():
            within = targets == pixels.classes.index(row["expression"])
            if row["outcome"] != "all":
                within &= outcome == row["outcome"]
            defined = np.isfinite(single).any(axis=(1, 2))
            assert (row["n"], row["undefined"]) == ((within & defined).sum(), (within & ~defined).sum())
            mean = np.mean(single[within & defined], axis=0)
            known = ~np.isnan(mean)
            scale = np.abs(mean[known]).max()
            np.testing.assert_allclose(maps.values[i][known] / scale, mean[known] / scale, atol=1e-6)


def test_predictions_are_those_of_evaluation(unit: Callable[..., Explained], pixels: Pixels) -> None:
    expected = training.evaluate(build(), pixels, range(FACES), SETTINGS)
    pd.testing.assert_frame_equal(unit().predictions, expected, rtol=1e-5)
    assert unit().left_out == ()


def test_methods_of_every_family_know_how_pixels_were_scaled(unit: Callable[..., Explained], pixels: Pixels) -> None:
    """Black is -2 to this network, whatever family hides parts or takes black for a baseline."""
    names = ("occlusion", "score_cam", "integrated_gradients", "grad_cam")
    found = unit([2, 5], explainers=names, per_face=True).maps
    assert found is not None
    black = {"baseline": torch.full((3, SIZE, SIZE), -2.0)}
    images, settings = training.inputs(pixels, [2, 5], SETTINGS), {"perturbation": black, "gradient": black}
    maps = explainers.attribute(build(), images, names, pixels.labels[[2, 5]], layer="2", settings=settings)
    for place, name in enumerate(names):
        expected = torch.nn.functional.interpolate(maps[name], (SIZE, SIZE), mode="bilinear")[:, 0]
        np.testing.assert_allclose(found.maps[:, place], expected, rtol=1e-3, atol=1e-6)


def test_methods_that_draw_and_families_that_only_partly_apply(unit: Callable[..., Explained]) -> None:
    found = unit([1, 4, 6], explainers="gradient,lime")
    assert set(found.sums.facts["left_out"]) == {"guided_backpropagation"}
    assert "it has no rule for 'Tanh' in '2'" in found.sums.facts["left_out"]["guided_backpropagation"]
    assert {"lime", "saliency", "lrp", "deep_lift"} < set(found.sums.cells["explainer"])
    assert np.isfinite(found.sums.sums).all()


@pytest.mark.parametrize("selection", explaining.SELECTIONS)
def test_the_batch_size_does_not_matter(unit: Callable[..., Explained], selection: str) -> None:
    one, many = unit(selection=selection, batch_size=1), unit(selection=selection, batch_size=FACES)
    pd.testing.assert_frame_equal(one.sums.cells, many.sums.cells)
    np.testing.assert_array_equal(one.sums.counts, many.sums.counts)
    scale = np.abs(many.sums.sums).max((1, 2), keepdims=True)
    np.testing.assert_allclose(one.sums.sums / scale, many.sums.sums / scale, atol=1e-5)
    pd.testing.assert_frame_equal(one.predictions, many.predictions, rtol=1e-5)


def test_the_same_again_to_the_last_bit_and_the_network_as_it_was(unit: Callable[..., Explained]) -> None:
    net = build()
    before, threads = {name: value.clone() for name, value in net.state_dict().items()}, torch.get_num_threads()
    one, two = unit(net=net), unit(net=net)
    assert one.sums.sums.tobytes() == two.sums.sums.tobytes()
    assert one.sums.block_sums.tobytes() == two.sums.block_sums.tobytes()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(module.training for module in net.modules())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert torch.get_num_threads() == threads


def test_every_face_goes_through_the_network_once(unit: Callable[..., Explained]) -> None:
    net, seen, ticks = build(), [], []
    net[0].register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    for selection in explaining.SELECTIONS:
        unit(net=net, selection=selection, tick=lambda: ticks.append(1))
        assert sum(seen) == len(ticks) == FACES
        seen.clear(), ticks.clear()
    unit(net=net, selection="predicted", per_class=1, tick=lambda: ticks.append(1))
    assert len(ticks) == FACES


def test_faces_that_cannot_be_warped_are_predicted_and_named(unit: Callable[..., Explained], pixels: Pixels) -> None:
    landmarks = pixels.landmarks.astype(np.float64)
    landmarks[0] = np.nan
    landmarks[1, :, 0] = SIZE - landmarks[1, :, 0]
    landmarks[2, 45] = landmarks[2, 36]
    found = unit(landmarks=landmarks, per_face=True)
    reasons = {face.id: face.reason for face in found.left_out}
    assert reasons[pixels.ids[0]] == "no landmarks"
    assert reasons[pixels.ids[1]] == "turned-over triangles take more than 2% of the face"
    assert reasons[pixels.ids[2]] in (explaining.NO_EYES, explaining.TURNED)
    assert sum(found.reasons.values()) == len(reasons) == 3
    assert len(found.predictions) == FACES
    raw = found.sums.cells.query("normalisation == 'raw' and explainer == 'grad_cam'")
    assert raw["n"].sum() == FACES - 3
    assert found.maps is not None
    assert found.maps.index.tolist() == list(range(3, FACES))


def test_single_maps_are_those_of_the_faces_in_their_order(unit: Callable[..., Explained], pixels: Pixels) -> None:
    test = [7, 3, 11, 5]
    found = unit(test=test, blocks=[2, 0, 1, 0], per_face=True, batch_size=3).maps
    assert found is not None
    assert found.index.tolist() == test
    assert found.targets.tolist() == pixels.labels[test].tolist()
    images = training.inputs(pixels, test, SETTINGS)
    expected = explainers.attribute(build(), images, METHODS, pixels.labels[test], layer="2")
    for i, method in enumerate(METHODS):
        np.testing.assert_allclose(found.maps[:, i], expected[method][:, 0], rtol=1e-4, atol=1e-7)


def test_explainers_that_do_not_apply_are_left_out_and_named(unit: Callable[..., Explained]) -> None:
    found = unit(explainers=("attention_rollout", "grad_cam", "cam"), per_face=True)
    assert set(found.sums.cells["explainer"]) == {"grad_cam"}
    assert found.maps.explainers == ("grad_cam",)
    reason = "cam does not apply to layer '2': the linear layer behind the layer tells cells apart"
    assert found.sums.facts["left_out"]["cam"] == reason
    assert set(found.sums.facts["left_out"]) == {"attention_rollout", "cam"}
    assert "left_out" not in unit(explainers="grad_cam").sums.facts
    with pytest.raises(InputError, match=f"^{reason}$"):
        unit(explainers="cam")


@pytest.mark.parametrize("selection", explaining.SELECTIONS)
def test_faces_of_a_class_are_drawn_by_the_seed(unit: Callable[..., Explained], pixels: Pixels, selection: str) -> None:
    found = unit(selection=selection, per_class=2, per_face=True)
    assert found.maps is not None
    column = found.predictions["predicted" if selection == "predicted" else "expression"]
    assert found.reasons == {"not among those drawn of its expression": int((column.value_counts() - 2).clip(0).sum())}
    drawn = column.iloc[found.maps.index].value_counts()
    assert drawn.to_dict() == column.value_counts().clip(upper=2).to_dict()
    again = unit(selection=selection, per_class=2, per_face=True, batch_size=7)
    assert again.maps.index.tolist() == found.maps.index.tolist()
    assert len(found.predictions) == FACES


def test_unlabelled_faces_are_only_predicted(pixels: Pixels) -> None:
    labels = pixels.labels.copy()
    labels[:2] = -1
    part = Pixels(**{**vars(pixels), "labels": labels})
    layer = layer_at(build(), "2", SIZE)
    given = {"layer": layer, "blocks": BLOCKS, "frame": FRAME, "facts": FACTS, "explainers": "grad_cam"}
    found = explain_faces(build(), part, range(FACES), SETTINGS, **given)
    assert found.reasons == {"shows none of the expressions": 2}
    told = {"layer": "2", "grid": [8, 8], "layerless": [], "selection": "true", "per_class": 0}
    assert found.sums.facts == {**FACTS, **told}
    free = explain_faces(build(), part, range(FACES), SETTINGS, **given, selection="predicted")
    assert free.reasons == {}


class Gated(nn.Module):
    """Alive for bright faces only, or for none."""

    def __init__(self, above: float) -> None:
        super().__init__()
        self.conv, self.above, self.head = nn.Conv2d(3, 4, 8, stride=8), above, nn.Linear(256, 6)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        gate = (images.mean((1, 2, 3)) > self.above).float()[:, None]
        return self.head(self.conv(images).tanh().flatten(1) * gate)


def test_dead_faces_have_no_positive_relevance_and_end_nothing(unit: Callable[..., Explained], pixels: Pixels) -> None:
    light = training.inputs(pixels, range(FACES), SETTINGS).mean((1, 2, 3)).numpy()
    torch.manual_seed(0)
    found = unit(
        net=Gated(float(np.median(light))), layer=Layer("conv", (8, 8), "map"), batch_size=1, explainers="grad_cam"
    )
    cells = found.sums.cells.query("normalisation == 'positive_l1'")
    assert cells["n"].sum() + cells["undefined"].sum() == FACES
    assert cells["undefined"].sum() >= (light <= np.median(light)).sum() > 0
    assert cells["n"].sum() > 0
    with pytest.raises(InputError) as caught:
        unit(net=Gated(99.0), layer=Layer("conv", (8, 8), "map"), batch_size=4)
    assert str(caught.value) == (
        "every gradient at layer 'conv' is zero: its features do not reach the logits; take an earlier layer"
    )


def test_a_selection_that_does_not_exist(unit: Callable[..., Explained]) -> None:
    with pytest.raises(InputError) as caught:
        unit(selection="pred")
    assert (
        str(caught.value) == "'selection' must be one of true, shown, predicted; got 'pred' (did you mean 'predicted'?)"
    )


def test_no_landmarks_at_all_leaves_predictions_alone(unit: Callable[..., Explained]) -> None:
    found = unit(landmarks=np.full((FACES, 68, 2), np.nan), per_face=True)
    assert found.reasons == {"no landmarks": FACES}
    assert found.sums.cells.empty
    assert len(found.predictions) == FACES
    assert found.maps.maps.shape == (0, 2, 8, 8)
