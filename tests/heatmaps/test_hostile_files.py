"""Files made to harm: pickles, claims of size, bombs. Refused by what they say of themselves, without the memory."""

import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import tifffile
import zarr


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_is_unpickled(tmp_path, write, refuse):
    trap = tmp_path / "executed"
    objects = np.array([[Bomb(trap)]], dtype=object)
    np.save(tmp_path / "a.npy", objects)
    np.savez(tmp_path / "a.npz", objects)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Bomb(trap)))
    for name in ("a.npy", "a.npz", "b.npy"):
        refuse(tmp_path / name, "holds pickled objects, which are never loaded; save plain numbers")
    store = write(tmp_path / "a.zarr", np.ones((1, 1)))
    metadata = (store / ".zarray").read_text()
    (store / ".zarray").write_text(metadata.replace('"filters": null', '"filters": [{"id": "pickle", "protocol": 5}]'))
    assert "pickle" in (store / ".zarray").read_text()
    (store / "0.0").write_bytes(pickle.dumps(Bomb(trap)))
    refuse(store, "holds pickled objects")
    assert not trap.exists()


def npy_header(shape, dtype="<f4"):
    """The first bytes of a .npy file that claims a shape."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def patch_tag(path, name, value):
    """Overwrite a tag of a little-endian TIFF with one 32-bit number."""
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages[0].tags[name].offset + 2
    data = bytearray(path.read_bytes())
    data[at : at + 10] = struct.pack("<HII", 4, 1, value)
    path.write_bytes(data)


def oversized(folder, png):
    """Small files that claim, or unpack to, far more than the cap."""
    (folder / "header.npy").write_bytes(npy_header((10**6, 10**6)))
    with zipfile.ZipFile(folder / "header.npz", "w") as archive:
        archive.writestr("a.npy", npy_header((10**6, 10**6)))
    with zipfile.ZipFile(folder / "member.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"")
    archive_bytes = bytearray((folder / "member.npz").read_bytes())
    at = archive_bytes.index(b"PK\x01\x02")
    archive_bytes[at + 24 : at + 28] = struct.pack("<I", 2**32 - 2)
    (folder / "member.npz").write_bytes(archive_bytes)
    (folder / "bomb.png").write_bytes(png(50_000, 50_000, 1, 0, [b"\0" * 6250] * 50))
    zarr.create_array(str(folder / "a.zarr"), shape=(10**6, 10**6), chunks=(10, 10), dtype="f4", zarr_format=2)
    tifffile.imwrite(folder / "a.tif", np.zeros((1, 7), np.uint8))
    patch_tag(folder / "a.tif", "ImageWidth", 2**31)
    return ["header.npy", "header.npz", "member.npz", "bomb.png", "a.zarr", "a.tif"]


def test_oversized_files_are_refused_by_their_headers(tmp_path, png, refuse):
    for name in oversized(tmp_path, png):
        refuse(tmp_path / name, "oversized")


def test_oversized_chunks(tmp_path, refuse):
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(10, 10), chunks=(10**5, 10**5), dtype="f4", zarr_format=2)
    refuse(tmp_path / "a.zarr", "oversized chunks of (100000, 100000) values")


def test_a_tiff_strip_that_unpacks_to_more_than_the_image(tmp_path, refuse):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint8), compression="zlib")
    strip = zlib.compress(os.urandom(100_000))
    patch_tag(tmp_path / "a.tif", "StripOffsets", (tmp_path / "a.tif").stat().st_size)
    patch_tag(tmp_path / "a.tif", "StripByteCounts", len(strip))
    with (tmp_path / "a.tif").open("ab") as stream:
        stream.write(strip)
    refuse(tmp_path / "a.tif", "holds more data than its 8 x 8 pixels need")


def test_refusing_stays_small(tmp_path, png):
    """Reading all of them leaves a fresh process less than 60 MB larger."""
    names = oversized(tmp_path, png)
    code = (
        "import resource, sys\n"
        "from xfer.heatmaps import read_map\n"
        "from xfer.errors import InputError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        read_map(path)\n        sys.exit(3)\n    except InputError:\n        pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", code, *(str(tmp_path / name) for name in names)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 60_000
