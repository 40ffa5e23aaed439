"""Folders of maps and masks as labelled arrays."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from xfer import heatmaps, labels
from xfer.errors import InputError

PATTERN = "{model}_{fold}_{expression}.npy"


@pytest.fixture
def folder(tmp_path, rng):
    """Two models, two folds, two expressions; each map holds its own number."""
    number = 0
    for model in ("b", "a"):
        for fold in ("2", "1"):
            for expression in ("Sad", "Fear"):
                np.save(
                    tmp_path / f"{model}_{fold}_{expression}.npy", np.full((3, 4), number := number + 1, np.float32)
                )
    return tmp_path


def message(call, *arguments, **options):
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_read_heatmaps_is_sorted_by_key(folder):
    done = []
    maps = heatmaps.read_heatmaps(folder, PATTERN, progress=lambda: done.append(1))
    assert maps.dims == ("cell", "y", "x")
    assert maps.dtype == np.float32
    assert maps.values[:, 0, 0].tolist() == [8, 7, 6, 5, 4, 3, 2, 1]
    assert maps.coords["model"].values.tolist() == list("aaaabbbb")
    assert maps.coords["fold"].values.tolist() == list("11221122")
    assert maps.coords["expression"].values.tolist() == ["fear", "sadness"] * 4
    assert set(maps.coords) == set(labels.KEY)
    assert len(done) == 8


def test_iter_maps_is_read_heatmaps_map_by_map(folder, tmp_path):
    index = heatmaps.index_maps(folder, PATTERN)
    whole = heatmaps.read_heatmaps(index)
    heatmaps.save(whole, folder / "heatmaps.zarr")
    for source in (folder, folder / "heatmaps.zarr"):
        found = list(heatmaps.iter_maps(heatmaps.index_maps(source, PATTERN)))
        assert [tuple(key) for key, _ in found] == [labels.KEY] * 8
        for i, (key, heatmap) in enumerate(found):
            assert key == {name: str(whole.coords[name].values[i]) for name in labels.KEY}
            np.testing.assert_array_equal(heatmap, whole.values[i])


def test_a_store_is_found_by_label_not_by_position(folder):
    maps = heatmaps.read_heatmaps(folder, PATTERN)
    heatmaps.save(maps.isel(cell=[3, 1, 7, 0, 5, 2, 6, 4]), folder / "shuffled.zarr")
    assert heatmaps.read_heatmaps(folder / "shuffled.zarr").identical(maps)


def test_a_study_folder_holds_a_store(folder):
    maps = heatmaps.read_heatmaps(folder, PATTERN)
    (folder / "study").mkdir()
    heatmaps.save(maps, folder / "study" / "heatmaps.zarr")
    assert heatmaps.read_heatmaps(folder / "study").identical(maps)
    text = message(heatmaps.read_heatmaps, folder)
    assert text == f"{folder}: is no store of heatmaps; say with --pattern how its files are named"
    assert message(heatmaps.index_maps, folder / "b.zarr", PATTERN) == f"{folder / 'b.zarr'}: no such folder"


def test_wide_values_keep_their_width(tmp_path):
    np.save(tmp_path / "a_1_fear.npy", np.array([[1e-300, 1 / 3]]))
    np.save(tmp_path / "b_1_fear.npy", np.array([[1, 2]], np.uint8))
    maps = heatmaps.read_heatmaps(tmp_path, PATTERN)
    assert maps.dtype == np.float64
    assert maps.values[0].tolist() == [[1e-300, 1 / 3]]


def test_iter_maps_holds_one_map_at_a_time(tmp_path):
    for i in range(30):
        np.save(tmp_path / f"m{i}_1_fear.npy", np.zeros((200, 250), np.float32))
    index = heatmaps.index_maps(tmp_path, PATTERN)
    tracemalloc.start()
    for _ in heatmaps.iter_maps(index):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 200 * 250 * 4


def test_sizes_must_agree(folder):
    np.save(folder / "b_1_Fear.npy", np.zeros((4, 3)))
    assert message(heatmaps.read_heatmaps, folder, PATTERN) == (
        f"{folder / 'b_1_Fear.npy'} is 4 x 3 (rows x columns), {folder / 'a_1_Fear.npy'} is 3 x 4; "
        "all maps must share one canvas"
    )


def test_missing_cells_are_named(folder):
    (folder / "b_1_Fear.npy").unlink()
    (folder / "a_2_Sad.npy").unlink()
    index = heatmaps.index_maps(folder, PATTERN)
    missing = heatmaps.missing_cells(index)
    assert missing.columns.tolist() == list(labels.KEY)
    assert missing[["model", "fold", "expression", "target"]].values.tolist() == [
        ["a", "2", "sadness", "sadness"],
        ["b", "1", "fear", "fear"],
    ]
    assert message(heatmaps.require_complete, index) == (
        f"{folder}: 2 of 8 cells are missing: a/2/sadness, b/1/fear; "
        "add their files, or use the rest with --allow-missing"
    )
    assert heatmaps.require_complete(index, allow_missing=True) == ["a/2/sadness", "b/1/fear"]


def test_many_missing_cells_are_counted(tmp_path):
    for i in range(4):
        np.save(tmp_path / f"m{i}_f{i}_fear.npy", np.zeros((2, 2)))
    text = message(heatmaps.require_complete, heatmaps.index_maps(tmp_path, PATTERN))
    assert "12 of 16 cells are missing: m0/f1, m0/f2, m0/f3, m1/f0, m1/f2 and 7 more;" in text


def test_a_full_grid_lacks_nothing(folder):
    index = heatmaps.index_maps(folder, PATTERN)
    assert heatmaps.missing_cells(index).empty
    assert heatmaps.require_complete(index) == []


def test_layers_belong_to_models_but_targets_cross(tmp_path):
    for name in ("a_l1_fear_sad", "a_l1_fear_fear", "a_l1_sad_sad", "b_l9_fear_fear"):
        np.save(tmp_path / f"{name}.npy", np.zeros((2, 2)))
    index = heatmaps.index_maps(tmp_path, "{model}_{layer}_{expression}_{target}.npy")
    missing = heatmaps.missing_cells(index)[["model", "layer", "expression", "target"]].values.tolist()
    assert missing == [
        ["a", "l1", "sadness", "fear"],
        ["b", "l9", "sadness", "fear"],
        ["b", "l9", "fear", "sadness"],
        ["b", "l9", "sadness", "sadness"],
    ]


def test_strange_labels_are_only_data(tmp_path):
    """A model may be called anything; no file is named after it."""
    models = ["<script>alert(1)<", "x..", "=1+1", 'it\'s "x"', "ünï", "a,b", "%s", "{x}", "-"]
    for model in models:
        np.save(tmp_path / f"{model}_1_fear.npy", np.zeros((2, 2), np.float32))
    maps = heatmaps.read_heatmaps(tmp_path, PATTERN)
    assert maps.coords["model"].values.tolist() == sorted(models)
    maps = maps.assign_coords(model=("cell", ["../../evil", "/abs", *sorted(models)[2:]]))
    heatmaps.save(maps, tmp_path / "out" / "maps.zarr")
    assert heatmaps.open_heatmaps(tmp_path / "out" / "maps.zarr").identical(maps)
    names = {p.name for p in (tmp_path / "out").rglob("*")}
    expected = {"maps.zarr", "heatmaps", *labels.KEY, ".zattrs", ".zgroup", ".zarray", ".zmetadata", "0"}
    assert names == expected | {f"{i}.0.0" for i in range(len(models))}
    assert not list(tmp_path.parent.glob("evil*"))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (np.array([[0, 255], [128, 51]], np.uint8), [[0, 1], [128 / 255, 0.2]]),
        (np.array([[0, 1], [1, 0]], np.uint8), [[0, 1], [1, 0]]),
        (np.array([[0, 65535], [13107, 0]], np.uint16), [[0, 1], [0.2, 0]]),
        (np.array([[0, 255], [255, 0]], np.int64), [[0, 1], [1, 0]]),
        (np.array([[0.25, 1.0], [0.5, 0]]), [[0.25, 1], [0.5, 0]]),
        (np.array([[False, True]]), [[0, 1]]),
    ],
)
def test_masks_are_brought_to_one(tmp_path, stored, expected):
    np.save(tmp_path / "Scared_gt.npy", stored)
    masks = heatmaps.read_masks(tmp_path, "{expression}_gt.npy")
    assert masks.dims == ("expression", "y", "x")
    assert masks.coords["expression"].values.tolist() == ["fear"]
    np.testing.assert_allclose(masks.values[0], expected, rtol=1e-6)
    assert (masks.name, masks.attrs["frame"], len(masks.attrs["digest"])) == (tmp_path.name, "file", 64)


def mask_error(folder, array, name="fear"):
    np.save(folder / f"{name}.npy", array)
    return message(heatmaps.read_masks, folder, "{expression}.npy")


def test_bad_masks(tmp_path):
    path = tmp_path / "fear.npy"
    half = np.array([[0.0, 1.0]])
    assert mask_error(tmp_path, half * 0.4) == f"{path}: the mask of 'fear' is empty: no pixel reaches one half"
    assert mask_error(tmp_path, half * 0 + 1) == f"{path}: the mask of 'fear' is full: every pixel reaches one half"
    assert mask_error(tmp_path, half * 255) == f"{path}: mask values must lie in [0, 1], or 0 to 1; got 0.0 to 255.0"
    assert mask_error(tmp_path, -half) == f"{path}: mask values must lie in [0, 1], or 0 to 1; got -1.0 to -0.0"
    wide = np.array([[0, 256]])
    assert mask_error(tmp_path, wide) == f"{path}: mask values must lie in [0, 1], or 0 to 255; got 0 to 256"
    np.save(path, half)
    assert "all maps must share one canvas" in mask_error(tmp_path, half.T, "sad")
    (tmp_path / "sad.npy").unlink()
    assert "'expression' must be one of" in mask_error(tmp_path, half, "feer")
    text = message(heatmaps.read_masks, tmp_path, "{model}_{expression}.npy")
    assert text == (
        "pattern '{model}_{expression}.npy': the name of a mask file tells the {expression} and nothing else"
    )
    assert message(heatmaps.read_masks, tmp_path / "no") == f"{tmp_path / 'no'}: no such folder"


def test_mask_digest_tells_masks_apart(tmp_path):
    digests = set()
    for array in ([[0, 1]], [[1, 0]], [[0], [1]]):
        np.save(tmp_path / "fear.npy", np.array(array))
        digests.add(heatmaps.read_masks(tmp_path, "{expression}.npy").attrs["digest"])
    (tmp_path / "fear.npy").rename(tmp_path / "sad.npy")
    digests.add(heatmaps.read_masks(tmp_path, "{expression}.npy").attrs["digest"])
    assert len(digests) == 4


def test_written_masks_are_read_back(tmp_path, rng):
    np.save(tmp_path / "anger.npy", rng.random((5, 6)))
    np.save(tmp_path / "happily_surprised.npy", rng.random((5, 6)))
    masks = heatmaps.read_masks(tmp_path, "{expression}.npy")
    paths = heatmaps.write_masks(masks, tmp_path / "a" / "b")
    assert [p.name for p in paths] == ["anger_gt.png", "happily_surprised_gt.png"]
    with Image.open(paths[0]) as image:
        assert image.mode == "L"
    np.testing.assert_allclose(heatmaps.read_masks(tmp_path / "a" / "b").values, masks.values, atol=0.5 / 255 + 1e-6)
    text = message(heatmaps.write_masks, masks, paths[0])
    assert text == f"{paths[0]}: cannot be written (File exists)"


def test_published_masks_and_maps(published):
    masks = heatmaps.read_masks(published / "masks")
    assert masks.coords["expression"].values.tolist() == list(labels.BASIC)
    assert set(np.unique(masks.values)) == {0, 1}
    areas = masks.mean(("y", "x")).values
    np.testing.assert_allclose(areas, [0.250, 0.235, 0.300, 0.214, 0.309, 0.237], atol=6e-4)
    maps = heatmaps.read_heatmaps(published / "by_network", "{model}_{expression}_heatmap.png")
    assert maps.shape == (72, 275, 224)
    with Image.open(published / "by_network" / "VGG16_Fear_heatmap.png") as image:
        stored = np.asarray(image)
    np.testing.assert_array_equal(heatmaps.select(maps, model="VGG16", expression="fear").values[0], stored)
