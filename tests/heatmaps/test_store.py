"""The schema, and what `save` writes."""

import re
import shutil

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xfer import heatmaps, labels
from xfer.errors import InputError


def stack(models=("a", "b"), expressions=("fear", "sadness"), dtype=np.float32):
    """Models x expressions of small maps, all keys told."""
    cells = [(m, e) for m in models for e in expressions]
    keys = dict.fromkeys(labels.KEY, ["x"] * len(cells))
    keys["model"] = [m for m, _ in cells]
    keys["expression"] = keys["target"] = [e for _, e in cells]
    values = np.random.default_rng(5).normal(size=(len(cells), 4, 3)).astype(dtype)
    coords = {name: ("cell", np.array(texts)) for name, texts in keys.items()}
    return xr.DataArray(values, dims=("cell", "y", "x"), coords=coords, name="heatmaps", attrs={"format": 1})


def refused(call, *arguments):
    with pytest.raises(InputError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_good_stack_passes_unchanged():
    maps = stack()
    assert heatmaps.check(maps) is maps


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda m: m.transpose("cell", "x", "y"), "heatmaps have dimensions (cell, y, x), none empty; got"),
        (lambda m: m.isel(cell=[]), "none empty; got {'cell': 0, 'y': 4, 'x': 3}"),
        (lambda m: m.astype(int), "heatmaps are floats; got int64"),
        (lambda m: m.assign_coords(x=[0.0, 1.0, 2.0]), "heatmaps have no coordinates on cell, y and x themselves"),
        (lambda m: m.drop_vars("fold"), "heatmaps need the coordinate 'fold' on 'cell'; the key is model, guide,"),
        (lambda m: m.drop_vars("fold").assign_coords(fold="all"), "heatmaps need the coordinate 'fold' on 'cell'"),
        (lambda m: m.assign_coords(fold=("cell", [1, 2, 3, 4])), "the coordinate 'fold' holds strings; got int64"),
        (lambda m: m.assign_coords(expression=("cell", ["sad"] * 4)), "holds 'sad'; its one spelling is 'sadness'"),
        (lambda m: m.assign_coords(target=("cell", ["sadnes"] * 4)), "got 'sadnes' (did you mean 'sadness'?)"),
        (lambda m: m.isel(cell=[0, 1, 0]), "two heatmaps have the key model=a guide=x seed=x fold=x"),
        (lambda m: m.where(m < m.max(), np.inf), "1 of 48 heatmap values are infinite"),
    ],
)
def test_schema(spoil, text):
    with pytest.raises(InputError, match=re.escape(text)):
        heatmaps.check(spoil(stack()))


def test_nan_outside_the_support_only():
    maps, support = stack(), np.ones((4, 3), bool)
    support[0] = False
    maps.values[1, 0, 2] = np.nan
    heatmaps.check(maps, support)
    maps.values[2, 1, 1] = np.nan
    assert refused(heatmaps.check, maps, support) == "1 heatmap values are NaN on pixels that a face can cover"
    heatmaps.check(maps)
    assert refused(heatmaps.check, maps, support.T) == "the support is (3, 4), the heatmaps are (4, 3)"


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=25, deadline=None)
def test_any_label_survives_the_store(tmp_path_factory, models, dtype):
    maps = stack(models, dtype=dtype)
    maps.values[0, 0, 0] = np.nan
    path = tmp_path_factory.mktemp("store") / "heatmaps.zarr"
    heatmaps.save(maps, path)
    found = heatmaps.open_heatmaps(path)
    xr.testing.assert_identical(found, maps)
    assert found.dtype == dtype


def test_the_same_maps_are_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        heatmaps.save(stack(), tmp_path / name)
    files = {p.relative_to(tmp_path / "one"): p.read_bytes() for p in (tmp_path / "one").rglob("*") if p.is_file()}
    assert len(files) > 20
    for name, content in files.items():
        assert (tmp_path / "two" / name).read_bytes() == content


def test_saving_again_replaces_whole(tmp_path):
    heatmaps.save(stack("abc"), tmp_path / "h.zarr")
    heatmaps.save(stack("d"), tmp_path / "h.zarr")
    xr.testing.assert_identical(heatmaps.open_heatmaps(tmp_path / "h.zarr"), stack("d"))
    assert [p.name for p in tmp_path.iterdir()] == ["h.zarr"]


def test_an_interrupted_save_leaves_the_old_store(tmp_path, monkeypatch):
    heatmaps.save(stack("a"), tmp_path / "h.zarr")

    def stop(dataset, path, **options):
        assert path.name.startswith(".h.zarr.")
        path.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.Dataset, "to_zarr", stop)
    with pytest.raises(KeyboardInterrupt):
        heatmaps.save(stack("b"), tmp_path / "h.zarr")
    monkeypatch.undo()
    xr.testing.assert_identical(heatmaps.open_heatmaps(tmp_path / "h.zarr"), stack("a"))
    assert [p.name for p in tmp_path.iterdir()] == ["h.zarr"]


def test_nothing_but_a_store_is_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    text = refused(heatmaps.save, stack(), tmp_path / "mine")
    assert text == f"{tmp_path / 'mine'}: is there already and is no store of heatmaps; choose another name"
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_damaged_and_foreign_stores(tmp_path):
    path = tmp_path / "h.zarr"
    assert refused(heatmaps.open_heatmaps, path) == f"{path}: is no store of heatmaps (a zarr folder that xfer wrote)"
    heatmaps.save(stack(), path)
    (path / "heatmaps" / "1.0.0").rename(tmp_path / "chunk")
    assert refused(heatmaps.open_heatmaps, path) == f"{path}: 1 of 4 chunks of 'heatmaps' are missing"
    (path / "heatmaps" / "1.0.0").write_bytes((tmp_path / "chunk").read_bytes()[:30])
    assert refused(heatmaps.open_heatmaps, path).startswith(
        f"{path}: cannot be read as a store of heatmaps: truncated,"
    )
    maps = heatmaps.iter_maps(heatmaps.index_maps(path, ""))
    next(maps)
    assert refused(next, maps).startswith(f"{path}: cannot be read as a store of heatmaps: truncated,")
    shutil.copy(tmp_path / "chunk", path / "heatmaps" / "1.0.0")
    heatmaps.open_heatmaps(path)
    for metadata in (path / ".zattrs", path / ".zmetadata"):
        metadata.write_text(re.sub(r'"format": 1(?=\s*\}\s*[,}]|\s*\})', '"format": 2', metadata.read_text()))
    assert refused(heatmaps.open_heatmaps, path) == f"{path}: has format 2; this xfer reads format 1"
    shutil.rmtree(path / "heatmaps")
    assert refused(heatmaps.open_heatmaps, path).startswith(f"{path}: cannot be read as a store of heatmaps")


def test_a_store_that_breaks_the_schema_is_named(tmp_path):
    maps = stack()
    heatmaps.save(maps, tmp_path / "h.zarr")
    bad = maps.assign_coords(expression=("cell", ["sad"] * 4)).to_dataset(name="heatmaps").assign_attrs(format=1)
    shutil.rmtree(tmp_path / "h.zarr")
    bad.to_zarr(tmp_path / "h.zarr", zarr_format=2)
    text = refused(heatmaps.open_heatmaps, tmp_path / "h.zarr")
    assert text == f"{tmp_path / 'h.zarr'}: the coordinate 'expression' holds 'sad'; its one spelling is 'sadness'"
