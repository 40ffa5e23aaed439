"""Single map files (PNG, TIFF, NumPy, zarr), read as stored.

The files are strangers': shape and type are checked before anything is decoded, nothing is unpickled, and whatever
a decoder trips over becomes one line that names the file.
"""

import json
import logging
import math
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image

from xfer.errors import InputError

MAX_PIXELS = 64_000_000
"""A larger map is refused before it is decoded."""

_MAX_BYTES = 16 * MAX_PIXELS
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
"""The colour types of the PNG standard."""


def shown(path: str | Path) -> str:
    r"""A path as printable text on one line, whatever bytes its name holds.

    >>> shown("maps/caf\udce9.png"), shown("a\nb")
    ('maps/caf\\xe9.png', 'a\\nb')
    """
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def read_map(path: str | Path) -> NDArray[np.floating]:
    """Read one map, its values as stored: nothing is stretched, scaled or quantised.

    Parameters
    ----------
    path : path
        A ``.png`` (grey, up to 16 bits, or colour with equal channels), ``.tif``, ``.npy``, ``.npz`` (one array) or
        ``.zarr`` (one array).

    Returns
    -------
    array (y, x)
        float32 where it holds every value of the stored type exactly, else float64.

    Raises
    ------
    InputError
        If the file is missing, empty, damaged, oversized, pickled, not 2-D, coloured, or has values that are not
        finite real numbers.
    """
    stored = read_stored(path)
    if stored.dtype.kind in "iu" and ((stored > 2**53).any() or (stored < -(2**53)).any()):
        raise InputError(f"{shown(path)}: has integers beyond 2**53, which no float holds; save it as floats")
    return stored.astype(np.result_type(stored.dtype, np.float32), order="C")


def read_stored(path: str | Path) -> NDArray[Any]:
    """Read one map (y, x) in the type it is stored in (bool, integer or float); raises as `read_map`."""
    path = Path(path)
    if path.suffix.lower() not in _READERS:
        raise InputError(
            f"{shown(path)}: {path.suffix or 'a name without suffix'} is not a map format; "
            f"use one of {', '.join(_READERS)}"
        )
    kind, reader = _READERS[path.suffix.lower()]
    with decoding(path, kind):
        _check_presence(path)
        array = reader(path)
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise InputError(f"{shown(path)}: {bad} of {array.size} values are NaN or infinite")
    return array


@contextmanager
def decoding(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an `InputError` that names the file, and keep its warnings to itself."""
    log = logging.getLogger("tifffile")
    was_disabled, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:
        reason = shown((str(error) or type(error).__name__).splitlines()[0])[:120]
        raise InputError(
            f"{shown(path)}: cannot be read as {kind}: truncated, damaged or unsupported ({reason})"
        ) from error
    finally:
        log.disabled = was_disabled


def _check_presence(path: Path) -> None:
    is_store = path.suffix.lower() == ".zarr"
    if not path.exists():
        raise InputError(f"{shown(path)}: no such file")
    if is_store != path.is_dir() or not (is_store or path.is_file()):
        raise InputError(f"{shown(path)}: is not a {'folder (a zarr store)' if is_store else 'file'}")
    if not is_store and path.stat().st_size == 0:
        raise InputError(f"{shown(path)}: empty file")
    if not is_store and path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{shown(path)}: oversized, more than {_MAX_BYTES // 10**6} MB")


def admit(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any] | None) -> None:
    """Refuse a map by its header: not 2-D, without pixels, more than `MAX_PIXELS`, not real numbers."""
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"{shown(path)}: has shape {shape}; a map is (rows, columns)")
    if math.prod(shape) > MAX_PIXELS:
        raise InputError(
            f"{shown(path)}: oversized, {shape[0]} x {shape[1]} pixels; "
            f"at most {MAX_PIXELS // 10**6} megapixels are read"
        )
    if dtype is not None and dtype.hasobject:
        raise InputError(f"{shown(path)}: holds pickled objects, which are never loaded; save plain numbers")
    if dtype is None or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise InputError(f"{shown(path)}: has values of type {dtype}; a map holds booleans, integers or floats")


def _one_channel(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    """Grey (y, x) out of (y, x, channel): equal colours and an opaque alpha, or an error."""
    if pixels.shape[-1] in (2, 4):
        opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else 1
        if (pixels[..., -1] != opaque).any():
            raise InputError(f"{shown(path)}: has transparent pixels; save it without an alpha channel")
        pixels = pixels[..., :-1]
    differing = int(np.count_nonzero((pixels != pixels[..., :1]).any(axis=-1)))
    if differing:
        raise InputError(
            f"{shown(path)}: its colour channels differ in {differing} pixels; a map is grey, not a picture of one"
        )
    return pixels[..., 0]


def _png(path: Path) -> NDArray[Any]:
    data = path.read_bytes()
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or data[12:16] != b"IHDR":
        raise InputError(f"{shown(path)}: is not a PNG image")
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    admit(path, (height, width), np.dtype(np.uint16))
    if depth == 16 and colour != _GREY:
        raise InputError(f"{shown(path)}: is a 16-bit colour image; save it as 16-bit grey")
    with Image.open(BytesIO(data), formats=["PNG"]) as image:
        image.verify()
    with Image.open(BytesIO(data), formats=["PNG"]) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise InputError(f"{shown(path)}: is an animation; a map file holds one image")
        transparent = image.info.get("transparency")
        if colour != _GREY:
            see_through = colour == _PALETTE or transparent is not None
            return _one_channel(path, np.asarray(image.convert("RGBA") if see_through else image))
        grey = np.asarray(image)
    if depth in (2, 4):
        grey = grey // (255 // (2**depth - 1))
    if transparent is not None and (grey == transparent).any():
        raise InputError(f"{shown(path)}: has transparent pixels; save it without transparency")
    return grey


def _tiff(path: Path) -> NDArray[Any]:
    with tifffile.TiffFile(path) as tiff:
        if len(tiff.pages) != 1:
            raise InputError(f"{shown(path)}: has {len(tiff.pages)} pages; a map file holds one image")
        page: Any = tiff.pages[0]
        if page.axes not in ("YX", "YXS", "SYX"):
            raise InputError(f"{shown(path)}: has axes {page.axes} of shape {page.shape}; a map is (rows, columns)")
        channels = page.shape[page.axes.index("S")] if "S" in page.axes else 1
        shape = tuple(n for n, axis in zip(page.shape, page.axes, strict=True) if axis != "S")
        admit(path, shape, page.dtype)
        if page.photometric.name not in ("MINISBLACK", "RGB") or channels > 4:
            raise InputError(
                f"{shown(path)}: is a TIFF of {channels} channels of kind {page.photometric.name}; save it as grey"
            )
        expected = math.prod(page.shape) * page.dtype.itemsize
        if sum(page.databytecounts) > 1.1 * expected + 2**16:
            raise InputError(f"{shown(path)}: holds more data than its {shape[0]} x {shape[1]} pixels need")
        ends = (start + n for start, n in zip(page.dataoffsets, page.databytecounts, strict=True))
        if not page.databytecounts or max(ends) > path.stat().st_size or 0 in page.databytecounts:
            raise InputError(f"{shown(path)}: truncated TIFF image")
        pixels = page.asarray(maxworkers=1)
        if page.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, -1)
        return _one_channel(path, pixels) if "S" in page.axes else pixels


def _npy(path: Path) -> NDArray[Any]:
    with path.open("rb") as stream:
        if stream.peek(1)[:1] == b"\x80":
            raise InputError(f"{shown(path)}: holds pickled objects, which are never loaded; save plain numbers")
        return _npy_stream(path, stream)


def _npy_stream(path: Path, stream: IO[bytes]) -> NDArray[Any]:
    """An array from a ``.npy`` stream; reads no byte more than its header tells."""
    header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(stream)]
    shape, fortran_order, dtype = header(stream)
    admit(path, shape, dtype)
    expected = math.prod(shape) * dtype.itemsize
    data = stream.read(expected + 1)
    if len(data) != expected:
        raise InputError(f"{shown(path)}: {'truncated' if len(data) < expected else 'longer than its header tells'}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran_order else "C")


def _npz(path: Path) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != 1:
            names = ", ".join(shown(m.filename.removesuffix(".npy")) for m in members[:5])
            raise InputError(f"{shown(path)}: holds {len(members)} arrays ({names}); a map file holds one")
        if members[0].file_size > _MAX_BYTES:
            raise InputError(f"{shown(path)}: oversized, more than {_MAX_BYTES // 10**6} MB when unpacked")
        if members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{shown(path)}: its compression is not NumPy's; save it with numpy.savez_compressed")
        with archive.open(members[0]) as stream:
            return _npy_stream(path, stream)


def check_store(path: Path) -> None:
    """Refuse a zarr store with a codec that would unpickle, or with chunks that blosc would read beyond their end."""
    for file in path.rglob("*"):
        if file.name not in (".zarray", ".zmetadata", "zarr.json"):
            continue
        text = file.read_text("utf-8")
        if "pickle" in text.lower():
            raise InputError(f"{shown(path)}: holds pickled objects, which are never loaded; save plain numbers")
        if _compression(json.loads(text)) == "blosc":
            _check_blosc(path, file.parent)


def _compression(metadata: dict[str, Any]) -> str:
    """The last codec of an array of zarr_format 2 or 3."""
    last = metadata.get("compressor") or (metadata.get("codecs") or [{}])[-1]
    return str(last.get("id", last.get("name", "")))


def _check_blosc(store: Path, array: Path) -> None:
    """Blosc trusts the length in a chunk's header (bytes 12 to 15) and is not told the length of the file."""
    for chunk in array.rglob("*"):
        if chunk.is_file() and not chunk.name.startswith((".z", "zarr.json")):
            with chunk.open("rb") as stream:
                header = stream.read(16)
            if len(header) < 16 or int.from_bytes(header[12:], "little") != chunk.stat().st_size:
                raise InputError(
                    f"{shown(store)}: truncated, its chunk {shown(chunk.relative_to(store))} is incomplete"
                )


def _zarr(path: Path) -> NDArray[Any]:
    check_store(path)
    node = zarr.open(str(path), mode="r")
    if not isinstance(node, zarr.Array):
        raise InputError(f"{shown(path)}: is a zarr group; a map store holds one 2-D array")
    admit(path, node.shape, node.dtype)
    if math.prod(node.shards or node.chunks) > MAX_PIXELS:
        raise InputError(f"{shown(path)}: oversized chunks of {node.shards or node.chunks} values")
    return np.asarray(node[...])


_READERS: dict[str, tuple[str, Callable[[Path], NDArray[Any]]]] = {
    ".png": ("a PNG image", _png),
    ".tif": ("a TIFF image", _tiff),
    ".tiff": ("a TIFF image", _tiff),
    ".npy": ("a NumPy array", _npy),
    ".npz": ("a NumPy archive", _npz),
    ".zarr": ("a zarr array", _zarr),
}

SUFFIXES = tuple(_READERS)
"""The endings of map files, in lower case."""
