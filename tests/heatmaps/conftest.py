"""Files to read, and the one line that refuses them."""

import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from xfer.errors import InputError
from xfer.heatmaps import read_map
from xfer.heatmaps.images import shown


@pytest.fixture
def grey(rng):
    return rng.integers(0, 256, (7, 5), dtype=np.uint8)


@pytest.fixture(scope="session")
def write():
    return write_array


@pytest.fixture(scope="session")
def png():
    return png_bytes


@pytest.fixture(scope="session")
def refuse():
    return refusal


def write_array(path, array):
    """An array in the file format of the path's suffix."""
    if path.suffix == ".png":
        Image.fromarray(array).save(path)
    elif path.suffix in (".tif", ".tiff"):
        tifffile.imwrite(path, array)
    elif path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, heatmap=array)
    else:
        zarr.save_array(str(path), array, zarr_format=2)
    return path


def png_bytes(width, height, depth, colour, rows, extra=b""):
    """A PNG from its standard, for kinds that Pillow does not write."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def refusal(path, *parts):
    """One line that begins with the file's name, whatever else goes on."""
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        with pytest.raises(InputError) as error:
            read_map(path)
    text = str(error.value)
    assert text.startswith(f"{shown(path)}: ")
    assert "\n" not in text
    assert not leaked
    for part in parts:
        assert part in text
    return text
