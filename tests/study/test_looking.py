"""How one face is scored: against the metrics one by one, and the guided layer as the published study does."""

import numpy as np
import pytest
import torch

from xfer import datasets, explainers, models, training
from xfer.explainers.state import still
from xfer.guidance import Guide, layers
from xfer.labels import BASIC
from xfer.metrics import METRICS
from xfer.study.looking import COARSE, JUDGED, Looking, Truth, coarse, judged, others, own_maps, uniform
from xfer.training import Settings, inputs

SIZE = 48
SETTINGS = Settings(size=SIZE, threads=1)


@pytest.fixture
def truth(rng: np.random.Generator) -> Truth:
    masks = (rng.random((6, 10, 8)) > 0.6).astype(np.float32)
    return Truth(BASIC, masks, rng.random((10, 8)) > 0.2, "area")


def test_every_face_is_scored_as_the_metric_scores_it_alone(truth: Truth, rng: np.random.Generator) -> None:
    maps = torch.from_numpy(rng.normal(size=(3, 10 * COARSE, 8 * COARSE)))
    found = judged(maps, ["fear", "neutral", "anger"], truth)
    small = coarse(maps.clamp(min=0))
    for measure in JUDGED:
        more = {"threshold": "area"} if measure == "iou" else {}
        scores = [
            [float(METRICS[measure](face, mask, support=truth.support, **more)) for mask in truth.masks]
            for face in small
        ]
        assert found[measure][0] == pytest.approx(scores[0][2])
        assert found[others(measure)][0] == pytest.approx(np.mean(np.delete(scores[0], 2)))
        assert found[measure][2] == pytest.approx(scores[2][0])
        assert np.isnan([found[measure][1], found[others(measure)][1]]).all()


def test_what_speaks_against_a_class_does_not_count(truth: Truth) -> None:
    maps = torch.full((1, 10 * COARSE, 8 * COARSE), -1.0)
    assert all(np.isnan(values).all() for values in judged(maps, ["fear"], truth).values())


def test_a_map_without_preference_is_the_limit_of_random_ones(rng: np.random.Generator) -> None:
    mask = (rng.random((40, 40)) > 0.7).astype(float)
    for measure in JUDGED:
        more = {"threshold": "area"} if measure == "iou" else {}
        flat = 1 + 1e-3 * rng.random((60, 40, 40)) if measure == "cosine" else rng.random((60, 40, 40))
        found = METRICS[measure](flat, mask, **more).mean()
        assert uniform(measure, mask.reshape(1, -1))[0] == pytest.approx(found, abs=0.01)


def cosines(maps: torch.Tensor, own: torch.Tensor) -> list[float]:
    """Of maps that are brought to the size of others, in float64."""
    large = torch.nn.functional.interpolate(maps[:, None], own.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    pairs = zip(large.double().numpy(), own.double().numpy(), strict=True)
    return [float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())) for a, b in pairs]


def test_the_guided_layer_is_measured_as_the_study_measures_it(truth: Truth) -> None:
    pixels = training.read(datasets.open("synthetic", faces=4, size=SIZE), SIZE, workers=1)
    model = models.build("songnet", len(pixels.classes), size=SIZE, seed=1).eval()
    guide, index = Guide(), np.arange(4)
    seen = Looking(model, pixels, SETTINGS, guide, truth, floors=True)
    with still(model):
        seen(index, torch.rand(4, 1, 10 * COARSE, 8 * COARSE))
    table = seen.tables()["looking"].set_index("face").loc[list(pixels.ids)]
    images, labels = inputs(pixels, index, SETTINGS), pixels.labels
    (layer,) = layers.find(model, guide.layers, SIZE)
    kept: list[torch.Tensor] = []
    hook = model.get_submodule(layer.name).register_forward_hook(lambda *told: kept.append(told[2]))
    with torch.inference_mode():
        model(images)
    hook.remove()
    drawn = own_maps(seen._maps, torch.from_numpy(pixels.landmarks), SIZE)
    own = drawn[torch.arange(4), torch.from_numpy(labels)]
    attention = kept[0].mean(1)
    np.testing.assert_allclose(
        table["att_cos"], cosines(attention - attention.amin((1, 2))[:, None, None].clamp(max=0), own)
    )
    cams = explainers.attribute(model, images, "grad_cam", labels, layer=layer.name)["grad_cam"][:, 0]
    low, high = cams.amin((1, 2))[:, None, None], cams.amax((1, 2))[:, None, None]
    np.testing.assert_allclose(table["cam_cos"], cosines((cams - low) / (high - low), own), rtol=1e-4)
    floors = seen.tables()["floors"]
    assert len(floors) == 4 * 4
    assert floors["cosine"].between(0, 1).all()
