"""True interventions against a network made by hand, and their rank correlation with attributions."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from xfer.datasets.synthetic import Face, draw, face_of, synthetic
from xfer.study.action_unit_means import correlation_interval, mean_units, shares_inside
from xfer.study.interventions import (
    CONSTANT,
    FEW,
    NO_UNIT,
    NOT_DRAWN,
    NOT_SHOWN,
    OTHER_CLASS,
    beside,
    effects,
    rank_correlations,
)

FACE = Face(7, subject="p", expression="happiness", action_units={"AU6": 0.8, "AU12": 0.9, "AU25": 0.5}, noise=0.0)
PLAYERS = ("background", "face", "AU6", "AU4", "AU11/12/13", "AU12", "AU12/14", "AU6/25")


class Mouth(nn.Module):
    """Logits that are brightnesses of the lower half, the upper half, and nothing."""

    def forward(self, images: Tensor) -> Tensor:
        halves = images.double().mean(1).chunk(2, dim=1)
        return torch.stack([halves[1].mean((1, 2)), halves[0].mean((1, 2)), torch.zeros(len(images))], 1)


def prepared(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255


@pytest.mark.parametrize("output", ["logit", "probability"])
def test_the_effect_is_what_the_face_without_the_unit_does(output: str) -> None:
    found = effects(Mouth(), FACE, PLAYERS, 0, size=48, prepare=prepared, output=output, batch_size=2)
    assert set(found) == {("AU6",), ("AU12",), ("AU6", "AU25")}
    for codes, effect in found.items():
        left = {code: value for code, value in FACE.action_units.items() if code not in codes}
        bare = Face(7, subject="p", expression="happiness", action_units=left, noise=0.0)
        pictures = torch.stack([prepared(draw(each, 48)) for each in (FACE, bare)])
        logits = Mouth()(pictures)
        said = (logits.softmax(1) if output == "probability" else logits)[:, 0]
        assert effect == pytest.approx(float(said[0] - said[1]), abs=1e-12)
        assert effect != 0


def test_what_was_not_done_is_undefined_with_its_reason() -> None:
    rows = [("a", "happiness", player, 0.5) for player in PLAYERS] + [
        ("a", "fear", "AU6", 0.1),
        ("b", "fear", "AU6", 0),
    ]
    table = pd.DataFrame(rows, columns=["face", "class", "player", "phi"])
    found = {("AU6",): 0.25, ("AU12",): -0.5, ("AU6", "AU25"): 0.75}
    made = beside(table, {"a": FACE}, {"a": found})
    assert made["intervention"].tolist() == ["", "", "AU6", "", "AU12", "AU12", "AU12", "AU6+AU25", "", ""]
    np.testing.assert_array_equal(
        made["causal"], [np.nan, np.nan, 0.25, np.nan, -0.5, -0.5, -0.5, 0.75, np.nan, np.nan]
    )
    reasons = [NO_UNIT, NO_UNIT, "", NOT_SHOWN, "", "", "", "", OTHER_CLASS, NOT_DRAWN]
    assert made["causal_reason"].tolist() == reasons


def many() -> pd.DataFrame:
    """Two drawn faces with known ranks, one with two interventions, one that is not drawn."""
    rows = []
    for face, phi, causal in (
        ("a", [1.0, 1.0, 3.0, 0.5], [0.1, 0.1, 0.4, 0.2]),
        ("b", [1.0, 2.0, 0.5, 3.0], [0.3, 0.2, 0.4, 0.1]),
        ("c", [1.0, 1.0, 1.0, 2.0], [0.2, 0.2, 0.1, np.nan]),
        ("e", [1.0, 2.0, 3.0, 4.0], [0.2, 0.2, 0.2, 0.2]),
    ):
        sets = ["AU1", "AU1", "AU2", "AU4"] if face in "ac" else ["AU1", "AU2", "AU4", "AU5"]
        for value, effect, codes in zip(phi, causal, sets, strict=True):
            rows.append((face, f"p{face}", value, codes, effect, "" if effect == effect else NOT_SHOWN))
    rows.append(("d", "pd", 1.0, "", np.nan, NOT_DRAWN))
    return pd.DataFrame(rows, columns=["face", "subject", "phi", "intervention", "causal", "causal_reason"])


def test_players_of_one_intervention_are_one_rank() -> None:
    table = many()
    by_face, pooled = rank_correlations(table)
    assert by_face["face"].tolist() == ["a", "b", "c", "e"]
    assert by_face["n"].tolist() == [3, 4, 2, 4]
    # face a: sums 2, 3, .5 against .1, .4, .2: ranks 2 3 1 and 1 3 2
    np.testing.assert_allclose(by_face["rho"], [0.5, -1.0, np.nan, np.nan])
    assert by_face["reason"].tolist() == ["", "", FEW, CONSTANT]
    sums = np.array([2, 3, 0.5, 1, 2, 0.5, 3, 2, 1, 1, 2, 3, 4])
    causal = np.array([0.1, 0.4, 0.2, 0.3, 0.2, 0.4, 0.1, 0.2, 0.1, 0.2, 0.2, 0.2, 0.2])
    ranks = [pd.Series(each).rank() for each in (sums, causal)]
    assert pooled == pytest.approx(np.corrcoef(*ranks)[0, 1])
    mean = correlation_interval(table, by_face)
    assert (mean.value, mean.n) == (-0.25, 2)
    assert np.isnan(mean.ci_low)


def test_means_weigh_people_alike() -> None:
    rows = []
    for face, subject, scale in (("1", "p", 1.0), ("2", "p", 3.0), ("3", "q", 5.0), ("4", "r", 6.0)):
        for player, phi, inside in (("AU1", scale, True), ("AU2", -3 * scale, False)):
            rows.append((face, subject, "fear", "fear", player, 0.5, phi, abs(phi) / (4 * scale), inside, np.nan))
    columns = ["face", "subject", "expression", "class", "player", "area", "phi", "share", "inside_codebook", "causal"]
    table = pd.DataFrame(rows, columns=columns).astype({"inside_codebook": "boolean"})
    means = mean_units(table).set_index("player")
    assert means.loc["AU1", "phi"] == pytest.approx((2 + 5 + 6) / 3)
    assert means.loc["AU1", ["faces", "subjects", "sign"]].tolist() == [4, 3, 1.0]
    assert means.loc["AU2", "sign"] == -1
    assert means.loc["AU1", "phi_low"] < 13 / 3 < means.loc["AU1", "phi_high"]
    assert means["causal"].isna().all()
    inside = shares_inside(table).iloc[0]
    assert inside["inside"] == pytest.approx(0.25)
    assert inside["area_inside"] == inside["players_inside"] == pytest.approx(0.5)
    nothing = shares_inside(table.assign(inside_codebook=pd.array([pd.NA] * 8, dtype="boolean"))).iloc[0]
    assert np.isnan(nothing["inside"])
    assert np.isnan(nothing["area_inside"])
    assert np.isnan(nothing["players_inside"])


def test_drawn_faces_tell_what_they_are_drawn_from() -> None:
    sample = synthetic(faces=2, size=32).samples[1]
    face = face_of(sample)
    assert face is not None
    assert face.expression == sample.expression
    np.testing.assert_array_equal(draw(face, 32), sample.load())
