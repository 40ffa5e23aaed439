"""Circles are refused, in one line that says what would work."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from xfer.errors import InputError
from xfer.study.dealing import Fold
from xfer.study.independence import JUDGES, require_judge, require_other_masks, require_other_people


@pytest.mark.parametrize("explainer", ["grad_cam", "attention_rollout", "oclusion"])
def test_a_judge_never_looks_into_a_layer(explainer: str) -> None:
    with pytest.raises(InputError, match=r"'--explainer' must be one of occlusion, integrated_gradients; got"):
        require_judge(explainer)
    assert [require_judge(name) for name in JUDGES] == list(JUDGES)


@pytest.mark.parametrize(
    ("scored", "shared"),
    [
        ("belharbi2024", "codebook 'belharbi2024' and regions 'belharbi2024'"),
        ("belharbi2024_code", "regions 'belharbi2024'"),
        ("belharbi2024/emfacs", "regions 'belharbi2024'"),
    ],
)
def test_masks_that_share_a_part_with_the_guide_do_not_judge(scored: str, shared: str) -> None:
    with pytest.raises(InputError) as error:
        require_other_masks(["ekman", scored], ["belharbi2024"])
    assert str(error.value) == (
        f"--masks {scored}: shares {shared} with --guide-masks belharbi2024, which would score networks on what they "
        "were trained to show; give another source, such as ekman"
    )


def test_other_masks_judge() -> None:
    require_other_masks(["ekman", "emfacs", "some_folder"], ["belharbi2024", "belharbi2024_code"])


@dataclass
class Sample:
    subject: str


@dataclass
class Faces:
    name: str = "faces"
    samples: list[Sample] = field(default_factory=lambda: [Sample(s) for s in ("a", "b", "b", "c")])


def test_a_tested_person_has_no_other_part() -> None:
    parts = {"train": np.array([0]), "validation": np.array([3]), "test": np.array([1, 2])}
    require_other_people(Faces(), [Fold("0", **parts)])
    with pytest.raises(InputError, match="faces: subject 'b' is tested and took part in training"):
        require_other_people(Faces(), [Fold("0", **{**parts, "validation": np.array([1]), "test": np.array([2])})])
