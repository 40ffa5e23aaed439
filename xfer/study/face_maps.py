"""The maps of single faces, kept where they are asked for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

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
        "face": np.array([pixels.ids[row] for row in pixels.rows(kept.index)]),
        "target": np.array(pixels.classes)[kept.targets],
        "maps": kept.maps,
        **{name: np.array(facts[name]) for name in ("model", "fold", "layer")},
        "explainer": np.array(kept.explainers),
    }
    write_whole(path, lambda aside: _save(aside, named))


def merge(path: Path, parts: Iterable[Path], faces: Sequence[str]) -> None:
    """Write the maps of several files as one, faces in the order of some names; memory holds them all, as before."""
    read = []
    for each in parts:
        with np.load(each, allow_pickle=False) as held:
            read.append({name: held[name] for name in held.files})
    joined = {name: np.concatenate([each[name] for each in read]) for name in ("face", "target", "maps")}
    place = {name: i for i, name in enumerate(faces)}
    order = np.argsort([place[name] for name in joined["face"].tolist()])
    write_whole(path, lambda aside: _save(aside, read[0] | {name: each[order] for name, each in joined.items()}))


def _save(path: Path, stored: Mapping[str, NDArray[Any]]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **stored)
