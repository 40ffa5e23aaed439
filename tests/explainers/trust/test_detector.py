"""Findings and agreement on maps whose relations are known, and on a network where methods coincide."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from tests.explainers import subjects
from xfer.errors import InputError
from xfer.explainers import attribute
from xfer.explainers.trust import agreement, detect, silent_layers


def findings(maps: dict[str, object], **options: object) -> set[tuple[str, str, str]]:
    table = detect(maps, **options)
    return set(zip(table.finding, table.explainer, table.other, strict=True))


def test_relations_are_labelled(rng: np.random.Generator) -> None:
    first = rng.standard_normal((5, 4, 3))
    factors = rng.uniform(1, 2, (5, 1, 1))
    maps = {"a": first, "b": first * (1 + 1e-9), "c": factors * first, "d": -first, "e": rng.standard_normal((5, 4, 3))}
    found = findings(maps)
    assert {("same", "a", "b"), ("proportional", "a", "c"), ("opposite", "a", "d")} <= found
    assert not any("e" in row[1:] for row in found if row[0] != "against the rest")


def test_maps_of_nothing_are_labelled(rng: np.random.Generator) -> None:
    dead = rng.random((4, 3, 3))
    dead[:3] = 0
    flat, broken = np.ones((4, 3, 3)), rng.random((4, 3, 3))
    broken[1, 0, 0] = np.nan
    table = detect({"dead": dead, "flat": flat, "broken": broken}).set_index(["finding", "explainer"])
    assert table.loc[("zero", "dead"), "share"] == 0.75
    assert table.loc[("zero", "dead"), "detail"] == "3 of 4 maps"
    assert table.loc[("constant", "flat"), "share"] == 1.0
    assert table.loc[("not finite", "broken"), "share"] == 0.25


def test_a_turned_sign_is_against_the_rest(rng: np.random.Generator) -> None:
    common = rng.standard_normal((12, 6, 6))
    maps = {name: common + 0.3 * rng.standard_normal(common.shape) for name in ("a", "b", "c")}
    assert findings({**maps, "d": -common - 0.3 * rng.standard_normal(common.shape)}) == {("against the rest", "d", "")}
    assert findings(maps) == set()


def test_behind_an_average_and_a_linear_layer_cams_are_one() -> None:
    """Selvaraju et al. 2017, section 3.1; Draelos and Carin 2020."""
    subject = subjects.of_a_linear_head()
    maps = attribute(subject.model, subject.images, "grad_cam,hires_cam,layer_cam,saliency", 1, layer=subject.layer)
    found = findings(maps)
    assert ("same", "grad_cam", "hires_cam") in found
    assert not any("saliency" in row[1:] and row[0] != "against the rest" for row in found)


def test_behind_relus_lrp_is_image_times_gradient() -> None:
    maps = attribute(subjects.ruled(), subjects.noise(12, 10), "lrp,input_x_gradient", 1)
    assert ("same", "lrp", "input_x_gradient") in findings(maps, tolerance=1e-4)


def test_silent_layers_are_named() -> None:
    class Deaf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heard, self.unheard = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.heard(images).mean((2, 3)) + 0 * self.unheard(images).mean((2, 3))

    table = silent_layers(Deaf(), torch.rand(2, 3, 6, 6), ["heard", "unheard"])
    assert table.layer.tolist() == ["unheard"]
    assert table.reason[0].startswith("every gradient at layer 'unheard' is zero")
    with pytest.raises(InputError, match="'layer' must be a module of Deaf; got 'herd'"):
        silent_layers(Deaf(), torch.rand(2, 3, 6, 6), ["herd"])


def test_agreement_is_scipys_mean_over_faces(rng: np.random.Generator) -> None:
    maps = {"a": rng.standard_normal((12, 5, 4)), "b": rng.standard_normal((12, 5, 4))}
    table = agreement(maps).set_index(["explainer", "other"])
    each = [stats.spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(maps["a"], maps["b"], strict=True)]
    row = table.loc[("a", "b")]
    assert row.spearman == pytest.approx(np.mean(each), rel=1e-10)
    assert row.ci_low < row.spearman < row.ci_high
    assert table.loc[("b", "a"), "spearman"] == row.spearman
    assert table.loc[("a", "a"), "spearman"] == 1.0


def test_agreement_leaves_constant_maps_out(rng: np.random.Generator) -> None:
    maps = {"a": rng.random((4, 3, 3)), "b": rng.random((4, 3, 3))}
    maps["b"][2] = 1.0
    table = agreement(maps).set_index(["explainer", "other"])
    assert table.loc[("a", "b"), "n"] == 3
    assert agreement({"a": maps["a"], "b": np.ones((4, 3, 3))}).iloc[0].reason == "no values"


def test_agreement_across_resolutions(rng: np.random.Generator) -> None:
    fine = np.kron(rng.random((3, 2, 2)), np.ones((1, 4, 4)))
    table = agreement({"fine": fine, "coarse": fine[:, ::4, ::4]})
    assert table.spearman[0] > 0.8
