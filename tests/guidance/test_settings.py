"""What a guide may be."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xfer.errors import InputError
from xfer.guidance import CONTROLS, LOSSES, Guide


def test_config_is_plain_and_comes_back() -> None:
    guide = Guide(
        control="shuffled", loss="cam", weight=2.5, layers=("layer3", -1), schedule="cosine", warm_up=0.1, seed=7
    )
    config = json.loads(json.dumps(guide.config()))
    assert config["layers"] == ["layer3", -1]
    assert Guide.from_config(config) == guide
    assert hash(guide) == hash(Guide.from_config(config))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": -1.0}, "the guide's 'weight' must be 0 or more; got -1.0"),
        ({"weight": math.nan}, "the guide's 'weight' must be 0 or more; got nan"),
        ({"warm_up": 1.0}, "the guide's 'warm_up' must be at least 0 and below 1; got 1.0"),
        ({"output_stride": 4}, "'output_stride' must be one of 0, 8, 16, 32; got 4"),
        ({"layers": ()}, "the guide's 'layers' must name at least one layer, as in ('last',); got ()"),
        ({"layers": "last"}, "the guide's 'layers' must name at least one layer, as in ('last',); got 'last'"),
        ({"schedule": "step"}, "'schedule' must be one of constant, linear, cosine; got 'step'"),
        (
            {"control": "suffled"},
            "'control' must be one of au, none, random, shuffled, template; got 'suffled' (did you mean 'shuffled'?)",
        ),
        (
            {"loss": "au_cosin"},
            "'loss' must be one of au_cosine, au_region, cam, harmonize; got 'au_cosin' (did you mean 'au_cosine'?)",
        ),
    ],
)
def test_what_cannot_be_is_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        Guide(**changes)
    assert str(error.value) == message


def test_an_unknown_setting_is_told() -> None:
    with pytest.raises(InputError) as error:
        Guide.from_config({"wieght": 1.0})
    assert "'guide setting' must be one of control, loss, weight" in str(error.value)
    assert "(did you mean 'weight'?)" in str(error.value)


@given(st.floats(0, 1), st.floats(0, 0.9), st.sampled_from(["constant", "linear", "cosine"]))
def test_the_weight_rises_to_its_own_and_never_above(progress: float, warm_up: float, schedule: str) -> None:
    guide = Guide(weight=3.0, warm_up=warm_up, schedule=schedule)
    assert 0 <= guide.weight_at(progress) <= 3.0
    assert guide.weight_at(warm_up) == 3.0
    assert guide.weight_at(1.0) == pytest.approx(3.0 if schedule == "constant" else 0.0, abs=1e-12)


def test_plug_ins_say_what_they_are() -> None:
    assert list(CONTROLS) == ["au", "none", "random", "shuffled", "template"]
    assert all(row["title"] and row["answers"] for row in CONTROLS.table())
    assert all("doi:" in row["reference"] and row["title"] for row in LOSSES.table())
