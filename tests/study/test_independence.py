"""Circles are refused, in one line that says what would work."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from xfer import masks
from xfer.datasets import Dataset, FaceSample
from xfer.errors import InputError
from xfer.study.dealing import Fold
from xfer.study.independence import (
    JUDGES,
    SAME,
    require_judge,
    require_other_masks,
    require_other_people,
    require_other_places,
)


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


@pytest.mark.parametrize("spelling", ["belharbi2024/belharbi2024", "belharbi2024/belharbi2024/mean"])
def test_another_spelling_is_no_other_source(spelling: str) -> None:
    for scored, guided in ((spelling, "belharbi2024"), ("belharbi2024", spelling)):
        with pytest.raises(InputError, match="shares codebook 'belharbi2024' and regions 'belharbi2024' with"):
            require_other_masks([scored], [guided])


@pytest.fixture
def renamed(tmp_path: Path) -> Path:
    """The published codebook and regions in files of one's own, under names of one's own."""
    folder = Path(masks.__file__).parents[2] / "masks"
    regions = (folder / "regions" / "belharbi2024.toml").read_text(encoding="utf-8")
    book = (folder / "codebooks" / "belharbi2024.toml").read_text(encoding="utf-8")
    (tmp_path / "places.toml").write_text(regions.replace('name = "belharbi2024"', 'name = "places"', 1), "utf-8")
    book = book.replace('name = "belharbi2024"', 'name = "mine"', 1)
    book = book.replace('regions = "belharbi2024"', 'regions = "places.toml"', 1)
    (tmp_path / "mine.toml").write_text(book, "utf-8")
    return tmp_path / "mine.toml"


def test_a_copy_under_another_name_is_no_other_source(renamed: Path, tmp_path: Path) -> None:
    assert masks.load(renamed).name == "mine"
    with pytest.raises(InputError, match=r"mine\.toml: shares codebook 'mine' and regions 'places' with"):
        require_other_masks([renamed], ["belharbi2024"])
    path = shutil.copy(Path(masks.__file__).parents[2] / "masks" / "codebooks" / "ekman.toml", tmp_path)
    with pytest.raises(InputError, match=r"ekman\.toml: shares codebook 'ekman' with --guide-masks"):
        require_other_masks([path], [str(path)])


def test_masks_in_the_same_places_do_not_judge_wherever_they_come_from() -> None:
    rendered = masks.load("belharbi2024_code").rename("folder")
    with pytest.raises(InputError) as error:
        require_other_places([masks.load("ekman"), rendered], ["emfacs", "belharbi2024"])
    assert str(error.value) == (
        "--masks folder: lie where those of --guide-masks belharbi2024 do (mean cosine 0.97), which would score "
        "networks on what they were trained to show; give another source, such as ekman"
    )
    assert SAME > 0.7
    require_other_places([masks.load(name) for name in ("ekman", "emfacs", "ck_plus")], ["belharbi2024"])


def test_other_masks_judge() -> None:
    require_other_masks(["ekman", "emfacs", "some_folder"], ["belharbi2024", "belharbi2024_code"])


FACES = Dataset("faces", [FaceSample(str(i), Path(), subject=subject) for i, subject in enumerate("abbc")])


def test_a_tested_person_has_no_other_part() -> None:
    parts = {"train": np.array([0]), "validation": np.array([3]), "test": np.array([1, 2])}
    require_other_people(FACES, [Fold("0", **parts)])
    with pytest.raises(InputError, match="faces: subject 'b' is tested and took part in training"):
        require_other_people(FACES, [Fold("0", **{**parts, "validation": np.array([1]), "test": np.array([2])})])
