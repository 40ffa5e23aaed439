"""Mask sources drawn on the frame and on faces, their merge rules, and what a wrong source is told."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xfer import geometry, masks
from xfer.errors import InputError
from xfer.masks import codebooks, regions
from xfer.masks.merges import MERGES

FRAME = geometry.load_frame("xfer")
FACE = FRAME.points[:68]

LOPSIDED = {"belharbi2024": {"AU17", "AU20"}}
"""Places that the source has on one side of the face only, and keeps here."""

BOOK = """format = 1
name = "mine"
title = "Mine"
reference = "me"
regions = "places.toml"
[expressions.happy]
evidence = "memory"
prototypes = ["AU6+AU12", "AU12C/D"]
[expressions.anger]
evidence = "memory"
aus = { AU4 = 1.0 }
[expressions.neutral]
evidence = "memory"
aus = {}
"""
PLACES = """format = 1
name = "places"
title = "Places"
reference = "me"
points = 68
"""
LIPS = """[AU12]
evidence = "memory"
shapes = [{ kind = "ellipse", center = 48, radius = [0.1, 0.1], mirror = true }]
"""
CHEEKS = LIPS.replace("AU12", "AU6").replace("48", "41")
BROWS = LIPS.replace("AU12", "AU4").replace("48", "19")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a user's codebook and region file, and the place that errors name files from."""
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(BOOK, encoding="utf-8")
    Path("places.toml").write_text(PLACES + LIPS + CHEEKS + BROWS, encoding="utf-8")
    return tmp_path


def edit(path: str, old: str, new: str) -> None:
    text = Path(path).read_text(encoding="utf-8")
    assert old in text
    Path(path).write_text(text.replace(old, new), encoding="utf-8")


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("name", masks.names())
def test_every_source_draws_symmetric_regions_on_the_frame(name: str) -> None:
    drawn = masks.load(name)
    assert drawn.dims == ("expression", "y", "x")
    assert drawn.shape[1:] == (275, 224)
    assert drawn.dtype == np.float32
    assert drawn.name == name
    assert drawn.attrs.keys() == {"frame", "digest"}
    assert drawn.attrs["frame"] == "xfer"
    assert "neutral" not in drawn.expression.values
    assert 0 <= drawn.values.min() < drawn.values.max() <= 1
    source = masks.source(name)
    lopsided = LOPSIDED.get(source.regions.name, set()) if source.regions else set()
    for expression, mask in zip(source.expressions, drawn.values >= 0.5, strict=True):
        assert 0.005 < mask.mean() < 0.5
        if not lopsided & source.codebook.expressions[expression].weights.keys():
            assert overlap(mask, mask[:, ::-1]) > 0.999


@pytest.mark.parametrize("name", regions.names())
def test_every_region_is_symmetric_on_the_frame(name: str) -> None:
    found = regions.load(name)
    points = FRAME.mesh if found.drawing.points == 468 else FRAME.points
    maps = masks.action_units(found, points, height=275, width=224)
    assert maps.shape == (len(found.action_units), 275, 224)
    for code, map_ in zip(found.action_units, maps >= 0.5, strict=True):
        assert 0.001 < map_.mean() < 0.25
        if code not in LOPSIDED.get(name, set()):
            assert overlap(map_, map_[:, ::-1]) > 0.999


def test_digests_tell_masks_apart() -> None:
    names = ["belharbi2024", "belharbi2024_code", "xfer/belharbi2024"]
    digests = {masks.load(name).attrs["digest"] for name in names}
    assert len(digests) == 3
    assert masks.load("belharbi2024/belharbi2024").attrs["digest"] == masks.load("belharbi2024").attrs["digest"]


def test_the_slip_of_the_code_moves_disgust_to_the_eyes_and_nothing_else() -> None:
    figure, code = masks.load("belharbi2024"), masks.load("belharbi2024_code")
    same = (figure == code).all(dim=("y", "x"))
    assert same.sel(expression=["anger", "fear", "happiness", "sadness", "surprise"]).all()
    pupil_y, pupil_x = np.round(FACE[36:42].mean(0)[::-1]).astype(int)
    assert code.sel(expression="disgust").values[pupil_y, pupil_x] == 1
    assert figure.sel(expression="disgust").values[pupil_y, pupil_x] == 0


def test_an_expression_is_the_pixelwise_maximum_of_its_action_units() -> None:
    source = masks.source("xfer/du2014")
    maps = masks.action_units("xfer", FRAME.points, height=275, width=224)
    codes = list(regions.load("xfer").action_units)
    drawn = masks.load("xfer/du2014")
    for name in ("happiness", "sadly_disgusted"):
        expected = np.zeros((275, 224))
        for code, weight in source.codebook.expressions[name].weights.items():
            expected = np.maximum(expected, np.minimum(maps[codes.index(code)], np.float32(weight)))
        np.testing.assert_array_equal(drawn.sel(expression=name).values, expected)


def test_a_region_is_the_union_of_the_units_of_at_least_half_weight() -> None:
    maps = masks.action_units("xfer", FRAME.points, height=275, width=224)
    codes = list(regions.load("xfer").action_units)
    disgust = masks.load("ck_plus").sel(expression="disgust").values >= 0.5
    np.testing.assert_array_equal(disgust, (maps[codes.index("AU9")] >= 0.5) | (maps[codes.index("AU10")] >= 0.5))


def test_merges_in_closed_form() -> None:
    maps, weights = [np.array([[1.0, 0.5, 0.0]]), np.array([[0.25, 1.0, 0.0]])], [0.5, 1.0]
    np.testing.assert_array_equal(MERGES["max"](maps, weights), [[0.5, 1.0, 0.0]])
    np.testing.assert_allclose(MERGES["mean"](maps, weights), [[0.6, 1.0, 0.0]], rtol=1e-15)
    np.testing.assert_allclose(MERGES["noisy_or"](maps, weights), [[0.625, 1.0, 0.0]], rtol=1e-15)
    np.testing.assert_array_equal(MERGES["mean"]([np.zeros((2, 2))], [1.0]), np.zeros((2, 2)))


unit = st.floats(0, 1)
stacks = hnp.arrays(float, hnp.array_shapes(min_dims=3, max_dims=3, max_side=4), elements=unit)


@given(maps=stacks, data=st.data())
def test_merges_stay_in_the_unit_interval_and_agree_on_torch(maps: np.ndarray, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=len(maps), max_size=len(maps)))
    for name, merge in MERGES.items():
        merged = merge(list(maps), weights)
        assert merged.shape == maps.shape[1:]
        assert merged.min() >= 0, name
        assert merged.max() <= 1, name
        on_torch = merge(list(torch.from_numpy(maps)), weights)
        assert isinstance(on_torch, torch.Tensor)
        np.testing.assert_allclose(on_torch.numpy(), merged, rtol=1e-12, atol=1e-15, err_msg=name)


@given(maps=stacks, data=st.data())
def test_max_and_noisy_or_grow_with_a_weight_and_with_a_unit(maps: np.ndarray, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=len(maps), max_size=len(maps)))
    larger = [data.draw(st.floats(w, 1)) for w in weights]
    for merge in (MERGES["max"], MERGES["noisy_or"]):
        merged = merge(list(maps), weights)
        assert (merge(list(maps), larger) >= merged - 1e-12).all()
        assert (merge([*maps, maps[0]], [*weights, weights[0]]) >= merged - 1e-12).all()


@given(maps=stacks, threshold=st.floats(0.05, 1), data=st.data())
def test_thresholds_pass_through_max(maps: np.ndarray, threshold: float, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=len(maps), max_size=len(maps)))
    union = np.zeros(maps.shape[1:], bool)
    for map_, weight in zip(maps, weights, strict=True):
        if weight >= threshold:
            union |= map_ >= threshold
    np.testing.assert_array_equal(MERGES["max"](list(maps), weights) >= threshold, union)


@pytest.mark.parametrize("name", ["emfacs", "belharbi2024/belharbi2024/mean", "ekman"])
def test_a_batch_of_faces_is_drawn_face_by_face_on_numpy_and_torch(name: str, rng: np.random.Generator) -> None:
    faces = FACE * 0.4 + rng.normal(0, 1, (2, 3, 68, 2))
    source = masks.source(name)
    drawn = masks.expression_masks(faces, source, height=110, width=90)
    assert drawn.shape == (2, 3, len(source.expressions), 110, 90)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn[1, 2], masks.expression_masks(faces[1, 2], name, height=110, width=90))
    on_torch = masks.expression_masks(torch.from_numpy(faces), source, height=110, width=90)
    assert isinstance(on_torch, torch.Tensor)
    np.testing.assert_allclose(on_torch.numpy(), drawn, rtol=0, atol=1e-6)


def test_68_points_get_the_frames_forehead_and_89_give_up_theirs() -> None:
    for name in ("xfer/emfacs", "belharbi2024"):
        whole = masks.expression_masks(FRAME.points, name, height=275, width=224)
        np.testing.assert_allclose(masks.expression_masks(FACE, name, height=275, width=224), whole, atol=1e-5)
        np.testing.assert_array_equal(whole, masks.load(name).values)


def test_points_that_do_not_fit_are_told() -> None:
    with pytest.raises(InputError, match=r"^'mesh/emfacs' is drawn on 468 points; got 68$"):
        masks.expression_masks(FACE, "mesh/emfacs", height=275, width=224)
    with pytest.raises(InputError, match=r"^'mesh' is drawn on 468 points; got 89$"):
        masks.action_units("mesh", FRAME.points, height=275, width=224)


def test_masks_on_the_published_kind_of_frame(tmp_path: Path) -> None:
    rows = [f"{i},{x:.0f},{y:.0f}" for i, (x, y) in enumerate(FACE, start=1)]
    (tmp_path / "points.csv").write_text("\n".join(["point,x,y", *rows]), encoding="utf-8")
    drawn = masks.load("ekman", frame=tmp_path / "points.csv")
    assert drawn.attrs["frame"] == "points"
    with pytest.raises(InputError) as raised:
        masks.load("mesh/emfacs", frame=tmp_path / "points.csv")
    assert str(raised.value) == (
        "masks 'mesh/emfacs' are drawn on the face mesh, which frame 'points' does not have; regions on landmarks: "
        "belharbi2024, jaanet, xfer"
    )


def test_names_are_the_codebooks_and_every_pair_that_is_whole() -> None:
    names = masks.names()
    assert names[: len(codebooks.names())] == codebooks.names()
    assert {"belharbi2024/emfacs", "mesh/du2014", "xfer/ck_plus"} < set(names)
    assert not any(name.startswith("jaanet/") or name.endswith("/ekman") for name in names)
    assert "belharbi2024/ck_plus" not in names


def test_sources_list_codebooks_with_the_regions_that_fit_them() -> None:
    rows = {row["name"]: row for row in masks.sources() if row["kind"] == "codebook"}
    assert tuple(rows) == codebooks.names()
    assert rows["facs1978"]["regions"] == "xfer belharbi2024 mesh"
    assert rows["ck_plus"]["regions"] == "xfer mesh"
    assert rows["ekman"]["regions"] == "drawn"
    assert (rows["du2014"]["expressions"], rows["du2014"]["action_units"]) == (21, 17)
    places = [row for row in masks.sources() if row["kind"] == "regions"]
    assert [row["name"] for row in places] == list(regions.names())
    columns = ("name", "kind", "expressions", "action_units", "regions", "merge", "title", "reference")
    assert {tuple(row) for row in masks.sources()} == {columns}


def test_show_gives_one_row_per_expression_and_unit() -> None:
    rows = masks.show("emfacs")
    happiness = [row for row in rows if row["expression"] == "happiness"]
    assert [(row["action_unit"], row["action"], row["weight"]) for row in happiness] == [
        ("AU6", "cheek raiser", 1.0),
        ("AU12", "lip corner puller", 1.0),
    ]
    assert {row["evidence"] for row in rows} == {"source"}
    assert all(row["region_evidence"] and row["region_reference"] for row in rows if row["action_unit"])
    assert [row["action"] for row in rows if row["expression"] == "neutral"] == ["none"]
    assert {row["action"] for row in masks.show("ekman")} == {"drawn"}


def test_a_codebook_file_finds_its_regions_beside_it(mine: Path) -> None:
    drawn = masks.load(mine / "mine.toml")
    assert drawn.name == "mine"
    assert drawn.expression.values.tolist() == ["happiness", "anger"]
    assert drawn.sel(expression="happiness").values[:150].max() == 0.5
    assert masks.check("mine.toml") == ["mine.toml: codebook 'mine': 2 masks by regions 'places', no slip"]
    assert masks.check("places.toml") == ["places.toml: regions 'places': 3 Action Units, no slip"]


WRONG = {
    "emfac": f"'codebook' must be one of {', '.join(codebooks.names())}; got 'emfac' (did you mean 'emfacs'?)",
    "xfr/emfacs": f"'regions' must be one of {', '.join(regions.names())}; got 'xfr' (did you mean 'xfer'?)",
    "xfer/emfacs/men": "'merge' must be one of max, mean, noisy_or; got 'men' (did you mean 'mean'?)",
    "a/b/c/d": "masks 'a/b/c/d': a source is CODEBOOK, REGIONS/CODEBOOK, REGIONS/CODEBOOK/MERGE or FILE.toml",
    "xfer/ekman": "masks 'xfer/ekman': codebook 'ekman' draws its own shapes; ask for 'ekman'",
    "jaanet/facs1978": "masks 'jaanet/facs1978': regions 'jaanet' do not place AU5 (anger, fear, surprise), AU20 "
        "(fear); regions with all of its Action Units: belharbi2024, mesh, xfer",
    "no/such.toml": "no/such.toml: no such file",
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_source_is_told_in_one_line(name: str) -> None:
    with pytest.raises(InputError) as raised:
        masks.load(name)
    assert str(raised.value) == WRONG[name]


def test_units_without_a_region_are_left_out_only_when_asked() -> None:
    drawn = masks.load("jaanet/facs1978", partial=True)
    assert drawn.attrs["left_out"] == "AU5 AU20"
    whole = masks.source("xfer/facs1978").codebook.without({"AU5", "AU20"})
    assert masks.source("jaanet/facs1978", partial=True).codebook == whole
    assert masks.source("xfer/emfacs", partial=True).left_out == ()


def test_an_expression_that_loses_every_unit_is_an_error(mine: Path) -> None:
    Path("places.toml").write_text(PLACES + LIPS, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        masks.load("mine.toml", partial=True)
    assert str(raised.value) == (
        "masks 'mine': regions 'places' do not place AU4 (anger), AU6 (happiness); regions with all of its "
        "Action Units: belharbi2024, jaanet, mesh, xfer"
    )


def test_empty_and_full_masks_are_told(mine: Path) -> None:
    edit("places.toml", "center = 19", "offset = [0.0, -9.0], center = 19")
    with pytest.raises(InputError, match=r"^masks 'mine': the mask of anger is empty on frame 'xfer'$"):
        masks.load("mine.toml")
    edit("places.toml", "offset = [0.0, -9.0], center = 19, radius = [0.1, 0.1]", "center = 19, radius = [9, 9]")
    with pytest.raises(InputError, match=r"^masks 'mine': the mask of anger covers the whole canvas on frame 'xfer'$"):
        masks.load("mine.toml")


def test_check_remarks_on_odd_maps(mine: Path) -> None:
    edit("mine.toml", "AU4 = 1.0", "AU4 = 0.3")
    edit("places.toml", "center = 48, radius = [0.1, 0.1], mirror = true", "center = 48, radius = [0.1, 0.1]")
    first, *remarks = masks.check("mine.toml")
    assert first.endswith("no slip")
    lopsided = r"mine\.toml: the map of happiness is lopsided: it overlaps its mirror image with IoU 0\.\d{3}"
    assert re.fullmatch(lopsided, remarks[0])
    assert remarks[1:] == ["mine.toml: the map of anger has no region: it never reaches 0.5, at most 0.3"]
    edit("places.toml", "center = 19, radius = [0.1, 0.1]", "center = 19, radius = [9, 9]")
    remarks = masks.check("places.toml")[1:]
    assert remarks[0] == "places.toml: the map of AU4 covers the whole canvas"
    assert re.fullmatch(r"places.toml: the map of AU12 is lopsided: it overlaps its .* IoU 0\.000", remarks[1])


def test_check_reads_codebooks_that_draw() -> None:
    path = geometry.data_folder() / "codebooks" / "ekman.toml"
    assert masks.check(path) == [f"{path}: codebook 'ekman': 6 masks by its own shapes, no slip"]


@pytest.mark.parametrize("name", ["belharbi2024", "xfer/emfacs", "ekman", "belharbi2024/belharbi2024/noisy_or"])
@pytest.mark.parametrize("sharp", [224, 90])
def test_one_expression_is_drawn_as_among_all(name: str, sharp: int) -> None:
    source = masks.source(name)
    canvas = {"height": 110, "width": 90, "sharp": sharp}
    face = FACE * 0.4
    whole = masks.expression_masks(face, source, **canvas)
    for expression, mask in zip(source.expressions, whole, strict=True):
        alone = masks.expression_masks(face, source, expressions=[expression], **canvas)
        np.testing.assert_array_equal(alone[0], mask)
