import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xfer.datasets import ImageError
from xfer.datasets.images import decode, decode_bytes, header
from xfer.errors import InputError


@pytest.fixture
def gradient() -> np.ndarray:
    y, x = np.mgrid[:24, :32]
    return np.stack([8 * x, 10 * y, np.full_like(x, 40)], axis=-1).astype(np.uint8)


def reason(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        decode(path)
    assert isinstance(caught.value, InputError)
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    return caught.value.reason


def huge_png(path: Path, side: int) -> Path:
    """The header of a side x side picture and next to nothing after it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    idat = chunk(b"IDAT", zlib.compress(bytes(100)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + idat + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
def test_lossless_formats_give_their_pixels(tmp_path, gradient, suffix):
    Image.fromarray(gradient).save(tmp_path / f"a.{suffix}")
    pixels = decode(tmp_path / f"a.{suffix}")
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, gradient)


def test_png_named_jpg_is_read(tmp_path, gradient):
    Image.fromarray(gradient).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(decode(tmp_path / "a.jpg"), gradient)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientations_are_undone(tmp_path, gradient, orientation):
    # How a viewer turns each orientation, as array operations: 6 means "the camera's right side is up".
    stored = {
        1: gradient,
        2: gradient[:, ::-1],
        3: gradient[::-1, ::-1],
        4: gradient[::-1],
        5: gradient.transpose(1, 0, 2),
        6: np.rot90(gradient, 1),
        7: gradient[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(gradient, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), gradient)
    assert header(tmp_path / "a.png")[:2] == (24, 32)
    assert header(tmp_path / "a.png").notes == (() if orientation == 1 else ("turned upright by its EXIF tag",))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_damaged_exif_is_ignored(tmp_path, gradient):
    Image.fromarray(gradient).save(tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7fgarbage", quality=95)
    assert decode(tmp_path / "a.jpg").shape == (24, 32, 3)


def test_16_bit_grey_keeps_its_upper_byte(tmp_path):
    values = (np.arange(20 * 20, dtype=np.uint16) * 163).reshape(20, 20)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), np.repeat((values // 256)[..., None], 3, axis=-1))
    assert header(tmp_path / "a.png").notes == ("16-bit, the upper byte is read",)


def test_32_bit_and_float_are_refused(tmp_path):
    Image.fromarray(np.full((20, 20), 70_000, np.int32)).save(tmp_path / "int.tif")
    Image.fromarray(np.full((20, 20), 0.5, np.float32)).save(tmp_path / "float.tif")
    hint = "which have no agreed range; save it with 8 or 16 bits"
    assert reason(tmp_path / "int.tif") == f"holds 32-bit values, {hint}"
    assert reason(tmp_path / "float.tif") == f"holds floating-point values, {hint}"


def test_cmyk_palette_grey_and_bilevel_become_rgb(tmp_path, gradient):
    flat = Image.new("RGB", (20, 20), (200, 30, 90))
    flat.convert("CMYK").save(tmp_path / "cmyk.tif")
    flat.quantize(4).save(tmp_path / "palette.png")
    np.testing.assert_array_equal(decode(tmp_path / "cmyk.tif")[0, 0], (200, 30, 90))
    np.testing.assert_array_equal(decode(tmp_path / "palette.png")[0, 0], (200, 30, 90))
    assert header(tmp_path / "cmyk.tif").notes == ("converted from CMYK to RGB",)
    Image.new("L", (20, 20), 77).save(tmp_path / "grey.png")
    Image.new("1", (20, 20), 1).save(tmp_path / "bilevel.png")
    np.testing.assert_array_equal(decode(tmp_path / "grey.png"), np.full((20, 20, 3), 77))
    np.testing.assert_array_equal(decode(tmp_path / "bilevel.png"), np.full((20, 20, 3), 255))


def test_transparency_is_seen_over_white(tmp_path):
    Image.new("RGBA", (20, 20), (200, 0, 0, 0)).save(tmp_path / "rgba.png")
    Image.new("LA", (20, 20), (0, 51)).save(tmp_path / "la.png")
    Image.new("RGB", (20, 20), (9, 9, 9)).save(tmp_path / "key.png", transparency=(9, 9, 9))
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.save(tmp_path / "p.png", transparency=bytes([255, 0]))
    for name, value in (("rgba", 255), ("la", 204), ("key", 255), ("p", 255)):
        np.testing.assert_array_equal(decode(tmp_path / f"{name}.png"), np.full((20, 20, 3), value), err_msg=name)


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(tmp_path / "a.gif")[0, 0], (255, 0, 0))
    assert "holds 3 frames, the first is read" in header(tmp_path / "a.gif").notes


def test_what_is_no_picture_has_a_reason(tmp_path, gradient):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture\n" * 20)
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("nowhere")
    (tmp_path / "page.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n")
    assert reason(tmp_path / "empty.jpg") == "is an empty file"
    assert reason(tmp_path / "text.jpg") == "is not a picture of a format that is read"
    assert reason(tmp_path / "page.jpg") == "is not a picture of a format that is read"
    assert reason(tmp_path / "folder.jpg") == "is not a regular file"
    assert reason(tmp_path / "missing.jpg") == "no such file"
    assert reason(tmp_path / "link.jpg") == "leads nowhere (a broken link)"


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp", "gif", "bmp"])
@pytest.mark.parametrize("kept", [0.3, 0.7])
def test_truncated_files_have_a_reason(tmp_path, rng, suffix, kept):
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / f"a.{suffix}")
    data = (tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"b.{suffix}").write_bytes(data[: int(len(data) * kept)])
    assert reason(tmp_path / f"b.{suffix}").startswith(("is truncated, damaged or unsupported (", "is not a picture"))


def test_too_small(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "a.png")
    Image.new("RGB", (15, 40)).save(tmp_path / "b.png")
    Image.new("RGB", (16, 16)).save(tmp_path / "c.png")
    assert reason(tmp_path / "a.png") == "is too small for a face (1 x 1; at least 16 px a side)"
    assert reason(tmp_path / "b.png") == "is too small for a face (15 x 40; at least 16 px a side)"
    assert decode(tmp_path / "c.png").shape == (16, 16, 3)


@pytest.mark.parametrize("side", [8_100, 10_000, 20_000, 60_000])
def test_large_pictures_are_refused_by_their_header(tmp_path, side):
    # The file holds no pixels: decoding it would be "truncated", so the size was seen first.
    assert reason(huge_png(tmp_path / "a.png", side)).startswith("is larger than 64 megapixels")


def test_the_cap_is_inclusive(tmp_path):
    assert reason(huge_png(tmp_path / "a.png", 8_000)).startswith("is truncated")


def test_undecodable_name_is_printable(tmp_path):
    path = tmp_path / "caf\udce9.jpg"
    path.touch()
    with pytest.raises(ImageError) as caught:
        decode(path)
    assert str(caught.value) == f"{tmp_path}/caf\\xe9.jpg: is an empty file"


def test_a_picture_in_memory_is_the_one_in_the_file(tmp_path, gradient):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(gradient).save(tmp_path / "a.jpg", exif=exif)
    np.testing.assert_array_equal(decode_bytes((tmp_path / "a.jpg").read_bytes(), "a.jpg"), decode(tmp_path / "a.jpg"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "me.png: is an empty file"),
        (b"%PDF-1.7", "me.png: is not a picture of a format that is read"),
    ],
)
def test_what_is_no_picture_in_memory_is_named(content, told):
    with pytest.raises(ImageError) as caught:
        decode_bytes(content, "me.png")
    assert str(caught.value) == told


def test_a_bomb_in_memory_is_refused_before_it_is_decoded(tmp_path):
    content = huge_png(tmp_path / "a.png", 9000).read_bytes()
    with pytest.raises(ImageError, match="megapixels"):
        decode_bytes(content, "a.png")
