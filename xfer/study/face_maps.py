"""The maps of single faces, kept where they are asked for."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from xfer.study.folder import write_whole
from xfer.study.selecting import SelectedFaces
from xfer.training import Pixels


@dataclass(frozen=True)
class FaceMaps:
    """The maps of single faces, those behind the sums.

    Attributes
    ----------
    index : int array (face,)
        Positions in the data set, in the order they were given in.
    targets : int array (face,)
        The class explained.
    explainers : tuple of str
    maps : float32 array (face, explainer, gy, gx)
        Raw, on the layer's grid over the whole picture; where explainers differ in resolution on the finest of theirs.
    """

    index: NDArray[np.intp]
    targets: NDArray[np.int64]
    explainers: tuple[str, ...]
    maps: NDArray[np.float32]


def stacked(maps: Sequence[Tensor]) -> NDArray[np.float32]:
    """One array (face, explainer, gy, gx), at the finest resolution where they differ."""
    finest = max((each.shape[-2:] for each in maps), key=prod)
    resized = [
        each if each.shape[-2:] == finest else interpolate(each[:, None], finest, mode="bilinear")[:, 0]
        for each in maps
    ]
    made: NDArray[np.float32] = torch.stack(resized, 1).cpu().numpy()
    return made


def single_maps(
    faces: SelectedFaces,
    order: NDArray[np.intp],
    classes: NDArray[np.int64],
    explainers: Sequence[str],
    maps: NDArray[np.float32],
) -> FaceMaps:
    """The maps of the faces in `order` that were not left out since, in the order that the faces were given in."""
    back = np.argsort(order)
    back = back[faces.reason[order[back]] == ""]
    return FaceMaps(faces.index[order[back]], classes[order[back]], tuple(explainers), maps[back])


def write(path: Path, kept: FaceMaps, pixels: Pixels, facts: Mapping[str, Any]) -> None:
    """Write maps by the names of faces and classes, with what a shard's facts say of the network."""
    named = {
        "format": np.array(1),
        "face": np.array([pixels.ids[row] for row in pixels.rows(kept.index)], str),
        "target": np.array(pixels.classes)[kept.targets],
        "maps": kept.maps,
        **{name: np.array(facts[name]) for name in ("model", "fold", "layer")},
        "explainer": np.array(kept.explainers),
    }
    write_whole(path, lambda aside: _save(aside, named))


def merge(path: Path, parts: Sequence[Path], faces: Sequence[str]) -> None:
    """Write the maps of several files as one, faces in the order of some names; in memory are two files at most."""
    joined = {name: np.concatenate([_member(part, name) for part in parts]) for name in ("face", "target")}
    place = {name: i for i, name in enumerate(faces)}
    order = np.argsort([place[name] for name in joined["face"].tolist()])
    with np.load(parts[0], allow_pickle=False) as first:
        told = {name: joined[name][order] if name in joined else first[name] for name in first.files}
        told["maps"] = told["maps"][:0].copy()

    def write(aside: Path) -> None:
        with TemporaryFile(dir=aside.parent) as scratch, zipfile.ZipFile(aside, "w") as archive:
            _put_in_order(parts, np.argsort(order), scratch)
            for name, array in told.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                    if name == "maps":
                        header = np.lib.format.header_data_from_array_1_0(array)
                        header["shape"] = (len(order), *array.shape[1:])
                        np.lib.format.write_array_header_1_0(stream, header)
                        copyfileobj(scratch, stream)
                    else:
                        np.lib.format.write_array(stream, array, allow_pickle=False)

    write_whole(path, write)


def _put_in_order(parts: Sequence[Path], rows: NDArray[np.intp], scratch: IO[bytes]) -> None:
    """Bring the maps of all parts into a file; `rows` are those of their faces, one part after another."""
    begin = 0
    for part in parts:
        maps = _member(part, "maps")
        for row, each in zip(rows[begin:], maps, strict=False):
            scratch.seek(int(row) * each.nbytes)
            scratch.write(each.tobytes())
        begin += len(maps)
    scratch.seek(0)


def _member(path: Path, name: str) -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as held:
        found: NDArray[Any] = held[name]
    return found


def _save(path: Path, stored: Mapping[str, NDArray[Any]]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **stored)
