"""Mask sources of both kinds: which are read, which are refused, and what a file of them keeps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from xfer.errors import InputError
from xfer.heatmaps import consensus
from xfer.mask_sources import MaskSources, load
from xfer.study import results

SIZE = (31, 24)


@pytest.fixture
def people(tmp_path: Path, rng: np.random.Generator) -> Callable[..., str]:
    """A folder of maps of four raters as ``human:DIR``."""

    def write(size: tuple[int, int] = SIZE, raters: str = "abcd") -> str:
        folder = tmp_path / "people"
        folder.mkdir(exist_ok=True)
        for rater in raters:
            for expression in ("fear", "happy"):
                np.save(folder / f"{rater}_{expression}.npy", rng.random(size))
        return f"human:{folder}"

    return write


def test_people_make_masks_and_stand_behind_them_without_names(people: Callable[..., str], tmp_path: Path) -> None:
    found = load(people(), support="canvas")
    assert found.measures == {"human:people": "human alignment"}
    masks, behind = found.masks[0], found.raters["human:people"]
    assert masks.coords["expression"].values.tolist() == ["fear", "happiness"]
    assert behind.shape == (4, 2, 16, 12)
    assert "rater" not in behind.coords
    maps = [np.load(tmp_path / "people" / f"{r}_fear.npy") for r in "abcd"]
    wanted = consensus(np.mean([m / m.sum() for m in maps], axis=0).ravel()).reshape(SIZE)
    np.testing.assert_allclose(masks.sel(expression="fear"), wanted, rtol=1e-5)
    block = np.sort([(m / m.sum())[2:4, 4:6].mean() for m in maps])
    np.testing.assert_allclose(np.sort(behind.values[:, 0, 1, 2]), block, rtol=1e-5)


def test_a_file_keeps_kinds_and_raters(people: Callable[..., str], tmp_path: Path) -> None:
    found = load(people(), support="canvas")
    drawn = xr.ones_like(found.masks[0]).rename("gt").assign_attrs(frame="file")
    both = MaskSources((drawn, *found.masks), found.support, "canvas", None, found.raters)
    both.save(tmp_path / "masks.npz")
    again = MaskSources.open(tmp_path / "masks.npz")
    assert again.measures == {"gt": "FACS agreement", "human:people": "human alignment"}
    xr.testing.assert_identical(again.raters["human:people"].drop_attrs(), found.raters["human:people"].drop_attrs())
    with np.load(tmp_path / "masks.npz") as stored:
        assert [str(stored[f"kind_{i}"]) for i in range(2)] == ["facs", "human"]


def test_the_digest_of_the_masks_is_of_the_raters(people: Callable[..., str]) -> None:
    first, second = (results.described(load(people(), support="canvas"))["mask_digests"] for _ in range(2))
    assert first != second


def test_people_and_experts_on_the_canonical_frame(people: Callable[..., str]) -> None:
    """Small raters' maps have another size than the frame; of its size, both kinds share the frame's support."""
    found = load(f"ekman,{people((275, 224), 'ab')}")
    assert found.measures == {"ekman": "FACS agreement", "human:people": "human alignment"}
    assert found.support_name == "frame"
    assert found.masks[1].attrs["frame"] == "xfer"
    assert (found.masks[1].values[:, ~found.support] == 0).all()


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("human:0.6", "--masks human:0.6: a borrowed number is no ceiling; "),
        ("human:60%", "--masks human:60%: a borrowed number is no ceiling; "),
        ("human:.8", "--masks human:.8: a borrowed number is no ceiling; "),
        ("human:", "--masks human:: the folder is missing; "),
    ],
)
def test_a_number_in_place_of_people_is_refused(names: str, text: str) -> None:
    with pytest.raises(InputError) as told:
        load(names)
    assert str(told.value) == text + "give the folder of the raters' maps, as in human:DIR"


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as told:
        load(f"human:{tmp_path / 'nobody'}")
    assert str(told.value) == f"{tmp_path / 'nobody'}: no such folder"


def test_maps_off_the_frame_are_told(people: Callable[..., str]) -> None:
    with pytest.raises(InputError) as told:
        load(people())
    assert str(told.value) == (
        "frame 'xfer' is 275 x 224 (rows x columns), the maps of human:people are 31 x 24; "
        "warp them to the frame, or score on their whole canvas with --support canvas"
    )
    with pytest.raises(InputError) as told:
        load(f"ekman,{people()}")
    assert str(told.value) == "mask sources must share one canvas; got ekman: 275 x 224, human:people: 31 x 24"
