"""Action Unit attribution: the sum, a closed form, the order of players, what a null player gets, names, bad input."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.action_units import (
    NO_LANDMARKS,
    NO_PIXEL,
    NO_SHARE,
    TURNED,
    attribute_units,
    given_units,
    members,
    open_codebook,
    unfit_faces,
    unit_values,
)
from xfer.explainers.segments import region_players
from xfer.geometry import load_frame

SIDE = 56

FEW = """format = 1
name = "few"
title = "Two units"
reference = "none"
points = 68

[AU12]
evidence = "derived"
shapes = [{ kind = "polygon", points = [48, 51, 54, 57] }]

[AU4]
evidence = "derived"
shapes = [{ kind = "polygon", points = [17, 21, 22, 26, 42, 39] }]
"""


def placed(count: int = 2, scale: float = SIDE / 275) -> Tensor:
    """The frame's own face in the middle of a picture, each a pixel further to the right."""
    points = torch.tensor(load_frame("xfer").points[:68] * scale + [4.0, 0.0])
    return torch.stack([points + torch.tensor([float(face), 0.0]) for face in range(count)])


def faces(count: int = 2) -> Tensor:
    """Noise, float64."""
    return torch.rand(count, 3, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) + 0.2


class Means(nn.Module):
    """Logits that are sums of weights times the mean of each region of one face, and a bend of it where asked."""

    def __init__(self, labels: Tensor, weights: Tensor, bend: bool = False) -> None:
        super().__init__()
        one_hot = nn.functional.one_hot(labels, len(weights)).double().flatten(0, 1).T
        self.register_buffer("share", one_hot / one_hot.sum(1, keepdim=True).clamp_min(1))
        self.register_buffer("weights", weights)
        self.bend = bend

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean(1).flatten(1) @ self.share.T
        return (means.square().cumsum(1) if self.bend else means) @ self.weights


@pytest.fixture
def few(tmp_path: Path) -> str:
    """A region source with so few atoms that all coalitions fit."""
    path = tmp_path / "few.toml"
    path.write_text(FEW, encoding="utf-8")
    return str(path)


def weights_of(players: int, classes: int = 3) -> Tensor:
    return torch.randn(players, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("output", ["probability", "logit"])
def test_values_add_up_and_other_faces_change_nothing(output: str) -> None:
    images, points = faces(), placed()
    labels = region_players(points[:1], (SIDE, SIDE))
    net = Means(labels.parts[0], weights_of(len(labels.names)), bend=True)
    options: dict[str, Any] = {"samples": 90, "output": output, "batch_size": 13}
    values = unit_values(net, images, points, **options)
    assert values.players == labels.names
    assert (values.phi.nansum(1) - (values.whole - values.nothing)).abs().max() < 1e-9
    with torch.no_grad():
        logits, black = net(images), net(torch.zeros_like(images))
    said = [(each.softmax(1) if output == "probability" else each) for each in (logits, black)]
    torch.testing.assert_close(values.whole, said[0], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(values.nothing, said[1], rtol=1e-12, atol=1e-14)
    assert values.predicted.tolist() == logits.argmax(1).tolist()
    alone = unit_values(net, images[:1], points[:1], **options)
    torch.testing.assert_close(values.phi[:1], alone.phi, equal_nan=True, rtol=1e-10, atol=1e-12)


def test_a_network_linear_in_the_regions_means_has_its_closed_form() -> None:
    images, points = faces(1), placed(1)
    labels = region_players(points, (SIDE, SIDE))
    weights = weights_of(len(labels.names))
    net, grey = Means(labels.parts[0], weights), (0.25, 0.25, 0.25)
    values = unit_values(net, images, points, samples=400, output="logit", baseline=grey)
    means = torch.stack([images[0].mean(0)[labels.parts[0] == each].mean() for each in range(len(weights))])
    expected = (means - 0.25)[:, None] * weights
    there = values.pixels[0] > 0
    assert there.sum() > 20
    torch.testing.assert_close(values.phi[0][there], expected[there], rtol=1e-8, atol=1e-9)
    some = unit_values(net, images, points, torch.tensor([[2, 0]]), samples=400, output="logit", baseline=grey)
    torch.testing.assert_close(some.phi, values.phi[:, :, [2, 0]], equal_nan=True)


def test_few_players_are_exact_whatever_their_order(few: str) -> None:
    images, points = faces(1), placed(1)
    labels = region_players(points, (SIDE, SIDE), few)
    assert labels.names == ("background", "face", "AU4", "AU12")
    net = Means(labels.parts[0], weights_of(4), bend=True)
    values = unit_values(net, images, points, regions=few, samples=16, output="logit")
    marginal = torch.zeros_like(values.phi[0])
    for order in (orders := list(torch.cartesian_prod(*[torch.arange(4)] * 4))):
        if len(set(order.tolist())) < 4:
            continue
        seen, before = torch.zeros(SIDE, SIDE, dtype=torch.bool), net(torch.zeros_like(images))[0]
        for player in order.tolist():
            seen |= labels.parts[0] == player
            after = net(images * seen)[0]
            marginal[player] += (after - before) / 24
            before = after
    assert len(orders) == 256
    torch.testing.assert_close(values.phi[0], marginal, rtol=1e-10, atol=1e-12)


def test_a_player_outside_the_picture_does_not_play() -> None:
    images, points = faces(1), placed(1) + torch.tensor([0.0, -16.0])
    net = Means(region_players(points, (SIDE, SIDE)).parts[0], weights_of(29), bend=True)
    values = unit_values(net, images, points, samples=64)
    outside = values.pixels[0] == 0
    assert outside.any()
    assert torch.equal(values.phi[0].isnan().all(1), outside)
    assert (values.phi.nansum(1) - (values.whole - values.nothing)).abs().max() < 1e-9
    table = attribute_units(net, images, points, classes=["anger", "fear", "x"], samples=64)
    assert set(table["player"][table["reason"] == NO_PIXEL]) == {values.players[i] for i in outside.nonzero()[:, 0]}


def test_the_table_has_names_shares_and_the_codebooks_marks() -> None:
    images, points = faces(), placed()
    names = region_players(points[:1], (SIDE, SIDE)).names
    net = Means(region_players(points[:1], (SIDE, SIDE)).parts[0], weights_of(len(names)))
    classes = ["happiness", "neutral", "Zorn"]
    ticks: list[int] = []
    table = attribute_units(
        net, images, points, [["happiness", "Zorn"]], classes=classes, faces=["a.png", "b.png"], samples=64,
        output="logit", tick=lambda: ticks.append(1),
    )  # fmt: skip
    assert len(ticks) == 2
    assert table.attrs == {"codebook": "facs_investigator", "output": "logit"}
    assert list(table["face"].unique()) == ["a.png", "b.png"]
    assert list(table["player"][: len(names)]) == list(names)
    own = table[(table["face"] == "b.png") & (table["class"] == "happiness")].set_index("player")
    values = unit_values(net, images, points, samples=64, output="logit")
    np.testing.assert_allclose(own["phi"], values.phi[1, :, 0])
    np.testing.assert_allclose(own["share"], own["phi"].abs() / own["phi"].abs().sum())
    assert (own["sign"] == np.sign(own["phi"])).all()
    assert own["sign"].min() == -1
    assert own["area"].sum() == pytest.approx(1)
    given = given_units(open_codebook("facs_investigator"), "happiness")
    assert given == {"AU6", "AU12"}
    inside = set(own.index[own["inside_codebook"]])
    assert inside == {"AU6", "AU11/12/13", "AU12", "AU12/14/20/27"}
    assert table[table["class"] == "Zorn"]["inside_codebook"].isna().all()


def test_a_network_that_hears_nothing_has_no_shares() -> None:
    labels = region_players(placed(1), (SIDE, SIDE))
    net = Means(labels.parts[0], torch.zeros(len(labels.names), 2, dtype=torch.float64))
    table = attribute_units(net, faces(1), placed(1), classes=["anger", "neutral"], samples=32)
    assert (table["phi"] == 0).all()
    assert table["share"].isna().all()
    assert set(table["reason"]) == {NO_SHARE}
    assert table[table["class"] == "neutral"]["inside_codebook"].isna().all()


def test_names_hold_their_units() -> None:
    assert members("AU5/43") == ("AU5", "AU43")
    assert members("face") == members("background") == ()


def refusal(text: str, **changed: Any) -> None:
    labels = region_players(placed(1), (SIDE, SIDE))
    net = Means(labels.parts[0], weights_of(len(labels.names)))
    given = {"model": net, "images": faces(), "landmarks": placed(), "classes": ["anger", "fear", "x"], "samples": 16}
    with pytest.raises(InputError, match=re.escape(text)):
        attribute_units(**(given | changed))


def test_bad_input_is_told_in_one_line() -> None:
    blind, turned = placed(), placed()
    blind[1, 30] = torch.nan
    turned[1, :, 0] = SIDE - turned[1, :, 0]
    assert unfit_faces(blind, (SIDE, SIDE)) == ["", NO_LANDMARKS]
    assert unfit_faces(turned, (SIDE, SIDE)) == ["", TURNED]
    refusal("face 1: no landmarks: Action Unit regions cannot be laid on it; leave it out", landmarks=blind)
    refusal("face 1: turned-over triangles take more than 2% of the face: Action Unit regions", landmarks=turned)
    refusal("'landmarks' must be (2, 68, 2), px; got (1, 68, 2)", landmarks=placed(1))
    refusal("'regions' must be one of ", regions="xfr")
    refusal("got 'xfr' (did you mean 'xfer'?)", regions="xfr")
    refusal("'targets' must be one of anger, fear, x; got 'angr' (did you mean 'anger'?)", targets=[["angr"]])
    refusal("'targets' asks for class 7; the network has 3 classes, 0 to 2", targets=[[7]])
    refusal("'classes' has 2 names; the network's class 2 has none", classes=["anger", "fear"])
    refusal("'codebook' must be one of ", codebook="facs")
    refusal("codebook 'ekman' draws shapes, not Action Units; take one of belharbi2024, ", codebook="ekman")
    refusal("'output' must be one of probability, logit; got 'logits' (did you mean 'logit'?)", output="logits")
