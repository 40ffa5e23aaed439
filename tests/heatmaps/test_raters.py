"""People's maps: which file is whose, what of it counts, and the masks they make together."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from xfer.errors import InputError
from xfer.heatmaps import agreed, consensus, match_raters, read_raters, shares
from xfer.heatmaps.raters import NO_MAP

SIZE = (20, 16)
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, rng: np.random.Generator) -> Write:
    """Save random maps under the names given; the folder."""
    folder = tmp_path / "people"
    folder.mkdir()

    def save(*names: str, **values: np.ndarray) -> Path:
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, values.get(path.stem, rng.random(SIZE)))
        return folder

    return save


def refused(folder: Path, pattern: str | None = None) -> str:
    with pytest.raises(InputError) as told:
        read_raters(folder, pattern)
    return str(told.value).replace(f"{folder}", "DIR")


def test_names_tell_the_rater_and_the_expression(write: Write) -> None:
    index = match_raters(write("r_1_happy.npy", "r_1_happily surprised.npy", "b/Angry.npy", ".hidden_fear.npy"))
    rows = list(index[["rater", "expression"]].itertuples(index=False, name=None))
    assert rows == [("b", "anger"), ("r_1", "happily_surprised"), ("r_1", "happiness")]
    assert index.attrs["skipped"] == []


def test_a_pattern_of_ones_own_leaves_other_maps_alone(write: Write) -> None:
    folder = write("fear-of-ann.npy", "fear-of-ben.npy", "mean_fear.npy")
    (folder / "notes.txt").touch()
    index = match_raters(folder, "{expression}-of-{rater}.npy")
    assert index["rater"].tolist() == ["ann", "ben"]
    assert index.attrs["skipped"] == ["mean_fear.npy"]


@pytest.mark.parametrize(
    ("names", "pattern", "text"),
    [
        (["fear.npy"], None,
         "DIR: no file fits the pattern '{rater}_{expression}.*' or '{rater}/{expression}.*'; there is fear.npy"),
        (["a_feer.npy"], None, "DIR/a_feer.npy: 'expression' must be one of "),
        (["a_fear.npy", "a_afraid.npy"], None,
         "DIR/a_afraid.npy and DIR/a_fear.npy: two maps of one rater and expression; keep one"),
        (["Ann Lee_fear.npy", "ann-lee_anger.npy"], None,
         "DIR: raters 'Ann Lee' and 'ann-lee' differ in spelling only; give all maps of one person one name"),
        (["a_fear.npy"], "{expression}.npy", "pattern '{expression}.npy': says nowhere where the {rater} stands"),
        (["a_fear.npy"], "{rater}.npy", "pattern '{rater}.npy': says nowhere where the {expression} stands"),
        (["a_fear.npy"], "{model}_{expression}.npy",
         "pattern '{model}_{expression}.npy': 'field' must be one of rater, expression; got 'model'"),
    ],
)  # fmt: skip
def test_names_that_cannot_be_read_are_one_line(write: Write, names: list[str], pattern: str, text: str) -> None:
    assert refused(write(*names), pattern).startswith(text)


def test_sizes_must_agree_and_files_be_whole(write: Write) -> None:
    folder = write("a_fear.npy", "b_fear.npy", b_fear=np.ones((4, 4)))
    assert refused(folder) == (
        "DIR/b_fear.npy is 4 x 4 (rows x columns), DIR/a_fear.npy is 20 x 16; all maps must share one canvas"
    )
    (folder / "b_fear.npy").write_bytes(b"")
    assert refused(folder) == "DIR/b_fear.npy: empty file"


def test_maps_of_no_use_are_left_out_with_their_reason(write: Write) -> None:
    dot = np.zeros(SIZE)
    dot[3, 3] = 1
    folder = write(
        "a_fear.npy", "b_fear.npy", "c_fear.npy", "d_fear.npy", "e_fear.npy", "e_anger.npy",
        a_fear=np.full(SIZE, 7), b_fear=np.zeros(SIZE), c_fear=np.eye(*SIZE) - 0.5, d_fear=dot,
    )  # fmt: skip
    people = shares(read_raters(folder), np.ones(SIZE, bool))
    fear = people.coords["reason"].values[:, people.coords["expression"].values == "fear"]
    wanted = ["", "constant map", "marks on less than 1% of the pixels", "negative values", "nothing marked"]
    assert sorted(fear.ravel()) == wanted
    assert np.isnan(people.values[people.coords["reason"].values != ""]).all()
    masks = agreed(people, np.ones(SIZE, bool))
    assert masks.attrs["left_out"] == (
        "8 of 10 maps are missing or of no use: no map (4), "
        + ", ".join(f"{reason} (1)" for reason in dict.fromkeys(people.coords["reason"].values.ravel())
                    if reason not in ("", NO_MAP))
    )  # fmt: skip


def test_an_expression_without_a_map_of_use_has_no_mask(write: Write) -> None:
    people = shares(
        read_raters(write("a_fear.npy", "a_anger.npy", "x.npy", a_fear=np.zeros(SIZE))), np.ones(SIZE, bool)
    )
    masks = agreed(people, np.ones(SIZE, bool))
    assert masks.coords["expression"].values.tolist() == ["anger"]
    assert masks.attrs["left_out"] == (
        "1 of 2 maps are missing or of no use: nothing marked (1); no mask of fear; 1 map files have another name"
    )


def test_no_map_of_use_at_all_is_one_line(write: Write) -> None:
    folder = write("a_fear.npy", "b_fear.npy", a_fear=np.zeros(SIZE), b_fear=np.ones(SIZE))
    with pytest.raises(InputError) as told:
        agreed(shares(read_raters(folder), np.ones(SIZE, bool)), np.ones(SIZE, bool))
    assert str(told.value) in {
        f"human:people: no map is of use: {a} (1), {b} (1)"
        for a, b in (("nothing marked", "constant map"), ("constant map", "nothing marked"))
    }


def test_raters_count_alike_whatever_their_scale_and_their_names(write: Write, rng: np.random.Generator) -> None:
    maps = {f"{name}_fear": rng.random(SIZE) for name in "abc"}
    inside = np.zeros(SIZE, bool)
    inside[2:18, 1:14] = True
    first = shares(read_raters(write("a_fear.npy", "b_fear.npy", "c_fear.npy", **maps)), inside)
    renamed = {"b_fear": maps["a_fear"] * 1000, "c_fear": maps["c_fear"], "a_fear": maps["b_fear"] * 1e-6}
    second = shares(read_raters(write("a_fear.npy", "b_fear.npy", "c_fear.npy", **renamed)), inside)
    np.testing.assert_allclose(np.nansum(first.values, axis=(2, 3)), 1, rtol=1e-5)
    assert np.isnan(first.values[..., ~inside]).all()
    np.testing.assert_allclose(agreed(first, inside), agreed(second, inside), rtol=1e-4)


def test_the_order_of_raters_is_that_of_their_maps(write: Write, rng: np.random.Generator) -> None:
    """Renaming everybody changes no byte."""
    ann, ben = rng.random(SIZE), rng.random(SIZE)
    whole = np.ones(SIZE, bool)
    first = shares(read_raters(write("a_fear.npy", "b_fear.npy", a_fear=ann, b_fear=ben)), whole)
    second = shares(read_raters(write("a_fear.npy", "b_fear.npy", a_fear=ben, b_fear=ann)), whole)
    np.testing.assert_array_equal(first, second)
    assert agreed(first, whole).attrs["digest"] == agreed(second, whole).attrs["digest"]


def test_the_digest_is_of_every_raters_map_not_of_their_mean(write: Write) -> None:
    left, right = (np.zeros(SIZE), np.zeros(SIZE))
    left[:, :8] = right[:, 8:] = 1
    even, whole = np.ones(SIZE), np.ones(SIZE, bool)
    even[0] = 0
    one = agreed(shares(read_raters(write("a_fear.npy", "b_fear.npy", a_fear=left, b_fear=right)), whole), whole)
    other = agreed(shares(read_raters(write("a_fear.npy", "b_fear.npy", a_fear=left, b_fear=left)), whole), whole)
    assert one.attrs["digest"] != other.attrs["digest"]


def test_what_all_paint_is_the_region() -> None:
    painted = np.zeros(60)
    painted[10:30] = 1 / 20
    assert (consensus(painted) >= 0.5).tolist() == (painted > 0).tolist()


def test_one_spot_is_a_region_at_half_its_height() -> None:
    """A round Gaussian has half its mass where it exceeds half its maximum, so the mask is the map over its maximum."""
    y, x = np.mgrid[-60:61, -60:61]
    spot = np.exp(-(y**2 + x**2) / (2 * 12.0**2)).ravel()
    np.testing.assert_allclose(consensus(spot / spot.sum()), spot, atol=0.01)


@given(npst.arrays(float, 30, elements=st.floats(0, 1)).filter(lambda a: a.sum() > 1e-6))
def test_the_region_is_the_smallest_with_half_of_the_marks(mean: np.ndarray) -> None:
    """By hand: highest pixels first until half is held; those level with the last are in too."""
    mask = consensus(mean)
    order = np.argsort(-mean, kind="stable")
    held = np.cumsum(mean[order])
    last = mean[order][np.argmax(held >= held[-1] / 2)]
    assert ((mask >= 0.5) == (mean >= last)).all()
    assert ((mask >= 0) & (mask <= 1)).all()
