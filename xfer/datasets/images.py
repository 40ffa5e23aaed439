"""Pictures from strangers' files: sized before they are decoded, upright, RGB, or a reason why not."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from xfer.errors import InputError

MAX_PIXELS = 64_000_000
"""A larger picture is refused before it is decoded."""

MIN_SIDE = 16
"""A picture with a shorter side shows no face, px."""

_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The EXIF orientation and the turn that undoes it."""


class ImageError(InputError):
    """A picture that cannot be used; `reason` says why, without the file's name."""

    def __init__(self, path: Path, reason: str) -> None:
        name = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        super().__init__(f"{name}: {reason}")
        self.reason = reason


class Header(NamedTuple):
    """What a picture's header tells, without decoding it.

    Attributes
    ----------
    height, width : int
        Of the upright picture, px.
    mode : str
        Pillow's name of the pixel type.
    frames : int
    orientation : int
        The EXIF value, 1 if upright as stored.
    """

    height: int
    width: int
    mode: str
    frames: int
    orientation: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What decoding changes beyond 8-bit RGB."""
        told = {
            f"holds {self.frames} frames, the first is read": self.frames > 1,
            "turned upright by its EXIF tag": self.orientation != 1,
            "16-bit, the upper byte is read": self.mode.startswith("I"),
            f"converted from {self.mode} to RGB": not self.mode.startswith(("RGB", "L", "I")),
        }
        return tuple(note for note, holds in told.items() if holds)


def header(path: Path) -> Header:
    """Read a picture's header; raises `ImageError` as `decode` does, except for damage further on."""
    with _opened(path) as image:
        return _header(image)


def header_bytes(content: bytes, name: str) -> Header:
    """Read the header of a picture that is in no file, as `header` does that of one that is."""
    with _decoded_bytes(content, name) as image:
        return _header(image)


def _header(image: Image.Image) -> Header:
    turned = _orientation(image) >= 5
    width, height = image.size[::-1] if turned else image.size
    return Header(height, width, image.mode, getattr(image, "n_frames", 1), _orientation(image))


def decode(path: Path) -> NDArray[np.uint8]:
    """Decode a picture.

    The first frame is read, turned upright by its EXIF tag; 16-bit values keep their upper byte; transparent pixels
    are seen over white, as a viewer shows them; colour profiles are not applied.

    Returns
    -------
    array (y, x, 3)
        uint8, RGB.

    Raises
    ------
    ImageError
        If it is missing, empty, no picture, truncated or damaged, shorter than `MIN_SIDE` px, of more than
        `MAX_PIXELS` or of values without an agreed range.
    """
    with _opened(path) as image:
        return _upright(image, path)


def decode_bytes(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode a picture that is in no file, as `decode` does one that is; `name` is what messages call it."""
    with _decoded_bytes(content, name) as image:
        return _upright(image, Path(name))


def _upright(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    orientation = _orientation(image)
    pixels = _rgb(image, path)
    if orientation in _UPRIGHT:
        pixels = np.asarray(Image.fromarray(pixels).transpose(_UPRIGHT[orientation]))
    return np.ascontiguousarray(pixels)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image with its header read and its size admitted."""
    _check_presence(path)
    with _decoded(path, path) as image:
        yield image


@contextmanager
def _decoded_bytes(content: bytes, name: str) -> Iterator[Image.Image]:
    if not content:
        raise ImageError(Path(name), "is an empty file")
    with _decoded(BytesIO(content), Path(name)) as image:
        yield image


@contextmanager
def _decoded(source: Path | BytesIO, path: Path) -> Iterator[Image.Image]:
    """An image from a file or from memory; whatever a decoder raises becomes an `ImageError` of `path`."""
    try:
        with Image.open(source, formats=_FORMATS) as image:
            _admit(path, image.size)
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(path, "is not a picture of a format that is read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(path, f"is larger than {MAX_PIXELS // 10**6} megapixels") from None
    except Exception as error:
        told = (str(error) or type(error).__name__).splitlines()[0][:100]
        raise ImageError(path, f"is truncated, damaged or unsupported ({told})") from error


def _check_presence(path: Path) -> None:
    if not path.exists():
        raise ImageError(path, "leads nowhere (a broken link)" if path.is_symlink() else "no such file")
    if not path.is_file():
        raise ImageError(path, "is not a regular file")
    if path.stat().st_size == 0:
        raise ImageError(path, "is an empty file")


def _admit(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(path, f"is larger than {MAX_PIXELS // 10**6} megapixels ({width} x {height})")
    if min(size) < MIN_SIDE:
        raise ImageError(path, f"is too small for a face ({width} x {height}; at least {MIN_SIDE} px a side)")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; a damaged EXIF block counts as none."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return value if value in _UPRIGHT else 1


def _rgb(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    if image.mode == "F":
        raise ImageError(path, "holds floating-point values, which have no agreed range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        return _from_16_bit(np.asarray(image), path)
    see_through = "A" in image.mode.upper().removeprefix("LAB") or "transparency" in image.info
    if see_through:
        colours = image.convert("RGBA")
        return np.asarray(Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB"))
    return np.asarray(image.convert("RGB"))


def _from_16_bit(grey: NDArray[np.integer], path: Path) -> NDArray[np.uint8]:
    if grey.min() < 0 or grey.max() > 0xFFFF:
        raise ImageError(path, "holds 32-bit values, which have no agreed range; save it with 8 or 16 bits")
    return np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, axis=-1)
