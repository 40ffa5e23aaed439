"""Single map files: values as stored, and one line for everything that is no map."""

import os

import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xfer.errors import InputError
from xfer.heatmaps import read_map

SUFFIXES = [".png", ".tif", ".tiff", ".npy", ".npz", ".zarr"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_read_as_stored(tmp_path, rng, suffix, dtype, write):
    array = rng.integers(3, np.iinfo(dtype).max // 2, (9, 4), dtype=dtype)
    found = read_map(write(tmp_path / f"a{suffix}", array))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.float32


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint32, np.int64, ">f4"])
def test_floats_and_wide_integers_are_read_as_stored(tmp_path, rng, suffix, dtype, write):
    array = (rng.normal(size=(6, 3)) * 1e4).astype(dtype)
    found = read_map(write(tmp_path / f"a{suffix}", array))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == (np.float64 if np.dtype(dtype).itemsize == 8 or np.dtype(dtype).kind in "iu" else np.float32)


@given(array=st.integers(1, 9).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n)))
@settings(max_examples=40, deadline=None)
def test_any_finite_float_survives(tmp_path_factory, array, write):
    values = np.frombuffer(array, np.float32)[None]
    if not np.isfinite(values).all():
        return
    path = tmp_path_factory.mktemp("any") / "a.npy"
    np.testing.assert_array_equal(read_map(write(path, values)), values)


@pytest.mark.parametrize("suffix", [".png", ".npy", ".npz", ".zarr"])
def test_booleans(tmp_path, rng, suffix, write):
    array = rng.random((6, 11)) < 0.5
    np.testing.assert_array_equal(read_map(write(tmp_path / f"a{suffix}", array)), array)


def test_column_order_and_suffix_case(tmp_path, grey, write):
    path = write(tmp_path / "a.npy", np.asfortranarray(grey))
    np.testing.assert_array_equal(read_map(path.rename(tmp_path / "b.NPY")), grey)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_equal_channels_are_grey(tmp_path, grey, mode):
    Image.fromarray(grey).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_map(tmp_path / "a.png"), grey)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_equal_channels_of_a_tiff_are_grey(tmp_path, rng, planar, refuse):
    pixels = np.repeat(rng.random((8, 5, 1), dtype=np.float32), 3, axis=2)
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    np.testing.assert_array_equal(read_map(tmp_path / "a.tif"), pixels[..., 0])
    pixels[3, 2, 1] += 0.1
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(tmp_path / "b.tif", stored, photometric="rgb", planarconfig=planar)
    refuse(tmp_path / "b.tif", "its colour channels differ in 1 pixels; a map is grey, not a picture of one")


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_shallow_png_is_not_stretched(tmp_path, depth, png):
    values = np.arange(8) % 2**depth
    bits = "".join(f"{v:0{depth}b}" for v in values)
    (tmp_path / "a.png").write_bytes(png(8, 1, depth, 0, [int(bits, 2).to_bytes(depth)]))
    np.testing.assert_array_equal(read_map(tmp_path / "a.png"), [values])


def test_deflated_tiff(tmp_path, rng):
    array = rng.integers(0, 4, (40, 30), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, compression="zlib", rowsperstrip=7)
    np.testing.assert_array_equal(read_map(tmp_path / "a.tif"), array)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_empty_and_folders(tmp_path, suffix, refuse):
    path = tmp_path / f"a{suffix}"
    refuse(path, "no such file")
    if suffix == ".zarr":
        path.touch()
        refuse(path, "is not a folder (a zarr store)")
        path.unlink()
        path.mkdir()
        refuse(path, "cannot be read as a zarr array: truncated, damaged or unsupported")
        return
    path.touch()
    refuse(path, "empty file")
    path.unlink()
    path.mkdir()
    refuse(path, "is not a file")


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.csv"])
def test_wrong_suffix(tmp_path, name, refuse):
    (tmp_path / name).write_text("hello")
    kind = name.removeprefix("a") or "a name without suffix"
    refuse(tmp_path / name, f"{kind} is not a map format; use one of .png, .tif, .tiff, .npy, .npz, .zarr")


@pytest.mark.parametrize("suffix", SUFFIXES[:-1])
def test_not_what_the_name_says(tmp_path, suffix, capfd, caplog, refuse):
    for i, content in enumerate(
        [b"hello", b"\0" * 300, b"\xff\xd8\xff\xe0JFIF" * 9, b"PK\x03\x04", b"II*\0\x08\0\0\0"]
    ):
        path = tmp_path / f"a{i}{suffix}"
        path.write_bytes(content)
        refuse(path)
    assert capfd.readouterr().err == ""
    assert not caplog.records


def same_or_refused(path, array):
    refused = None
    try:
        np.testing.assert_array_equal(read_map(path), array)
    except InputError as error:
        refused = str(error)
    assert refused is None or refused.startswith(f"{path}: ")


@pytest.mark.parametrize("suffix", SUFFIXES[:-1])
def test_truncated_anywhere_is_refused_or_harmless(tmp_path, rng, suffix, write):
    """Cut after any byte: one line, or the very same values. Never other values."""
    array = rng.integers(0, 256, (12, 10), dtype=np.uint8)
    whole = write(tmp_path / f"a{suffix}", array).read_bytes()
    path = tmp_path / f"cut{suffix}"
    for end in range(1, len(whole), 1 if len(whole) < 600 else 7):
        path.write_bytes(whole[:end])
        same_or_refused(path, array)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("codec", ["blosc", "zstd", "none"])
def test_truncated_zarr_chunks_are_refused(tmp_path, rng, zarr_format, codec, refuse):
    array = rng.integers(0, 9, (40, 50)).astype(np.float32)
    makers = {"blosc": (numcodecs.Blosc, zarr.codecs.BloscCodec), "zstd": (numcodecs.Zstd, zarr.codecs.ZstdCodec)}
    compressors = [makers[codec][zarr_format - 2]()] if codec != "none" else None
    store = zarr.create_array(
        str(tmp_path / "a.zarr"), shape=array.shape, dtype="f4", zarr_format=zarr_format, compressors=compressors
    )
    store[...] = array
    np.testing.assert_array_equal(read_map(tmp_path / "a.zarr"), array)
    chunk = tmp_path / "a.zarr" / ("0.0" if zarr_format == 2 else "c/0/0")
    whole = chunk.read_bytes()
    for end in (0, 1, 15, 16, len(whole) // 2, len(whole) - 1):
        chunk.write_bytes(whole[:end])
        refuse(tmp_path / "a.zarr", "truncated")


@pytest.mark.parametrize("suffix", [".png", ".npz"])
def test_a_flipped_byte_is_refused_or_harmless(tmp_path, rng, suffix, write):
    """Formats with checksums: any damage to a byte is noticed, or changes no value."""
    array = rng.integers(0, 256, (12, 10), dtype=np.uint8)
    whole = write(tmp_path / f"a{suffix}", array).read_bytes()
    path = tmp_path / f"flipped{suffix}"
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x15]) + whole[at + 1 :])
        same_or_refused(path, array)


def test_differing_channels_and_transparency(tmp_path, grey, refuse):
    pixels = np.repeat(grey[..., None], 3, axis=2)
    pixels[1, 2, 0] ^= 1
    pixels[4, 4, 2] ^= 8
    Image.fromarray(pixels).save(tmp_path / "colour.png")
    refuse(tmp_path / "colour.png", "its colour channels differ in 2 pixels; a map is grey, not a picture of one")
    Image.fromarray(pixels).quantize().save(tmp_path / "palette.png")
    refuse(tmp_path / "palette.png", "its colour channels differ in ")
    alpha = np.dstack([grey, np.full_like(grey, 255)])
    alpha[0, 0, 1] = 254
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    refuse(tmp_path / "alpha.png", "has transparent pixels; save it without an alpha channel")
    Image.fromarray(grey).save(tmp_path / "key.png", transparency=int(grey[0, 0]))
    refuse(tmp_path / "key.png", "has transparent pixels")
    Image.fromarray(grey).convert("P").save(tmp_path / "index.png", transparency=int(grey[0, 0]))
    refuse(tmp_path / "index.png", "has transparent pixels")
    Image.fromarray(pixels).convert("L").convert("RGB").save(tmp_path / "rgb_key.png", transparency=(0, 1, 2))
    np.testing.assert_array_equal(read_map(tmp_path / "rgb_key.png"), np.asarray(Image.fromarray(pixels).convert("L")))


def test_sixteen_bit_colour_would_be_quantised(tmp_path, png, refuse):
    (tmp_path / "a.png").write_bytes(png(1, 1, 16, 2, [bytes([1, 2] * 3)]))
    refuse(tmp_path / "a.png", "is a 16-bit colour image; save it as 16-bit grey")


def test_animations_and_stacks(tmp_path, grey, refuse):
    frames = [Image.fromarray(grey), Image.fromarray(255 - grey)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    refuse(tmp_path / "a.png", "is an animation; a map file holds one image")
    tifffile.imwrite(tmp_path / "a.tif", np.stack([grey] * 3), photometric="minisblack")
    refuse(tmp_path / "a.tif", "has 3 pages; a map file holds one image")
    tifffile.imwrite(tmp_path / "b.tif", grey, photometric="miniswhite")
    refuse(tmp_path / "b.tif", "is a TIFF of 1 channels of kind MINISWHITE; save it as grey")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".zarr"])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 4), (0, 4)])
def test_not_two_dimensional(tmp_path, suffix, shape, write, refuse):
    path = tmp_path / f"a{suffix}"
    if suffix == ".zarr":
        zarr.create_array(str(path), shape=shape, dtype="f4", zarr_format=2)
    else:
        write(path, np.zeros(shape))
    refuse(path, f"has shape {shape}; a map is (rows, columns)")


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".npz", ".zarr"])
def test_not_finite(tmp_path, suffix, write, refuse):
    array = np.zeros((4, 5), np.float32)
    array[0, 0], array[1, 1], array[2, 2] = np.nan, np.inf, -np.inf
    refuse(write(tmp_path / f"a{suffix}", array), "3 of 20 values are NaN or infinite")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".zarr"])
@pytest.mark.parametrize("array", [np.ones((2, 2), complex), np.array([["a", "b"]]), np.zeros((2, 2), "M8[s]")])
def test_not_real_numbers(tmp_path, suffix, array, write, refuse):
    refuse(write(tmp_path / f"a{suffix}", array), "has values of type", "a map holds booleans, integers or floats")


def test_integers_that_no_float_holds(tmp_path, write, refuse):
    path = write(tmp_path / "a.npy", np.array([[2**53 + 1, 0]]))
    refuse(path, "has integers beyond 2**53, which no float holds; save it as floats")
    assert read_map(write(tmp_path / "b.npy", np.array([[2**53, -(2**53)]], np.int64))).tolist() == [
        [2.0**53, -(2.0**53)]
    ]


def test_archives_hold_one_array(tmp_path, grey, refuse):
    np.savez(tmp_path / "two.npz", first=grey, second=grey)
    refuse(tmp_path / "two.npz", "holds 2 arrays (first, second); a map file holds one")
    np.savez(tmp_path / "none.npz")
    refuse(tmp_path / "none.npz", "holds 0 arrays")
    group = zarr.open_group(str(tmp_path / "group.zarr"), mode="w", zarr_format=2)
    group.create_array("a", data=grey)
    refuse(tmp_path / "group.zarr", "is a zarr group; a map store holds one 2-D array")


def test_zarr_three(tmp_path, grey):
    zarr.save_array(str(tmp_path / "a.zarr"), grey, zarr_format=3)
    np.testing.assert_array_equal(read_map(tmp_path / "a.zarr"), grey)


def test_more_bytes_than_the_header_tells(tmp_path, grey, write, refuse):
    path = write(tmp_path / "a.npy", grey)
    path.write_bytes(path.read_bytes() + b"x")
    refuse(path, "longer than its header tells")


def test_names_that_are_not_text(tmp_path, grey, refuse):
    name = os.fsdecode(b"caf\xe9\n\x1b[31m.png")
    try:
        Image.fromarray(grey).save(tmp_path / "a.png")
        (tmp_path / "a.png").rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system refuses names that are not UTF-8")
    np.testing.assert_array_equal(read_map(tmp_path / name), grey)
    (tmp_path / name).write_bytes(b"no image")
    text = refuse(tmp_path / name, r"caf\xe9\n\x1b[31m.png: is not a PNG image")
    text.encode()


def test_published_files_are_read_as_pillow_reads_them(published):
    for path in sorted(published.glob("*/*.png"))[::40]:
        pixels = np.asarray(Image.open(path))
        np.testing.assert_array_equal(read_map(path), pixels if pixels.ndim == 2 else pixels[..., 0])
