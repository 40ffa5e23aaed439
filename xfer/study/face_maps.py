"""The maps of single faces, kept where they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from xfer.study.selecting import SelectedFaces


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
